"""The walk through an upstream's pages of one search: what of it is released and is still what was asked for.

Rules of this file
1. Upstream pages are pulled until enough released matches are in hand, or there are no more (leaks.md L020, L022).
2. A match counts where its released form meets the search: what upstream matched on may be withheld (L012, L014, L016).
3. A server that refuses a parameter is asked for the anchors alone, by their other name if need be; one that does not
   say that it carried out all of a search (its `self` link) is not believed to. The gateway tells the rest.
4. A chain is a search of its own, carried out first; `_has` one for the matches in hand. Limits count what is released.
5. Where the client includes nothing, the server is asked to bring what pages are decided with: context alone.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final

import msgspec

from gateway.decision.facts import Facts
from gateway.decision.judge import Judgement, judge
from gateway.decision.model import Decision, Exchange, Verdict
from gateway.errors import BadRequest, UpstreamFault
from gateway.fhir.bundle import Bundle, Document, Entry
from gateway.fhir.references import Local
from gateway.fhir.search import admit
from gateway.fhir.search_plan import Chain, Reverse, SearchPlan
from gateway.fhir.search_predicates import Condition, meets, touches
from gateway.fhir.view import ResourceView
from gateway.proxy.asked import Asked
from gateway.proxy.capability import NOT_SERVED
from gateway.proxy.context import Context, next_of, searchset
from gateway.proxy.cursor import Place
from gateway.proxy.first_page import FirstPage
from gateway.proxy.gathering import gather
from gateway.proxy.matches import Match, document_of, locals_at, moved, tree_of

_NEVER: Final = NOT_SERVED | {"OperationOutcome"}
START: Final = Place("", 0)
MOST_INNER: Final = 100
"""Released matches of a search within a search; past it the whole is refused."""

_NAMING: Final = frozenset({"_id", "identifier"})  # by these one record is meant: what a server makes of them is held
_TOGETHER: Final = 20  # records asked for together
_MOST_PAGES: Final = 10_000  # a server that gives more is broken; time ends a walk long before


class Walk(msgspec.Struct):
    """What was seen so far. `document` and `judgement` are of the last part that was judged, `parts` their
    number; `bare` by rule 3."""

    matches: list[Match] = []
    included: dict[tuple[str, str | None], Entry] = {}
    withheld: list[Decision] = []
    document: Document = Document((), Bundle(type="searchset"))
    judgement: Judgement = Judgement((), frozenset(), {})
    unmet: bool = False
    bare: bool = False
    parts: int = 0
    size: int = 0


class _Arrival(msgspec.Struct, frozen=True):
    """One upstream page or a part of it: what is to be judged, and the place of each match by its pointer."""

    document: Document
    places: Mapping[str, Place]
    bare: bool


class Walker:
    """Walks searches for one request: what it gathers and the consents it saw are shared by all of them."""

    def __init__(self, asked: Asked, exchange: Exchange) -> None:
        self.asked, self.exchange, self.door = asked, exchange, asked.door
        self.context = Context(asked.door, asked.json_limits)
        self.first = FirstPage(asked.door, self.context, asked.json_limits)
        self.facts: list[Facts] = []

    async def judged(self, document: Document) -> Judgement:
        """Judge a document with what it refers to. Raises UpstreamFault, Unavailable."""
        asked = self.asked
        consents = asked.services.consents
        facts = await gather(document, self.exchange, self.context, self.door, asked.directory, consents, found=True)
        self.facts.append(facts)
        return judge(document, facts, self.door.tools)

    async def walk(self, plan: SearchPlan, start: Place, enough: int | None) -> Walk:
        """Walk a search from `start` until more than `enough` released matches are in hand; None: to its end.

        Raises UpstreamFault, Unavailable, and BadRequest where a search within it has too many matches.
        """
        found = Walk(matches=[], included={}, withheld=[])
        try:
            async with asyncio.timeout(self.asked.services.limits.upstream_answer_s):
                narrowed = await self._resolved(plan)
                if narrowed is None:
                    await self.judged(found.document)  # the same look-up of consents as for an empty answer
                    return found
                async for arrival in self._arrivals(narrowed, start):
                    await self._take(found, arrival, narrowed, enough)
                    if enough is not None and len(found.matches) > enough:
                        break
        except TimeoutError:
            raise UpstreamFault(why="a search took longer than `upstream_answer_s`") from None
        return found

    async def all_of(self, plan: SearchPlan) -> list[Match]:
        """Give the released matches of a search within a search. Raises BadRequest where they are too many."""
        found = await self.walk(plan, START, MOST_INNER)
        if len(found.matches) > MOST_INNER:
            raise too_many()
        return found.matches

    # Pages ----------------------------------------------------------------------------------------------------------
    async def _arrivals(self, plan: SearchPlan, start: Place) -> AsyncIterator[_Arrival]:
        """Give the upstream's pages from the start on, entries numbered through. There is always one."""
        abilities, sent = self.door.surface.abilities, [name for name, _ in plan.upstream]
        position, skip, bare = start.position, start.skip, start.bare
        number, seen = 0, set[str]()
        while position not in seen and len(seen) < _MOST_PAGES:
            seen.add(position)
            if position:
                held = await self.door.upstream.page(position)
            else:
                held, bare = await self.first.page(plan, bare=bare)
            bundle = searchset(held, self.asked.json_limits)
            if not position and not bare:
                abilities.heeded(plan.type, sent, dict(bundle.links).get("self"))
            checked = bare or abilities.leaves_out(plan.type, sent)
            abilities.called(bundle, self.door.own)
            entries: list[Entry] = []
            places: dict[str, Place] = {}
            matched = 0
            for entry, mode in _evaluated(bundle, plan.type):
                matched += mode == "match"
                if mode == "match" and matched <= skip:
                    continue
                if mode == "include" and not plan.includes:
                    self.context.add([_view(entry)])  # nobody asked for it but we (rule 5)
                    continue
                one = moved(entry, mode, f"/entry/{number}")
                number += 1
                entries.append(one)
                if mode == "match":
                    places[one.at] = Place(position, matched - 1, bare)
            for part in _parts(entries, plan):
                yield _Arrival(document_of(part), places, checked)
            following = next_of(bundle, self.door, position or f"/{plan.type}")
            if following is None:
                return
            position, skip = following, 0
        raise UpstreamFault(why="the pages of a search have no end")

    async def _take(self, found: Walk, arrival: _Arrival, plan: SearchPlan, enough: int | None) -> None:
        """Keep what is released, up to one match beyond enough, and tell what is withheld before it."""
        found.parts, found.bare, found.document = found.parts + 1, arrival.bare, arrival.document
        found.judgement = judgement = await self.judged(arrival.document)
        entries = arrival.document.bundle.entries if arrival.document.bundle else ()
        matches = [self._match(entry, arrival, judgement, plan) for entry in entries if entry.at in arrival.places]
        reached = await self._reversed(plan, [one for one in matches if isinstance(one, Match)])
        for one in matches:
            if enough is not None and len(found.matches) > enough:
                break
            if isinstance(one, Match) and one.entry.at in reached:
                found.matches.append(one)
                found.size += _size(one.entry)
                continue
            decision = one if isinstance(one, Decision) else judgement.decision(_view(one.entry).at)
            found.unmet = found.unmet or decision.verdict is not Verdict.WITHHELD
            found.withheld.append(msgspec.structs.replace(decision, verdict=Verdict.WITHHELD, edits=()))
        for entry in entries:
            if entry.at not in arrival.places and not arrival.bare and entry.view is not None:
                found.included.setdefault((entry.view.type, entry.view.id), entry)
                if judgement.decision(entry.view.at).verdict is not Verdict.WITHHELD:
                    found.size += _size(entry)  # a limit counts what is released alone
        self.context.add(arrival.document.views)
        if found.size > self.asked.services.limits.body_bytes:
            raise UpstreamFault

    def _match(self, entry: Entry, arrival: _Arrival, judgement: Judgement, plan: SearchPlan) -> Match | Decision:
        """Give a released match that meets the search, or the decision by which it does not come."""
        view = _view(entry)
        decision = judgement.decision(view.at)
        if decision.verdict is Verdict.WITHHELD:
            return decision
        tree = tree_of(view, judgement, plan)
        own, bare = self.door.own, arrival.bare
        for condition in plan.conditions:
            changed = touches(condition, (edit.path for edit in judgement.edits[view.at]))
            told = condition.here or bare or changed or condition.kind == "reference" or condition.name in _NAMING
            if told and not meets(condition, tree, own):
                return decision
        return Match(entry, arrival.places[entry.at], tree)

    # Searches within searches ---------------------------------------------------------------------------------------
    async def _resolved(self, plan: SearchPlan) -> SearchPlan | None:
        """Give a search with its chains carried out, None where one of them has no match."""
        for chain in plan.chains:
            targets = tuple(dict.fromkeys(_name(one.entry) for one in await self.all_of(chain.inner)))
            if not targets:
                return None
            plan = _narrowed(plan, chain, targets)
        return plan

    async def _reversed(self, plan: SearchPlan, matches: list[Match]) -> frozenset[str]:
        """Give the places of the matches that each `_has` of the search holds for."""
        left = {_name(one.entry): one.entry.at for one in matches}
        for one in plan.reverses:
            if not left:
                break
            pointed = await self._pointed(one, tuple(left))
            left = {name: at for name, at in left.items() if name in pointed}
        kept = frozenset(left.values())
        return frozenset(one.entry.at for one in matches if one.entry.at in kept)

    async def _pointed(self, one: Reverse, names: tuple[Local, ...]) -> frozenset[Local]:
        """Give those of the records that a released match of the inner search points at."""
        found: set[Local] = set()
        offers, own = self.door.offers(self.asked.caller.participant.type), self.door.own
        for start in range(0, len(names), _TOGETHER):
            value = ",".join(name.text for name in names[start : start + _TOGETHER])
            plan = admit(one.type, [(one.name, value), *one.rest], offers, own=own)
            walked = await self.walk(plan, START, None)
            for match in walked.matches:
                found |= {target for path in one.paths for target in locals_at(match.tree, path, self.asked)}
        return frozenset(found)


def too_many() -> BadRequest:
    """Give the one answer to a search of which more is released than the documented limit (leaks.md trade-offs)."""
    return BadRequest("there are more matches than such a search is carried out for; narrow it")


def _parts(entries: list[Entry], plan: SearchPlan) -> Iterable[list[Entry]]:
    """Give an upstream page in parts that are decided on their own, so that no more is decided than a page may need; a
    page that is asked for whole, and one with includes, as it is."""
    size = 2 * plan.count + 2
    if plan.sort or plan.candidates or plan.includes or len(entries) <= size:
        yield entries
        return
    yield from (entries[start : start + size] for start in range(0, len(entries), size))


def _narrowed(plan: SearchPlan, chain: Chain, targets: tuple[Local, ...]) -> SearchPlan:
    condition = Condition(name=chain.name, kind="reference", paths=chain.paths, values=targets)
    asked = (chain.name, ",".join(target.text for target in targets))
    anchoring = {target.type for target in targets} <= {"Patient", "Encounter"}
    best = anchoring and (chain.name in {"patient", "subject"} or not plan.anchors)  # what nearly every server knows
    return msgspec.structs.replace(
        plan,
        upstream=(*plan.upstream, asked),
        anchors=(asked,) if best else plan.anchors,
        conditions=(*plan.conditions, condition),
    )


def _evaluated(bundle: Bundle, type_: str) -> Iterable[tuple[Entry, str]]:
    """Give the entries that may be released and what each is, whatever the upstream calls it (L022)."""
    for entry in bundle.entries:
        view = entry.view
        if view is None or view.id is None or entry.unread or entry.mode not in {"match", "include", None}:
            continue
        if view.type not in _NEVER:
            yield entry, "match" if view.type == type_ and entry.mode != "include" else "include"


def _view(entry: Entry) -> ResourceView:
    if entry.view is None:
        raise UpstreamFault
    return entry.view


def _name(entry: Entry) -> Local:
    view = _view(entry)
    return Local(view.type, view.id or "")


def _size(entry: Entry) -> int:
    return len(entry.view.raw) if entry.view is not None else 0
