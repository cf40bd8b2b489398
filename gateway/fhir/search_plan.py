"""An admitted search, as data: what is sent on, and what its matches have to meet (`search` makes it).

Rules of this file
1. Plans are made of a search's form alone; nothing of any record is in one.
2. A plan says what the gateway does by itself: conditions, chains, `_has`, order, includes.
"""

import msgspec

from gateway.fhir.search_predicates import Condition


class SearchLimits(msgspec.Struct, frozen=True):
    """Page size where none is asked for, the largest page, alternatives joined by `,`, includes, letters of a value,
    keys of `_sort`, chains and `_has` of one search."""

    count: int = 50
    most: int = 200
    alternatives: int = 50
    includes: int = 10
    value: int = 4000
    keys: int = 4
    beyond: int = 4


class Include(msgspec.Struct, frozen=True):
    """One `_include` (`reverse` False) or `_revinclude`: records that `source` names at `paths`, or that name them.
    `again`: with `:iterate`, also of what was included."""

    source: str
    parameter: str
    paths: tuple[str, ...]
    target: str | None
    reverse: bool
    again: bool = False


class Key(msgspec.Struct, frozen=True):
    """One key of `_sort`."""

    kind: str
    paths: tuple[str, ...]
    descending: bool


class Chain(msgspec.Struct, frozen=True):
    """`name:Type.parameter=value`: the reference `name` points at a match of the search `inner` (L014)."""

    name: str
    paths: tuple[str, ...]
    inner: "SearchPlan"


class Reverse(msgspec.Struct, frozen=True):
    """`_has:Type:name:parameter=value`: a match of a search of `type` points by `name` at the record (L012)."""

    type: str
    name: str
    paths: tuple[str, ...]
    rest: tuple[tuple[str, str], ...]


class SearchPlan(msgspec.Struct, frozen=True, kw_only=True):
    """An admitted search.

    `upstream`: what is sent on, without `_count`, which is the proxy's own; `anchors`: the part of it that is asked for
    alone where the server refuses the rest. `honoured`: what the `self` link says, in the client's words and order
    (L028). `count`: entries a page. A match has to meet all of `conditions`, `chains` and `reverses` in its released
    form. `anchored`: its records are about patients. `candidates`: what is found are persons who may be the one meant,
    and they are few or none.
    """

    type: str
    upstream: tuple[tuple[str, str], ...]
    anchors: tuple[tuple[str, str], ...]
    honoured: tuple[tuple[str, str], ...]
    count: int
    includes: tuple[Include, ...] = ()
    anchored: bool = True
    conditions: tuple[Condition, ...] = ()
    chains: tuple[Chain, ...] = ()
    reverses: tuple[Reverse, ...] = ()
    sort: tuple[Key, ...] = ()
    candidates: bool = False
