"""Clients that connect and say nothing, or never come to the end of their headers; before the server `serve` runs."""

import asyncio
import contextlib
import json
import time

import pytest
import pytest_asyncio

from gateway.bootstrap import serving
from gateway.settings_reading import parse_settings
from tests.attack.scene import LIMITS, MARK
from tests.e2e.world import HOSPITAL, PLAN, settings_text

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def door(scene):
    """The scene's gateway behind the server that `serve` puts before it: the port. Another process has its own."""
    if scene.gate.own_plane is None:
        yield int(scene.gate.data.rpartition(":")[2])
        return
    text = settings_text(
        scene.folder,
        scene.gate.data,
        scene.gate.control,
        scene.stub.base,
        profile="us-part2",
        more="",
        limits=LIMITS,
        credentials="{kind: none}",
    )
    server = serving.server_of(scene.gate.plane, parse_settings(text, "gateway.yaml"))
    with serving.listen("127.0.0.1", 0) as listener:
        running = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110  uvicorn tells it by a flag
            await asyncio.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = True
        await running


async def answered(port: int, *parts: bytes | float) -> bytes:
    """Send the parts with their pauses and give all that comes back until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        for part in parts:
            if isinstance(part, bytes):
                writer.write(part)
                await writer.drain()
            else:
                await asyncio.sleep(part)
    found = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(6):
            found = await reader.read()
    writer.close()
    return found


HEAD = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
SLOW = {
    "silence": [],
    "half a head": [HEAD],
    "a head by the drop": [HEAD, *[b"X-Quokka: quokka\r\n", 0.3] * 6],
    "half a head after a whole one": [HEAD + b"\r\n", 0.1, HEAD],
}


async def test_a_head_that_does_not_end_is_not_waited_for(door):
    """After the idle time the connection is over, whatever was sent of the head; what was asked before is answered."""
    began = time.perf_counter()
    found = await asyncio.gather(*(answered(door, *parts) for parts in SLOW.values()))
    assert 5 > time.perf_counter() - began
    assert [0, 0, 0, 1] == [one.count(b"HTTP/1.1 200 OK") for one in found]


LARGE = {
    "many headers": HEAD + b"X-Quokka: quokka\r\n" * 60_000,
    "one header": HEAD + b"X-Quokka: " + MARK.encode() * 200_000,
    "a target": b"GET /livez?" + MARK.encode() * 200_000,
}


@pytest.mark.parametrize("case", LARGE)
async def test_a_head_beyond_the_limit_is_not_read(door, case):
    """A MiB of head is not kept: 400, without a word of it, or the connection just ends."""
    found = await answered(door, LARGE[case])
    assert found == b"" or found.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert MARK.encode() not in found


async def test_a_large_head_and_a_large_body_are_taken(scene, door):
    """The positive control: 30 KiB of headers, a body in many parts, two requests on one connection."""
    token = scene.gate.token(PLAN).encode()
    head = (
        b"POST /t/hospital/Condition/_search HTTP/1.1\r\nHost: x\r\nX-Purpose-Of-Use: HPAYMT\r\nAuthorization: Bearer "
    )
    head += token + b"\r\nContent-Type: application/x-www-form-urlencoded\r\n" + b"X-A: aaaaaaaaaaaaaaaa\r\n" * 1300
    body = b"patient=rosa" + b"&" * 14_000
    request = head + b"Content-Length: %d\r\n" % len(body)
    parts = [
        request + b"\r\n",
        0.2,
        body[:7_000],
        0.2,
        body[7_000:],
        0.2,
        request + b"Connection: close\r\n\r\n" + body,
    ]
    found = await answered(door, *parts)
    assert 2 == found.count(b"HTTP/1.1 200 OK\r\n")
    assert 4 == len(json.loads(found.rpartition(b"\r\n\r\n")[2])["entry"])


def too_much(kind: bytes) -> bytes:
    """The head of a push of 8 MiB, which is past the limit, by its length or in chunks."""
    head = b"POST /t/plan/ HTTP/1.1\r\nHost: x\r\nX-Purpose-Of-Use: HPAYMT\r\nContent-Type: application/fhir+json\r\n"
    return head + (b"Content-Length: 8388608\r\n" if kind == b"told" else b"Transfer-Encoding: chunked\r\n")


@pytest.mark.parametrize("kind", [b"told", b"chunked"])
async def test_a_client_that_sends_too_much_reads_why(scene, door, kind):
    """Who sends the whole of a body before it reads gets the 413 to the last byte, not a reset; the connection ends."""
    said = b"Authorization: Bearer " + scene.gate.token(HOSPITAL).encode() + b"\r\n\r\n"
    part = MARK.encode() * 10_000
    part = part if kind == b"told" else b"%x\r\n%b\r\n" % (len(part), part)
    found = await answered(door, too_much(kind) + said, *[part, 0.0] * 139)
    head, _, body = found.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert "too-costly" == json.loads(body)["issue"][0]["code"]
    assert [] == scene.stub.seen


async def test_who_never_stops_sending_is_not_listened_to_for_ever(scene, door):
    """After the idle time the connection is over, though more of the body comes by the drop."""
    said = b"Authorization: Bearer " + scene.gate.token(HOSPITAL).encode() + b"\r\n\r\n"
    began = time.perf_counter()
    _, writer = await asyncio.open_connection("127.0.0.1", door)
    writer.write(too_much(b"told") + said)
    with contextlib.suppress(ConnectionError):
        while time.perf_counter() - began < 20:
            await asyncio.sleep(0.05)
            writer.write(b" ")
            await writer.drain()
    writer.close()
    assert 10 > time.perf_counter() - began
