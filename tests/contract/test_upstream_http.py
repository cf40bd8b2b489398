"""Consents read from a FHIR server through real HTTP: what a request carries, and what goes wrong on the way."""

import pytest

from consent_store.fetching import AiohttpFetch, FetchFailed
from consent_store.store import Failed
from gateway.proxy.upstream import new_session
from tests.contract.upstream_consents import GOOD, look_up, subject
from tests.fhir_consents import BASE, store_of
from tests.stub_upstream import answer as http_answer
from tests.stub_upstream import stub_upstream


@pytest.fixture
async def session():
    """The session that the gateway makes."""
    async with new_session(4, 0.5, 1.0) as made:
        yield made


async def test_a_request_carries_what_it_must_and_no_more(session):
    """Our credentials, no cache, strict handling, no encoding; the URL to the letter."""
    async with stub_upstream(lambda seen: http_answer(GOOD, Set_Cookie="a=b")) as stub:
        fetch = AiohttpFetch(session, authorization="Bearer t")
        for _ in range(2):
            given = await fetch(f"{stub.base}/Consent?patient=Patient/1&x=%2F%20")
        assert (200, GOOD, "application/fhir+json") == (given.status, given.body, given.headers["content-type"])
        assert {"/fhir/Consent?patient=Patient/1&x=%2F%20"} == {seen.target for seen in stub.seen}
        headers = stub.seen[-1].headers
        assert {
            "accept": "application/fhir+json",
            "accept-encoding": "identity",
            "authorization": "Bearer t",
            "cache-control": "no-cache",
            "prefer": "handling=strict",
        } == {name: value for name, value in headers.items() if name != "host"}


SCRIPTS = {
    "closes": lambda seen: None,
    "cut off": lambda seen: http_answer(GOOD, length=len(GOOD) + 10, Connection="close"),
    "too short a length": lambda seen: http_answer(GOOD, length=len(GOOD) - 10, Connection="close"),
    "chunk cut off": lambda seen: (
        b"HTTP/1.1 200 X\r\nContent-Type: application/fhir+json\r\nTransfer-Encoding: chunked\r\n"
        b"Connection: close\r\n\r\nfff\r\n{"
    ),
    "no http": lambda seen: b"hello\r\n\r\n",
    "redirect": lambda seen: http_answer(b"", 302, Location="/fhir/elsewhere"),
    "gzip": lambda seen: http_answer(GOOD, Content_Encoding="gzip"),
    "two types": lambda seen: http_answer(GOOD, Connection="close").replace(
        b"\r\n\r\n", b"\r\nContent-Type: text/html\r\n\r\n", 1
    ),
    "500": lambda seen: http_answer(b"stack trace of the patient", 500, "text/plain"),
}


@pytest.mark.parametrize("how", SCRIPTS)
async def test_what_goes_wrong_on_the_way_fails(session, how):
    """Through real HTTP: each ends in Failed, and a redirect is not followed."""
    async with stub_upstream(SCRIPTS[how]) as stub:
        fetch = AiohttpFetch(session)
        store = store_of(lambda url: fetch(url.replace(BASE, stub.base)))
        assert isinstance((await store.snapshot([subject("1")]))[subject("1")], Failed)
        assert {"/fhir/Consent"} == {seen.target.partition("?")[0] for seen in stub.seen}


async def test_a_whole_answer_over_http_is_found(session):
    """The positive control of the tests above."""
    async with stub_upstream(lambda seen: http_answer(GOOD)) as stub:
        fetch = AiohttpFetch(session)
        store = store_of(lambda url: fetch(url.replace(BASE, stub.base)))
        assert ["c1"] == [one.id for one in (await look_up(store, subject("1"))).consents]


async def test_nobody_there_nobody_answering_and_too_much_are_failures(session):
    """A refused connection, an answer that does not come, a body over the limit."""
    with pytest.raises(FetchFailed):
        await AiohttpFetch(session)("http://127.0.0.1:1/fhir/Consent")
    async with stub_upstream(lambda seen: http_answer(GOOD)) as stub:
        with pytest.raises(FetchFailed, match="TooLarge"):
            await AiohttpFetch(session, most=10)(f"{stub.base}/Consent")
        stub.delay = 5
        with pytest.raises(FetchFailed, match="Timeout"):
            await AiohttpFetch(session, answer_s=0.1)(f"{stub.base}/Consent")
