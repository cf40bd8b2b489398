"""What the server behind a route can search: by its own CapabilityStatement, and as it was seen; told to nobody (L056).

Rules of this file
1. It decides which searches the gateway composes something from (everything about a patient) and how it asks, never
   what may be seen. It is the same for every caller and patient.
2. A statement that cannot be read fails what needs it (502); one that is not there, or names no parameters of a type,
   states nothing: then the server is tried. What it then takes is kept, what it refuses for a minute.
3. That a server finds several records by `_id=a,b` is believed once it was seen; until then what is missing is read.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from gateway.errors import UpstreamFault
from gateway.fhir.bundle import Bundle
from gateway.fhir.references import Base, Foreign, parse
from gateway.fhir.strict import Limits, MalformedJson
from gateway.fhir.view import read_resource
from gateway.proxy.telemetry import LOGGER
from gateway.proxy.upstream import NotHeeded, NotThere, Upstream

_AGAIN_S: Final = 60.0
_NOTHING: Final = frozenset[str]()
_SINGLY: Final = "a server does not find several records by one `_id`: it is asked for them one by one"
_CUT: Final = "a server counts more matches than it gives, and links to no further page: what it keeps is not there"
_SHUT: Final = "a Binary that a record attaches cannot be read, so that record is withheld: %s"
_ELSEWHERE: Final = (
    "the fullUrls of an upstream begin with %s, which is not its `upstream`: they count as another server's and are"
    " withheld; if it is the same one, name that URL in `upstream_aliases`"
)


class Abilities:
    """The searches of one upstream, by type, and what it brings beside their matches."""

    def __init__(self, upstream: Upstream, limits: Limits) -> None:
        self._upstream, self._limits = upstream, limits
        self._stated: tuple[Mapping[str, frozenset[str]], Mapping[str, frozenset[str]]] | None = None
        self._failed: float | None = None
        self._one = asyncio.Lock()
        self._taken: dict[tuple[str, str], float | None] = {}  # when a parameter was refused, None: it is taken
        self._left_out: dict[str, frozenset[str]] = {}
        self.typed: dict[tuple[str, str], bool] = {}
        """Whether a parameter of a type (`patient`) finds by `Patient/1` or by the id alone; none until it was seen."""
        self._lists: bool | None = None
        self.contents = True
        """Whether it may be asked for several Binaries, with their content, by one search: until it was seen not to."""
        self._elsewhere: set[Base] = set()
        self._told_back = False
        self._told_shut = False

    async def searches(self) -> Mapping[str, frozenset[str]]:
        """Give the search parameters that the server states for each type it states; nothing where it states nothing.
        Raises UpstreamFault."""
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

    async def takes(self, type_: str, name: str, value: str) -> bool:
        """Say whether a type can be searched by a parameter: as stated, else as the server does by rule 2. Raises
        UpstreamFault."""
        known = await self.searches()
        if known and (type_ not in known or known[type_]):
            return name in known.get(type_, _NOTHING)
        now = asyncio.get_running_loop().time()
        refused = self._taken.get((type_, name), now - _AGAIN_S)
        if refused is not None and now - refused >= _AGAIN_S:
            try:
                await self._upstream.search(type_, [(name, value), ("_count", "1")])
                refused = None
            except (NotHeeded, NotThere):
                refused = now
            self._taken[type_, name] = refused
        return refused is None

    async def lacks(self, type_: str) -> bool:
        """Say whether a server that has nothing at the address of a type is one without that type, and not one that is
        somewhere else. Raises UpstreamFault where it does not state its types and gave nothing yet."""
        known = await self.searches()
        if known:
            return type_ not in known
        if not self._upstream.answered:
            try:
                await self._upstream.search("Patient", [("_count", "1")])
            except NotThere:
                raise UpstreamFault(why="neither metadata nor Patient is there: is `upstream` the base URL?") from None
        return True

    # As it was seen -------------------------------------------------------------------------------------------------
    @property
    def lists(self) -> bool | None:
        """Whether `_id=a,b` finds both; None as long as nobody knows."""
        return self._lists

    def learn_lists(self, *, found: bool) -> None:
        """Keep what was seen of it. Once it was seen not to, it is not tried again."""
        if self._lists is not False:
            if not found:
                LOGGER.warning(_SINGLY)
            self._lists = found

    def keeps_back(self) -> None:
        """Tell the operator, once, of a server that counts more matches than it gives."""
        if not self._told_back:
            self._told_back = True
            LOGGER.warning(_CUT)

    def shuts_contents(self, why: str) -> None:
        """Tell the operator, once, that a Binary which a record attaches cannot be read."""
        if not self._told_shut:
            self._told_shut = True
            LOGGER.warning(_SHUT, why)

    def called(self, bundle: Bundle, own: frozenset[Base]) -> None:
        """Tell the operator, once, of a base URL by which the server calls records of a page that we do not know it by:
        they count as another server's (leaks.md L029)."""
        found = (parse(entry.full_url, own) for entry in bundle.entries[:1] if entry.full_url)
        for target in found:
            if isinstance(target, Foreign) and target.base is not None and target.base not in self._elsewhere:
                self._elsewhere.add(target.base)
                base = target.base
                LOGGER.warning(_ELSEWHERE, f"{base.scheme}://{base.host}:{base.port}/{'/'.join(base.path)}")

    def heeded(self, type_: str, asked: Iterable[str], link: str | None) -> None:
        """Keep which parameters of a search the server says it carried out, by its `self` link (R4 search.html
        3.1.1.2); without one it says nothing."""
        said = frozenset(
            name.partition(":")[0] for name, _ in parse_qsl((link or "").partition("?")[2], keep_blank_values=True)
        )
        names = frozenset(name.partition(":")[0] for name in asked)
        self._left_out[type_] = (self._left_out.get(type_, _NOTHING) - said) | (names - said)

    def leaves_out(self, type_: str, asked: Iterable[str]) -> bool:
        """Say whether the server may not have carried out one of these parameters."""
        left_out = self._left_out.get(type_, _NOTHING)
        return any(name.partition(":")[0] in left_out for name in asked)

    async def _read(self) -> tuple[Mapping[str, frozenset[str]], Mapping[str, frozenset[str]]]:
        held = await self._upstream.look("/metadata")
        if held is None:
            return {}, {}
        try:
            view = read_resource(held.body, limits=self._limits)
        except MalformedJson as error:
            raise UpstreamFault(why="its metadata is not strict JSON") from error
        if view.type != "CapabilityStatement":
            raise UpstreamFault(why="its metadata is no CapabilityStatement")
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
