"""Where a record comes from, and what the records it refers to say of it: the context in which it is labelled.

Rules of this file
1. A record's sources are the organisations it names as makers or holders, its encounter's among them, and the
   discloser where it is itself a Part 2 program, or a provider and the record names nobody.
2. The directory says what a source is; an organisation nobody registered is unknown, one that cannot be resolved is
   unresolved, and that is sensitive where the profile says so.
3. A record means what the drug or substance it points at means: labels of referenced Medications count as its own.
"""

from collections.abc import Iterator

from consent_store.model import Identifier
from gateway.decision.facts import Facts
from gateway.directory.lookups import by_identifier, by_reference
from gateway.directory.model import Participant
from gateway.fhir.origins import encounter_references, source_references
from gateway.fhir.references import Foreign, Local, Logical
from gateway.fhir.resolver import Resolved, Resolver
from gateway.fhir.view import ReferenceAt, ResourceView
from gateway.labels.assign import assign
from gateway.labels.context import LabelContext, Source, SourceKind
from gateway.labels.model import Basis, Label
from gateway.labels.rules import LabelRules

_BY_WHAT_THEY_ARE = frozenset({"Medication", "Substance"})


class Sources:
    """Finds sources and referenced substances within one document and its context."""

    def __init__(self, facts: Facts, rules: LabelRules, resolver: Resolver) -> None:
        self.facts, self.rules, self.resolver = facts, rules, resolver

    def label_context(self, view: ResourceView) -> LabelContext:
        """Give the context in which one resource is labelled."""
        return LabelContext(tuple(self._sources(view)), tuple(self._substances(view)))

    def _sources(self, view: ResourceView) -> Iterator[Source]:
        discloser, policy = self.facts.exchange.discloser, self.facts.policy
        if view.type in policy.no_patient_types:
            return
        if discloser.part2_program:
            yield Source("", SourceKind.PART2, discloser.id)
        named = False
        for at, holder in ((None, view), *self._encounters(view)):
            for found in source_references(holder):
                kind, participant = self._kind(holder, found)
                if kind is not None:
                    named = True
                    yield Source(found.at if at is None else at, kind, participant)
        provider = "health_care_provider" in policy.kinds_of(discloser.type)
        if not named and provider and not discloser.part2_program:
            yield Source("", SourceKind.NOT_PART2, discloser.id)

    def _encounters(self, view: ResourceView) -> Iterator[tuple[str, ResourceView]]:
        for found in encounter_references(view):
            yield from ((found.at, target) for target in self.resolver.resolve(view, found).views)

    def _kind(self, view: ResourceView, found: ReferenceAt) -> tuple[SourceKind | None, str]:
        """Say what the source behind one reference is; None where it names no organisation (a person, a device)."""
        resolved = self.resolver.resolve(view, found)
        registered = self.registered(found, resolved)
        if registered:
            program = next((party for party in registered if party.part2_program), None)
            return (SourceKind.PART2 if program else SourceKind.NOT_PART2), (program or registered[0]).id
        for target in resolved.views:
            if target.type == "PractitionerRole":
                return self._organisation_of(target)
            if target.type == "Organization":
                return SourceKind.UNREGISTERED, ""
        if "Organization" in (type_named(resolved), found.type):
            return SourceKind.UNKNOWN, ""
        if isinstance(resolved.target, Logical) and found.identifier is not None and found.type is None:
            return SourceKind.UNREGISTERED, ""
        return None, ""

    def _organisation_of(self, role: ResourceView) -> tuple[SourceKind | None, str]:
        for found in role.references:
            if found.at == "/organization":
                return self._kind(role, found)
        return None, ""

    def registered(self, found: ReferenceAt, resolved: Resolved) -> tuple[Participant, ...]:
        """Give the participants that a reference names, by reference or by identifier."""
        directory = self.facts.directory
        identifiers = [found.identifier] if found.identifier else []
        for view in resolved.views:
            identifiers += identifiers_of(view)
        parties = [by_identifier(directory, identifier) for identifier in identifiers]
        if isinstance(resolved.target, Local):
            parties.append(by_reference(directory, resolved.target.text))
        elif isinstance(resolved.target, Foreign) and found.reference:
            parties.append(by_reference(directory, found.reference))
        return tuple(party for party in parties if party is not None)

    def _substances(self, view: ResourceView) -> Iterator[Label]:
        for found in view.references:
            for target in self.resolver.resolve(view, found).views:
                if target.type not in _BY_WHAT_THEY_ARE or target is view:
                    continue
                for label in assign(target, LabelContext(), self.rules).labels:
                    if label.basis is not Basis.DEFAULT:
                        yield Label(label.kind, label.system, label.code, Basis.CONTEXT, found.at, label.source)


def type_named(resolved: Resolved) -> str | None:
    """Give the resource type that a reference names or leads to, as far as it says one."""
    kind: str | None = getattr(resolved.target, "type", None)
    return kind or (resolved.views[0].type if resolved.views else None)


def identifiers_of(view: ResourceView) -> list[Identifier]:
    """Give the business identifiers of a resource that have a system and a value."""
    found = view.tree.get("identifier")
    items = found if isinstance(found, list) else []
    return [
        Identifier(item["system"], item["value"])
        for item in items
        if isinstance(item, dict) and isinstance(item.get("system"), str) and isinstance(item.get("value"), str)
    ]
