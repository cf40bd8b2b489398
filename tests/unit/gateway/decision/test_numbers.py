"""What names a Part 2 program in passing: the client numbers it gives, and references to it (labels.md section 10)."""

import json

import pytest

from gateway import bootstrap
from gateway.facts.answer import answer

CLIENTS = "https://oasis.example/clients"
MRN = {"system": "https://mercy.example/mrn", "value": "12"}
OASIS = {"reference": "Organization/oasis"}
PATIENT = {"resourceType": "Patient", "id": "p", "birthDate": "1980-01-01"}
CONSENT = {
    "resourceType": "Consent",
    "id": "c",
    "status": "active",
    "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
    "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IDSCL"}]}],
    "patient": {"reference": "Patient/p"},
    "performer": [{"reference": "Patient/p"}],
    "dateTime": "2026-01-01",
    "organization": [{"reference": "Organization/mercy"}],
    "provision": {
        "type": "permit",
        "actor": [
            {
                "role": {
                    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]
                },
                "reference": {"reference": "Organization/plan"},
            }
        ],
    },
}


@pytest.fixture(scope="module")
def released():
    """Asks for one record on behalf of a plan; gives what is released, and the decisions."""
    shelf = bootstrap.read_shelf()

    def ask(resource, *, profile="us-part2", recipient="plan", context=(PATIENT,)):
        question = {
            "v": 1,
            "at": "2026-11-01T09:00:00-05:00",
            "profile": profile,
            "participants": [
                {
                    "id": "mercy",
                    "type": "provider_general",
                    "hipaa_covered": True,
                    "references": ["Organization/mercy"],
                },
                {"id": "plan", "type": "mco", "hipaa_covered": True, "references": ["Organization/plan"]},
                {"id": "app", "type": "patient", "references": ["Patient/p"]},
                {
                    "id": "oasis",
                    "type": "provider_part2",
                    "part2_program": True,
                    "references": ["Organization/oasis"],
                    "identifier_systems": [CLIENTS],
                },
            ],
            "discloser": "mercy",
            "recipient": recipient,
            "purpose": "PATRQT" if recipient == "app" else "TREAT",
            "consents": [CONSENT],
            "context": list(context),
            "resource": resource,
        }
        found = answer(json.dumps(question).encode(), shelf)
        return json.loads(bytes(found["released"])) if found["released"] else None, found["decisions"]

    return ask


@pytest.mark.parametrize(
    "number",
    [
        {"system": CLIENTS, "value": "C-7"},
        {"system": "urn:x", "value": "C-7", "assigner": OASIS},
        {"value": "C-7", "assigner": OASIS},
    ],
)
def test_a_programs_client_number_goes_whole(released, number):
    """By its system or by its assigner: not the assigner alone goes, the number does, and the patient stays."""
    patient, decisions = released(PATIENT | {"identifier": [MRN, number]})
    assert [MRN] == patient["identifier"]
    assert "masked" == decisions[0]["verdict"]


def test_the_patient_sees_its_own_numbers(released):
    """Nothing is cut for the patient."""
    numbers = [MRN, {"system": CLIENTS, "value": "C-7"}]
    assert numbers == released(PATIENT | {"identifier": numbers}, recipient="app")[0]["identifier"]


def test_a_number_in_a_reference_goes_too(released):
    """A logical reference by client number beside a literal one; an account number of the program."""
    visit = {
        "resourceType": "Encounter",
        "id": "e",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/p", "identifier": {"system": CLIENTS, "value": "C-7"}},
        "serviceProvider": {"reference": "Organization/mercy"},
        "identifier": [{"system": CLIENTS, "value": "visit-9"}],
    }
    encounter, _ = released(visit)
    assert {"reference": "Patient/p"} == encounter["subject"]
    assert "identifier" not in encounter
    assert "C-7" not in json.dumps(encounter)


@pytest.mark.parametrize(
    "mention",
    [
        {"generalPractitioner": [OASIS]},
        {"contact": [{"organization": OASIS, "name": {"text": "Counsellor"}}]},
        {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/x", "valueReference": OASIS}]},
    ],
)
def test_a_mention_of_a_program_goes(released, mention):
    """That a program is somebody's general practitioner or contact tells that they are its patient."""
    patient, _ = released(PATIENT | mention)
    assert "oasis" not in json.dumps(patient)
    assert "1980-01-01" == patient["birthDate"]
