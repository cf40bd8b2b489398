"""A query or a form, taken apart once: the names and values that a client gave, in its order.

Rules of this file
1. Split on `&` and the first `=`, then decode once; what is still encoded after that is text, never read again (L013).
2. Only bytes that a URL may hold; percent signs only before two hex digits; UTF-8; no control characters, no NUL.
3. Nothing is dropped, joined or reordered; which names and how often is for `search` to say.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from gateway.errors import BadRequest, NotSupported

MOST_BYTES: Final = 16 * 1024
MOST_PARAMETERS: Final = 100

_ENCODED: Final = re.compile(rb"(?:[!\"$&-~]|%[0-9A-Fa-f]{2})*")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}(?:[.:][A-Za-z0-9_-]{1,64}){0,8}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class Parameter(NamedTuple):
    """One parameter as the client gave it, decoded: `name` with its modifier and chain, and `value`."""

    name: str
    value: str

    @property
    def base(self) -> str:
        """The name before any modifier or chain: `_has` of `_has:Observation:patient:code`."""
        return re.split("[:.]", self.name, maxsplit=1)[0]

    @property
    def rest(self) -> str:
        """Modifier and chain with the sign before them: `:Patient.name`; "" where there is none."""
        return self.name[len(self.base) :]


def parse_query(text: bytes) -> tuple[Parameter, ...]:
    """Give the parameters of a query or of an application/x-www-form-urlencoded body, still encoded.

    Raises BadRequest by the rules above (leaks.md L013, L066; R4 http.html 3.1.0.1.3). Empty pieces between `&` say
    nothing and are passed over.
    """
    if len(text) > MOST_BYTES:
        raise BadRequest("the query is too long")
    if not _ENCODED.fullmatch(text):
        raise BadRequest("the query is not percent-encoded")
    pieces = [piece for piece in text.split(b"&") if piece]
    if len(pieces) > MOST_PARAMETERS:
        raise BadRequest("the query has too many parameters")
    return tuple(_parameter(piece) for piece in pieces)


def build_query(parameters: Iterable[tuple[str, str]]) -> bytes:
    """Give the query that `parse_query` reads as these parameters; everything but unreserved characters is encoded."""
    return b"&".join(f"{quote(name, safe='')}={quote(value, safe='')}".encode() for name, value in parameters)


def unsupported(parameter: Parameter) -> NotSupported:
    """Give the one refusal of a parameter that is not offered, whatever it is and whatever the data (L012 to L019)."""
    return NotSupported(f"the parameter `{parameter.name}` is not supported here", status=400)


def unsupported_value(parameter: Parameter) -> NotSupported:
    """Give the refusal of a value that is of R4's grammar and not offered."""
    return NotSupported(f"the value of `{parameter.name}` is not supported here", status=400)


def malformed(parameter: Parameter) -> BadRequest:
    """Give the refusal of a value that is not of R4's grammar, or that two readers could read differently."""
    return BadRequest(f"the value of `{parameter.name}` is not of a form the gateway reads")


def too_often(parameter: Parameter) -> BadRequest:
    """Give the refusal of a parameter that stands once more than it may."""
    return BadRequest(f"the parameter `{parameter.name}` is given too often")


def _parameter(piece: bytes) -> Parameter:
    name, equals, value = piece.partition(b"=")
    if not equals:
        raise BadRequest("the query has a parameter without a value")
    found = Parameter(_decoded(name), _decoded(value))
    if not _NAME.fullmatch(found.name):
        raise BadRequest("the query has a parameter whose name is not of a form the gateway reads")
    return found


def _decoded(text: bytes) -> str:
    try:
        decoded = unquote_to_bytes(text.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest("the query is not utf-8") from error
    if _CONTROL.search(decoded):
        raise BadRequest("the query has control characters")
    return decoded
