"""What a correctional discloser holds: crime never leaves, care and custody do, and of custody no words (L416-419)."""

import json
from typing import Any

import pytest

from tests.policy.jails import plan_gets

SUBJECT = {"reference": "Patient/p1"}
PERSON = {"resourceType": "Patient", "id": "p1", "birthDate": "1980-03-01"}
LOINC, SNOMED, ICD = "http://loinc.org", "http://snomed.info/sct", "http://hl7.org/fhir/sid/icd-10-cm"
TREATMENT = {"reasonably_necessary_post_release_bh_treatment": True}


def told(resource: dict[str, Any], discloser: str = "county_jail", purpose: str = "COC") -> dict[str, Any]:
    """Ask what a plan gets of a record for treatment after release, or for another purpose."""
    return plan_gets(resource, PERSON, discloser, purpose, {"exchange": TREATMENT})


def record(kind: str, **more: object) -> dict[str, Any]:
    """A record about the person."""
    return {"resourceType": kind, "id": "x", "subject": SUBJECT, **more}


def coded(system: str, code: str, display: str = "", text: str = "") -> dict[str, Any]:
    """A concept: a code, with words or without."""
    named = {"display": display} if display else {}
    return {"coding": [{"system": system, "code": code, **named}], **({"text": text} if text else {})}


@pytest.mark.parametrize(
    "crime",
    [
        record("Condition", code={"text": "Possession of heroin, HS 11350(a)"}),
        record("Condition", code={"text": "459 PC"}),
        record("Condition", code={"text": "armed member of the north side"}),
        record("Condition", code=coded(SNOMED, "1", "Criminal conviction (finding)")),
        record("Condition", code=coded(ICD, "F20.9"), note=[{"text": "on <b>pro</b>bation until 2026"}]),
        record("Condition", code={"coding": [*coded(ICD, "Z65.1")["coding"], *coded("urn:jail", "PC211")["coding"]]}),
        record("Observation", status="final", code=coded(LOINC, "1-8", "Criminal history")),
        record("Observation", status="final", code={"text": "scheduled release date"}, valueString="after a felony"),
        record("Observation", status="final", code={"text": "release date and plea"}),
        record("Goal", lifecycleStatus="active", description={"text": "complete parole"}),
        record("AdverseEvent", actuality="actual", event={"text": "fight in the yard"}),
        record(
            "QuestionnaireResponse", status="completed", item=[{"linkId": "1", "text": "Prior arrests", "answer": []}]
        ),
        record(
            "MedicationStatement", status="active", medicationCodeableConcept={"text": "x"}, note=[{"text": "felon"}]
        ),
    ],
    ids=lambda one: json.dumps(one)[:60],
)
def test_crime_does_not_leave_whatever_the_record_is(crime):
    """By its words, by the code of a jail, by the words of a clinical code; or because nothing shows what it is."""
    found = told(crime)

    assert "deny" == found["effect"]
    assert "programs-criminal-history" in {cause["rule"] for one in found["decisions"] for cause in one["because"]}


@pytest.mark.parametrize(
    "care",
    [
        record("Condition", code={"text": "Hypertension"}),
        record("Condition", code={"text": "Cardiac arrest, 2019; stroke"}),
        record("Condition", code={"text": "Major depressive disorder"}),
        record("Condition", code=coded(ICD, "Y04.0XXA", "victim of crime")),
        record("DocumentReference", status="current", type={"text": "Nursing discharge summary"}, content=[]),
        record("CarePlan", status="active", intent="plan", title="Court-ordered counseling"),
        record("Observation", status="final", code=coded(LOINC, "8480-6")),
    ],
    ids=lambda one: json.dumps(one)[:60],
)
def test_care_goes_by_its_code_its_label_or_a_word_of_care(care):
    """A county jail must share what treatment after release needs (seed1 L235-247)."""
    found = told(care)

    assert "permit" == found["effect"]
    assert care == json.loads(found["released"])


CUSTODY = [
    (
        record("Observation", status="final", code=coded(LOINC, "93028-9", "jail?", "felony"), valueString="robbery"),
        {"code": {"coding": [{"system": LOINC, "code": "93028-9"}]}, "status": "final"},
    ),
    (
        record(
            "Condition", code=coded(ICD, "Z65.1", text="incarcerated for armed robbery"), onsetDateTime="2024-01-01"
        ),
        {"code": {"coding": [{"system": ICD, "code": "Z65.1"}]}, "onsetDateTime": "2024-01-01"},
    ),
    (
        record("Condition", code={"text": "Incarcerated"}, note=[{"text": "since the raid"}]),
        {"code": {"text": "Incarcerated"}},
    ),
    (
        record("Condition", code=coded(SNOMED, "224198000", "In prison"), note=[{"text": "since the raid"}]),
        {"code": coded(SNOMED, "224198000", "In prison")},
    ),
    (
        record("Flag", status="active", code={"text": "In custody"}, period={"start": "2024-01-01"}),
        {"status": "active", "code": {"text": "In custody"}, "period": {"start": "2024-01-01"}},
    ),
    (
        record("Observation", status="final", code={"text": "Release date"}, valueDateTime="2025-04-01"),
        {"status": "final", "code": {"text": "Release date"}, "valueDateTime": "2025-04-01"},
    ),
    (
        record("Encounter", status="in-progress", type=[{"text": "PC 211"}], reasonCode=[{"text": "armed robbery"}]),
        {"status": "in-progress"},
    ),
]


@pytest.mark.parametrize(("custody", "left"), CUSTODY, ids=lambda one: json.dumps(one)[:60])
@pytest.mark.parametrize("purpose", ["COC", "CAREMGT"])
def test_of_custody_go_codes_dates_and_place(custody, left, purpose):
    """No words about it, whether the flow of the plans or that of treatment after release permits (seed1 L683-685)."""
    found = told(custody, purpose=purpose)

    assert {"resourceType": custody["resourceType"], "id": "x", "subject": SUBJECT, **left} == json.loads(
        found["released"]
    )


def test_a_stay_keeps_its_place_and_loses_its_number_and_words():
    """An episode of custody: where and when, not the booking number, not what for."""
    stay = {
        "resourceType": "EpisodeOfCare",
        "id": "x",
        "status": "active",
        "patient": SUBJECT,
        "identifier": [{"value": "B-1"}],
        "type": [{"text": "armed robbery, PC 211"}],
        "period": {"start": "2024-06-01", "end": "2025-04-01"},
        "managingOrganization": {"reference": "Organization/source"},
    }

    assert stay.keys() - {"identifier", "type"} == json.loads(told(stay)["released"]).keys()


@pytest.mark.parametrize(
    "number",
    [
        {"type": {"text": "FBI number"}},
        {"type": {"text": "SID"}, "assigner": {"display": "California DOJ"}},
        {"type": {"text": "Booking number"}},
        {"system": "urn:cdcr:inmates"},
        {"type": {"coding": [{"display": "State identification number"}]}},
    ],
    ids=json.dumps,
)
@pytest.mark.parametrize("discloser", ["county_jail", "county_social_services"])
def test_numbers_of_criminal_justice_leave_no_record(number, discloser):
    """Whoever holds them (seed1 L416-419, L689-690)."""
    held = {**PERSON, "identifier": [{**number, "value": "A1234567"}]}

    assert PERSON == json.loads(told(held, discloser)["released"])


def test_a_jail_gives_a_plan_the_member_number_and_no_links():
    """Use case 1-2: who the person is, so that the plan finds its enrollee (seed1 L416-419, L663-664)."""
    number = {"system": "http://hl7.org/fhir/sid/us-mbi", "value": "1EG4"}
    held = {**PERSON, "identifier": [number], "link": [{"other": {"reference": "Patient/p1"}, "type": "seealso"}]}

    assert {**PERSON, "identifier": [number]} == json.loads(told(held, "jail_prison", "CAREMGT")["released"])
