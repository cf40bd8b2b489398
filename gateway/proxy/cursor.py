"""Our own page links: where a walk stands upstream, sealed, and bound to who asked what for which purpose.

Rules of this file
1. A cursor is encrypted and authenticated (AES-256-GCM); what it is bound to is authenticated beside it (L024, L030).
2. Whatever is wrong with one, forged, another's, another query's, another policy's or expired, the refusal is the same.
3. Its length tells nothing: the text is padded to full blocks.
4. It opens a place, not data: every page is decided afresh.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.clock import Clock
from gateway.errors import BadRequest
from gateway.proxy.base_url import Position

PARAMETER: Final = "_cursor"
LIFETIME: Final = timedelta(minutes=15)
KEY_BYTES: Final = 32

_BLOCK: Final = 512
_NONCE: Final = 12
_LONGEST: Final = 12_000


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where the next page starts: the upstream page ("" = the search's first) and how many matches of it to skip.
    `bare`: the upstream was asked for the search's anchors alone."""

    position: Position
    skip: int
    bare: bool = False


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    place: Place
    expires: int


class Binding(msgspec.Struct, frozen=True, array_like=True):
    """All that a cursor belongs to; one that differs in anything does not open it."""

    route: str  # tenant/name
    client: str  # issuer and client id
    participant: str
    purpose: str  # system|code
    query: tuple[tuple[str, str], ...]  # type and every parameter as the client gave it, the cursor left out
    policy: str  # digest of the profile

    def digest(self) -> bytes:
        """Give what is authenticated beside the sealed text."""
        return hashlib.sha256(msgspec.json.encode(["cursor", 1, self])).digest()


class Cursors:
    """Seals and opens cursors under one key (32 bytes), by the clock."""

    def __init__(self, key: bytes, clock: Clock) -> None:
        self._cipher, self._clock = AESGCM(key), clock

    def seal(self, place: Place, binding: Binding) -> str:
        """Give the text of a cursor for `place`."""
        expires = int((self._clock() + LIFETIME).timestamp())
        text = msgspec.json.encode(_Sealed(place, expires))
        padded = text + b" " * (-len(text) % _BLOCK)
        nonce = secrets.token_bytes(_NONCE)
        return base64.urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, padded, binding.digest())).decode("ascii")

    def open(self, cursor: str, binding: Binding) -> Place:
        """Give the place a cursor stands for. Raises BadRequest, always the same, by rule 2."""
        try:
            if len(cursor) > _LONGEST:
                raise ValueError("too long")  # noqa: TRY301  one refusal for all
            raw = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
            text = self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], binding.digest())
            sealed = msgspec.json.decode(text, type=_Sealed)
        except (ValueError, binascii.Error, InvalidTag, msgspec.MsgspecError):
            raise _refused() from None
        if self._clock().timestamp() >= sealed.expires:
            raise _refused()
        return sealed.place


def _refused() -> BadRequest:
    return BadRequest("this page link does not hold for this request; start the search again")


def take(parameters: Sequence[tuple[str, str]]) -> tuple[str | None, tuple[tuple[str, str], ...]]:
    """Part the cursor from a query's parameters. Raises BadRequest for more than one."""
    found = [value for name, value in parameters if name == PARAMETER]
    if len(found) > 1:
        raise _refused()
    return (found[0] if found else None), tuple(pair for pair in parameters if pair[0] != PARAMETER)
