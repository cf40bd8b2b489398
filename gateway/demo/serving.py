"""Serve an ASGI application on this machine for as long as a block lasts.

Rules of this file
1. Signals stay with whoever runs the block; several applications can be served at once.
2. Port 0 takes a free one; the block starts when the server accepts connections.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn


class _Quiet(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:  # type: ignore[explicit-override]  # typing's is 3.12
        yield


@asynccontextmanager
async def serve(app: Any, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:  # noqa: ANN401  ASGI
    """Serve `app` and give its base URL (with its `base_path` if it has one). Raises OSError if the port is taken."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        base = f"http://{host}:{listener.getsockname()[1]}{getattr(app, 'base_path', '')}"
        config = uvicorn.Config(
            app, lifespan="off", log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=2
        )
        server = _Quiet(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started and not running.done():  # noqa: ASYNC110  uvicorn tells it by a flag
                await asyncio.sleep(0.005)
            yield base
        finally:
            server.should_exit = True
            await running
