"""Consents that nobody means: enormous, endlessly nested, of impossible dates and wrong types, about groups in circles.

Each is refused at the API, or not evaluable with a reason; the engine never raises, and takes no time over them.
"""

import json
import time
from datetime import UTC

import msgspec
import pytest

from consent_store.model import (
    ACT_CODE,
    Actor,
    Coding,
    Effect,
    Provision,
    Reference,
    Unreadable,
)
from consent_store.reading import read_consent
from consent_store.validate import KnownCodes, refusals
from gateway.decision.consents import compile_consents
from gateway.decision.model import Answer
from gateway.errors import QuestionError
from gateway.facts.answer import answer as answer_to
from tests.consent_questions import LOINC, ask, observation, program, relations, target
from tests.consents import ROLE, actor, code, concept, deny, good, permit, r4, r5, text, value
from tests.questions import SHELF, SUBJECT, question


def nested(levels, inside):
    """A provision with so many levels above it."""
    for _ in range(levels):
        inside = permit(provision=[inside])
    return inside


def nested_text(levels):
    """The text of a Consent nested deeper than a JSON writer goes."""
    opened = b'{"type":"permit","provision":[' * levels
    return (
        b'{"resourceType":"Consent","status":"active","provision":'
        + opened
        + b'{"type":"deny"}'
        + b"]}" * levels
        + b"}"
    )


ABSURD = {
    "depth 100": text(r4(provision=nested(100, deny()))),
    "depth 1,000": nested_text(1000),
    "depth 100,000": nested_text(100_000),
    "10,000 of everything": text(r4(policy=[{"uri": ""}] * 10_000)),
    "a year without length": text(r4(provision=permit(period={"start": "0000"}))),
    "a month of thirteen": text(r4(dateTime="2024-13-01")),
    "the thirtieth of February": text(r4(provision=permit(dataPeriod={"end": "2024-02-30"}))),
    "a year of five digits": text(r5(date="12024-01-01")),
    "an offset of a day": text(r4(dateTime="2024-01-01T00:00:00+24:00")),
    "a date that is a number": text(r4(dateTime=20240101)),
    "provisions that are a word": text(r5(provision="none")),
    "a provision that is a list": text(r4(provision=[permit()])),
    "a type that is a list": text(r4(provision=permit(type=["permit"]))),
    "a purpose that is a word": text(r4(provision=permit(purpose="TREAT"))),
    "an actor that is a number": text(r4(provision=permit(actor=[7]))),
    "a reference that is true": text(r4(provision=permit(actor=[{**actor("x"), "reference": True}]))),
    "a label that is null": text(r4(provision=permit(securityLabel=[None]))),
    "data of no meaning": text(r4(provision=permit(data=[{"meaning": {}, "reference": {"reference": "Patient/1"}}]))),
    "a status that is an object": text(r4(status={"active": True})),
    "a patient that is a list": text(r4(patient=[{"reference": "Patient/1"}])),
    "a decision that is a number": text(r5(decision=1)),
    "an expression": text(r5(provision=[{"expression": {"language": "text/cql", "expression": "true"}}])),
    "half a Consent": text(r4())[:200],
    "no Consent at all": b"[1,2",
}


@pytest.mark.parametrize("name", sorted(ABSURD))
def test_it_is_refused_at_the_door(name):
    """The API refuses it, and says why."""
    version = "5.0" if b'"subject"' in ABSURD[name] else "4.0"
    assert [one.why for one in refusals(ABSURD[name], version, KnownCodes())]


@pytest.mark.parametrize("name", sorted(ABSURD))
def test_it_denies_with_a_reason_wherever_it_is_found(name):
    """Met in a store all the same, it permits nothing: it denies, and says why, or it is a permit that cannot match."""
    read = read_consent(ABSURD[name], source="")
    answer = ask(read)
    assert Answer.PERMIT is not answer.answer
    assert Answer.DENY is answer.answer or any(rule.unreadable for rule in read.provisions)
    assert answer.erring or any(rule.unreadable for rule in read.provisions)
    if isinstance(read, Unreadable):
        assert "consent-unreadable" == answer.causes[0].rule


@pytest.mark.parametrize("name", sorted(ABSURD))
def test_it_is_answered_where_an_outsider_asks(name):
    """In a question about the patient it names, it withholds and says why, or the question is refused."""
    whose = ABSURD[name].replace(b"Patient/1", b"Patient/rosa").decode(errors="replace")
    asking = json.dumps(question({**observation(), "subject": SUBJECT}, profile="base", consents=["here"]))
    try:
        said = json.loads(msgspec.json.encode(answer_to(asking.replace('"here"', whose).encode(), SHELF)))
    except QuestionError:
        return
    (decision,) = said["decisions"]
    assert "withheld" == decision["verdict"]
    assert any("Consent/c1" in one for one in decision["erring"])


def test_a_tree_a_thousand_deep_is_not_evaluable():
    """Built past every reader, it is not walked down, and denies."""
    root = Provision(type=Effect.PERMIT)
    for _ in range(1000):
        root = Provision(type=Effect.PERMIT, nested=(root,))
    answer = ask(value(root))
    assert Answer.DENY is answer.answer
    assert ("Consent/c/_history/1: its provisions are nested more than 60 deep",) == answer.erring


def test_the_deepest_tree_that_is_walked_is_answered():
    """Sixty levels are walked: the innermost speaks."""
    root = Provision(type=Effect.DENY)
    for _ in range(59):
        root = Provision(type=Effect.PERMIT, nested=(root,))
    answer = ask(value(root))
    assert Answer.DENY is answer.answer
    assert "consent-refuses" == answer.causes[0].rule


def test_ten_thousand_provisions_are_answered():
    """They are refused at the door; found in a store, each is evaluated, in no more than seconds."""
    rules = [
        deny(code=[concept(LOINC, f"{number}-1")], securityLabel=[code(ACT_CODE, "HIV")]) for number in range(9999)
    ]
    whole = r4(
        provision=permit(purpose=[], provision=[*rules, deny(code=[concept(LOINC, "2339-0")], securityLabel=[])])
    )
    whole["provision"].pop("purpose")
    whole["provision"]["provision"][-1].pop("securityLabel")
    assert refusals(text(whole), "4.0", KnownCodes())
    consent = good(whole)
    start = time.process_time()
    settled = program(consent)
    assert Answer.DENY is settled.decide(target()).answer
    other = observation(code={"coding": [{"system": LOINC, "code": "5-1"}]})
    assert Answer.PERMIT is settled.decide(target(other)).answer
    assert Answer.DENY is settled.decide(target(other, "HIV")).answer
    assert 10 > time.process_time() - start


def test_the_cost_of_reading_rules_grows_with_their_number():
    """Ten times the provisions take about ten times as long, not a hundred times."""

    def seconds(number):
        rules = tuple(Provision(type=Effect.DENY, labels=(Coding(ACT_CODE, f"X{n}"),)) for n in range(number))
        consent = value(Provision(type=Effect.PERMIT, nested=rules))
        took = []
        for _ in range(3):
            start = time.process_time()
            compile_consents([consent], UTC)
            took.append(time.process_time() - start)
        return min(took)

    assert 40 > seconds(5000) / seconds(500)


CIRCLES = [
    {"resourceType": "Group", "id": "a", "active": True, "member": [{"entity": {"reference": "Group/b"}}]},
    {"resourceType": "Group", "id": "b", "active": True, "member": [{"entity": {"reference": "Group/a"}}]},
    {"resourceType": "Group", "id": "self", "active": True, "member": [{"entity": {"reference": "Group/self"}}]},
    {"resourceType": "CareTeam", "id": "t", "status": "active", "participant": [{"member": {"reference": "Group/c"}}]},
    {"resourceType": "Group", "id": "c", "active": True, "member": [{"entity": {"reference": "CareTeam/t"}}]},
]


@pytest.mark.parametrize("who", ["Group/a", "Group/self", "CareTeam/t", "Group/c"])
@pytest.mark.parametrize("role", ["IRCP", "CST", "AUT"])
def test_a_group_in_a_circle_cannot_be_told(who, role):
    """It is nobody for a permit, and for a deny it may be anybody; the reason is told."""
    made = {
        effect: value(Provision(type=effect, actors=(Actor((Coding(ROLE, role),), Reference(who)),)))
        for effect in Effect
    }
    about = target(authors=("Practitioner/1",))
    shown = relations(*CIRCLES)
    assert Answer.NOT_APPLICABLE is ask(made[Effect.PERMIT], about=about, shown=shown).answer
    answer = ask(made[Effect.DENY], about=about, shown=shown)
    assert Answer.DENY is answer.answer
    assert answer.erring


def test_nothing_of_it_is_repeated():
    """Reasons hold names of elements, and never what the Consent says."""
    secret = "confidential-word"
    for parts in ({"dateTime": secret}, {"provision": permit(type=secret)}, {"status": secret}):
        read = read_consent(json.dumps(r4(**parts)).encode(), source="")
        assert secret not in "".join(ask(read).erring)
