"""Bundles made at random from the standard's own element table, with a marker in everything that bears text.

Every marker is one word that occurs once; where it stands is kept, so that a law can say what became of it. Resources
refer to each other at random, also to those that are to be withheld; `sensitive` ones carry the label that withholds.
Some are contained in others, some stand in a Bundle in the Bundle, some are Binaries that others give the address of.
Markers stand in plain letters, in escapes of JSON, percent-encoded, and in base64 at each of its three places.
"""

import base64
import json
import re
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
INSIDE: Final = ("Condition", "Device", "MedicationStatement", "Observation", "Procedure")  # what others contain
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
    {"id", "meta", "contained", "implicitRules", "language", "modifierExtension", "fhir_comments", "confidentiality"}
)
_DEEP: Final = 4
_WORD: Final = re.compile(r"mk[0-9a-f]{10}")
_PRIMITIVE: Final = frozenset({*_VALUES, "string", "markdown", "uri", "url", "canonical"})


class Made:
    """One Bundle: its resources in order, the names of the sensitive ones, and the markers by resource and pointer.

    `within` says in which other a resource is contained, `owners` whose content a Binary is; `bundled` are those that
    stand in an inner Bundle."""

    def __init__(self, elements: Elements, seed: int, patient: str = PATIENT) -> None:
        self.elements, self.random = elements, Random(seed)  # noqa: S311  the same Bundle for the same seed
        self.seed, self.patient = seed, patient
        self.count = 0
        chosen = [self.random.choice(TYPES) for _ in range(self.random.randint(3, 7))]
        self.names = [f"{kind}/{kind.lower()}-{number}" for number, kind in enumerate(chosen)]
        self.sensitive = {name for name in self.names if self.random.random() < 0.4}
        self.markers: dict[str, dict[str, str]] = {}
        self.trees: dict[str, dict[str, Any]] = {}
        self.within: dict[str, str] = {}
        self.owners: dict[str, str] = {}
        self.resources = [self._resource(name) for name in self.names]
        self.resources += [self._binary(one) for one in list(self.resources) if self.random.random() < 0.1]
        self.bundled = {one["id"] for one in self.resources if self.random.random() < 0.15}

    def bundle(self) -> dict[str, Any]:
        """The Bundle, a collection; what is `bundled` in a Bundle in it."""
        outer = [{"resource": one} for one in self.resources if one["id"] not in self.bundled]
        inner = [{"resource": one} for one in self.resources if one["id"] in self.bundled]
        if inner:
            outer.append({"resource": self.inner_bundle(inner)})
        return {"resourceType": "Bundle", "type": "collection", "entry": outer}

    def inner_bundle(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        """A Bundle with entries, and with markers around them that nobody may see."""
        self.here = self.markers.setdefault("Bundle/inner", {})
        link = [{"relation": "next", "url": f"urn:x:{self._marker('/link/0/url')}"}]
        tag = [{"display": self._marker("/meta/tag/0/display")}]
        return {"resourceType": "Bundle", "id": "inner", "meta": {"tag": tag}, "type": "collection"} | {
            "link": link,
            "entry": entries,
        }

    def text(self, tree: dict[str, Any]) -> bytes:
        """The text of a resource: some markers in escapes of JSON, decimals with the noughts they came with."""
        plain = json.dumps(tree).replace(": 1.1,", ": 1.10,").replace(": 1.1}", ": 1.10}")
        return _WORD.sub(self._escaped, plain).encode()

    def _escaped(self, found: re.Match[str]) -> str:
        return f"\\u006d\\u006B{found[0][2:]}" if int(found[0][-2:], 16) % 4 == 0 else found[0]

    def _resource(self, name: str) -> dict[str, Any]:
        found = self._alone(name, self.sensitive)
        if self.random.random() < 0.25:
            kind = self.random.choice(INSIDE)
            inner = f"{kind}/in-{self.seed}-{self.count}"
            if self.random.random() < 0.4:
                self.sensitive.add(inner)
            found["contained"] = [self._alone(inner, self.sensitive)]
            if inner not in self.sensitive:
                del found["contained"][0]["meta"], self.markers[inner]["/meta/source"]
            self.within[inner] = name
            link = {"url": f"{_OPEN}contained", "valueReference": {"reference": f"#{inner.partition('/')[2]}"}}
            found["extension"] = [*found.get("extension", []), link]
        return found

    def _alone(self, name: str, sensitive: set[str]) -> dict[str, Any]:
        kind, _, identity = name.partition("/")
        self.here = self.markers.setdefault(name, {})
        security = _SUD if name in sensitive else _PLAIN
        meta = {"security": security, "source": f"urn:x:{self._marker('/meta/source')}"}
        found = {"resourceType": kind, "id": identity, "meta": meta}
        found |= self._structure(kind, "", 0)
        self.trees[name] = found
        return found

    def _binary(self, owner: dict[str, Any]) -> dict[str, Any]:
        """A Binary that another resource gives the address of: as releasable as that one."""
        identity = f"bin-{owner['id']}"
        name = f"Binary/{identity}"
        self.owners[name] = f"{owner['resourceType']}/{owner['id']}"
        if self.owners[name] in self.sensitive:
            self.sensitive.add(name)
        link = {"url": f"{_OPEN}file", "valueAttachment": {"contentType": "application/pdf", "url": name}}
        owner["extension"] = [*owner.get("extension", []), link]
        self.here = self.markers.setdefault(name, {})
        found = {"resourceType": "Binary", "id": identity, "meta": {"security": _PLAIN}}
        self.trees[name] = found | {"contentType": "application/pdf", "data": self._base64("/data")}
        return self.trees[name]

    def _base64(self, at: str) -> str:
        word = self._marker(at)
        return base64.b64encode(b"%" * self.random.randint(0, 2) + word.encode()).decode()

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
        self._beside(found, children, at)
        self._numbered(kind, found)
        return found

    def _beside(self, found: dict[str, Any], children: dict[str, Element], at: str) -> None:
        """Extensions of some primitives."""
        for name in [one for one in found if one in children and set(children[one].types) <= _PRIMITIVE]:
            if self.random.random() < 0.05 and not children[name].repeats:
                url = self.random.choice((_OPEN, _PRIVATE)) + "beside"
                extension = {"url": url, "valueString": self._marker(f"{at}/_{name}/extension/0/valueString")}
                found[f"_{name}"] = {"extension": [extension]}

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
            word = self._marker(at)
            return f"urn:made:{'%6d%6B' + word[2:] if self.count % 4 == 0 else word}"
        if kind == "base64Binary":
            return self._base64(at)
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
            return {"reference": self.patient}
        if not allowed:
            kind = element.targets[0] if element.targets else "Organization"
            return {"type": kind, "display": self._marker(f"{at}/display")}
        return {"reference": self.random.choice(allowed), "display": self._marker(f"{at}/display")}
