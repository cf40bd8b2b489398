import time
from pathlib import Path

import msgspec
import pytest

from gateway.fhir.elements import Elements
from gateway.fhir.walk import LINKS, NOT_TEXT


@pytest.mark.parametrize(
    ("kind", "pointer", "minimum", "maximum", "types"),
    [
        ("Observation", "/code", 1, 1, ("CodeableConcept",)),
        ("Observation", "/note/3", 0, 0, ("Annotation",)),
        ("Observation", "/component/0/code/coding/2/display", 0, 1, ("string",)),
        ("Observation", "/component/1/referenceRange/0/low/value", 0, 1, ("decimal",)),
        ("Observation", "/valueQuantity/unit", 0, 1, ("string",)),
        ("Observation", "/extension/0/valueReference", 0, 1, ("Reference",)),
        ("Observation", "/id", 0, 1, ("string",)),
        ("Observation", "/meta/security/0", 0, 0, ("Coding",)),
        ("Patient", "/_birthDate", 0, 1, ("Element",)),
        ("Patient", "/_birthDate/extension/0/url", 1, 1, ("string",)),
        ("ExplanationOfBenefit", "/item/0/detail/1/adjudication/0", 0, 0, ("ExplanationOfBenefit.item.adjudication",)),
        ("MedicationRequest", "/medicationReference", 1, 1, ("Reference",)),
        ("Encounter", "/diagnosis/0/condition", 1, 1, ("Reference",)),
    ],
)
def test_the_table_knows_an_element(elements: Elements, kind, pointer, minimum, maximum, types):
    """Cardinality and types as the standard's definitions give them, through backbones, datatypes and choices."""
    found = elements.at(kind, pointer)
    assert (minimum, maximum, types) == (found.min, found.max, found.types)
    assert (minimum > 0) == elements.is_required(kind, pointer)


@pytest.mark.parametrize(
    ("kind", "pointer"),
    [
        ("Observation", "/unheard"),
        ("Observation", "/unheard/of"),
        ("Nothing", "/id"),
        ("Observation", "/contained/0/code"),
    ],
)
def test_the_table_does_not_guess(elements: Elements, kind, pointer):
    """What R4 does not define is None."""
    assert elements.at(kind, pointer) is None
    assert not elements.is_required(kind, pointer)
    assert elements.reference_targets(kind, pointer) is None


def test_reference_targets(elements: Elements):
    """The types a Reference may point at; None where it may be any."""
    assert {"Patient", "Group", "Device", "Location"} == elements.reference_targets("Observation", "/subject")
    assert elements.reference_targets("Observation", "/focus/0") is None
    assert elements.reference_targets("Provenance", "/target/0") is None
    assert {"Medication"} == elements.reference_targets("MedicationRequest", "/medicationReference")
    assert elements.reference_targets("Patient", "/extension/0/valueReference") is None
    assert elements.reference_targets("Patient", "/name/0") is None


def test_required_children(elements: Elements):
    """What an Observation, a claim's line and a Reference are not valid without."""
    assert {"status", "code"} == elements.required_children("Observation")
    assert {"medication[x]", "status", "intent", "subject"} == elements.required_children("MedicationRequest")
    assert {"sequence", "productOrService"} == elements.required_children("ExplanationOfBenefit.item")
    assert frozenset() == elements.required_children("Reference")


def test_every_resource_type_is_there(elements: Elements):
    """R4 has 146 concrete resource types beside Parameters and abstract ones."""
    assert {"Patient", "Bundle", "Parameters", "Binary", "VisionPrescription"} <= elements.resources
    assert not {"Resource", "DomainResource", "HumanName", "patient"} & elements.resources
    assert 140 < len(elements.resources) < 155
    assert elements.is_resource("Claim")


def test_it_is_small_and_quick(repository: Path):
    """Under 1 MB, and read in well under the time a start-up notices."""
    raw = (repository / "profiles" / "fhir" / "elements.json").read_bytes()
    assert len(raw) < 1_000_000
    started = time.perf_counter()
    Elements.from_json(raw)
    assert time.perf_counter() - started < 0.5
    assert b"CC0-1.0" in raw


def test_other_text_is_no_table():
    """A damaged file fails at start-up."""
    with pytest.raises(msgspec.DecodeError):
        Elements.from_json(b'{"types":[]}')


def test_what_the_view_leaves_out_of_texts_is_never_prose(elements: Elements):
    """Each name in NOT_TEXT is, in every R4 type, a code, an address, a date or an id; so nothing readable is missed.

    `id`, `reference` and `versionId` are there by what they are: FHIR types them as strings here and there.
    """
    prose = {"string", "markdown", "xhtml"}
    assert {"id", "reference", "versionId"} == {name for name in NOT_TEXT if prose & elements.types_named(name)}
    assert {"resourceType"} >= {name for name in NOT_TEXT if not elements.types_named(name)}


def test_every_address_of_r4_is_a_link(elements: Elements):
    """LINKS names every element of type uri, url or canonical, but those that name vocabularies or are References."""
    addresses = {name for name in elements.names() if {"uri", "url", "canonical"} & elements.types_named(name)}
    assert {"system", "implicitRules", "reference"} == addresses - LINKS
    assert LINKS <= addresses
