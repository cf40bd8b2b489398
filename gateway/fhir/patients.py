"""Every patient that a resource names, at any depth, or that it cannot be told (L007, L008, L010).

Rules of this file
1. Compartments are not relied on: every reference is read, in known elements and unknown ones (L010).
2. A reference that is, or may be, to a patient and cannot be resolved to one makes the patients unknown: withheld.
3. A resource that names no patient is unknown too, unless its type is one that never has a patient.
4. RelatedPerson, Person and Group stand for patients: they are looked through inside the document; those that are not
   in it are listed in `unresolved`, so that the caller can fetch them and ask again with them in the document.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from consent_store.identifier_systems import system_of
from consent_store.model import Identifier, PatientKey
from gateway.fhir.elements import Elements
from gateway.fhir.references import Conditional, Foreign, Local, Logical, Target, Urn
from gateway.fhir.resolver import Resolved, Resolver
from gateway.fhir.view import ResourceView, every_view
from gateway.fhir.walk import ReferenceAt, TextAt


class PatientsNamed(msgspec.Struct, frozen=True):
    """The patients a resource names, sorted, and whether there may be others. `why` names the pointers of what could
    not be resolved (the resource itself where it names nobody); `unresolved` what might be fetched to tell more."""

    keys: tuple[PatientKey, ...]
    unknown: bool
    why: tuple[str, ...] = ()
    unresolved: tuple[Local, ...] = ()


# Types that hold nothing of a patient in R4: who provides, what is known, what is defined. Of these a resource without
# a patient is about nobody; of every other it is about somebody we do not know. Device and Substance instances are not
# here: a device may be a patient's.
NO_PATIENT_TYPES: Final = frozenset(
    (
        "ActivityDefinition",
        "CapabilityStatement",
        "CatalogEntry",
        "ChargeItemDefinition",
        "CodeSystem",
        "CompartmentDefinition",
        "ConceptMap",
        "DeviceDefinition",
        "EffectEvidenceSynthesis",
        "Endpoint",
        "EventDefinition",
        "Evidence",
        "EvidenceVariable",
        "ExampleScenario",
        "GraphDefinition",
        "HealthcareService",
        "ImplementationGuide",
        "InsurancePlan",
        "Library",
        "Location",
        "Measure",
        "Medication",
        "MedicationKnowledge",
        "MessageDefinition",
        "NamingSystem",
        "ObservationDefinition",
        "OperationDefinition",
        "OperationOutcome",
        "Organization",
        "OrganizationAffiliation",
        "PlanDefinition",
        "Practitioner",
        "PractitionerRole",
        "Questionnaire",
        "ResearchDefinition",
        "ResearchElementDefinition",
        "RiskEvidenceSynthesis",
        "SearchParameter",
        "SpecimenDefinition",
        "StructureDefinition",
        "StructureMap",
        "Substance",
        "TerminologyCapabilities",
        "ValueSet",
    )
)
# Types that stand for patients, by the pointers under which they say which.
STAND_INS: Final[Mapping[str, str]] = {"RelatedPerson": "/patient", "Person": "/link/", "Group": "/member/"}
# Types that are about what they point at and have no patient element of their own.
ABOUT_OTHERS: Final[Mapping[str, str]] = {
    "Binary": "/securityContext",
    "EnrollmentResponse": "/request",
    "MessageHeader": "/focus/",
    "Provenance": "/target/",
}
# A container is about what is in it.
_CONTAINERS: Final = frozenset(("Bundle", "Parameters"))
# An element is about the patient where it has one of these names, or where all its targets are of these types.
_SUBJECT_NAMES: Final = frozenset(("subject", "patient", "for", "beneficiary", "individual", "candidate"))
_SUBJECTS: Final = frozenset(("Patient", "Group", "Device", "Location", "Medication", "Substance"))


def patients_named(
    view: ResourceView,
    resolver: Resolver,
    elements: Elements,
    *,
    source: str = "",
    identifiers: Mapping[Identifier, PatientKey] = {},
    container: PatientsNamed | None = None,
) -> PatientsNamed:
    """Give every patient that a resource and what is inside it name.

    `source` names whose ids local references are. `identifiers` gives the patients known by a business identifier.
    An inner resource may be asked about by itself; a contained one that names nobody is about whom its container
    names (`container`, where that was asked before). Never raises for a view that `resolver` knows.
    """
    search = _Search(resolver, elements, source, identifiers)
    search.read(view)
    if not search.keys and not search.why and resolver.is_contained(view):
        if container is None:
            search.read(resolver.container(view))
        elif container.keys or container.unknown:
            return container
    if not search.keys and not search.why and _about_somebody(view):
        search.why.append(view.at)
    unresolved = sorted(search.unresolved, key=lambda target: target.text)
    keys = sorted(search.keys, key=lambda key: (key.source, key.id))
    return PatientsNamed(tuple(keys), bool(search.why), tuple(dict.fromkeys(search.why)), tuple(unresolved))


def patients_by_part(
    view: ResourceView,
    part_of: Callable[[str], str],
    resolver: Resolver,
    elements: Elements,
    *,
    source: str = "",
    identifiers: Mapping[Identifier, PatientKey] = {},
) -> Mapping[str, frozenset[PatientKey]] | None:
    """Give the patients that each part of a resource names, by its references and addresses; `part_of` says in which
    part a pointer lies. None where somebody whom it may name is not known."""
    found: dict[str, _Search] = {}

    def search(at: str) -> _Search:
        return found.setdefault(part_of(at), _Search(resolver, elements, source, identifiers))

    for reference in view.references:
        search(reference.at).reference(view, reference)
    for link in view.links:
        search(link.at).address(view, link)
    if view.inner or any(one.why for one in found.values()):
        return None
    return {part: frozenset(one.keys) for part, one in found.items()}


def _about_somebody(view: ResourceView) -> bool:
    if view.type in _CONTAINERS:
        return any(_about_somebody(inner) for inner in view.inner)
    return view.type not in NO_PATIENT_TYPES


class _Where(msgspec.Struct, frozen=True):
    """Where a Reference stands: its pointer in the document, whether a patient may be there, whether it is the one
    the resource is about."""

    at: str
    patient: bool
    subject: bool


class _Search:
    """One question. `seen` ends circles."""

    def __init__(
        self, resolver: Resolver, elements: Elements, source: str, identifiers: Mapping[Identifier, PatientKey]
    ) -> None:
        self.resolver = resolver
        self.elements = elements
        self.source = source
        self.identifiers = identifiers
        self.keys: set[PatientKey] = set()
        self.why: list[str] = []
        self.unresolved: set[Local] = set()
        self.seen: set[str] = set()

    def read(self, whole: ResourceView) -> None:
        """Take a resource and what is inside it: itself if it is a patient, its references, its addresses."""
        for view in every_view(whole):
            if view.at in self.seen:
                continue
            self.seen.add(view.at)
            if not self.elements.is_resource(view.type):
                self.why.append(f"{view.at}/resourceType")
            if view.type == "Patient":
                self.patient(view)
            for reference in view.references:
                self.reference(view, reference)
            for link in view.links:
                self.address(view, link)

    def patient(self, view: ResourceView) -> None:
        """Take a Patient resource: by its identity, or by an identifier where it has none here."""
        match self.resolver.identity(view):
            case Local(_, identity) | Urn(identity):
                self.keys.add(PatientKey(self.source, identity))
            case _:
                known = {self.identifiers[each] for each in _identifiers(view) if each in self.identifiers}
                self.keys |= known
                if not known:
                    self.why.append(view.at)

    def reference(self, view: ResourceView, element: ReferenceAt) -> None:
        """Take one Reference element."""
        resolved = self.resolver.resolve(view, element)
        where = self.where(view, element)
        if resolved.crowded:
            self.why.append(where.at)
        elif isinstance(resolved.target, Logical):
            self.logical(resolved.target, where)
        elif (about := ABOUT_OTHERS.get(view.type)) and element.at.startswith(about):
            self.about(resolved, where)
        elif resolved.views:
            self.found(resolved, where)
            if isinstance(resolved.target, Local) and resolved.target.type == "Patient":  # also where the entry's own
                self.keys.add(PatientKey(self.source, resolved.target.id))  # id is another than its fullUrl says
        else:
            self.literal(resolved.target, where)
        if _says_patient(element.type) and not _leads_to_patient(resolved):
            self.why.append(where.at)

    def where(self, view: ResourceView, element: ReferenceAt) -> _Where:
        """Tell what may stand at a Reference, by the element table; what it does not know may be anything."""
        targets = self.elements.reference_targets(view.type, element.at)
        patient = targets is None or "Patient" in targets or _says_patient(element.type)
        name = element.at.rstrip("/0123456789").rpartition("/")[2]
        subject = name in _SUBJECT_NAMES or (targets is not None and targets <= _SUBJECTS)
        return _Where(view.at + element.at, patient, patient and subject)

    def logical(self, target: Logical, where: _Where) -> None:
        """Take a reference by identifier: a patient we know by it; else in doubt where the resource is about it."""
        known = self.identifiers.get(target.identifier) if target.identifier else None
        if known is not None and where.patient:
            self.keys.add(known)
        elif _says_patient(target.type) or (where.subject and self.doubtful(target.type, where)):
            self.why.append(where.at)

    def literal(self, target: Target, where: _Where) -> None:
        """Take a literal reference to what is not in the document."""
        if isinstance(target, Local) and target.type == "Patient":
            self.keys.add(PatientKey(self.source, target.id))
            return
        if isinstance(target, Local) and target.type in STAND_INS:
            self.unresolved.add(Local(target.type, target.id))
        # A urn or `#id` that is not there, a URL of no known form and text that is no reference say no type.
        kind = target.type if isinstance(target, Local | Foreign | Conditional) else None
        if self.doubtful(kind, where):
            self.why.append(where.at)

    def found(self, resolved: Resolved, where: _Where) -> None:
        """Take what a reference leads to in the document: a patient, or whom a stand-in stands for."""
        for view in resolved.views:
            if view.type == "Patient":
                self.patient(view)
            elif view.type in STAND_INS and view.at not in self.seen:
                self.seen.add(view.at)
                for reference in view.references:
                    if reference.at.startswith(STAND_INS[view.type]):
                        self.reference(view, reference)
            elif not self.elements.is_resource(view.type) and where.patient:
                self.why.append(where.at)

    def about(self, resolved: Resolved, where: _Where) -> None:
        """Take the patients of what a resource without a patient of its own is about."""
        for view in resolved.views:
            self.read(view)
        target = resolved.target
        kind = target.type if isinstance(target, Local | Foreign) else None
        if resolved.views or kind in NO_PATIENT_TYPES:
            return
        if isinstance(target, Local) and kind == "Patient":
            self.literal(target, where)
            return
        self.why.append(where.at)
        if isinstance(target, Local):
            self.unresolved.add(Local(target.type, target.id))

    def address(self, view: ResourceView, link: TextAt) -> None:
        """Take an address (uri, url, canonical): only one that has the form of a patient's."""
        resolved = self.resolver.resolve_text(view, link.text)
        where = _Where(view.at + link.at, patient=False, subject=False)
        if resolved.crowded:
            self.why.append(where.at)
        elif resolved.views:
            self.found(resolved, where)
        elif isinstance(resolved.target, Local | Foreign | Conditional) and resolved.target.type == "Patient":
            self.literal(resolved.target, where)

    def doubtful(self, kind: str | None, where: _Where) -> bool:
        """Say whether something unresolved that claims to be of this type may be a patient, or stand for one."""
        if kind == "Patient" or kind in STAND_INS:
            return kind == "Patient" or where.subject
        return where.patient and (kind is None or not self.elements.is_resource(kind))


def _says_patient(kind: str | None) -> bool:
    return kind is not None and kind.rpartition("/")[2] == "Patient"


def _leads_to_patient(resolved: Resolved) -> bool:
    """Whether a reference that says it is to a patient is, or was already found in doubt."""
    if resolved.views:
        return all(view.type == "Patient" for view in resolved.views)
    return not isinstance(resolved.target, Local) or resolved.target.type == "Patient"


def _identifiers(view: ResourceView) -> Iterable[Identifier]:
    listed = view.tree.get("identifier")
    for item in listed if isinstance(listed, list) else ():
        value = item.get("value") if isinstance(item, dict) else None
        if isinstance(value, str) and isinstance(item.get("system"), str | None):
            yield Identifier(system_of(item), value)
