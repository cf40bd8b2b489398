"""What every ledger driver keeps: durable before it returns, append-only, chained, recoverable, several writers."""

import asyncio
import contextlib
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from consent_store.model import ACT_REASON, Coding, PatientKey
from gateway.decision.model import Decision, Verdict
from gateway.errors import Unavailable
from gateway.ledger.account import account_of
from gateway.ledger.model import (
    AlreadyCompleted,
    Completion,
    Intent,
    Ledger,
    LedgerUnavailable,
    Outcome,
    Story,
    new_request_id,
    record,
)
from gateway.ledger.sqlite import SqliteLedger
from tests.intents import an_intent

AT = datetime(2025, 3, 1, 12, tzinfo=UTC)
SENT = Completion(at=AT, outcome=Outcome.SENT, status=200, body_bytes=17)


def intent(request_id: str | None = None) -> Intent:
    """An intent to disclose one observation of Rosa's."""
    account, _ = account_of([Decision(at="", resource="Observation/1", subjects=(ROSA,), verdict=Verdict.DISCLOSED)])
    named = {"request_id": request_id} if request_id else {}
    claimed, purpose = (Coding(ACT_REASON, "TREAT"),), Coding(ACT_REASON, "COC")
    return an_intent(claimed=claimed, purpose=purpose, consent_revisions={"ny/h|rosa": "7"}, account=account, **named)


ROSA = PatientKey("ny/h", "rosa")
STORY = Story(
    decisions=(Decision(at="", resource="Condition/9", subjects=(ROSA,), verdict=Verdict.WITHHELD),),
    withheld=("Condition/9",),
    nonce="n",
)

Open = Callable[[], Awaitable[Ledger]]


@pytest.fixture
def path(tmp_path) -> Path:
    """Where the ledger of a test lies."""
    return tmp_path / "ledger.db"


@pytest.fixture(params=["sqlite"])
async def again(request, path) -> AsyncIterator[Open]:
    """Opens the same ledger, as another worker would; every one opened is closed at the end."""
    opened: list[Ledger] = []

    async def open_one() -> Ledger:
        opened.append(await SqliteLedger.open(path))
        return opened[-1]

    yield open_one
    for one in opened:
        with contextlib.suppress(LedgerUnavailable):  # the test closed it
            await one.close()


@pytest.fixture
async def ledger(again) -> Ledger:
    """An open ledger."""
    return await again()


async def test_the_whole_story_is_told_by_request_id(ledger):
    """What was written of a request comes back whole: intent, restricted story, completion."""
    told = intent()
    sequence = await ledger.intent(told, STORY)
    await ledger.complete(sequence, SENT)
    (attempt,) = await ledger.explain(told.request_id)
    assert (told, STORY, SENT) == (attempt.intent, attempt.story, attempt.completion)
    assert () == await ledger.explain(new_request_id())


async def test_a_request_may_have_several_attempts(ledger):
    """Voided and decided again: both attempts are told, in order (law 9)."""
    request_id = new_request_id()
    first = await ledger.intent(intent(request_id), STORY)
    await ledger.complete(first, Completion(at=AT, outcome=Outcome.VOID, detail="consents changed"))
    second = await ledger.intent(intent(request_id), STORY)
    assert [Outcome.VOID, None] == [a.completion and a.completion.outcome for a in await ledger.explain(request_id)]
    await ledger.complete(second, SENT)
    assert [Outcome.VOID, Outcome.SENT] == [a.completion.outcome for a in await ledger.explain(request_id)]


async def test_an_intent_is_durable_before_it_returns(ledger, path):
    """When `intent` returns, another process finds it on disk (law 8)."""
    told = intent()
    await ledger.intent(told, STORY)
    with sqlite3.connect(path) as other:
        assert (told.request_id,) == other.execute("SELECT request_id FROM records").fetchone()
    other.close()


async def test_record_makes_what_may_be_sent(ledger):
    """A released answer becomes Recorded only by a durable intent."""
    told = intent()
    recorded = await record(ledger, told, STORY, "released")
    assert ("released", told.request_id) == (recorded.released, recorded.request_id)
    assert recorded.sequence == (await ledger.explain(told.request_id))[0].sequence


async def test_an_intent_is_completed_once(ledger):
    """The first completion stands; a second, or one of an intent that never was, is refused and adds nothing."""
    sequence = await ledger.intent(intent(), STORY)
    await ledger.complete(sequence, SENT)
    for again in (sequence, sequence + 50):
        with pytest.raises(AlreadyCompleted):
            await ledger.complete(again, Completion(at=AT, outcome=Outcome.ABORTED))
    assert 2 == (await ledger.verify()).records


async def test_completed_attempts_are_read_in_order_for_projection(ledger):
    """The projection reads on from where it was, misses none, and sees no stories and no open intents."""
    first, second, _open = [await ledger.intent(intent(), STORY) for _ in range(3)]
    await ledger.complete(second, SENT)
    await ledger.complete(first, SENT)
    (one,) = await ledger.attempts(0, 1)
    (two,) = await ledger.attempts(one.completed, 10)
    assert [second, first] == [one.sequence, two.sequence]
    assert Story() == one.story
    assert () == await ledger.attempts(two.completed, 10)


async def test_recovery_completes_what_a_dead_writer_left_open(again):
    """At start-up an intent whose writer is gone becomes `unknown`, once; completed ones are left alone."""
    before = await again()
    done, left = [intent(), intent()]
    await before.complete(await before.intent(done, STORY), SENT)
    await before.intent(left, STORY)
    await before.close()
    after = await again()
    assert 1 == await after.recover(AT)
    assert 0 == await after.recover(AT)
    assert Outcome.UNKNOWN == (await after.explain(left.request_id))[0].completion.outcome
    assert Outcome.SENT == (await after.explain(done.request_id))[0].completion.outcome
    assert (await after.verify()).broken is None


async def test_recovery_leaves_living_writers_alone(again):
    """A worker that starts while another is sending does not speak for it, nor for itself."""
    sending, starting = await again(), await again()
    sequence = await sending.intent(intent(), STORY)
    own = await starting.intent(intent(), STORY)
    assert 0 == await starting.recover(AT)
    await sending.complete(sequence, SENT)
    await starting.complete(own, SENT)


async def test_recovery_after_a_crash(again, path, repository):
    """A process killed between intent and completion leaves an intent that recovery finds."""
    crash = (
        "import asyncio, os, sys, pathlib; sys.path.insert(0, '.'); sys.path.insert(0, 'tests/contract')\n"
        "from test_ledger import SqliteLedger, intent, STORY\n"
        "async def main():\n"
        "    ledger = await SqliteLedger.open(pathlib.Path(sys.argv[1]))\n"
        "    await ledger.intent(intent('c' * 32), STORY)\n"
        "    os._exit(9)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", crash, str(path), cwd=repository)
    assert 9 == await process.wait()
    ledger = await again()
    assert 1 == await ledger.recover(AT)
    assert Outcome.UNKNOWN == (await ledger.explain("c" * 32))[0].completion.outcome


async def test_several_writers_share_one_chain(again):
    """Intents and completions of several workers at once make one unbroken chain without gaps."""
    ledgers = [await again() for _ in range(3)]

    async def exchange(ledger: Ledger) -> None:
        await ledger.complete(await ledger.intent(intent(), STORY), SENT)

    await asyncio.gather(*(exchange(ledger) for ledger in ledgers for _ in range(40)))
    found = await ledgers[0].verify()
    assert (240, None) == (found.records, found.broken)


def tamper(path: Path, *statements: str) -> None:
    """Change the file behind the ledger's back, its triggers taken off."""
    with sqlite3.connect(path) as file:
        for trigger in ("records_stay", "records_hold", "stories_stay", "stories_hold"):
            file.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            assert file.execute(statement).rowcount == 1
    file.close()


@pytest.mark.parametrize(
    ("statements", "broken"),
    [
        (["UPDATE records SET body = CAST(replace(body, 'plan', 'flan') AS BLOB) WHERE sequence = 3"], 3),
        (["UPDATE records SET request_id = 'x' WHERE sequence = 2"], 2),
        (["UPDATE records SET hash = x'00' WHERE sequence = 4"], 4),
        (["DELETE FROM records WHERE sequence = 2"], 3),
        (["DELETE FROM records WHERE sequence = 6"], None),
        (["DELETE FROM records WHERE sequence = 5", "DELETE FROM records WHERE sequence = 6"], 5),
        (["UPDATE restricted SET story = x'7B7D' WHERE sequence = 5"], 5),
        (["DELETE FROM restricted WHERE sequence = 1"], 1),
    ],
)
async def test_what_was_changed_later_shows(ledger, path, statements, broken):
    """A changed, removed or renamed record, or story, is found where it stands; a lost tail, against a kept head."""
    for _ in range(3):
        await ledger.complete(await ledger.intent(intent(), STORY), SENT)
    before = await ledger.verify()
    assert (6, None) == (before.records, before.broken)
    tamper(path, *statements)
    after = await ledger.verify()
    assert broken == after.broken
    assert before.head != after.head


async def test_the_file_refuses_change_and_removal(ledger, path):
    """Even with the file in hand, nothing is changed or removed without taking the triggers off first."""
    await ledger.complete(await ledger.intent(intent(), STORY), SENT)
    file = sqlite3.connect(path)
    for statement in ("DELETE FROM records", "UPDATE records SET body = x''", "DELETE FROM restricted"):
        with pytest.raises(sqlite3.IntegrityError, match="append only"):
            file.execute(statement)
    file.close()


async def test_the_file_is_its_owners_alone(ledger, path):
    """The ledger tells who is whose patient: no other user of the machine may read it."""
    assert 0 == stat.S_IMODE(path.stat().st_mode) & 0o077


async def test_withheld_ids_stand_apart(ledger, path):
    """What was withheld is in the restricted table and nowhere else."""
    await ledger.intent(intent(), STORY)
    with sqlite3.connect(path) as file:
        (body,) = file.execute("SELECT body FROM records").fetchone()
        (story,) = file.execute("SELECT story FROM restricted").fetchone()
    file.close()
    assert b"Condition/9" not in body
    assert b"Condition/9" in story


async def test_a_ledger_out_of_reach_is_503(ledger, path, tmp_path):
    """Without a durable intent there is no Recorded: the failure is Unavailable, and the ledger works on afterwards."""
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("DROP TABLE open_intents")
    with pytest.raises(Unavailable):
        await record(ledger, intent(), STORY, "released")
    blocker.execute("CREATE TABLE open_intents (sequence INTEGER PRIMARY KEY, writer TEXT NOT NULL) STRICT")
    blocker.close()
    assert 1 == (await record(ledger, intent(), STORY, "released")).sequence
    await ledger.close()
    with pytest.raises(LedgerUnavailable):
        await ledger.intent(intent(), STORY)
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(LedgerUnavailable):
        await SqliteLedger.open(tmp_path / "file" / "ledger.db")


async def test_a_file_of_another_kind_is_refused(tmp_path):
    """A file that is no ledger, or one of another format, is not written to."""
    other = tmp_path / "other.db"
    other.write_bytes(b"not a database" * 100)
    with pytest.raises(LedgerUnavailable):
        await SqliteLedger.open(other)


@pytest.mark.parametrize(("turns", "outcomes"), [(1, set()), (3, {Outcome.VOID})])
async def test_a_cancelled_caller_leaves_nothing_open(again, turns, outcomes):
    """Whoever goes away while its intent is written has it voided: nothing was sent, and nothing stays open."""
    ledger = await again()
    told = [intent() for _ in range(20)]
    tasks = [asyncio.create_task(ledger.intent(one, STORY)) for one in told]
    for _ in range(turns):  # one turn: nothing is written yet; three: it is being written
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await ledger.close()
    after = await again()
    assert 0 == await after.recover(AT)
    assert outcomes == {a.completion.outcome for one in told for a in await after.explain(one.request_id)}


async def test_waiting_appends_are_committed_together(ledger, monkeypatch):
    """A hundred intents at once cost a few transactions, not a hundred."""
    batches = []
    commit = ledger._commit
    monkeypatch.setattr(ledger, "_commit", lambda entries: batches.append(len(entries)) or commit(entries))
    await asyncio.gather(*(ledger.intent(intent(), STORY) for _ in range(100)))
    assert 100 == sum(batches)
    assert len(batches) <= 3


async def test_a_token_is_spent_once_whoever_asks_and_after_a_restart(again):
    """Of two that come at once one is first; another worker, and the next process, know it too."""
    one, other = await again(), await again()
    assert [False, True] == sorted(await asyncio.gather(one.spend("a"), other.spend("a")))
    assert await one.spend("b")
    await one.close()
    later = await again()
    assert [False, False, True] == [await later.spend(token) for token in ("a", "b", "c")]


async def test_alerts_are_found_in_order_and_alone(ledger):
    """Intents with alerts, open or completed, after a place; those without are not among them, nor is any story."""
    for alerts in ((), ("emergency",), (), ("label-raise", "several-purposes")):
        sequence = await ledger.intent(msgspec.structs.replace(intent(), alerts=alerts), STORY)
        if alerts != ("emergency",):
            await ledger.complete(sequence, SENT)
    found = await ledger.alerts(0, 10)
    assert [("emergency",), ("label-raise", "several-purposes")] == [one.intent.alerts for one in found]
    assert [None, SENT] == [one.completion for one in found]
    assert [Story(), Story()] == [one.story for one in found]
    assert [("label-raise", "several-purposes")] == [
        one.intent.alerts for one in await ledger.alerts(found[0].sequence, 10)
    ]
    assert 1 == len(await ledger.alerts(0, 1))
