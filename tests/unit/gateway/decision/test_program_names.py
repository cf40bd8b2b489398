"""A Part 2 program of the directory that a record names by its name or number alone: it withholds, never permits."""

import copy

import pytest

from tests.questions import (
    HARBOR,
    PARTICIPANTS,
    ROSA,
    SUBJECT,
    asked,
    consent,
    encounter,
    observation,
    recipient,
    searchset,
    text_of,
    verdicts,
)

NAME = "Harbor Recovery Center"
NPI = "1000000022"
US_NPI = "http://hl7.org/fhir/sid/us-npi"
TYPED = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "NPI"}]}


def parties(*more, **changes):
    """The participants, the program with its name and NPI."""
    told = {"name": NAME, "identifiers": [{"system": US_NPI, "value": NPI}]} | changes
    known = copy.deepcopy(list(PARTICIPANTS))
    return [*(one | (told if one["id"] == "harbor" else {}) for one in known), *more]


def effect(record, *context, **question):
    """What becomes of a record, with the program's name in the directory."""
    question = {"participants": parties()} | question
    return asked(searchset(record), context=[ROSA, *context], **question)["effect"]


def at(who):
    """A visit somewhere."""
    return encounter(at=who)


@pytest.mark.parametrize(
    "number",
    [
        {"system": US_NPI, "value": NPI},
        {"system": "https://hl7.org/fhir/sid/us-npi", "value": NPI},
        {"system": "urn:oid:2.16.840.1.113883.4.6", "value": NPI},
        {"system": "2.16.840.1.113883.4.6", "value": NPI},
        {"type": TYPED, "value": NPI},
        {"value": NPI},
    ],
)
def test_a_program_is_known_by_its_npi_in_any_spelling(number):
    """In a reference, and in the organisation that a reference leads to."""
    named = {"resourceType": "Organization", "id": "x", "identifier": [number]}

    assert "deny" == effect(at({"identifier": number}))
    assert ("permit" if list(number) == ["value"] else "deny") == effect(at({"reference": "Organization/x"}), named)


@pytest.mark.parametrize("number", [{"system": US_NPI, "value": "1000000023"}, {"system": "urn:other", "value": NPI}])
def test_another_number_is_another_s(number):
    """A number of another value, or of another system, names no program."""
    assert "permit" == effect(at({"identifier": number}))


@pytest.mark.parametrize(
    ("record", "context"),
    [
        (at({"display": NAME}), ()),
        (at({"display": "  HARBOR recovery  center"}), ()),
        (at({"display": f"{NAME}, Oakland"}), ()),
        (at({"reference": "Organization/unknown", "display": NAME}), ()),
        (at({"reference": "#o"}) | {"contained": [{"resourceType": "Organization", "id": "o", "name": NAME}]}, ()),
        (at({"reference": "Organization/x"}), ({"resourceType": "Organization", "id": "x", "name": NAME},)),
        (at({"reference": "Organization/x"}), ({"resourceType": "Organization", "id": "x", "alias": [NAME]},)),
        (
            encounter(at={"reference": "Organization/d"}),
            ({"resourceType": "Organization", "id": "d", "name": "Unit 4", "partOf": {"display": NAME}},),
        ),
        (
            observation(),
            (
                {
                    "resourceType": "Provenance",
                    "id": "p",
                    "target": [{"reference": "Observation/weight"}],
                    "recorded": "2026-01-01T00:00:00Z",
                    "agent": [{"who": {"display": NAME}}],
                },
            ),
        ),
    ],
)
def test_a_source_that_has_a_program_s_name_is_the_program(record, context):
    """Without a consent nothing leaves that names the program as its source, by name alone."""
    assert "deny" == effect(record, *context)
    assert "permit" == effect(record, *context, participants=parties(name="Another Name"))


TEAM = {
    "resourceType": "CareTeam",
    "id": "team",
    "status": "active",
    "subject": SUBJECT,
    "participant": [{"member": {"display": NAME}}, {"member": {"display": "Dr. Lind"}}],
}
NOTED = observation(note=[{"text": f"Sees a counsellor at {NAME.lower()}."}])


@pytest.mark.parametrize("record", [TEAM, NOTED], ids=["a reference", "a text"])
def test_a_name_in_passing_goes(record):
    """Who is named beside others, and what a note says, goes; the record stays."""
    found = asked(searchset(record), context=[ROSA], participants=parties())

    assert ["masked"] == list(verdicts(found).values())
    assert NAME.lower() not in text_of(found).lower()


def test_a_name_in_a_narrative_takes_nothing_more():
    """The narrative goes from every copy: that of this record tells nothing by going (L033)."""
    told = {"status": "additional", "div": f"<div xmlns='http://www.w3.org/1999/xhtml'>Goes to {NAME}.</div>"}
    found = asked(searchset(observation(text=told)), context=[ROSA], participants=parties())

    assert ["disclosed"] == list(verdicts(found).values())
    assert NAME not in text_of(found)


def test_a_name_that_others_bear_says_nothing():
    """A hospital and its unit of one name: the name does not tell which."""
    same = {"id": "same", "type": "provider_general", "hipaa_covered": True, "name": NAME.upper()}

    assert "permit" == effect(at({"display": NAME}), participants=parties(same))


def test_whoever_is_registered_is_who_it_is():
    """A hospital's reference is the hospital's, whatever is written beside it."""
    assert "permit" == effect(at({"reference": "Organization/mercy", "display": NAME}))


def test_the_program_may_read_its_own_name():
    """To the program itself its name tells nothing."""
    assert "permit" == effect(NOTED, recipient="harbor")


def test_a_name_permits_nothing():
    """L092: a consent that names its recipient by display, or whose program is named so, opens nothing more."""
    form = consent(actor=[recipient({"display": NAME})], purpose=[])

    assert "deny" == effect(encounter(at=HARBOR), recipient="valley", consents=[form])
