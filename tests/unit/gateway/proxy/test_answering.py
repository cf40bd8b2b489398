"""The one writer: the same headers on every answer, and what became of it."""

import asyncio

import pytest

from gateway.proxy.answering import Gone, Writer
from gateway.proxy.outcomes import NOT_VISIBLE, Own
from tests.intents import recorded


class Client:
    """A client's connection. `leaves_after` is how many messages it takes before it leaves."""

    def __init__(self, leaves_after: int = 99, stalls: bool = False) -> None:
        self.sent: list[dict] = []
        self.left = asyncio.Event()
        self.leaves_after, self.stalls = leaves_after, stalls
        if leaves_after == 0:
            self.left.set()

    async def receive(self):
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if self.stalls:
            await asyncio.Event().wait()
        self.sent.append(message)
        if len(self.sent) >= self.leaves_after:
            self.left.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    @property
    def headers(self):
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self):
        return b"".join(message["body"] for message in self.sent[1:])


def writer(client, idle=1.0):
    """A writer to a client."""
    return Writer(client.receive, client.send, "0123456789abcdef" * 2, idle)


CONSTANT = {
    "cache-control": "private, no-store",
    "vary": "Authorization, Accept, X-Purpose-Of-Use",
    "x-content-type-options": "nosniff",
    "x-request-id": "0123456789abcdef0123456789abcdef",
    "content-type": "application/fhir+json; charset=utf-8",
}


async def test_every_answer_carries_the_same_headers():
    """An own answer and a recorded one differ in body and length alone (L071)."""
    refused, found = Client(), Client()
    await writer(refused).own(NOT_VISIBLE)
    answer, body = writer(found), await recorded(b"{}")
    await answer.begin(body)
    await answer.finish(body)
    answer.close()
    assert CONSTANT | {"content-length": str(len(NOT_VISIBLE.body))} == refused.headers
    assert CONSTANT | {"content-length": "2"} == found.headers
    assert b"{}" == found.body
    assert (200, 2, True) == (answer.status, answer.written, answer.began)


async def test_an_answer_without_content_has_no_length():
    """204 carries neither body nor length (RFC 9110 section 8.6)."""
    client = Client()
    await writer(client).own(Own(204, b"", {"Allow": "GET"}))
    assert "content-length" not in client.headers
    assert ("GET", b"") == (client.headers["allow"], client.body)


async def test_a_client_that_left_before_gets_nothing():
    """Nothing of a recorded answer leaves for a client that is gone, and the writer says so."""
    client = Client(leaves_after=0)
    answer = writer(client)
    with pytest.raises(Gone):
        await answer.begin(await recorded(b"{}"))
    assert ([], False) == (client.sent, answer.began)


async def test_an_answer_that_broke_off_is_told():
    """A client that leaves in the middle gets no further part, and what was written is counted."""
    client = Client(leaves_after=2)
    answer, body = writer(client), await recorded(b"x" * 200_000)
    await answer.begin(body)
    with pytest.raises(Gone):
        await answer.finish(body)
    assert answer.began
    assert 200_000 > len(client.body)


async def test_a_client_that_does_not_take_its_answer_is_left():
    """Waiting for a client ends after its time."""
    answer = writer(Client(stalls=True), idle=0.01)
    with pytest.raises(Gone):
        await answer.begin(await recorded(b"{}"))
    await writer(Client(stalls=True), idle=0.01).own(NOT_VISIBLE)
