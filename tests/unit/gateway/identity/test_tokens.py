"""Tokens: which hold, and that every other one is the same 401."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from gateway.errors import Unauthenticated, Unavailable
from gateway.identity.tokens import FetchedKeys, FixedKeys, Verifier, bearer
from gateway.settings import Issuer

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
EC = ECKey.generate_key("P-256", parameters={"kid": "ec"})
RSA = RSAKey.generate_key(2048, parameters={"kid": "rsa"})
ISSUER = Issuer(iss="https://id.example.org", audience="https://gw", algorithms=frozenset({"ES256"}), jwks_file="x")


def key_set(*keys) -> str:
    """The text of a JWK set of public keys."""
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]})


def claims(**changes) -> dict:
    """The claims of a token that holds now; None removes one."""
    issued = int(NOW.timestamp())
    whole = {
        "iss": ISSUER.iss,
        "aud": ISSUER.audience,
        "client_id": "app",
        "sub": "svc",
        "jti": "t1",
        "iat": issued,
        "exp": issued + 300,
    } | changes
    return {name: value for name, value in whole.items() if value is not None}


def token(key=EC, alg="ES256", header=None, **changes) -> str:
    """A signed token."""
    return jwt.encode({"alg": alg, "kid": key.kid} | (header or {}), claims(**changes), key, [alg])


def verifier(issuer=ISSUER, keys=None, now=NOW) -> Verifier:
    """A verifier that trusts one issuer."""
    return Verifier([(issuer, keys or FixedKeys(key_set(EC, RSA)))], lambda: now)


async def test_a_token_that_holds_is_read():
    """A token of a trusted issuer gives its client, subject, id and claims."""
    read = await verifier().verify(token(purpose_of_use=["TREAT"]))
    assert ("app", "svc", "t1", ISSUER.iss) == (read.client_id, read.subject, read.token_id, read.issuer)
    assert ["TREAT"] == read.all["purpose_of_use"]


@pytest.mark.parametrize(
    ("named", "client"),
    [
        ({"client_id": "a", "azp": "a"}, "a"),
        ({"client_id": None, "azp": "b"}, "b"),
        ({"client_id": None}, "svc"),
    ],
)
async def test_the_client_is_named_in_one_of_three_claims(named, client):
    """The client is client_id, else azp, else sub."""
    assert client == (await verifier().verify(token(**named))).client_id


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"iss": None},
        {"aud": "https://other"},
        {"aud": None},
        {"aud": []},
        {"exp": None},
        {"exp": int(NOW.timestamp()) - 31},
        {"exp": "soon"},
        {"iat": None},
        {"iat": int(NOW.timestamp()) + 31},
        {"nbf": int(NOW.timestamp()) + 31},
        {"client_id": "a", "azp": "b"},
        {"client_id": None, "sub": None},
        {"client_id": 7},
        {"cnf": {"jkt": "x"}},
    ],
)
async def test_claims_that_do_not_hold_are_refused(changes):
    """Wrong issuer or audience, times that are past, to come or missing, two clients, a bound token: the same 401."""
    with pytest.raises(Unauthenticated, match=r"^a valid access token is required$"):
        await verifier().verify(token(**changes))


async def test_clocks_may_differ_a_little():
    """Half a minute of difference between the issuer's clock and ours is borne."""
    late = token(exp=int(NOW.timestamp()) - 29, nbf=int(NOW.timestamp()) + 29)
    assert "app" == (await verifier().verify(late)).client_id


def segments(*parts: dict) -> str:
    """Parts of a token, encoded and joined."""
    return ".".join(encoded(json.dumps(part).encode()) for part in parts)


def encoded(data: bytes) -> str:
    """Text of bytes in base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unsigned() -> str:
    """A token with algorithm none and no signature."""
    return segments({"alg": "none", "kid": "ec"}, claims()) + "."


def confused() -> str:
    """A token signed by HMAC with the issuer's public key as the secret (RFC 8725 section 2.1)."""
    text = segments({"alg": "HS256", "kid": "ec"}, claims())
    return f"{text}.{encoded(hmac.digest(EC.as_pem(private=False), text.encode(), 'sha256'))}"


def embedded() -> str:
    """A token that brings its own key in the header."""
    own = ECKey.generate_key("P-256", parameters={"kid": "ec"})
    return token(own, header={"jwk": own.as_dict(private=False)})


def tampered() -> str:
    """A token whose payload was changed after signing."""
    header, _, signature = token().split(".")
    return f"{header}.{token(client_id='admin').split('.')[1]}.{signature}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "a.b.c",
        ".".join(["e30"] * 3),
        "A" * 20_000,
        f"{encoded(b'[' * 6000)}." * 2,
        unsigned(),
        confused(),
        embedded(),
        tampered(),
        token(RSA, "RS256"),  # a key we have, an algorithm this issuer is not allowed
        token(ECKey.generate_key("P-256", parameters={"kid": "new"})),
        token(ECKey.generate_key("P-256", parameters={"kid": "ec"})),
        token(header={"typ": "logout+jwt"}),
        token(header={"crit": ["b64"], "b64": True}),  # nothing is critical here (RFC 7515 section 4.1.11)
    ],
)
async def test_what_is_not_our_issuers_signature_is_refused(text):
    """No algorithm, key or header that the token itself chooses gets anybody in."""
    with pytest.raises(Unauthenticated, match=r"^a valid access token is required$"):
        await verifier().verify(text)


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "ec"},
        EC.as_dict(private=True),
        {key: value for key, value in EC.as_dict(private=False).items() if key != "kid"},
        {"kty": "EC", "kid": "ec"},
        "ec",
    ],
)
def test_keys_that_may_not_be_used_are_no_keys(jwk):
    """Shared secrets, private keys in the open, keys without id: a set of these is no set."""
    with pytest.raises(ValueError, match="without a usable key"):
        FixedKeys(json.dumps({"keys": [jwk]}))


@pytest.mark.parametrize("changes", [{"use": "enc"}, {"alg": "ES384"}])
async def test_a_key_meant_for_something_else_is_refused(changes):
    """A key whose own words give it another use or algorithm verifies nothing."""
    other = json.dumps({"keys": [EC.as_dict(private=False) | changes]})
    with pytest.raises(Unauthenticated):
        await verifier(keys=FixedKeys(other)).verify(token())


@pytest.mark.parametrize(
    ("headers", "given"),
    [
        (["Bearer abc"], "abc"),
        (["bearer  abc "], "abc"),
        ([], None),
        (["Bearer"], None),
        (["Bearer "], None),
        (["Basic abc"], None),
        (["Bearer a", "Bearer a"], None),
    ],
)
def test_the_request_carries_one_bearer_token(headers, given):
    """One Authorization header with the Bearer scheme, or 401."""
    if given is None:
        with pytest.raises(Unauthenticated):
            bearer(headers)
    else:
        assert given == bearer(headers)


class Issuance:
    """A JWKS address that a test rotates, takes down and counts calls to, with a clock it turns."""

    def __init__(self) -> None:
        self.keys, self.up, self.calls, self.now = [EC], True, 0, NOW

    async def fetch(self, url: str) -> bytes:
        self.calls += 1
        if not self.up:
            raise OSError("down")
        return key_set(*self.keys).encode()

    def source(self) -> FetchedKeys:
        return FetchedKeys("https://id.example.org/jwks", self.fetch, lambda: self.now)


async def test_keys_are_fetched_once_and_kept():
    """A known key is not asked for again while the set is fresh, and is refreshed once it is not."""
    issuance = Issuance()
    source = issuance.source()
    assert await source.find("ec") is not None
    assert await source.find("ec") is not None
    assert 1 == issuance.calls
    issuance.now += timedelta(minutes=11)
    assert await source.find("ec") is not None
    assert 2 == issuance.calls


async def test_a_new_key_is_fetched_but_not_at_every_call():
    """A new kid fetches the set again, unknown ones cannot make the gateway hammer the issuer."""
    issuance = Issuance()
    source = issuance.source()
    await source.find("ec")
    issuance.keys = [EC, RSA]
    assert await source.find("rsa") is None
    issuance.now += timedelta(seconds=31)
    assert await source.find("rsa") is not None
    for _ in range(50):
        assert await source.find("made-up") is None
    assert 2 == issuance.calls


async def test_an_issuer_out_of_reach_ends_in_503():
    """Known keys serve while they are young enough; then, and from a cold start, nobody gets in."""
    issuance = Issuance()
    source = issuance.source()
    await source.find("ec")
    issuance.up = False
    issuance.now += timedelta(minutes=59)
    assert await source.find("ec") is not None
    issuance.now += timedelta(minutes=2)
    with pytest.raises(Unavailable):
        await source.find("ec")
    cold = Issuance()
    cold.up = False
    with pytest.raises(Unavailable):
        await cold.source().find("ec")


async def test_a_key_that_was_taken_back_stops_verifying():
    """After the next refresh a key that left the set opens nothing."""
    issuance = Issuance()
    source = issuance.source()
    await source.find("ec")
    issuance.keys = [RSA]
    issuance.now += timedelta(minutes=10)
    assert await source.find("ec") is None
