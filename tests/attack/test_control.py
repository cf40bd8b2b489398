"""The control plane's own door: what is posted there by officers and by those who are none."""

import io
import json

import pytest

from tests.attack.records import refusal
from tests.attack.scene import MARK
from tests.attack.test_json import VALUES

pytestmark = pytest.mark.asyncio(loop_scope="session")

JSON = "application/fhir+json"


async def tell(scene, method: str, path: str, body: bytes | None = None, roles=("privacy_officer",), kind: str = JSON):
    """Ask the control plane."""
    said = {"Authorization": f"Bearer {scene.gate.token('officer', roles=roles)}", "Content-Type": kind}
    found = await scene.gate.send(method, f"{scene.gate.control}{path}", said, body)
    if found.status >= 400:
        scene.trap.errors.append(found.body + repr(dict(found.headers)).encode())
    return found


async def filed(scene) -> int:
    """How many consents the quokka has."""
    return (await tell(scene, "GET", f"/fhir/Consent?patient=Patient/{MARK}-p")).json["total"]


def consent(**raw: bytes) -> bytes:
    """The refusal's text with members of these exact values."""
    said = [json.dumps(name).encode() + b":" + json.dumps(value).encode() for name, value in refusal().items()]
    return b"{" + b",".join(said + [json.dumps(name).encode() + b":" + value for name, value in raw.items()]) + b"}"


BODIES = {name: consent(language=value) for name, value in VALUES.items()} | {
    "a status twice": consent(status=b'"inactive"'),
    "a patient twice": consent(patient=b'{"reference":"Patient/rosa"}'),
    "nothing": b"",
    "no record": b"null",
    "another record": b'{"resourceType":"Patient","name":[{"family":"%b"}]}' % MARK.encode(),
    "a provision of another type": consent()
    .replace(b'"provision": {', b'"provision": [{')
    .replace(b'"provision":{', b""),
    "a provision nobody knows": consent(provision=b'{"type":"perhaps"}'),
    "half a record": consent()[:-30],
}


@pytest.mark.parametrize("case", BODIES)
async def test_L059_a_consent_with_two_meanings_is_not_filed(scene, case):
    """A 4xx that repeats nothing, and the consents are what they were."""
    before = await filed(scene)
    found = await tell(scene, "POST", "/fhir/Consent", BODIES[case])
    assert found.status in {400, 422}
    assert "OperationOutcome" == found.json["resourceType"]
    assert before == await filed(scene)


ASKED = {
    "no such place": ("GET", f"/{MARK}", 404),
    "no such consent": ("GET", f"/fhir/Consent/{MARK}", 404),
    "no such version": ("GET", f"/fhir/Consent/{MARK}/_history/{MARK}", 404),
    "another type": ("GET", f"/fhir/Patient/{MARK}", 404),
    "a delete": ("DELETE", f"/fhir/Consent/{MARK}", 405),
    "a request nobody made": ("GET", f"/control/explain/{MARK}", 404),
    "a search for all": ("GET", "/fhir/Consent", 400),
    "a parameter nobody knows": ("GET", f"/fhir/Consent?patient=rosa&{MARK}={MARK}", 400),
    "a way up": ("GET", f"/fhir/../control/explain/{MARK}", 404),
    "metrics for an officer": ("GET", "/metrics", 403),
}


@pytest.mark.parametrize("case", ASKED)
async def test_L072_what_was_asked_for_is_not_repeated(scene, case):
    """Unknown places, ids, parameters and roles: refused without a word of them."""
    method, path, status = ASKED[case]
    found = await tell(scene, method, path)
    assert (status, "OperationOutcome") == (found.status, found.json["resourceType"])


async def test_a_body_over_the_limit_is_413(scene):
    """A consent of two MiB, a question beyond the limit."""
    for path in ("/fhir/Consent", "/control/decide"):
        big = io.BytesIO(consent(language=b'"' + b" " * (2 << 20) + b'"'))
        assert 413 == (await tell(scene, "POST", path, big)).status


@pytest.mark.parametrize("case", VALUES)
async def test_L059_a_question_with_two_meanings_is_not_answered(scene, case):
    """The same texts in a question to decide: 400."""
    found = await tell(scene, "POST", "/control/decide", b'{"v":1,"id":' + VALUES[case] + b"}")
    assert (400, "OperationOutcome") == (found.status, found.json["resourceType"])


@pytest.mark.parametrize("roles", [(), ("patient_app",), ("operator",), (MARK,)])
async def test_L080_nobody_but_an_officer_files_a_consent(scene, roles):
    """Another role, or none, is 403; so is a client that exchanges data, whatever its token says."""
    assert 403 == (await tell(scene, "POST", "/fhir/Consent", consent(), roles)).status
    said = {"Authorization": f"Bearer {scene.gate.token('sunrise-platform', roles=['privacy_officer'])}"}
    found = await scene.gate.send("POST", f"{scene.gate.control}/fhir/Consent", said, consent())
    assert 403 == found.status
