"""The development issuer: what it signs verifies, and only as what it is."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.errors import Unauthenticated
from gateway.identity.dev_issuer import ALGORITHM, development_token, new_key, public_keys, sign
from gateway.identity.tokens import FixedKeys, Verifier
from gateway.settings import DEVELOPMENT_ISSUER, Issuer

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
ISSUER = Issuer(iss=DEVELOPMENT_ISSUER, audience="https://gw", algorithms=frozenset({ALGORITHM}))


async def test_a_development_token_verifies_for_its_time():
    """A token holds from when it was made until it lapses, and names the development issuer."""
    private = new_key()
    keys = FixedKeys(public_keys(private))
    text = development_token(
        private, client_id="app", audience="https://gw", at=NOW, purposes=["TREAT"], roles=["operator"], patient="rosa"
    )
    claims = await Verifier([(ISSUER, keys)], lambda: NOW).verify(text)
    assert ("app", DEVELOPMENT_ISSUER) == (claims.client_id, claims.issuer)
    assert (["TREAT"], ["operator"], "rosa") == tuple(claims.all[n] for n in ("purpose_of_use", "roles", "patient"))
    later = Verifier([(ISSUER, keys)], lambda: NOW + timedelta(hours=1, seconds=31))
    with pytest.raises(Unauthenticated):
        await later.verify(text)


async def test_it_cannot_speak_for_another_issuer():
    """Claims cannot change who issued the token or how long it lasts."""
    private = new_key()
    text = sign(private, {"iss": "https://id", "exp": 9999999999, "aud": "https://gw", "client_id": "c"}, NOW)
    claims = await Verifier([(ISSUER, FixedKeys(public_keys(private)))], lambda: NOW).verify(text)
    assert DEVELOPMENT_ISSUER == claims.issuer
    assert int(NOW.timestamp()) + 3600 == claims.expires


def test_the_public_keys_hold_no_private_part():
    """What is published verifies and cannot sign."""
    assert '"d"' not in public_keys(new_key())
