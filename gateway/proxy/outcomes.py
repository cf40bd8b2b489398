"""The gateway's own answers: every error becomes an OperationOutcome here, and nowhere else.

Rules of this file
1. `Own` holds the gateway's words alone; no text of an upstream and no text of a withheld record gets into it
   (leaks.md L070).
2. The answer for what is not visible is one constant, byte for byte (L069).
3. An exception nobody foresaw is one constant 500; its text is neither sent nor logged (L072).
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from gateway.errors import GatewayError, NotSupported, NotVisible, PushRefused, TooLarge, Unauthenticated, Unavailable

FHIR_JSON: Final = "application/fhir+json; charset=utf-8"


class Own(msgspec.Struct, frozen=True):
    """An answer of the gateway itself: status, further headers, body."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


class TooSlow(GatewayError):
    """The client did not send its request in time (408)."""

    status, issue = 408, "timeout"

    def __init__(self) -> None:
        super().__init__("the request did not arrive in time")


def outcome(error: GatewayError) -> Own:
    """Give the answer for an error: its status and an OperationOutcome with its message (R4 http.html 3.1.0.1.9)."""
    issues = [_issue(error.issue, error.message)]
    if isinstance(error, PushRefused):
        issues += [_issue("suppressed", line) for line in error.withheld]
    return Own(error.status, _body(issues), _headers(error))


def told(status: int, text: str, lines: Iterable[str], headers: Mapping[str, str]) -> Own:
    """Give an answer that tells a sender what became of its own Bundle; "" says nothing of the whole."""
    issues = [{"severity": "information", "code": "informational", "diagnostics": text}] if text else []
    issues += [{"severity": "warning", "code": "suppressed", "diagnostics": line} for line in lines]
    return Own(status, _body(issues), headers)


def _headers(error: GatewayError) -> Mapping[str, str]:
    if isinstance(error, Unauthenticated):
        return {"WWW-Authenticate": 'Bearer realm="consent-gateway"'}
    if isinstance(error, NotSupported) and error.allow:
        return {"Allow": error.allow}
    if isinstance(error, TooLarge | TooSlow):
        return {"Connection": "close"}  # the rest of the body is not read
    if isinstance(error, Unavailable):
        return {"Retry-After": "5"}
    return {}


def _issue(code: str, text: str) -> dict[str, str]:
    return {"severity": "error", "code": code, "diagnostics": text}


def _body(issues: list[dict[str, str]]) -> bytes:
    return msgspec.json.encode({"resourceType": "OperationOutcome", "issue": issues})


NOT_VISIBLE: Final = outcome(NotVisible())
"""The answer for hidden, absent, deleted and other patients' targets."""

UNFORESEEN: Final = outcome(GatewayError())
"""The answer for an exception nobody foresaw."""
