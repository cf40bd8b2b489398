"""The client of one FHIR server behind the gateway. What it gives is Held: nothing of it may be sent on as it is.

Rules of this file
1. Request headers are the constants below and our own credentials; nothing of a client's passes (leaks.md L064, L065).
2. No redirect is followed, no cookie kept, no proxy of the environment used (L073).
3. An answer must be whole, FHIR JSON, not encoded, within the size limit; anything else is UpstreamFault (L057, L058).
4. 404 and 410 are "absent"; the body of an error is dropped unread (L069, L070).
5. What a fault says of itself for the log is status and kind of what came, never a word of it, never an id (L072).
"""

import base64
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any, Final

import aiohttp
import msgspec
from yarl import URL

from gateway.errors import UpstreamFault
from gateway.fhir.query import build_query
from gateway.ledger.model import Recorded
from gateway.proxy.base_url import BaseUrl, Position, base_url
from gateway.release.released import Held, Released

_HEADERS: Final = {
    "Accept": "application/fhir+json",
    "Accept-Encoding": "identity",
    # Never a stored result (L021). Not `no-store`: HAPI answers that with one page and no link to the rest.
    "Cache-Control": "no-cache",
    "Prefer": "return=minimal, handling=strict",
}
# The third is what FHIR's first releases called it; servers of R4 still say so (Oracle, Soarian R4 overview).
_FHIR_JSON: Final = frozenset({"application/fhir+json", "application/json", "application/json+fhir"})
_ABSENT: Final = frozenset({404, 410})
_BY_FORM: Final = frozenset({400, 405, 414, 422, 501})
_CLOSED: Final = 403
_OWNER: Final = "X-Security-Context"  # R4 binary.html
_LONGEST_TYPE: Final = 64
_CHARSET: Final = re.compile(r'\s*charset\s*=\s*"?([^"\s]+)"?\s*', re.IGNORECASE)


class Openness(StrEnum):
    """Whether a server answers without credentials (L074)."""

    CLOSED = "closed"
    OPEN = "open"
    UNKNOWN = "unknown"


class Written(msgspec.Struct, frozen=True):
    """What a server did with a write: status, Location header, and its answer's body where it gave one."""

    status: int
    location: str
    held: Held


class NotHeeded(UpstreamFault):
    """The server refused a request by its form: a parameter or a value that it does not know."""

    def __init__(self, why: str = "it refused a request by its form") -> None:
        super().__init__(why=why)


class NotThere(UpstreamFault):
    """Nothing is at the address of a type: a server without it, or none at all (R4 http.html 3.1.0.9)."""


class Closed(UpstreamFault):
    """The server did not let us see this (403)."""


class TooLarge(UpstreamFault):
    """What the server gives is larger than is read."""

    def __init__(self) -> None:
        super().__init__(why="its answer is larger than `body_bytes`")


class Refused(Exception):
    """The server did not accept a write (4xx); why is not told. `changed`: what it was to replace is another by now."""

    def __init__(self, *, changed: bool = False) -> None:
        super().__init__()
        self.changed = changed


class _Connector(aiohttp.TCPConnector):
    """A pool that gives no connection on which something came that nobody asked for: a 408 before the server closes it,
    a second answer to one question. The library would take it for the answer to the next one."""

    async def _get(self, key: Any, traces: Any) -> Any:  # type: ignore[explicit-override]  # noqa: ANN401  typing is 3.12
        for protocol, _ in self._conns.get(key, ()):
            if protocol.should_close:
                protocol.close()
        return await super()._get(key, traces)


def new_session(connections: int, connect_s: float, answer_s: float) -> aiohttp.ClientSession:
    """Make the pooled session that all upstreams of a worker share. Close it at the end."""
    return aiohttp.ClientSession(
        connector=_Connector(limit=connections),
        timeout=aiohttp.ClientTimeout(total=answer_s, connect=2 * connect_s, sock_connect=connect_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=("User-Agent", "Accept-Encoding", "Content-Type"),
    )


def basic(username: str, password: str) -> str:
    """Give the Authorization value of a user and a password (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


async def whole(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Read a body to its end. Raises UpstreamFault over `most` bytes, aiohttp.ClientError where it was cut off."""
    parts: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > most:
            raise TooLarge
        parts.append(chunk)
    return b"".join(parts)


class Upstream:
    """One FHIR server: base URL, our credentials (`authorization` "" = none), the largest body that is read. `aliases`
    are further base URLs that it names itself by; they are recognised, and never asked (L027, L073)."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base: str,
        *,
        authorization: str = "",
        most: int,
        aliases: Iterable[str] = (),
    ) -> None:
        self.base: BaseUrl = base_url(base)
        self.names = (self.base, *map(base_url, aliases))
        self.answered = False  # whether it ever gave FHIR
        self._counts: bool | None = None  # whether it takes `_count`, as far as it was seen
        self._session, self._most = session, most
        self._headers = _HEADERS | ({"Authorization": authorization} if authorization else {})

    async def read(self, type_: str, id_: str) -> Held | None:
        """Give one resource as the server holds it, None where it is absent. Raises UpstreamFault."""
        return await self.look(f"/{type_}/{id_}")

    async def content(self, id_: str) -> Held | None:
        """Give a Binary, None where it is absent: as a record too where the server gives the mere content, though FHIR
        JSON was asked for (R4 binary.html). Raises UpstreamFault."""
        return await self.look(f"/Binary/{id_}", content_of=id_)

    async def search(self, type_: str, parameters: Sequence[tuple[str, str]], *, last: bool = True) -> Held:
        """Give the first page of a search. A server that refuses the number of entries (`_count`, which R4 asks of
        nobody) is asked without, unless something else is to be tried first (not the `last` try).

        Raises NotHeeded, NotThere, UpstreamFault."""
        plain = [pair for pair in parameters if pair[0] != "_count"]
        if self._counts is False or len(plain) == len(parameters):
            return await self._at(type_, plain)
        try:
            held = await self._at(type_, parameters)
            self._counts = True
        except NotHeeded:
            if self._counts or not last:
                raise
            held = await self._at(type_, plain)
            self._counts = False
        return held

    async def _at(self, type_: str, parameters: Sequence[tuple[str, str]]) -> Held:
        held = await self.look(f"/{type_}?{build_query(parameters).decode('ascii')}" if parameters else f"/{type_}")
        if held is None:
            raise NotThere(why=f"it answered 404 to a search of {type_}")
        return held

    def position(self, url: str, here: Position) -> Position | None:
        """Give where a link leads that stands on the page at `here`; None for one that leads to another server."""
        found = (name.following(url, here) for name in self.names)
        return next((position for position in found if position is not None), None)

    async def page(self, position: Position) -> Held:
        """Give the page at a position beneath the base. Raises UpstreamFault."""
        held = await self.look(position)
        if held is None:
            raise UpstreamFault(why="a page that it linked to is not there")
        return held

    async def forward(
        self, recorded: Recorded[Released], path: str, begun: Callable[[], None], replaces: str | None = None
    ) -> Written:
        """Send a recorded body by POST to `path` beneath the base; `begun` is called before its first byte. With
        `replaces` by PUT, over the version of that id ("": whichever there is).

        Raises Refused (4xx) and UpstreamFault.
        """
        body = recorded.released.body
        headers = self._headers | {"Content-Type": "application/fhir+json", "Content-Length": str(len(body))}
        if replaces:
            headers["If-Match"] = f'W/"{replaces}"'

        async def parts() -> AsyncIterator[bytes]:
            begun()
            yield body

        try:
            async with self._session.request(
                "POST" if replaces is None else "PUT",
                self._url(path),
                data=parts(),
                headers=headers,
                allow_redirects=False,
            ) as response:
                if response.status in range(400, 500) and response.status not in {401, 403, 408, 429}:
                    raise Refused(changed=response.status in {404, 409, 410, 412})
                if response.status not in {200, 201, 202, 204}:
                    raise UpstreamFault(why=f"it answered {response.status} to a write")
                return Written(response.status, response.headers.get("Location", ""), await self._held(response))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise _lost(error) from error

    async def openness(self) -> Openness:
        """Ask for data without credentials, and tell whether the server gave any (L074)."""
        try:
            async with self._session.get(
                self._url("/Patient?_count=1"), headers=_HEADERS, allow_redirects=False
            ) as response:
                if response.status in range(200, 300):
                    return Openness.OPEN
                return Openness.CLOSED if response.status in {401, 403} else Openness.UNKNOWN
        except (aiohttp.ClientError, TimeoutError):
            return Openness.UNKNOWN

    async def look(self, position: Position, *, content_of: str = "") -> Held | None:
        """Give what is at a position beneath the base, None where nothing is; with `content_of` also what is no FHIR,
        as the content of a Binary of this id. Raises UpstreamFault."""
        try:
            async with self._session.get(self._url(position), headers=self._headers, allow_redirects=False) as response:
                if response.status in _ABSENT:
                    return None
                if response.status != 200:
                    why = f"it answered {response.status} to {_kind(position)}"
                    if response.status in _BY_FORM:
                        raise NotHeeded(why)
                    raise Closed(why=why) if response.status == _CLOSED else UpstreamFault(why=why)
                held = await self._held(response, content_of)
                self.answered = True
                return held
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise _lost(error) from error

    async def _held(self, response: aiohttp.ClientResponse, content_of: str = "") -> Held:
        """Read a body whole. Raises UpstreamFault by rule 3, aiohttp.ClientError where it was cut off."""
        if not _is_plain(response):
            raise UpstreamFault(why="its answer is compressed, though that was not asked for")
        if (response.content_length or 0) > self._most:
            raise TooLarge
        body = await whole(response, self._most)
        types = response.headers.getall("Content-Type", [])
        if body and not _is_fhir_json(types):
            if content_of and len(types) == 1 and types[0].partition(";")[0].strip().lower() not in _FHIR_JSON:
                return Held(_binary(content_of, types[0], response.headers.get(_OWNER), body), response.status)
            raise UpstreamFault(why="the Content-Type of its answer is not FHIR JSON in UTF-8")
        return Held(body, response.status)

    def _url(self, position: Position) -> URL:
        return URL(self.base.text + position, encoded=True)


def page_of(records: Iterable[bytes]) -> Held:
    """Give records that came one by one, each as it came, as one page of a search."""
    entries = b",".join(b'{"resource":%b}' % one for one in records)
    return Held(b'{"resourceType":"Bundle","type":"searchset"%b}' % (entries and b',"entry":[%b]' % entries))


def _binary(id_: str, kind: str, owner: str | None, content: bytes) -> bytes:
    """Give content as the Binary that it is of, with the owner that a server may name beside it."""
    return msgspec.json.encode(
        {"resourceType": "Binary", "id": id_, "contentType": kind}
        | ({"securityContext": {"reference": owner}} if owner else {})
        | {"data": base64.b64encode(content).decode("ascii")}
    )


def _kind(position: Position) -> str:
    """Say what was asked for at a position, without ids and values."""
    path, _, query = position.partition("?")
    type_ = path.strip("/").partition("/")[0]
    known = type_ if type_.isalpha() and len(type_) < _LONGEST_TYPE else "a page"
    return f"a search of {known}" if query else f"a read of {known}"


def _lost(error: Exception) -> UpstreamFault:
    return UpstreamFault(why=f"no whole answer came: {type(error).__name__}")


def _is_plain(response: aiohttp.ClientResponse) -> bool:
    """Say whether a body is what it seems: no content encoding, and chunks at most for its transfer (L058, L067)."""
    encodings = ",".join(response.headers.getall("Content-Encoding", [])).lower().split(",")
    transfers = ",".join(response.headers.getall("Transfer-Encoding", [])).lower().split(",")
    plain = all(encoding.strip() in {"", "identity"} for encoding in encodings)
    return plain and [one.strip() for one in transfers if one.strip()] in ([], ["chunked"])


def _is_fhir_json(values: list[str]) -> bool:
    """Say whether a Content-Type is FHIR JSON in UTF-8 (RFC 8259 section 8.1; R4 json.html)."""
    if len(values) != 1:
        return False
    media, *parameters = values[0].split(";")
    charsets = [match[1].lower() for match in map(_CHARSET.fullmatch, parameters) if match]
    return media.strip().lower() in _FHIR_JSON and all(charset == "utf-8" for charset in charsets)
