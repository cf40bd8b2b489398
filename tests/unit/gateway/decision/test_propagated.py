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
