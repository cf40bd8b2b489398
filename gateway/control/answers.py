"""What every answer of the control plane has in common: its headers, and errors as OperationOutcomes.

Rules of this file
1. No answer is kept by a cache (leaks.md L071); every error is an OperationOutcome, an unforeseen one a constant.
2. The mapping of errors is the data plane's, given by bootstrap; only what names elements of a Consent is added here.
3. An unforeseen exception is logged by its class alone.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec
from fastapi import Request, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consent_store.store import NotOffered, StoreUnavailable
from consent_store.validate import Refusal
from gateway.errors import GatewayError, NotSupported, TooLarge, Unavailable, Unprocessable

FHIR_JSON: Final = "application/fhir+json"
_LOG: Final = logging.getLogger("gateway.control")
_HEADERS: Final = (
    (b"cache-control", b"private, no-store"),
    (b"vary", b"Authorization, Accept"),
    (b"x-content-type-options", b"nosniff"),
)


class Answer(Protocol):
    """An answer of the gateway itself, as the data plane makes it."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def body(self) -> bytes:
        """OperationOutcome."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Further headers."""
        ...


OutcomeOf = Callable[[GatewayError], Answer]


class RefusedConsent(Unprocessable):
    """A Consent that the store's rules refuse; each refusal names an element (422)."""

    def __init__(self, refused: tuple[Refusal, ...]) -> None:
        super().__init__("this Consent cannot be stored")
        self.refused = refused


class VersionMismatch(GatewayError):
    """Another version of the resource is current (412, FHIR R4 http.html 3.1.0.5)."""

    status, issue = 412, "conflict"


class VersionRequired(GatewayError):
    """An update must say which version it changes (428)."""

    status, issue = 428, "required"


class Guard:
    """ASGI middleware: common headers on every answer, and an answer for what nobody foresaw."""

    def __init__(self, app: ASGIApp, outcome: OutcomeOf) -> None:
        self._app, self._outcome = app, outcome

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def sealed(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                own = {name for name, _ in _HEADERS}
                message["headers"] = [h for h in message["headers"] if h[0].lower() not in own] + list(_HEADERS)
            await send(message)

        try:
            await self._app(scope, receive, sealed)
        except Exception as error:  # noqa: BLE001  the last resort: one constant answer (L070)
            _LOG.error("unforeseen %s on the control plane", type(error).__name__)
            if not begun:
                await error_response(GatewayError(), self._outcome)(scope, receive, sealed)


def error_response(error: GatewayError, outcome: OutcomeOf) -> Response:
    """Give the response for an error."""
    answer = outcome(error)
    body = answer.body
    if isinstance(error, RefusedConsent):
        body = msgspec.json.encode({"resourceType": "OperationOutcome", "issue": [_issue(r) for r in error.refused]})
    return Response(body, answer.status, dict(answer.headers), media_type=FHIR_JSON)


def _issue(refusal: Refusal) -> dict[str, Any]:
    code = "required" if refusal.why == "required" else "invalid"
    return {
        "severity": "error",
        "code": code,
        "diagnostics": f"{refusal.path}: {refusal.why}",
        "expression": [refusal.path],
    }


def as_gateway_error(error: Exception) -> GatewayError:
    """Give the gateway's own error for one of the store's or of the framework's."""
    if isinstance(error, GatewayError):
        return error
    if isinstance(error, NotOffered):
        return NotSupported("consents are written and read at the server that keeps them, not here")
    if isinstance(error, StoreUnavailable):
        return Unavailable("the consent store is out of reach")
    if isinstance(error, HTTPException) and error.status_code == 405:
        return NotSupported("this method is not supported here", 405, (error.headers or {}).get("Allow", ""))
    if isinstance(error, HTTPException) and error.status_code == 404:
        return NotSupported("there is nothing at this path", 404)
    return GatewayError()


async def body_of(request: Request, most: int) -> bytes:
    """Read the body, at most `most` bytes. Raises TooLarge."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise TooLarge("the body is too large")
        parts.append(part)
    return b"".join(parts)


def json_response(value: object, status: int = 200) -> Response:
    """Give a JSON answer; values may hold exact text (msgspec.Raw)."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")
