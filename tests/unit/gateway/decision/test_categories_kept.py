"""What a record is recognised as is kept for records alike: in every label, code, type and writer that counts."""

from itertools import product

import msgspec
import pytest

from gateway.decision.recognising import Recogniser
from gateway.labels.model import Confidentiality, Labels
from gateway.policy.matching import Category, CategoryMatch, Codes, IdentifierMatch, Words
from tests.consent_questions import exchange, view
from tests.questions import SHELF

LABELS = [
    Labels((), level, frozenset(sensitivities), frozenset(policies), unknown, unread)
    for level, sensitivities, policies, (unknown, unread) in product(
        (Confidentiality.N, Confidentiality.R, Confidentiality.V),
        ((), ("HIV",), ("PSYTHPN",)),
        ((), ("42CFRPart2",)),
        ((False, False), (True, False), (True, True)),
    )
]
LOINC, ICD = "http://loinc.org", "http://hl7.org/fhir/sid/icd-10-cm"
RECORDS = [
    view({"resourceType": kind, "id": "x", "code": {"coding": [{"system": system, "code": code}]}}, f"/{number}")
    for number, (kind, (system, code)) in enumerate(
        product(
            ("Observation", "Condition", "Encounter", "Coverage"),
            ((LOINC, "8867-4"), (ICD, "F11.20"), (ICD, "Z59.00"), ("urn:x", "y")),
        )
    )
]


@pytest.mark.parametrize("name", sorted(SHELF.policies))
def test_whatever_was_recognised_before_a_record_is_what_it_is(name):
    """Asked of all in turn, there and back, it says what it says of each alone."""
    policy, asked = SHELF.policies[name], exchange()

    def written(one):
        return one.at.endswith("1")

    together = Recogniser(policy, asked, written)
    told = [(record, labels) for labels in LABELS for record in RECORDS]
    found = [together.categories(*one) for one in told]
    alone = [Recogniser(policy, asked, written).categories(*one) for one in told[:: len(RECORDS) + 1]]
    assert alone == found[:: len(RECORDS) + 1]
    assert list(reversed(found)) == [together.categories(*one) for one in reversed(told)]
    by_labels = [Recogniser(policy, asked, written) for _ in LABELS]
    apart = [
        one.categories(record, labels) for one, labels in zip(by_labels, LABELS, strict=True) for record in RECORDS
    ]
    assert apart == found


def labelled(**parts):
    """The labels of normal data, but for these."""
    return msgspec.structs.replace(LABELS[0], **parts)


SSN = {"system": "http://hl7.org/fhir/sid/us-ssn", "value": "7"}
WAYS = {
    "a type": (CategoryMatch(types=frozenset({"Observation"})), {"resourceType": "Observation"}, LABELS[0]),
    "a code": (CategoryMatch(codes=Codes(frozenset({(LOINC, "1-1")}))), {"code": "1-1"}, LABELS[0]),
    "how a code begins": (CategoryMatch(codes=Codes(frozenset(), ((LOINC, "1-"),))), {"code": "1-1"}, LABELS[0]),
    "a number": (
        CategoryMatch(identifiers=IdentifierMatch(words=frozenset({"ssn"}))),
        {"identifier": [SSN]},
        LABELS[0],
    ),
    "its system": (
        CategoryMatch(identifiers=IdentifierMatch(systems=frozenset({SSN["system"]}))),
        {"identifier": [SSN]},
        LABELS[0],
    ),
    "a word": (CategoryMatch(words=Words(frozenset({"some word"}))), {"title": "Some word."}, LABELS[0]),
    "a word of a code": (CategoryMatch(code_words=Words(frozenset({"pc nnn"}))), {"code": "PC459"}, LABELS[0]),
    "its name": (CategoryMatch(named=frozenset({"in custody"})), {"code": {"text": "In custody"}}, LABELS[0]),
    "its writer": (CategoryMatch(own=True), {"id": "own"}, LABELS[0]),
    "another's": (CategoryMatch(own=False), {"id": "another", "resourceType": "Encounter"}, LABELS[0]),
    "a sensitivity": (CategoryMatch(sensitivities=frozenset({"HIV"})), {}, labelled(sensitivities=frozenset({"HIV"}))),
    "a policy": (CategoryMatch(policies=frozenset({"42CFRPart2"})), {}, labelled(policies=frozenset({"42CFRPart2"}))),
    "a level": (CategoryMatch(at_least=Confidentiality.R), {}, labelled(confidentiality=Confidentiality.R)),
    "something unknown": (CategoryMatch(unknown=True), {}, labelled(unknown=True)),
    "an unread label": (CategoryMatch(unread_label=True), {}, labelled(unread=True)),
}
PLAIN = {"resourceType": "Encounter", "id": "another"}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_of_recognising_recognises(way):
    """Alone, beside what makes another exception, and not a record without it."""
    match, elements, labels = WAYS[way]
    code = elements.get("code")
    coded = {"code": {"coding": [{"system": LOINC, "code": code}]}} if isinstance(code, str) else {}
    has = view(PLAIN | elements | coded)
    lacks = view(PLAIN | ({"id": "own"} if way == "another's" else {}))
    exception = CategoryMatch(types=frozenset({"Claim"}))
    for one in (match, msgspec.structs.replace(match, without=(exception,))):
        policy = msgspec.structs.replace(SHELF.policies["base"], categories={"x": Category("x", "", (one,))})
        recognise = Recogniser(policy, exchange(), lambda record: record.id == "own").categories
        assert {"x"} == recognise(has, labels)
        assert frozenset() == recognise(lacks, LABELS[0])
    excepted = CategoryMatch(without=(match,))
    policy = msgspec.structs.replace(SHELF.policies["base"], categories={"x": Category("x", "", (excepted,))})
    recognise = Recogniser(policy, exchange(), lambda record: record.id == "own").categories
    assert frozenset() == recognise(has, labels)
    assert {"x"} == recognise(lacks, LABELS[0])
