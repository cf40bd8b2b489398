"""The embedded upstream: a small in-process FHIR R4 server, for demonstration. It says so and grows no further.

Rules of this file
1. Read, vread, history, search, create, update, transaction, batch, metadata; everything else is refused.
2. What was loaded comes out byte for byte; nothing is kept on disk.
3. With credentials set, everything but /metadata asks for them (HTTP Basic, RFC 7617).
4. Every request is noted in `requests`, so that a test can see what the gateway sent.
"""

import base64
import hmac
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode

import msgspec

from gateway import clock
from gateway.demo.answers import FHIR_JSON, Answer, Refused, held_answer, written_answer
from gateway.demo.bundles import Pages, history
from gateway.demo.folder import load_folder
from gateway.demo.parameters import PARAMETERS, described
from gateway.demo.search import SearchRefused, find, read_search
from gateway.demo.serving import serve
from gateway.demo.store import Store, Stored, is_id
from gateway.demo.transaction import batch, read_bundle, transaction

__all__ = ["SOFTWARE", "EmbeddedUpstream", "Received", "load_folder", "serve"]

SOFTWARE: Final = "consent-gateway embedded upstream, for demonstration"
_ALWAYS_KNOWN: Final = frozenset({"Basic", "Binary", "Bundle"})
_NOTED: Final = 20_000
_FORM: Final = "application/x-www-form-urlencoded"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Received(NamedTuple):
    """One request as it arrived: `query` holds the form of a POST _search too, `headers` the names alone."""

    method: str
    path: str
    query: str
    headers: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """One interaction to carry out: path below the base in segments, query, body, and this server's own URL."""

    method: str
    path: tuple[str, ...]
    query: str
    body: bytes
    base: str
    prefer: str = ""
    match: str = ""


class EmbeddedUpstream:
    """A FHIR R4 server as an ASGI application. `resources` are trees or texts; ValueError for one without type or id.

    `base_path` is where it answers, `credentials` a user and a password; None leaves it open.
    """

    def __init__(
        self,
        resources: Iterable[dict[str, Any] | bytes],
        *,
        base_path: str = "/fhir",
        credentials: tuple[str, str] | None = None,
        now: clock.Clock = clock.now,
    ) -> None:
        self.base_path = "/" + base_path.strip("/") if base_path.strip("/") else ""
        self.store = Store(resources, now)
        self.requests: list[Received] = []
        self._pages = Pages(self.store)
        self._expected = base64.b64encode(":".join(credentials).encode()) if credentials else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request (ASGI 3)."""
        if scope["type"] != "http":
            raise ValueError("the embedded upstream speaks HTTP only")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        body = await _body(receive)
        try:
            answer = self._carry_out(self._asked(scope, headers, body), headers)
        except Refused as refused:
            answer = refused.answer()
        sent = {"Content-Type": FHIR_JSON, "Content-Length": str(len(answer.body)), **answer.headers}
        lines = [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": lines})
        await send({"type": "http.response.body", "body": answer.body})

    def _asked(self, scope: Scope, headers: dict[str, str], body: bytes) -> Asked:
        path = scope.get("raw_path", b"").decode("latin-1").partition("?")[0] or quote(scope["path"])
        query = scope["query_string"].decode("latin-1")
        if headers.get("content-type", "").partition(";")[0].strip() == _FORM:
            query, body = "&".join(part for part in (query, body.decode("utf-8", "replace")) if part), b""
        self.requests.append(Received(scope["method"], path, query, tuple(headers)))
        del self.requests[:-_NOTED]
        inside = path == self.base_path or path.startswith(self.base_path + "/")
        segments = tuple(unquote(part) for part in path.removeprefix(self.base_path).split("/") if part)
        base = f"{scope.get('scheme', 'http')}://{headers.get('host', 'localhost')}{self.base_path}"
        return Asked(
            scope["method"],
            segments if inside else ("", path),
            query,
            body,
            base,
            headers.get("prefer", ""),
            headers.get("if-match", ""),
        )

    def _carry_out(self, asked: Asked, headers: dict[str, str]) -> Answer:
        if asked.path == ("metadata",) and asked.method == "GET":
            return self._metadata()
        self._authenticate(headers.get("authorization", ""))
        if "if-none-exist" in headers or ("if-match" in headers and asked.method != "PUT"):
            raise Refused(400, "not-supported", "conditional requests are not supported")
        if asked.body and "json" not in headers.get("content-type", ""):
            raise Refused(415, "not-supported", f"cannot read {headers.get('content-type', 'a body without type')}")
        return self._dispatch(asked)

    def _authenticate(self, given: str) -> None:
        scheme, _, token = given.partition(" ")
        if self._expected is None:
            return
        if scheme.lower() != "basic" or not hmac.compare_digest(token.strip().encode(), self._expected):
            raise Refused(401, "login", "this server wants user and password")

    def _dispatch(self, asked: Asked) -> Answer:
        form = tuple(part if part.startswith("_") else "*" for part in asked.path)
        carry_out = {
            ("GET", ()): self._search,
            ("POST", ()): self._bundle,
            ("POST", ("_search",)): self._search,
            ("GET", ("*",)): self._search,
            ("POST", ("*",)): self._create,
            ("POST", ("*", "_search")): self._search,
            ("GET", ("*", "*")): self._read,
            ("PUT", ("*", "*")): self._update,
            ("GET", ("*", "*", "_history")): self._history,
            ("GET", ("*", "*", "_history", "*")): self._vread,
        }.get((asked.method, form))
        if carry_out is None or any(part.startswith("$") for part in asked.path):
            status = 501 if any(part.startswith("$") for part in asked.path) else 405
            raise Refused(status, "not-supported", f"{asked.method} /{'/'.join(asked.path)} is not supported here")
        if asked.path and not asked.path[0].startswith("_"):
            self._check_type(asked.path[0])
        if form[1:2] == ("*",) and not is_id(asked.path[1]):
            raise Refused(400, "invalid", f"{asked.path[1]} is not an id")
        return carry_out(asked)

    def _read(self, asked: Asked) -> Answer:
        type_, id_ = asked.path
        return held_answer(self._held(type_, id_)[-1])

    def _vread(self, asked: Asked) -> Answer:
        type_, id_, _, version = asked.path
        held = next((one for one in self._held(type_, id_) if one.version == version), None)
        if held is None:
            raise Refused(404, "not-found", f"{type_}/{id_} has no version {version}")
        return held_answer(held)

    def _history(self, asked: Asked) -> Answer:
        type_, id_, _ = asked.path
        if asked.query:
            raise Refused(400, "not-supported", "history takes no parameters here")
        return Answer(200, history(self._held(type_, id_), asked.base, f"{asked.base}/{'/'.join(asked.path)}"))

    def _search(self, asked: Asked) -> Answer:
        pairs = parse_qsl(asked.query, keep_blank_values=True)
        type_ = asked.path[0] if asked.path and asked.path[0] != "_search" else None
        if pairs and pairs[0][0] == "_getpages":
            page = None if type_ else self._pages.next(pairs[0][1], asked.base)
            if page is None:
                raise Refused(410, "not-found", f"the search {pairs[0][1]} has expired or was never started")
            return Answer(200, page)
        try:
            search = read_search(type_, pairs, self.store.types())
        except SearchRefused as refused:
            raise Refused(400, "processing", str(refused)) from refused
        for named in search.types:
            self._check_type(named)
        link = asked.base + (f"/{type_}" if type_ else "") + (f"?{urlencode(pairs)}" if pairs else "")
        return Answer(200, self._pages.first(search, find(self.store, search, asked.base), asked.base, link))

    def _create(self, asked: Asked) -> Answer:
        type_ = asked.path[0]
        self._tree(type_, asked.body)
        held = self.store.put(asked.body, type_, self.store.assign(type_))
        return written_answer(held, asked.base, created=True, minimal="return=minimal" in asked.prefer)

    def _update(self, asked: Asked) -> Answer:
        type_, id_ = asked.path
        if self._tree(type_, asked.body).get("id") != id_:
            raise Refused(400, "invalid", f"the body's id must be {id_}, as in the URL")
        older = self.store.read(type_, id_)
        created = older is None
        if asked.match and (older is None or asked.match.removeprefix("W/").strip('"') != older.version):
            raise Refused(412, "conflict", f"{type_}/{id_} has another version")
        held = self.store.put(asked.body, type_, id_)
        return written_answer(held, asked.base, created=created, minimal="return=minimal" in asked.prefer)

    def _bundle(self, asked: Asked) -> Answer:
        incoming = read_bundle(asked.body)
        if incoming.type == "transaction":
            return Answer(200, transaction(incoming, self.store, self._tree, asked.base))

        def one(method: str, url: str, body: bytes) -> Answer:
            path, _, query = url.partition("?")
            segments = tuple(unquote(part) for part in path.split("/") if part)
            if not segments:
                raise Refused(400, "not-supported", "a batch within a batch is not supported")
            return self._dispatch(Asked(method, segments, query, body, asked.base))

        return Answer(200, batch(incoming, one))

    def _held(self, type_: str, id_: str) -> list[Stored]:
        versions = self.store.versions(type_, id_)
        if not versions:
            known = sum(1 for _ in self.store.all(type_))
            raise Refused(404, "not-found", f"{type_}/{id_} is not known; {known} {type_} resources are")
        return versions

    def _check_type(self, type_: str) -> None:
        if type_ not in PARAMETERS and type_ not in _ALWAYS_KNOWN and type_ not in self.store.types():
            raise Refused(404, "not-supported", f"unknown resource type {type_}")

    def _tree(self, type_: str, body: bytes) -> dict[str, Any]:
        """Read a body to be stored as `type_`. Raises Refused where it is not such a resource."""
        self._check_type(type_)
        try:
            tree = msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Refused(400, "structure", f"could not parse the body: {error}") from error
        if tree.get("resourceType") != type_:
            raise Refused(400, "invalid", f"a {tree.get('resourceType')} was sent where a {type_} belongs")
        if not isinstance(tree.get("meta", {}), dict):
            raise Refused(400, "structure", f"meta of the {type_} is not an object")
        return tree

    def _metadata(self) -> Answer:
        types = sorted({*PARAMETERS, *_ALWAYS_KNOWN, *self.store.types()})
        statement = {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": "2026-11-22",
            "kind": "instance",
            "software": {"name": SOFTWARE},
            "implementation": {"description": SOFTWARE},
            "fhirVersion": "4.0.1",
            "format": ["application/fhir+json"],
            "rest": [{"mode": "server", "resource": [described(type_) for type_ in types]}],
        }
        return Answer(200, msgspec.json.encode(statement))


async def _body(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = bool(message.get("more_body", False))
    return b"".join(parts)
