"""What must be gathered before a document can be judged: whose consents, and which records it refers to.

Rules of this file
1. First round: everything the document refers to on this server that it does not hold. Then only what says where a
   gathered record comes from (organisations, its encounter and that one's organisations), what it carries labels of
   (labels.propagation), what it goes with (decision.residue), its patients and drugs.
2. Where a rule asks where records came from, their Provenances and the roles of those they name: these point, and are
   not pointed at. Nothing is fetched here; what is no `Type/id` on this server is never fetched (L073).
3. Consents name parties (groups, teams, roles, organisations) and records by relation: these are gathered for the
   consents alone, at most so many; what is left out cannot be told, so it permits nothing and stops no deny.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

import msgspec

from consent_store.model import Consent, Meaning, PatientKey, Provision, Reference, Status, Unreadable
from gateway.decision.model import Exchange
from gateway.decision.residue import standing_on
from gateway.decision.rules import in_force
from gateway.directory.model import Directory
from gateway.fhir.bundle import Document
from gateway.fhir.elements import Elements
from gateway.fhir.origins import SUBJECTS, VISITS, source_paths, source_references
from gateway.fhir.references import Base, Local, names_in, parse
from gateway.fhir.resolver import Resolved, Resolver
from gateway.fhir.search_parameters import SearchParameters
from gateway.fhir.view import ResourceView
from gateway.fhir.walk import ReferenceAt
from gateway.labels.propagation import addresses, carrying
from gateway.policy.model import Condition, Policy

# Consents are policy input, read from the consent store; what people wrote about others' reading is never context.
_NEVER_CONTEXT = frozenset({"Consent", "AuditEvent", "Provenance", "Binary"})
# Who may stand behind a party of a Consent, and who shows it.
_PARTIES: Final = frozenset({"Group", "CareTeam", "PractitionerRole", "Organization", "Practitioner"})
_SIGNERS: Final = frozenset({"RelatedPerson"})
MOST_NAMED: Final = 500
"""Records gathered because the texts of one record, the consents of one patient, or one group name them: never counted
over a page, where what is withheld would count against the rest."""


class Needs(msgspec.Struct, frozen=True):
    """Ids to fetch, by resource type. Empty: nothing is missing."""

    by_type: Mapping[str, frozenset[str]]

    def of(self, type_: str) -> frozenset[str]:
        """Give the ids of one type."""
        return self.by_type.get(type_, frozenset())


def first_round(views: Iterable[ResourceView], resolver: Resolver) -> Needs:
    """Give what the document refers to and does not hold, by reference or by its name in a text: only of what is known
    can it be told whether a text that names it may be released (leaks.md L032)."""
    listed = list(views)
    everything = (inner for view in listed for inner in _with_inner(view))
    referred = _missing(((found, inner) for inner in everything for found in inner.references), resolver)
    named = (one for view in listed for one in islice(_written(view), MOST_NAMED))
    written = _absent(resolver.resolve_text(inner, name) for inner, name in named)
    return Needs({name: referred.of(name) | written.of(name) for name in (*referred.by_type, *written.by_type)})


def attached(document: Document, own: frozenset[Base]) -> frozenset[str]:
    """Give the ids of the Binaries of this server that attachments in a document name and it does not hold: what they
    say of themselves, the record that attaches them is (labels.propagation, L052)."""
    resolver: Resolver | None = None
    found = set()
    for view in document.views:
        for inner in _with_inner(view):
            for _, text in addresses(inner):
                resolver = resolver or Resolver(document, own)
                resolved = resolver.resolve_text(inner, text)
                target = resolved.target
                if isinstance(target, Local) and target.type == "Binary" and not resolved.views:
                    found.add(target.id)
    return frozenset(found)


def beside(type_: str, table: SearchParameters) -> tuple[tuple[str, ...], ...]:
    """Give the `_include`s of a type that lead to what nearly every record of it is decided with, its subject, visit
    and source: alternatives for each element, one of which will do."""
    sources = frozenset(path for kind, path in source_paths() if kind == type_)
    found: dict[tuple[str, ...], list[str]] = {}
    for name, parameter in sorted(table.of(type_).items(), reverse=True):
        steps = {path.rpartition(".")[2] for path in parameter.paths}
        if table.only_references(type_, parameter) and (
            sources.issuperset(parameter.paths) or steps <= SUBJECTS | VISITS
        ):
            found.setdefault(parameter.paths, []).append(f"{type_}:{name}")
    return tuple(tuple(names) for names in found.values())


def provenance_tells(policy: Policy, directory: Directory, exchange: Exchange) -> bool:
    """Say whether a Provenance of a record shows what matters: that a Part 2 program of the directory made it, or
    what a rule in force asks."""
    if any(party.part2_program for party in directory.participants.values()):
        return True
    asked = (one for rule in in_force(policy, directory, exchange) for one in (*rule.needs, *rule.unless))
    return Condition.HH_RECEIVED_SAME_ITEM_FROM_MCO in asked


def practitioners(
    views: Iterable[ResourceView], context: Iterable[ResourceView], own: frozenset[Base]
) -> frozenset[str]:
    """Give the practitioners of this server (`Practitioner/id`) whom a document names, or who say where its context
    comes from: whether they work for a program, their roles tell, which point at them."""
    named = (one for view in views for inner in _with_inner(view) for one in inner.references)
    telling = (one for view in context for one in source_references(view))
    found = (parse(one.reference, own) for one in (*named, *telling) if one.reference)
    return frozenset(f"{one.type}/{one.id}" for one in found if isinstance(one, Local) and one.type == "Practitioner")


def second_round(context: Iterable[ResourceView], resolver: Resolver, elements: Elements) -> Needs:
    """Give what says where gathered records come from, whom they are about, and what they may not outlive. Asked twice:
    the second time it gives the organisations of the encounters that the first time gave."""
    told = ((found, view) for view in context for found in (*_telling(view), *standing_on(view, elements)))
    return _missing(told, resolver)


def named_by(
    consents: Iterable[Consent | Unreadable], source: str, own: frozenset[Base], known: frozenset[str], *, records: bool
) -> Needs:
    """Give what must be seen to tell whom and what the active consents of this server name (consent-semantics sections
    3 and 4): parties, but not those of the directory, `known`; whoever signed for a patient; and with `records` those
    whose own references `related` asks for."""
    found: dict[PatientKey, dict[tuple[Reference, frozenset[str] | None], None]] = {}
    for consent in consents:
        if isinstance(consent, Consent) and consent.status is Status.ACTIVE and consent.patient.source == source:
            found.setdefault(consent.patient, {}).update(dict.fromkeys(_named(consent, records=records)))
    each = (((reference.reference, types) for reference, types in one) for one in found.values())
    return _local(each, own, known)


def members_of(views: Iterable[ResourceView], own: frozenset[Base], known: frozenset[str]) -> Needs:
    """Give who stands behind gathered groups, teams and roles, other than the parties of the directory."""
    shown = (view for view in views if view.type in {"Group", "CareTeam", "PractitionerRole"})
    return _local((((one.reference, _PARTIES) for one in view.references) for view in shown), own, known)


def _named(consent: Consent, *, records: bool) -> Iterator[tuple[Reference, frozenset[str] | None]]:
    """Give each reference with the types it may be gathered as; None: any."""
    yield from ((one, _PARTIES) for one in (*consent.custodians, *consent.grantees))
    yield from ((one, _SIGNERS) for one in consent.performers)
    waiting: list[Provision] = list(consent.provisions)
    while waiting:
        provision = waiting.pop()
        waiting.extend(provision.nested)
        yield from ((actor.reference, _PARTIES) for actor in provision.actors if actor.reference is not None)
        for one in provision.data:
            if one.meaning is Meaning.AUTHORED_BY:
                yield one.reference, _PARTIES
            elif one.meaning is Meaning.RELATED and records:
                yield one.reference, None


def _local(
    found: Iterable[Iterable[tuple[str | None, frozenset[str] | None]]], own: frozenset[Base], known: frozenset[str]
) -> Needs:
    """Give the records of this server among what is named, of each that names some so many."""
    by_type: dict[str, set[str]] = {}
    for listed in found:
        targets = ((parse(text, own), types) for text, types in listed if text is not None)
        names = dict.fromkeys(
            (target.type, target.id)
            for target, types in targets
            if isinstance(target, Local)
            and target.text not in known
            and (target.type in types if types is not None else target.type not in _NEVER_CONTEXT)
        )
        for type_, id_ in islice(names, MOST_NAMED):
            by_type.setdefault(type_, set()).add(id_)
    return Needs({name: frozenset(ids) for name, ids in by_type.items()})


def _written(view: ResourceView) -> Iterator[tuple[ResourceView, str]]:
    """Give the names of records in the texts of a resource, each with what it stands in."""
    yield from ((inner, name) for inner in _with_inner(view) for text in inner.texts for name in names_in(text.text))


def _telling(view: ResourceView) -> Iterable[ReferenceAt]:
    yield from source_references(view)
    yield from carrying(view)
    yield from (found for found in view.references if (found.reference or "").startswith(("Patient/", "Medication/")))


def _with_inner(view: ResourceView) -> Iterable[ResourceView]:
    yield view
    for inner in view.inner:
        yield from _with_inner(inner)


def _missing(found: Iterable[tuple[ReferenceAt, ResourceView]], resolver: Resolver) -> Needs:
    return _absent(resolver.resolve(view, reference) for reference, view in found)


def _absent(found: Iterable[Resolved]) -> Needs:
    by_type: dict[str, set[str]] = {}
    for resolved in found:
        target = resolved.target
        if isinstance(target, Local) and not resolved.views and target.type not in _NEVER_CONTEXT:
            by_type.setdefault(target.type, set()).add(target.id)
    return Needs({name: frozenset(ids) for name, ids in by_type.items()})
