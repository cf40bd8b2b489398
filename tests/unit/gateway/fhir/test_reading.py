"""R4's summaries and compartments."""

from pathlib import Path

import pytest

from gateway.fhir.reading import Reading, named

READING = Reading.from_json((Path(__file__).parents[4] / "profiles" / "fhir" / "reading.json").read_bytes())


def test_compartments_are_those_of_r4():
    """Types with the parameters that name the owner, and the elements these read."""
    assert {"performer": ("performer",), "subject": ("subject",)} == READING.compartment("Patient")["Observation"]
    assert {"actor": ("participant.actor",)} == READING.compartment("Patient")["Appointment"]
    assert {"encounter": ("encounter",)} == READING.compartment("Encounter")["Condition"]
    assert {} == READING.compartment("Practitioner")


def test_every_parameter_of_a_compartment_reads_an_element(elements):
    """Otherwise the gateway could not tell whether a record it found was found before."""
    for owner in ("Patient", "Encounter"):
        for type_, parameters in READING.compartment(owner).items():
            for paths in parameters.values():
                assert paths
                assert all(elements.at(type_, "/" + path.replace(".", "/")) for path in paths), type_


@pytest.mark.parametrize(
    ("path", "is_named"),
    [
        ("value", False),
        ("valueQuantity", True),
        ("valuequantity", False),
        ("code", True),
        ("component.valueString", True),
    ],
)
def test_a_choice_is_known_by_its_json_names(path, is_named):
    """`valueQuantity` is `value[x]`."""
    assert is_named is named(path, frozenset({"value[x]", "code", "component.value[x]"}))


def test_what_is_not_known_is_in_no_summary():
    """Never a guess."""
    assert READING.in_summary("Observation", "valueQuantity")
    assert not READING.in_summary("Observation", "note")
    assert not READING.in_summary("Nothing", "id")
    assert READING.modifies("Patient", "active")
    assert not READING.modifies("Patient", "name")
