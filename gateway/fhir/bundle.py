"""A Bundle taken apart: the exact span and the view of every resource, and the envelope's own words beside them.

Rules of this file
1. A resource's span is copied once, never re-serialised (law 5); the envelope is read, and written anew by `release`.
2. Duplicate names are refused at every level: a resource answers for its own span, the envelope for the rest (L059).
3. Every slot that holds a resource is walked: entry.resource, entry.response.outcome, and what is nested (L045).
4. An entry without a resource stands only where request or response says why; anything else is refused.
5. What the envelope says that we do not know is named in `unread`: such a Bundle or entry is refused or withheld.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from consent_store.model import Coding
from gateway.fhir.strict import (
    LIMITS,
    Limits,
    MalformedJson,
    closings,
    count_members,
    exact_members,
    tree,
)
from gateway.fhir.view import ResourceView, read_resource, security_of


class Request(msgspec.Struct, frozen=True):
    """entry.request as written. `conditions` holds the if* members that are there, by name."""

    method: str
    url: str
    conditions: Mapping[str, str] = {}


class Response(msgspec.Struct, frozen=True):
    """entry.response as written; its outcome is in Entry.outcome."""

    status: str
    location: str | None = None
    etag: str | None = None
    last_modified: str | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. `at` is its pointer; `mode` is search.mode. `unread` names members that we do not know or do not
    evaluate (modifierExtension)."""

    at: str
    full_url: str | None = None
    view: ResourceView | None = None
    mode: str | None = None
    request: Request | None = None
    response: Response | None = None
    outcome: ResourceView | None = None
    unread: tuple[str, ...] = ()


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """See the module. `links` are (relation, url) in order; `signed` says that a signature covers the whole."""

    type: str
    id: str | None = None
    entries: tuple[Entry, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    total: int | None = None
    timestamp: str | None = None
    identifier: Any = None
    meta: Mapping[str, Any] = {}
    security: tuple[Coding, ...] = ()
    signed: bool = False
    unread: tuple[str, ...] = ()
    raw: bytes = b""

    def link(self, relation: str) -> str | None:
        """Give the url of a relation, None where it is not there. Raises MalformedJson where it is there twice."""
        urls = [url for name, url in self.links if name == relation]
        if len(urls) > 1:
            raise MalformedJson("/link", "the same relation twice")
        return urls[0] if urls else None


class Document(msgspec.Struct, frozen=True):
    """One resource, or a Bundle's resources: `views` are the outermost resources of the text in order."""

    views: tuple[ResourceView, ...]
    bundle: Bundle | None = None


_ENTRY: Final = frozenset(
    ("id", "extension", "link", "fullUrl", "_fullUrl", "resource", "search", "request", "response")
)
_BUNDLE: Final = frozenset(
    ("resourceType", "id", "meta", "language", "identifier", "type", "timestamp", "total", "link", "entry", "signature")
)
_CONDITIONS: Final = ("ifNoneMatch", "ifModifiedSince", "ifMatch", "ifNoneExist")
_WITHOUT_BODY: Final = frozenset(("GET", "HEAD", "DELETE"))
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENTRIES: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def scan(raw: bytes, *, limits: Limits = LIMITS) -> Bundle:
    """Give the parts of a Bundle's text. Raises MalformedJson for what is not strict JSON, not a Bundle, or against
    rule 4. The Bundle's type is as written: which types are dealt with is the caller's to say."""
    if len(raw) > limits.size:
        raise MalformedJson("", "text over the size limit")
    return _Scan(raw, limits).bundle()


def read_document(raw: bytes, *, limits: Limits = LIMITS) -> Document:
    """Give the views of a text that is one resource or a Bundle. Raises MalformedJson (see `scan`, `read_resource`)."""
    if resource_type(raw, limits=limits) != "Bundle":
        return Document((read_resource(raw, limits=limits),))
    bundle = scan(raw, limits=limits)
    views = (view for entry in bundle.entries for view in (entry.view, entry.outcome) if view is not None)
    return Document(tuple(views), bundle)


def resource_type(raw: bytes, *, limits: Limits = LIMITS) -> str:
    """Give the resourceType that a text says at its top, "" where it says none. Raises MalformedJson for what is not
    an object. Says nothing about the rest of the text."""
    if len(raw) > limits.size:
        raise MalformedJson("", "text over the size limit")
    said = _members_of(raw, "").get("resourceType")
    value = tree(bytes(said), "/resourceType", limits=limits) if said is not None else None
    return value if isinstance(value, str) else ""


class _Scan:
    """One scan: `members` counts the envelope's own members, `spans` are the resources that count their own."""

    def __init__(self, raw: bytes, limits: Limits) -> None:
        self.raw = raw
        self.limits = limits
        self.members = 0
        self.spans: list[bytes] = []

    def bundle(self) -> Bundle:
        top = _members_of(self.raw, "")
        self.members += len(top)
        entries_text = top.pop("entry", None)
        said = {name: self.value(text, f"/{name}") for name, text in top.items()}
        if said.get("resourceType") != "Bundle":
            raise MalformedJson("/resourceType", "not a bundle")
        entries = self.entries(entries_text)
        self.refuse_duplicates()
        meta = _object_or_none(said.get("meta"), "/meta") or {}
        return Bundle(
            type=_text(said.get("type"), "/type") or "",
            id=_text(said.get("id"), "/id"),
            entries=entries,
            links=_links(said.get("link")),
            total=_total(said.get("total")),
            timestamp=_text(said.get("timestamp"), "/timestamp"),
            identifier=said.get("identifier"),
            meta=meta,
            security=_security(meta),
            signed="signature" in said,
            unread=tuple(f"/{name}" for name in said if name not in _BUNDLE),
            raw=self.raw,
        )

    def entries(self, text: msgspec.Raw | None) -> tuple[Entry, ...]:
        if text is None:
            return ()
        try:
            listed = _ENTRIES.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedJson("/entry", "entries that are not an array of objects") from error
        return tuple(self.entry(parts, f"/entry/{number}") for number, parts in enumerate(listed))

    def entry(self, parts: dict[str, msgspec.Raw], at: str) -> Entry:
        self.members += len(parts)
        resource, answer = parts.pop("resource", None), parts.pop("response", None)
        said = {name: self.value(text, f"{at}/{name}") for name, text in parts.items()}
        search = _object_or_none(said.get("search"), f"{at}/search")
        request = _request(said.get("request"), f"{at}/request")
        response, outcome = self.response(answer, f"{at}/response")
        if resource is None and response is None and (request is None or request.method not in _WITHOUT_BODY):
            raise MalformedJson(at, "an entry without a resource")
        return Entry(
            at=at,
            full_url=_text(said.get("fullUrl"), f"{at}/fullUrl"),
            view=self.resource(resource, f"{at}/resource"),
            mode=_text(search.get("mode"), f"{at}/search/mode") if search else None,
            request=request,
            response=response,
            outcome=outcome,
            unread=tuple(f"{at}/{name}" for name in parts if name not in _ENTRY),
        )

    def response(self, text: msgspec.Raw | None, at: str) -> tuple[Response | None, ResourceView | None]:
        if text is None:
            return None, None
        parts = _members_of(text, at)
        self.members += len(parts)
        outcome = self.resource(parts.pop("outcome", None), f"{at}/outcome")
        said = {name: self.value(part, f"{at}/{name}") for name, part in parts.items()}
        words = {name: _text(said.get(name), f"{at}/{name}") for name in ("status", "location", "etag", "lastModified")}
        return Response(words["status"] or "", words["location"], words["etag"], words["lastModified"]), outcome

    def resource(self, text: msgspec.Raw | None, at: str) -> ResourceView | None:
        if text is None:
            return None
        span = bytes(text)
        self.spans.append(span)
        return read_resource(span, at, limits=self.limits)

    def value(self, text: msgspec.Raw, at: str) -> Any:  # noqa: ANN401  any JSON value
        value = tree(bytes(text), at, limits=self.limits)
        self.members += count_members(value, self.limits)
        return value

    def refuse_duplicates(self) -> None:
        """Hold the members of the envelope's text against those that were read; spans answered for themselves.

        A span begins with a brace and ends with one, so no closing of the text lies across its edge: the closings
        outside the spans are those of the whole less those of the spans.
        """
        if closings(self.raw) - sum(map(closings, self.spans)) == self.members:
            return
        if exact_members(self.raw) - sum(map(exact_members, self.spans)) != self.members:
            raise MalformedJson("", "duplicate names in an object")


def _members_of(text: bytes | msgspec.Raw, at: str) -> dict[str, msgspec.Raw]:
    try:
        return _OBJECT.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedJson(at, "text that is not a strict json object") from error


def _request(node: object, at: str) -> Request | None:
    if (said := _object_or_none(node, at)) is None:
        return None
    conditions: dict[str, str] = {name: _text(said[name], f"{at}/{name}") or "" for name in _CONDITIONS if name in said}
    method, url = _text(said.get("method"), f"{at}/method"), _text(said.get("url"), f"{at}/url")
    return Request(method or "", url or "", conditions)


def _links(node: object) -> tuple[tuple[str, str], ...]:
    if node is None:
        return ()
    if not isinstance(node, list):
        raise MalformedJson("/link", "links that are not an array")
    found = []
    for number, link in enumerate(node):
        said = _object_or_none(link, f"/link/{number}") or {}
        relation, url = (_text(said.get(name), f"/link/{number}/{name}") for name in ("relation", "url"))
        if relation is None or url is None:
            raise MalformedJson(f"/link/{number}", "a link without relation or url")
        found.append((relation, url))
    return tuple(found)


def _total(node: object) -> int | None:
    if node is None or (isinstance(node, int) and not isinstance(node, bool) and node >= 0):
        return node
    raise MalformedJson("/total", "a total that is not a count")


def _security(meta: Mapping[str, Any]) -> tuple[Coding, ...]:
    malformed: list[str] = []
    labels = security_of({"meta": meta}, malformed)
    if malformed:
        raise MalformedJson(malformed[0], "a label of a wrong shape")
    return labels


def _text(node: object, at: str) -> str | None:
    if node is None or isinstance(node, str):
        return node
    raise MalformedJson(at, "a text was expected")


def _object_or_none(node: object, at: str) -> dict[str, Any] | None:
    if node is None or isinstance(node, dict):
        return node
    raise MalformedJson(at, "an object was expected")
