"""The records that were fetched for one request so far, and how the upstream is asked for more of them.

Rules of this file
1. One search a type, `Type?_id=a,b,c`, the types in parallel (docs/decisions/0002-context.md).
2. Nothing is asked twice for one request, and nothing is kept for another.
3. A call that fails fails the exchange; what does not come back stays unknown (leaks.md point 11, L088).
4. Limits hold for one record, one patient or one group, never for a page: what is withheld of it counts for itself.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing, suppress
from itertools import groupby
from operator import itemgetter
from typing import Final
from urllib.parse import quote

from gateway.errors import UpstreamFault
from gateway.fhir import strict
from gateway.fhir.bundle import Bundle, scan
from gateway.fhir.strict import MalformedJson
from gateway.fhir.view import ResourceView, read_resource
from gateway.proxy.base_url import Position
from gateway.proxy.contents import Contents, side_by_side
from gateway.proxy.live import Door
from gateway.proxy.upstream import NotHeeded, NotThere
from gateway.release.released import Held

Name = tuple[str, str]
"""A resource by type and id."""

_TOGETHER: Final = 200  # ids in one search, of
_LETTERS: Final = 6000  # so many letters together: servers limit what a request line may hold
_AT_ONCE: Final = 8  # calls under way for one request
_PAGES: Final = 1000  # pages of one such search; a server that gives more is broken
MOST_POINTING: Final = 1000
"""Provenances of one record, and roles of one person, that are read."""


def searchset(held: Held, limits: strict.Limits) -> Bundle:
    """Read a page of a search. Raises UpstreamFault for anything else."""
    try:
        bundle = scan(held.body, limits=limits)
    except MalformedJson as error:
        raise UpstreamFault(why="an answer to a search is not one strict JSON Bundle") from error
    if bundle.type != "searchset" or bundle.unread:
        raise UpstreamFault(why="an answer to a search is no searchset, or has elements that R4 does not know")
    return bundle


class _Cut(Exception):
    """A server gave a part of what it found, and no link to the rest."""


class Context:
    """What was gathered for one request so far."""

    def __init__(self, door: Door, limits: strict.Limits) -> None:
        self._door, self._limits = door, limits
        self._views: dict[Name, ResourceView | None] = {}
        self._calls = asyncio.Semaphore(_AT_ONCE)
        self._pointed: dict[str, tuple[dict[Name, ResourceView], set[str]]] = {}
        self._again: dict[Name, ResourceView] = {}
        self._contents = Contents(door, limits, self._calls)
        self.untraced: set[str] = set()
        """Records, as `Type/id`, with more Provenances or roles than are read: nobody can say where they belong."""

    def add(self, views: Iterable[ResourceView]) -> None:
        """Add records that came another way: those of a page that is judged in parts."""
        for view in views:
            if view.id is not None:
                self._views.setdefault((view.type, view.id), view)

    async def take(self, wanted: Mapping[str, Iterable[str]]) -> dict[Name, ResourceView]:
        """Give those of the wanted records that there are. Raises UpstreamFault where a call fails."""
        elements = self._door.tools.elements
        names = sorted({(type_, id_) for type_, ids in wanted.items() if elements.is_resource(type_) for id_ in ids})
        new = [name for name in names if name not in self._views]
        self._views.update(dict.fromkeys(new))
        await side_by_side([self._ask(type_, ids) for type_, ids in _batches(new)])
        found = ((name, self._views[name]) for name in names)
        return {name: view for name, view in found if view is not None}

    async def contents(self, ids: Iterable[str]) -> dict[Name, ResourceView]:
        """Give the Binaries of these ids that there are. Raises UpstreamFault where a call fails."""
        found = await self._contents.take(ids, singly=self._door.route.read_again)
        return {(view.type, view.id or ""): view for view in found}

    async def again(self, views: Iterable[ResourceView]) -> tuple[ResourceView, ...]:
        """Give records as the server reads them by id, which a search may have shown otherwise (L002). Raises
        UpstreamFault where a call fails, or where a record that was found is not there."""
        wanted = dict.fromkeys((view.type, view.id) for view in views if view.id is not None)
        calls = (self._read(type_, id_) for type_, id_ in wanted if (type_, id_) not in self._again)
        for found in await asyncio.gather(*calls):
            self._again[found.type, found.id or ""] = found
        return tuple(self._again[name] for name in wanted)

    async def _read(self, type_: str, id_: str) -> ResourceView:
        async with self._calls:
            view = await read_alone(self._door, type_, id_, self._limits)
        if view is None:
            raise UpstreamFault(why=f"a {type_} that was found is not there")
        return view

    async def provenances(self, views: Iterable[ResourceView]) -> dict[Name, ResourceView]:
        """Give the Provenances that the server has of these records, those aside that are `untraced`. Raises
        UpstreamFault where a call fails; a server that does not search them has none to show."""
        listed = list(views)
        targets = [f"{view.type}/{view.id}" for view in listed if view.id is not None]
        await self._try_lists(targets)
        return await self._pointing("Provenance", "target", targets)

    async def roles(self, practitioners: Iterable[str]) -> dict[Name, ResourceView]:
        """Give the PractitionerRoles that the server has of these (`Practitioner/id`), as `provenances` does."""
        return await self._pointing("PractitionerRole", "practitioner", practitioners)

    async def _pointing(self, type_: str, parameter: str, targets: Iterable[str]) -> dict[Name, ResourceView]:
        found, shown = self._pointed.setdefault(type_, ({}, set()))
        wanted = sorted(set(targets) - shown)
        shown.update(wanted)
        together = self._door.surface.abilities.lists
        with suppress(NotHeeded, NotThere):
            for listed in _together(wanted) if together else ([one] for one in wanted):
                try:
                    await self._trace(type_, parameter, listed, found)
                except NotHeeded:  # of several at once, or at all
                    for target in listed if len(listed) > 1 else ():
                        await self._trace(type_, parameter, [target], found)
        return dict(found)

    async def _trace(self, type_: str, parameter: str, targets: list[str], into: dict[Name, ResourceView]) -> None:
        """Take what points at these records. Where it is much, what points at one half and then at the other: how much
        points at another record, which may be withheld, changes nothing for one (rule 4)."""
        found: dict[Name, ResourceView] = {}
        with suppress(_Cut):
            async for view in self._found(type_, parameter, ",".join(targets), whole=True):
                found[view.type, view.id or ""] = view
                if len(found) > MOST_POINTING:
                    break
            else:
                into |= found
                return
        half = len(targets) // 2
        if not half:
            self.untraced.update(targets)
            return
        await self._trace(type_, parameter, targets[:half], into)
        await self._trace(type_, parameter, targets[half:], into)

    async def _try_lists(self, names: Iterable[str]) -> None:
        """Find out whether the server finds several records by one search, by two of one type that are there: one that
        does not would seem to have nothing (abilities, rule 3)."""
        abilities = self._door.surface.abilities
        if abilities.lists is None:
            split = (name.partition("/") for name in names)
            named = sorted({(type_, id_) for type_, _, id_ in split if type_ != "Binary"})  # content: seldom searched
            pairs = [(type_, list(group)[:2]) for type_, group in groupby(named, key=itemgetter(0))]
            for type_, two in [pair for pair in pairs if len(pair[1]) > 1][:1]:
                ids = {id_ for _, id_ in two}
                with suppress(NotHeeded, NotThere):
                    found = {view.id async for view in self._found(type_, "_id", ",".join(sorted(ids)))}
                    abilities.learn_lists(found=found == ids)

    async def _ask(self, type_: str, ids: list[str]) -> None:
        """Take the records of a type by ids: by one search, and what that does not give by reads, unless the server is
        known to find all that there is of a list."""
        abilities, left = self._door.surface.abilities, set(ids)
        refused = abilities.lists is False
        try:
            if not refused and not await self._search_ids(type_, left):
                abilities.learn_lists(found=False)
                refused = True
        except NotThere:
            if abilities.lists:
                return
            refused = True
        except NotHeeded:
            refused = True
        if not refused and len(ids) - len(left) > 1:
            abilities.learn_lists(found=True)
        if abilities.lists and not refused:
            return
        async with asyncio.TaskGroup() as group:
            reads = [group.create_task(self._take_one(type_, id_)) for id_ in sorted(left)]
        if not refused and any(read.result() for read in reads):
            abilities.learn_lists(found=False)

    async def _search_ids(self, type_: str, left: set[str]) -> bool:
        """Take what one search gives of `left`; say whether it gave no others: one that does leaves `_id` out."""
        asked = frozenset(left)
        async with aclosing(self._found(type_, "_id", ",".join(sorted(left)))) as found:
            async for view in found:
                if view.id is None or view.id not in asked:
                    return False
                self._views[type_, view.id] = view
                left.discard(view.id)
        return True

    async def _take_one(self, type_: str, id_: str) -> bool:
        """Take one record by its address; say whether it is there."""
        async with self._calls:
            self._views[type_, id_] = await read_alone(self._door, type_, id_, self._limits)
        return self._views[type_, id_] is not None

    async def _found(
        self, type_: str, parameter: str, value: str, *, whole: bool = False
    ) -> AsyncGenerator[ResourceView, None]:
        """Give the records of a type that one search finds, all pages of it. Raises _Cut, where they have to be
        `whole`, for a server that counts more than it gives."""
        upstream, position, given = self._door.upstream, f"/{type_}", 0
        async with self._calls:
            held = await upstream.search(type_, [(parameter, value), ("_count", str(_TOGETHER))])
            for _ in range(_PAGES):
                bundle = searchset(held, self._limits)
                given += len(bundle.entries)
                for entry in bundle.entries:
                    if entry.view is not None and entry.view.type == type_ and entry.view.id is not None:
                        yield entry.view
                following = next_of(bundle, self._door, position)
                if following is None:
                    if whole and (bundle.total or 0) > given:
                        raise _Cut
                    return
                position = following
                held = await upstream.page(position)
        raise UpstreamFault(why="the pages of a search have no end")


async def read_alone(door: Door, type_: str, id_: str, limits: strict.Limits) -> ResourceView | None:
    """Give what the upstream holds under a type and id, None where it holds nothing. Raises UpstreamFault."""
    held = await (door.upstream.content(id_) if type_ == "Binary" else door.upstream.read(type_, id_))
    if held is None:
        return None
    try:
        view = read_resource(held.body, limits=limits)
    except MalformedJson as error:
        raise UpstreamFault(why=f"a {type_} is not strict JSON") from error
    if (view.type, view.id) != (type_, id_):
        raise UpstreamFault(why=f"a read of {type_} gave another record")
    return view


def _batches(names: Iterable[Name]) -> Iterator[tuple[str, list[str]]]:
    for type_, group in groupby(names, key=itemgetter(0)):
        for ids in _together(id_ for _, id_ in group):
            yield type_, ids


def _together(texts: Iterable[str]) -> Iterator[list[str]]:
    """Give texts in lists that one search may name."""
    listed: list[str] = []
    size = 0
    for text in texts:
        letters = len(quote(text, safe="")) + len("%2C")
        if listed and (len(listed) == _TOGETHER or size + letters > _LETTERS):
            yield listed
            listed, size = [], 0
        listed.append(text)
        size += letters
    if listed:
        yield listed


def next_of(bundle: Bundle, door: Door, here: Position) -> Position | None:
    """Give the position of the page after the one at `here`, None on the last. Raises UpstreamFault for a link that
    leads elsewhere."""
    try:
        url = bundle.link("next")
    except MalformedJson as error:
        raise UpstreamFault(why="a page has two next links") from error
    if url is None:
        return None
    position = door.upstream.position(url, here)
    if position is None:
        raise UpstreamFault(why="a next link leads to another server; `upstream_aliases` may say that it is the same")
    return position
