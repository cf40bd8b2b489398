"""The one pass over a resource's tree, which finds everything in it that names a code, a number or somebody.

Rules of this file
1. Nothing is skipped: codings, references, identifiers and texts are found at any depth, known element or not (L006,
   L010), in the order of the document.
2. Contained and nested resources have passes of their own (L034, L045); what is found in them is not in the outer one.
3. Whatever has a wrong shape is noted: such a resource is labelled unknown.
"""

import re
from typing import Any, Final

import msgspec

from consent_store.identifier_systems import system_of
from consent_store.model import Coding, Identifier
from gateway.fhir.identifiers import NAMES, IdentifierAt, identifier_at
from gateway.fhir.pointer import escape
from gateway.fhir.strict import Limits, MalformedJson, check_scalar


class CodingAt(msgspec.Struct, frozen=True, gc=False):
    """A Coding and where it stands. `in_list` False: a bare code/system pair outside a `coding` array."""

    at: str
    coding: Coding
    in_list: bool = True


class ReferenceAt(msgspec.Struct, frozen=True, gc=False):
    """A Reference element and where it stands (the pointer of the object that holds `reference` or `identifier`)."""

    at: str
    reference: str | None
    type: str | None
    identifier: Identifier | None


class TextAt(msgspec.Struct, frozen=True, gc=False):
    """Free text and where it stands: narrative div, note, text, display, description, valueString and the like."""

    at: str
    text: str


# Of these a type and a display make no reference.
_NO_REFERENCES: Final = ("Coding", "RelatedArtifact", "relatedArtifact")
# Elements that are never prose in R4 (code, uri, date, id … in every type that has one of the name; the test holds
# this against the element table). Every other string is text, also under a name that R4 does not know.
_NOT_TEXT = (
    "abatementDateTime authored authoredOn birthDate contentType created criticality currency date dateTime "
    "deceasedDateTime docStatus durationUnit effectiveDateTime effectiveInstant end expirationDate fullUrl hash id "
    "implicitRules issued kind lastUpdated lifecycleStatus mode occurrenceDateTime onsetDateTime performedDateTime "
    "periodUnit questionnaire recorded recordedDate reference resourceType sent servicedDate started system "
    "timestamp timingDate timingDateTime uid valueCanonical valueCode valueDate valueDateTime valueId valueInstant "
    "valueOid valueTime valueUri valueUrl valueUuid versionId whenHandedOver whenPrepared"
)
NOT_TEXT: Final = frozenset(_NOT_TEXT.split())
# Element names with the type uri, url or canonical in any R4 type (element table), but `system` and `implicitRules`,
# which name vocabularies, and `reference`, which has its own place.
_LINKS = (
    "address answerValueSet authority authorizationUrl base baseDefinition capabilities code compartment "
    "contentReference defaultValueCanonical defaultValueUri defaultValueUrl definition definitionCanonical "
    "definitionUri derivedFrom derivedFromUri detail endpoint eventUri exampleCanonical fixedCanonical fixedUri "
    "fixedUrl fullUrl graph identifier implementationGuide import imports inputProfile instantiates "
    "instantiatesCanonical instantiatesUri issuer jurisdiction library link location measure message moduleCanonical "
    "moduleUri nameUrl onlineInformation outputProfile parent partOf patternCanonical patternUri patternUrl policy "
    "profile property protocol questionnaire relativePath rendering replaces resource source sourceCanonical "
    "sourceUri supplements supportedProfile target targetCanonical targetProfile targetUri transform type uri url "
    "valueCanonical valueSet valueUri valueUrl workflow"
)
LINKS: Final = frozenset(_LINKS.split())
_SKIPPED: Final = NOT_TEXT - LINKS
_LONG: Final = 4096  # a longer string is held against the limits, whatever it is
_REFERENCE: Final = frozenset(
    ("reference", "type", "identifier", "display", "id", "extension", "_reference", "_type", "_display")
)
# An object with none of these members is none of what `_classify` looks for.
_TELLING: Final = frozenset(("code", "reference", "identifier", "display", "type", "data", "contentType", "url"))
_ATTACHMENT_NAMES: Final = frozenset(("photo", "image", "form", "document", "presentedForm", "content", "attachment"))
_ARRAYS: Final = frozenset(("coding", "contained", "extension", "modifierExtension"))  # always arrays of objects
# Where Bundle and Parameters hold resources; what stands there is one, also when it does not say so.
_HOLDERS: Final = {"Bundle": frozenset(("resource", "outcome")), "Parameters": frozenset(("resource",))}
_ADDRESS: Final = re.compile("[^/:]*[/:]").match  # what has neither sign addresses nothing
_NO_SLOTS: Final = frozenset[str]()


class Walk:
    """The one pass over a resource's tree. `members` counts the members of every object, inner resources included."""

    def __init__(self, root: dict[str, Any], limits: Limits) -> None:
        kind = root.get("resourceType")
        self.type = kind if isinstance(kind, str) else ""
        self.slots = _HOLDERS.get(self.type, _NO_SLOTS)
        self.limits = limits
        self.members = 0
        self.codings: list[CodingAt] = []
        self.references: list[ReferenceAt] = []
        self.texts: list[TextAt] = []
        self.links: list[TextAt] = []
        self.identifiers: list[IdentifierAt] = []
        self.extensions: list[tuple[str, str]] = []
        self.modifier_extensions: list[tuple[str, str]] = []
        self.attachments: list[str] = []
        self.malformed: list[str] = [] if self.type else ["/resourceType"]
        self.inner: list[tuple[str, dict[str, Any], Walk]] = []

    def visit(self, node: dict[str, Any], at: str, key: str, depth: int) -> None:
        """Find everything in one object, which stands at `at` under the name `key`."""
        if depth == self.limits.depth:
            raise MalformedJson(at, "nesting over the depth limit")
        self.members += len(node)
        if key in _ARRAYS or not _TELLING.isdisjoint(node):
            self._classify(node, at, key)
        for name, value in node.items():
            if name in _SKIPPED and value.__class__ is str and len(value) < _LONG:
                continue
            here = f"{at}/{name}" if name.isalnum() else f"{at}/{escape(name)}"
            if value.__class__ is not list and name in _ARRAYS:
                self.malformed.append(here)
            if value.__class__ is dict:
                if name in NAMES:
                    self._identifier(value, here, name, node, at)
                self._slot(value, here, name, depth)
                continue
            if name in self.slots:
                self.malformed.append(here)
            if value.__class__ is list:
                self._array(value, here, name, depth + 1)
            else:
                self._scalar(value, here, name)

    def _slot(self, value: dict[str, Any], at: str, name: str, depth: int) -> None:
        if "resourceType" in value or name == "contained" or name in self.slots:
            self._resource(value, at, depth + 1)
        else:
            self.visit(value, at, name, depth + 1)

    def _resource(self, value: dict[str, Any], at: str, depth: int) -> None:
        walk = Walk(value, self.limits)
        walk.visit(value, "", "", depth)
        self.members += walk.members
        self.inner.append((at, value, walk))

    def _array(self, items: list[Any], at: str, name: str, depth: int) -> None:
        if depth == self.limits.depth:
            raise MalformedJson(at, "nesting over the depth limit")
        objects_only = name in _ARRAYS
        for number, item in enumerate(items):
            here = f"{at}/{number}"
            if item.__class__ is dict:
                if name in NAMES:
                    self._identifier(item, here, name)
                self._slot(item, here, name, depth)
                continue
            if objects_only:
                self.malformed.append(here)
            if item.__class__ is list:  # FHIR has no arrays of arrays: kept, and found to be wrong
                self.malformed.append(here)
                self._array(item, here, name, depth + 1)
            else:
                self._scalar(item, here, name)

    def _identifier(
        self, value: dict[str, Any], at: str, name: str, holder: dict[str, Any] | None = None, outer: str = ""
    ) -> None:
        found = None if "resourceType" in value else identifier_at(value, at, name, holder, outer)
        if found is not None:
            self.identifiers.append(found)

    def _scalar(self, value: object, at: str, name: str) -> None:
        if not isinstance(value, str) or len(value) > self.limits.string:
            check_scalar(value, at, self.limits)
            return
        if name not in NOT_TEXT:
            self.texts.append(TextAt(at, value))
        if name in LINKS and _ADDRESS(value):
            self.links.append(TextAt(at, value))

    def _classify(self, node: dict[str, Any], at: str, key: str) -> None:
        """Say what one object is by its shape: a Coding, a Reference, an Extension, an Attachment, or none of them."""
        if not at:  # the resource itself
            self.attachments += [at] if _is_attachment(node, key) else []  # a Binary
            return
        if key == "coding" or "code" in node:
            self._coding(node, at, key)
        if "reference" in node or (node.keys() <= _REFERENCE and key not in {"coding", "security", "tag"}):
            self._reference(node, at, key)
        if key in {"extension", "modifierExtension"}:
            url = node.get("url")
            if not isinstance(url, str):
                self.malformed.append(at)
            found = self.extensions if key == "extension" else self.modifier_extensions
            found.append((at, url if isinstance(url, str) else ""))
        elif _is_attachment(node, key):
            self.attachments.append(at)

    def _coding(self, node: dict[str, Any], at: str, key: str) -> None:
        system, code = node.get("system"), node.get("code")
        listed = key == "coding"
        if code.__class__ is not str and not listed:
            return  # an element named `code` of its own: a CodeableConcept of a component, found below
        if at.startswith("/meta/security/"):
            return
        if not isinstance(code, str | None) or not isinstance(system, str | None):
            self.malformed.append(at)
        coding = Coding(system if isinstance(system, str) else None, code if isinstance(code, str) else None)
        self.codings.append(CodingAt(at, coding, listed))

    def _reference(self, node: dict[str, Any], at: str, key: str) -> None:
        reference, kind, identifier = node.get("reference"), node.get("type"), node.get("identifier")
        if isinstance(reference, dict) or (isinstance(reference, list) and all(isinstance(e, dict) for e in reference)):
            return  # an element named `reference` of its own, found below: Consent.provision.data, Contract's subject
        if not isinstance(reference, str | None) or ("reference" in node and reference is None):
            self.malformed.append(at)
        named = reference is not None or isinstance(identifier, dict)
        if not named and (key.endswith(_NO_REFERENCES) or not (isinstance(kind, str) or "display" in node)):
            return
        self.references.append(
            ReferenceAt(
                at,
                reference if isinstance(reference, str) else None,
                kind if isinstance(kind, str) else None,
                _identifier(identifier),
            )
        )


def _is_attachment(node: dict[str, Any], key: str) -> bool:
    if "contentType" in node or ("data" in node and "dimensions" not in node):  # SampledData has dimensions, no base64
        return True
    return "url" in node and (key in _ATTACHMENT_NAMES or key.endswith("Attachment"))


def _identifier(node: object) -> Identifier | None:
    if not isinstance(node, dict) or not isinstance(node.get("value"), str):
        return None
    return Identifier(system_of(node), node["value"])
