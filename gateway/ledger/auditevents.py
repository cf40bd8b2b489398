"""Completed attempts → FHIR AuditEvents of the disclosure, one for each patient. Pure projection.

Rules of this file
1. The form is IHE BALP's PrivacyDisclosure.Source (audit.md section 2): the gateway exports, the recipient receives.
2. One event speaks of one patient; what was disclosed about nobody, or voided, has none.
3. An aborted or unknown sending counts as disclosed and is told as outcome 4.
4. An event tells who is a patient where: it is labelled R, and 42CFRPart2 where what left carried that label.
"""

from collections.abc import Mapping
from typing import Any, Final

from consent_store.model import CONFIDENTIALITY
from gateway.directory.model import Participant
from gateway.ledger.model import Attempt, Completion, Disclosed, Intent, Outcome

_PROFILE: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PrivacyDisclosure.Source"
_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_LIFECYCLE: Final = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
_INTERACTION: Final = "http://hl7.org/fhir/restful-interaction"
_ENTITY_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_BALP_ENTITY: Final = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
_PART2_LABEL: Final = "label_42CFRPart2"
# Codes of restful-interaction (FHIR R4) that an exchange here can be.
_INTERACTIONS: Final = frozenset(
    {"read", "vread", "history", "search", "search-type", "search-system", "create", "update", "patch", "transaction"}
    | {"batch", "operation"}
)
_SAYS: Final = {
    Outcome.ABORTED: "the answer broke off: some of it may have been received",
    Outcome.UNKNOWN: "it is not known whether the answer was received: it counts as disclosed",
}


def audit_events(attempt: Attempt, participants: Mapping[str, Participant]) -> tuple[dict[str, Any], ...]:
    """Give the AuditEvents (FHIR R4 JSON) of a completed attempt; `participants` gives parties identifiers."""
    intent, completion = attempt.intent, attempt.completion
    if completion is None or completion.outcome is Outcome.VOID:
        return ()
    return tuple(_event(intent, completion, disclosed, participants) for disclosed in intent.account.disclosed)


def _event(
    intent: Intent, completion: Completion, disclosed: Disclosed, participants: Mapping[str, Participant]
) -> dict[str, Any]:
    subtype = [{"system": _LIFECYCLE, "code": "disclose"}]
    if intent.interaction in _INTERACTIONS:
        subtype.append({"system": _INTERACTION, "code": intent.interaction})
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "meta": {"profile": [_PROFILE], "security": _labels(intent)},
        "type": {"system": _DCM, "code": "110106", "display": "Export"},
        "subtype": subtype,
        "action": "R",
        "recorded": completion.at.isoformat(),
        "outcome": "0" if completion.outcome is Outcome.SENT else "4",
        "purposeOfEvent": [{"coding": [_coding(intent.purpose.system, intent.purpose.code)]}],
        "agent": _agents(intent, participants),
        "source": {
            "observer": _gateway(),
            "type": [{"system": "http://terminology.hl7.org/CodeSystem/security-source-type", "code": "4"}],
        },
        "entity": _entities(intent, disclosed),
    }
    if completion.outcome in _SAYS:
        event["outcomeDesc"] = _SAYS[completion.outcome]
    return event


def _labels(intent: Intent) -> list[dict[str, str]]:
    labels = [{"system": CONFIDENTIALITY, "code": "R"}]
    if _PART2_LABEL in intent.account.obligations:
        labels.append({"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "42CFRPart2"})
    return labels


def _agents(intent: Intent, participants: Mapping[str, Participant]) -> list[dict[str, Any]]:
    recipient = {
        "type": _concept(_DCM, "110152", "Destination Role ID"),
        "who": _who(intent.recipient, participants),
        "requestor": intent.direction == "read",
    }
    if intent.client_address:
        recipient["network"] = {"address": intent.client_address, "type": "2"}
    source = {
        "type": _concept(_DCM, "110153", "Source Role ID"),
        "who": _gateway(),
        "requestor": intent.direction != "read",
        "network": {"address": intent.public_url or f"{intent.tenant}/{intent.route}", "type": "5"},
    }
    custodian = {
        "type": _concept("http://snomed.info/sct", "159541003", "Record keeping/library clerk"),
        "who": _who(intent.discloser, participants),
        "requestor": False,
    }
    return [source, recipient, custodian]


def _entities(intent: Intent, disclosed: Disclosed) -> list[dict[str, Any]]:
    patient = {
        "type": {"system": _ENTITY_TYPE, "code": "1", "display": "Person"},
        "role": {"system": _ROLE, "code": "1", "display": "Patient"},
        "what": {"reference": f"Patient/{disclosed.patient.id}"},
    }
    request = {
        "type": {"system": _BALP_ENTITY, "code": "XrequestId"},
        "what": {"identifier": {"value": intent.request_id}},
    }
    records = [
        {
            "type": {"system": _ENTITY_TYPE, "code": "2", "display": "System Object"},
            "role": {"system": _ROLE, "code": "4", "display": "Domain Resource"},
            "what": _what(resource),
        }
        for resource in disclosed.resources
    ]
    consents = [
        {
            "type": {"system": "http://hl7.org/fhir/resource-types", "code": "Consent"},
            "what": {"reference": consent},
        }
        for consent in disclosed.consents
    ]
    return [patient, request, *records, *consents]


def _what(resource: str) -> dict[str, Any]:
    """Give the reference of a record; a pushed one may have no id yet and is told by its type alone."""
    return {"reference": resource} if "/" in resource else {"type": resource, "display": resource}


def _who(participant_id: str, participants: Mapping[str, Participant]) -> dict[str, Any]:
    """Give a party by a business identifier where it has one (the smallest, so that events agree), else by our own."""
    party = participants.get(participant_id)
    known = sorted((one.system or "", one.value) for one in party.identifiers) if party else []
    system, value = known[0] if known else ("urn:consent-gateway:participant", participant_id)
    who: dict[str, Any] = {"identifier": {"system": system, "value": value}}
    if party and party.name:
        who["display"] = party.name
    return who


def _gateway() -> dict[str, Any]:
    return {"display": "Consent Gateway"}


def _concept(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}]}


def _coding(system: str | None, code: str | None) -> dict[str, str]:
    return {name: value for name, value in (("system", system), ("code", code)) if value}
