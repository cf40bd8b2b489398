"""Bundles made at random from the standard's own element table, with a marker in everything that bears text.

Every marker is one word that occurs once; where it stands is kept, so that a law can say what became of it. Resources
refer to each other at random, also to those that are to be withheld; `sensitive` ones carry the label that withholds.
"""

import base64
from collections.abc import Callable
from random import Random
from typing import Any, Final

from gateway.fhir.elements import Element, Elements

TYPES: Final = (
    "AllergyIntolerance",
    "Appointment",
    "CarePlan",
    "CareTeam",
    "Claim",
    "ClinicalImpression",
    "Communication",
    "Composition",
    "Condition",
    "Coverage",
    "DetectedIssue",
    "DeviceRequest",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "EpisodeOfCare",
    "ExplanationOfBenefit",
    "FamilyMemberHistory",
    "Flag",
    "Goal",
    "Group",
    "ImagingStudy",
    "Immunization",
    "List",
    "Media",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "MedicationStatement",
    "NutritionOrder",
    "Observation",
    "Procedure",
    "Provenance",
    "QuestionnaireResponse",
    "RiskAssessment",
    "ServiceRequest",
    "Specimen",
    "Task",
    "VisionPrescription",
)
PATIENT: Final = "Patient/p"
_SUD: Final = [
    {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"},
    {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "42CFRPart2"},
]
_PLAIN: Final = [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}]
_OPEN: Final = "http://hl7.org/fhir/StructureDefinition/made-"
_PRIVATE: Final = "https://made.example/"
_VALUES: Final[dict[str, Any]] = {
    "boolean": True,
    "code": "made",
    "date": "2025-03-01",
    "dateTime": "2025-03-01",
    "decimal": 1.10,
    "id": "made",
    "instant": "2025-03-01T09:00:00Z",
    "integer": 1,
    "oid": "urn:oid:1.2.3",
    "positiveInt": 1,
    "time": "09:00:00",
    "unsignedInt": 1,
    "uuid": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
}
_LEFT_OUT: Final = frozenset(
    {"id", "meta", "contained", "implicitRules", "language", "modifierExtension", "fhir_comments"}
)
_DEEP: Final = 4
Marker = Callable[[str], str]


class Made:
    """One Bundle: its resources in order, the names of the sensitive ones, and the markers by resource and pointer."""

    def __init__(self, elements: Elements, seed: int) -> None:
        self.elements, self.random = elements, Random(seed)  # noqa: S311  the same Bundle for the same seed
        self.seed = seed
        self.count = 0
        chosen = [self.random.choice(TYPES) for _ in range(self.random.randint(3, 7))]
        self.names = [f"{kind}/{kind.lower()}-{number}" for number, kind in enumerate(chosen)]
        self.sensitive = {name for name in self.names if self.random.random() < 0.4}
        self.markers: dict[str, dict[str, str]] = {}
        self.resources = [self._resource(name) for name in self.names]

    def bundle(self) -> dict[str, Any]:
        """The Bundle, a collection."""
        return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in self.resources]}

    def _resource(self, name: str) -> dict[str, Any]:
        kind, _, identity = name.partition("/")
        self.here = self.markers.setdefault(name, {})
        security = _SUD if name in self.sensitive else _PLAIN
        meta = {"security": security, "source": f"urn:x:{self._marker('/meta/source')}"}
        found = {"resourceType": kind, "id": identity, "meta": meta}
        found |= self._structure(kind, "", 0)
        return found

    def _marker(self, at: str) -> str:
        self.count += 1
        word = f"mk{self.seed:05x}{self.count:05x}"
        self.here[at] = word
        return word

    def _structure(self, kind: str, at: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        children = self.elements.children(kind)
        for name, element in children.items():
            if name in _LEFT_OUT or (name == "extension" and self.random.random() > 0.3):
                continue
            wanted = element.required or self.random.random() < (0.6 if depth == 0 else 0.35)
            if not wanted or (depth >= _DEEP and not element.required):
                continue
            types = [one for one in element.types if self._can(one)]
            if not types:
                continue
            chosen = self.random.choice(types)
            key = name.replace("[x]", chosen[0].upper() + chosen[1:]) if name.endswith("[x]") else name
            here = f"{at}/{key}"
            if element.repeats:
                many = self.random.randint(1, 2)
                found[key] = [self._value(chosen, element, f"{here}/{number}", depth) for number in range(many)]
            else:
                found[key] = self._value(chosen, element, here, depth)
        self._numbered(kind, found)
        return found

    def _numbered(self, kind: str, found: dict[str, Any]) -> None:
        """Sequence numbers that are whole and distinct, as claims have them."""
        for value in found.values():
            if isinstance(value, list) and value and isinstance(value[0], dict) and "sequence" in value[0]:
                for number, one in enumerate(value, 1):
                    one["sequence"] = number
        if kind == "Group":
            found.pop("quantity", None)

    def _can(self, kind: str) -> bool:
        return kind not in {"Resource", "ResourceList", "Meta"}

    def _value(self, kind: str, element: Element, at: str, depth: int) -> Any:  # noqa: PLR0911  a table of types
        if kind in _VALUES:
            return _VALUES[kind]
        if kind in {"string", "markdown", "http://hl7.org/fhirpath/System.String"}:
            return self._marker(at)
        if kind in {"uri", "url", "canonical"}:
            return f"urn:made:{self._marker(at)}"
        if kind == "base64Binary":
            return base64.b64encode(self._marker(at).encode()).decode()
        if kind == "xhtml":
            return f'<div xmlns="http://www.w3.org/1999/xhtml">{self._marker(at)}</div>'
        if kind == "Narrative":
            div = f'<div xmlns="http://www.w3.org/1999/xhtml">{self._marker(f"{at}/div")}</div>'
            return {"status": "generated", "div": div}
        if kind == "Reference":
            return self._reference(element, at)
        if kind == "Extension":
            url = self.random.choice((_OPEN, _PRIVATE)) + str(self.random.randint(1, 9))
            return {"url": url, "valueString": self._marker(f"{at}/valueString")}
        found = self._structure(kind, at, depth + 1)
        return found or {
            "extension": [{"url": f"{_OPEN}0", "valueString": self._marker(f"{at}/extension/0/valueString")}]
        }

    def _reference(self, element: Element, at: str) -> dict[str, Any]:
        allowed = [name for name in self.names if not element.targets or name.partition("/")[0] in element.targets]
        if "Patient" in element.targets and (not allowed or self.random.random() < 0.7):
            return {"reference": PATIENT}
        if not allowed:
            kind = element.targets[0] if element.targets else "Organization"
            return {"type": kind, "display": self._marker(f"{at}/display")}
        return {"reference": self.random.choice(allowed), "display": self._marker(f"{at}/display")}
