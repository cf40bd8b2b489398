"""Attacks on the ways of reading: a server that lies about versions, content, operations and itself."""

import base64
import json
import time

import pytest
import pytest_asyncio

from tests.attack.records import NOBODY_S_BUSINESS, observation, quokka, refusal
from tests.attack.scene import LIMITS, MARK, TOLD, open_route, searchset, staged
from tests.stub_upstream import answer

pytestmark = pytest.mark.asyncio(loop_scope="session")

JSON = [("Accept", "application/fhir+json")]
NORMAL = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}]}
SECRET = observation(f"{MARK}-1", NOBODY_S_BUSINESS)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def opened(tmp_path_factory):
    """A scene with a route that opens versions and terminology."""
    async with staged(
        tmp_path_factory.mktemp("reads"), more=open_route("history: [Observation]\n        terminology: true")
    ) as one:
        await one.sign(refusal())
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def scene(opened):
    """The scene, set anew; nothing that was told meanwhile speaks of a patient."""
    opened.begin(quokka(), observation(), SECRET)
    opened.server.lie("metadata", answer(statement()))
    if opened.gate.own_plane is not None:
        await read_anew(opened)
    yield opened
    await opened.check()


async def read_anew(scene) -> None:
    """Have the gateway forget what the server said of itself; a reload is slower, and all that another process has."""
    if scene.gate.own_plane is None:
        await scene.reload()
        return
    abilities = scene.gate.plane._live().doors["t", "open"].surface.abilities
    abilities._stated = abilities._failed = None


@pytest_asyncio.fixture(loop_scope="session")
async def says(scene):
    """Has the server say something else of itself while a test lasts."""

    async def say(reply) -> None:
        scene.server.lie("metadata", reply)
        await read_anew(scene)

    yield say
    await say(answer(statement()))


def statement(**types: list[str]) -> dict:
    """What the server says of itself."""
    known = {"Observation": ["patient"], "Patient": ["identifier"], "Condition": ["patient"]} | types
    listed = [{"type": name, "searchParam": [{"name": one} for one in names]} for name, names in known.items()]
    return {"resourceType": "CapabilityStatement", "rest": [{"mode": "server", "resource": listed}]}


def history(*resources: dict, **more) -> bytes:
    """A history as a server tells it."""
    entries = [
        {
            "resource": one,
            "request": {"method": "PUT", "url": MARK},
            "response": {"status": "200", "etag": f'W/"{MARK}"'},
        }
        for one in resources
    ]
    return answer({"resourceType": "Bundle", "type": "history", "entry": entries, "total": 77} | more)


async def ask(scene, path, **more):
    """Ask at the route that opens more."""
    return await scene.ask(f"/t/open/{path}", headers=JSON, **more)


@pytest.mark.parametrize(
    "lie",
    [
        history(observation(), SECRET),
        history(observation(), observation() | {"resourceType": "Patient"}),
        searchset(observation()),
        history(
            observation(), link=[{"relation": "next", "url": "http://sink.example/Observation/plain/_history?page=2"}]
        ),
        answer(b"{"),
        answer(observation(), 500),
        answer(json.dumps({"resourceType": "Bundle", "type": "history", "entry": [{"resource": [1]}]}).encode()),
    ],
    ids=["another's version", "another type", "no history", "a link elsewhere", "no JSON", "an error", "no record"],
)
@pytest.mark.parametrize("path", ["Observation/plain/_history", "Observation/plain/_history/1"])
async def test_L045_a_history_that_holds_anything_else_is_a_fault(scene, path, lie):
    """One answer for whatever is wrong with it, and no byte of it."""
    scene.server.lie("Observation/plain/_history", lie)
    found = await ask(scene, path)
    assert (502, TOLD) == (found.status, found.told)


async def test_L047_what_a_history_says_besides_is_ours(scene):
    """Numbers, addresses, tags, totals, deletions of the server's are not passed on; a deletion is not told."""
    told = history(observation(meta={"versionId": "9"}), entry=[
        {"resource": observation(meta={"versionId": "9", "lastUpdated": "2026-01-01T00:00:00Z"}), "fullUrl": f"http://{MARK}",
         "request": {"method": "POST", "url": f"Observation?{MARK}"}, "response": {"status": "201", "location": MARK}},
        {"request": {"method": "DELETE", "url": f"Observation/{MARK}"}, "response": {"status": "204"}},
    ])  # fmt: skip
    scene.server.lie("Observation/plain/_history", told)
    found = await ask(scene, "Observation/plain/_history")
    assert (200, 1) == (found.status, found.json["total"])
    (entry,) = found.json["entry"]
    assert {"method": "PUT", "url": "Observation/plain"} == entry["request"]
    assert MARK.encode() not in found.body
    assert 40 == len(entry["resource"]["meta"]["versionId"])


async def test_L068_a_validator_does_not_move_with_what_is_hidden(scene):
    """A pointer at what is withheld comes and goes, and the server counts its versions: the tag is what it was."""
    tags = set()
    for number, more in enumerate(({}, {"focus": [{"reference": f"Observation/{MARK}-1"}]}, {})):
        meta = {"versionId": str(number), "lastUpdated": f"2026-01-0{number + 1}T00:00:00Z"}
        scene.server.hold(observation(meta=meta, **more))
        tag = (await scene.ask("Observation/plain")).headers["etag"]
        assert 304 == (await scene.ask("Observation/plain", headers=[("If-None-Match", tag)])).status
        tags.add(tag)
    assert 1 == len(tags)


async def test_L046_a_version_of_another_patient_is_that_patients(scene):
    """Filed under the wrong name first: the present record is Rosa's, its first version stays the quokka's business."""
    wrong = observation(patient=NOBODY_S_BUSINESS, note=[{"text": MARK}])
    scene.server.lie("Observation/plain/_history", history(observation(), wrong))
    found = await ask(scene, "Observation/plain/_history")
    assert (200, 1) == (found.status, found.json["total"])


def binary(**more) -> dict:
    """Content with an owner."""
    data = base64.b64encode(b"x").decode()
    tree = {"resourceType": "Binary", "id": "content", "contentType": "text/plain", "data": data, "meta": NORMAL}
    return tree | {"securityContext": {"reference": "Observation/plain"}} | more


@pytest.mark.parametrize(
    "context",
    [
        {"reference": f"Observation/{MARK}-1"},
        {"reference": f"http://sink.example/fhir/Observation/{MARK}"},
        {"reference": "#x"},
        {"identifier": {"value": MARK}},
        {"display": "nobody"},
    ],
)
async def test_L052_content_whose_owner_is_hidden_or_not_here_is_not_there(scene, context):
    """The answer of content that never was: no error tells that there is something."""
    scene.server.hold(binary(securityContext=context))
    never = await ask(scene, "Binary/never")
    assert never.constant == (await ask(scene, "Binary/content")).constant
    assert not [one for one in scene.stub.seen if "sink" in one.target]


async def test_L052_a_document_that_is_hidden_closes_what_another_opens(scene, says):
    """Every document that points at it, by the server's own search, and whatever way it writes the address."""
    await says(answer(statement(DocumentReference=["location"])))
    scene.server.hold(binary())
    scene.server.lie("DocumentReference?location", searchset())
    assert 200 == (await ask(scene, "Binary/content")).status
    attached = {"content": [{"attachment": {"url": f"{scene.stub.base}/Binary/content"}}]}
    hidden = {"resourceType": "DocumentReference", "id": f"{MARK}-d", "status": "current", **attached}
    scene.server.lie("DocumentReference?location", searchset(hidden | {"subject": {"reference": NOBODY_S_BUSINESS}}))
    assert (await ask(scene, "Binary/never")).constant == (await ask(scene, "Binary/content")).constant


ATTACHED = {"contentType": "text/plain", "url": "Binary/content"}


@pytest.mark.parametrize(
    "owner",
    [
        {"resourceType": "DiagnosticReport", "presentedForm": [ATTACHED], "status": "final", "code": {"text": "x"}},
        {"resourceType": "Media", "content": ATTACHED, "status": "completed"},
        {"resourceType": "DocumentReference", "content": [{"attachment": ATTACHED}], "status": "current"},
        {"resourceType": "Consent", "sourceAttachment": ATTACHED, "status": "active", "meta": NORMAL},
    ],
    ids=["a report", "media", "a document of a server that cannot search addresses", "a consent"],
)
async def test_L052_what_else_of_the_patient_attaches_content_closes_it_too(scene, says, owner):
    """Its owner by name is the visible patient; a hidden report that presents it, or a consent on paper, closes it."""
    names = ("patient", "subject")
    types = ("DiagnosticReport", "Media", "DocumentReference", "Consent")
    await says(answer(statement(**dict.fromkeys(types, names))))
    scene.server.hold(binary(securityContext={"reference": "Patient/rosa"}))
    assert 200 == (await ask(scene, "Binary/content")).status
    whose = {"patient" if owner["resourceType"] == "Consent" else "subject": {"reference": "Patient/rosa"}}
    hidden = {
        "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "42CFRPart2"}]}
    } | owner
    scene.server.hold(hidden | whose | {"id": "attaching"})
    assert (await ask(scene, "Binary/never")).constant == (await ask(scene, "Binary/content")).constant
    if owner["resourceType"] != "Consent":
        scene.server.hold(owner | whose | {"id": "attaching", "meta": NORMAL})
        assert 200 == (await ask(scene, "Binary/content")).status


@pytest.mark.parametrize(
    ("media", "sent"),
    [
        ("text/plain", "text/plain"),
        ("TEXT/HTML; charset=utf-8", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("text/plain\r\nX-Evil: 1", "application/octet-stream"),
        ("", "application/octet-stream"),
        ("application/javascript", "application/octet-stream"),
    ],
)
async def test_L052_content_is_never_a_page(scene, media, sent):
    """What a browser would run comes as bytes of no type; a header cannot be smuggled in."""
    scene.server.hold(binary(contentType=media))
    found = await scene.ask("/t/open/Binary/content")
    assert (200, sent, b"x") == (found.status, found.headers["content-type"], found.body)
    assert "attachment" == found.headers["content-disposition"]
    assert "x-evil" not in found.headers


@pytest.mark.parametrize("lie", [answer(b"<html>"), answer({"resourceType": "Patient"}), None])
async def test_a_server_that_does_not_say_what_it_can_is_a_fault_for_everybody(scene, says, lie):
    """What is composed of its searches is not answered, the same for the one who said no and for nobody."""
    await says(lie)
    answers = [await ask(scene, f"Patient/{id_}/Observation") for id_ in ("rosa", f"{MARK}-p", "never")]
    assert [(502, TOLD)] * 3 == [(one.status, one.told) for one in answers]


async def test_what_a_server_can_is_asked_again_after_a_reload(scene):
    """Once, and kept; after a reload once more: a server that was made anew need not wait for the gateway's restart."""
    for made_anew in (False, True):
        if made_anew:
            await scene.reload()
        scene.stub.seen.clear()
        for _ in range(2):
            assert 200 == (await ask(scene, "Patient/rosa/Observation")).status
        assert made_anew <= sum(seen.target == "/fhir/metadata" for seen in scene.stub.seen) <= 1


async def test_a_server_without_a_statement_is_tried_the_same_for_everybody(scene, says):
    """It is searched as it is, and who said no is answered as nobody."""
    await says(answer(b"", 404))
    refused, nobody = [await ask(scene, f"Patient/{id_}/Observation") for id_ in (f"{MARK}-p", "never")]
    assert (200, []) == (nobody.status, nobody.ids)
    assert (nobody.status, nobody.ids, nobody.headers.keys()) == (refused.status, refused.ids, refused.headers.keys())


@pytest.mark.parametrize(
    ("path", "lie"),
    [
        ("ValueSet/$expand?url=http://x", {"resourceType": "ValueSet", "id": "v", "contained": [SECRET]}),
        ("ValueSet/$expand?url=http://x", SECRET),
        ("CodeSystem/$lookup?system=http://x&code=a", {"resourceType": "Parameters", "parameter": [
            {"name": "a", "part": [{"name": "b", "resource": {"resourceType": "Bundle", "type": "searchset",
                                                               "entry": [{"resource": SECRET}]}}]}]}),
    ],
)  # fmt: skip
async def test_L045_a_record_inside_the_answer_of_an_operation_is_decided_like_any(scene, path, lie):
    """However deep it stands, in whatever slot."""
    scene.server.lie(path.partition("?")[0], answer(lie))
    found = await ask(scene, path)
    assert MARK.encode() not in found.body
    assert found.status in {200, 404, 502}


async def test_an_operation_on_terminology_is_asked_with_its_parameters_alone(scene):
    """Positive control: a plain answer comes; what is sent on is what the operation lists, no more."""
    scene.server.lie("ValueSet/$expand", answer({"resourceType": "ValueSet", "id": "v", "status": "active"}))
    found = await ask(scene, "ValueSet/$expand?url=http://x&count=5&_format=json")
    assert (200, "ValueSet") == (found.status, found.json["resourceType"])
    assert ["/fhir/ValueSet/$expand?url=http%3A%2F%2Fx&count=5"] == [one.target for one in scene.stub.seen]
    assert 400 == (await ask(scene, "ValueSet/$expand?url=http://x&patient=rosa")).status


async def test_L023_answers_begin_on_a_grid_of_time(tmp_path):
    """Found, hidden, absent, refused: none begins before the step that the operator set."""
    step = 0.3
    limits = LIMITS.replace("}", f", answer_step_s: {step}}}")
    async with staged(tmp_path, limits=limits) as one:
        one.server.hold(quokka(), observation(), SECRET)
        await one.sign(refusal())
        for path in ("Observation/plain", f"Observation/{MARK}-1", "Observation/never", "Nonsense"):
            began = time.perf_counter()
            await one.gate.ask(path)
            assert step <= time.perf_counter() - began
