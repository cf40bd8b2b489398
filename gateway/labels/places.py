"""What a record carries of the place it was made at, or by: a detoxification unit, a methadone clinic. Pure.

Rules of this file (docs/labels.md)
1. A place is what its name says, and what its type codes say where all that are of known systems are sensitive: one
   code among others makes no hospital a clinic. Its address, contacts, description (how to find it: "formerly in use
   by psychiatry") and the names beside its references say nothing.
2. A part of a place is what the place is; a place is not what one of its parts is.
3. Only where a record names it as who made or holds it, where it took place, or who is asked to act: not who pays,
   who is told, or whom the patient belongs to.
4. Who is registered is what the registration says, whatever the name: the caller leaves those out.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from gateway.fhir.code_systems import NUCC, PLACE_OF_SERVICE, SERVICE_PLACE, SNOMED_CT, canonical_system
from gateway.fhir.origins import source_references
from gateway.fhir.pointer import element_path
from gateway.fhir.view import ResourceView
from gateway.fhir.walk import ReferenceAt
from gateway.labels.model import Basis, Label

PLACES: Final = frozenset({"HealthcareService", "Location", "Organization", "PractitionerRole"})
_PART_OF: Final[Mapping[str, frozenset[str]]] = {
    "HealthcareService": frozenset({"providedBy"}),
    "Location": frozenset({"managingOrganization", "partOf"}),
    "Organization": frozenset({"partOf"}),
    "PractitionerRole": frozenset({"organization"}),
}
# Beside the sources of a record (origins): who is asked to act, and where.
_ASKED: Final[Mapping[str, frozenset[str]]] = {
    "Appointment": frozenset({"participant.actor"}),
    "AppointmentResponse": frozenset({"actor"}),
    "CarePlan": frozenset({"activity.detail.location", "activity.detail.performer"}),
    "CareTeam": frozenset({"participant.member", "participant.onBehalfOf"}),
    "Encounter": frozenset({"hospitalization.destination", "hospitalization.origin"}),
    "MedicationRequest": frozenset({"performer"}),
    "ServiceRequest": frozenset({"locationReference", "performer"}),
    "Task": frozenset({"location", "owner"}),
}
_NAMES: Final = frozenset({"alias", "name"})
_TYPES: Final = frozenset({"code", "specialty", "type"})
_TELLING: Final = frozenset({NUCC, PLACE_OF_SERVICE, SERVICE_PLACE, SNOMED_CT})


def places(view: ResourceView) -> tuple[ReferenceAt, ...]:
    """Give the references of a record to where, or by whom, it was made or is to be."""
    asked = _ASKED.get(view.type)
    more = tuple(found for found in view.references if element_path(found.at) in asked) if asked else ()
    return (*source_references(view), *more)


def wider(view: ResourceView) -> tuple[ReferenceAt, ...]:
    """Give the references of a place to what it is a part of."""
    paths = _PART_OF.get(view.type, frozenset())
    return tuple(found for found in view.references if element_path(found.at) in paths)


def of_place(view: ResourceView, labels: Iterable[Label]) -> tuple[Label, ...]:
    """Give, of a place's own labels, those that say what it is (rule 1)."""
    named: list[Label] = []
    typed: list[Label] = []
    for label in labels:
        element = element_path(label.at).partition(".")[0]
        if label.basis is Basis.RECEIVED or element in _NAMES:
            named.append(label)
        elif element in _TYPES:
            typed.append(label)
    return (*named, *typed) if typed and _agree(view, {label.at for label in typed}) else tuple(named)


def _agree(view: ResourceView, marked: set[str]) -> bool:
    """Whether every type that says anything is one of the marked: a code of a known system, or a text alone."""
    spoken = {at.rpartition("/coding/")[0] for at in marked if "/coding/" in at}
    spoken |= {at.removesuffix("/text") for at in marked if at.endswith("/text")}
    for one in view.codings:
        if element_path(one.at).partition(".")[0] in _TYPES and canonical_system(one.coding.system) in _TELLING:
            concept = one.at.rpartition("/coding/")[0]
            if not {one.at, f"{one.at}/display", f"{concept}/text"} & marked:
                return False
            spoken.add(concept)
    coded = {one.at.rpartition("/coding/")[0] for one in view.codings}
    texts = (text.at for text in view.texts if text.at.endswith("/text"))
    alone = (at.removesuffix("/text") for at in texts if element_path(at).partition(".")[0] in _TYPES)
    return all(concept in spoken or concept in coded for concept in alone)
