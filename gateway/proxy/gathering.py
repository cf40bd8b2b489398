"""Gathers what a decision needs beyond the body: records it refers to, the patients, their consents.

Rules of this file
1. Three rounds of records and the patients, each by `context` (docs/decisions/0002-context.md); then the consents.
2. For a push only patients are gathered, and the parties that consents name: the answer to a sender must not rest on
   records it may not see (L012).
3. What consents name is gathered after them, with the members of groups, teams and roles, three steps deep.
4. The Binaries that attachments name are gathered too, once for each body (contents).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from consent_store.model import Consent, Unreadable
from consent_store.store import ConsentStore, Found, StoreUnavailable
from gateway.decision.addresses import Outward
from gateway.decision.consents.relations import references_of
from gateway.decision.facts import Facts
from gateway.decision.judge import in_context
from gateway.decision.model import Direction, Exchange
from gateway.directory.model import Directory
from gateway.errors import Unavailable
from gateway.facts import needs
from gateway.facts.live import everyone, facts_of, subjects_of, unseen
from gateway.facts.needs import first_round, members_of, named_by, practitioners, provenance_tells, second_round
from gateway.fhir.bundle import Document
from gateway.fhir.references import parse_base
from gateway.fhir.resolver import Resolver
from gateway.fhir.view import ResourceView
from gateway.proxy.context import Context, Name
from gateway.proxy.live import Door

_MEMBERS_DEEP: Final = 3  # groups of groups of teams: nobody nests deeper


async def gather(
    document: Document,
    exchange: Exchange,
    context: Context,
    door: Door,
    directory: Directory,
    consents: ConsentStore,
    *,
    found: bool = False,
) -> Facts:
    """Give the facts on which a document is judged. `found`: its records came by a search. What came so is read again
    by id where the route says it, the context too: what is pointed at counts (L002).

    Raises UpstreamFault, and Unavailable without the consents.
    """
    own, source = door.own, door.route.source
    shown = door.route.provenance and provenance_tells(door.policy, directory, exchange)
    beside = await _records(document, context, door, shown=shown) if exchange.direction is Direction.READ else {}
    known = everyone(document, tuple(beside.values()), own, source, door.tools)
    if missing := unseen(known, source):
        beside |= await context.take({"Patient": missing})
        known = everyone(document, tuple(beside.values()), own, source, door.tools)
    subjects = subjects_of(known, source, exchange.direction)
    try:
        snapshot = await consents.snapshot(tuple(subjects.values()))
    except StoreUnavailable:
        raise Unavailable("the consents that this needs cannot be read") from None
    theirs = [one for each in snapshot.values() if isinstance(each, Found) for one in each.consents]
    named = await _named(theirs, context, door, directory, records=exchange.direction is Direction.READ)
    read = (view for view in beside.values() if view.type != "Binary")  # which were read, and not found
    again = (*(document.views if found else ()), *read) if door.route.read_again else ()
    copies = await context.again(again) if exchange.direction is Direction.READ else ()
    return facts_of(
        exchange=exchange,
        policy=door.policy,
        directory=directory,
        own=own,
        outward=_outward(door) if exchange.direction is Direction.READ else None,
        source=source,
        context=(*beside.values(), *copies),
        named=tuple(named.values()),
        known=known,
        subjects=subjects,
        snapshot=snapshot,
        bases=door.bases,
        untraced=frozenset(context.untraced),
    )


def _outward(door: Door) -> Outward:
    """Give where the upstream is, for what is read from it; what a client pushes names our door, or its own."""
    others = tuple(map(parse_base, door.route.upstream_aliases))
    return Outward(parse_base(door.route.upstream), door.route.public_url, others)


async def _named(
    consents: Iterable[Consent | Unreadable], context: Context, door: Door, directory: Directory, *, records: bool
) -> dict[Name, ResourceView]:
    """Give what consents name, and who stands behind the groups, teams and roles among that."""
    own = door.own
    known = frozenset().union(*(references_of(party, own) for party in directory.participants.values()))
    wanted = named_by(consents, door.route.source, own, known, records=records)
    named = new = await context.take(wanted.by_type)
    for _ in range(_MEMBERS_DEEP):
        further = await context.take(members_of(new.values(), own, known).by_type)
        new = {name: view for name, view in further.items() if name not in named}
        named = named | new
    return named


async def _records(document: Document, context: Context, door: Door, *, shown: bool) -> dict[Name, ResourceView]:
    """Give what the document refers to, and what that comes from; where a rule asks for it, what Provenances show."""
    gathered = await context.take(first_round(document.views, Resolver(document, door.own)).by_type)
    asked: frozenset[str] = frozenset()
    for _ in range(2):
        if shown:
            gathered |= await context.provenances(_traced(document, gathered, door))
            gathered |= await context.roles(practitioners(document.views, gathered.values(), door.own))
        attached = needs.attached(_whole(document, gathered), door.own)
        gathered |= await context.contents(attached - asked)
        asked |= attached
        whole = _whole(document, gathered)
        beside = whole.views[len(document.views) :]
        gathered |= await context.take(second_round(beside, Resolver(whole, door.own), door.tools.elements).by_type)
    if shown:
        gathered |= await context.provenances(_traced(document, gathered, door))
    return gathered


def _whole(document: Document, gathered: Mapping[Name, ResourceView]) -> Document:
    return in_context(document, tuple(gathered.values()))


def _traced(document: Document, gathered: Mapping[Name, ResourceView], door: Door) -> Iterator[ResourceView]:
    """Give whose Provenances matter: the document's records, and those that they carry labels of or point at."""
    never = {"Provenance", *door.policy.no_patient_types}
    yield from (view for view in document.views if view.type not in never)
    yield from (view for view in gathered.values() if view.type not in {*never, "Patient"})
