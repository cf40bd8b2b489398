"""A search: pages of released matches, whatever the pages of the upstream are (leaks.md L015, L019, L020, L022, L028).

Rules of this file
1. Upstream pages are pulled until `count` released matches and one more are in hand; `next` only where there is
   one more.
2. `total` exactly on a first page without `next`. Links are ours; the upstream's place travels sealed in our cursor.
3. Every page is decided afresh; what is included stays only where something released leads to it.
4. No limit cuts a page short: a walk that does not end within the time the upstream has for its whole answer, or
   within a thousand of its pages, or grows too large, is a fault.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final

import msgspec

from gateway.decision.facts import Facts
from gateway.decision.judge import Judgement, judge
from gateway.decision.model import Decision, Exchange, Verdict
from gateway.errors import UpstreamFault
from gateway.fhir import strict
from gateway.fhir.bundle import Bundle, Document, Entry
from gateway.fhir.interaction import Interaction
from gateway.fhir.query import build_query
from gateway.fhir.references import Base
from gateway.fhir.search import SearchPlan, admit, meets
from gateway.fhir.view import ResourceView
from gateway.proxy.asked import Asked, ChangedMeanwhile, Prepared, united
from gateway.proxy.context import Context, gather, next_of, searchset
from gateway.proxy.cursor import PARAMETER, Binding, Place, take
from gateway.release.compose import compose_searchset, manifest_of, release_entries, released_text

_LEAST_PAGE: Final = 20
_MOST_PAGES: Final = 1000
_START: Final = Place("", 0)


class Page(msgspec.Struct, frozen=True):
    """The page that is asked for: the admitted search, and where it starts (`cursor` None: at its beginning)."""

    plan: SearchPlan
    start: Place
    cursor: str | None
    binding: Binding


class _Arrival(msgspec.Struct, frozen=True):
    """One upstream page: what is to be judged of it, and the place of each match by its pointer."""

    document: Document
    places: Mapping[str, Place]


class _Walk(msgspec.Struct):
    """What was seen so far. `matches` are released ones, the last of them beyond the page where there is more."""

    matches: list[tuple[Entry, Place]]
    included: dict[tuple[str, str | None], Entry]
    withheld: list[Decision]
    facts: list[Facts]
    unmet: bool = False
    size: int = 0


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
    start = _START if cursor is None else asked.services.cursors.open(cursor, binding)
    return Page(plan, start, cursor, binding)


async def search(asked: Asked, page: Page, exchange: Exchange) -> Prepared:
    """Prepare one page of a search. Raises UpstreamFault, Unavailable, and ChangedMeanwhile: then it is to be asked
    for again."""
    door, count = asked.door, page.plan.count
    context = Context(door, asked.json_limits)
    walk = _Walk([], {}, [], [])
    document, pages = _document(()), 0
    judgement = Judgement((), frozenset(), {})
    try:
        async with asyncio.timeout(asked.services.limits.upstream_answer_s):
            async for arrival in _arrivals(asked, page):
                pages += 1
                document, judgement = await _judged(asked, arrival.document, exchange, context, walk)
                _take(walk, arrival, judgement, asked, page)
                context.add(document.views)
                if len(walk.matches) > count:
                    break
    except TimeoutError:
        raise UpstreamFault from None
    shown, more = walk.matches[:count], walk.matches[count:]
    if pages != 1 or more or walk.unmet:
        entries = (*(entry for entry, _ in shown), *walk.included.values())
        document, judgement = await _judged(asked, _document(entries), exchange, context, walk)
    return _composed(asked, page, document, judgement, walk)


async def _judged(
    asked: Asked, document: Document, exchange: Exchange, context: Context, walk: _Walk
) -> tuple[Document, Judgement]:
    facts = await gather(document, exchange, context, asked.door, asked.directory, asked.services.consents)
    walk.facts.append(facts)
    return document, judge(document, facts, asked.door.tools)


async def _arrivals(asked: Asked, page: Page) -> AsyncIterator[_Arrival]:
    """Give the upstream's pages from the start on, entries numbered through. There is always one."""
    upstream, plan = asked.door.upstream, page.plan
    position, skip = page.start.position, page.start.skip
    size = ("_count", str(max(plan.count + 1, _LEAST_PAGE)))
    number, seen = 0, set[str]()
    while position not in seen and len(seen) < _MOST_PAGES:
        seen.add(position)
        held = await (upstream.page(position) if position else upstream.search(plan.type, [*plan.upstream, size]))
        bundle = searchset(held, asked.json_limits)
        entries: list[Entry] = []
        places: dict[str, Place] = {}
        matched = 0
        for entry, mode in _evaluated(bundle, plan.type):
            matched += mode == "match"
            if mode == "match" and matched <= skip:
                continue
            moved = _moved(entry, mode, f"/entry/{number}")
            number += 1
            entries.append(moved)
            if mode == "match":
                places[moved.at] = Place(position, matched - 1)
        yield _Arrival(_document(entries), places)
        following = next_of(bundle, asked.door)
        if following is None:
            return
        position, skip = following, 0
    raise UpstreamFault


def _evaluated(bundle: Bundle, type_: str) -> Iterable[tuple[Entry, str]]:
    """Give the entries that may be released and what each is, whatever the upstream calls it (L022)."""
    for entry in bundle.entries:
        view = entry.view
        if view is None or view.id is None or entry.unread or entry.mode not in {"match", "include", None}:
            continue
        if view.type != "OperationOutcome":
            yield entry, "match" if view.type == type_ and entry.mode != "include" else "include"


def _take(walk: _Walk, arrival: _Arrival, judgement: Judgement, asked: Asked, page: Page) -> None:
    """Keep what is released, up to one match beyond the page, and tell what is withheld before it."""
    for entry in arrival.document.bundle.entries if arrival.document.bundle else ():
        if entry.view is None:
            continue
        if entry.at not in arrival.places:
            walk.included.setdefault((entry.view.type, entry.view.id), entry)
            walk.size += len(entry.view.raw)
            continue
        if len(walk.matches) > page.plan.count:
            continue
        decision = judgement.decision(entry.view.at)
        released = decision.verdict is not Verdict.WITHHELD
        if released and not _still_meets(page.plan, entry.view, judgement, asked.door.own):
            walk.unmet, released = True, False
        if not released:
            walk.withheld.append(msgspec.structs.replace(decision, verdict=Verdict.WITHHELD, edits=()))
            continue
        walk.matches.append((entry, arrival.places[entry.at]))
        walk.size += len(entry.view.raw)
    if walk.size > asked.services.limits.body_bytes:
        raise UpstreamFault


def _still_meets(plan: SearchPlan, view: ResourceView, judgement: Judgement, own: frozenset[Base]) -> bool:
    """Say whether a released match names in its released form what the search named. It is composed for that only
    where an edit is of an element that the search named."""
    named = {path.partition(".")[0] for condition in plan.conditions for path in condition.paths}
    if any(edit.path.split("/")[1] in named for edit in judgement.edits[view.at]):
        text = released_text(view, judgement)
        return text is not None and meets(plan, strict.decode(text), own)
    return meets(plan, view.tree, own)


def _composed(asked: Asked, page: Page, document: Document, judgement: Judgement, walk: _Walk) -> Prepared:
    count, base = page.plan.count, asked.door.route.public_url
    more = walk.matches[count:]
    entries = release_entries(document, judgement, base)
    if sum(entry.mode == "match" for entry in entries) != len(walk.matches[:count]):
        raise ChangedMeanwhile  # decided again as one page, a match was released no more
    here = [(PARAMETER, page.cursor)] if page.cursor is not None else []
    links = [("self", _link(base, page, here))]
    if more:
        links.append(("next", _link(base, page, [(PARAMETER, asked.services.cursors.seal(more[0][1], page.binding))])))
    told = {decision.at for decision in judgement.decisions}
    rest = Judgement(tuple(one for one in walk.withheld if one.at not in told), frozenset(), {})
    released = compose_searchset(
        entries,
        bundle_id=str(uuid.uuid4()),
        links=links,
        total=len(walk.matches) if page.cursor is None and not more else None,
        headers={},
        manifest=manifest_of([judgement, rest]),
    )
    return Prepared(released, united(tuple(walk.facts)))


def _link(base: str, page: Page, rest: list[tuple[str, str]]) -> str:
    asked = build_query([*page.plan.honoured, *rest]).decode("ascii")
    return f"{base}/{page.plan.type}" + (f"?{asked}" if asked else "")


def _document(entries: Iterable[Entry]) -> Document:
    listed = tuple(entries)
    views = tuple(entry.view for entry in listed if entry.view is not None)
    return Document(views, Bundle(type="searchset", entries=listed))


def _moved(entry: Entry, mode: str, at: str) -> Entry:
    view = entry.view if entry.view is None else _view_at(entry.view, f"{at}/resource")
    return msgspec.structs.replace(entry, at=at, mode=mode, view=view)


def _view_at(view: ResourceView, at: str) -> ResourceView:
    inner = tuple(_view_at(one, at + one.at.removeprefix(view.at)) for one in view.inner)
    return msgspec.structs.replace(view, at=at, inner=inner)
