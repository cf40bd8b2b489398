"""The upstream client: what it sends, and every answer it does not believe."""

import gzip

import pytest

from gateway.errors import UpstreamFault
from gateway.ledger.model import Recorded
from gateway.proxy.upstream import Openness, Refused, Upstream, basic, new_session
from gateway.release.released import Released
from tests.intents import recorded
from tests.stub_upstream import answer, stub_upstream

PATIENT = {"resourceType": "Patient", "id": "p1"}


@pytest.fixture
async def session():
    """The pooled session."""
    made = new_session(10, 1.0, 2.0)
    yield made
    await made.close()


def client(session, stub, **more):
    """A client of the stub."""
    return Upstream(session, stub.base, **({"most": 10_000} | more))


async def test_a_read_sends_our_headers_and_no_other(session):
    """The header set upstream is the allow-list exactly, with our own credentials (leaks.md L065)."""
    async with stub_upstream(lambda seen: answer(PATIENT)) as stub:
        held = await client(session, stub, authorization=basic("gate", "secret")).read("Patient", "p1")
        (seen,) = stub.seen
    assert b'{"resourceType": "Patient", "id": "p1"}' == held.body
    assert ("GET", "/fhir/Patient/p1") == (seen.method, seen.target)
    expected = {"host", "accept", "accept-encoding", "cache-control", "prefer", "authorization"}
    assert expected == set(seen.headers)
    assert "identity" == seen.headers["accept-encoding"]
    assert "application/fhir+json" == seen.headers["accept"]
    assert "no-cache" == seen.headers["cache-control"]  # with no-store HAPI leaves out every page but the first


async def test_a_search_is_written_with_every_sign_encoded(session):
    """Values reach the upstream as they are, whatever signs are in them."""
    async with stub_upstream(lambda seen: answer({"resourceType": "Bundle"})) as stub:
        await client(session, stub).search("Observation", [("code", "http://x|1,2"), ("patient", "a&b=c#d")])
    assert "/fhir/Observation?code=http%3A%2F%2Fx%7C1%2C2&patient=a%26b%3Dc%23d" == stub.seen[0].target


@pytest.mark.parametrize("status", [404, 410])
async def test_absent_is_absent(session, status):
    """404 and 410 mean the same (L069)."""
    async with stub_upstream(lambda seen: answer(b"sentinel", status)) as stub:
        assert None is await client(session, stub).read("Patient", "p1")


MISBEHAVIOUR = {
    "an error": answer(b"{}", 500),
    "a refusal": answer(b"{}", 401),
    "busy": answer(b"{}", 503),
    "a redirect": answer(b"{}", 302, Location="http://127.0.0.1:1/sink"),
    "no content": answer(b"", 204),
    "xml": answer(b"<Patient/>", content_type="application/fhir+xml"),
    "html": answer(b"<html>", content_type="text/html"),
    "no type": answer(b"{}", content_type=None),
    "utf-16": answer(b"{}", content_type="application/fhir+json; charset=utf-16"),
    "gzip": answer(gzip.compress(b"{}"), Content_Encoding="gzip"),
    "brotli": answer(b"{}", Content_Encoding="br"),
    "cut off": answer(b'{"resourceType"', length=4000, Connection="close"),
    "too long": answer(b"x" * 10_001),
    "said to be too long": answer(b"{}", length=20_000),
    "not http": b"nonsense\r\n\r\n",
    "hung up": None,
}


@pytest.mark.parametrize("case", MISBEHAVIOUR)
async def test_every_other_answer_is_one_fault(session, case):
    """Whatever the server does wrong, the error is the same and holds nothing of it (L027, L057, L058, L070)."""
    async with stub_upstream(lambda seen: MISBEHAVIOUR[case]) as stub:
        with pytest.raises(UpstreamFault) as fault:
            await client(session, stub).read("Patient", "p1")
    assert UpstreamFault().message == fault.value.message


async def test_chunked_bodies_are_counted_too(session):
    """A body without a length is read up to the limit and no further."""
    body = b"".join(b"400\r\n" + b"x" * 1024 + b"\r\n" for _ in range(20)) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 X\r\nContent-Type: application/fhir+json\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with stub_upstream(lambda seen: head + body) as stub:
        with pytest.raises(UpstreamFault):
            await client(session, stub).read("Patient", "p1")
        assert 20 * 1024 == len((await client(session, stub, most=30_000).read("Patient", "p1")).body)


async def test_an_answer_that_does_not_come_is_a_fault():
    """The time limit ends the wait."""
    session = new_session(10, 0.2, 0.2)
    async with stub_upstream(lambda seen: answer(PATIENT)) as stub:
        stub.delay = 5
        with pytest.raises(UpstreamFault):
            await client(session, stub).read("Patient", "p1")
    await session.close()


async def test_a_server_that_is_not_there_is_a_fault(session):
    """A refused connection is the same fault as any other."""
    with pytest.raises(UpstreamFault):
        await Upstream(session, "http://127.0.0.1:1/fhir", most=10).read("Patient", "p1")


@pytest.mark.parametrize(
    ("status", "openness"),
    [(200, Openness.OPEN), (401, Openness.CLOSED), (403, Openness.CLOSED), (500, Openness.UNKNOWN)],
)
async def test_openness_is_asked_without_credentials(session, status, openness):
    """The probe shows no credentials, and tells open from closed (L074)."""
    async with stub_upstream(lambda seen: answer(b"{}", status)) as stub:
        assert openness == await client(session, stub, authorization="Basic x").openness()
    assert "authorization" not in stub.seen[0].headers


async def test_openness_of_a_server_that_is_not_there_is_unknown(session):
    """Nobody answers: nothing is known."""
    assert Openness.UNKNOWN == await Upstream(session, "http://127.0.0.1:1/fhir", most=10).openness()


async def test_a_recorded_body_is_forwarded_as_it_is(session):
    """What was released arrives byte for byte, and nothing of a sender's headers."""
    async with stub_upstream(lambda seen: answer(b"", 201, None, Location="x/Bundle/1")) as stub:
        begun = []
        written = await client(session, stub).forward(await recorded(b'{"a":1.10}'), "/Bundle", lambda: begun.append(1))
    assert [1] == begun
    assert "10" == stub.seen[0].headers["content-length"]
    assert "transfer-encoding" not in stub.seen[0].headers
    assert (201, "x/Bundle/1") == (written.status, written.location)
    assert ("POST", b'{"a":1.10}') == (stub.seen[0].method, stub.seen[0].body)
    assert "application/fhir+json" == stub.seen[0].headers["content-type"]


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, Refused), (412, Refused), (422, Refused), (401, UpstreamFault), (500, UpstreamFault), (302, UpstreamFault)],
)
async def test_a_write_that_was_not_done_is_told_apart(session, status, error):
    """A server that refuses what was sent is not a server that fails; neither is quoted."""
    async with stub_upstream(lambda seen: answer(b"sentinel", status)) as stub:
        with pytest.raises(error):
            await client(session, stub).forward(await recorded(b"{}"), "", lambda: None)


def test_nobody_else_makes_a_recorded():
    """A body that no ledger wrote down cannot be forwarded (law 6)."""
    with pytest.raises(TypeError):
        Recorded(object(), Released(200, {}, b"{}"), 1, "x")
