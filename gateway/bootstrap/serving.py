"""The process: both planes on their addresses until a signal, then what is under way finishes."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from gateway.bootstrap.files import text_of
from gateway.bootstrap.planes import build
from gateway.proxy.connection import bounded
from gateway.proxy.telemetry import LOGGER, log_to
from gateway.settings import Settings
from gateway.settings_reading import parse_settings


def serve(config: Path) -> None:
    """Serve by a settings file until SIGTERM or SIGINT, then let requests under way finish. Raises ProfileError for
    what is wrong with what the operator wrote, OSError for an address that cannot be taken."""
    log_to(logging.StreamHandler(sys.stdout))
    settings = parse_settings(text_of(config), config.name)
    uvloop.run(_serve(settings, config.resolve().parent))


async def _serve(settings: Settings, folder: Path) -> None:
    async with build(settings, folder) as planes:
        servers = [server_of(planes.data, settings), server_of(planes.control, settings)]
        places = [(settings.data_plane.host, settings.data_plane.port)]
        places.append((settings.control_plane.host, settings.control_plane.port))
        sockets = [listen(*place) for place in places]
        running = [
            asyncio.create_task(server.serve(sockets=[listener]))
            for server, listener in zip(servers, sockets, strict=True)
        ]
        while not all(  # noqa: ASYNC110  uvicorn tells it by a flag
            server.started or task.done() for server, task in zip(servers, running, strict=True)
        ):
            await asyncio.sleep(0.01)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        addresses = [listener.getsockname()[:2] for listener in sockets]
        LOGGER.info("serving data on %s:%d and control on %s:%d", *addresses[0], *addresses[1])
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([stopped, *running], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*running)


class _Server(uvicorn.Server):
    """Leaves the signals to `_serve`, which stops both planes."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:  # type: ignore[explicit-override]  # typing's is 3.12
        yield


def server_of(app: Any, settings: Settings) -> uvicorn.Server:  # noqa: ANN401  ASGI
    """Give the HTTP server of one plane, within the limits of the settings."""
    return _Server(
        uvicorn.Config(
            app,
            http=bounded(settings.limits.client_idle_s),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=max(1, round(settings.limits.drain_s)),
        )
    )


def listen(host: str, port: int) -> socket.socket:
    """Take an address. The protocol is named: without it asyncio leaves TCP_NODELAY unset on what is accepted."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener
