"""Who wrote a record, and which organisation made or holds it: the References that say so, by type.

Rules of this file
1. `authors` serve `provision.data` with meaning `authoredby` (consent-semantics.md section 4); `source_references`
   serve labels by source: the records of a Part 2 program are Part 2 (42 CFR 2.11, 2.12).
2. An insurer or recipient is not a source. A type without a list of its own gets the generic one, which is wide.
3. What they lead to is not looked up here; a Reference by identifier or display alone is given as it stands.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.fhir.pointer import element_path, index
from gateway.fhir.view import ResourceView
from gateway.fhir.walk import ReferenceAt

_AUTHOR: Final = frozenset(
    (
        "assertedBy",
        "asserter",
        "assessor",
        "author",
        "enterer",
        "expressedBy",
        "informationSource",
        "interpreter",
        "operator",
        "orderer",
        "performer",
        "performer.actor",
        "prescriber",
        "provider",
        "recorder",
        "reporter",
        "requester",
        "resultsInterpreter",
        "sender",
        "source",
    )
)
VISITS: Final = frozenset(("encounter", "context", "episodeOfCare"))
"""The elements by which a record names the visit or episode it belongs to, at any depth."""
SUBJECTS: Final = frozenset(("beneficiary", "patient", "subject"))
"""The elements by which a record names whom it is about."""

# In a request the performer is who is asked to act, not who wrote it.
_REQUESTS: Final = frozenset(
    ("CommunicationRequest", "DeviceRequest", "MedicationRequest", "ServiceRequest", "SupplyRequest", "Task")
)
_PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_PROVENANCE_ROLE: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_AUTHOR_ROLES: Final = frozenset(((_PARTICIPATION, "AUT"), (_PROVENANCE_ROLE, "author")))
# Backbones that name somebody with a role: where the role is author's, the somebody is an author.
_ROLES: Final[Mapping[str, tuple[str, str]]] = {"participant": ("individual", "type"), "agent": ("who", "type")}

_SOURCES: Final[Mapping[str, tuple[str, ...]]] = {
    "AllergyIntolerance": ("recorder", "asserter"),
    "AuditEvent": ("agent.who", "source.observer"),
    "CarePlan": ("author", "contributor"),
    "CareTeam": ("managingOrganization",),
    "ChargeItem": ("performingOrganization", "performer.actor", "requestingOrganization", "enterer"),
    "Claim": ("provider", "facility", "enterer", "careTeam.provider", "item.locationReference"),
    "ClaimResponse": ("requestor", "addItem.provider", "addItem.locationReference"),
    "Composition": ("custodian", "author"),
    "Condition": ("recorder", "asserter"),
    "Coverage": (),
    "DiagnosticReport": ("performer", "resultsInterpreter"),
    "DocumentReference": ("custodian", "author", "authenticator"),
    "Encounter": ("serviceProvider", "location.location", "participant.individual"),
    "EpisodeOfCare": ("managingOrganization", "careManager"),
    "ExplanationOfBenefit": (
        "provider",
        "facility",
        "enterer",
        "careTeam.provider",
        "item.locationReference",
        "addItem.provider",
        "addItem.locationReference",
    ),
    "ImagingStudy": ("location", "interpreter", "series.performer.actor"),
    "Immunization": ("performer.actor", "location"),
    "Location": ("managingOrganization", "partOf"),
    "MedicationAdministration": ("performer.actor",),
    "MedicationDispense": ("performer.actor", "location"),
    "MedicationRequest": ("requester", "recorder", "reportedReference"),
    "MedicationStatement": ("informationSource",),
    "Observation": ("performer",),
    "Organization": ("partOf",),
    "Patient": ("managingOrganization",),
    "PractitionerRole": ("organization", "location"),
    "Procedure": ("performer.actor", "performer.onBehalfOf", "location", "recorder", "asserter"),
    "Provenance": ("agent.who", "agent.onBehalfOf", "location"),
    "ServiceRequest": ("requester",),
    "Specimen": ("collection.collector",),
}
_GENERIC_SOURCES: Final = frozenset(
    (
        "agent.onBehalfOf",
        "agent.who",
        "assessor",
        "asserter",
        "author",
        "custodian",
        "enterer",
        "facility",
        "informationSource",
        "issuer",
        "location",
        "locationReference",
        "managingEntity",
        "managingOrganization",
        "operator",
        "orderer",
        "organization",
        "owner",
        "performer",
        "performer.actor",
        "performingOrganization",
        "prescriber",
        "providedBy",
        "provider",
        "recorder",
        "reporter",
        "requester",
        "sender",
        "serviceProvider",
        "source",
        "supplier",
    )
)


def authors(view: ResourceView) -> tuple[ReferenceAt, ...]:
    """Give the References of a resource that say who wrote it."""
    return tuple(reference for reference in view.references if _is_author(view, reference))


def source_references(view: ResourceView) -> tuple[ReferenceAt, ...]:
    """Give the References of a resource that say which organisation, place or practitioner made or holds it."""
    paths = frozenset(_SOURCES[view.type]) if view.type in _SOURCES else _GENERIC_SOURCES
    return tuple(reference for reference in view.references if element_path(reference.at) in paths)


def encounter_references(view: ResourceView) -> tuple[ReferenceAt, ...]:
    """Give the References of a resource to the encounters or episodes it belongs to, at any depth (a claim's lines)."""
    return tuple(found for found in view.references if element_path(found.at).rpartition(".")[2] in VISITS)


def source_paths() -> Iterator[tuple[str, str]]:
    """Give every (type, element path) of the lists by type (the tests hold them against the element table)."""
    return ((kind, path) for kind, paths in _SOURCES.items() for path in paths)


def _is_author(view: ResourceView, reference: ReferenceAt) -> bool:
    path = element_path(reference.at)
    if path in _AUTHOR:
        return not (view.type in _REQUESTS and path.partition(".")[0] == "performer")
    outer, _, inner = path.partition(".")
    named, role = _ROLES.get(outer, ("", ""))
    return inner == named and named != "" and _has_author_role(view.tree, reference.at, outer, role)


def _has_author_role(tree: dict[str, Any], at: str, outer: str, role: str) -> bool:
    backbones, number = tree.get(outer), index(at.split("/")[2])
    backbone = backbones[number] if isinstance(backbones, list) and number is not None else None
    roles = backbone.get(role) if isinstance(backbone, dict) else None
    concepts = roles if isinstance(roles, list) else [roles]
    codings = (each for concept in concepts if isinstance(concept, dict) for each in _codings(concept))
    return any((str(coding.get("system")), str(coding.get("code"))) in _AUTHOR_ROLES for coding in codings)


def _codings(concept: dict[str, Any]) -> Iterator[dict[str, Any]]:
    listed = concept.get("coding")
    return (coding for coding in listed if isinstance(coding, dict)) if isinstance(listed, list) else iter(())
