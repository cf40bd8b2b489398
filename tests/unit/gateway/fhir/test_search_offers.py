"""What a caller is offered of searches: nothing that rests on what may be withheld, and all of it described."""

import pytest

from gateway.errors import NotSupported
from gateway.fhir.search import admit
from gateway.fhir.search_offers import Offers, Standing, resting_on
from tests.unit.gateway.fhir.searches import NO_PATIENT


def test_what_rests_on_an_element_that_may_be_withheld_is_refused(search, parameters):
    """L016, L018: parameters and includes on such an element are refused as if they did not exist."""
    removable = {"ExplanationOfBenefit": {"item", "diagnosis"}, "Observation": {"effectiveDateTime"}, "Device": {"*"}}
    refused = resting_on(removable, parameters, ["tag"])
    strict = Offers(parameters, no_patient_types=NO_PATIENT, refused=refused)

    assert {
        ("ExplanationOfBenefit", "encounter"),
        ("ExplanationOfBenefit", "detail-udi"),
        ("ExplanationOfBenefit", "item-udi"),
        ("ExplanationOfBenefit", "subdetail-udi"),
        ("Observation", "date"),
    } == {pair for pair in refused if pair[0] != "Device" and pair[1] != "_tag"}
    assert {"patient", "status", "_lastUpdated"} < {name for type_, name in refused if type_ == "Device"}
    search("ExplanationOfBenefit?encounter=E1")
    with pytest.raises(NotSupported, match="the parameter `encounter` is not supported here"):
        search("ExplanationOfBenefit?encounter=E1", strict)
    with pytest.raises(NotSupported, match="the value of `_include` is not supported here"):
        search("ExplanationOfBenefit?patient=P1&_include=ExplanationOfBenefit:encounter", strict)
    with pytest.raises(NotSupported, match="the value of `_revinclude` is not supported here"):
        search("Encounter?patient=P1&_revinclude=ExplanationOfBenefit:encounter", strict)
    for query in ("date=2020", "date:missing=true", "_tag=x"):
        with pytest.raises(NotSupported, match=r"^the parameter `[^`]+` is not supported here$"):
            search(f"Observation?patient=P1&{query}", strict)
    with pytest.raises(NotSupported, match="the value of `_sort` is not supported here"):
        search("Observation?patient=P1&_sort=-date", strict)
    with pytest.raises(NotSupported, match="is not supported here"):
        search("Patient?_id=P1&_has:Observation:patient:date=2020", strict)


def test_a_refused_anchor_takes_its_other_spellings_along(parameters):
    """`subject:Patient` and a chain are no way around a refused `subject`."""
    strict = Offers(parameters, no_patient_types=NO_PATIENT, refused={("Observation", "subject")})

    for name in ("subject:Patient", "subject:Patient.identifier"):
        with pytest.raises(NotSupported, match=f"`{name}` is not supported"):
            admit("Observation", [(name, "P1")], strict)


def test_every_parameter_of_r4_has_a_standing(offers, parameters):
    """What is dropped is a named list: nothing is left out of it, and what is refused is not in what is offered."""
    for offer in offers.describe():
        assert set(parameters.of(offer.type)) == set(offer.standing)
        assert {n for n, one in offer.standing.items() if one is Standing.SEEN} == set(offer.parameters)
    found = offers.of("Observation").standing
    assert Standing.ELSEWHERE is found["_text"]
    assert Standing.UNREAD is found["code-value-quantity"]


def test_what_is_described_is_what_is_admitted(offers):
    """The CapabilityStatement says neither more nor less than the search takes."""
    described = {offer.type: offer for offer in offers.describe()}
    found = described["Condition"]

    assert "Parameters" not in described
    assert list(described) == sorted(described)
    assert {"_id", "_lastUpdated", "identifier", "patient", "subject", "encounter", "code", "category"} < set(
        found.parameters
    )
    assert ["asserter", "encounter", "evidence-detail", "patient", "subject"] == [
        name.removeprefix("Condition:") for name in found.includes
    ]
    for include in found.includes:
        admit("Condition", [("_id", "1"), ("_include", include)], offers)
    for include in found.revincludes:
        admit("Condition", [("_id", "1"), ("_revinclude", include)], offers)


def test_no_search_of_records_without_a_patient_brings_records_of_patients(offers, elements):
    """Of all offers, those without an anchor lead to types without a patient only."""
    for offer in offers.describe():
        if not offer.anchored:
            assert {source.partition(":")[0] for source in offer.revincludes} <= NO_PATIENT
            assert all(targets and targets <= NO_PATIENT for _, targets in offer.includes.values())
        else:
            assert "_id" in offer.parameters
