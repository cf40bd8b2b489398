"""Attacks on attachments by address: what a Binary says of itself, the document that names it is (leaks.md L052)."""

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from tests.attack.records import NOBODY_S_BUSINESS, ROSA, refusal
from tests.attack.scene import MARK, TOLD, searchset, staged
from tests.stub_upstream import answer

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
NORMAL = {"security": [{"system": CONFIDENTIALITY, "code": "N"}]}
PART2 = {"security": [{"system": ACT_CODE, "code": "42CFRPart2"}]}
ROUTE = """\
      open:
        owner: mercy
        upstream: {base}
        source: story
        credentials: {{kind: basic, username: gateway, password: {{file: password}}}}
        public_url: http://open.example/t/open
        profile: us-part2
      again:
        owner: mercy
        upstream: {base}
        source: story
        credentials: {{kind: basic, username: gateway, password: {{file: password}}}}
        public_url: http://again.example/t/again
        profile: us-part2
        read_again: true"""


def no_substance_use() -> dict:
    """The consent by which Rosa says that the plan is not to know of substance use."""
    consent = json.loads(json.dumps(refusal()).replace(NOBODY_S_BUSINESS, ROSA).replace(f"{MARK}-mrn", "rosa"))
    del consent["sourceAttachment"]
    consent["provision"]["securityLabel"] = [{"system": ACT_CODE, "code": "SUD"}]
    return consent


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def opened(tmp_path_factory):
    """A scene with two routes to the hospital, of which one reads again by id what a search finds."""
    async with staged(tmp_path_factory.mktemp("contents"), more=ROUTE) as one:
        await one.sign(no_substance_use())
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def scene(opened):
    """The scene, set anew."""
    opened.begin()
    opened.server.held = {name: text for name, text in opened.server.held.items() if "DocumentReference" not in name}
    if opened.gate.own_plane is not None:
        await seen_nothing(opened)
    yield opened
    await opened.check()


async def seen_nothing(scene) -> None:
    """Have the gateway forget what it saw of the server; a reload is slower, and all that another process has."""
    if scene.gate.own_plane is None:
        await scene.reload()
        return
    for door in scene.gate.plane._live().doors.values():
        door.surface.abilities.contents = True
        door.surface.abilities._told_shut = False


def document(id: str = "letter", url: str = "Binary/content", **more) -> dict:
    """A letter of Rosa's whose content is at an address."""
    return {
        "resourceType": "DocumentReference",
        "id": id,
        "meta": NORMAL,
        "status": "current",
        "subject": {"reference": ROSA},
        "content": [{"attachment": {"contentType": "text/plain", "url": url}}],
    } | more


def binary(text: str = "Your appointment is on Monday.", id: str = "content", **more) -> dict:
    """Content that says its level, as plain text."""
    data = base64.b64encode(text.encode()).decode()
    return {"resourceType": "Binary", "id": id, "contentType": "text/plain", "data": data, "meta": NORMAL} | more


def visit() -> dict:
    """Rosa's visit at a program."""
    return {
        "resourceType": "Encounter",
        "id": f"{MARK}-visit",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": ROSA},
        "meta": PART2,
    }


async def gone(scene, id: str = "letter", route: str = "open") -> bool:
    """Whether a document is answered as one that never was, alone and in a search."""
    never = await scene.ask(f"/t/{route}/DocumentReference/never")
    alone = await scene.ask(f"/t/{route}/DocumentReference/{id}")
    listed = await scene.ask(f"/t/{route}/DocumentReference?patient=rosa")
    assert 200 == listed.status
    found = {entry["resource"]["id"] for entry in listed.json.get("entry", [])}
    assert (200 == alone.status) == (id in found)
    assert (404 == alone.status) == (never.constant == alone.constant)
    return 404 == alone.status


SENSITIVE = {
    "a label": binary(meta=PART2),
    "a label nobody can read": binary(meta={"security": [{"system": CONFIDENTIALITY, "code": "X"}]}),
    "its words": binary(f"{MARK} takes methadone for opioid use disorder."),
    "a record in it": binary(
        json.dumps({"resourceType": "Condition", "meta": PART2}),
        contentType="application/fhir+json",
    ),
    "too large to be read": binary("x" * (1 << 20)),
    "twice the same": json.dumps(binary()).replace('"id"', '"contentType":"text/plain","id"').encode(),
    "the visit that owns it": binary(securityContext={"reference": f"Encounter/{MARK}-visit"}),
}


@pytest.mark.parametrize("route", ["open", "again"])
@pytest.mark.parametrize("content", SENSITIVE.values(), ids=SENSITIVE)
async def test_L052_what_content_says_of_itself_closes_the_document_that_names_it(scene, content, route):
    """Its label, its words, its owner, or that nobody can tell: the document is one that never was; others stay."""
    scene.server.hold(document(), document("other", "Binary/plain"), binary(id="plain"), visit())
    scene.server.hold(binary())
    assert not await gone(scene, route=route)
    scene.server.hold(content)
    assert await gone(scene, route=route)
    assert not await gone(scene, "other", route)


@pytest.mark.parametrize(
    "url",
    ["{base}/Binary/content", "http://open.example/t/open/Binary/content", "Binary/content/_history/1"],
    ids=["the server's address", "our address", "a version"],
)
async def test_L052_however_the_address_is_written(scene, url):
    """Absolute, by our name or with a version: it is the same content."""
    scene.server.hold(document(url=url.format(base=scene.stub.base)), binary(meta=PART2))
    assert await gone(scene)


@pytest.mark.parametrize("name", ["DiagnosticReport", "Media", "Communication", "contained"])
async def test_L052_whatever_attaches_it(scene, name):
    """A report, a picture, a message, or a picture contained in one."""
    attachment = {"contentType": "text/plain", "url": "Binary/content"}
    picture = {"resourceType": "Media", "status": "completed", "subject": {"reference": ROSA}, "content": attachment}
    report = {"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "x"}}
    whose = {"subject": {"reference": ROSA}, "id": "one", "meta": NORMAL}
    one = {
        "DiagnosticReport": report | {"presentedForm": [attachment]},
        "Media": picture,
        "Communication": {
            "resourceType": "Communication",
            "status": "completed",
            "payload": [{"contentAttachment": attachment}],
        },
        "contained": report | {"contained": [picture | {"id": "m"}], "media": [{"link": {"reference": "#m"}}]},
    }[name] | whose
    scene.server.hold(one, binary())
    assert 200 == (await scene.ask(f"/t/open/{one['resourceType']}/one")).status
    scene.server.hold(binary(meta=PART2))
    found = await scene.ask(f"/t/open/{one['resourceType']}/one")
    assert b"Binary" not in found.body
    assert (200 if name == "contained" else 404) == found.status  # what is contained goes alone


async def test_L052_what_is_not_there_or_not_here_closes_nothing(scene):
    """Content that is absent, another server's or inline: the document is released, and nobody else is asked."""
    scene.server.hold(
        document("absent", "Binary/never"),
        document("elsewhere", "http://sink.example/fhir/Binary/content"),
        document("inline", content=[{"attachment": {"contentType": "text/plain", "data": "eA=="}}]),
        binary(meta=PART2),
    )
    assert not await gone(scene, "absent")
    assert not await gone(scene, "elsewhere")
    assert not await gone(scene, "inline")
    asked = [one.target for one in scene.stub.seen if "Binary" in one.target]
    assert asked
    assert all("/Binary/never" in one for one in asked)


async def test_L052_who_else_attaches_content_changes_nothing_for_a_document(scene):
    """A hidden document that names the same content beside a visible one, or not: the same answer."""
    hidden = document(f"{MARK}-hidden", meta=PART2)
    scene.server.hold(document(), binary(securityContext={"reference": "DocumentReference/letter"}))
    alone = await scene.ask("/t/open/DocumentReference?patient=rosa&_count=60")
    scene.server.hold(hidden)
    beside = await scene.ask("/t/open/DocumentReference?patient=rosa&_count=60")
    assert {"letter"} == {entry["resource"]["id"] for entry in beside.json["entry"]}
    assert alone.json["entry"] == beside.json["entry"]
    assert not await gone(scene)


def _listing(scene, **lies):
    """How the server answers searches of Binaries, by way."""

    def found(seen):
        ids = parse_qs(urlsplit(seen.target).query).get("_id", [""])[0].split(",")
        texts = [json.loads(scene.server.held[f"Binary/{id_}"]) for id_ in ids if f"Binary/{id_}" in scene.server.held]
        return searchset(*(lies["as_told"](one) for one in texts))

    return found


SERVERS = {
    "gives them whole": lambda one: one,
    "leaves content out": lambda one: {name: value for name, value in one.items() if name != "data"},
    "leaves labels out too": lambda one: {"resourceType": "Binary", "id": one["id"]},
}


@pytest.mark.parametrize("told", [*SERVERS.values(), 400, 403, 404, "nothing", "no JSON"])
async def test_L052_of_every_make_of_server_the_content_is_seen(scene, told):
    """One that gives Binaries by a search, whole or in part; one that refuses, or finds nothing: each is read then."""
    if callable(told):
        scene.server.lie("Binary?", _listing(scene, as_told=told))
    else:
        lies = {"nothing": searchset(), "no JSON": answer(b"{")}
        scene.server.lie("Binary?", lies.get(told) or answer({"resourceType": "OperationOutcome"}, told))
    for number in range(4):
        scene.server.hold(document(f"d{number}", f"Binary/b{number}"), binary(id=f"b{number}"))
    scene.server.hold(binary(id="b2", meta=PART2))
    for _ in range(2):  # what was learned of the server changes nothing
        listed = await scene.ask("/t/open/DocumentReference?patient=rosa&_count=60")
        found = {entry["resource"]["id"] for entry in listed.json["entry"]}
        assert {"d0", "d1", "d3"} == found


async def test_L052_mere_content_is_read_too(scene):
    """A server that gives a Binary as what it is, whatever is asked for (R4 binary.html)."""
    scene.server.hold(document(), binary())
    plain = answer(b"Your appointment is on Monday.", content_type="text/plain")
    scene.server.lie("Binary/content", plain)
    assert not await gone(scene)
    scene.server.lie("Binary/content", answer(b"Methadone for opioid use disorder.", content_type="text/plain"))
    assert await gone(scene)


@pytest.mark.parametrize("lie", [answer(b"", 500), answer(b"", 401), None], ids=["an error", "no right", "no answer"])
async def test_L052_content_that_cannot_be_asked_for_fails_the_exchange(scene, lie):
    """As whatever else a decision needs; a 403 is an answer about this content alone, which nobody can read."""
    await seen_nothing(scene)
    scene.server.hold(document(), document("other", "Binary/plain"), binary(), binary(id="plain"))
    scene.server.lie("Binary/content", lie)
    found = await scene.ask("/t/open/DocumentReference/letter")
    assert (502, TOLD) == (found.status, found.told)
    scene.server.lie("Binary/content", answer(b"", 403))
    scene.server.lie("Binary?", searchset())
    assert await gone(scene)
    assert not await gone(scene, "other")
    assert scene.logged("it answered 403 to a read of Binary")


@pytest.mark.parametrize(("way", "calls"), [(SERVERS["gives them whole"], 5), (400, 50)], ids=["searches", "reads"])
async def test_what_a_page_of_fifty_documents_costs(scene, way, calls):
    """Five searches of ten Binaries, or fifty reads where the server does not give them so; none without addresses."""
    await seen_nothing(scene)
    for number in range(50):
        scene.server.hold(document(f"d{number}", f"Binary/b{number}"), binary(id=f"b{number}"))
    await scene.ask("/t/open/DocumentReference?patient=rosa&_count=60")
    lie = _listing(scene, as_told=way) if callable(way) else answer({"resourceType": "OperationOutcome"}, way)
    scene.server.lie("Binary?", lie)
    await scene.ask("/t/open/DocumentReference?patient=rosa&_count=60")
    before = len(scene.stub.seen)
    listed = await scene.ask("/t/open/DocumentReference?patient=rosa&_count=60")
    assert 50 == len(listed.json["entry"])
    asked = [one.target for one in scene.stub.seen[before:]]
    assert calls == sum("/Binary" in one for one in asked)
    for number in range(50):
        scene.server.hold(document(f"d{number}", content=[{"attachment": {"title": "none"}}]))
    before = len(scene.stub.seen)
    await scene.ask("/t/open/DocumentReference?patient=rosa&_count=60")
    assert 0 == sum("/Binary" in one.target for one in scene.stub.seen[before:])


async def test_a_search_that_takes_too_long_is_one_answer_and_the_log_says_why(scene):
    """Each call in time, all of them together not: 502, and the operator reads which limit it was."""
    scene.server.hold(document(), binary())
    scene.stub.delay = 0.6
    found = await scene.ask("/t/open/DocumentReference?patient=rosa")
    scene.stub.delay = 0.0
    assert (502, TOLD) == (found.status, found.told)
    assert scene.logged("`upstream_answer_s`")
