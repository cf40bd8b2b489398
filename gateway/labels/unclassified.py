"""Codes that nobody here can read, where a record says what is wrong, found, done or given (L006). Pure.

Rules of this file
1. Such an element all of whose codings are of systems we know nothing of is unclassified, not harmless. One coding of
   a known system classifies it; a text does not: it can say what it is, not what it is not.
2. A system is known if code lists could speak of it, or if it is published by HL7 or names nothing about health.
3. A coding without a system is of no known one, unless it has no code either.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from gateway.fhir.code_systems import CLINICAL_SYSTEMS, PRIVACY_SYSTEMS, canonical_system
from gateway.fhir.pointer import element_path
from gateway.fhir.view import ResourceView

_EVERYWHERE: Final = frozenset({"reasonCode"})
_DRUG: Final = frozenset({"medicationCodeableConcept"})
_LINES: Final = frozenset(
    {"diagnosis.diagnosisCodeableConcept", "diagnosis.packageCode", "procedure.procedureCodeableConcept"}
    | {
        f"{line}.productOrService"
        for line in (
            "item",
            "item.detail",
            "item.detail.subDetail",
            "addItem",
            "addItem.detail",
            "addItem.detail.subDetail",
        )
    }
)
# By R4's own definitions: what is wrong, what was found, what was or will be done, what is given.
_TELLING: Final[Mapping[str, frozenset[str]]] = {
    "AdverseEvent": frozenset({"event"}),
    "AllergyIntolerance": frozenset({"code"}),
    "CarePlan": frozenset({"activity.detail.code"}),
    "Claim": _LINES,
    "ClaimResponse": _LINES,
    "ClinicalImpression": frozenset({"finding.itemCodeableConcept"}),
    "Condition": frozenset({"code"}),
    "DeviceRequest": frozenset({"codeCodeableConcept"}),
    "DiagnosticReport": frozenset({"code", "conclusionCode"}),
    "ExplanationOfBenefit": _LINES,
    "FamilyMemberHistory": frozenset({"condition.code"}),
    "Flag": frozenset({"code"}),
    "Immunization": frozenset({"vaccineCode"}),
    "Medication": frozenset({"code", "ingredient.itemCodeableConcept"}),
    "MedicationAdministration": _DRUG,
    "MedicationDispense": _DRUG,
    "MedicationRequest": _DRUG,
    "MedicationStatement": _DRUG,
    "Observation": frozenset({"code", "component.code"}),
    "Procedure": frozenset({"code"}),
    "RiskAssessment": frozenset({"code", "condition"}),
    "ServiceRequest": frozenset({"code"}),
    "SupplyRequest": frozenset({"itemCodeableConcept"}),
}
_NOWHERE: Final = frozenset[str]()
# Who publishes what names no diagnosis and no treatment beyond what the lists have, or lists only what is harmless.
_PUBLISHED: Final = (
    "http://hl7.org/",
    "http://terminology.hl7.org/",
    "http://unitsofmeasure.org",
    "http://dicom.nema.org/",
    "urn:iso:",
    "urn:ietf:",
    "https://bluebutton.cms.gov/",
    "https://www.nubc.org/",
    "http://nucc.org/",
    "http://www.ada.org/",
    "https://www.ada.org/",
)


def unclassified(view: ResourceView) -> str | None:
    """Give the pointer of the first telling element that no known system classifies; None where there is none."""
    if all(map(is_known, {one.coding.system for one in view.codings if not one.at.startswith("/meta/")})):
        return None
    telling = _TELLING.get(view.type, _NOWHERE) | _EVERYWHERE
    coded = [(one.at[: one.at.rfind("/coding/")], one.coding) for one in view.codings if one.in_list]
    known = {concept for concept, coding in coded if is_known(coding.system)}
    unread = (concept for concept, coding in coded if coding.code is not None and concept not in known)
    return next((concept for concept in unread if element_path(concept) in telling), None)


@lru_cache(maxsize=4096)
def is_known(system: str | None) -> bool:
    """Say whether a system is one whose codes the lists could speak of, or that cannot say anything sensitive."""
    written = canonical_system(system)
    if written is None:
        return False
    return written in CLINICAL_SYSTEMS or written in PRIVACY_SYSTEMS or written.startswith(_PUBLISHED)
