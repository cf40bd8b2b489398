"""The labels a resource came with (labels.md sections 1 and 6; leaks.md L004, L005)."""

import pytest

from consent_store.model import ACT_CODE, ACT_REASON, CONFIDENTIALITY
from gateway.fhir.confidentiality import Confidentiality
from gateway.labels.assign import assign
from gateway.labels.model import Basis, Kind
from tests.unit.gateway.labels.conftest import SUD, confidentiality, observation, view

DS4P = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/"


def inline(coding):
    """A DS4P inline label."""
    return {"url": f"{DS4P}extension-inline-sec-label", "valueCoding": coding}


@pytest.mark.parametrize(
    "label",
    [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "SUD"},
        {"system": "https://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "SUD"},
        {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode|9.0.0", "code": "SUD"},
        {"system": "http://terminology.hl7.org/ValueSet/v3-InformationSensitivityPolicy", "code": "SUD"},
        {"system": "http://hl7.org/fhir/v3/ActCode", "code": "SUD"},
        {"system": "urn:oid:2.16.840.1.113883.5.4", "code": "SUD"},
        {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "sud"},
        {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": " SUD "},
        {"code": "SUD"},
        {"system": "", "code": "SUD"},
        {"system": "http://hl7.org/fhir/ValueSet/security-labels", "code": "SUD"},
        {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "SUD", "userSelected": True},
    ],
)
def test_a_sensitivity_counts_in_every_spelling(label, rules, nowhere):
    """L005: whatever way the source wrote it, the record is about substance use disorder and restricted."""
    labels = assign(view(observation([label])), nowhere, rules)
    assert frozenset({"SUD"}) == labels.sensitivities
    assert Confidentiality.R is labels.confidentiality


@pytest.mark.parametrize(
    "label",
    [
        {"system": ACT_CODE, "code": "42CFRPart2"},
        {"system": "http://terminology.hl7.org/CodeSystem/v3-ActUSPrivacyLaw", "code": "42CFRPart2"},
        {"system": "urn:oid:2.16.840.1.113883.5.1138", "code": "42CFRPart2"},
        {"code": "42CFRPart2"},
    ],
)
def test_a_policy_tag_counts_in_every_spelling(label, rules, nowhere):
    """The deprecated code system and the present one say the same (labels.md section 4)."""
    labels = assign(view(observation([label])), nowhere, rules)
    assert frozenset({"42CFRPart2"}) == labels.policies
    assert Confidentiality.R is labels.confidentiality


@pytest.mark.parametrize(
    "label",
    [
        {"system": ACT_CODE, "code": "ZZZ"},
        {"system": CONFIDENTIALITY, "code": "D"},
        {"code": "ZZZ"},
        {"system": ACT_CODE},
        {"system": ACT_CODE, "display": "SUD"},
        {"system": ACT_CODE, "code": ""},
        {"system": ACT_CODE, "code": 7},
        {"system": 7, "code": "ZZZ"},
        {},
        "SUD",
    ],
)
def test_what_cannot_be_read_takes_the_highest_restriction(label, rules, nowhere):
    """L005: an unknown code of a known system, a code only in the display, a label of a wrong shape."""
    labels = assign(view(observation([confidentiality("N"), label])), nowhere, rules)
    assert Confidentiality.V is labels.confidentiality
    assert labels.unknown


@pytest.mark.parametrize("meta", ["x", [], {"security": {}}, {"security": "R"}])
def test_a_malformed_meta_takes_the_highest_restriction(meta, rules, nowhere):
    """Labels that cannot be found are not labels that are not there."""
    labels = assign(view({"resourceType": "Observation", "meta": meta}), nowhere, rules)
    assert Confidentiality.V is labels.confidentiality
    assert labels.unknown


def test_a_label_of_another_system_is_kept_and_restricts(rules, nowhere):
    """Somebody marked this record; we cannot tell why, so it is unknown and R, not nothing."""
    foreign = {"system": "http://shift.example/extraSensitivityCodes", "code": "ABORTION"}
    labels = assign(view(observation([confidentiality("N"), foreign])), nowhere, rules)
    assert Confidentiality.R is labels.confidentiality
    assert labels.unknown
    assert ("ABORTION", Kind.UNKNOWN) in {(label.code, label.kind) for label in labels.labels}


def test_a_confidentiality_without_system_never_lowers(rules, nowhere):
    """L005: `{"code":"N"}` neither lowers an R record nor stands for the default of one that is unlabelled."""
    bare = {"code": "N"}
    assert Confidentiality.R is assign(view(observation([confidentiality("R"), bare])), nowhere, rules).confidentiality
    binary = {"resourceType": "Binary", "meta": {"security": [bare]}}
    assert Confidentiality.R is assign(view(binary), nowhere, rules).confidentiality


def test_a_confidentiality_without_system_raises(rules, nowhere):
    """`{"code":"V"}` without system is taken at its word: it restricts."""
    assert Confidentiality.V is assign(view(observation([{"code": "V"}])), nowhere, rules).confidentiality


def test_of_several_confidentialities_the_highest_counts(rules, nowhere):
    """One per resource is wanted; several mean the highest (labels.md section 2)."""
    several = [confidentiality(code) for code in ("N", "R", "L")]
    assert Confidentiality.R is assign(view(observation(several)), nowhere, rules).confidentiality


def test_a_stated_confidentiality_stands_for_the_default(rules, nowhere):
    """L003 speaks of what nothing labelled: a Binary that its source calls N is N."""
    binary = {"resourceType": "Binary", "meta": {"security": [confidentiality("N")]}}
    assert Confidentiality.N is assign(view(binary), nowhere, rules).confidentiality


def test_handling_codes_and_purposes_are_kept_and_say_nothing_about_the_content(rules, nowhere):
    """HTEST is a purpose, NORDSCLCD a refrain: neither is a sensitivity, neither is unknown."""
    marks = [{"system": ACT_REASON, "code": "HTEST"}, {"system": ACT_CODE, "code": "NORDSLCD"}]
    labels = assign(view(observation([confidentiality("N"), *marks])), nowhere, rules)
    handling = {label.code for label in labels.labels if label.kind is Kind.HANDLING}
    assert {"HTEST", "NORDSCLCD"} == handling
    assert not labels.unknown
    assert Confidentiality.N is labels.confidentiality


def test_an_inline_label_speaks_of_its_element(rules, nowhere):
    """DS4P: the identifier is R, whether or not PROCESSINLINELABEL says to look (labels.md section 6)."""
    identifier = {"system": "http://hl7.org/fhir/sid/us-ssn", "value": "1", "extension": [inline(confidentiality("R"))]}
    patient = {"resourceType": "Patient", "identifier": [identifier], "meta": {"security": [confidentiality("N")]}}
    labels = assign(view(patient), nowhere, rules)
    assert [("R", "/identifier/0")] == [(label.code, label.at) for label in labels.labels if label.at]
    assert Confidentiality.R is labels.confidentiality


def test_an_inline_label_on_a_primitive_speaks_of_the_primitive(rules, nowhere):
    """`_birthDate` is birthDate, `_given` an item of given."""
    patient = {
        "resourceType": "Patient",
        "birthDate": "1980-01-01",
        "_birthDate": {"extension": [inline(SUD)]},
        "name": [{"given": ["A", "B"], "_given": [None, {"extension": [inline({"code": "HIV"})]}]}],
    }
    received = {
        (label.code, label.at)
        for label in assign(view(patient), nowhere, rules).labels
        if label.basis is Basis.RECEIVED and label.kind is Kind.SENSITIVITY
    }
    assert {("SUD", "/birthDate"), ("HIV", "/name/0/given/1")} == received


def test_an_inline_label_that_cannot_be_read_restricts(rules, nowhere):
    """An inline extension without a Coding is a label that cannot be read."""
    broken = observation(
        [confidentiality("N")], valueString="x", extension=[{"url": f"{DS4P}extension-inline-sec-label"}]
    )
    labels = assign(view(broken), nowhere, rules)
    assert labels.unknown
    assert Confidentiality.V is labels.confidentiality


def test_the_basis_of_a_label_is_a_policy_tag_of_the_record(rules, nowhere):
    """DS4P sec-label-basis on meta.security names the law (labels.md sections 4 and 10)."""
    basis = {"url": f"{DS4P}extension-sec-label-basis", "valueCoding": {"system": ACT_CODE, "code": "42CFRPart2"}}
    labels = assign(view(observation([{**confidentiality("R"), "extension": [basis]}])), nowhere, rules)
    assert frozenset({"42CFRPart2"}) == labels.policies
    assert {""} == {label.at for label in labels.labels}


def test_a_document_is_labelled_by_its_own_elements_too(rules, nowhere):
    """DocumentReference.securityLabel and Composition.confidentiality speak of the document."""
    reference = {"resourceType": "DocumentReference", "securityLabel": [{"coding": [SUD, confidentiality("V")]}]}
    labels = assign(view(reference), nowhere, rules)
    assert frozenset({"SUD"}) == labels.sensitivities
    assert Confidentiality.V is labels.confidentiality
    composition = {"resourceType": "Composition", "confidentiality": "R", "title": "x"}
    assert Confidentiality.R is assign(view(composition), nowhere, rules).confidentiality


@pytest.mark.parametrize("labels", [[{"text": "secret"}], "secret", [{"coding": ["x"]}]])
def test_a_document_label_that_cannot_be_read_restricts(labels, rules, nowhere):
    """A security label without a readable code is unknown."""
    reference = {"resourceType": "DocumentReference", "securityLabel": labels}
    assert assign(view(reference), nowhere, rules).unknown
