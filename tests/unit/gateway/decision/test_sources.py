"""Where a record comes from: everything that makes it a Part 2 program's, and what only mentions the program."""

import pytest

from tests.questions import (
    ACT_CODE,
    HARBOR,
    HARBOR_NPI,
    MERCY,
    ROSA,
    SUBJECT,
    asked,
    bundle,
    consent,
    encounter,
    hidden,
    observation,
    searchset,
    text_of,
    verdicts,
)

ROLE = {
    "resourceType": "PractitionerRole",
    "id": "role",
    "practitioner": {"reference": "Practitioner/lind"},
    "organization": HARBOR,
}
PART2 = {"security": [{"system": ACT_CODE, "code": "42CFRPart2"}]}


@pytest.mark.parametrize(
    ("record", "context"),
    [
        pytest.param(encounter(at={"reference": "Organization/d"}), {"partOf": HARBOR}, id="a department"),
        pytest.param(
            encounter(at={"reference": "Organization/d"}), {"identifier": [HARBOR_NPI]}, id="by its identifier"
        ),
        pytest.param(
            encounter(location=[{"location": {"reference": "Location/d"}}]),
            {"resourceType": "Location", "managingOrganization": HARBOR},
            id="a place of it",
        ),
        pytest.param(
            encounter(at={"reference": "Organization?identifier=urn:example:npi|harbor"}),
            {},
            id="a conditional reference",
        ),
        pytest.param(encounter(at={"identifier": HARBOR_NPI}), {}, id="an identifier alone"),
        pytest.param(observation(performer=[{"reference": "Practitioner/lind"}]), ROLE, id="someone of it"),
        pytest.param(observation(performer=[{"reference": "PractitionerRole/role"}]), ROLE, id="a role at it"),
        pytest.param(
            observation(),
            {
                "resourceType": "Provenance",
                "target": [{"reference": "Observation/weight"}],
                "recorded": "2026-01-01T00:00:00Z",
                "agent": [{"who": HARBOR}],
            },
            id="a Provenance says so",
        ),
        pytest.param(observation(meta={"source": "Organization/harbor#1"}), {}, id="meta.source says so"),
        pytest.param(
            observation(encounter={"reference": "Encounter/d"}),
            {**encounter("d"), "meta": PART2},
            id="its visit carries the tag",
        ),
    ],
)
def test_a_programs_record_is_known_by_whatever_names_it(record, context):
    """Without a consent nothing of a program leaves, however the record says that it is the program's."""
    beside = {"resourceType": "Organization", "id": "d", **context}
    beside.setdefault("id", "d")

    assert "deny" == asked(searchset(record), context=[ROSA, beside])["effect"]


def test_the_label_of_a_document_is_that_of_all_in_it():
    """A document tagged as Part 2 is a Part 2 program's record, whatever its parts say."""
    assert "deny" == asked(bundle(observation(), type="document", meta=PART2))["effect"]


def test_what_a_program_signed_is_the_programs():
    """A document under a program's signature is withheld without a consent."""
    signed = bundle(observation(), type="document", signature={"who": HARBOR, "data": "c2lnbmVk"})

    assert "deny" == asked(signed)["effect"]


def test_a_doctor_who_also_works_at_a_program_does_not_make_everything_part_2():
    """Where only some of a person's roles are at a program, the source is in doubt and not taken for Part 2."""
    elsewhere = {**ROLE, "id": "other", "organization": MERCY}
    record = observation(performer=[{"reference": "Practitioner/lind"}])

    assert "permit" == asked(searchset(record), context=[ROSA, ROLE, elsewhere])["effect"]


PUSHED = {"tag": [{"system": "urn:consent-gateway:origin", "code": "pushed"}]}
ELSEWHERE = {**ROLE, "id": "other", "organization": MERCY}


def test_a_role_that_was_pushed_takes_no_program_away():
    """Who pushes a role for a program's doctor somewhere else changes nothing of what the doctor wrote (L080)."""
    record = observation(performer=[{"reference": "Practitioner/lind"}])

    assert "deny" == asked(searchset(record), context=[ROSA, ROLE, {**ELSEWHERE, "meta": PUSHED}])["effect"]


def test_a_role_inside_another_record_takes_no_program_away():
    """Nor does a role that stands inside a record: nobody can tell who wrote it there."""
    record = observation(performer=[{"reference": "Practitioner/lind"}])
    bait = {**observation("bait"), "contained": [ELSEWHERE], "performer": [{"reference": "#other"}]}

    found = asked(searchset(record, bait), context=[ROSA, ROLE])
    assert ("Observation/weight", "withheld") == (found["decisions"][0]["resource"], found["decisions"][0]["verdict"])


@pytest.mark.parametrize(
    "record",
    [
        {**ROSA, "generalPractitioner": [{**HARBOR, "display": "SECRET"}]},
        {**ROSA, "contained": [{"resourceType": "Organization", "id": "o", "identifier": [HARBOR_NPI]}]}
        | {"generalPractitioner": [{"reference": "#o", "display": "SECRET"}]},
        encounter(hospitalization={"destination": HARBOR}),
        observation(note=[{"authorReference": {**HARBOR, "display": "SECRET"}, "text": "stable"}]),
        {
            "resourceType": "ServiceRequest",
            "id": "referral",
            "status": "active",
            "intent": "order",
            "subject": SUBJECT,
            "requester": MERCY,
            "performer": [HARBOR],
        },
        {
            "resourceType": "Appointment",
            "id": "appointment",
            "status": "booked",
            "participant": [
                {"actor": SUBJECT, "status": "accepted"},
                {"actor": HARBOR, "status": "accepted", "type": [{"text": "SECRET"}]},
            ],
        },
    ],
    ids=lambda record: record["resourceType"],
)
def test_a_program_named_in_passing_is_cut(record):
    """A record that is not the program's loses every element that names the program, and says so as masked."""
    found = asked(searchset(record))

    assert "permit_redacted" == found["effect"]
    assert "harbor" not in text_of(found)
    assert "SECRET" not in text_of(found)
    assert "#o" not in text_of(found)


def test_a_program_named_in_passing_stays_for_the_patient():
    """The patient sees who treats her."""
    found = asked(searchset({**ROSA, "generalPractitioner": [HARBOR]}), recipient="rosa", purpose="PATRQT")

    assert "permit" == found["effect"]
    assert "harbor" in text_of(found)


def test_a_program_named_in_passing_stays_where_nothing_speaks_against_it():
    """Under a profile without Part 2 the name is a name like any other."""
    found = asked(searchset({**ROSA, "generalPractitioner": [HARBOR]}), profile="us-hipaa")

    assert "permit" == found["effect"]
    assert "harbor" in text_of(found)


def test_in_base_a_consent_decides_on_the_name_too():
    """Where consents alone decide, one that refuses Part 2 takes the program's name from a record that goes."""
    refusing = consent(provision=[{"type": "deny", "securityLabel": PART2["security"]}])
    found = asked(searchset({**ROSA, "generalPractitioner": [HARBOR]}), profile="base", consents=[refusing])

    assert {"Patient/rosa": "masked"} == verdicts(found)
    assert "harbor" not in text_of(found)


def test_a_page_label_says_no_more_than_the_highest_of_what_is_on_it():
    """A searchset's tag is made of its entries' and makes none of them a program's."""
    found = asked(searchset(observation(), hidden(), meta=PART2))

    assert {"Observation/weight": "disclosed", "Encounter/hidden": "withheld"} == verdicts(found)
    assert "42CFRPart2" not in text_of(found)
