"""Updates before a server that lies: nothing it says is passed on, nothing that came between is written over."""

import json

import pytest
import pytest_asyncio

from tests.attack.records import observation, quokka
from tests.attack.scene import MARK, PERHAPS, open_route, staged
from tests.e2e.world import HOSPITAL
from tests.stub_upstream import answer

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPEN = open_route("writes: [update, patch]")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory):
    """A scene with a route that takes updates."""
    async with staged(tmp_path_factory.mktemp("updates"), more=OPEN) as one:
        yield one


def pulse(**more):
    """A heart rate of Rosa's as the server holds it."""
    return observation("pulse", encounter={"reference": "Encounter/rosa-mercy-clinic"}, meta={"versionId": "7"}) | more


@pytest_asyncio.fixture(loop_scope="module")
async def scene(stage):
    """The scene, set anew."""
    stage.begin(quokka(), pulse())
    yield stage
    await stage.check()


async def put(scene, tree):
    """Update the heart rate at the open route."""
    return await scene.ask("/t/open/Observation/pulse", HOSPITAL, "TREAT", method="PUT", body=tree)


def says(scene, reply):
    """Have the server answer a PUT of the record by this, and a GET by what it holds."""
    held = scene.server.held["Observation/pulse"]
    scene.server.lie("Observation/pulse", lambda seen: reply if seen.method == "PUT" else answer(held))


async def test_L077_what_the_server_answers_to_a_write_is_not_passed_on(scene):
    """A server that ignores `Prefer` and sends the whole record back: our own words alone."""
    says(scene, answer(pulse(note=[{"text": MARK}]), 200, Location=f"Observation/{MARK}", ETag=f'W/"{MARK}"'))
    found = await put(scene, pulse(status="final"))
    assert (200, "the Observation was updated") == (found.status, found.told)
    assert MARK.encode() not in found.body + repr(dict(found.headers)).encode()
    (sent,) = [one for one in scene.stub.seen if one.method == "PUT"]
    assert 'W/"7"' == sent.headers["if-match"]
    assert "final" == json.loads(sent.body)["status"]


@pytest.mark.parametrize(("status", "ours"), [(412, 412), (409, 412), (404, 412), (400, 422), (422, 422)])
async def test_L070_what_the_server_says_against_a_write_is_not_passed_on(scene, status, ours):
    """A change that came between is 412, anything else it does not take 422, in constant words."""
    outcome = {"resourceType": "OperationOutcome", "issue": [{"diagnostics": f"Observation/{MARK} refers to it"}]}
    says(scene, answer(outcome, status))
    found = await put(scene, pulse(status="final"))
    assert ours == found.status
    assert MARK.encode() not in found.body


async def test_a_write_whose_receipt_is_not_known_is_recorded_as_such(scene):
    """The server hangs up: 502, and client and ledger are told that it may have been written (law 8)."""
    says(scene, None)
    found = await put(scene, pulse(status="final"))
    assert (502, PERHAPS) == (found.status, found.told)
    (attempt,) = (await scene.gate.explain(found))["attempts"]
    assert ("update", "unknown") == (attempt["intent"]["interaction"], attempt["completion"]["outcome"])


SNAPSHOTS = ["X-Meta-Snapshot-Mode", "X-Upsert-Existence-Check", "X-Rewrite-History", "X-Cascade", "X-Retry"]
OURS = {"host", "accept", "accept-encoding", "cache-control", "prefer", "authorization"}
WRITTEN = OURS | {"content-type", "content-length"}


async def test_L075_no_header_of_a_client_says_how_labels_are_written(scene):
    """Modes by which a server would drop labels, cascade or skip its checks: none is sent on, by update or push."""
    said = [(name, "SECURITY_LABEL, TAG, PROFILE") for name in SNAPSHOTS] + [("Prefer", "return=representation")]
    says(scene, answer(b"", 200, None))
    scene.server.take(answer(b"", 201, Location="Observation/made"))
    place, body = "/t/open/Observation/pulse", pulse(status="final")
    found = await scene.ask(place, HOSPITAL, "TREAT", method="PUT", body=body, headers=said)
    assert 200 == found.status
    assert 201 == (await scene.push(observation("a"), "/t/plan/Observation", headers=said)).status
    sent = [one for one in scene.stub.seen if one.method != "GET"]
    assert [WRITTEN | {"if-match"}, WRITTEN] == [set(one.headers) for one in sent]
    assert {"return=minimal, handling=strict"} == {one.headers["prefer"] for one in sent}
    assert {frozenset(OURS)} == {frozenset(one.headers) for one in scene.stub.seen if one.method == "GET"}


@pytest.mark.parametrize("condition", [[], [("If-Match", 'W/"7"')], [("If-Match", "*")], [("If-None-Match", "*")]])
async def test_L078_a_delete_is_one_refusal_whatever_it_is_of(scene, condition):
    """What may be seen, what is hidden, what never was, by id or by a search, where updates are open and where not: 405
    and nothing asked."""
    scene.server.hold(observation(f"{MARK}-1", f"Patient/{MARK}-p"))
    told = set()
    for route in ("/t/open", "/t/hospital", "/t/plan"):
        for path in ("pulse", f"{MARK}-1", "never"):
            found = await scene.ask(
                f"{route}/Observation/{path}", HOSPITAL, "TREAT", method="DELETE", headers=condition
            )
            told.add((found.status, found.body))
    assert {405} == {status for status, _ in told}
    assert 1 == len(told)
    for query in ("identifier=a|b", "_id=pulse", "patient=rosa&code=8867-4"):
        found = await scene.ask(f"/t/open/Observation?{query}", HOSPITAL, "TREAT", method="DELETE", headers=condition)
        assert (405, "a conditional delete is not supported") == (found.status, found.told)
    assert [] == scene.stub.seen


async def test_a_route_that_takes_updates_alone_takes_no_creates(scene):
    """`writes: [update, patch]`: a create is refused by form."""
    found = await scene.ask("/t/open/Observation", HOSPITAL, "TREAT", method="POST", body=pulse())
    assert 405 == found.status
    assert [] == scene.stub.seen


@pytest.mark.parametrize("path", ["/t/hospital/Observation/pulse", "/t/plan/Observation/pulse"])
async def test_without_the_setting_nothing_is_updated(scene, path):
    """The default of a route: PUT and PATCH are 405, whatever is there."""
    for method in ("PUT", "PATCH"):
        assert 405 == (await scene.ask(path, HOSPITAL, "TREAT", method=method, body=pulse())).status
    assert [] == scene.stub.seen
