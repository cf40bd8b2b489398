"""Signed tokens: who issued them, for whom, and whether they hold at this instant. The signature is joserfc's work.

Rules of this file
1. A token is a compact JWS of a configured issuer: algorithm by that issuer's list (never `none` or a shared secret), a
   `kid` of its key set, `iss`, `aud`, `exp` and `iat` present, `nbf` honoured (RFC 7519, RFC 8725).
2. Every failure is the same 401: which check failed is nobody's business but the operator's.
3. Keys are fetched again when they age or a `kid` is new, at most every half minute; aged out, nobody gets in (503).
4. A token bound to a key (`cnf`) is refused: taking it as a bearer token would undo the binding.
"""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry

from gateway.clock import Clock
from gateway.errors import Unauthenticated, Unavailable
from gateway.settings import Issuer

CHALLENGE: Final = 'Bearer realm="consent-gateway"'
"""The WWW-Authenticate of every 401 (RFC 6750 section 3), the same whatever failed."""

Fetch = Callable[[str], Awaitable[bytes]]
"""Gives the body of a GET, without following redirects; any exception of it means that there is none."""

_LONGEST: Final = 16 * 1024
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_FRESH: Final = timedelta(minutes=10)
_USABLE: Final = timedelta(hours=1)
_BETWEEN_FETCHES: Final = timedelta(seconds=30)
_RSA_BITS: Final = 2048


class Claims(msgspec.Struct, frozen=True):
    """A verified token. `all` holds every claim as sent, `client_id` the client it was issued to."""

    issuer: str
    client_id: str
    subject: str
    token_id: str
    expires: int
    all: Mapping[str, Any]


class Keys(Protocol):
    """Where an issuer's public keys come from."""

    async def find(self, kid: str) -> Key | None:
        """Give the key of this id, or None. Raises Unavailable where the keys cannot be had."""
        ...


class FixedKeys:
    """Keys of a JWK set given as text (a file that bootstrap read)."""

    def __init__(self, text: str | bytes) -> None:
        self._keys = _public_keys(text)
        if not self._keys:
            raise ValueError("a key set without a usable key")

    async def find(self, kid: str) -> Key | None:
        """Give the key of this id, or None."""
        return self._keys.get(kid)


class FetchedKeys:
    """Keys of a JWK set at a URL, kept, and fetched again by rule 3. One fetch at a time."""

    def __init__(self, url: str, fetch: Fetch, clock: Clock) -> None:
        self._url, self._fetch, self._clock = url, fetch, clock
        self._keys: Mapping[str, Key] = {}
        self._fetched: datetime | None = None
        self._tried: datetime | None = None
        self._one = asyncio.Lock()

    async def find(self, kid: str) -> Key | None:
        """Give the key of this id, or None. Raises Unavailable where no usable key set is at hand."""
        if self._wanted(kid):
            async with self._one:
                if self._wanted(kid):
                    await self._refresh()
        if self._fetched is None or self._clock() - self._fetched > _USABLE:
            raise Unavailable("the keys of a token issuer cannot be read")
        return self._keys.get(kid)

    def _wanted(self, kid: str) -> bool:
        now = self._clock()
        if self._tried is not None and now - self._tried < _BETWEEN_FETCHES:
            return False
        return self._fetched is None or now - self._fetched >= _FRESH or kid not in self._keys

    async def _refresh(self) -> None:
        self._tried = self._clock()
        try:
            keys = _public_keys(await self._fetch(self._url))
        except Exception:  # noqa: BLE001  whatever kept the keys away, the old ones serve until they are too old
            return
        if keys:
            self._keys, self._fetched = keys, self._tried


class Verifier:
    """Turns the text of a token into Claims. `trusted` pairs each issuer with its keys."""

    def __init__(self, trusted: Iterable[tuple[Issuer, Keys]], clock: Clock, skew: int = 30) -> None:
        self._trusted = {issuer.iss: (issuer, keys) for issuer, keys in trusted}
        self._clock, self._skew = clock, skew

    async def verify(self, token: str) -> Claims:
        """Give the claims of a token that holds now. Raises Unauthenticated for any other, Unavailable without keys."""
        header, said_issuer = _unverified(token)
        issuer, keys = self._trusted.get(said_issuer, (None, None))
        if issuer is None or keys is None:
            raise _refused()
        if header.alg not in issuer.algorithms or header.crit is not None or not header.kid:
            raise _refused()
        if header.typ is not None and header.typ.lower() not in _TYPES:
            raise _refused()
        key = await keys.find(header.kid)
        if key is None or key.get("alg", header.alg) != header.alg or key.get("use", "sig") != "sig":
            raise _refused()
        return self._read(token, key, issuer)

    def _read(self, token: str, key: Key, issuer: Issuer) -> Claims:
        allowed = sorted(issuer.algorithms)
        checks = JWTClaimsRegistry(
            now=int(self._clock().timestamp()),
            leeway=self._skew,
            iss={"essential": True, "value": issuer.iss},
            aud={"essential": True, "value": issuer.audience},
            exp={"essential": True},
            iat={"essential": True},
        )
        registry = JWSRegistry(algorithms=allowed, strict_check_header=False)
        try:
            claims = jwt.decode(token, key, algorithms=allowed, registry=registry).claims
            checks.validate(claims)
        except (JoseError, ValueError, TypeError, OverflowError, RecursionError):
            raise _refused() from None
        if "cnf" in claims:
            raise _refused()
        return Claims(
            issuer=issuer.iss,
            client_id=_client_id(claims),
            subject=_text(claims, "sub"),
            token_id=_text(claims, "jti"),
            expires=int(claims["exp"]),
            all=claims,
        )


def bearer(authorization: Sequence[str]) -> str:
    """Give the token of the request's one Authorization header (RFC 6750 section 2.1). Raises Unauthenticated."""
    if len(authorization) != 1:
        raise _refused()
    scheme, _, token = authorization[0].partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _refused()
    return token.strip()


def _refused() -> Unauthenticated:
    return Unauthenticated("a valid access token is required")


class _Header(msgspec.Struct):
    alg: str
    kid: str | None = None
    typ: str | None = None
    crit: list[str] | None = None


class _Payload(msgspec.Struct):
    iss: str


def _unverified(token: str) -> tuple[_Header, str]:
    """Read what is needed to choose the key: nothing of it is believed before the signature was checked."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > _LONGEST:
        raise _refused()
    try:
        header = msgspec.json.decode(_base64url(parts[0]), type=_Header)
        payload = msgspec.json.decode(_base64url(parts[1]), type=_Payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise _refused() from None
    return header, payload.iss


def _base64url(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("not base64url") from None


def _client_id(claims: Mapping[str, Any]) -> str:
    """Give the client: `client_id` (RFC 9068), else `azp`, else `sub`; two that differ are one too many."""
    named = {_text(claims, name) for name in ("client_id", "azp") if name in claims} or {_text(claims, "sub")}
    if len(named) != 1 or "" in named:
        raise _refused()
    return named.pop()


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _public_keys(text: str | bytes) -> dict[str, Key]:
    """Give the usable keys of a JWK set by id: RSA of enough bits, EC, with a `kid`. Raises ValueError for no set."""
    try:
        listed = msgspec.json.decode(text, type=dict[str, Any]).get("keys")
    except (msgspec.MsgspecError, RecursionError):
        raise ValueError("not a key set") from None
    if not isinstance(listed, list):
        raise ValueError("not a key set")  # noqa: TRY004  text of another shape, not a wrong argument
    keys: dict[str, Key] = {}
    for one in listed:
        key = _public_key(one)
        if key is not None and key.kid:
            keys[key.kid] = key
    return keys


def _public_key(jwk: object) -> Key | None:
    """Give one public key, or None for what is not used here: other types, short keys, private parts in the open."""
    if not isinstance(jwk, dict) or "d" in jwk or not isinstance(jwk.get("kid"), str):
        return None
    try:
        if jwk.get("kty") == "EC":
            return ECKey.import_key(jwk)
        if jwk.get("kty") == "RSA":
            key = RSAKey.import_key(jwk)
            return key if key.public_key.key_size >= _RSA_BITS else None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return None
