"""A token issuer for development: one ES256 key, tokens signed on this machine. Never for data of real people.

Rules of this file
1. Every token it signs says so in `iss`; a gateway takes it only where its settings say `development: true`.
2. Tokens are short-lived and have a random id. The instant is told, the key's text is kept by the caller.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.settings import DEVELOPMENT_ISSUER

ALGORITHM = "ES256"


def new_key() -> str:
    """Give a fresh private key as the text of a JWK, its id being its thumbprint (RFC 7638)."""
    return json.dumps(ECKey.generate_key("P-256", auto_kid=True).as_dict(private=True))


def public_keys(private: str) -> str:
    """Give the text of the JWK set that verifies what `private` signs."""
    return json.dumps({"keys": [ECKey.import_key(json.loads(private)).as_dict(private=False)]})


def sign(private: str, claims: dict[str, Any], at: datetime, lifetime: timedelta = timedelta(hours=1)) -> str:
    """Sign `claims` as a token of the development issuer that holds from `at` for `lifetime`."""
    key = ECKey.import_key(json.loads(private))
    issued = int(at.timestamp())
    own = {
        "iss": DEVELOPMENT_ISSUER,
        "iat": issued,
        "exp": issued + int(lifetime.total_seconds()),
        "jti": secrets.token_urlsafe(16),
    }
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid, "typ": "at+jwt"}, {**claims, **own}, key, [ALGORITHM])


def development_token(  # noqa: PLR0913  what a token says, each by name
    private: str,
    *,
    client_id: str,
    audience: str,
    at: datetime,
    purposes: Sequence[str] | None = None,
    roles: Sequence[str] = (),
    patient: str = "",
    more: Mapping[str, Any] = {},
    lifetime: timedelta = timedelta(hours=1),
) -> str:
    """Give a development token of `client_id`; purposes None = the token states none. `more` are claims beside."""
    claims: dict[str, Any] = {**more, "client_id": client_id, "sub": client_id, "aud": audience}
    if purposes is not None:
        claims["purpose_of_use"] = list(purposes)
    if roles:
        claims["roles"] = list(roles)
    if patient:
        claims["patient"] = patient
    return sign(private, claims, at, lifetime)
