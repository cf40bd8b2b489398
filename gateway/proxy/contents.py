"""Gathers the Binaries that attachments name: what they say of themselves, the record that attaches them is (L052).

Rules of this file
1. Some by one search (`Binary?_id=a,b`), where the server gives their content in it; else one read each.
2. A limit holds for one Binary, never for a page. One that is there and cannot be read is given as a record whose label
   nobody can tell: what attaches it is withheld, and nothing else.
3. Nothing is kept beyond the answer: content is large.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final, TypeVar

import msgspec

from consent_store.model import CONFIDENTIALITY
from gateway.errors import UpstreamFault
from gateway.fhir import strict
from gateway.fhir.bundle import scan
from gateway.fhir.strict import MalformedJson
from gateway.fhir.view import ResourceView, read_resource
from gateway.proxy.live import Door
from gateway.proxy.upstream import Closed, NotHeeded, NotThere, TooLarge

TOGETHER: Final = 10
"""Binaries in one search: scanned letters are of a megabyte or three each."""
_UNREAD: Final = "unread"
_T = TypeVar("_T")


def unread(id_: str) -> ResourceView:
    """Give what stands for a Binary that is there and cannot be read: it says of itself what nobody understands."""
    label = {"system": CONFIDENTIALITY, "code": _UNREAD}
    return read_resource(msgspec.json.encode({"resourceType": "Binary", "id": id_, "meta": {"security": [label]}}))


class Contents:
    """Reads Binaries of one server for one request; `calls` bounds how many calls are under way."""

    def __init__(self, door: Door, limits: strict.Limits, calls: asyncio.Semaphore) -> None:
        self._door, self._limits, self._calls = door, limits, calls

    async def take(self, ids: Iterable[str], *, singly: bool = False) -> list[ResourceView]:
        """Give those of the Binaries that there are, by searches unless `singly`. Raises UpstreamFault where a call
        fails."""
        wanted = sorted(set(ids))
        lists = [wanted[at : at + TOGETHER] for at in range(0, len(wanted), TOGETHER)]
        found = await side_by_side([self._ask(listed, singly=singly) for listed in lists])
        return [view for one in found for view in one]

    async def _ask(self, ids: list[str], *, singly: bool) -> list[ResourceView]:
        """Take Binaries by one search, and what that does not give by reads: a search that leaves content out, or gives
        a part, shows nothing of the rest."""
        abilities = self._door.surface.abilities
        searched = not singly and abilities.contents and len(ids) > 1
        found = await self._search(ids) if searched else {}
        read = await side_by_side([self._read(id_) for id_ in ids if id_ not in found])
        views = [view for view in read if view is not None]
        if searched and not found and views:
            abilities.contents = False
        return [*found.values(), *views]

    async def _search(self, ids: list[str]) -> dict[str, ResourceView]:
        """Give the Binaries that one search gives with their content."""
        try:
            async with self._calls:
                held = await self._door.upstream.search("Binary", [("_id", ",".join(ids)), ("_count", str(TOGETHER))])
            bundle = scan(held.body, limits=self._limits)
        except (NotHeeded, NotThere, Closed, TooLarge, MalformedJson):
            return {}
        views = [entry.view for entry in bundle.entries if entry.view is not None]
        return {view.id: view for view in views if view.type == "Binary" and view.id in ids and "data" in view.tree}

    async def _read(self, id_: str) -> ResourceView | None:
        try:
            async with self._calls:
                held = await self._door.upstream.content(id_)
            view = read_resource(held.body, limits=self._limits) if held is not None else None
            if view is None or (view.type, view.id) == ("Binary", id_):
                return view
            why = "it gave another record"
        except (NotHeeded, Closed, TooLarge) as fault:
            why = str(fault.why)
        except MalformedJson:
            why = "it is not strict JSON"
        self._door.surface.abilities.shuts_contents(why)
        return unread(id_)


async def side_by_side(calls: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Carry calls out at the same time. Raises UpstreamFault, the first of them, where one fails; the rest ends."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except ExceptionGroup as failed:
        faults, others = failed.split(UpstreamFault)
        if others is None and faults is not None:
            raise _first_of(faults) from None
        raise
    return [task.result() for task in tasks]


def _first_of(faults: BaseExceptionGroup[UpstreamFault]) -> UpstreamFault:
    """Give the first fault of calls that went side by side."""
    one: BaseException = faults
    while isinstance(one, BaseExceptionGroup):
        one = one.exceptions[0]
    return one if isinstance(one, UpstreamFault) else UpstreamFault()
