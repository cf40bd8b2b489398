"""The Consent examples of FHIR R4 and R5 themselves: what each comes to as it is written, and why.

Several say in their text what no element of theirs states; those that put an exception into an untyped R4 root cannot
be read mechanically, and refuse until they are reviewed (consent-semantics section 2).
"""

from datetime import datetime
from typing import Any, NamedTuple

import pytest

from consent_store.reading import read_consent
from gateway.decision.model import Answer
from gateway.directory.model import Participant
from tests.consent_questions import LOINC, ask, exchange, observation, relations, target

YES, NO, SILENT = Answer.PERMIT, Answer.DENY, Answer.NOT_APPLICABLE
LATER = "2025-03-01T12:00:00+00:00"
MEDICATION = {"resourceType": "MedicationRequest", "id": "medrx0305", "subject": {"reference": "Patient/f001"}}
CDA_DOCUMENT = {
    "resourceType": "DocumentReference",
    "id": "d",
    "type": {"coding": [{"system": LOINC, "code": "34133-9"}]},
    "content": [{"attachment": {"contentType": "application/hl7-cda+xml"}}],
}
# What a consent that is not evaluable says of any exchange.
UNTYPED = "has no type and is limited by"


class Row(NamedTuple):
    """One question: who holds the data, who asks, when, of what, and the answer with its reason."""

    example: str
    expected: Answer
    why: str
    holder: str = "Organization/f001"
    asks: str = "Organization/x"
    at: str = LATER
    purpose: str = "TREAT"
    about: dict[str, Any] | None = None
    labels: str = "N"
    author: str = ""
    shown: tuple[dict[str, Any], ...] = ()


ROWS = [
    # R4
    Row("r4 basic", YES, "OPTIN, in its period", at="2015-06-01T00:00:00+00:00"),
    Row("r4 basic", SILENT, "its period is over"),
    Row("r4 Out", NO, "OPTOUT, and the custodian it names holds the data"),
    Row("r4 Out", SILENT, "another holds the data", holder="Organization/o1"),
    Row("r4 Emergency", NO, f"its root provision {UNTYPED} purpose", purpose="ETREAT"),
    Row("r4 grantor", NO, f"its root provision {UNTYPED} actor"),
    Row("r4 notThem", NO, f"its root provision {UNTYPED} actor", asks="Practitioner/f204"),
    Row("r4 notThis", NO, f"its root provision {UNTYPED} data"),
    Row("r4 pkb", NO, f"its root provision {UNTYPED} actor", asks="Organization/f001"),
    Row("r4 signature", NO, f"its root provision {UNTYPED} actor", asks="Practitioner/13"),
    Row("r4 notAuthor", YES, "OPTIN; the actor is the custodian, and no element states the author it means"),
    Row("r4 notAuthor", SILENT, "another holds the data", holder="Organization/o1"),
    Row("r4 notOrg", NO, "typed: it refuses the organisation that asks", asks="Organization/f001"),
    Row("r4 notOrg", SILENT, "typed: its deny reaches the one it names alone, whatever policyRule says"),
    Row("r4 notTime", YES, "OPTIN while the root's period runs", at="2015-01-15T00:00:00+00:00"),
    Row("r4 notTime", SILENT, "the period it means to except is the only one in which it speaks"),
    Row("r4 smartonfhir", YES, "OPTIN for half an hour", at="2016-06-23T17:10:00+10:00"),
    Row("r4 smartonfhir", SILENT, "the half hour is over", at="2016-06-23T17:32:34+10:00"),
    # R5
    Row("r5 CDA", YES, "decision permit, to the grantee", asks="Patient/pat2"),
    Row("r5 CDA", SILENT, "somebody else asks"),
    Row("r5 CDA", NO, "the exception names who asks", asks="Practitioner/f001", at="2019-01-01T00:00:00+00:00"),
    Row(
        "r5 CDA",
        YES,
        "the exception to the exception: the author's documents of these codes",
        asks="Practitioner/f001",
        at="2019-01-01T00:00:00+00:00",
        about=CDA_DOCUMENT,
        author="Practitioner/xcda-author",
    ),
    Row("r5 Emergency", YES, "excepted from deny: what this custodian holds", holder="Organization/f201"),
    Row("r5 Emergency", NO, "and from that: emergency", holder="Organization/f201", purpose="ETREAT"),
    Row("r5 Emergency", NO, "decision deny, for every other holder", holder="Organization/o1"),
    Row("r5 Out", NO, "excepted from permit: what this custodian holds"),
    Row("r5 Out", SILENT, "its permit was given to the controller", holder="Organization/o1"),
    Row("r5 basic", YES, "excepted from deny: until 2019", at="2018-12-31T23:59:59+00:00"),
    Row("r5 basic", NO, "decision deny"),
    Row("r5 grantor", YES, "excepted from deny: who is named", holder="Organization/f203", asks="Practitioner/f007"),
    Row("r5 grantor", NO, "decision deny, to the grantee", holder="Organization/o1", asks="Practitioner/f007"),
    Row("r5 grantor", SILENT, "its deny reaches the grantee alone", holder="Organization/f203"),
    Row("r5 notAuthor", NO, "excepted from permit: what this custodian holds; no element states an author"),
    Row("r5 notOrg", NO, "the exception names who asks", "Organization/2.16.840.1.113883.19.5", "Organization/f001"),
    Row("r5 notOrg", YES, "decision permit", "Organization/2.16.840.1.113883.19.5"),
    Row("r5 notThem", NO, "the exception names who asks", asks="Practitioner/f204"),
    Row("r5 notThem", YES, "decision permit"),
    Row("r5 notThis", NO, "the record is the one that is excepted", about=MEDICATION),
    Row("r5 notThis", NO, "whether the excepted record refers to this one cannot be told"),
    Row("r5 notThis", YES, "the excepted record is seen not to refer to this one", shown=(MEDICATION,)),
    Row("r5 notTime", NO, "excepted from permit: January 2015", at="2015-01-15T00:00:00+00:00"),
    Row("r5 notTime", YES, "decision permit"),
    Row("r5 pkb", YES, "excepted from deny: up to N; and from that, from N on", asks="Organization/f001", labels="L"),
    Row("r5 pkb", NO, "what it gives at N it takes back inside, from N on", asks="Organization/f001"),
    Row("r5 pkb", NO, "the permit covers no psychiatry", asks="Organization/f001", labels="R PSY"),
    Row("r5 pkb", NO, "decision deny, to everybody else"),
    Row("r5 smartonfhir", NO, "excepted from permit: the half hour", at="2016-06-23T17:10:00+10:00"),
    Row("r5 smartonfhir", YES, "and from that: prescriptions", at="2016-06-23T17:10:00+10:00", about=MEDICATION),
    Row("r5 smartonfhir", YES, "decision permit, before and after"),
]
EXAMPLES = {"r4": 12, "r5": 12}


def path(shared, example):
    """Where an example is."""
    version, name = example.split()
    return shared / "data" / f"hl7-{version}-examples" / f"Consent-consent-example-{name}.json"


def answered(shared, row):
    """The answer to a row's question."""
    asked = exchange(
        row.purpose,
        at=datetime.fromisoformat(row.at),
        discloser=Participant(id="holder", type="provider_general", references=frozenset({row.holder})),
        recipient=Participant(id="asks", type="provider_general", references=frozenset({row.asks})),
    )
    authors = (row.author,) if row.author else ()
    about = target(row.about or observation(), *row.labels.split(), authors=authors)
    consent = read_consent(path(shared, row.example).read_bytes(), source="")
    return ask(consent, about=about, asked=asked, shown=relations(*row.shown))


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.example}: {row.why}" for row in ROWS])
def test_a_core_example(shared, row):
    """The answer is the stated one; where the example is not evaluable, for the stated reason."""
    answer = answered(shared, row)
    assert row.expected is answer.answer
    not_evaluable = {cause.rule for cause in answer.causes} == {"consent-not-evaluable"}
    assert (UNTYPED in row.why) is not_evaluable
    assert not not_evaluable or any(why.endswith(row.why) for why in answer.erring)


def test_every_core_example_has_its_rows(shared):
    """All twelve of each version are in the table."""
    for version, number in EXAMPLES.items():
        folder = shared / "data" / f"hl7-{version}-examples"
        names = {f"{version} {one.stem.split('consent-example-')[1]}" for one in folder.glob("Consent-*.json")}
        assert number == len(names)
        assert names == {row.example for row in ROWS if row.example.startswith(version)}
