"""HTTP itself (leaks.md section F): paths of many spellings, markers that would open a door if there were one."""

import pytest

from tests.attack.records import observation
from tests.attack.scene import MARK
from tests.attack.test_residue import HIDDEN
from tests.attack.worlds import constant

pytestmark = pytest.mark.asyncio(loop_scope="session")

HID = f"Condition/{MARK}-c"
BASE = "/t/hospital/"
SPELLINGS = [
    f"{BASE}/{HID}",
    f"{BASE}./{HID}",
    f"{BASE}x/../{HID}",
    f"{BASE}%2e/{HID}",
    f"{BASE}x/%2e%2e/{HID}",
    f"{BASE}..;/hospital/{HID}",
    f"/t//hospital/{HID}",
    f"/t/hospital;x=y/{HID}",
    f"/t/Hospital/{HID}",
    f"/t%2fhospital/{HID}",
    f"{BASE}{HID}/",
    f"{BASE}{HID}//",
    f"{BASE}{HID};jsessionid=1",
    f"{BASE}{HID}%00",
    f"{BASE}{HID}%20",
    f"{BASE}{HID}%3F_format=json",
    f"{BASE}{HID}%253F_format=json",
    f"{BASE}{HID.replace('/', '%2F')}",
    f"{BASE}{HID.replace('/', '%5C')}",
    f"{BASE}{HID.lower()}",
    f"{BASE}{HID.upper()}",
    f"{BASE}{HID.replace('Cond', '%ef%bc%a3ond')}",
    f"{BASE}{HID.replace('d', '%C1%A4', 1)}",
    f"{BASE}%2524export",
    f"{BASE}%2524meta",
    f"{BASE}Patient/rosa/%2524meta",
    f"{BASE}Patient//$export",
    f"{BASE}Patient/$export/",
    f"{BASE}$export;x",
]


@pytest.mark.parametrize("path", SPELLINGS)
async def test_L066_a_path_has_one_spelling(scene, path):
    """Every other is no place here: 404, the same for what is hidden and for what never was, and nothing is asked."""
    scene.server.hold(*HIDDEN)
    never = path.replace(f"{MARK}-c", "never-existed").replace(f"{MARK}-C".upper(), "NEVER-EXISTED")
    hidden, absent = await scene.ask(path), await scene.ask(never)
    assert 404 == hidden.status
    assert constant(hidden) == constant(absent)
    assert [] == scene.stub.seen


@pytest.mark.parametrize("path", ["%24export", "Patient/%24export", "%24meta", "Patient/rosa/%24meta", "%24graphql"])
async def test_L066_an_encoded_operation_is_that_operation(scene, path):
    """`%24` is `$`, once: the refusal is the one of the plain spelling."""
    encoded, plain = [await scene.ask(one) for one in (path, path.replace("%24", "$"))]
    assert (501, constant(plain)) == (encoded.status, constant(encoded))
    assert [] == scene.stub.seen


MARKERS = {
    "a consent scope of Google's": ("X-Consent-Scope", "btg"),
    "a bypass of Google's": ("X-Consent-Scope", "bypass"),
    "break glass": ("X-Break-Glass", "true"),
    "emergency": ("X-Emergency-Access", "patient unconscious"),
    "an override of consent": ("X-Override-Consent", "1"),
    "a privileged caller": ("X-Roles", "admin, superuser"),
    "no security": ("X-Disable-Security", "1"),
    "labels suppressed": ("X-Suppress-Unclassified-Tag", "1"),
    "a debug mode": ("X-Debug", "1"),
    "an internal caller": ("X-Forwarded-For", "127.0.0.1"),
    "a caller by certificate": ("X-SSL-Client-Verify", "SUCCESS"),
    "another user": ("X-User-Id", "officer"),
}


@pytest.mark.parametrize("marker", MARKERS)
async def test_L063_no_marker_opens_anything(scene, marker):
    """A header changes no answer: hidden is as absent, found is as without it."""
    scene.server.hold(*HIDDEN, observation())
    for path in (HID, "Observation?patient=rosa", "Observation/plain"):
        with_it = await scene.ask(path, headers=[MARKERS[marker]])
        assert constant(await scene.ask(path)) == constant(with_it)
    assert 404 == (await scene.ask(HID, headers=[MARKERS[marker]])).status


@pytest.mark.parametrize("purpose", ["BTG", "ETREAT", "ERTREAT", "HPAYMT;btg", "bypass"])
async def test_L063_an_emergency_is_no_word_of_a_client(scene, purpose):
    """A purpose of emergency, from a client that nobody registered for it, with or without a named person: 403."""
    assert 403 == (await scene.ask(HID, purpose=purpose)).status
    assert 403 == (await scene.ask(HID, "mercy-ehr", purpose=purpose)).status
    assert [] == scene.stub.seen


@pytest.mark.parametrize(
    "query", ["_security=bypass", "_btg=true", "btg=1", "breakglass=true", "_debug=1", "admin=true"]
)
async def test_L063_no_parameter_opens_anything(scene, query):
    """Refused by form, for what is hidden as for what never was."""
    hidden, absent = [await scene.ask(f"{one}?{query}") for one in (HID, "Condition/never")]
    assert (400, constant(absent)) == (hidden.status, constant(hidden))
    assert [] == scene.stub.seen
