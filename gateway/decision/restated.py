"""What a record says again of another one that it refers to, and what of that goes when the other is withheld.

Rules of this file (leaks.md point 7, L033)
1. What sums others up goes with the first reference to one of them that is cut: prose, codes, sums, signatures.
2. What stands beside a reference and says what it led to goes with it, where its target is known to be withheld.
3. What quotes a withheld target, by its own code or in its own words, goes from the records that referred to it.
4. People, places and things at work are not summed up: a record that loses the name of one keeps what it says.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from gateway.fhir.pointer import element_path
from gateway.fhir.view import ResourceView

# Elements that restate the records a type sums up, at its root.
_SUMMARIES: Final[Mapping[str, tuple[str, ...]]] = {
    "CarePlan": ("title", "description", "note"),
    "ClinicalImpression": ("description", "summary", "note", "prognosisCodeableConcept"),
    "Communication": ("note", "topic"),
    "DetectedIssue": ("detail", "note"),
    "DiagnosticReport": ("conclusion", "conclusionCode", "presentedForm", "media"),
    "Goal": ("note",),
    "GuidanceResponse": ("note",),
    "Invoice": ("totalNet", "totalGross", "totalPriceComponent", "note"),
    "List": ("note", "title"),
    "MeasureReport": ("group",),
    "Provenance": ("signature",),
    "RequestGroup": ("note",),
    "RiskAssessment": ("prediction", "mitigation", "note"),
    "Task": ("description", "note"),
}
# By the path of a reference to a record that is withheld: what else in the same structure tells of it.
_VALUE: Final = ("value", "interpretation", "note")
_BESIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "CarePlan.activity.detail.reasonReference": ("description",),
    "CarePlan.activity.outcomeReference": ("outcomeCodeableConcept", "progress"),
    "Communication.about": ("payload",),
    "Composition.event.detail": ("code",),
    "Condition.evidence.detail": ("code",),
    "Condition.stage.assessment": ("summary", "type"),
    "DetectedIssue.evidence.detail": ("code",),
    "Observation.derivedFrom": (*_VALUE, "component"),
    "Observation.hasMember": _VALUE,
    "Task.reasonReference": ("reasonCode",),
}
IDENTIFIER: Final = "Identifier"
# Who and where, with what and by which plan: nothing clinical is summed up of them.
_NOT_SUMMED_UP: Final = frozenset(
    {"CareTeam", "Coverage", "Device", "Endpoint", "Group", "HealthcareService", IDENTIFIER, "InsurancePlan"}
    | {"Location", "Organization", "OrganizationAffiliation", "Patient", "Practitioner", "PractitionerRole"}
    | {"RelatedPerson"}
)
# What a record is about: its own words, and never a quotation.
_OWN: Final = ("category", "class", "code", "medicationCodeableConcept", "productCodeableConcept", "serviceCategory")
_OWN_NAMES: Final = frozenset((*_OWN, "serviceType", "specialty", "title", "type", "vaccineCode", "clinicalStatus"))
_TOLD: Final = ("code", "medicationCodeableConcept", "vaccineCode", "valueCodeableConcept", "reasonCode")
_ADDRESSES: Final = ("/url", "/uri", "/system")
_PHRASE: Final = 12  # letters from which a text that holds another's words is taken to quote it


class Said(msgspec.Struct, frozen=True):
    """What a record is about, as its codes and in its words (in lower case)."""

    codes: frozenset[tuple[str | None, str]]
    words: frozenset[str]


def summed_up(kind: str | None) -> bool:
    """Say whether records of a type (None: not told) are what others sum up."""
    return kind not in _NOT_SUMMED_UP


def summaries(view: ResourceView) -> Iterator[str]:
    """Give the pointers of what a record says in prose or sums about the records it refers to."""
    return (f"/{name}" for name in _SUMMARIES.get(view.type, ()) if name in view.tree)


def beside(view: ResourceView, at: str, holder: Mapping[str, Any], holder_at: str) -> Iterator[str]:
    """Give the pointers of what in the structure `holder` restates the target of the reference at `at`."""
    names = _BESIDE.get(f"{view.type}.{element_path(at)}", ())
    for name in holder:
        plain = name.removeprefix("_")
        if plain in names or ("value" in names and plain.startswith("value")):
            yield f"{holder_at}/{name}"


def said_by(targets: Iterable[ResourceView]) -> Said:
    """Give what records are about: the codes, texts and displays of the elements that say so."""
    codes: set[tuple[str | None, str]] = set()
    words: set[str] = set()
    for target in targets:
        codes |= {
            (one.coding.system, one.coding.code)
            for one in target.codings
            if one.coding.system is not None and one.coding.code is not None and _root(one.at) in _TOLD
        }
        words |= {one.text.strip().lower() for one in target.texts if _names(one.at)}
    return Said(frozenset(codes), frozenset(word for word in words if len(word) > 3))


def quotations(view: ResourceView, said: Said) -> Iterator[str]:
    """Give the pointers of what quotes: concepts of the same code or name, and texts that hold the very words."""
    for one in view.codings:
        if (one.coding.system, one.coding.code) in said.codes and _root(one.at) not in _OWN_NAMES:
            yield _concept(one.at)
    phrases = [word for word in said.words if len(word) >= _PHRASE]
    for text in view.texts:
        if _root(text.at) in _OWN_NAMES or text.at.endswith(_ADDRESSES):
            continue
        words = text.text.strip().lower()
        if words in said.words or any(phrase in words for phrase in phrases):
            yield _concept(text.at)


def _root(at: str) -> str:
    return at.split("/", 2)[1] if at.startswith("/") else ""


def _names(at: str) -> bool:
    """Say whether a text is a name of what its record is about."""
    return at == "/valueString" or (_root(at) in _TOLD and at.endswith(("/text", "/display")))


def _concept(at: str) -> str:
    """Give the concept or the note in which a coding or words stand; any other pointer as it is."""
    head, found, _ = at.rpartition("/coding/")
    return head if found else at.removesuffix("/text")
