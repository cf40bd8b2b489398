"""What a privacy officer is to look at: emergencies, one question for several purposes, labels that would be raised."""

import json

import pytest
import pytest_asyncio

from tests.attack.records import observation, quokka
from tests.attack.scene import open_route, staged
from tests.e2e.world import HOSPITAL, PLAN

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEVEL = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
OPEN = open_route("writes: [create, update, patch]")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory):
    """A scene of its own: what was asked before counts."""
    async with staged(tmp_path_factory.mktemp("alerts"), more=OPEN) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def scene(stage):
    """The scene, set anew."""
    stage.begin(quokka(), observation(meta={"versionId": "7"}))
    yield stage
    await stage.check()


async def alerts(scene, after=0, role="privacy_officer"):
    """The alerts after one, as the control plane tells them."""
    said = {"Authorization": f"Bearer {scene.gate.token('officer', roles=[role])}"}
    return await scene.gate.send("GET", f"{scene.gate.control}/control/alerts?after={after}", said)


async def test_L099_one_question_for_several_purposes_is_told_of(scene):
    """The same client, the same search, another purpose: each is answered, and an officer sees it, once."""
    start = (await alerts(scene)).json["next"]
    for path in ("Observation?patient=rosa&_count=7", "Observation?_count=7&patient=rosa"):
        assert 200 == (await scene.ask(path, PLAN, "HPAYMT")).status
    assert [] == (await alerts(scene, start)).json["alerts"]
    answers = [await scene.ask("Observation?patient=rosa&_count=7", PLAN, "CAREMGT") for _ in range(2)]
    assert [200, 200] == [one.status for one in answers]
    (found,) = (await alerts(scene, start)).json["alerts"]
    assert (["several-purposes"], answers[0].headers["x-request-id"], "sunrise-platform", "t/hospital") == (
        *(found[name] for name in ("alerts", "request_id", "client", "route")),
    )
    counted = b'gateway_alerts_total{alert="several-purposes",route="t/hospital"} 1.0'
    assert counted in await scene.metrics()
    assert "rosa" not in json.dumps(found)


async def test_L099_other_questions_and_other_clients_are_no_alert(scene):
    """Another search, a read, another client: nobody asked the same twice. Hidden and absent are told of alike."""
    start = (await alerts(scene)).json["next"]
    await scene.ask("Observation?patient=rosa&_count=8", PLAN, "HPAYMT")
    await scene.ask("Observation?patient=rosa&_count=9", PLAN, "CAREMGT")
    await scene.ask("Observation?patient=rosa&_count=8", HOSPITAL, "TREAT")
    assert [] == (await alerts(scene, start)).json["alerts"]
    for id_ in ("hidden-one", "never-was"):
        for purpose in ("HPAYMT", "CAREMGT"):
            assert 404 == (await scene.ask(f"Observation/{id_}", PLAN, purpose)).status
    assert 2 == len((await alerts(scene, start)).json["alerts"])


async def test_L082_a_label_that_was_proposed_waits_for_an_officer(scene):
    """V on a record that others read: refused, nothing written; an officer finds who proposed what for which record."""
    start = (await alerts(scene)).json["next"]
    read = (await scene.ask("/t/open/Observation/plain", HOSPITAL, "TREAT")).json
    proposed = read | {"meta": {"security": [{"system": LEVEL, "code": "V"}]}}
    scene.stub.seen.clear()
    tried = await scene.ask("/t/open/Observation/plain", HOSPITAL, "TREAT", method="PUT", body=proposed)
    assert 403 == tried.status
    assert [] == [one for one in scene.stub.seen if one.method != "GET"]
    (found,) = (await alerts(scene, start)).json["alerts"]
    assert (["label-raise"], "mercy-ehr", "void") == (found["alerts"], found["client"], found["outcome"])
    assert tried.headers["x-request-id"] == found["request_id"]
    (attempt,) = (await scene.gate.explain(tried))["attempts"]
    assert [f"{LEVEL}|V"] == attempt["story"]["proposed"]
    assert ["Observation/plain"] == [one["resource"] for one in attempt["story"]["decisions"]]
    assert read == (await scene.ask("/t/open/Observation/plain", HOSPITAL, "TREAT")).json


async def test_alerts_are_an_officers(scene):
    """No other role reads them, and a place of another form is refused."""
    assert 403 == (await alerts(scene, role="operator")).status
    assert 401 == (await scene.gate.send("GET", f"{scene.gate.control}/control/alerts", {})).status
    for after in ("-1", "x", "1e3", "9" * 40):
        assert 400 == (await alerts(scene, after)).status
