"""Other doors to the same records (leaks.md section E): exports, GraphQL, subscriptions. None is there.

Each form of each is refused by one answer, whoever is asked about, and the server behind the gateway is asked nothing.
"""

import pytest

from tests.attack.records import ROSA, observation, transaction
from tests.attack.scene import MARK
from tests.attack.worlds import constant

pytestmark = pytest.mark.asyncio(loop_scope="session")

WHO = ("rosa", f"{MARK}-p", "never-existed")
KICKED_OFF = [("Prefer", "respond-async")]
PARAMETERS = {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueString": "Observation"}]}


async def refused(scene, paths: list[str], *, told: str = "not supported", statuses: tuple = (501,), **more) -> None:
    """Each is refused in the same words, and nothing was asked."""
    answers = [await scene.ask(path, **more) for path in paths]
    assert set(statuses) >= {one.status for one in answers}
    assert 1 == len({constant(one)[2] for one in answers})
    assert told in answers[0].told
    assert [] == scene.stub.seen


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "query", ["", "?_type=Observation", "?_typeFilter=Patient%3F_has%3AObservation%3Apatient%3Acode%3Dx"]
)
async def test_L049_nothing_is_exported(scene, method, query):
    """Of the system, of all patients, of a group, of one patient, asked for at once or later: one refusal."""
    places = ["", "Patient/", "Group/g/", "Group/never/", *(f"Patient/{who}/" for who in WHO)]
    body = PARAMETERS if method == "POST" else None
    await refused(scene, [f"{one}$export{query}" for one in places], method=method, body=body, headers=KICKED_OFF)


@pytest.mark.parametrize("path", ["$export-poll-status?_jobId=1", "$export-poll-status?_jobId=never", "$import"])
async def test_L049_no_job_is_told_of(scene, path):
    """Another caller's job and one that never was are the same refusal, as is a load from elsewhere."""
    await refused(scene, [path])
    await refused(scene, [path], method="POST", body=PARAMETERS)
    never = [await scene.ask(f"/t/hospital/{place}") for place in ("export/1.ndjson", "export/never.ndjson")]
    assert [404, 404] == [one.status for one in never]
    assert never[0].constant == never[1].constant


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("place", ["", *(f"Patient/{who}/" for who in WHO)])
async def test_L050_no_graph_is_answered(scene, place, method):
    """At the system and at a record, by query and by body, the same refusal."""
    query = "?query=%7BPatient(id%3A%22rosa%22)%7Bname%7Bfamily%7D%7D%7D"
    body = {"query": '{Patient(id:"rosa"){name{family}}}'} if method == "POST" else None
    await refused(scene, [place + "$graphql" + ("" if body else query)], method=method, body=body)


def subscription(**more) -> dict:
    """A wish to be told of what happens."""
    channel = {"type": "rest-hook", "endpoint": f"https://{MARK}.example/sink", "payload": "application/fhir+json"}
    label = "http://terminology.hl7.org/CodeSystem/v3-ActCode|SUD"
    criteria = f"Observation?patient=rosa&_security={label}"
    return {"resourceType": "Subscription", "status": "requested", "criteria": criteria, "channel": channel} | more


@pytest.mark.parametrize("path", ["Subscription/1", "Subscription/never", "Subscription?status=active"])
async def test_L053_no_subscription_is_read(scene, path):
    """One that there is, one that never was, all of them: one refusal."""
    await refused(scene, [path, f"{path}&x=y" if "?" in path else path], told="not served here")


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_L053_nobody_subscribes(scene, method):
    """Neither at its type nor at an id: refused, nothing forwarded, and no endpoint was called."""
    path = "Subscription" if method == "POST" else "Subscription/mine"
    found = await scene.ask(f"/t/plan/{path}", "mercy-ehr", method=method, body=subscription(id="mine"))
    assert found.status in {403, 405, 422, 501}
    assert [] == scene.stub.seen


@pytest.mark.parametrize("kind", ["transaction", "batch", "collection"])
async def test_L053_nobody_subscribes_by_a_bundle(scene, kind):
    """What would be carried out is refused with all that stands beside it; out of what is only kept it is cut."""
    sent = transaction(observation("a", ROSA), subscription()).replace(b'"transaction"', b'"%b"' % kind.encode())
    sent = b'"url":"Subscription"'.join(sent.rsplit(b'"url":"Observation"', 1)) if kind != "collection" else sent
    if kind == "collection":
        sent = sent.replace(b'"request":{"method":"POST","url":"Observation"},', b"")
    found = await scene.push(sent, "/t/plan/Bundle" if kind == "collection" else "/t/plan/")
    assert (201 if kind == "collection" else 403) == found.status
    forwarded = b"".join(seen.body for seen in scene.stub.seen if seen.method == "POST")
    assert (kind == "collection") == bool(forwarded)
    assert b"Subscription" not in forwarded


async def test_L053_topics_and_status_are_operations_nobody_offers(scene):
    """`$status`, `$events`, `$get-ws-binding-token` of a subscription: refused."""
    for name in ("$status", "$events", "$get-ws-binding-token"):
        await refused(scene, [f"Subscription/{one}/{name}" for one in ("1", "never")], told="not s")
