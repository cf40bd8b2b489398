"""What nobody here can read, where a record says what is wrong, found, done or given: unclassified, not harmless."""

import msgspec
import pytest

from gateway.fhir.confidentiality import Confidentiality
from gateway.labels.assign import UNCLASSIFIED, assign
from tests.unit.gateway.labels.conftest import ICD, codings, observation, view

LOCAL = "urn:oid:1.2.840.114350.1.13.861.1.7.2.657380"
PLAIN = codings((ICD, "J45.909"))


def where(record, nowhere, rules):
    """The element for which a record is unclassified, None where it is not."""
    labels = assign(view(record), nowhere, rules)
    at = next((one.at for one in labels.labels if one.source == UNCLASSIFIED), None)
    assert (at is not None) is labels.unknown
    return at


@pytest.mark.parametrize(
    ("record", "at"),
    [
        ({"resourceType": "Condition", "code": codings((LOCAL, "77"))}, "/code"),
        ({"resourceType": "Procedure", "code": codings((None, "77"))}, "/code"),
        ({"resourceType": "Procedure", "code": codings(("", "77"))}, "/code"),
        (observation(code=codings((LOCAL, "77"))), "/code"),
        (observation(component=[{"code": PLAIN}, {"code": codings((LOCAL, "8"))}]), "/component/1/code"),
        ({"resourceType": "Encounter", "reasonCode": [codings((LOCAL, "77"))]}, "/reasonCode/0"),
        (
            {"resourceType": "MedicationRequest", "medicationCodeableConcept": codings((LOCAL, "77"))},
            "/medicationCodeableConcept",
        ),
        ({"resourceType": "Immunization", "vaccineCode": codings((LOCAL, "77"))}, "/vaccineCode"),
        (
            {"resourceType": "Claim", "diagnosis": [{"diagnosisCodeableConcept": codings((LOCAL, "77"))}]},
            "/diagnosis/0/diagnosisCodeableConcept",
        ),
        (
            {"resourceType": "ExplanationOfBenefit", "diagnosis": [{"packageCode": codings((LOCAL, "77"))}]},
            "/diagnosis/0/packageCode",
        ),
        (
            {
                "resourceType": "ExplanationOfBenefit",
                "procedure": [{"procedureCodeableConcept": codings((LOCAL, "7"))}],
            },
            "/procedure/0/procedureCodeableConcept",
        ),
        (
            {
                "resourceType": "Claim",
                "item": [{"detail": [{"subDetail": [{"productOrService": codings((LOCAL, "7"))}]}]}],
            },
            "/item/0/detail/0/subDetail/0/productOrService",
        ),
        (
            {"resourceType": "ClaimResponse", "addItem": [{"productOrService": codings((LOCAL, "7"))}]},
            "/addItem/0/productOrService",
        ),
    ],
)
def test_a_telling_element_of_an_unknown_system_is_unclassified(record, at, rules, nowhere):
    """Whatever the text beside the code says: unknown, restricted by the profile's choice, at that element."""
    assert at == where(record, nowhere, rules)
    assert Confidentiality.R is assign(view(record), nowhere, rules).confidentiality


@pytest.mark.parametrize(
    "record",
    [
        {"resourceType": "Condition", "code": codings((LOCAL, "77"), (ICD, "J45.909"))},
        {"resourceType": "Condition", "code": codings(("http://hl7.org/fhir/sid/icd-10", "J45.9"))},
        {"resourceType": "Condition", "code": {"text": "asthma"}},
        {"resourceType": "Condition", "code": PLAIN, "category": [codings((LOCAL, "problem"))]},
        {"resourceType": "Condition", "code": {"coding": [{"system": LOCAL}]}},
        {"resourceType": "Observation", "code": PLAIN, "interpretation": [codings((LOCAL, "H"))]},
        {"resourceType": "Observation", "code": PLAIN, "meta": {"tag": [{"system": LOCAL, "code": "x"}]}},
        {"resourceType": "Claim", "item": [{"productOrService": codings(("http://www.ada.org/cdt", "D0120"))}]},
        {"resourceType": "Claim", "item": [{"adjudication": [{"reason": codings((LOCAL, "A1"))}]}]},
    ],
)
def test_other_elements_and_known_systems_are_not(record, rules, nowhere):
    """One known coding classifies; a text alone is free text, with a default of its own; a category tells nothing."""
    assert where(record, nowhere, rules) is None


def test_a_profile_says_how_restricted_the_unclassified_is(rules, nowhere):
    """N, where an operator's own codes are everywhere and harmless; it stays unknown to consents by label."""
    record = view({"resourceType": "Condition", "code": codings((LOCAL, "77"))})
    labels = assign(record, nowhere, msgspec.structs.replace(rules, unclassified=Confidentiality.N))
    assert (Confidentiality.N, True) == (labels.confidentiality, labels.unknown)
