"""What a record says again of another one that it refers to, and what of that goes when the other is withheld.

Rules of this file (leaks.md point 7, L033)
1. What sums others up goes with the first reference to one of them that is cut: prose, codes, sums, signatures.
2. What stands beside a reference and says what it led to goes with it, where its target is known to be withheld.
3. What quotes a withheld target, by its own code or in its own words, goes from the records that referred to it.
4. People, places and things at work are not summed up: a record that loses the name of one keeps what it says, but
   what describes an act beside its performer, and texts that hold the very name.
5. A sum that R4 requires cannot go: its record does.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from gateway.fhir.pointer import element_path
from gateway.fhir.view import ResourceView

# Elements that restate the records a type sums up, at its root.
_SUMMARIES: Final[Mapping[str, tuple[str, ...]]] = {
    "Appointment": ("description",),
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
    "PaymentReconciliation": ("paymentAmount", "disposition", "processNote"),
    "Provenance": ("signature",),
    "RequestGroup": ("note",),
    "RiskAssessment": ("prediction", "mitigation", "note"),
    "Task": ("description", "note"),
}
# What any type says in prose, if it refers to a withheld record otherwise than as the visit it was made at.
_PROSE: Final = ("note", "comment", "patientInstruction")
_VISITS: Final = ("context", "encounter", "episodeOfCare")
_DOSAGES: Final = ("dosage", "dosageInstruction")
# By the path of a reference to a record that is withheld: what else in the same structure tells of it. Beside any
# `reasonReference` it is the `reasonCode`.
_VALUE: Final = ("value", "interpretation", "note")
_BESIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "AdverseEvent.resultingCondition": ("outcome", "seriousness", "severity"),
    "CarePlan.activity.detail.reasonReference": ("description",),
    "CarePlan.activity.outcomeReference": ("outcomeCodeableConcept", "progress"),
    "Communication.about": ("payload",),
    "Communication.reasonReference": ("payload",),
    "CommunicationRequest.about": ("payload",),
    "CommunicationRequest.reasonReference": ("payload",),
    "Composition.event.detail": ("code",),
    "Condition.evidence.detail": ("code",),
    "Condition.stage.assessment": ("summary", "type"),
    "DetectedIssue.evidence.detail": ("code",),
    "DocumentManifest.content": ("description",),
    "Goal.outcomeReference": ("outcomeCode",),
    "ImagingStudy.procedureReference": ("procedureCode",),
    "NutritionOrder.allergyIntolerance": ("excludeFoodModifier",),
    "Observation.derivedFrom": (*_VALUE, "component"),
    "Observation.hasMember": _VALUE,
    "Procedure.complicationDetail": ("complication",),
    "Procedure.report": ("outcome", "followUp"),
    "Procedure.usedReference": ("usedCode",),
}
# By the path of a reference to who or where: what beside it describes the act, and so who does such a thing.
_DESCRIBED: Final[Mapping[str, tuple[str, ...]]] = {
    "CarePlan.activity.detail.location": ("description",),
    "CarePlan.activity.detail.performer": ("description",),
    "Communication.recipient": ("payload", "note"),
    "CommunicationRequest.recipient": ("payload", "note"),
    "Encounter.hospitalization.destination": ("dischargeDisposition",),
    "Encounter.hospitalization.origin": ("admitSource",),
    "ServiceRequest.locationReference": ("note", "patientInstruction"),
    "ServiceRequest.performer": ("note", "patientInstruction"),
    "Task.owner": ("description", "note"),
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
_NAME: Final = 6  # letters from which a name is looked for in texts
_PHRASE: Final = 12  # letters from which a text that holds another's words is taken to quote it


class Said(msgspec.Struct, frozen=True):
    """What a record is about, as its codes and in its words (in lower case)."""

    codes: frozenset[tuple[str | None, str]]
    words: frozenset[str]


def summed_up(kind: str | None) -> bool:
    """Say whether records of a type (None: not told) are what others sum up."""
    return kind not in _NOT_SUMMED_UP


def summaries(view: ResourceView, lost: Iterable[str]) -> Iterator[str]:
    """Give the pointers of what a record says in prose or sums about the records it refers to; `lost` are the pointers
    of its references to what is known to be withheld."""
    paths = {element_path(at) for at in lost}
    prose = _PROSE if paths - set(_VISITS) else ()
    yield from (f"/{name}" for name in dict.fromkeys((*_SUMMARIES.get(view.type, ()), *prose)) if name in view.tree)


def instructions(view: ResourceView, lost: Iterable[str]) -> Iterator[str]:
    """Give the pointers of what a patient is told of a drug whose reason is known to be withheld."""
    if "reasonReference" in map(element_path, lost):
        told = (text.at for text in view.texts if _root(text.at) in _DOSAGES)
        yield from (at for at in told if at.endswith("/patientInstruction"))


def beside(view: ResourceView, at: str, holder: Mapping[str, Any], holder_at: str) -> Iterator[str]:
    """Give the pointers of what in the structure `holder` restates the target of the reference at `at`."""
    path = element_path(at)
    names = _BESIDE.get(f"{view.type}.{path}", ())
    if path.endswith("reasonReference"):
        names = (*names, "reasonCode")
    yield from _in(holder, holder_at, names)


def described(view: ResourceView, at: str, holder: Mapping[str, Any], holder_at: str) -> Iterator[str]:
    """Give the pointers of what in the structure `holder` describes what is done by, or at, whom a reference named."""
    yield from _in(holder, holder_at, _DESCRIBED.get(f"{view.type}.{element_path(at)}", ()))


def _in(holder: Mapping[str, Any], holder_at: str, names: tuple[str, ...]) -> Iterator[str]:
    for name in holder:
        plain = name.removeprefix("_")
        if plain in names or ("value" in names and plain.startswith("value")):
            yield f"{holder_at}/{name}"


def names_of(targets: Iterable[ResourceView], displays: Iterable[object]) -> frozenset[str]:
    """Give what people and places are called: their names and aliases, and how references displayed them."""
    called: list[object] = list(displays)
    for target in targets:
        name, alias = target.tree.get("name"), target.tree.get("alias")
        called += [name, *(alias if isinstance(alias, list) else ())]
        for one in name if isinstance(name, list) else ():
            called.append(one.get("text") if isinstance(one, dict) else None)
    plain = (" ".join(one.lower().split()) for one in called if isinstance(one, str))
    return frozenset(one for one in plain if len(one) >= _NAME)


def naming(view: ResourceView, names: frozenset[str]) -> Iterator[str]:
    """Give the pointers of the texts of a record that hold one of these names as whole words."""
    if not names:
        return
    found = re.compile(r"(?<!\w)(?:" + "|".join(re.escape(name) for name in sorted(names)) + r")(?!\w)").search
    for text in view.texts:
        if not text.at.endswith(_ADDRESSES) and found(" ".join(text.text.lower().split())):
            yield _concept(text.at)


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
