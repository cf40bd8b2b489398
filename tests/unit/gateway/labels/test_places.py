"""What a record carries of the place it was made at, or by (docs/labels.md)."""

import json

import pytest

from gateway.fhir.bundle import read_document
from gateway.fhir.resolver import Resolver
from gateway.fhir.view import every_view
from gateway.labels.assign import assign
from gateway.labels.context import LabelContext
from gateway.labels.model import Kind
from gateway.labels.propagation import Propagation

NUCC = "http://nucc.org/provider-taxonomy"
METHADONE, REHAB, HOSPITAL, MENTAL = "261QM2800X", "261QR0405X", "282N00000X", "261QM0801X"
PROVIDER = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/organization-type", "code": "prov"}]}


def record(kind, identity, **elements):
    """A record by type and id."""
    return {"resourceType": kind, "id": identity, **elements}


def kind(*codes):
    """Types by taxonomy codes, one concept each."""
    return [{"coding": [{"system": NUCC, "code": one}]} for one in codes]


def visit(**elements):
    """A visit."""
    return record("Encounter", "e", status="finished", **elements)


BY = {"serviceProvider": {"reference": "Organization/x"}}
IN = {"location": [{"location": {"reference": "Location/l"}}]}


@pytest.fixture(scope="session")
def carried(rules):
    """The sensitivities that the first of some records carries, with the places of the references."""

    def labels(*resources, registered=()):
        entries = [{"resource": one} for one in resources]
        document = read_document(
            json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
        )
        resolver = Resolver(document)
        found = Propagation(
            resolver,
            lambda one: assign(one, LabelContext(), rules),
            registered=lambda view, found: found.reference in registered,
        )
        (first, *_) = [inner for one in document.views for inner in every_view(one)]
        return {(one.code, one.at) for one in found.labels(first) if one.kind is Kind.SENSITIVITY}

    return labels


@pytest.mark.parametrize(
    ("elements", "codes"),
    [
        ({"type": kind(METHADONE)}, {"OPIOIDUD"}),
        ({"type": [PROVIDER, *kind(REHAB)]}, {"SUD"}),
        ({"type": kind(METHADONE, REHAB)}, {"OPIOIDUD", "SUD"}),
        ({"type": kind(REHAB, MENTAL)}, {"SUD", "BH"}),
        ({"type": kind(REHAB, HOSPITAL)}, set()),
        ({"type": [*kind(REHAB), {"text": "Hospital"}]}, set()),
        ({"type": [{"coding": [{"system": NUCC, "code": REHAB}, {"system": NUCC, "code": HOSPITAL}]}]}, set()),
        ({"type": [{"text": "Methadone clinic"}]}, {"OPIOIDUD"}),
        ({"type": [{"coding": [{"system": NUCC, "code": "261Q00000X"}], "text": "Methadone clinic"}]}, {"OPIOIDUD"}),
        ({"type": [{"coding": [{"system": "urn:own", "display": "Detox unit"}]}]}, {"SUD"}),
        ({"name": "County Methadone Clinic"}, {"OPIOIDUD"}),
        ({"name": "County Clinic", "alias": ["County Methadone Clinic"]}, {"OPIOIDUD"}),
        ({"name": "County Methadone Clinic", "type": kind(HOSPITAL)}, {"OPIOIDUD"}),
        ({"name": "County Clinic", "address": [{"line": ["1 Methadone Clinic Road"]}]}, set()),
        ({"name": "County Hospital", "contact": [{"purpose": {"text": "Detox unit"}}]}, set()),
        ({"name": "County Hospital"}, set()),
    ],
)
def test_an_organisation_is_what_its_name_says_and_its_types_where_they_agree(carried, elements, codes):
    """A general hospital with one such code among its types makes no visit sensitive."""
    expected = {(one, "/serviceProvider") for one in codes}

    assert expected == carried(visit(**BY), record("Organization", "x", **elements))


def test_who_is_registered_is_what_the_registration_says(carried):
    """A hospital may be called what it likes."""
    named = record("Organization", "x", name="Detox and Recovery Hospital", type=kind(REHAB))

    assert set() == carried(visit(**BY), named, registered={"Organization/x"})


@pytest.mark.parametrize(
    ("place", "codes"),
    [
        ({"name": "Detoxification Unit 4B"}, {"SUD"}),
        ({"name": "4B", "description": "Opposite the detoxification unit"}, set()),
        ({"name": "4B", "type": [{"text": "Detox unit"}]}, {"SUD"}),
        ({"name": "4B"}, set()),
    ],
)
def test_a_place_of_a_registered_hospital_is_what_it_is_called(carried, place, codes):
    """The hospital is registered, its unit is not."""
    unit = record("Location", "l", managingOrganization={"reference": "Organization/x"}, **place)
    hospital = record("Organization", "x", name="Methadone Hospital")

    found = carried(visit(**IN), unit, hospital, registered={"Organization/x"})
    assert {(one, "/location/0/location") for one in codes} == found


@pytest.mark.parametrize(
    "above",
    [
        [record("Location", "l", name="4B", managingOrganization={"reference": "Organization/x"})],
        [
            record("Location", "l", name="4B", partOf={"reference": "Location/m"}),
            record("Location", "m", name="East", managingOrganization={"reference": "Organization/x"}),
        ],
        [
            record("Location", "l", name="4B", managingOrganization={"reference": "Organization/d"}),
            record("Organization", "d", name="Intake", partOf={"reference": "Organization/x"}),
        ],
        [
            record("Location", "l", name="4B", partOf={"reference": "Location/m"}),
            record(
                "Location",
                "m",
                partOf={"reference": "Location/l"},
                managingOrganization={"reference": "Organization/x"},
            ),
        ],
    ],
    ids=["its organisation", "a part of a place", "a department", "a circle"],
)
def test_a_part_is_what_its_whole_is(carried, above):
    """A room of a methadone clinic is the clinic's."""
    clinic = record("Organization", "x", name="County Methadone Clinic")

    assert {("OPIOIDUD", "/location/0/location")} == carried(visit(**IN), *above, clinic)


def test_a_whole_is_not_what_its_part_is(carried):
    """A hospital has a detoxification unit."""
    unit = record("Location", "u", name="Detox unit", managingOrganization={"reference": "Organization/x"})

    assert set() == carried(visit(**BY), record("Organization", "x", name="County Hospital"), unit)


CLINIC = record("Organization", "x", name="County Methadone Clinic")
THERE = {"reference": "Organization/x"}
ROLE = record("PractitionerRole", "r", organization=THERE)
COUNSELLOR = record("PractitionerRole", "r", specialty=kind("101YA0400X"))


@pytest.mark.parametrize(
    ("made", "beside", "found"),
    [
        (record("ExplanationOfBenefit", "b", provider=THERE), CLINIC, {("OPIOIDUD", "/provider")}),
        (record("ExplanationOfBenefit", "b", insurer=THERE), CLINIC, set()),
        (record("Coverage", "c", payor=[THERE]), CLINIC, set()),
        (record("Observation", "o", performer=[THERE]), CLINIC, {("OPIOIDUD", "/performer/0")}),
        (record("ServiceRequest", "s", performer=[THERE]), CLINIC, {("OPIOIDUD", "/performer/0")}),
        (record("Appointment", "a", participant=[{"actor": THERE}]), CLINIC, {("OPIOIDUD", "/participant/0/actor")}),
        (record("Patient", "p", managingOrganization=THERE), CLINIC, set()),
        (
            record("Procedure", "p", performer=[{"actor": {"reference": "PractitionerRole/r"}}]),
            COUNSELLOR,
            {("SUD", "/performer/0/actor")},
        ),
    ],
)
def test_only_who_makes_or_holds_a_record_counts(carried, made, beside, found):
    """Not who pays; not whom the patient belongs to."""
    assert found == carried(made, beside)


def test_a_role_is_what_its_organisation_is(carried):
    """Somebody of a clinic, and what was taken at a visit with them."""
    seen = visit(participant=[{"individual": {"reference": "PractitionerRole/r"}}])
    value = record("Observation", "o", encounter={"reference": "Encounter/e"})

    assert {("OPIOIDUD", "/participant/0/individual")} == carried(seen, ROLE, CLINIC)
    assert {("OPIOIDUD", "/encounter")} == carried(value, seen, ROLE, CLINIC)
