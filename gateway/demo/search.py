r"""What a search means: its parameters read once, then asked of each stored resource.

Rules of this file
1. Comma is or, repetition is and; `\,` and `\|` are themselves (FHIR R4 3.1.1.4 and 3.1.1.5).
2. Dates are spans compared as R4 3.1.1.5.6 says; text without an offset is read as UTC.
3. A modifier, a chain, an unknown parameter or an empty value is refused, never ignored.
4. A reference matches by what it names relative to this server: `Type/id`, a bare id, or the whole URL. A string
   matches from its beginning, without case and accents.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from consent_store.dates import parse_date
from gateway.demo.parameters import DATES, STRINGS, SUBJECTS, TARGETS, TOKENS, Paths, included_paths, searched_paths
from gateway.demo.references import target
from gateway.demo.store import Store, Stored

DEFAULT_COUNT: Final = 20
MOST: Final = 1000

Span = tuple[datetime, datetime]
Test = Callable[[Stored], bool]
_INSTANT: Final = timedelta(microseconds=1)
_ALWAYS: Final[Span] = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
_COMPARED: Final[dict[str, Callable[[Span, Span], bool]]] = {
    "eq": lambda asked, held: asked[0] <= held[0] and held[1] <= asked[1],
    "ne": lambda asked, held: not (asked[0] <= held[0] and held[1] <= asked[1]),
    "gt": lambda asked, held: held[1] > asked[1],
    "lt": lambda asked, held: held[0] < asked[0],
    "ge": lambda asked, held: held[1] > asked[1] or (asked[0] <= held[0] and held[1] <= asked[1]),
    "le": lambda asked, held: held[0] < asked[0] or (asked[0] <= held[0] and held[1] <= asked[1]),
}


class SearchRefused(Exception):
    """A search this server does not carry out; the text says why, in a real server's chatty way."""


@dataclass(frozen=True)
class Include:
    """One `_include` or `_revinclude`: the referring type, the parameter, and the type of target if it is limited."""

    source: str
    name: str
    limit: str | None


@dataclass(frozen=True)
class Search:
    """A search as read: the types, one list of alternatives per criterion, what to include, how many on a page."""

    types: tuple[str, ...]
    criteria: tuple[tuple[str, tuple[str, ...]], ...]
    includes: tuple[Include, ...]
    revincludes: tuple[Include, ...]
    count: int


def read_search(type_: str | None, pairs: Iterable[tuple[str, str]], known: Iterable[str]) -> Search:
    """Read a query. `type_` is None for a search over all types, of which `known` are held here.

    Raises SearchRefused for what this server does not know.
    """
    types: tuple[str, ...] = (type_,) if type_ else ()
    criteria: list[tuple[str, tuple[str, ...]]] = []
    count = DEFAULT_COUNT
    includes: dict[str, list[Include]] = {"_include": [], "_revinclude": []}
    for name, value in pairs:
        if not value:
            raise SearchRefused(f"parameter {name} has no value")
        if name in includes:
            includes[name].append(_include(value))
        elif name == "_count":
            count = _count(value)
        elif name == "_type" and not type_:
            types = tuple(value.split(","))
        elif name != "_format":
            criteria.append((name, tuple(_split(value, ","))))
    searched = types or tuple(held for held in known if all(_knows(held, name) for name, _ in criteria))
    for name, values in criteria:
        _check(name, values, searched)
    return Search(searched, tuple(criteria), tuple(includes["_include"]), tuple(includes["_revinclude"]), count)


def find(store: Store, search: Search, base: str) -> list[Stored]:
    """Give what a search matches, in the order of arrival within each type. `base` is this server's own URL."""
    found: list[Stored] = []
    for type_ in dict.fromkeys(search.types):
        tests = [_test(type_, name, values, base) for name, values in search.criteria]
        found += [held for held in _candidates(store, type_, search, base) if all(test(held) for test in tests)]
    return found


def included(store: Store, search: Search, page: list[Stored], base: str) -> list[Stored]:
    """Give what a page's `_include` and `_revinclude` bring along: each resource once, none that the page has."""
    brought: dict[str, Stored] = {}
    for include in search.includes:
        for held in page:
            if held.type == include.source:
                brought |= {other.name: other for other in _named(store, held, include, base)}
    names = {held.name for held in page}
    for include in search.revincludes:
        for other in store.referring(include.source, names):
            if any(held.name in names for held in _named(store, other, include, base)):
                brought[other.name] = other
    return [other for name, other in brought.items() if name not in names]


def _split(text: str, at: str) -> list[str]:
    return re.split(rf"(?<!\\){re.escape(at)}", text)


def _unescaped(text: str) -> str:
    return re.sub(r"\\([,|$\\])", r"\1", text)


def _count(value: str) -> int:
    if not value.isascii() or not value.isdigit():
        raise SearchRefused(f"_count={value} is not a number of resources")
    return min(int(value), MOST)


def _include(value: str) -> Include:
    source, _, rest = value.partition(":")
    name, _, limit = rest.partition(":")
    if included_paths(source, name) is None:
        raise SearchRefused(f"{value} is not an include this server knows")
    return Include(source, name, limit or TARGETS.get(name))


def _knows(type_: str, name: str) -> bool:
    return name in ("_id", "_lastUpdated") or searched_paths(type_, name) is not None


def _check(name: str, values: tuple[str, ...], types: tuple[str, ...]) -> None:
    unknown = next((type_ for type_ in types if not _knows(type_, name)), None)
    if unknown or not types:
        raise SearchRefused(f"unknown search parameter {name} for resource type {unknown or 'any'}")
    if not all(values):
        raise SearchRefused(f"parameter {name} has an empty alternative")
    if name in ("date", "_lastUpdated"):
        for value in values:
            _compared(value)


def _candidates(store: Store, type_: str, search: Search, base: str) -> Iterable[Stored]:
    criteria = dict(reversed(search.criteria))
    if "_id" in criteria:
        held = (store.read(type_, id_) for id_ in dict.fromkeys(criteria["_id"]))
        return sorted((one for one in held if one), key=lambda one: one.serial)
    for name in ("patient", "subject", "target", "encounter", "context", "practitioner"):
        if name in criteria:
            return store.referring(type_, {asked for value in criteria[name] for asked in _asked(name, value, base)})
    return store.all(type_)


def _test(type_: str, name: str, values: tuple[str, ...], base: str) -> Test:
    if name == "_id":
        return lambda held: held.id in values
    if name == "_lastUpdated":
        dates = [_compared(value) for value in values]
        return lambda held: any(date((held.updated, held.updated + _INSTANT)) for date in dates)
    paths = searched_paths(type_, name) or ()
    if name in DATES:
        dates = [_compared(value) for value in values]
        return lambda held: any(date(span) for span in _spans(held.tree, paths) for date in dates)
    if name in STRINGS:
        beginnings = tuple(_plain(value) for value in values)
        return lambda held: any(text.startswith(beginnings) for text in _texts(held.tree, paths))
    if name in TOKENS:
        tokens = [_token(value) for value in values]
        return lambda held: any(token(*code) for code in _codes(held.tree, paths) for token in tokens)
    asked = {one for value in values for one in _asked(name, value, base)}
    return lambda held: not asked.isdisjoint(_references(held.tree, paths, base))


def _asked(name: str, value: str, base: str) -> tuple[str, ...]:
    limit = TARGETS.get(name)
    if "/" not in value:
        return tuple(f"{type_}/{value}" for type_ in ((limit,) if limit else SUBJECTS))
    full = target(value, base) or value
    return () if limit and "/" in full and not full.startswith(limit + "/") and target(full) else (full,)


def _token(value: str) -> Callable[[str, str], bool]:
    system, *rest = (_unescaped(part) for part in _split(value, "|"))
    if not rest:
        return lambda _, code: code == system
    code_asked = "|".join(rest)
    if not code_asked:
        return lambda held, _: held == system
    return lambda held, code: held == system and code == code_asked


def _compared(value: str) -> Callable[[Span], bool]:
    prefix, text = (value[:2], value[2:]) if value[:1].isalpha() else ("eq", value)
    if prefix not in _COMPARED:
        raise SearchRefused(f"prefix {prefix} is not supported, only {', '.join(_COMPARED)}")
    try:
        date = parse_date(text)
    except ValueError as error:
        raise SearchRefused(f"{text} is not a date") from error
    asked, compare = (date.first(UTC, wide=True), date.after(UTC, wide=True)), _COMPARED[prefix]
    return lambda held: compare(asked, held)


def values_at(tree: Any, path: tuple[str, ...]) -> Iterator[Any]:  # noqa: ANN401  JSON
    """Give every value at a path, through lists, with `x[x]` for each type of a choice."""
    if isinstance(tree, list):
        for item in tree:
            yield from values_at(item, path)
    elif not path:
        yield tree
    elif isinstance(tree, dict):
        name = path[0].removesuffix("[x]")
        for key, value in tree.items():
            if key == name or (name != path[0] and key.startswith(name) and key[len(name)].isupper()):
                yield from values_at(value, path[1:])


def _spans(tree: dict[str, Any], paths: Paths) -> Iterator[Span]:
    for value in (value for path in paths for value in values_at(tree, path)):
        if isinstance(value, str):
            yield _span(value, 0), _span(value, 1)
        elif isinstance(value, dict) and ("start" in value or "end" in value):
            yield _span(value.get("start"), 0), _span(value.get("end"), 1)


def _span(text: object, side: int) -> datetime:
    if text is None:
        return _ALWAYS[side]
    try:
        date = parse_date(text)
    except ValueError:
        return _ALWAYS[side]
    return date.after(UTC, wide=True) if side else date.first(UTC, wide=True)


def _codes(tree: dict[str, Any], paths: Paths) -> Iterator[tuple[str, str]]:
    for value in (value for path in paths for value in values_at(tree, path)):
        if isinstance(value, str):
            yield "", value
        elif isinstance(value, dict):
            codings = value.get("coding", [value])
            for coding in (one for one in codings if isinstance(one, dict)):
                yield str(coding.get("system", "")), str(coding.get("code", coding.get("value", "")))


def _plain(text: str) -> str:
    """Give a text without case and accents (R4 3.1.1.4.5: strings are compared so, from their beginning)."""
    parted = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in parted if not unicodedata.combining(letter))


def _texts(tree: dict[str, Any], paths: Paths) -> Iterator[str]:
    return (_plain(value) for path in paths for value in values_at(tree, path) if isinstance(value, str))


def _references(tree: dict[str, Any], paths: Paths, base: str) -> Iterator[str]:
    for value in (value for path in paths for value in values_at(tree, path)):
        reference = value.get("reference") if isinstance(value, dict) else None
        if isinstance(reference, str):
            yield target(reference, base) or reference


def _named(store: Store, held: Stored, include: Include, base: str) -> Iterator[Stored]:
    paths = included_paths(include.source, include.name) or ()
    for name in _references(held.tree, paths, base):
        type_, _, id_ = name.partition("/")
        other = store.read(type_, id_) if include.limit in (None, type_) else None
        if other:
            yield other
