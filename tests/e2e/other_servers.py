"""Small FHIR servers in the manners of other products and of none, written from what their makers say in public.

Rules of this file
1. Nothing of the gateway's is used: what these servers do is told by R4 and by `Manner` alone.
2. A manner is what a product is free to do under R4, or what home-made servers do all the same; each has its source.
3. A server keeps what it is given, and notes what it is asked in `asked`.
"""

import base64
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from tests.stub_upstream import Seen

Tree = dict[str, Any]

USER, PASSWORD = "gateway", "a password of the test"
_CLOSED = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
# Elements that a parameter reads, whatever the type (R4 searchparameter-registry.html, of these types alone).
_REFERENCES: Mapping[str, tuple[str, ...]] = {
    "patient": ("subject", "patient", "beneficiary"),
    "subject": ("subject",),
    "encounter": ("encounter",),
    "performer": ("performer",),
    "target": ("target",),
}
_TOKENS: Mapping[str, tuple[str, ...]] = {"identifier": ("identifier",), "code": ("code",), "status": ("status",)}


@dataclass(frozen=True)
class Manner:
    """How a server answers. The defaults are those of a plain and whole R4 server."""

    path: str = "/fhir"
    calls_itself: str = ""  # the base URL in what it writes; "" = the one it is asked by
    full_urls: str = "{base}/{type}/{id}"  # "" = none
    following: str = "{base}/{type}?{query}&_offset={token}"  # the next link
    token: str = "_offset"
    self_link: bool = True
    modes: bool = True
    total: bool = True
    content_type: str = "application/fhir+json"
    known: frozenset[str] = frozenset({"_id", *_REFERENCES, *_TOKENS})
    refuses: bool = True  # what it does not know; else it ignores that (R4 search.html 3.1.1.2)
    lists: bool = True  # `_id=a,b`
    bare: frozenset[str] = frozenset()  # takes ids alone by these, and finds nothing by `Patient/1`
    counts: str = "heeded"  # or ignored, or refused
    most: int = 1000
    statement: str = "whole"  # or none, or without parameters
    unknown_types: int = 200  # its answer to a search of what it has nothing of
    notes: bool = False  # tells in an OperationOutcome of mode outcome that all is well
    forbids: frozenset[str] = frozenset()  # types that our credentials are not for
    places: str = "{base}/{type}/{id}/_history/1"  # of what is made; "" = not told
    versions: bool = True
    http: str = "HTTP/1.1"
    chunked: bool = False


@dataclass
class OtherServer:
    """A script of the stub upstream: give it the records it has, as trees."""

    manner: Manner
    records: list[Tree]
    base: str = ""
    asked: list[str] = field(default_factory=list)
    bodies: list[Tree] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._pages: dict[str, tuple[str, list[tuple[str, str]], int]] = {}
        self._ids = itertools.count(1)

    def __call__(self, seen: Seen) -> bytes:  # noqa: PLR0911  one line a kind of request
        """Answer one request."""
        self.asked.append(f"{seen.method} {seen.target}")
        path, _, query = seen.target.partition("?")
        inside = path.removeprefix(self.manner.path)
        parts = [unquote(part) for part in inside.split("/") if part]
        if parts == ["metadata"]:
            return self._said(*self._statement())
        if seen.headers.get("authorization") != _CLOSED:
            return self._said(401, _outcome("login"))
        if parts and parts[0] in self.manner.forbids:
            return self._said(403, _outcome("forbidden"))
        if seen.method == "POST":
            return self._written(parts, json.loads(seen.body))
        pairs = parse_qsl(query, keep_blank_values=True)
        token = dict(pairs).get(self.manner.token)
        if token is not None and token in self._pages:
            return self._said(200, self._page(*self._pages[token]))
        if len(parts) == 1:
            return self._said(*self._search(parts[0], pairs))
        found = [one for one in self.records if [one["resourceType"], one["id"]] == parts]
        return self._said(200, found[0]) if found else self._said(404, _outcome("not-found"))

    # Searches -------------------------------------------------------------------------------------------------------
    def _search(self, type_: str, pairs: list[tuple[str, str]]) -> tuple[int, Tree]:
        counts = [value for name, value in pairs if name == "_count"]
        if counts and self.manner.counts == "refused":
            return 400, _outcome("not-supported")
        strange = [name for name, _ in pairs if name not in self.manner.known | {"_count"}]
        if strange and self.manner.refuses:
            return 400, _outcome("not-supported")
        if not any(one["resourceType"] == type_ for one in self.records) and self.manner.unknown_types != 200:
            return self.manner.unknown_types, _outcome("not-found")
        return 200, self._page(type_, [pair for pair in pairs if pair[0] not in strange], 0)

    def _page(self, type_: str, pairs: list[tuple[str, str]], start: int) -> Tree:
        found = [one for one in self.records if one["resourceType"] == type_ and self._meets(one, pairs)]
        counts = [int(value) for name, value in pairs if name == "_count"] if self.manner.counts == "heeded" else []
        end = start + min([self.manner.most, *counts])
        base, query = self.manner.calls_itself or self.base, urlencode(pairs, quote_via=quote)
        links = [{"relation": "self", "url": f"{base}/{type_}?{query}"}] if self.manner.self_link else []
        if len(found) > end and self.manner.following:
            token = f"o{next(self._ids)}=="
            self._pages[token] = (type_, pairs, end)
            told = {"base": base, "path": self.manner.path, "type": type_, "query": query, "token": quote(token)}
            links.append({"relation": "next", "url": self.manner.following.format_map(told)})
        entries = [self._entry(one, base) for one in found[start:end]]
        if self.manner.notes:
            note = {"severity": "information", "code": "informational", "diagnostics": "sentinel of the server"}
            told_so = {"resourceType": "OperationOutcome", "issue": [note]}
            entries.append({"resource": told_so} | ({"search": {"mode": "outcome"}} if self.manner.modes else {}))
        bundle: Tree = {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries}
        bundle = {name: value for name, value in bundle.items() if value != []}
        return bundle | ({"total": len(found)} if self.manner.total else {})

    def _entry(self, one: Tree, base: str) -> Tree:
        url = self.manner.full_urls.format(base=base, path=self.manner.path, type=one["resourceType"], id=one["id"])
        entry = {"fullUrl": url, "resource": one, "search": {"mode": "match"}}
        left_out = {"fullUrl"} - ({"fullUrl"} if url else set()) | ({"search"} if not self.manner.modes else set())
        return {name: value for name, value in entry.items() if name not in left_out}

    def _meets(self, one: Tree, pairs: list[tuple[str, str]]) -> bool:
        return all(self._fits(one, name, value) for name, value in pairs if name != "_count")

    def _fits(self, one: Tree, name: str, value: str) -> bool:
        values = value.split(",") if self.manner.lists else [value]
        if name == "_id":
            return one["id"] in values
        if name in _REFERENCES:
            named = {each.get("reference") for path in _REFERENCES[name] for each in _objects(one.get(path))}
            if name in self.manner.bare and any("/" in each for each in values):
                return False
            return any(each in named or f"Patient/{each}" in named or f"Encounter/{each}" in named for each in values)
        return any(token in values for path in _TOKENS[name] for token in _tokens(one.get(path)))

    def _statement(self) -> tuple[int, Tree]:
        if self.manner.statement == "none":
            return 404, _outcome("not-found")
        parameters = [{"name": name} for name in sorted(self.manner.known)]
        told = {"searchParam": parameters} if self.manner.statement == "whole" else {}
        types = sorted({one["resourceType"] for one in self.records})
        rest = [{"mode": "server", "resource": [{"type": type_} | told for type_ in types]}]
        return 200, {"resourceType": "CapabilityStatement", "status": "active", "fhirVersion": "4.0.1", "rest": rest}

    # Writes -----------------------------------------------------------------------------------------------------------
    def _written(self, parts: list[str], body: Tree) -> bytes:
        self.bodies.append(body)
        if parts:
            return self._said(201, _outcome("informational"), self._make(body))
        places = [self._make(entry["resource"]) for entry in body["entry"]]
        entries = [{"response": {"status": "201 Created"} | ({"location": place} if place else {})} for place in places]
        return self._said(200, {"resourceType": "Bundle", "type": f"{body['type']}-response", "entry": entries})

    def _make(self, resource: Tree) -> str:
        made = resource | {"id": f"made-{next(self._ids)}"}
        self.records.append(made)
        base = self.manner.calls_itself or self.base
        return self.manner.places.format(base=base, path=self.manner.path, type=made["resourceType"], id=made["id"])

    # HTTP -------------------------------------------------------------------------------------------------------------
    def _said(self, status: int, tree: Tree | None, place: str = "") -> bytes:
        text = b"" if tree is None else json.dumps(tree).encode()
        head = {"content-type": self.manner.content_type} if text else {}
        if place:
            head["location"] = place
        if self.manner.versions and tree is not None and "meta" in tree:
            head["ETag"] = 'W/"1"'
        if self.manner.chunked:
            head["transfer-encoding"] = "chunked"
            text = (
                b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (text[:100], text[100:]) if part)
                + b"0\r\n\r\n"
            )
        elif self.manner.http == "HTTP/1.0":
            head["Connection"] = "close"
        else:
            head["content-length"] = str(len(text))
        lines = [f"{self.manner.http} {status} Said", *(f"{name}: {value}" for name, value in head.items())]
        return "\r\n".join([*lines, "", ""]).encode() + text


def _objects(node: object) -> Iterator[Tree]:
    yield from (one for one in (node if isinstance(node, list) else [node]) if isinstance(one, dict))


def _tokens(node: object) -> Iterable[str]:
    """Give the texts by which a token search finds an element."""
    if isinstance(node, str):
        yield node
    for one in _objects(node):
        for each in (one, *_objects(one.get("coding"))):
            code = each.get("code") or each.get("value")
            yield from (f"{each.get('system')}|{code}", str(code))


def _outcome(code: str) -> Tree:
    issue = {"severity": "error", "code": code, "diagnostics": "sentinel of the server"}
    return {"resourceType": "OperationOutcome", "issue": [issue]}
