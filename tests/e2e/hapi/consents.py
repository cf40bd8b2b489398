"""A patient's consent, as the Consent API takes it."""

from typing import Any

ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
SCOPE = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}


def permission(patient: str, custodian: str, purpose: str, **provision: Any) -> dict[str, Any]:
    """The patient lets an organisation disclose for a purpose; `provision` says more of what."""
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [SCOPE]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": "2026-02-01T09:00:00Z",
        "performer": [{"reference": f"Patient/{patient}"}],
        "organization": [{"reference": custodian}],
        "sourceAttachment": {"contentType": "text/plain", "data": "U2lnbmVk"},
        "policy": [{"uri": "http://example.org/policy"}],
        "provision": {
            "type": "permit",
            "period": {"start": "2026-02-01", "end": "2036-02-01"},
            "purpose": [{"system": ACT_REASON, "code": purpose}],
            **provision,
        },
    }
