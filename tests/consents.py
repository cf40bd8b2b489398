"""Builders of Consents for tests: R4 typed, R4 untyped, R5; every part can be replaced, or left out with None."""

import json
from typing import Any

from consent_store.model import ACT_CODE, ACT_REASON, Consent, Dialect, PatientKey, Provision, Status, Unreadable
from consent_store.reading import read_consent

SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
ROLE = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
ACTION = "http://terminology.hl7.org/CodeSystem/consentaction"
POLICY = "http://example.org/policies/privacy"
MRN = "http://example.org/mrn"


def code(system: str, value: str) -> dict[str, str]:
    """A Coding."""
    return {"system": system, "code": value}


def concept(system: str, value: str) -> dict[str, Any]:
    """A CodeableConcept of one coding."""
    return {"coding": [code(system, value)]}


def actor(reference: str, role: str = "IRCP") -> dict[str, Any]:
    """A provision.actor."""
    return {"role": concept(ROLE, role), "reference": {"reference": reference}}


def permit(**more: Any) -> dict[str, Any]:
    """An R4 provision that permits treatment."""
    return {"type": "permit", "purpose": [code(ACT_REASON, "TREAT")], **more}


def deny(**more: Any) -> dict[str, Any]:
    """An R4 provision that denies what carries the label PSY."""
    return {"type": "deny", "securityLabel": [code(ACT_CODE, "PSY")], **more}


def r4(**parts: Any) -> dict[str, Any]:
    """An active R4 Consent of Patient/1 with a typed root that permits; a part of None is left out."""
    whole = {
        "resourceType": "Consent",
        "id": "c1",
        "status": "active",
        "scope": concept(SCOPE, "patient-privacy"),
        "category": [concept("http://loinc.org", "59284-0")],
        "patient": {"reference": "Patient/1"},
        "dateTime": "2024-02-03",
        "organization": [{"reference": "Organization/o1"}],
        "policy": [{"uri": POLICY}],
        "provision": permit(),
        **parts,
    }
    return {name: value for name, value in whole.items() if value is not None}


def r4_untyped(policy_rule: str | None = "OPTIN", **parts: Any) -> dict[str, Any]:
    """An active R4 Consent whose base is in policyRule."""
    rule = None if policy_rule is None else concept(ACT_CODE, policy_rule)
    return r4(**{"policyRule": rule, "policy": None, "provision": None, **parts})


def r5(**parts: Any) -> dict[str, Any]:
    """An active R5 Consent of Patient/1 that denies, but for treatment."""
    whole = {
        "resourceType": "Consent",
        "id": "c1",
        "status": "active",
        "category": [concept("http://loinc.org", "59284-0")],
        "subject": {"reference": "Patient/1"},
        "date": "2024-02-03",
        "controller": [{"reference": "Organization/o1"}],
        "policyBasis": {"url": POLICY},
        "decision": "deny",
        "provision": [{"purpose": [code(ACT_REASON, "TREAT")]}],
        **parts,
    }
    return {name: value for name, value in whole.items() if value is not None}


def value(root: Provision, **parts: Any) -> Consent:
    """A Consent as a value, past every reader: active, R4, of this root alone."""
    whole = {
        "id": "c",
        "version": "1",
        "patient": PatientKey("", "1"),
        "status": Status.ACTIVE,
        "fhir_version": "4.0",
        "dialect": Dialect.TYPED,
        "base": root.type,
        "provisions": (root,),
    }
    return Consent(**{**whole, **parts})


def text(tree: Any) -> bytes:
    """The JSON text of anything."""
    return json.dumps(tree).encode()


def read(tree: Any, **how: Any) -> Consent | Unreadable:
    """What the door gives for it, of the source `ehr`."""
    return read_consent(tree if isinstance(tree, bytes) else text(tree), **{"source": "ehr", **how})


def good(tree: Any, **how: Any) -> Consent:
    """What the door gives, where it must be a Consent."""
    consent = read(tree, **how)
    assert isinstance(consent, Consent), consent.why
    return consent


def bad(tree: Any, **how: Any) -> Unreadable:
    """What the door gives, where it must be Unreadable."""
    consent = read(tree, **how)
    assert isinstance(consent, Unreadable)
    return consent
