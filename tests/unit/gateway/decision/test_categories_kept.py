"""What a record is recognised as is kept for records alike: in every label, code, type and writer that counts."""

from itertools import product

import pytest

from gateway.decision.rules import Recogniser
from gateway.labels.model import Confidentiality, Labels
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
