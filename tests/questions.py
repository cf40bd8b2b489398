"""Builders of decide questions: a hospital, a Part 2 program, a plan, what is asked about Rosa, and the answers."""

import copy
import json
from typing import Any

import msgspec

from gateway import bootstrap
from gateway.facts.answer import answer

SHELF = bootstrap.read_shelf()
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CONSENT_SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
HARBOR_NPI = {"system": "urn:example:npi", "value": "harbor"}
PARTICIPANTS: tuple[dict[str, Any], ...] = (
    {"id": "mercy", "type": "provider_general", "hipaa_covered": True, "references": ["Organization/mercy"]},
    {"id": "valley", "type": "provider_general", "hipaa_covered": True, "references": ["Organization/valley"]},
    {
        "id": "harbor",
        "type": "provider_part2",
        "hipaa_covered": True,
        "part2_program": True,
        "references": ["Organization/harbor"],
        "identifiers": [HARBOR_NPI],
    },
    {"id": "plan", "type": "mco", "hipaa_covered": True, "references": ["Organization/plan"]},
    {"id": "rosa", "type": "patient", "references": ["Patient/rosa"]},
)
ROSA = {"resourceType": "Patient", "id": "rosa", "birthDate": "1980-03-01"}
SUBJECT = {"reference": "Patient/rosa"}
HARBOR = {"reference": "Organization/harbor"}
MERCY = {"reference": "Organization/mercy"}


def question(resource: Any, **changes: Any) -> dict[str, Any]:
    """The hospital discloses to another for treatment under 42 CFR Part 2, without consents."""
    return {
        "v": 1,
        "at": "2026-11-22T12:00:00Z",
        "profile": "us-part2",
        "participants": copy.deepcopy(list(PARTICIPANTS)),
        "discloser": "mercy",
        "recipient": "valley",
        "purpose": "TREAT",
        "context": [ROSA],
        "resource": resource,
        **changes,
    }


def asked(resource: Any, **changes: Any) -> dict[str, Any]:
    """The answer to such a question, as JSON."""
    return answered(question(resource, **changes))


def answered(asking: dict[str, Any]) -> dict[str, Any]:
    """The answer to a question, as JSON."""
    found: dict[str, Any] = json.loads(msgspec.json.encode(answer(json.dumps(asking).encode(), SHELF)))
    return found


def searchset(*resources: dict[str, Any], included: tuple[str, ...] = (), **elements: Any) -> dict[str, Any]:
    """A page of a search; `included` are the ids of what came along."""
    entries = [
        {"resource": one, "search": {"mode": "include" if one.get("id") in included else "match"}} for one in resources
    ]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries, **elements}


def bundle(*resources: dict[str, Any], type: str = "collection", **elements: Any) -> dict[str, Any]:
    """A Bundle that is no search answer."""
    return {"resourceType": "Bundle", "type": type, "entry": [{"resource": one} for one in resources], **elements}


def observation(id: str = "weight", **elements: Any) -> dict[str, Any]:
    """A weight of Rosa's."""
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "subject": SUBJECT,
        "code": {"text": "weight"},
        **elements,
    }


def encounter(id: str = "visit", at: dict[str, Any] = MERCY, **elements: Any) -> dict[str, Any]:
    """A visit of Rosa's, at the hospital unless told."""
    return {
        "resourceType": "Encounter",
        "id": id,
        "status": "finished",
        "class": {"system": ACT_CODE, "code": "AMB"},
        "subject": SUBJECT,
        "serviceProvider": at,
        **elements,
    }


def hidden(**elements: Any) -> dict[str, Any]:
    """A visit at the Part 2 program, which no consent covers."""
    return encounter("hidden", HARBOR, **elements)


def condition(id: str, code: str = "E11.9", **elements: Any) -> dict[str, Any]:
    """A diagnosis of Rosa's, told by the hospital."""
    coded = {"coding": [{"system": ICD, "code": code}]}
    return {"resourceType": "Condition", "id": id, "subject": SUBJECT, "recorder": MERCY, "code": coded, **elements}


def claim(**elements: Any) -> dict[str, Any]:
    """A claim of the hospital's for what it did for Rosa, with all that R4 requires."""
    return {
        "resourceType": "Claim",
        "id": "claim",
        "status": "active",
        "type": {"text": "institutional"},
        "use": "claim",
        "patient": SUBJECT,
        "created": "2026-01-05",
        "provider": MERCY,
        "priority": {"text": "normal"},
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "Sunrise"}}],
        **elements,
    }


def composition(**elements: Any) -> dict[str, Any]:
    """The head of a summary that the hospital wrote."""
    return {
        "resourceType": "Composition",
        "id": "summary",
        "status": "final",
        "type": {"text": "summary"},
        "subject": SUBJECT,
        "date": "2026-01-01",
        "author": [MERCY],
        "title": "Summary",
        **elements,
    }


def consent(effect: str = "permit", patient: dict[str, Any] = SUBJECT, **provision: Any) -> dict[str, Any]:
    """A privacy consent of Rosa's, or of whoever is told, given by that patient."""
    return {
        "resourceType": "Consent",
        "id": "consent",
        "status": "active",
        "scope": {"coding": [{"system": CONSENT_SCOPE, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": patient,
        "performer": [patient],
        "dateTime": "2026-01-01",
        "policy": [{"uri": "https://example.org/policy"}],
        "provision": {"type": effect, **provision},
    }


def recipient(reference: dict[str, Any]) -> dict[str, Any]:
    """A recipient in a provision."""
    return {"role": {"coding": [{"system": PARTICIPATION, "code": "IRCP"}]}, "reference": reference}


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    """The verdicts of an answer by resource."""
    return {decision["resource"]: decision["verdict"] for decision in found["decisions"]}


def rules(found: dict[str, Any], resource: str) -> set[str]:
    """The rules that decided on a resource."""
    return {c["rule"] for d in found["decisions"] if d["resource"] == resource for c in d["because"]}


def released(found: dict[str, Any], id: str) -> dict[str, Any]:
    """A released entry's resource by id."""
    return next(e["resource"] for e in found["released"]["entry"] if e.get("resource", {}).get("id") == id)


def text_of(found: dict[str, Any]) -> str:
    """All that is released, as text."""
    return "" if found["released"] is None else json.dumps(found["released"])
