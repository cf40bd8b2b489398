"""A client's connection, before anything of a request is known: how long and how large its head may be.

Rules of this file
1. A head that is not complete in time ends the connection, a head beyond the limit too (400); neither is looked at.
2. A body's time and size are `incoming`'s; between requests the server's own keep-alive time holds.
3. A connection that ends before its request did is half closed first: what the client still sends is thrown away for a
   while, so that it reads its answer and no reset (RFC 9112 section 9.6).
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD: Final = 64 * 1024
"""Bytes of a request line with its headers. What one read of the socket brings beyond it is taken."""
MOST_REST: Final = 64 * 1024 * 1024
"""Bytes of a body nobody reads, that are waited out after its answer."""


class Connection(HttpToolsProtocol):
    """uvicorn's connection with the bounds above. `head` counts what came of a head that is not complete, `rest` what
    came after the answer; each is None where that is not under way."""

    idle_s = 30.0
    head: int | None = None
    rest: int | None = None
    timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # type: ignore[explicit-override]  # noqa: ANN401  the server's own
        """Wait for the first head."""
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:  # type: ignore[explicit-override]  # typing's is 3.12
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:  # type: ignore[explicit-override]  # typing's is 3.12
        """Read, and end a connection whose head is beyond the limit, or the rest of it that nobody reads."""
        if self.rest is not None:
            self.rest += len(data)
            if self.rest > MOST_REST:
                self.transport.close()
            return
        super().data_received(data)
        if self.head is None or self.transport.is_closing():
            return
        self.head += len(data)
        if self.head > MOST_HEAD:
            self.send_400_response("the head of the request is too large")

    def on_message_begin(self) -> None:  # type: ignore[explicit-override]  # typing's is 3.12
        """Wait for the head of another request."""
        super().on_message_begin()
        if self.head is None:
            self._begin_head()

    def on_headers_complete(self) -> None:  # type: ignore[explicit-override]  # typing's is 3.12
        """The head is there; its request is carried out from the next turn of the loop on."""
        self._stop_waiting()
        super().on_headers_complete()
        self.cycle.transport = _Parting(self)  # type: ignore[assignment]  # what the server uses of a transport

    def part(self) -> None:
        """End the connection, after what the client still sends if its request is not complete (rule 3)."""
        if not self.cycle.more_body or not self.transport.can_write_eof():
            self.transport.close()
        elif self.rest is None:
            self.rest = 0
            self.transport.write_eof()
            self._stop_waiting()
            self.timer = self.loop.call_later(self.idle_s, self.transport.close)

    def _begin_head(self) -> None:
        self.head = 0
        self.timer = self.loop.call_later(self.idle_s, self._too_slow)

    def _stop_waiting(self) -> None:
        self.head = None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _too_slow(self) -> None:
        if bool(self.cycle) and not self.cycle.response_complete:  # an earlier request is being answered
            self.timer = self.loop.call_later(self.idle_s, self._too_slow)
        elif not self.transport.is_closing():
            self.transport.close()


class _Parting:
    """The transport of one request, which is ended by `Connection.part`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        self._connection.transport.write(data)

    def is_closing(self) -> bool:
        return self._connection.transport.is_closing()

    def close(self) -> None:
        self._connection.part()


def bounded(idle_s: float) -> type[Connection]:
    """Give the connection of a server whose clients have `idle_s` seconds for a head."""
    return type("Bounded", (Connection,), {"idle_s": idle_s})
