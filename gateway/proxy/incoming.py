"""One HTTP request as it arrived: method, path beneath its route, query, headers, and the body when it is asked for.

Rules of this file
1. The path is kept as raw bytes: it is decoded once, by the grammar of `gateway/fhir/paths.py` (leaks.md L066).
2. A body is read up to the limit and no further, and not before the caller is known.
3. No header overrides method, path, host or scheme (L064).
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from gateway.errors import BadRequest, TooLarge, UnsupportedMedia
from gateway.proxy.answering import Receive
from gateway.proxy.outcomes import TooSlow
from gateway.settings import Limits

Headers = Sequence[tuple[bytes, bytes]]


class Incoming:
    """See the module. `segments` are the raw path's, split on `/`, the first empty one left out."""

    def __init__(self, scope: Any, receive: Receive, limits: Limits) -> None:  # noqa: ANN401  ASGI
        self.method: str = scope["method"]
        self.path: bytes = scope.get("raw_path", b"").partition(b"?")[0]
        self.query: bytes = scope["query_string"]
        self.headers: Headers = scope["headers"]
        client = scope.get("client")
        self.address: str = client[0] if client else ""
        self._receive, self._limits = receive, limits

    @property
    def segments(self) -> list[bytes]:
        """The path's raw segments."""
        return self.path.split(b"/")[1:]

    @property
    def beneath(self) -> bytes:
        """The raw path beneath the route's own two segments: "" for the base."""
        return b"".join(b"/" + segment for segment in self.segments[2:])

    def values(self, name: str) -> list[str]:
        """Give the values of every line of one header; `name` in lower case."""
        wanted = name.encode("ascii")
        return [value.decode("latin-1") for found, value in self.headers if found.lower() == wanted]

    def header(self, name: str) -> str | None:
        """Give a header's one value, several lines joined by commas (RFC 9110 section 5.3), None without it."""
        found = self.values(name)
        return ", ".join(found) if found else None

    async def body(self) -> bytes:
        """Read the body whole. Raises TooLarge, TooSlow, UnsupportedMedia for one that is encoded (nothing is unpacked
        here: leaks.md L058; RFC 9110 section 8.4), and BadRequest for one that was cut off."""
        if (self.header("content-encoding") or "identity").strip().lower() != "identity":
            raise UnsupportedMedia("a body has to come without a content encoding")
        most = self._limits.body_bytes
        length = self.header("content-length")
        if length is not None and length.isdigit() and int(length) > most:
            raise TooLarge("the body is too large")
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self._message()
            part = message.get("body", b"")
            size += len(part)
            if size > most:
                raise TooLarge("the body is too large")
            parts.append(part)
            more = bool(message.get("more_body", False))
        return b"".join(parts)

    async def no_body(self) -> None:
        """Read to the end of a request that has no body. Raises BadRequest where it has one."""
        if await self.body():
            raise BadRequest("this request has no body")

    async def _message(self) -> Any:  # noqa: ANN401  ASGI
        try:
            async with asyncio.timeout(self._limits.client_idle_s):
                message = await self._receive()
        except TimeoutError:
            raise TooSlow from None
        if message["type"] != "http.request":
            raise BadRequest("the request was cut off")
        return message
