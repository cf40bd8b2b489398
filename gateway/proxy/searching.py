"""A search: pages of released matches, whatever the pages of the upstream are (leaks.md L015, L019, L020, L022, L028).

Rules of this file
1. A page is filled with `count` released matches; `next` only where there is one more.
2. `total` exactly on a first page without `next`. Links are ours; the upstream's place travels sealed in our cursor.
3. Every page is decided afresh; what is included stays only where something released leads to it.
4. No limit cuts a page short. What has to be known whole (an order, how many persons may be meant) has a limit on what
   is released, and one answer past it.
"""

import uuid
from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.decision.judge import Judgement
from gateway.decision.model import Decision, Exchange
from gateway.fhir.bundle import Document
from gateway.fhir.interaction import Interaction
from gateway.fhir.query import build_query
from gateway.fhir.search import admit
from gateway.fhir.search_plan import SearchPlan
from gateway.proxy.asked import Asked, ChangedMeanwhile, Prepared, united
from gateway.proxy.cursor import PARAMETER, Binding, Place, take
from gateway.proxy.including import Includer
from gateway.proxy.matches import document_of, sorted_matches
from gateway.proxy.walking import START, Walk, Walker, too_many
from gateway.release.compose import compose_searchset, manifest_of, release_entries

MOST_SORTED: Final = 1000
"""Released matches of a search that is sorted."""
MOST_CANDIDATES: Final = 200
"""Released matches of a search for a person by name and the like."""


class Page(msgspec.Struct, frozen=True):
    """The page that is asked for: the admitted search, and where it starts (`cursor` None: at its beginning)."""

    plan: SearchPlan
    start: Place
    cursor: str | None
    binding: Binding


def admitted(asked: Asked, interaction: Interaction) -> Page:
    """Give the page a request asks for. Raises NotSupported and BadRequest by form alone."""
    door, caller = asked.door, asked.caller
    cursor, parameters = take(interaction.parameters)
    type_ = interaction.type or ""
    plan = admit(type_, parameters, door.offers(caller.participant.type), own=door.own)
    binding = Binding(
        route=door.name,
        client=f"{caller.issuer} {caller.client_id}",
        participant=caller.participant.id,
        purpose=f"{asked.purpose.system}|{asked.purpose.code}",
        query=((type_, ""), *plan.honoured),
        policy=door.policy.digest,
    )
    start = START if cursor is None else asked.services.cursors.open(cursor, binding)
    return Page(plan, start, cursor, binding)


async def search(asked: Asked, page: Page, exchange: Exchange) -> Prepared:
    """Prepare one page of a search. Raises UpstreamFault, Unavailable, BadRequest by rule 4, and ChangedMeanwhile: then
    it is to be asked for again."""
    walker = Walker(asked, exchange)
    walk, following = await _sorted(walker, page) if page.plan.sort else await _walked(walker, page)
    shown = [one.entry for one in walk.matches]
    if not page.plan.includes and walk.parts <= 1 and not walk.unmet:
        document, judgement = document_of(shown), walk.judgement
    else:
        document, judgement = await Includer(walker, page.plan, bare=walk.bare).bring(shown, walk.included)
    return _composed(asked, page, walker, document, judgement, walk, following)


async def _walked(walker: Walker, page: Page) -> tuple[Walk, Place | None]:
    """Walk to one match beyond the page; give the page's matches, and where the next page starts."""
    count, first = page.plan.count, page.cursor is None
    enough = max(count, MOST_CANDIDATES) if first and page.plan.candidates else count
    walk = await walker.walk(page.plan, page.start, enough)
    if first and page.plan.candidates and len(walk.matches) > MOST_CANDIDATES:
        raise too_many()
    shown, more = walk.matches[:count], walk.matches[count:]
    walk.matches = shown
    return walk, more[0].place if more else None


async def _sorted(walker: Walker, page: Page) -> tuple[Walk, Place | None]:
    """Walk the whole search, put it in order by released forms, give one page of it: `skip` counts in that order."""
    walk = await walker.walk(page.plan, START, MOST_SORTED)
    if len(walk.matches) > MOST_SORTED:
        raise too_many()
    ordered, start = sorted_matches(walk.matches, page.plan), page.start.skip
    end = start + page.plan.count
    walk.matches = ordered[start:end]
    return walk, Place("", end) if len(ordered) > end else None


def _composed(
    asked: Asked,
    page: Page,
    walker: Walker,
    document: Document,
    judgement: Judgement,
    walk: Walk,
    following: Place | None,
) -> Prepared:
    base = asked.door.route.public_url
    entries = release_entries(document, judgement, base)
    if sum(entry.mode == "match" for entry in entries) != len(walk.matches):
        raise ChangedMeanwhile  # decided again as one page, a match was released no more
    here = [(PARAMETER, page.cursor)] if page.cursor is not None else []
    links = [("self", _link(base, page, here))]
    if following is not None:
        links.append(("next", _link(base, page, [(PARAMETER, asked.services.cursors.seal(following, page.binding))])))
    released = compose_searchset(
        entries,
        bundle_id=str(uuid.uuid4()),
        links=links,
        total=len(walk.matches) if page.cursor is None and following is None else None,
        headers={},
        manifest=manifest_of([_told(document, judgement), _rest(walk, document)]),
    )
    return Prepared(released, united(tuple(walker.facts)))


def _told(document: Document, judgement: Judgement) -> Judgement:
    """Give the decisions on what is in the answer, of those that were made on upstream's page."""
    shown = tuple(f"{view.at}/" for view in document.views)
    kept = tuple(one for one in judgement.decisions if f"{one.at}/".startswith(shown)) if shown else ()
    return msgspec.structs.replace(judgement, decisions=kept)


def _rest(walk: Walk, document: Document) -> Judgement:
    """Give the decisions on what stood before the last match shown and does not come."""
    shown = {view.at for view in document.views}
    found: Mapping[str, Decision] = {one.at: one for one in walk.withheld if one.at not in shown}
    return Judgement(tuple(found.values()), frozenset(), {})


def _link(base: str, page: Page, rest: list[tuple[str, str]]) -> str:
    asked = build_query([*page.plan.honoured, *rest]).decode("ascii")
    return f"{base}/{page.plan.type}" + (f"?{asked}" if asked else "")
