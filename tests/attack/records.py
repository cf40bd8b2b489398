"""Records for the attacks: Rosa's may be told to the plan, the quokka's may not (they have the mark in their text)."""

import json
from typing import Any

from tests.attack.scene import MARK

ROSA = "Patient/rosa"
NOBODY_S_BUSINESS = f"Patient/{MARK}-p"
MRN = "https://mercy-general.example/mrn"
LOINC = {"system": "http://loinc.org", "code": "8867-4"}
ROLE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}


def observation(id: str = "plain", patient: str | None = ROSA, **more: Any) -> dict[str, Any]:
    """A heart rate, taken at the hospital."""
    tree = {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": {"coding": [LOINC]},
        "performer": [{"reference": "Organization/mercy"}],
    }
    return tree | ({"subject": {"reference": patient}} if patient else {}) | more


def quokka() -> dict[str, Any]:
    """The patient who said no."""
    return {
        "resourceType": "Patient",
        "id": f"{MARK}-p",
        "identifier": [{"system": MRN, "value": f"{MARK}-mrn"}],
        "name": [{"family": MARK}],
        "birthDate": "1980-01-01",
    }


def refusal() -> dict[str, Any]:
    """The consent by which the quokka says no to the plan."""
    scope = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [scope]},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IDSCL"}]}],
        "patient": {"reference": NOBODY_S_BUSINESS, "identifier": {"system": MRN, "value": f"{MARK}-mrn"}},
        "dateTime": "2026-09-08T09:05:00-04:00",
        "performer": [{"reference": NOBODY_S_BUSINESS}],
        "organization": [{"reference": "Organization/mercy"}],
        "sourceAttachment": {"title": MARK},
        "policy": [{"uri": "https://www.ecfr.gov/current/title-45/subtitle-A/subchapter-C/part-164/subpart-E"}],
        "provision": {"type": "deny", "actor": [{"role": ROLE, "reference": {"reference": "Organization/sunrise"}}]},
    }


def text_of(tree: dict[str, Any], **raw: bytes) -> bytes:
    """A record's text; the values of `raw` stand in it exactly as they are."""
    said = [json.dumps(name).encode() + b":" + json.dumps(value).encode() for name, value in tree.items()]
    said += [json.dumps(name).encode() + b":" + value for name, value in raw.items()]
    return b"{" + b",".join(said) + b"}"


def transaction(*resources: bytes | dict[str, Any]) -> bytes:
    """A Bundle that creates these, each as its exact text."""
    texts = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in resources]
    made = [b'{"request":{"method":"POST","url":"Observation"},"resource":' + text + b"}" for text in texts]
    return b'{"resourceType":"Bundle","type":"transaction","entry":[' + b",".join(made) + b"]}"
