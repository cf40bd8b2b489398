"""The one place that writes to a client's connection. What it takes is Recorded, or the gateway's own words (law 6).

Rules of this file
1. Every answer carries the same headers and one random request id of fixed length, errors too (leaks.md L071).
2. A Recorded answer is written whole or broken off; whether it began and whether it ended is told for the ledger.
3. A client that does not take its answer in time is left.
4. HEAD gets what GET gets, to the last header, and no body (L055).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Final

from gateway.ledger.model import Recorded
from gateway.proxy.grid import Grid
from gateway.proxy.outcomes import FHIR_JSON, Own
from gateway.release.released import Released

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

REQUEST_ID: Final = "X-Request-Id"
CONSTANT: Final[Mapping[str, str]] = {
    "Cache-Control": "private, no-store",
    "Vary": "Authorization, Accept, X-Purpose-Of-Use",
    "X-Content-Type-Options": "nosniff",
}
_WITHOUT_BODY: Final = frozenset({204, 304})
_CHUNK: Final = 1 << 16
_BEGIN_S: Final = 5.0  # while an answer begins, writes of consents wait (gate.py)


class Gone(Exception):
    """The client left, or did not take its answer in time."""


class Writer:
    """Writes one answer. `began` says that its first byte was handed over, `status` and `written` what was; with `head`
    the body stays away."""

    def __init__(self, receive: Receive, send: Send, request_id: str, idle_s: float, *, head: bool = False) -> None:
        self.request_id = request_id
        self.grid = Grid(0.0, 0.0)
        self._head = head
        self.began = False
        self.status = 0
        self.written = 0
        self._receive, self._send, self._idle_s = receive, send, idle_s
        self._leaving: asyncio.Task[Any] | None = None

    async def own(self, answer: Own) -> None:
        """Write an answer of the gateway's own. A client that left is no error."""
        with suppress(Gone, OSError):
            await self._begin(answer.status, answer.headers, len(answer.body))
            await self._finish(answer.body)

    async def begin(self, recorded: Recorded[Released]) -> None:
        """Write status and headers of a recorded answer. Raises Gone where the client had left before."""
        self._watch()
        await asyncio.sleep(0)  # lets the watch see a client that left already
        if self._left():
            raise Gone
        released = recorded.released
        await self._begin(released.status, released.headers, len(released.body))

    async def finish(self, recorded: Recorded[Released]) -> None:
        """Write the body of a recorded answer that was begun. Raises Gone where it was broken off."""
        await self._finish(recorded.released.body)

    def close(self) -> None:
        """Stop watching the client."""
        if self._leaving is not None:
            self._leaving.cancel()

    async def _begin(self, status: int, headers: Mapping[str, str], length: int) -> None:
        said = {**CONSTANT, **headers, REQUEST_ID: self.request_id}
        if status not in _WITHOUT_BODY:
            said = {"Content-Type": FHIR_JSON, **said, "Content-Length": str(length)}
        lines = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in said.items()]
        self.status = status
        start = {"type": "http.response.start", "status": status, "headers": lines}
        await self._hand_over(start, min(self._idle_s, _BEGIN_S))
        self.began = True

    async def _finish(self, body: bytes) -> None:
        body = b"" if self._head else body
        for start in range(0, max(len(body), 1), _CHUNK):
            part = body[start : start + _CHUNK]
            more = start + _CHUNK < len(body)
            await self._hand_over({"type": "http.response.body", "body": part, "more_body": more}, self._idle_s)
            if self._left():
                raise Gone
            self.written += len(part)

    async def _hand_over(self, message: MutableMapping[str, Any], most_s: float) -> None:
        try:
            async with asyncio.timeout(most_s):
                await self._send(message)
        except (TimeoutError, OSError) as error:
            raise Gone from error

    def _watch(self) -> None:
        """Wait for the client to leave; the request's body was read before. ASGI: receive then gives http.disconnect,
        also after the answer is complete, one turn of the loop later."""
        self._leaving = asyncio.ensure_future(self._receive())

    def _left(self) -> bool:
        return self._leaving is not None and self._leaving.done()
