"""Several searches in a row told as one: a search of all types, of a compartment, of everything about a patient.

Rules of this file
1. Every part is a search of one type as a client could have asked it, through the same admission, decision and release
   (leaks.md L043): what a part does not show, the whole does not show.
2. Pages are filled over the parts; `next` only where there is one more released match; `total` as in any search (L020).
3. A record that an earlier part found is not shown again: told by its released form alone.
4. A cursor holds the part, the place in it, and how many of that page were shown; it is bound as a search's is.
5. An order is made of all that is released, up to the limit of a search that is sorted (leaks.md L018).
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from consent_store.store import Revision, Subject
from gateway.decision.model import Exchange
from gateway.errors import BadRequest, UpstreamFault
from gateway.fhir.interaction import Interaction, Kind
from gateway.fhir.pointer import element_path
from gateway.fhir.query import Parameter, build_query, parse_query
from gateway.fhir.references import Base, Local, parse
from gateway.fhir.search_plan import Key
from gateway.fhir.search_predicates import sort_key
from gateway.fhir.view import ResourceView, read_resource
from gateway.proxy.asked import Asked, ChangedMeanwhile, Prepared
from gateway.proxy.cursor import PARAMETER, Binding, Place, take
from gateway.proxy.searching import MOST_SORTED, admitted, search
from gateway.proxy.walking import too_many
from gateway.release.compose import ReleasedEntry, compose_searchset
from gateway.release.released import Manifest, Released
from gateway.release.uniting import Page, manifest_of_shown, name_of, read_page

MOST_RELEASED: Final = 10_000
"""How many released records one request may walk over (rule of leaks.md: limits count what is released alone)."""

_INNER: Final = 200  # matches asked of a part at once, the most a search gives
_AHEAD: Final = 4  # parts whose first page is asked for at once


class Part(msgspec.Struct, frozen=True):
    """One search of the row. `by` is the parameter that names `owner`, `earlier` are the elements by which the parts
    before it name them in this type."""

    type: str
    parameters: tuple[Parameter, ...]
    owner: Local | None = None
    earlier: tuple[str, ...] = ()
    by: str = ""


class Whole(msgspec.Struct, frozen=True):
    """The row of searches, by form. `path` and `said`: address and parameters as the client gave them, for links;
    `count`: matches a page; `sort`: the keys of `_sort` for each type."""

    parts: tuple[Part, ...]
    path: str
    said: tuple[Parameter, ...]
    count: int
    start: Place
    cursor: str | None
    binding: Binding
    sort: Mapping[str, tuple[Key, ...]] = {}


class _At(msgspec.Struct, frozen=True):
    """Where a walk stands: the part, our cursor within it ("" = its beginning), released matches of that page shown."""

    part: int = 0
    inner: str = ""
    skip: int = 0


class Walked(msgspec.Struct):
    """What a walk took: released matches with the place each stands at, and every page they came from."""

    matches: list[tuple[ReleasedEntry, _At]]
    pages: list[Released]
    revisions: dict[Subject, Revision]

    @property
    def manifests(self) -> list[Manifest]:
        """What the pages disclose and withhold."""
        return [page.manifest for page in self.pages]

    def note(self, prepared: Prepared) -> None:
        """Keep a page and what it was decided on. Raises ChangedMeanwhile where pages saw different consents."""
        self.pages.append(prepared.released)
        unite(self.revisions, prepared.revisions)


Ask = Callable[[int, str], Awaitable[Prepared]]


def whole_of(asked: Asked, interaction: Interaction, parts: Sequence[Part], path: str, count: int) -> Whole:
    """Give the row of searches, admitted. Raises NotSupported and BadRequest by form alone."""
    cursor, said = take(interaction.parameters)
    for part in parts:
        admitted(asked, _inner(part, "", _INNER))
    someone = Interaction(Kind.SEARCH, "Patient", parameters=(Parameter("_id", "x"),))
    binding = msgspec.structs.replace(admitted(asked, someone).binding, query=((f"/{path}", ""), *said))
    start = Place("", 0) if cursor is None else asked.services.cursors.open(cursor, binding)
    plain = tuple(Parameter(*each) for each in said)
    return Whole(tuple(parts), path, plain, count, start, cursor, binding)


async def united(asked: Asked, whole: Whole, exchange: Exchange, include: "Include | None" = None) -> Prepared:
    """Prepare one page. `include` gives what is shown beside its matches. Raises UpstreamFault, Unavailable,
    ChangedMeanwhile."""
    walked, following = await (_sorted if whole.sort else _filled)(asked, whole, exchange)
    entries = [entry for entry, _ in walked.matches]
    matches = len(entries)
    if include is not None:
        entries += await include(walked, entries, exchange)
    url = f"{asked.door.route.public_url}/{whole.path}".rstrip("/")
    here = [Parameter(PARAMETER, whole.cursor)] if whole.cursor is not None else []
    links = [("self", _link(url, [*whole.said, *here]))]
    if following is not None:
        sealed = asked.services.cursors.seal(following, whole.binding)
        links.append(("next", _link(url, [*whole.said, Parameter(PARAMETER, sealed)])))
    released = compose_searchset(
        entries,
        bundle_id=str(uuid.uuid4()),
        links=links,
        total=matches if whole.cursor is None and following is None else None,
        headers={},
        manifest=manifest_of_shown(walked.manifests, (name_of(entry.resource) for entry in entries)),
    )
    return Prepared(released, walked.revisions)


async def _filled(asked: Asked, whole: Whole, exchange: Exchange) -> tuple["Walked", Place | None]:
    """Walk to one match beyond the page; give the page, and where the next one starts."""
    walked = await walk(asked, whole.parts, exchange, _placed(whole.start), whole.count + 1)
    more = walked.matches[whole.count :]
    walked.matches = walked.matches[: whole.count]
    return walked, Place(f"{more[0][1].part}/{more[0][1].inner}", more[0][1].skip) if more else None


async def _sorted(asked: Asked, whole: Whole, exchange: Exchange) -> tuple["Walked", Place | None]:
    """Walk the whole row, put it in order, give one page of it: `skip` counts in that order. Raises BadRequest."""
    walked = await walk(asked, whole.parts, exchange, _At(), MOST_SORTED + 1)
    if len(walked.matches) > MOST_SORTED:
        raise too_many()
    told = [(read_resource(one[0].resource), one) for one in walked.matches]
    for number in reversed(range(len(next(iter(whole.sort.values()))))):
        told = _by_key(told, {type_: keys[number] for type_, keys in whole.sort.items()})
    end = whole.start.skip + whole.count
    walked.matches = [one for _, one in told][whole.start.skip : end]
    return walked, Place("", end) if len(told) > end else None


def _by_key(told: list["_Told"], keys: Mapping[str, Key]) -> list["_Told"]:
    """Give matches in the order of one key; equal ones as they were, those without a value last."""
    down = next(iter(keys.values())).descending
    valued = [
        (sort_key(keys[view.type].kind, keys[view.type].paths, view.tree, last=down), view, one) for view, one in told
    ]
    there = sorted((one for one in valued if one[0] is not None), key=lambda one: one[0], reverse=down)
    return [(view, one) for _, view, one in (*there, *(one for one in valued if one[0] is None))]


_Told = tuple[ResourceView, tuple[ReleasedEntry, "_At"]]
Include = Callable[[Walked, list[ReleasedEntry], Exchange], Awaitable[list[ReleasedEntry]]]


async def walk(asked: Asked, parts: Sequence[Part], exchange: Exchange, start: _At, most: int) -> Walked:
    """Take up to `most` released matches of a row of searches from a place on. Raises what a search raises."""
    walked, asking = Walked([], [], {}), _Asking(asked, parts, exchange, most)
    limits, at, size = asked.services.limits, start, 0
    try:
        async with asyncio.timeout(limits.upstream_answer_s):
            while at.part < len(parts) and len(walked.matches) < most:
                prepared = await asking.page(at)
                walked.note(prepared)
                size += len(prepared.released.body)
                if size > limits.body_bytes:
                    raise too_much()
                page = read_page(prepared.released)
                _take(walked, page, parts[at.part], at, most, asked.door.own)
                following = page.next
                at = _At(at.part + 1) if following is None else _At(at.part, _cursor_of(following), 0)
    except TimeoutError:
        raise UpstreamFault(why="a search took longer than `upstream_answer_s`") from None
    return walked


async def every(asked: Asked, parts: Sequence[Part], exchange: Exchange) -> Walked:
    """Take all released matches. Raises BadRequest where there are more than one request walks over."""
    walked = await walk(asked, parts, exchange, _At(), MOST_RELEASED + 1)
    if len(walked.matches) > MOST_RELEASED:
        raise too_much()
    return walked


def too_much() -> BadRequest:
    """Give the one answer to what would release more than one request may have."""
    return BadRequest("this has more results than one request is answered with; ask for less at once")


def unite(into: dict[Subject, Revision], more: Mapping[Subject, Revision]) -> None:
    """Add revisions. Raises ChangedMeanwhile where a subject's differ."""
    for subject, revision in more.items():
        if into.setdefault(subject, revision) != revision:
            raise ChangedMeanwhile


def page_size(parameters: Iterable[Parameter], usual: int, most: int) -> tuple[int, tuple[Parameter, ...]]:
    """Part `_count` from the parameters. Raises BadRequest for more than one and for no positive number."""
    given = tuple(parameters)
    counts = [each.value for each in given if each.name == "_count"]
    rest = tuple(each for each in given if each.name != "_count")
    if not counts:
        return usual, rest
    if (
        len(counts) > 1
        or not counts[0].isascii()
        or not counts[0].isdigit()
        or len(counts[0]) > 9
        or not int(counts[0])
    ):
        raise BadRequest("the value of `_count` is not of a form the gateway reads")
    return min(int(counts[0]), most), rest


class _Asking:
    """Asks for pages; the first pages of parts yet to come several at once."""

    def __init__(self, asked: Asked, parts: Sequence[Part], exchange: Exchange, most: int) -> None:
        self.asked, self.parts, self.exchange = asked, parts, exchange
        self.count = min(most, _INNER)
        self.ahead: dict[int, Prepared] = {}

    async def page(self, at: _At) -> Prepared:
        if at.inner:
            return await self._one(at.part, at.inner)
        if at.part not in self.ahead:
            coming = range(at.part, min(at.part + _AHEAD, len(self.parts)))
            found = await _together([self._one(part, "") for part in coming])
            self.ahead = dict(zip(coming, found, strict=True))
        return self.ahead[at.part]

    async def _one(self, part: int, inner: str) -> Prepared:
        interaction = _inner(self.parts[part], inner, self.count)
        return await search(self.asked, admitted(self.asked, interaction), self.exchange)


async def _together(calls: Sequence[Awaitable[Prepared]]) -> list[Prepared]:
    """Wait for all; raise the first error in order once all have ended, so that none is left running."""
    found = await asyncio.gather(*calls, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return [one for one in found if isinstance(one, Prepared)]


def _take(walked: Walked, page: Page, part: Part, at: _At, most: int, own: frozenset[Base]) -> None:
    matches = [entry for entry in page.entries if entry.mode == "match"]
    for number, entry in enumerate(matches):
        if number < at.skip or len(walked.matches) == most:
            continue
        if part.owner is None or not names(entry.resource, part.earlier, part.owner, own):
            walked.matches.append((entry, _At(at.part, at.inner, number)))


def names(text: bytes, paths: Sequence[str], owner: Local, own: frozenset[Base]) -> bool:
    """Say whether a released record names `owner` at one of the element paths."""
    if not paths:
        return False
    view = read_resource(text)
    found = (
        parse(each.reference, own) for each in view.references if each.reference and element_path(each.at) in paths
    )
    return any(isinstance(target, Local) and (target.type, target.id) == (owner.type, owner.id) for target in found)


def _inner(part: Part, cursor: str, count: int) -> Interaction:
    further = [Parameter(PARAMETER, cursor)] if cursor else []
    parameters = (*part.parameters, Parameter("_count", str(count)), *further)
    return Interaction(Kind.SEARCH, part.type, parameters=parameters)


def _placed(place: Place) -> _At:
    part, _, inner = place.position.partition("/")
    return _At(int(part), inner, place.skip) if part else _At()


def _cursor_of(url: str) -> str:
    return next(each.value for each in parse_query(url.partition("?")[2].encode("ascii")) if each.name == PARAMETER)


def _link(url: str, parameters: Sequence[Parameter]) -> str:
    asked = build_query(parameters).decode("ascii")
    return url + (f"?{asked}" if asked else "")
