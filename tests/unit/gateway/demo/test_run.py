"""The demonstration can fail: before a gateway that filters nothing it says so, line by line, and exits with 1."""

import base64
import io
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp
import msgspec
import pytest
from rich.console import Console

from gateway.demo.run import run
from gateway.errors import ProfileError, QuestionError

DECIDED = {"refusal": None, "released": None}


class Planes(NamedTuple):
    data: object
    control: object


async def answer(send, status: int, body: bytes, **headers: str) -> None:
    """Send one answer of the fake."""
    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})


async def whole_body(receive) -> bytes:
    """Read a request's body."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def lifespan(receive, send) -> None:
    """Start and stop without doing anything."""
    for stage in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{stage}.complete"})


class Sieve:
    """A gateway with holes: every request goes to the upstream, everything comes back, consents are stored unread."""

    def __init__(self, settings) -> None:
        self.routes = {route.name: route for route in settings.routes}
        self.passwords = {name: Path(one.credentials.secret.file).read_text() for name, one in self.routes.items()}
        self.seen: dict[str, list[str]] = {}
        self.consents = Counter()

    async def data(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        _, _, name, type_ = scope["path"].split("/")
        route = self.routes[name]
        user = f"{route.credentials.username}:{self.passwords[name]}"
        headers = {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()}
        url = f"{route.upstream}/{type_}?{scope['query_string'].decode()}"
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
            body = await response.read()
        number = str(len(self.seen))
        entries = msgspec.json.decode(body).get("entry", [])
        self.seen[number] = [f"{type_}/{entry['resource']['id']}" for entry in entries]
        return await answer(send, 200, body, x_request_id=number)

    async def control(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        last = scope["path"].rpartition("/")[2]
        if "/fhir/Consent" in scope["path"]:
            consent = msgspec.json.decode(await whole_body(receive))
            self.consents[consent["status"]] += 1
            stored = {**consent, "id": f"kept-{self.consents.total()}"}
            return await answer(send, 201, msgspec.json.encode(stored), etag='W/"1"')
        decisions = [
            {"resource": r, "at": "", "verdict": "disclosed", "edits": [], "because": []} for r in self.seen[last]
        ]
        attempt = {"completion": {"outcome": "sent"}, "story": {"decisions": decisions}}
        return await answer(send, 200, msgspec.json.encode({"attempts": [attempt]}))


def told(build, **how: object) -> tuple[int, str]:
    """Run the demonstration once; its status and what it printed."""
    out = Console(file=io.StringIO(), width=200)
    status = run(once=True, out=out, build=build, **{"data": None, "decide": lambda _: DECIDED, **how})
    return status, out.file.getvalue()


@asynccontextmanager
async def sieve(settings):
    """Set the gateway with holes up."""
    gateway = Sieve(settings)
    yield Planes(gateway.data, gateway.control)
    assert {"active": 3, "inactive": 1} == gateway.consents


def test_a_gateway_that_filters_nothing_fails_the_story():
    """What came through against the story is named by line and record; the status is 1."""
    status, said = told(sieve)
    assert 1 == status
    assert "hospital-treats: Condition/rosa-opioid-dependence came through, against the story" in said
    assert "no-purpose: the story says 403, the answer is 200" in said
    assert "no-purpose: the refused question reached the upstream" in said
    assert "rosa-opioid-dependence is not as it should be" in said
    assert "differences from the story" in said


def test_a_gateway_that_filters_nothing_differs_from_decide(tmp_path):
    """On anybody's patients each record that decide would withhold is named; the status is 1."""
    visit = {"resourceType": "Encounter", "id": "e", "subject": {"reference": "Patient/ann"}}
    (tmp_path / "visit.json").write_bytes(msgspec.json.encode(visit))
    asked = []

    def withholds(question: bytes) -> dict:
        tree = msgspec.json.decode(question)
        asked.append(tree)
        if "purpose" not in tree:
            raise QuestionError("`purpose` is missing")
        return DECIDED | {"decisions": [{"at": "/entry/0/resource", "resource": "Encounter/e", "verdict": "withheld"}]}

    @asynccontextmanager
    async def open_sieve(settings):
        gateway = Sieve(settings)
        yield Planes(gateway.data, gateway.control)

    status, said = told(open_sieve, data=tmp_path, decide=withholds)
    assert 1 == status
    assert "plan-hpaymt-hospital: Encounter/e: decide says withheld, the gateway disclosed" in said
    assert "plan-hpaymt-hospital: Encounter/e: released by one only" in said
    assert "plan-none-hospital: decide refuses, the gateway gave 200" in said
    (first, *_) = asked
    assert "Encounter/e" == "/".join(first["resource"]["entry"][0]["resource"][key] for key in ("resourceType", "id"))
    assert {"Patient/ann": {"both_have_relationship_with_enrollee": True}} == asked[1]["facts"]["subjects"]
    assert {"Patient/ann"} == {consent["patient"]["reference"] for consent in first["consents"]}


def test_a_folder_that_cannot_be_used_is_told(tmp_path):
    """An absent folder, and one without patients, end with status 2 and a line that says why."""
    assert (2, True) == (told(sieve, data=tmp_path / "absent")[0], "absent" in told(sieve, data=tmp_path / "absent")[1])
    status, said = told(sieve, data=tmp_path)
    assert (2, True) == (status, "no records of a patient" in said)


def test_what_the_gateway_refuses_to_start_with_is_raised():
    """A mistake in the settings is the caller's to tell."""

    @asynccontextmanager
    async def refuses(settings):
        raise ProfileError(f"route `{settings.routes[0].name}` has no owner")
        yield

    with pytest.raises(ProfileError, match="route `hospital` has no owner"):
        told(refuses)
