"""Bundles the embedded upstream writes: searchsets page by page, and an instance's history.

Rules of this file
1. A resource goes into a Bundle as its stored text; only what stands around it is written here.
2. A page is asked for by an opaque token, each walk with its own tokens, as real servers do; `total` counts matches.
3. Old tokens are forgotten: a walk that came back too late is told that its page is gone.
"""

import secrets
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from gateway.demo.search import Search, included
from gateway.demo.store import Store, Stored

_KEPT: Final = 500


@dataclass(frozen=True)
class Walk:
    """A search's result on the way through its pages: what matched, where the next page starts, how it was asked."""

    search: Search
    matched: tuple[Stored, ...]
    link: str
    start: int = 0


class Pages:
    """Searchset Bundles with `next` links; remembers the walks that are under way."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._walks: OrderedDict[str, Walk] = OrderedDict()

    def first(self, search: Search, matched: Iterable[Stored], base: str, link: str) -> bytes:
        """Give the first page of a search; `link` is its self link."""
        return self._page(Walk(search, tuple(matched), link), base)

    def next(self, token: str, base: str) -> bytes | None:
        """Give the page behind a token; None where the token is not known, or no longer."""
        walk = self._walks.get(token)
        return self._page(replace(walk, link=f"{base}?_getpages={token}"), base) if walk else None

    def _page(self, walk: Walk, base: str) -> bytes:
        end = walk.start + walk.search.count
        page = list(walk.matched[walk.start : end])
        links = [{"relation": "self", "url": walk.link}]
        if walk.search.count and end < len(walk.matched):
            links.append({"relation": "next", "url": f"{base}?_getpages={self._keep(replace(walk, start=end))}"})
        entries = [_entry(held, base, {"search": {"mode": "match"}}) for held in page]
        brought = included(self._store, walk.search, page, base)
        entries += [_entry(held, base, {"search": {"mode": "include"}}) for held in brought]
        return bundle("searchset", entries, {"total": len(walk.matched), "link": links})

    def _keep(self, walk: Walk) -> str:
        token = secrets.token_urlsafe(18)
        self._walks[token] = walk
        if len(self._walks) > _KEPT:
            self._walks.popitem(last=False)
        return token


def history(versions: list[Stored], base: str, link: str) -> bytes:
    """Give an instance's history Bundle, newest first (R4 3.1.0.11)."""
    entries = [_entry(held, base, _done(held)) for held in reversed(versions)]
    return bundle("history", entries, {"total": len(versions), "link": [{"relation": "self", "url": link}]})


def bundle(type_: str, entries: Iterable[bytes], members: dict[str, Any] | None = None) -> bytes:
    """Give a Bundle's text of a type with these entries, each already text, and further members before them."""
    head = msgspec.json.encode({"resourceType": "Bundle", "type": type_, **(members or {})})
    listed = b",".join(entries)
    return head[:-1] + (b',"entry":[' + listed + b"]}" if listed else b"}")


def _entry(held: Stored, base: str, rest: dict[str, Any]) -> bytes:
    name = msgspec.json.encode(f"{base}/{held.name}")
    return b'{"fullUrl":' + name + b',"resource":' + held.raw + b"," + msgspec.json.encode(rest)[1:]


def _done(held: Stored) -> dict[str, Any]:
    method, status = ("POST", "201 Created") if held.version == "1" else ("PUT", "200 OK")
    request = {"method": method, "url": held.type if method == "POST" else held.name}
    response = {"status": status, "etag": f'W/"{held.version}"', "lastModified": held.updated.isoformat()}
    return {"request": request, "response": response}
