"""What the server behind a route can search at all, by its own CapabilityStatement; read once, told to nobody (L056).

Rules of this file
1. It decides which searches the gateway composes something from (everything about a patient), never what may be seen.
2. It is the same for every caller and patient; where it cannot be read, what needs it is not answered (502).
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from gateway.errors import UpstreamFault
from gateway.fhir.strict import Limits, MalformedJson
from gateway.fhir.view import read_resource
from gateway.proxy.upstream import Upstream


class Abilities:
    """The searches of one upstream, by type."""

    def __init__(self, upstream: Upstream, limits: Limits) -> None:
        self._upstream, self._limits = upstream, limits
        self._searches: Mapping[str, frozenset[str]] | None = None
        self._one = asyncio.Lock()

    async def searches(self) -> Mapping[str, frozenset[str]]:
        """Give the search parameters that the server states for each type it states. Raises UpstreamFault."""
        async with self._one:
            if self._searches is None:
                self._searches = await self._read()
        return self._searches

    async def _read(self) -> Mapping[str, frozenset[str]]:
        held = await self._upstream.look("/metadata")
        if held is None:
            raise UpstreamFault
        try:
            view = read_resource(held.body, limits=self._limits)
        except MalformedJson as error:
            raise UpstreamFault from error
        if view.type != "CapabilityStatement":
            raise UpstreamFault
        found: dict[str, frozenset[str]] = {}
        for rest in _objects(view.tree.get("rest")):
            for one in _objects(rest.get("resource")):
                names = frozenset(str(each.get("name")) for each in _objects(one.get("searchParam")))
                found[str(one.get("type"))] = names | found.get(str(one.get("type")), frozenset())
        return found


def _objects(node: object) -> list[dict[str, Any]]:
    return [one for one in node if isinstance(one, dict)] if isinstance(node, list) else []
