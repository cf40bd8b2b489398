"""A client's connection, before anything of a request is known: how long and how large its head may be.

Rules of this file
1. A head that is not complete in time ends the connection, a head beyond the limit too (400); neither is looked at.
2. A body's time and size are `incoming`'s; between requests the server's own keep-alive time holds.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD: Final = 64 * 1024
"""Bytes of a request line with its headers. What one read of the socket brings beyond it is taken."""


class Connection(HttpToolsProtocol):
    """uvicorn's connection with the bounds above. `head` counts what came of a head that is not complete; it is None
    where none is under way."""

    idle_s = 30.0
    head: int | None = None
    timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # type: ignore[explicit-override]  # noqa: ANN401  the server's own
        """Wait for the first head."""
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:  # type: ignore[explicit-override]  # typing's is 3.12
        """Wait no more."""
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:  # type: ignore[explicit-override]  # typing's is 3.12
        """Read, and end a connection whose head is beyond the limit."""
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
        """The head is there."""
        self._end_head()
        super().on_headers_complete()

    def _begin_head(self) -> None:
        self.head = 0
        self.timer = self.loop.call_later(self.idle_s, self._too_slow)

    def _end_head(self) -> None:
        self.head = None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _too_slow(self) -> None:
        if bool(self.cycle) and not self.cycle.response_complete:  # an earlier request is being answered
            self.timer = self.loop.call_later(self.idle_s, self._too_slow)
        elif not self.transport.is_closing():
            self.transport.close()


def bounded(idle_s: float) -> type[Connection]:
    """Give the connection of a server whose clients have `idle_s` seconds for a head."""
    return type("Bounded", (Connection,), {"idle_s": idle_s})
