"""Where a record comes from, and what the records it refers to say of it: the context in which it is labelled.

Rules of this file
1. A record's sources are the organisations it names as makers or holders, its encounter's among them, what a
   Provenance or meta.source says, and the discloser where it is a Part 2 program, or a provider and nobody is named.
2. The directory says what a source is; an organisation nobody registered is unknown, one that cannot be resolved is
   unresolved, and that is sensitive where the profile says so.
3. A place, service, role, department or person of a program is the program (labels.md section 10).
4. What a record carries of the visit, event or document it belongs to, and of the drug it names: labels.propagation.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from consent_store.identifier_systems import canonical_identifier_system, system_of
from consent_store.model import ACT_CODE, Identifier
from gateway.decision.consents import Relations
from gateway.decision.consents.relations import objects, reference_of, spelled
from gateway.decision.facts import Facts
from gateway.decision.model import Direction
from gateway.decision.program_names import ProgramNames
from gateway.decision.pushed import is_pushed
from gateway.directory.model import Participant
from gateway.fhir.bundle import Bundle
from gateway.fhir.identifiers import IdentifierAt
from gateway.fhir.origins import encounter_references, source_references
from gateway.fhir.pointer import element_path
from gateway.fhir.references import Conditional, Logical, Target
from gateway.fhir.resolver import Resolved, Resolver
from gateway.fhir.view import ResourceView
from gateway.fhir.walk import ReferenceAt
from gateway.labels.assign import PART2, assign
from gateway.labels.context import LabelContext, Source, SourceKind
from gateway.labels.model import Basis, Kind, Label, Labels
from gateway.labels.propagation import Propagation, document_entries
from gateway.labels.received import labels_of
from gateway.labels.rules import LabelRules

# What tells whose a place, service, role, device or department is.
_BEHIND: Final = {
    "CareTeam": ("managingOrganization",),
    "Device": ("owner",),
    "HealthcareService": ("providedBy",),
    "Location": ("managingOrganization", "partOf"),
    "Organization": ("partOf",),
    "OrganizationAffiliation": ("organization", "participatingOrganization"),
    "PractitionerRole": ("organization",),
}
_TELLING: Final = frozenset({"Organization", "PractitionerRole"})
_STEPS: Final = 4  # department, place, service, organisation
# A label on one of these speaks of the whole; a searchset's says no more than the highest of what is in it.
_LABELLED_WHOLE: Final = frozenset({"document", "message"})

_Found = tuple[SourceKind | None, str]
_Names = frozenset[object]
_NOTHING: Final[_Found] = (None, "")


class Sources:
    """Finds sources and referenced substances within one document and its context."""

    def __init__(
        self,
        facts: Facts,
        rules: LabelRules,
        resolver: Resolver,
        relations: Relations,
        views: Sequence[ResourceView] = (),
        bundle: Bundle | None = None,
    ) -> None:
        self.facts, self.rules, self.resolver, self.relations = facts, rules, resolver, relations
        self._roles: dict[object, list[tuple[ResourceView, ReferenceAt]]] = {}
        self._provenances: dict[object, list[ResourceView]] = {}
        self._kinds: dict[tuple[int, str | None, int], tuple[Resolved, _Found]] = {}
        for view in views:
            if view.type == "PractitionerRole":
                self._enter_role(view)
            elif view.type == "Provenance":
                self._enter_provenance(view)
        self._systems = {
            canonical_identifier_system(system): party.id
            for party in facts.directory.participants.values()
            if party.part2_program
            for system in party.identifier_systems
        }
        self._programs = any(party.part2_program for party in facts.directory.participants.values())
        self._called = ProgramNames(facts.directory, facts.exchange.recipient.id)
        labels = bundle.security if bundle is not None and bundle.type in _LABELLED_WHOLE else ()
        self._bundle_is_part2 = any(_says_part2(labels_of(coding, "")) for coding in labels) or self._signed_by(bundle)
        self._propagation = Propagation(
            resolver,
            self._own_labels,
            document_entries(bundle, views),
            lambda view, found: self.resolve(view, found).views,
            lambda view, found: bool(self.registered(view, found)),
        )
        self._propagation.enter_attachments(views)

    def _signed_by(self, bundle: Bundle | None) -> bool:
        """Say whether a program signed the whole."""
        if bundle is None or not bundle.signed:
            return False
        signature = msgspec.json.decode(bundle.raw).get("signature")
        named = [reference_of(one.get(name)) for one in objects(signature) for name in ("who", "onBehalfOf")]
        keys = [self.relations.key(one.reference) for one in named]
        ids = [self.relations.participant_identifiers.get(one.identifier) for one in named if one.identifier]
        parties = [self._party(key) for key in keys] + [self.facts.directory.participants[i] for i in ids if i]
        return any(party is not None and party.part2_program for party in parties)

    def _enter_role(self, role: ResourceView) -> None:
        by_path = {element_path(found.at): found for found in role.references}
        if "practitioner" in by_path and "organization" in by_path and not is_pushed(role):
            for name in self._names(role, by_path["practitioner"]):
                self._roles.setdefault(name, []).append((role, by_path["organization"]))

    def _enter_provenance(self, view: ResourceView) -> None:
        for found in view.references:
            if element_path(found.at) == "target":
                for name in self._names(view, found):
                    self._provenances.setdefault(name, []).append(view)

    def _names(self, view: ResourceView, found: ReferenceAt) -> _Names:
        """Give what a reference's target is found by here: the resources themselves, and the text they go by."""
        resolved = self.resolve(view, found)
        text = spelled(resolved.target)
        return frozenset(map(id, resolved.views)) | ({text} if text is not None else frozenset())

    # What a record is labelled in ------------------------------------------------------------------------------------
    def label_context(self, view: ResourceView) -> LabelContext:
        """Give the context in which one resource is labelled."""
        sources = () if view.type in self.facts.policy.no_patient_types else tuple(self._sources(view))
        return LabelContext(sources, (*self._of_the_document(view), *self._propagation.labels(view)))

    def _own_labels(self, view: ResourceView) -> Labels:
        """Give the labels of a record before propagation."""
        sources = () if view.type in self.facts.policy.no_patient_types else tuple(self._sources(view))
        return assign(view, LabelContext(sources), self.rules)

    def _sources(self, view: ResourceView) -> Iterator[Source]:
        discloser = self.facts.exchange.discloser
        if discloser.part2_program:
            yield Source("", SourceKind.PART2, discloser.id)
        named = False
        for at, holder in ((None, view), *self._encounters(view)):
            for found in source_references(holder):
                kind, participant = self.kind(holder, found)
                if kind is not None:
                    named = True
                    yield Source(found.at if at is None else at, kind, participant)
        yield from (Source("", SourceKind.PART2, program) for program in self._told(view))
        provider = "health_care_provider" in self.facts.policy.kinds_of(discloser.type)
        if not named and provider and not discloser.part2_program:
            yield Source("", SourceKind.NOT_PART2, discloser.id)

    def _told(self, view: ResourceView) -> Iterator[str]:
        """Give the programs that a Provenance of the record or its meta.source names; of a record whose Provenances
        nobody can read, each program that may have made it."""
        name = spelled(self.resolver.identity(view))
        if name in self.facts.untraced:
            yield from (party.id for party in self.facts.directory.participants.values() if party.part2_program)
        for provenance in (*self._provenances.get(id(view), ()), *self._provenances.get(name, ())):
            for found in source_references(provenance):
                kind, participant = self.kind(provenance, found)
                if kind is SourceKind.PART2:
                    yield participant
        meta = view.tree.get("meta")
        source = meta.get("source") if isinstance(meta, dict) else None
        if isinstance(source, str):
            program = self._party(self.relations.key(source.partition("#")[0]))
            if program is not None and program.part2_program:
                yield program.id

    def written_by_discloser(self, view: ResourceView) -> bool:
        """Say whether a record names the discloser, and nobody else registered, as its source."""
        named = {party.id for found in source_references(view) for party in self.registered(view, found)}
        return named == {self.facts.exchange.discloser.id}

    def came_from(self, view: ResourceView) -> frozenset[str]:
        """Give the participants from whom a Provenance shows that a record came; a sender's own word is none, now or
        when it is read again (L080)."""
        name = spelled(self.resolver.identity(view))
        if name in self.facts.untraced:
            return frozenset()
        pushed = self.facts.exchange.direction is Direction.PUSH
        shown = (*self._provenances.get(id(view), ()), *self._provenances.get(name, ()))
        return frozenset(
            party.id
            for provenance in shown
            if (not pushed or provenance.at.startswith("/context/")) and not is_pushed(provenance)
            for found in source_references(provenance)
            for party in self.registered(provenance, found)
        )

    def _encounters(self, view: ResourceView) -> Iterator[tuple[str, ResourceView]]:
        for found in encounter_references(view):
            yield from ((found.at, target) for target in self.resolve(view, found).views)

    def _of_the_document(self, view: ResourceView) -> Iterator[Label]:
        """Give the Part 2 tag of the document that a record stands in."""
        if self._bundle_is_part2 and view.type not in self.facts.policy.no_patient_types:
            yield Label(Kind.POLICY, ACT_CODE, PART2, Basis.CONTEXT, "", "label of the document")

    # What a reference names ------------------------------------------------------------------------------------------
    def mentions(self, view: ResourceView) -> dict[str, str]:
        """Give the references of a record that name a Part 2 program, or someone of one, without being its source, the
        texts that have a program's name, and the numbers that a program gave: pointer → which (see `Source`). They tell
        that the patient has to do with it (labels.md section 10)."""
        if not self._programs:
            return {}
        own = {found.at for found in source_references(view)}
        found_here = ((found.at, self.kind(view, found)) for found in view.references if found.at not in own)
        named = {at: participant for at, (kind, participant) in found_here if kind is SourceKind.PART2}
        at_references = tuple(f"{found.at}/" for found in view.references)
        named |= {at: told for at, told in self._called.in_texts(view) if not at.startswith(at_references)}
        if not (named or self._systems):
            return {}
        found_numbers = view.identifiers
        numbers = {one.at: program for one in found_numbers if (program := self._giver(one, named))}
        assigners = {one.assigner for one in found_numbers}
        return {at: program for at, program in named.items() if at not in assigners} | numbers

    def _giver(self, number: IdentifierAt, named: Mapping[str, str]) -> str | None:
        """Give the program that gave a number: by its assigner, or by its system."""
        return named.get(number.assigner) or self._systems.get(system_of(number.node) or "")

    def kind(self, view: ResourceView, found: ReferenceAt, steps: int = _STEPS) -> _Found:
        """Say what the source behind one reference is, and which participant ("" unknown); None for a reference that
        names no organisation (a person of whom no role is known, a patient's device)."""
        known = self._known_kind(view, found, steps)
        if not self._called or known[0] is SourceKind.PART2:
            return known
        if not known[1] or not self.registered(view, found):  # what is behind it may be registered, and not itself
            called = self._called.of_reference(view, found, self.resolve(view, found).views)
            return (SourceKind.PART2, called) if called is not None else known
        return known

    def _known_kind(self, view: ResourceView, found: ReferenceAt, steps: int) -> _Found:
        if found.identifier is not None:
            return self._kind(view, found, steps)
        # Then it rests on what the text leads to alone, which for the same text is the same value.
        resolved = self.resolver.resolve(view, found)
        key = (id(resolved), found.type, steps)
        if key not in self._kinds:
            self._kinds[key] = (resolved, self._kind(view, found, steps))
        return self._kinds[key][1]

    def _kind(self, view: ResourceView, found: ReferenceAt, steps: int) -> _Found:
        registered = self.registered(view, found)
        if registered:
            program = next((party for party in registered if party.part2_program), None)
            return (SourceKind.PART2 if program else SourceKind.NOT_PART2), (program or registered[0]).id
        resolved = self.resolve(view, found)
        behind = list(self._behind(resolved, steps)) if steps else []
        program_behind = next((one for one in behind if one[0] is SourceKind.PART2), None)
        if program_behind is None and any(target.type == "Organization" for target in resolved.views):
            return SourceKind.UNREGISTERED, ""
        if behind:
            return program_behind or behind[0]
        return self._role(self._names(view, found), steps) or self._unresolved(found, resolved)

    def _unresolved(self, found: ReferenceAt, resolved: Resolved) -> _Found:
        if not resolved.views and not _TELLING.isdisjoint((type_named(resolved), found.type)):
            return SourceKind.UNKNOWN, ""
        if isinstance(resolved.target, Logical) and found.identifier is not None and found.type is None:
            return SourceKind.UNREGISTERED, ""
        return _NOTHING

    def _behind(self, resolved: Resolved, steps: int) -> Iterator[_Found]:
        for target in resolved.views:
            paths = _BEHIND.get(target.type, ())
            for found in target.references:
                if element_path(found.at) in paths and (said := self.kind(target, found, steps - 1)) != _NOTHING:
                    yield said

    def _role(self, names: _Names, steps: int) -> _Found | None:
        """Say what a person works for: a program's, where every known role is at one; in doubt, where some are, or
        where they are too many to read."""
        if not names.isdisjoint(self.facts.untraced):
            return SourceKind.UNKNOWN, ""
        roles = [role for name in names for role in self._roles.get(name, ())] if steps else []
        kinds = [(self.kind(role, organization, steps - 1), role) for role, organization in roles]
        programs = [one for one, _ in kinds if one[0] is SourceKind.PART2]
        if not programs:
            return None
        # What stands inside another record has no mark of who wrote it: it may add a program, and take none away.
        elsewhere = [role for one, role in kinds if one[0] is not SourceKind.PART2]
        return programs[0] if all(map(self.resolver.is_contained, elsewhere)) else (SourceKind.UNKNOWN, "")

    def resolve(self, view: ResourceView, found: ReferenceAt) -> Resolved:
        """Give what a reference leads to; one that gives an identifier in place of an id, by that."""
        resolved = self.resolver.resolve(view, found)
        identifier = None if resolved.views else _identifier(found, resolved.target)
        if identifier is None:
            return resolved
        named = (self.relations.resources[key] for key in sorted(self.relations.identified.get(identifier, ())))
        kind = type_named(resolved) or found.type
        return Resolved(resolved.target, tuple(one for one in named if kind in (None, one.type)))

    def registered(self, view: ResourceView, found: ReferenceAt) -> tuple[Participant, ...]:
        """Give the participants that a reference names, by reference or by identifier."""
        resolved = self.resolve(view, found)
        identifiers = [identifier] if (identifier := _identifier(found, resolved.target)) is not None else []
        identifiers += [found.identifier] if found.identifier is not None else []
        identifiers += [one for target in resolved.views for one in identifiers_of(target)]
        ids = [self.relations.participant_identifiers.get(one) for one in identifiers if one.system is not None]
        parties = [self._party(spelled(resolved.target)), *(self.facts.directory.participants[i] for i in ids if i)]
        return tuple({party.id: party for party in parties if party is not None}.values())

    def _party(self, key: str | None) -> Participant | None:
        known = self.relations.participants.get(key) if key is not None else None
        return self.facts.directory.participants[known] if known is not None else None


def _identifier(found: ReferenceAt, target: Target) -> Identifier | None:
    """Give the business identifier that stands in place of an id: of a logical reference, or of a conditional one."""
    if isinstance(target, Logical):
        return found.identifier
    if not isinstance(target, Conditional):
        return None
    values = [value for name, value in parse_qsl(target.query, keep_blank_values=True) if name == "identifier"]
    system, bar, value = values[0].partition("|") if len(values) == 1 else ("", "", "")
    return Identifier(system, value) if bar and system and value else None


def _says_part2(labels: Iterable[Label]) -> bool:
    return any(label.kind is Kind.POLICY and label.code == PART2 for label in labels)


def type_named(resolved: Resolved) -> str | None:
    """Give the resource type that a reference names or leads to, as far as it says one."""
    kind: str | None = getattr(resolved.target, "type", None)
    return kind or (resolved.views[0].type if resolved.views else None)


def identifiers_of(view: ResourceView) -> list[Identifier]:
    """Give the business identifiers of a resource that have a system and a value."""
    found = view.tree.get("identifier")
    items = found if isinstance(found, list) else []
    return [
        Identifier(system, item["value"])
        for item in items
        if isinstance(item, dict) and isinstance(item.get("value"), str) and (system := system_of(item)) is not None
    ]
