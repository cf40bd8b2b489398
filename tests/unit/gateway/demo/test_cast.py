"""Parts for anybody's patients: from their own records, the same every time, and such that something is at stake."""

import msgspec
import pytest
from fhir.resources.R4B import get_fhir_model_class

from gateway.demo.cast import ROUTES, cast
from gateway.directory.reading import parse_directory

TYPES = {"provider_general", "provider_part2", "mco", "cma", "cbo", "patient"}


def visit(number: int, patient: str, organisation: str) -> bytes:
    """One Encounter of a patient at an organisation."""
    return msgspec.json.encode(
        {
            "resourceType": "Encounter",
            "id": f"e{number}",
            "subject": {"reference": f"Patient/{patient}"},
            "serviceProvider": {"reference": f"Organization/{organisation}"},
        }
    )


PLACES = [("ann", "big"), ("ann", "big"), ("bob", "big"), ("bob", "program"), ("bob", "program"), ("cy", "small")]
FOLDER = [visit(number, *place) for number, place in enumerate(PLACES)]


def test_the_organisation_with_most_records_discloses_and_the_next_is_the_program():
    """Discloser and Part 2 program are the organisations most records name; a third is registered, by its reference."""
    parts = cast(FOLDER)
    assert ("Organization/big", "Organization/program") == (parts.hospital, parts.program)
    directory = parse_directory(parts.directory, "d", TYPES)
    assert {"Organization/big"} == directory.participants["hospital"].references
    assert directory.participants["program"].part2_program
    assert {"Organization/small"} == directory.participants["neighbour"].references


def test_patients_are_a_handful_with_someone_of_the_program():
    """The smallest patients come first, and one that went to the program is among them."""
    assert ("ann", "bob", "cy") == cast(FOLDER).patients
    many = [visit(number, f"p{number}", "big") for number in range(30)]
    assert 4 == len(cast(many).patients)


def test_the_cast_is_the_same_every_time():
    """The order in which files are read changes nothing."""
    assert cast(FOLDER) == cast(list(reversed(FOLDER)))


def test_consents_are_valid_and_some_permit_and_some_deny():
    """Every made-up consent is valid R4; one permits, one denies, and the program's patient signs the Part 2 form."""
    trees = [msgspec.json.decode(one.text) for one in cast(FOLDER).consents]
    for tree in trees:
        get_fhir_model_class("Consent").model_validate(tree)
    assert {"permit", "deny"} == {tree["provision"]["type"] for tree in trees}
    part2 = [tree for tree in trees if "42CFRPart2CD" in str(tree["category"])]
    assert ["Patient/bob"] == [tree["patient"]["reference"] for tree in part2]


def test_lines_ask_what_there_is_at_routes_that_exist():
    """Only types that the chosen patients have are asked for; every line's route and client exist."""
    parts = cast(FOLDER)
    assert {("Encounter",)} == {line.types for line in parts.lines}
    assert {line.route for line in parts.lines} <= {route.name for route in ROUTES}
    clients = {client.client_id for client in parse_directory(parts.directory, "d", TYPES).clients}
    assert {line.client for line in parts.lines} <= clients
    assert ["plan"] == [line.client for line in parts.lines if not line.purpose]


def test_of_very_many_records_the_largest_types_are_left_out():
    """Where one patient alone has more than is asked for in a line, the types with the most records go first."""
    visits = [visit(number, "ann", "big") for number in range(1200)]
    condition = b'{"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/ann"}}'
    assert {("Encounter",)} == {line.types for line in cast(visits).lines}
    assert {("Condition",)} == {line.types for line in cast([*visits, condition]).lines}


def test_a_folder_without_patients_is_refused():
    """Where nothing is about a patient there is nothing to show."""
    with pytest.raises(ValueError, match="no records of a patient"):
        cast([b'{"resourceType": "Organization", "id": "big"}'])


def test_a_folder_without_organisations_still_has_a_cast():
    """Records that name no organisation get a discloser without a record of its own."""
    parts = cast([b'{"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/ann"}}'])
    assert ("", "", ("ann",)) == (parts.hospital, parts.program, parts.patients)
    assert parse_directory(parts.directory, "d", TYPES).participants["hospital"].references == frozenset()
