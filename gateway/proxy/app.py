"""The data plane as an ASGI application: which door a request is for, and that it gets exactly one answer.

Rules of this file
1. Every answer goes through the Writer; every error through `outcomes`. Nothing is passed on from below.
2. OPTIONS is static; any other method goes to the closed set of interactions, which refuses all but GET, HEAD and
   POST (leaks.md L055).
3. One random request id of fixed length for each request; the client's own is not read.
"""

import time
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import msgspec

from gateway.errors import GatewayError, NotSupported
from gateway.ledger.model import new_request_id
from gateway.proxy.answering import Gone, Receive, Send, Writer
from gateway.proxy.exchange import carry_out
from gateway.proxy.grid import Grid
from gateway.proxy.incoming import Incoming
from gateway.proxy.live import Door, Live, Services
from gateway.proxy.outcomes import UNFORESEEN, Own, outcome
from gateway.proxy.telemetry import Request, Trace, tell_unforeseen

Scope = MutableMapping[str, Any]

_JSON: Final = {"Content-Type": "application/json"}
_LIVE: Final = Own(200, b'{"status":"live"}', _JSON)
_READY: Final = Own(200, b'{"status":"ready"}', _JSON)
_NOT_READY: Final = Own(503, b'{"status":"not ready"}', _JSON)
_METHODS: Final = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT"})


class DataPlane:
    """The application. `live` gives the present Live."""

    def __init__(self, live: Callable[[], Live], services: Services) -> None:
        self._live, self._services = live, services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope: a request, or the process's lifespan. Web sockets are refused."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        incoming = Incoming(scope, receive, self._services.limits)
        trace = Trace(new_request_id(), incoming.method if incoming.method in _METHODS else "other")
        limits = self._services.limits
        writer = Writer(receive, send, trace.request, limits.client_idle_s, head=incoming.method == "HEAD")
        writer.grid = Grid(started, limits.answer_step_s)
        try:
            answer = await self._serve(incoming, writer, trace)
        except GatewayError as error:
            trace.error, trace.why = type(error).__name__, getattr(error, "why", "")
            answer = outcome(error)
        except Gone:
            trace.error, answer = "Gone", None
        except Exception as error:  # noqa: BLE001  whatever it is, it is answered and told without its text
            trace.error = type(error).__name__
            tell_unforeseen(error, trace.request)
            answer = UNFORESEEN
        finally:
            writer.close()
        if answer is not None and not writer.began:
            await writer.grid.reached()
            await writer.own(answer)
        took = (time.perf_counter() - started) * 1000
        self._services.telemetry.answered(
            Request(**msgspec.structs.asdict(trace), status=writer.status, milliseconds=round(took, 3))
        )

    async def _serve(self, incoming: Incoming, writer: Writer, trace: Trace) -> Own | None:
        """Give the answer, or None where a recorded one was written already."""
        if incoming.path in {b"/livez", b"/readyz"}:
            trace.template = incoming.path.decode("ascii")
            return await self._health(incoming)
        live = self._live()
        door = _door(live, incoming)
        if door is None:
            raise NotSupported("there is no such route here", 404)
        trace.route, trace.template = door.name, "/{tenant}/{route}/"
        return await carry_out(incoming, door, door.directory, self._services, writer, trace)

    async def _health(self, incoming: Incoming) -> Own:
        if incoming.method not in {"GET", "HEAD"}:
            raise NotSupported("this method is not supported here", 405, "GET, HEAD")
        if incoming.path == b"/livez":
            return _LIVE
        return _READY if all((await self._services.ready()).values()) else _NOT_READY

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """Whoever put us together started us already, and stops us."""
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})


def _door(live: Live, incoming: Incoming) -> Door | None:
    tenant, name = [*incoming.segments, b"", b""][:2]
    try:
        return live.doors.get((tenant.decode("ascii"), name.decode("ascii")))
    except UnicodeDecodeError:
        return None
