"""Messages: decided like any push before a byte goes on, whole or not at all, and answered in our own words."""

import json

import pytest

from tests.attack.scene import MARK
from tests.e2e.test_push import condition, observation
from tests.e2e.world import HOSPITAL
from tests.stub_upstream import answer

pytestmark = pytest.mark.asyncio(loop_scope="session")

DOOR = "/t/plan/$process-message"
HEADER = {
    "resourceType": "MessageHeader",
    "eventCoding": {"system": "http://example.org/events", "code": "referral"},
    "source": {"endpoint": "http://mercy.example/fhir"},
}
CONSENT = {"resourceType": "Consent", "patient": {"reference": "Patient/rosa"}}


def message(*resources, kind="message", header=HEADER):
    """A message that is about these records."""
    names = [f"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e{number}" for number in range(1, len(resources) + 1)]
    about = {"focus": [{"reference": name} for name in names]} if header is HEADER else {}
    first = {"resource": header | about}
    entries = [{"fullUrl": name, "resource": one} for name, one in zip(names, resources, strict=True)]
    return {"resourceType": "Bundle", "type": kind, "entry": [first, *entries]}


async def test_a_message_goes_on_whole(scene):
    """What may be disclosed reaches the server's `$process-message`, whose answer is not passed on (L054, L077)."""
    scene.server.take(answer({"resourceType": "Bundle", "type": "message", "id": MARK}))
    found = await scene.push(message(observation()), DOOR)
    assert (200, "the message was taken") == (found.status, found.told)
    assert MARK.encode() not in found.body
    (sent,) = [one for one in scene.stub.seen if one.method == "POST"]
    assert "/fhir/$process-message" == sent.target
    assert ["MessageHeader", "Observation"] == [
        one["resource"]["resourceType"] for one in json.loads(sent.body)["entry"]
    ]


@pytest.mark.parametrize("status", [202, 204])
async def test_a_server_may_take_a_message_without_an_answer(scene, status):
    """202 and 204 are answers to a message; it counts as sent."""
    scene.server.take(answer(b"", status, content_type=None))
    assert 200 == (await scene.push(message(observation()), DOOR)).status


async def test_a_message_about_nobody_is_not_taken(scene):
    """A header that does not say what it is about: whose patient it tells of is not known."""
    tree = message(observation())
    del tree["entry"][0]["resource"]["focus"]
    assert 403 == (await scene.push(tree, DOOR)).status


async def test_a_message_with_anything_held_back_is_refused_whole(scene):
    """Nothing goes on; the sender is told which entry and why."""
    found = await scene.push(message(observation(), condition()), DOOR)
    assert 403 == found.status
    assert "/entry/2/resource Condition: withheld" in found.told
    assert "42 CFR 2.13(a)" in found.told
    assert [] == [one for one in scene.stub.seen if one.method == "POST"]


FORMS = {
    "a collection": (message(observation(), kind="collection"), "", 422),
    "no header": (message(header=observation()), "", 422),
    "a record alone": (observation(), "", 422),
    "a consent in it": (message(CONSENT), "", 403),
    "a role in it": (message({"resourceType": "PractitionerRole"}), "", 403),
    "a conditional reference": (message(observation(f"Patient?identifier=a|{MARK}")), "", 422),
    "an answer elsewhere": (message(observation()), f"?async=true&response-url=http://{MARK}.example/", 400),
}


@pytest.mark.parametrize("case", FORMS)
async def test_L054_a_message_of_another_form_is_refused(scene, case):
    """By its own text, before anything is asked of a server; no answer goes to an address that a client names."""
    tree, query, status = FORMS[case]
    assert status == (await scene.ask(DOOR + query, HOSPITAL, method="POST", body=tree)).status
    assert [] == scene.stub.seen


async def test_an_operation_beside_it_stays_refused(scene):
    """`$submit` and `$process-message` of a type or record are not offered."""
    for path in ("/t/plan/Claim/$submit", "/t/plan/Observation/$process-message", "/t/plan/Observation/1/$meta-delete"):
        assert 501 == (await scene.push(message(observation()), path)).status
    assert [] == scene.stub.seen
