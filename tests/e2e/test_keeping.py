"""What is kept, from outside: consents that change, a ledger that cannot write, what is in the logs."""

import asyncio
import io
import json
import logging
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from consent_store.store import Failed, Revision, StoreUnavailable
from gateway.ledger.model import LedgerUnavailable
from gateway.ledger.sqlite import SqliteLedger
from gateway.proxy import sending
from gateway.proxy.telemetry import log_to
from tests.e2e.world import PLAN, embedded, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

HIDDEN = "Condition/rosa-opioid-dependence"
PLAIN = "Condition/rosa-hypertension"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def built(tmp_path_factory):
    """A gateway before the story's records."""
    async with embedded() as (_, base), world(tmp_path_factory.mktemp("keeping"), base) as one:
        yield one


@pytest.fixture
def gate(built):
    """The gateway, with its own services again when the test is over."""
    own = built.services
    yield built
    built.plane._services = own


class Instead:
    """A service with something about it changed."""

    def __init__(self, inner) -> None:
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)


# Consents ------------------------------------------------------------------------------------------------------------
async def test_L083_a_revocation_holds_from_the_next_request_on(gate):
    """Signed, it is there; revoked, it is not: on the same connection, no waiting, time after time (law 9, L083)."""
    assert 404 == (await gate.ask(HIDDEN)).status
    for _ in range(5):
        consent = await gate.consent("rosa-part2.json")
        assert 200 == (await gate.ask(HIDDEN)).status
        await gate.revoke(consent)
        assert 404 == (await gate.ask(HIDDEN)).status


async def test_L030_a_page_is_decided_by_the_consents_of_its_own_moment(gate):
    """What a consent opened on the first page is closed on the second when it ended in between (L030)."""
    consent = await gate.consent("rosa-part2.json")
    encounters = [await gate.ask("Encounter?patient=rosa&_count=3")]
    await gate.revoke(consent)
    while encounters[-1].next:
        encounters.append(await gate.ask(encounters[-1].next))
    assert [] == [id_ for page in encounters[1:] for id_ in page.ids if "harbor" in id_]
    assert 1 < len(encounters)


class Moving(Instead):
    """A consent store whose revisions move between look-up and check, `times` times."""

    times = 0

    async def revisions(self, subjects):
        if self.times:
            self.times -= 1
            return {subject: Revision("moved") for subject in subjects}
        return await self.inner.revisions(subjects)


async def test_L094_what_changes_before_the_first_byte_is_decided_again(gate):
    """Twice changed, the third answer is sent; the two before are void, and nothing of them left (law 9)."""
    store = Moving(gate.services.consents)
    gate.serve_with(consents=store)
    store.times = 2
    answer = await gate.ask(PLAIN)
    assert 200 == answer.status
    story = await gate.explain(answer)
    assert ["void", "void", "sent"] == [attempt["completion"]["outcome"] for attempt in story["attempts"]]


async def test_what_keeps_changing_is_given_up(gate):
    """After three times the answer is 503, and every attempt is void."""
    store = Moving(gate.services.consents)
    gate.serve_with(consents=store)
    store.times = 3
    answer = await gate.ask(PLAIN)
    assert 503 == answer.status
    story = await gate.explain(answer)
    assert ["void"] * 3 == [attempt["completion"]["outcome"] for attempt in story["attempts"]]


class Unreachable(Instead):
    async def snapshot(self, subjects):
        raise StoreUnavailable


class OneFails(Instead):
    async def snapshot(self, subjects):
        return {subject: Failed("damaged") for subject in subjects}


class LaterUnreachable(Instead):
    async def revisions(self, subjects):
        raise StoreUnavailable


@pytest.mark.parametrize("store", [Unreachable, OneFails, LaterUnreachable])
async def test_without_the_consents_nothing_is_disclosed(gate, store):
    """A store out of reach, one subject that fails, a check that fails: 503, the same for every record (L088)."""
    gate.serve_with(consents=store(gate.services.consents))
    answers = [await gate.ask(path) for path in (PLAIN, HIDDEN, "Condition?patient=rosa")]
    assert {503} == {answer.status for answer in answers}
    assert 1 == len({answer.body for answer in answers})


# The ledger ----------------------------------------------------------------------------------------------------------
class Full(Instead):
    async def intent(self, intent, story):
        raise LedgerUnavailable


async def test_what_cannot_be_recorded_is_not_disclosed(gate):
    """A ledger that cannot be written: 503, whatever was asked (law 8)."""
    gate.serve_with(ledger=Full(gate.services.ledger))
    answers = [await gate.ask(path) for path in (PLAIN, HIDDEN, "Condition?patient=rosa", "Patient/nobody")]
    assert {503} == {answer.status for answer in answers}
    assert 1 == len({answer.body for answer in answers})


async def test_a_request_s_story_is_kept(gate):
    """Who asked for what, what left, what was withheld and by which rule: for a privacy officer, by the request id."""
    shown, hidden = await gate.ask("Condition?patient=rosa"), await gate.ask(HIDDEN)
    (attempt,) = (await gate.explain(shown))["attempts"]
    assert ("mercy", "sunrise", "HPAYMT") == (
        attempt["intent"]["discloser"],
        attempt["intent"]["recipient"],
        attempt["intent"]["purpose"]["code"],
    )
    assert "Condition/rosa-opioid-dependence" in attempt["story"]["withheld"]
    assert ("sent", 200, len(shown.body)) == (
        attempt["completion"]["outcome"],
        attempt["completion"]["status"],
        attempt["completion"]["body_bytes"],
    )
    (attempt,) = (await gate.explain(hidden))["attempts"]
    assert [HIDDEN] == attempt["story"]["withheld"]
    assert {} == attempt["intent"]["account"]["released"]


class Stalled(Instead):
    """A consent store whose check before sending never comes back: the moment between intent and first byte."""

    def __init__(self, inner) -> None:
        super().__init__(inner)
        self.reached, self.over = asyncio.Event(), asyncio.Event()

    async def revisions(self, subjects):
        self.reached.set()
        await self.over.wait()
        raise StoreUnavailable


async def test_the_intent_is_on_disk_before_the_first_byte(gate, tmp_path):
    """Killed between the two, the client has nothing, and recovery finds the intent and calls it unknown (law 8)."""
    store, ledger = Stalled(gate.services.consents), await SqliteLedger.open(tmp_path / "other.sqlite")
    gate.serve_with(consents=store, ledger=ledger)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gate.data.rpartition(":")[2]))
    token = gate.token(PLAN).encode()
    head = b"GET /t/hospital/%b HTTP/1.1\r\nHost: x\r\nX-Purpose-Of-Use: HPAYMT\r\nAuthorization: Bearer %b\r\n\r\n"
    writer.write(head % (PLAIN.encode(), token))
    await asyncio.wait_for(store.reached.wait(), 5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.1)
    await ledger.close()  # the process is gone: its intents may be recovered
    left = await SqliteLedger.open(tmp_path / "other.sqlite")
    assert 1 == await left.recover(datetime.now(UTC))
    (attempt,) = await left.attempts(0, 10)
    assert ("unknown", "Condition/rosa-hypertension") == (
        attempt.completion.outcome,
        attempt.intent.account.disclosed[0].resources[0],
    )
    await left.close()
    writer.close()
    store.over.set()


async def test_a_check_that_does_not_end_holds_up_no_consent(gate, monkeypatch):
    """A store that never answers the last check is out of reach after a while, and consents can be written again."""
    monkeypatch.setattr(sending, "CHECK_S", 0.3)
    store = Stalled(gate.services.consents)
    gate.serve_with(consents=store)
    asking = asyncio.create_task(gate.ask(PLAIN))
    await asyncio.wait_for(store.reached.wait(), 5)
    consent = await asyncio.wait_for(gate.consent("rosa-part2.json"), 5)
    assert 503 == (await asking).status
    await gate.revoke(consent)


async def test_an_answer_that_broke_off_is_told_as_such(gate):
    """A client that leaves before its answer began is recorded as one that got nothing."""
    store, slow = gate.services.consents, asyncio.Event()
    before = len(await gate.services.ledger.attempts(0, 1000))

    class Slow(Instead):
        async def revisions(self, subjects):
            await slow.wait()
            return await self.inner.revisions(subjects)

    gate.serve_with(consents=Slow(store))
    _, writer = await asyncio.open_connection("127.0.0.1", int(gate.data.rpartition(":")[2]))
    head = b"GET /t/hospital/%b HTTP/1.1\r\nHost: x\r\nX-Purpose-Of-Use: HPAYMT\r\nAuthorization: Bearer %b\r\n\r\n"
    writer.write(head % (PLAIN.encode(), gate.token(PLAN).encode()))
    await asyncio.sleep(0.5)
    writer.close()
    await asyncio.sleep(0.1)
    slow.set()
    for _ in range(50):
        await asyncio.sleep(0.02)
        found = (await gate.services.ledger.attempts(0, 1000))[before:]
        if found:
            break
    assert [("void", "client gone")] == [(one.completion.outcome.value, one.completion.detail) for one in found]


# Logs ----------------------------------------------------------------------------------------------------------------
async def test_L072_no_log_tells_of_a_patient(gate, monkeypatch):
    """With everything turned on, no id, query value or text of a record is in any line (L072)."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    log_to(logging.StreamHandler(stream), "DEBUG")
    try:
        root.setLevel(logging.DEBUG)
        for name in ("aiohttp", "aiosqlite", "asyncio", "uvicorn.error"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        for path in ("Patient/rosa", HIDDEN, "Condition?patient=rosa&code=F11.20", "Nonsense/sentinel", "Patient/s%20"):
            await gate.ask(path)
        consent = await gate.consent("rosa-part2.json")
        await gate.revoke(consent)
        gate.serve_with(ledger=None)  # whatever nobody foresaw
        unforeseen = await gate.ask(PLAIN)
    finally:
        root.handlers = handlers
        root.setLevel(level)
        logging.getLogger("gateway").setLevel(logging.NOTSET)
    assert 500 == unforeseen.status
    assert b"internal error" in unforeseen.body
    lines = stream.getvalue()
    assert 6 <= sum('"request"' in line for line in lines.splitlines())
    assert "unforeseen AttributeError" in lines
    for word in ("rosa", "F11", "sentinel", "hypertension", "NoneType"):
        assert word not in lines, word
    assert all(json.loads(line) for line in lines.splitlines())
