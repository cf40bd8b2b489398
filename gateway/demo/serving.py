"""Serve an ASGI application on this machine for as long as a block lasts.

Rules of this file
1. Signals stay with whoever runs the block; several applications can be served at once.
2. Port 0 takes a free one; the block starts when the server accepts connections.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import uvicorn

_TICK_S: Final = 0.1  # as uvicorn has it: the date in its answers is told anew by it


class _Quiet(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Begin to end at once: uvicorn's own loop looks ten times a second whether it is to."""
        self.should_exit = True
        self._ending.set()

    async def main_loop(self) -> None:  # type: ignore[explicit-override]  # typing's is 3.12
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), _TICK_S)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:  # type: ignore[explicit-override]  # typing's is 3.12
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # type: ignore[explicit-override]  # typing's is 3.12
        try:
            await super().startup(sockets)
        except SystemExit:  # how uvicorn says that the application does not start
            self.should_exit = True


def listen(port: int = 0, host: str = "127.0.0.1") -> socket.socket:
    """Take a port of this machine before anything is served there. Raises OSError if it is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def listen_near(port: int) -> socket.socket:
    """Take this port, or any free one where it is taken."""
    try:
        return listen(port)
    except OSError:
        return listen()


def url_of(listener: socket.socket) -> str:
    """Give the base URL of a port that was taken."""
    host, port = listener.getsockname()[:2]
    return f"http://{host}:{port}"


@asynccontextmanager
async def serve(
    app: Any,  # noqa: ANN401  ASGI
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    listener: socket.socket | None = None,
    lifespan: bool = False,
) -> AsyncIterator[str]:
    """Serve `app`, on a port of its own or on one taken before, and give its base URL (with its `base_path` if it has
    one); `lifespan` tells it when it starts and stops. Raises OSError if the port is taken, RuntimeError if the
    application does not start.
    """
    with listener or listen(port, host) as taken:
        base = url_of(taken) + getattr(app, "base_path", "")
        config = uvicorn.Config(
            app,
            interface="asgi3",
            lifespan="on" if lifespan else "off",
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=2,
        )
        server = _Quiet(config)
        running = asyncio.create_task(server.serve(sockets=[taken]))
        try:
            while not server.started and not running.done():  # noqa: ASYNC110  uvicorn tells it by a flag
                await asyncio.sleep(0.005)
            if not server.started:
                raise RuntimeError("the application did not start")
            yield base
        finally:
            server.end()
            await running
