"""The scope of a consent accompanies what was disclosed under it (42 CFR 2.32(b))."""

import json
from importlib.resources import files

import pytest
from fhir.resources.R4B import get_fhir_model_class

from gateway import bootstrap
from gateway.facts.answer import answer

ARTIFACT = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-sec-label-related-artifact"
STORY = files("gateway.demo") / "story"
VISIT = {
    "resourceType": "Encounter",
    "id": "e",
    "status": "finished",
    "class": {"code": "AMB"},
    "subject": {"reference": "Patient/rosa"},
    "serviceProvider": {"reference": "Organization/oasis"},
}


@pytest.fixture(scope="module")
def released():
    """Asks, for one whom a consent of the story names, for one record; gives what is released."""

    def ask(name, resource, switches=None):
        shelf = bootstrap.read_shelf(switches=switches)
        consent = json.loads((STORY / "consents" / f"{name}.json").read_bytes())
        (custodian,) = [one["reference"] for one in consent["organization"]]
        question = {
            "v": 1,
            "at": "2026-12-01T09:00:00-05:00",
            "profile": "us-part2",
            "participants": [
                {
                    "id": "here",
                    "type": "provider_part2",
                    "part2_program": True,
                    "hipaa_covered": True,
                    "references": [custodian],
                },
                {"id": "there", "type": "mco", "hipaa_covered": True, "references": ["Organization/sunrise"]},
            ],
            "discloser": "here",
            "recipient": "there",
            "purpose": "HPAYMT",
            "consents": [consent],
            "context": [{"resourceType": "Patient", "id": "rosa", "birthDate": "1980-01-01"}],
            "resource": resource | {"serviceProvider": {"reference": custodian}},
        }
        found = answer(json.dumps(question).encode(), shelf)
        return json.loads(bytes(found["released"])) if found["released"] else None

    return ask


def test_the_scope_stands_at_the_part_2_label(released):
    """As DS4P related artifact, a justification in words: when, for what, until when; no name and no id."""
    record = released("rosa-part2", VISIT)
    (label,) = [one for one in record["meta"]["security"] if one["code"] == "42CFRPart2"]
    (artifact,) = [one["valueRelatedArtifact"] for one in label["extension"] if one["url"] == ARTIFACT]
    assert "justification" == artifact["type"]
    assert artifact["display"].startswith("Disclosed with the patient's written consent of ")
    assert "HPAYMT" in artifact["display"]
    assert " until " in artifact["display"]
    assert "Consent/" not in json.dumps(record)


def test_what_carries_it_is_valid_r4(released):
    """Notice, labels and scope are all in meta, in forms R4 has."""
    record = released("rosa-part2", VISIT)
    assert get_fhir_model_class("Encounter").model_validate(record)
    assert "42 CFR part 2 prohibits" in json.dumps(record["meta"]["extension"])


def test_the_switch_says_whether_redisclosure_is_barred(released):
    """On, the record carries NORDSCLCD; off (42 CFR 2.33(b)(1)) not, and label, notice and scope stay."""
    barred = released("rosa-part2", VISIT)["meta"]
    free = released("rosa-part2", VISIT, {"us-part2": {"redisclosure_needs_consent": False}})["meta"]
    assert ["R", "42CFRPart2", "NORDSCLCD"] == [one["code"] for one in barred["security"]]
    assert ["R", "42CFRPart2"] == [one["code"] for one in free["security"]]
    assert barred["extension"] == free["extension"]
    assert barred["security"][1] == free["security"][1]
