"""Tokens nobody should take: every one is the same 401, before anything else happens, and no word of it is kept."""

import base64
import hashlib
import hmac
import json
import secrets

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from gateway import clock
from gateway.settings import DEVELOPMENT_ISSUER
from tests.attack.scene import MARK
from tests.e2e.world import AUDIENCE, PLAN

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOW = 0
"""Stands for the present in the claims below; other numbers are seconds from it."""


def claims(**changes):
    """What a good token says; None takes a claim away. Times are seconds from now."""
    said = {
        "iss": DEVELOPMENT_ISSUER,
        "aud": AUDIENCE,
        "client_id": PLAN,
        "sub": PLAN,
        "iat": NOW,
        "exp": 3600,
        "jti": secrets.token_hex(4),
        "name": MARK,
    }
    return {name: value for name, value in (said | changes).items() if value is not None}


def encoded(value) -> str:
    """A part of a token: JSON in base64url without padding."""
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def at_present(said):
    """The claims with their times moved to the present."""
    present = int(clock.now().timestamp())
    times = {name: said[name] + present for name in ("iat", "exp", "nbf") if isinstance(said.get(name), int | float)}
    return said | times


def signed(key, said, header=None, alg="ES256") -> str:
    """A token signed by `key`."""
    head = {"alg": alg, "kid": key.kid, "typ": "JWT"} | (header or {})
    head = {name: value for name, value in head.items() if value is not None}
    registry = jws.JWSRegistry(algorithms=[alg], strict_check_header=False)
    return jws.serialize_compact(head, json.dumps(at_present(said)).encode(), key, registry=registry)


def by_hand(header, said, signature: bytes = b"") -> str:
    """A token of any header with any signature."""
    return f"{encoded(header)}.{encoded(at_present(said))}.{encoded(signature)}"


@pytest.fixture
def key(scene):
    """The issuer's own private key."""
    return ECKey.import_key(json.loads(scene.gate.key))


def hmac_with(secret: bytes, said, kid: str) -> str:
    """A token whose HS256 secret is what everybody knows."""
    head = encoded({"alg": "HS256", "kid": kid, "typ": "JWT"}) + "." + encoded(at_present(said))
    return f"{head}.{encoded(hmac.new(secret, head.encode(), hashlib.sha256).digest())}"


def strangers_key(key):
    """Another key under the issuer's key id."""
    return ECKey.import_key(ECKey.generate_key("P-256").as_dict(private=True) | {"kid": key.kid})


FORGED = {
    "no signature": lambda key: signed(key, claims()).rpartition(".")[0] + ".",
    "two parts": lambda key: signed(key, claims()).rpartition(".")[0],
    "four parts": lambda key: signed(key, claims()) + ".e30",
    "a changed claim": lambda key: ".".join(
        [(parts := signed(key, claims()).split("."))[0], encoded(at_present(claims(client_id="mercy-ehr"))), parts[2]]
    ),
    "a changed signature": lambda key: signed(key, claims())[:-4] + "AAAA",
    "alg none": lambda key: by_hand({"alg": "none", "kid": key.kid}, claims()),
    "alg None": lambda key: by_hand({"alg": "None", "kid": key.kid}, claims()),
    "alg nothing": lambda key: by_hand({"alg": "", "kid": key.kid}, claims()),
    "no alg": lambda key: by_hand({"kid": key.kid}, claims()),
    "alg a number": lambda key: by_hand({"alg": 256, "kid": key.kid}, claims()),
    "HS256 by the public key as PEM": lambda key: hmac_with(key.as_pem(private=False), claims(), key.kid),
    "HS256 by the public key as JWK": lambda key: hmac_with(
        json.dumps({"keys": [key.as_dict(private=False)]}).encode(), claims(), key.kid
    ),
    "HS256 by nothing": lambda key: hmac_with(b"", claims(), key.kid),
    "an algorithm nobody allowed": lambda key: signed(
        RSAKey.import_key(RSAKey.generate_key(2048).as_dict(private=True) | {"kid": key.kid}), claims(), alg="RS256"
    ),
    "EdDSA": lambda key: signed(
        OKPKey.import_key(OKPKey.generate_key("Ed25519").as_dict(private=True) | {"kid": key.kid}),
        claims(),
        alg="Ed25519",
    ),
    "another's key under the same id": lambda key: signed(strangers_key(key), claims()),
    "a key that comes along": lambda key: signed(
        (own := strangers_key(key)), claims(), {"jwk": own.as_dict(private=False)}
    ),
    "a key to be fetched": lambda key: signed(strangers_key(key), claims(), {"jku": "http://127.0.0.1:1/keys"}),
    "a key id nobody knows": lambda key: signed(key, claims(), {"kid": MARK}),
    "no key id": lambda key: signed(key, claims(), {"kid": None}),
    "a key id that is a path": lambda key: signed(key, claims(), {"kid": "../../etc/passwd"}),
    "a key id that is a list": lambda key: by_hand({"alg": "ES256", "kid": [key.kid]}, claims(), b"x" * 64),
    "a header it must be understood by": lambda key: signed(key, claims(), {"crit": ["b64"], "b64": True}),
    "another kind of token": lambda key: signed(key, claims(), {"typ": "dpop+jwt"}),
    "an encrypted token": lambda key: by_hand({"alg": "dir", "enc": "A256GCM", "kid": key.kid}, claims()),
    "a zero signature": lambda key: by_hand({"alg": "ES256", "kid": key.kid}, claims(), b"\0" * 64),
    "expired": lambda key: signed(key, claims(exp=-60)),
    "never to expire": lambda key: signed(key, claims(exp=None)),
    "an expiry that is text": lambda key: signed(key, claims(exp="9999999999")),
    "an expiry beyond all time": lambda key: signed(key, claims(exp=float("inf"))),
    "not valid yet": lambda key: signed(key, claims(nbf=3600)),
    "issued tomorrow": lambda key: signed(key, claims(iat=86_400, exp=90_000)),
    "issued never": lambda key: signed(key, claims(iat=None)),
    "for another audience": lambda key: signed(key, claims(aud="urn:other")),
    "for an audience that begins so": lambda key: signed(key, claims(aud=f"{AUDIENCE}.example")),
    "for nobody": lambda key: signed(key, claims(aud=None)),
    "of another issuer": lambda key: signed(key, claims(iss="https://evil.example")),
    "of an issuer that begins so": lambda key: signed(key, claims(iss=f"{DEVELOPMENT_ISSUER}.example")),
    "of nobody": lambda key: signed(key, claims(iss=None)),
    "of two issuers": lambda key: signed(key, claims(iss=[DEVELOPMENT_ISSUER, "x"])),
    "of two clients": lambda key: signed(key, claims(azp="mercy-ehr")),
    "of no client": lambda key: signed(key, claims(client_id="", sub="")),
    "bound to a key": lambda key: signed(key, claims(cnf={"jkt": "x"})),
    "no claims": lambda key: by_hand({"alg": "ES256", "kid": key.kid}, {}, b"x" * 64),
    "claims that are a list": lambda key: f"{encoded({'alg': 'ES256', 'kid': key.kid})}.{encoded([MARK])}.AAAA",
    "claims that are no JSON": lambda key: f"{encoded({'alg': 'ES256', 'kid': key.kid})}.{encoded(MARK.encode())}.AAAA",
    "claims in depth": lambda key: f"{encoded({'alg': 'ES256', 'kid': key.kid})}.{encoded(b'[' * 9000)}.AAAA",
    "a token of 20 KiB": lambda key: signed(key, claims(more=MARK * 2500)),
    "letters of no alphabet": lambda key: f"{MARK}\u00e9.{MARK}.{MARK}",
}


@pytest.mark.parametrize("case", FORGED)
async def test_a_token_that_is_not_good_opens_nothing(scene, key, case):
    """Whatever is wrong with it: one 401, byte for byte that of no token at all, and no call to any server."""
    token = FORGED[case](key)
    said = [("Authorization", f"Bearer {token}")]
    without = await scene.ask("Condition/rosa-hypertension", client=None)
    found = await scene.ask("Condition/rosa-hypertension", client=None, headers=said)
    assert (401, "login") == (found.status, found.json["issue"][0]["code"])
    assert without.constant == found.constant
    assert [] == scene.stub.seen
    control = await scene.gate.send("GET", f"{scene.gate.control}/fhir/Consent?patient=rosa", dict(said))
    assert 401 == control.status
    assert MARK.encode() not in control.body


GOOD = {
    "of this kind": {},
    "of the access token kind": {"typ": "at+jwt"},
    "of no kind": {"typ": None},
}


@pytest.mark.parametrize("case", GOOD)
async def test_a_good_token_opens_the_door(scene, key, case):
    """The positive control: the same claims, well signed."""
    said = [("Authorization", f"Bearer {signed(key, claims(nbf=-5), GOOD[case])}")]
    assert 200 == (await scene.ask("Condition/rosa-hypertension", client=None, headers=said)).status


FORBIDDEN = {
    "a client nobody registered": {"client_id": MARK, "sub": MARK},
    "a purpose nobody knows": {"purpose_of_use": [MARK]},
    "a purpose of another type": {"purpose_of_use": {"of": MARK}},
    "two purposes that differ": {
        "purpose_of_use": ["HPAYMT"],
        "extensions": {"hl7-b2b": {"purpose_of_use": ["TREAT"]}},
    },
    "an empty list of purposes": {"purpose_of_use": []},
    "another's organisation": {"extensions": {"hl7-b2b": {"organization_id": f"urn:{MARK}"}}},
    "extensions of another type": {"extensions": MARK},
}


@pytest.mark.parametrize("case", FORBIDDEN)
async def test_a_good_token_that_says_too_much_is_forbidden(scene, key, case):
    """A token of the issuer's own that claims what is not its client's: 403, and its claims are not repeated."""
    said = [("Authorization", f"Bearer {signed(key, claims(**FORBIDDEN[case]))}")]
    found = await scene.ask("Condition/rosa-hypertension", client=None, headers=said)
    assert (403, "forbidden") == (found.status, found.json["issue"][0]["code"])
    assert [] == scene.stub.seen


SCHEMES = [
    [("Authorization", "Bearer")],
    [("Authorization", "Basic cXVva2thOnF1b2trYQ==")],
    [("Authorization", f"Bearer {MARK} {MARK}")],
    [("X-Authorization", "Bearer {token}")],
    [("Authorization", "Bearer {token}"), ("Authorization", "Bearer {token}")],
    [("Authorization", "Bearer {token}, Bearer {token}")],
    [("Authorization", "DPoP {token}")],
    [("Cookie", "access_token={token}")],
]


@pytest.mark.parametrize("headers", SCHEMES, ids=lambda headers: " and ".join(f"{n} {v[:12]}" for n, v in headers))
async def test_a_token_has_one_place(scene, key, headers):
    """A good token twice, in another scheme, header or cookie is no token; nor is one in the query."""
    token = signed(key, claims())
    said = [(name, value.replace("{token}", token)) for name, value in headers]
    assert 401 == (await scene.ask("Condition/rosa-hypertension", client=None, headers=said)).status
    asked = f"Condition?patient=rosa&access_token={token}"
    assert 401 == (await scene.ask(asked, client=None)).status
    assert [] == scene.stub.seen
