"""How the first page of a search is asked for, of servers that know more or less of R4.

Rules of this file
1. The search as it is, with what pages are decided with beside it (`_include`) where the client includes nothing.
2. A server that refuses it is asked for the anchors alone, by their other name if need be; several ids are always
   asked for by themselves. The gateway then tells the rest (`bare`).
3. What nobody knows of a server yet (that it finds several ids, references with their type by a parameter) is tried
   and kept in `abilities`: the same for every caller. When it was learned changes no answer, not even its order.
"""

from collections.abc import Collection
from contextlib import suppress
from typing import Final

import msgspec

from gateway.facts.needs import beside
from gateway.fhir import strict
from gateway.fhir.references import Local
from gateway.fhir.search_plan import SearchPlan
from gateway.proxy.context import Context, searchset
from gateway.proxy.live import Door
from gateway.proxy.upstream import NotHeeded, NotThere, page_of
from gateway.release.released import Held

_TYPED: Final = {"patient": "Patient/", "encounter": "Encounter/"}
_LEAST_PAGE: Final = 20
_MOST_PAGE: Final = 400
_MOST_WHOLE: Final = 10_000
_AHEAD: Final = 4  # pages' worth of matches that upstream is asked for at once


class _Link(msgspec.Struct, frozen=True):
    relation: str = ""


class _Told(msgspec.Struct, frozen=True):
    """What a page says of itself."""

    total: int | None = None
    link: tuple[_Link, ...] = ()
    entry: tuple[msgspec.Raw, ...] = ()


class FirstPage:
    """Asks one server for first pages, for one request."""

    def __init__(self, door: Door, context: Context, limits: strict.Limits) -> None:
        self.door, self.context, self.limits = door, context, limits
        self._asked: list[tuple[str, str]] = []  # the parameters that the last page was asked for by

    async def page(self, plan: SearchPlan, *, bare: bool) -> tuple[Held, bool]:
        """Give the first page of a search, and whether it was asked for by its anchors alone. Raises UpstreamFault."""
        ids = next((list(dict.fromkeys(value.split(","))) for name, value in plan.upstream if name == "_id"), [])
        if len(ids) > 1:  # in the order asked for, whatever is known of the server (rule 3)
            return await self._by_ids(plan.type, ids), True
        try:
            held, asked_bare = await self._searched(plan, bare=bare)
            return await self._uncut(plan.type, held), asked_bare
        except NotThere:
            if await self.door.surface.abilities.lacks(plan.type):
                return page_of(()), bare
            raise
        except NotHeeded:
            if not ids:
                raise
            return await self._by_ids(plan.type, ids), True

    async def _searched(self, plan: SearchPlan, *, bare: bool) -> tuple[Held, bool]:
        """Ask for the first page; by ids alone where a server was seen to know no other form of a reference, and once
        more so where nobody knows and the one with a type found nothing (R4 search.html 3.1.1.4.8 has both)."""
        known = {name: self.door.surface.abilities.typed.get((plan.type, name)) for name in _typed(plan)}
        plan = _with_ids_alone(plan, {name for name, typed in known.items() if typed is False})
        unknown = {name for name, typed in known.items() if typed is None}
        found = await self._attempts(plan, bare=bare)
        if not unknown:
            return found
        if self._has(plan.type, found[0]):
            self._learn(plan.type, unknown, typed=True)
            return found
        with suppress(NotHeeded, NotThere):
            other = await self._attempts(_with_ids_alone(plan, unknown), bare=bare)
            if self._has(plan.type, other[0]):
                self._learn(plan.type, unknown, typed=False)
                return other
        return found

    def _learn(self, type_: str, names: Collection[str], *, typed: bool) -> None:
        """Keep what the last search showed of the parameters that it had; of one among several only that it finds."""
        sent = {name for name, _ in self._asked if name in names}
        if typed or len(sent) == 1:
            self.door.surface.abilities.typed.update({(type_, name): typed for name in sent})

    def _has(self, type_: str, held: Held) -> bool:
        return any(one.view is not None and one.view.type == type_ for one in searchset(held, self.limits).entries)

    async def _uncut(self, type_: str, held: Held) -> Held:
        """Give a page that says there are more matches than it holds, and links to no further one, in one piece: R4
        has the links (http.html 3.1.0.8), small servers often only `_count`."""
        told = _told(held)
        if told.total is None or told.total <= len(told.entry) or any(link.relation == "next" for link in told.link):
            return held
        more = [pair for pair in self._asked if pair[0] != "_count"]
        whole = await self.door.upstream.search(type_, [*more, ("_count", str(min(told.total, _MOST_WHOLE)))])
        if len(_told(whole).entry) < told.total:
            self.door.surface.abilities.keeps_back()
        return whole if len(_told(whole).entry) > len(told.entry) else held

    async def _attempts(self, plan: SearchPlan, *, bare: bool) -> tuple[Held, bool]:
        size = ("_count", str(_page_size(plan)))
        brought = [] if plan.includes else await self._beside(plan.type)
        if not bare:
            for more in (brought, []) if brought else ([],):
                with suppress(NotHeeded):
                    return await self._search(plan.type, [*plan.upstream, *more, size], last=False), False
            if plan.anchored and not plan.anchors:
                return await self._search(plan.type, [*plan.upstream, size]), False
        other = self._otherwise(plan)
        try:
            return await self._search(plan.type, [*plan.anchors, size]), True
        except NotHeeded:
            if other is None:
                raise
            return await self._search(plan.type, [other, size]), True

    async def _search(self, type_: str, parameters: list[tuple[str, str]], *, last: bool = True) -> Held:
        self._asked = parameters
        return await self.door.upstream.search(type_, parameters, last=last)

    def _otherwise(self, plan: SearchPlan) -> tuple[str, str] | None:
        """Give an anchor of one type of records by its other name, such as `subject` and `patient`."""
        table = self.door.whole_offers.table
        for condition in plan.conditions:
            types = {one.type for one in condition.values if isinstance(one, Local)}
            value = dict(plan.anchors).get(condition.name)
            if value is not None and len(types) == 1:
                for other in table.namesakes(plan.type, condition.name, next(iter(types))):
                    return other, value
        return None

    async def _by_ids(self, type_: str, ids: list[str]) -> Held:
        """Give records by ids, as a page of a search in their order."""
        found = await self.context.take({type_: ids})
        return page_of(found[type_, id_].raw for id_ in ids if (type_, id_) in found)

    async def _beside(self, type_: str) -> list[tuple[str, str]]:
        """Give the includes by which the server brings what the records of a page are decided with, as it states."""
        stated = await self.door.surface.abilities.includes(type_)
        wanted = beside(type_, self.door.whole_offers.table) if stated else ()
        found = (next((name for name in names if name in stated), None) for names in wanted)
        return [("_include", name) for name in found if name is not None]


def _told(held: Held) -> _Told:
    try:
        return msgspec.json.decode(held.body, type=_Told)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Told()  # what is wrong with it is said where it is read


def _typed(plan: SearchPlan) -> set[str]:
    """Give the parameters of a search that name patients or encounters with their type, where the parameter says it."""
    return {name for name, value in (*plan.upstream, *plan.anchors) if _alone(name, value) != value}


def _with_ids_alone(plan: SearchPlan, names: Collection[str]) -> SearchPlan:
    """Give a search that names patients and encounters by their ids alone in these parameters."""
    upstream, anchors = (
        tuple((name, _alone(name, value) if name in names else value) for name, value in pairs)
        for pairs in (plan.upstream, plan.anchors)
    )
    return msgspec.structs.replace(plan, upstream=upstream, anchors=anchors)


def _alone(name: str, value: str) -> str:
    start, texts = _TYPED.get(name), value.split(",")
    if start is None or not all(text.startswith(start) for text in texts):
        return value
    return ",".join(text.removeprefix(start) for text in texts)


def _page_size(plan: SearchPlan) -> int:
    """Give the size of upstream's pages, by the form of the search alone (leaks.md L023)."""
    whole = bool(plan.sort) or plan.candidates
    return _MOST_PAGE if whole else min(max(_AHEAD * plan.count, _LEAST_PAGE), _MOST_PAGE)
