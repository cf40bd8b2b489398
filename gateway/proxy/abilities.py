"""What the server behind a route can search at all, by its own CapabilityStatement; read once, told to nobody (L056).

Rules of this file
1. It decides which searches the gateway composes something from (everything about a patient) and what it asks for
   beside a page, never what may be seen.
2. It is the same for every caller and patient; where it cannot be read, what needs it is not answered (502), and what
   can do without it does.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from gateway.errors import UpstreamFault
from gateway.fhir.strict import Limits, MalformedJson
from gateway.fhir.view import read_resource
from gateway.proxy.upstream import Upstream

_AGAIN_S: Final = 60.0
_NOTHING: Final = frozenset[str]()


class Abilities:
    """The searches of one upstream, by type, and what it brings beside their matches."""

    def __init__(self, upstream: Upstream, limits: Limits) -> None:
        self._upstream, self._limits = upstream, limits
        self._stated: tuple[Mapping[str, frozenset[str]], Mapping[str, frozenset[str]]] | None = None
        self._failed: float | None = None
        self._one = asyncio.Lock()

    async def searches(self) -> Mapping[str, frozenset[str]]:
        """Give the search parameters that the server states for each type it states. Raises UpstreamFault."""
        async with self._one:
            if self._stated is None:
                self._stated = await self._read()
        return self._stated[0]

    async def includes(self, type_: str) -> frozenset[str]:
        """Give what the server states that `_include` takes for a type, none where it cannot be read: a search goes
        without. It is then asked for again after a minute."""
        now = asyncio.get_running_loop().time()
        if self._stated is None and (self._failed is None or now - self._failed >= _AGAIN_S):
            try:
                await self.searches()
            except UpstreamFault:
                self._failed = now
        return self._stated[1].get(type_, _NOTHING) if self._stated is not None else _NOTHING

    async def _read(self) -> tuple[Mapping[str, frozenset[str]], Mapping[str, frozenset[str]]]:
        held = await self._upstream.look("/metadata")
        if held is None:
            raise UpstreamFault
        try:
            view = read_resource(held.body, limits=self._limits)
        except MalformedJson as error:
            raise UpstreamFault from error
        if view.type != "CapabilityStatement":
            raise UpstreamFault
        searches: dict[str, frozenset[str]] = {}
        includes: dict[str, frozenset[str]] = {}
        for rest in _objects(view.tree.get("rest")):
            for one in _objects(rest.get("resource")):
                type_, brought = str(one.get("type")), one.get("searchInclude")
                names = frozenset(str(each.get("name")) for each in _objects(one.get("searchParam")))
                searches[type_] = names | searches.get(type_, _NOTHING)
                listed = brought if isinstance(brought, list) else []
                includes[type_] = frozenset(map(str, listed)) | includes.get(type_, _NOTHING)
        return searches, includes


def _objects(node: object) -> list[dict[str, Any]]:
    return [one for one in node if isinstance(one, dict)] if isinstance(node, list) else []
