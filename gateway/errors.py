"""What can go wrong, and whose fault it is. Every error a client can see is one of these.

Rules of this file
1. A message is lower case, without a full stop, without stack traces; input stands in backticks only where the
   client sent it in this request; nothing about a patient, never whether something exists (leaks.md L069, L070).
2. Status and issue code depend on the form of the request, the caller or our state, never on withheld data.
3. Mapping to an OperationOutcome happens in one place, `gateway/proxy/outcomes.py`.
"""

from enum import StrEnum


class Fault(StrEnum):
    """Whose fault an error is."""

    CLIENT = "client"
    UPSTREAM = "upstream"
    OURS = "ours"


class GatewayError(Exception):
    """Base of all: `status` is the HTTP status, `issue` the FHIR issue code (R4 IssueType)."""

    status = 500
    issue = "exception"
    fault = Fault.OURS

    def __init__(self, message: str = "internal error") -> None:
        super().__init__(message)
        self.message = message


class BadRequest(GatewayError):
    """The request is not of a form the gateway reads (400)."""

    status, issue, fault = 400, "invalid", Fault.CLIENT


class NotSupported(GatewayError):
    """The gateway does not do this: interaction, operation, parameter (400 for parameters, else 404/405/501).

    `allow` is the Allow header of a 405 (RFC 9110 section 15.5.6), "" otherwise."""

    status, issue, fault = 501, "not-supported", Fault.CLIENT

    def __init__(self, message: str, status: int = 501, allow: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.allow = allow


class Unauthenticated(GatewayError):
    """No token, or one that does not verify (401 with WWW-Authenticate)."""

    status, issue, fault = 401, "login", Fault.CLIENT


class Forbidden(GatewayError):
    """A fact about the caller forbids it: purpose, registration, role (403). Never used for withheld data."""

    status, issue, fault = 403, "forbidden", Fault.CLIENT


class NotVisible(GatewayError):
    """One constant answer for hidden, absent, deleted and other-patient targets (404, leaks.md L069)."""

    status, issue, fault = 404, "not-found", Fault.CLIENT

    def __init__(self) -> None:
        super().__init__("no such resource is visible to this client for this purpose")


class Unacceptable(GatewayError):
    """A format the gateway cannot release was asked for (406)."""

    status, issue, fault = 406, "not-supported", Fault.CLIENT


class UnsupportedMedia(GatewayError):
    """A body that is not FHIR JSON was sent (415)."""

    status, issue, fault = 415, "not-supported", Fault.CLIENT


class PreconditionFailed(GatewayError):
    """What a client may see is not what it holds any more, or changed while it wrote (412)."""

    status, issue, fault = 412, "conflict", Fault.CLIENT


class TooLarge(GatewayError):
    """A body over the limit (413)."""

    status, issue, fault = 413, "too-costly", Fault.CLIENT


class Unprocessable(GatewayError):
    """A body that was read and breaks a rule; `message` names the element (422)."""

    status, issue, fault = 422, "invariant", Fault.CLIENT


class PushRefused(GatewayError):
    """Something in a pushed Bundle may not be disclosed; `withheld` tells the sender of its own entries (403)."""

    status, issue, fault = 403, "forbidden", Fault.CLIENT

    def __init__(self, message: str, withheld: tuple[str, ...]) -> None:
        super().__init__(message)
        self.withheld = withheld


class UpstreamFault(GatewayError):
    """The FHIR server failed, or answered what cannot be read (502). `why` is for the operator's log, never for a
    client: our own words, with a status or the name of a type at most."""

    status, issue, fault = 502, "transient", Fault.UPSTREAM

    def __init__(self, message: str = "", *, why: str = "") -> None:
        super().__init__(message or "the server behind the gateway did not give a usable answer")
        self.why = why


class Unavailable(GatewayError):
    """Something the decision or the record needs cannot be reached (503): nothing is disclosed."""

    status, issue, fault = 503, "transient", Fault.OURS


class QuestionError(GatewayError):
    """A decide question that cannot be asked: unknown participant, profile, fact name, no purpose (exit 2)."""

    status, issue, fault = 400, "invalid", Fault.CLIENT


class ProfileError(GatewayError):
    """A profile, directory or setting that is not valid; the message names file, line and key (exit 3)."""

    status, issue, fault = 500, "exception", Fault.OURS
