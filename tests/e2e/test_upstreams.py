"""An upstream that misbehaves, from outside: one answer for everything it does wrong, and none of its words in it."""

import asyncio
import gzip
import json
import os
import signal
import sys
from typing import NamedTuple

import aiohttp
import pytest
import pytest_asyncio

from gateway import clock
from gateway.errors import ProfileError
from gateway.identity.dev_issuer import development_token
from tests.e2e.world import AUDIENCE, PLAN, World, embedded, settings_text, world, write_files
from tests.stub_upstream import StubUpstream, answer, stub_upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

SENTINEL = b"sentinel-of-the-upstream"
ROSA = {"resourceType": "Patient", "id": "rosa", "birthDate": "1987-03-14"}
RECORD = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
    "subject": {"reference": "Patient/rosa"},
    "performer": [{"reference": "Organization/mercy"}],
}


class Server:
    """A small FHIR server: Rosa, one observation, and for some paths whatever a test wants."""

    def __init__(self):
        self.behave()

    def behave(self, **special):
        """Answer paths that begin so in a special way; all others as they should be."""
        self.special, self.records, self.links = special, [RECORD], []

    def __call__(self, seen):
        path = seen.target.removeprefix("/fhir/")
        if "authorization" not in seen.headers:
            return answer({"resourceType": "OperationOutcome"}, 401)
        for name, raw in self.special.items():
            if path.startswith(name):
                return raw
        if path == "Observation/o1":
            return answer(self.records[0])
        kind = path.partition("?")[0]
        if "/" in kind:
            return answer({"resourceType": "OperationOutcome"}, 404)
        found = {"Patient": [ROSA], "Observation": self.records}.get(kind, [])
        entries = [{"fullUrl": f"http://up/{kind}/x", "resource": one, "search": {"mode": "match"}} for one in found]
        return answer({"resourceType": "Bundle", "type": "searchset", "entry": entries, "link": self.links})


class House(NamedTuple):
    """A gateway, the server behind it, and what that was asked."""

    gate: World
    server: Server
    stub: StubUpstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def built(tmp_path_factory):
    """One gateway for all tests that need no other settings."""
    server = Server()
    async with stub_upstream(server) as stub, world(tmp_path_factory.mktemp("built"), stub.base) as gate:
        yield House(gate, server, stub)


@pytest.fixture
def house(built):
    """The gateway, its server behaving well, nothing asked yet."""
    built.server.behave()
    built.stub.seen.clear()
    return built


def searchset(*entries, **more):
    """A searchset with these entries as they are."""
    return answer({"resourceType": "Bundle", "type": "searchset", "entry": list(entries)} | more)


WRONG = {
    "an error with details": answer({"resourceType": "OperationOutcome", "text": SENTINEL.decode()}, 500),
    "a conflict": answer(SENTINEL, 409),
    "html": answer(b"<html>" + SENTINEL, content_type="text/html"),
    "xml under a json name": answer(b"<Observation>" + SENTINEL),
    "gzip": answer(gzip.compress(SENTINEL), Content_Encoding="gzip"),
    "half an answer": answer(b'{"resourceType":"Observation"', length=900, Connection="close"),
    "a redirect": answer(b"", 302, None, Location="http://127.0.0.1:1/sink"),
    "another record": answer(RECORD | {"id": "o2"}),
    "another type": answer(RECORD | {"resourceType": "Condition"}),
    "a name twice": answer(json.dumps(RECORD).encode()[:-1] + b',"meta":{},"meta":{}}'),
    "utf-16": answer(json.dumps(RECORD).encode("utf-16")),
    "a byte order mark": answer(b"\xef\xbb\xbf" + json.dumps(RECORD).encode()),
    "no object": answer(b"[]"),
    "too deep": answer(b'{"a":' * 200 + b"1" + b"}" * 200),
    "nothing": None,
}


@pytest.mark.parametrize("case", WRONG)
async def test_whatever_a_read_brings_the_answer_is_one(house, case):
    """Errors, other formats, broken and double-meaning bodies: one 502, and none of it inside (L057 to L059, L070)."""
    house.server.behave(**{"Observation/o1": WRONG[case]})
    found = await house.gate.ask("Observation/o1")
    assert 502 == found.status
    assert "the server behind the gateway did not give a usable answer" == found.told
    assert SENTINEL not in found.body


LINKS = [
    "http://up.example.attacker.test/fhir?page=2",
    "http://127.0.0.1.attacker.test/fhir?page=2",
    "http://127.0.0.1@attacker.test/fhir?page=2",
    "//attacker.test/fhir?page=2",
    "ftp://127.0.0.1/fhir?page=2",
    "https://127.0.0.1/fhir?page=2",
    "http://127.0.0.1/other?page=2",
]


@pytest.mark.parametrize("url", LINKS)
async def test_a_next_link_that_leads_elsewhere_is_not_followed(house, url):
    """Another origin or path: 502, and no call is made there (L027, L073)."""
    house.server.links = [{"relation": "next", "url": url}]
    assert 502 == (await house.gate.ask("Observation?patient=rosa")).status
    assert not [seen.target for seen in house.stub.seen if "page=2" in seen.target]


async def test_pages_that_never_end_are_a_fault(house):
    """A server whose next link leads in a circle does not keep us going."""
    house.server.records = []
    house.server.links = [{"relation": "next", "url": f"{house.stub.base}/Observation?page=2"}]
    found = await house.gate.ask("Observation?patient=rosa")
    assert (502, 2) == (found.status, len([seen for seen in house.stub.seen if "Observation" in seen.target]))


async def test_a_failing_look_up_of_context_fails_the_whole(house):
    """What is needed to decide cannot be had: 502, not a guess (leaks.md point 11)."""
    house.server.behave(**{"Patient?_id": answer(SENTINEL, 500)})
    found = await house.gate.ask("Observation/o1")
    assert (502, False) == (found.status, SENTINEL in found.body)


async def test_a_patient_that_cannot_be_found_is_nobody_we_know(house):
    """A record about a patient whom the server does not have is withheld."""
    assert 200 == (await house.gate.ask("Observation/o1")).status
    house.server.behave(**{"Patient?": searchset()})
    assert 404 == (await house.gate.ask("Observation/o1")).status


async def test_what_an_upstream_adds_to_a_searchset_stays_there(house):
    """Outcomes, totals, scores, odd links and entries without an id: none of it comes through (L022, L025)."""
    outcome = {"resourceType": "OperationOutcome", "issue": [{"diagnostics": SENTINEL.decode()}]}
    extra = [
        {"resource": outcome, "search": {"mode": "outcome"}},
        {"resource": outcome | {"id": "x"}, "search": {"mode": "match"}},
        {"resource": {key: value for key, value in RECORD.items() if key != "id"}, "search": {"mode": "match"}},
        {"resource": RECORD, "fullUrl": "http://up/x", "search": {"mode": "match", "score": 0.5}},
    ]
    raw = searchset(*extra, total=99, link=[{"relation": "self", "url": "http://up/fhir/" + SENTINEL.decode()}])
    house.server.behave(Observation=raw)
    found = await house.gate.ask("Observation?patient=rosa")
    assert (200, ["o1"], 1) == (found.status, found.ids, found.json["total"])
    assert f"{house.gate.data}/t/hospital/Observation/o1" == found.json["entry"][0]["fullUrl"]
    assert {"mode": "match"} == found.json["entry"][0]["search"]
    assert SENTINEL not in found.body
    assert b"score" not in found.body


async def test_a_match_that_is_of_another_type_is_no_match(house):
    """What the upstream calls a match of another type is not counted, and stays only where a match leads to it."""
    stranger = {"resourceType": "Organization", "id": "mercy", "name": "Mercy"}
    alone = {"resourceType": "Organization", "id": "nobody-points-at-me", "name": "Other"}
    entries = [{"resource": one, "search": {"mode": "match"}} for one in (RECORD, stranger, alone)]
    house.server.behave(Observation=searchset(*entries))
    found = await house.gate.ask("Observation?patient=rosa")
    assert (["o1"], 1) == (found.ids, found.json["total"])
    assert b"nobody-points-at-me" not in found.body


async def test_a_body_over_the_limit_is_refused_and_not_read(tmp_path):
    """A client's body over the limit is 413, an upstream's 502."""
    big = answer(RECORD | {"note": [{"text": "x" * 5000}]})
    server = Server()
    server.behave(**{"Observation/o1": big})
    async with stub_upstream(server) as stub, world(tmp_path, stub.base, limits="{body_bytes: 4096}") as gate:
        assert 502 == (await gate.ask("Observation/o1")).status
        found = await gate.ask("", method="POST", body=b"x" * 5000)
        assert (413, "close") == (found.status, found.headers["connection"])
        token = gate.token(PLAN).encode()
        chunks = b"".join(b"400\r\n" + b"x" * 1024 + b"\r\n" for _ in range(8)) + b"0\r\n\r\n"
        raw = await gate.raw(
            b"POST /t/hospital/ HTTP/1.1\r\nHost: x\r\nX-Purpose-Of-Use: HPAYMT\r\nAuthorization: Bearer %b\r\n" % token
            + b"Content-Type: application/fhir+json\r\nTransfer-Encoding: chunked\r\n\r\n"
            + chunks
        )
        assert raw.startswith(b"HTTP/1.1 413 ")


async def test_a_client_that_does_not_finish_is_not_waited_for(tmp_path):
    """A body that stops in the middle is 408 after the idle time."""
    async with stub_upstream(Server()) as stub, world(tmp_path, stub.base, limits="{client_idle_s: 0.2}") as gate:
        token = gate.token(PLAN).encode()
        raw = await gate.raw(
            b"POST /t/hospital/ HTTP/1.1\r\nHost: x\r\nX-Purpose-Of-Use: HPAYMT\r\nAuthorization: Bearer %b\r\n" % token
            + b"Content-Type: application/fhir+json\r\nContent-Length: 100\r\n\r\nhalf"
        )
    assert raw.startswith(b"HTTP/1.1 408 ")


# Start-up ------------------------------------------------------------------------------------------------------------
async def test_L074_an_open_upstream_is_not_served(tmp_path):
    """A server that answers without credentials stops the start, with a message that says so (L074)."""
    async with embedded(closed=False) as (_, base):
        with pytest.raises(ProfileError, match="answers without credentials"):
            async with world(tmp_path, base):
                pass


async def test_an_operator_may_allow_an_open_upstream(tmp_path):
    """`allow_open_upstream` says that it is meant to be so."""
    async with embedded(closed=False) as (_, base):
        more = "        allow_open_upstream: true"
        async with world(tmp_path, base, more=more, credentials="{kind: none}") as gate:
            assert 200 == (await gate.ask("Patient/rosa")).status


async def test_an_upstream_that_is_away_at_the_start_is_tried_again(tmp_path):
    """Not there: 502 and not ready; there and closed: served; found open later: never served."""
    down = True
    server = Server()
    async with stub_upstream(lambda seen: None if down else server(seen)) as stub, world(tmp_path, stub.base) as gate:
        assert 502 == (await gate.ask("Observation/o1")).status
        assert 503 == (await gate.ask("/readyz", client=None, purpose=None)).status
        down = False
        await asyncio.sleep(1.1)
        assert 200 == (await gate.ask("Observation/o1")).status
        assert 200 == (await gate.ask("/readyz", client=None, purpose=None)).status


async def test_several_workers_are_refused_and_not_ignored(tmp_path):
    """What this version cannot do is said at the start."""
    async with embedded() as (_, base):
        with pytest.raises(ProfileError, match="one process"):
            async with world(tmp_path, base, more="workers: 2\n#"):
                pass


async def test_the_command_serves_and_drains(tmp_path):
    """`serve` answers until SIGTERM, lets a request under way finish, and exits 0; its log is lines of JSON."""
    server, arrived = Server(), asyncio.Event()

    def slow(seen):
        arrived.set() if "Observation/o1" in seen.target else None
        return server(seen)

    async with stub_upstream(slow) as stub:
        key = write_files(tmp_path)
        data, control = [f"http://127.0.0.1:{port}" for port in _free_ports(2)]
        text = settings_text(
            tmp_path,
            data,
            control,
            stub.base,
            profile="us-part2",
            more="",
            limits="{}",
            credentials="{kind: basic, username: u, password: {file: password}}",
        )
        (tmp_path / "gateway.yaml").write_text(text)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway.cli",
            "serve",
            "--config",
            str(tmp_path / "gateway.yaml"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        first = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
        assert "serving" in first["say"]
        token = development_token(key, client_id=PLAN, audience=AUDIENCE, at=clock.now())
        headers = {"Authorization": f"Bearer {token}", "X-Purpose-Of-Use": "HPAYMT"}
        async with aiohttp.ClientSession(headers=headers) as session:
            stub.delay = 0.5
            asking = asyncio.create_task(session.get(f"{data}/t/hospital/Observation/o1"))
            await asyncio.wait_for(arrived.wait(), 10)
            os.kill(process.pid, signal.SIGTERM)
            async with await asking as response:
                assert 200 == response.status
                assert "o1" == (await response.json(content_type=None))["id"]
        rest = await asyncio.wait_for(process.communicate(), 15)
    assert 0 == process.returncode, rest
    assert all(json.loads(line) for line in rest[0].splitlines())


def _free_ports(count):
    import socket  # noqa: PLC0415

    taken = [socket.socket() for _ in range(count)]
    for one in taken:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports
