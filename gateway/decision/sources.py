"""Where a record comes from, and what the records it refers to say of it: the context in which it is labelled.

Rules of this file
1. A record's sources are the organisations it names as makers or holders, its encounter's among them, and the
   discloser where it is itself a Part 2 program, or a provider and the record names nobody.
2. The directory says what a source is; an organisation nobody registered is unknown, one that cannot be resolved is
   unresolved, and that is sensitive where the profile says so.
3. A record means what the drug or substance it points at means: labels of referenced Medications count as its own.
"""

from collections.abc import Iterator
from functools import cached_property

from consent_store.model import Identifier
from gateway.decision.consents import Relations
from gateway.decision.facts import Facts
from gateway.directory.lookups import by_identifier, by_reference
from gateway.directory.model import Participant
from gateway.fhir.dates import source_references
from gateway.fhir.elements import Elements
from gateway.fhir.references import Kind, Resolver
from gateway.fhir.view import ReferenceAt, ResourceView
from gateway.labels.assign import LabelContext, SourceKind, SourceOf

_BY_WHAT_THEY_ARE = frozenset({"Medication", "Substance"})


class Sources:
    """Finds sources and referenced substances within one document and its context."""

    def __init__(self, facts: Facts, elements: Elements, resolver: Resolver, views: tuple[ResourceView, ...]) -> None:
        self.facts, self.elements, self.resolver, self.views = facts, elements, resolver, views

    @cached_property
    def relations(self) -> Relations:
        """Who is who, as document and context show it."""
        return Relations.of(self.views, self.facts.directory)

    def label_context(self, view: ResourceView) -> LabelContext:
        """Give the context in which one resource is labelled."""
        return LabelContext(sources=tuple(self._sources(view)), referred=tuple(self._substances(view)))

    def _sources(self, view: ResourceView) -> Iterator[SourceOf]:
        discloser = self.facts.exchange.discloser
        if discloser.part2_program and view.type not in self.facts.policy.no_patient_types:
            yield SourceOf("", SourceKind.PART2, discloser.id)
        named = False
        for holder in (view, *self._encounter(view)):
            for found in source_references(holder):
                kind, participant = self._kind(found, holder)
                if kind is not None:
                    named = True
                    yield SourceOf("" if holder is not view else found.at, kind, participant)
        provider = "health_care_provider" in self.facts.policy.kinds_of(discloser.type)
        if not named and provider and not discloser.part2_program:
            yield SourceOf("", SourceKind.NOT_PART2, discloser.id)

    def _encounter(self, view: ResourceView) -> Iterator[ResourceView]:
        for found in view.references:
            if found.at in ("/encounter", "/context", "/item/0/encounter/0"):
                target = self.resolver.resolve(found, view).view
                if target is not None and target.type == "Encounter":
                    yield target

    def _kind(self, found: ReferenceAt, view: ResourceView) -> tuple[SourceKind | None, str]:
        """Say what the source behind one reference is; None where it names no organisation (a person, a device)."""
        target = self.resolver.resolve(found, view)
        participant = self._registered(found, target.view)
        if participant is not None:
            return (SourceKind.PART2 if participant.part2_program else SourceKind.NOT_PART2), participant.id
        if target.view is not None and target.view.type == "PractitionerRole":
            return self._organisation_of(target.view)
        if target.type == "Organization" or found.type == "Organization":
            return (SourceKind.UNREGISTERED if target.view is not None else SourceKind.UNRESOLVED), ""
        if target.kind is Kind.LOGICAL and found.identifier is not None and found.type is None:
            return SourceKind.UNREGISTERED, ""
        return None, ""

    def _organisation_of(self, role: ResourceView) -> tuple[SourceKind | None, str]:
        for found in role.references:
            if found.at == "/organization":
                return self._kind(found, role)
        return None, ""

    def _registered(self, found: ReferenceAt, target: ResourceView | None) -> Participant | None:
        directory = self.facts.directory
        resolved = self.resolver.local_form(found)
        participant = by_reference(directory, resolved) if resolved else None
        identifiers = [found.identifier] if found.identifier else []
        if target is not None:
            identifiers += identifiers_of(target)
        for identifier in identifiers:
            participant = participant or by_identifier(directory, identifier)
        return participant

    def _substances(self, view: ResourceView) -> Iterator[tuple[str, ResourceView]]:
        for found in view.references:
            target = self.resolver.resolve(found, view).view
            if target is not None and target.type in _BY_WHAT_THEY_ARE:
                yield found.at, target


def identifiers_of(view: ResourceView) -> list[Identifier]:
    """Give the business identifiers of a resource that have a system and a value."""
    found = view.tree.get("identifier")
    items = found if isinstance(found, list) else []
    return [
        Identifier(item["system"], item["value"])
        for item in items
        if isinstance(item, dict) and isinstance(item.get("system"), str) and isinstance(item.get("value"), str)
    ]
