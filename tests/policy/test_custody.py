"""What a jail's records lose to a plan: all but place and dates of custody, and numbers however spelt."""

import json

import pytest

from tests.policy.jails import plan_gets

SUBJECT = {"reference": "Patient/p1"}
PERSON = {"resourceType": "Patient", "id": "p1", "birthDate": "1980-03-01", "name": [{"family": "Rivera"}]}
RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"


def told(resource: dict, discloser: str = "county_jail") -> tuple[dict, dict]:
    """Ask what a plan gets of one record; give it and the whole answer."""
    related = {"subjects": {"Patient/p1": {"both_have_relationship_with_enrollee": True}}}
    found = plan_gets(resource, PERSON, discloser, "CAREMGT", related)
    return json.loads(found["released"] or b"null"), found


@pytest.mark.parametrize(
    ("record", "goes"),
    [
        (
            {
                **PERSON,
                "gender": "female",
                "extension": [{"url": RACE, "extension": [{"url": "text", "valueString": "White"}]}],
                "telecom": [{"system": "phone", "value": "555-0100"}],
                "address": [{"city": "Fresno"}],
                "contact": [{"name": {"family": "Rivera"}}],
            },
            {"telecom", "address", "contact"},
        ),
        (
            {
                "resourceType": "Encounter",
                "id": "e",
                "status": "in-progress",
                "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
                "type": [{"text": "held for robbery"}],
                "reasonCode": [{"text": "second conviction"}],
                "subject": SUBJECT,
                "period": {"start": "2024-06-01", "end": "2025-04-01"},
                "location": [{"location": {"display": "Block B"}}],
            },
            {"type", "reasonCode"},
        ),
    ],
    ids=["limited demographics", "custody"],
)
def test_a_jail_gives_place_dates_and_limited_demographics(record, goes):
    """Name, birth date, sex, race, place and dates stay; the rest of the record does not go (seed1 L416-419)."""
    got, found = told(record)

    assert goes == record.keys() - got.keys()
    assert "permit" == found["effect"]


@pytest.mark.parametrize(
    "number",
    [
        {"type": {"text": "Social Security number"}},
        {"type": {"text": "SSN"}},
        {"type": {"coding": [{"system": "http://hl7.org/fhir/v2/0203", "code": "SS"}]}},
        {"system": "urn:oid:2.16.840.1.113883.4.1"},
        {"assigner": {"display": "Social Security Administration"}},
        {"type": {"text": "Criminal identification and information number"}},
        {"system": "https://oag.ca.gov/criminal-identification"},
    ],
)
def test_a_number_is_cut_however_it_is_written(number):
    """Social Security and criminal identification numbers are known by system, type, word or phrase."""
    got, found = told({**PERSON, "identifier": [{**number, "value": "123456789"}]}, "provider_general")

    assert "123456789" not in json.dumps(got)
    assert "permit_redacted" == found["effect"]


@pytest.mark.parametrize(
    "record",
    [
        {"resourceType": "Condition", "subject": SUBJECT, "note": [{"text": "078-05-1120"}, {"text": "stable"}]},
        {"resourceType": "Condition", "subject": SUBJECT, "note": [{"text": "her number: 078\u201105\u20111120."}]},
        {"resourceType": "Coverage", "beneficiary": SUBJECT, "status": "active", "subscriberId": "078-05-1120"},
        {"resourceType": "Patient", "identifier": [{"value": "078-05-1120"}]},
        {"resourceType": "Observation", "status": "final", "subject": SUBJECT, "code": {"text": "078-05-1120"}},
    ],
    ids=lambda one: json.dumps(one)[:70],
)
def test_a_social_security_number_is_known_by_its_form(record):
    """In free text, as a member's number, as an identifier of which nothing tells the kind: it does not go."""
    _, found = told(
        {**PERSON, **record} if record["resourceType"] == "Patient" else {"id": "x", **record}, "mtm_provider"
    )

    assert "1120" not in json.dumps(found["released"].decode() if found["released"] else "")


def test_another_number_stays():
    """Half a phrase is no phrase, and a member's number is not cut."""
    number = {"type": {"text": "Social services client number"}, "value": "123456789"}

    assert number == told({**PERSON, "identifier": [number]}, "provider_general")[0]["identifier"][0]
