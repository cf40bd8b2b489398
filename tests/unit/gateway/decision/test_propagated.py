"""What a record carries of its visit decides, though nothing in the record itself tells (docs/labels.md)."""

import json
from importlib.resources import files

import pytest

from gateway import bootstrap
from gateway.facts.answer import answer

STORY = files("gateway.demo") / "story"
AT_VISIT = {"dana-cd4": "dana-mercy-clinic", "dana-partner-problem": "dana-mercy-emergency"}


@pytest.fixture(scope="module")
def asked():
    """Asks for Dana's records on behalf of the housing organisation; gives verdicts by Type/id."""
    shelf = bootstrap.read_shelf()
    consent = json.loads((STORY / "consents" / "dana-housing.json").read_bytes())
    organisations = entries("organizations.json")

    def ask(resource, context):
        question = {
            "v": 1,
            "at": "2026-11-01T09:00:00-05:00",
            "profile": "us-part2",
            "participants": [
                {
                    "id": "mercy",
                    "type": "provider_general",
                    "hipaa_covered": True,
                    "references": ["Organization/mercy"],
                },
                {"id": "cbo", "type": "cbo", "references": consent_actors(consent)},
            ],
            "discloser": "mercy",
            "recipient": "cbo",
            "purpose": "CAREMGT",
            "consents": [consent],
            "context": [*context, *organisations],
            "resource": resource,
        }
        found = answer(json.dumps(question).encode(), shelf)
        return {d["resource"]: (d["verdict"], d["labels_in"]) for d in found["decisions"]}

    return ask


def entries(name):
    """The resources of a Bundle of the story."""
    return [entry["resource"] for entry in json.loads((STORY / name).read_bytes())["entry"]]


def consent_actors(consent):
    """The references of those the consent names."""
    return [actor["reference"]["reference"] for actor in consent["provision"]["actor"]]


@pytest.fixture(scope="module")
def records():
    """Dana's records by id, without any label that came with them but the visits' own."""
    found = {one["id"]: one for one in entries("dana.json")}
    patient = next(one for one in found.values() if one["resourceType"] == "Patient")
    return {"patient": patient} | {
        identity: one if one["resourceType"] == "Encounter" else {k: v for k, v in one.items() if k != "meta"}
        for identity, one in found.items()
    }


@pytest.mark.parametrize(("record", "visit"), AT_VISIT.items())
def test_a_record_of_a_sensitive_visit_goes_with_the_visit(asked, records, record, visit):
    """A CD4 count and a plain problem, unlabelled: their visits say HIV and violence, which the consent leaves out."""
    found = asked(records[record], [records[visit], records["patient"]])
    ((verdict, labels),) = found.values()
    assert "withheld" == verdict
    assert {"HIV", "SDV"} & {label["code"] for label in labels}


def test_a_record_of_a_general_visit_goes_through(asked, records):
    """The weight taken at the yearly physical: nothing is carried, and the consent permits it."""
    found = asked(records["dana-weight"], [records["dana-mercy-physical"], records["patient"]])
    assert ["disclosed"] == [verdict for verdict, _ in found.values()]


HIV = {"reference": "Condition/hiv", "display": "HIV disease"}
SUBJECT = {"subject": {"reference": "Patient/dana"}}
PLAIN = {"meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}]}}


@pytest.mark.parametrize(
    "record",
    [
        {
            "resourceType": "Encounter",
            "status": "finished",
            "class": {"code": "AMB"},
            "diagnosis": [{"condition": HIV}],
        },
        {"resourceType": "CarePlan", "status": "active", "intent": "plan", "addresses": [HIV]},
        {"resourceType": "ServiceRequest", "status": "active", "intent": "order", "reasonReference": [HIV]},
        {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "Walk"}, "addresses": [HIV]},
    ],
)
def test_the_words_beside_a_reference_go_with_it(asked, records, record):
    """L032: the record stays, freed of the reference; its display does not make the record what it points at."""
    found = asked(record | PLAIN | SUBJECT | {"id": "x"}, [records["dana-hiv"], records["patient"]])
    assert ["masked"] == [verdict for verdict, _ in found.values()]


def test_a_record_that_says_it_itself_stays_back(asked, records):
    """A note that says what the reference says: cutting the reference would not help."""
    record = {"resourceType": "CarePlan", "status": "active", "intent": "plan", "addresses": [HIV], "title": "HIV care"}
    found = asked(record | PLAIN | SUBJECT | {"id": "x"}, [records["dana-hiv"], records["patient"]])
    assert ["withheld"] == [verdict for verdict, _ in found.values()]


@pytest.mark.parametrize("name", ["subject", "performer", "encounter"])
def test_words_about_the_record_itself_are_never_cut_away(asked, records, name):
    """The patient, the clinic or the visit described as being of HIV care: the record is."""
    named = {
        "subject": {"reference": "Patient/dana", "display": "HIV positive"},
        "performer": [{"reference": "Organization/mercy", "display": "HIV clinic"}],
        "encounter": {"display": "HIV care"},
    }
    record = {"resourceType": "Observation", "id": "x", "status": "final", "code": {"text": "Pulse"}}
    found = asked(record | PLAIN | SUBJECT | {name: named[name]}, [records["patient"]])
    assert ["withheld"] == [verdict for verdict, _ in found.values()]


def test_a_reference_that_has_to_stay_takes_the_record_with_it(asked, records):
    """A required reference to a drug that is a resource of its own: the record means the drug."""
    drug = {"resourceType": "Medication", "id": "m", "code": {"text": "dolutegravir"}}
    record = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationReference": {"reference": "Medication/m", "display": "dolutegravir"},
    }
    found = asked(record | PLAIN | SUBJECT | {"id": "x"}, [drug, records["patient"]])
    assert ["withheld"] == [verdict for verdict, _ in found.values()]


INLINE = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
SDV_HERE = {
    "url": INLINE,
    "valueCoding": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "SDV"},
}


def test_an_element_that_the_source_labelled_goes_alone(asked, records):
    """DS4P inline labels (labels.md section 6): a shelter's address and a phone number, and the patient stays."""
    patient = records["patient"] | PLAIN
    patient |= {
        "address": [{"city": "Elsewhere", "extension": [SDV_HERE]}, {"city": "Home"}],
        "birthDate": "1990-01-01",
        "_birthDate": {"extension": [SDV_HERE]},
    }
    ((verdict, _),) = asked(patient, []).values()
    assert "masked" == verdict


def test_a_required_element_that_the_source_labelled_takes_the_record(asked, records):
    """Observation.code may not go alone."""
    record = {
        "resourceType": "Observation",
        "id": "x",
        "status": "final",
        "code": {"text": "y", "extension": [SDV_HERE]},
    }
    found = asked(record | PLAIN | SUBJECT, [records["patient"]])
    assert ["withheld"] == [verdict for verdict, _ in found.values()]


def test_an_inline_label_that_cannot_be_read_withholds_the_record(asked, records):
    """What is meant by it cannot be told."""
    record = {
        "resourceType": "Observation",
        "id": "x",
        "status": "final",
        "code": {"text": "y"},
        "note": [{"text": "z", "extension": [{"url": INLINE, "valueCoding": {}}]}],
    }
    found = asked(record | PLAIN | SUBJECT, [records["patient"]])
    assert ["withheld"] == [verdict for verdict, _ in found.values()]
