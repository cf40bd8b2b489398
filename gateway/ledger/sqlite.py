"""The ledger in one SQLite file, for any number of worker processes of one machine.

Rules of this file
1. An append returns after its transaction is on disk (WAL, synchronous=FULL). Appends that wait together are committed
   together: one sync for all of them.
2. Records are only added: triggers refuse change and removal, and the hash chain shows what went around them.
3. Recovery completes only the intents of writers that are gone (`writers`).
4. Any trouble of the file is `LedgerUnavailable`; the cause is for the operator's log and holds no record. A file that
   was moved or replaced is trouble: what goes into it nobody will find again.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from gateway.clock import Clock, now
from gateway.ledger.chain import START, Link, link_hash, story_digest
from gateway.ledger.model import (
    AlreadyCompleted,
    Attempt,
    Completion,
    Intent,
    LedgerUnavailable,
    Outcome,
    Story,
    Verification,
)
from gateway.ledger.writers import Writer

_LOG = logging.getLogger("gateway.ledger")
_BATCH: Final = 256
_WAIT_S: Final = 10.0
_READ_ROWS: Final = 1000
_FORMAT: Final = 1

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS records (
  sequence INTEGER PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('intent', 'completion')),
  request_id TEXT NOT NULL,
  completes INTEGER NOT NULL,
  writer TEXT NOT NULL,
  body BLOB NOT NULL,
  story_digest BLOB NOT NULL,
  hash BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS records_request ON records (request_id);
CREATE UNIQUE INDEX IF NOT EXISTS records_completes ON records (completes) WHERE completes > 0;
CREATE TABLE IF NOT EXISTS restricted (sequence INTEGER PRIMARY KEY, story BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS spent (token TEXT PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS open_intents (sequence INTEGER PRIMARY KEY, writer TEXT NOT NULL) STRICT;
CREATE TRIGGER IF NOT EXISTS records_stay BEFORE DELETE ON records BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER IF NOT EXISTS records_hold BEFORE UPDATE ON records BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER IF NOT EXISTS stories_stay BEFORE DELETE ON restricted BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER IF NOT EXISTS stories_hold BEFORE UPDATE ON restricted BEGIN SELECT RAISE(ABORT, 'append only'); END;
"""

_COLUMNS: Final = "sequence, kind, request_id, completes, writer, body, story_digest"
_ATTEMPT: Final = """
SELECT i.sequence, i.body, s.story, c.body, c.sequence FROM records i
LEFT JOIN restricted s ON s.sequence = i.sequence
LEFT JOIN records c ON c.completes = i.sequence AND c.completes > 0
"""

_ALERTED: Final = b'"alerts":["'  # how an intent's text begins its alerts where it has any

T = TypeVar("T")


class _Entry(msgspec.Struct):
    """One append that waits for its transaction."""

    kind: str
    request_id: str
    body: bytes
    story: bytes = b""
    completes: int = 0


class SqliteLedger:
    """A ledger at `path`. Make it with `await SqliteLedger.open(path)`, one for each worker process, after the fork."""

    def __init__(self, path: Path, clock: Clock = now) -> None:
        self._path, self._clock = path, clock
        self._writer = Writer(path)
        self._write_thread = ThreadPoolExecutor(1, "ledger-write")
        self._read_thread = ThreadPoolExecutor(1, "ledger-read")
        self._waiting: list[tuple[_Entry, asyncio.Future[int]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._writing: sqlite3.Connection
        self._reading: sqlite3.Connection
        self._file = (0, 0)

    @classmethod
    async def open(cls, path: Path, clock: Clock = now) -> "SqliteLedger":
        """Open or create the ledger. Raises LedgerUnavailable."""
        ledger = cls(path, clock)
        try:
            await ledger._run(ledger._write_thread, ledger._open_writing)
            await ledger._run(ledger._read_thread, ledger._open_reading)
        except LedgerUnavailable:
            ledger._write_thread.shutdown(wait=False)
            ledger._read_thread.shutdown(wait=False)
            raise
        return ledger

    async def intent(self, intent: Intent, story: Story) -> int:
        """Append an intent; give its sequence once it is durable."""
        entry = _Entry("intent", intent.request_id, msgspec.json.encode(intent), msgspec.json.encode(story))
        return await self._append(entry)

    async def complete(self, sequence: int, completion: Completion) -> None:
        """Append the completion of an intent. Raises AlreadyCompleted, also for an intent that never was."""
        await self._append(_Entry("completion", "", msgspec.json.encode(completion), completes=sequence))

    async def recover(self, at: datetime) -> int:
        """Complete as `unknown` every open intent whose writer is gone; give how many."""
        left = await self._run(self._write_thread, self._left_open)
        completion = Completion(at=at, outcome=Outcome.UNKNOWN, detail="recovered")
        done = 0
        for sequence in left:
            try:
                await self.complete(sequence, completion)
                done += 1
            except AlreadyCompleted:  # another worker recovers at the same time
                continue
        return done

    async def explain(self, request_id: str) -> tuple[Attempt, ...]:
        """Give every attempt of a request with its story, oldest first."""
        where = "WHERE i.kind = 'intent' AND i.request_id = ? ORDER BY i.sequence"
        return await self._read(_ATTEMPT + where, request_id)

    async def attempts(self, after: int, limit: int) -> tuple[Attempt, ...]:
        """Give completed attempts, without stories, whose completion was appended after sequence `after`, in order."""
        where = "WHERE c.sequence > ? ORDER BY c.sequence LIMIT ?"
        return await self._read(_ATTEMPT.replace("s.story", "NULL") + where, after, limit)

    async def alerts(self, after: int, limit: int) -> tuple[Attempt, ...]:
        """Give attempts with alerts, without stories, whose intent was appended after sequence `after`, in order."""
        where = "WHERE i.kind = 'intent' AND i.sequence > ? AND instr(i.body, ?) > 0 ORDER BY i.sequence LIMIT ?"
        return await self._read(_ATTEMPT.replace("s.story", "NULL") + where, after, _ALERTED, limit)

    async def spend(self, token: str) -> bool:
        """Mark a digest of a token as used; False where it was used before."""
        return await self._run(self._write_thread, lambda: self._spent(token))

    def _spent(self, token: str) -> bool:
        if self._identity() != self._file:
            raise sqlite3.DatabaseError("the ledger was moved or replaced")
        return self._writing.execute("INSERT OR IGNORE INTO spent VALUES (?)", (token,)).rowcount == 1

    async def verify(self) -> Verification:
        """Check the whole chain."""
        return await self._run(self._read_thread, self._verify)

    async def close(self) -> None:
        """Write what still waits, then release the file and the lock."""
        if self._flushing is not None:
            await asyncio.wait([self._flushing])
        await self._run(self._write_thread, self._close_writing)
        await self._run(self._read_thread, self._reading.close)
        self._write_thread.shutdown()
        self._read_thread.shutdown()

    async def _read(self, query: str, *values: str | int | bytes) -> tuple[Attempt, ...]:
        rows = await self._run(self._read_thread, lambda: self._reading.execute(query, values).fetchall())
        return tuple(_attempt(row) for row in rows)

    # Appending -------------------------------------------------------------------------------------------------------
    async def _append(self, entry: _Entry) -> int:
        waits: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, waits))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return await waits

    async def _flush(self) -> None:
        """Commit what waits, batch by batch. A caller that went away before its intent was written had none."""
        while self._waiting:
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            batch = [(entry, waits) for entry, waits in batch if entry.kind == "completion" or not waits.cancelled()]
            entries = [entry for entry, _ in batch]
            done: list[int | Exception]
            try:
                done = await self._run(self._write_thread, partial(self._commit, entries))
            except LedgerUnavailable:
                done = [LedgerUnavailable() for _ in batch]
            for (entry, waits), result in zip(batch, done, strict=True):
                self._tell(entry, waits, result)

    def _tell(self, entry: _Entry, waits: asyncio.Future[int], result: int | Exception) -> None:
        if waits.cancelled():
            if entry.kind == "intent" and isinstance(result, int):
                # Its caller was cancelled while it was written: no Recorded was made, so nothing can be sent.
                void = Completion(at=self._clock(), outcome=Outcome.VOID, detail="cancelled")
                nobody: asyncio.Future[int] = asyncio.get_running_loop().create_future()
                nobody.add_done_callback(lambda f: f.cancelled() or f.exception())
                self._waiting.append((_Entry("completion", "", msgspec.json.encode(void), completes=result), nobody))
        elif isinstance(result, Exception):
            waits.set_exception(result)
        else:
            waits.set_result(result)

    def _commit(self, entries: Iterable[_Entry]) -> list[int | Exception]:
        """Write a batch in one transaction. Gives each entry's sequence, or why that one entry was not written."""
        done: list[int | Exception] = []
        db = self._writing
        if self._identity() != self._file:
            raise sqlite3.DatabaseError("the ledger was moved or replaced")
        db.execute("BEGIN IMMEDIATE")
        try:
            last = db.execute("SELECT sequence, hash FROM records ORDER BY sequence DESC LIMIT 1").fetchone()
            sequence, before = last or (0, START)
            for entry in entries:
                if entry.kind == "completion" and not self._take_open(entry):
                    done.append(AlreadyCompleted())
                    continue
                sequence += 1
                before = self._insert(sequence, before, entry)
                done.append(sequence)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        return done

    def _take_open(self, entry: _Entry) -> bool:
        db = self._writing
        if db.execute("DELETE FROM open_intents WHERE sequence = ?", (entry.completes,)).rowcount != 1:
            return False
        row = db.execute("SELECT request_id FROM records WHERE sequence = ?", (entry.completes,)).fetchone()
        entry.request_id = str(row[0])
        return True

    def _insert(self, sequence: int, before: bytes, entry: _Entry) -> bytes:
        db = self._writing
        link = Link(
            sequence=sequence,
            kind=entry.kind,
            request_id=entry.request_id,
            completes=entry.completes,
            writer=self._writer.name,
            body=entry.body,
            story_digest=story_digest(entry.story),
        )
        after = link_hash(before, link)
        db.execute(
            f"INSERT INTO records ({_COLUMNS}, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  constant
            (*msgspec.structs.astuple(link), after),
        )
        if entry.kind == "intent":
            db.execute("INSERT INTO restricted VALUES (?, ?)", (sequence, entry.story))
            db.execute("INSERT INTO open_intents VALUES (?, ?)", (sequence, self._writer.name))
        return after

    # Opening, recovery, checking -------------------------------------------------------------------------------------
    def _open_writing(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        self._writer.live()
        db = sqlite3.connect(self._path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        if db.execute("PRAGMA user_version").fetchone()[0] not in {0, _FORMAT}:
            raise sqlite3.DatabaseError("a ledger of another format")
        db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_FORMAT}; COMMIT;")
        self._writing, self._file = db, self._identity()

    def _identity(self) -> tuple[int, int]:
        """Tell which file stands at the ledger's path: device and inode."""
        status = self._path.stat()
        return status.st_dev, status.st_ino

    def _open_reading(self) -> None:
        self._reading = sqlite3.connect(self._path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
        self._reading.execute("PRAGMA query_only = ON")

    def _close_writing(self) -> None:
        self._writing.close()
        self._writer.end()

    def _left_open(self) -> list[int]:
        """Give the open intents of writers that are gone."""
        rows = self._writing.execute("SELECT sequence, writer FROM open_intents ORDER BY sequence").fetchall()
        gone = self._writer.gone({writer for _, writer in rows})
        return [sequence for sequence, writer in rows if writer in gone]

    def _verify(self) -> Verification:
        before, count = START, 0
        query = f"SELECT {_COLUMNS}, hash, story FROM records LEFT JOIN restricted USING (sequence) ORDER BY sequence"  # noqa: S608  no input
        cursor = self._reading.execute(query)
        while rows := cursor.fetchmany(_READ_ROWS):
            for *fields, written, story in rows:
                link = Link(**dict(zip(Link.__struct_fields__, fields, strict=True)))
                whole = story_digest(story or b"") == link.story_digest
                if link.sequence != count + 1 or link_hash(before, link) != written or not whole:
                    return Verification(count, before.hex(), link.sequence)
                before, count = written, count + 1
        last = self._reading.execute("SELECT max(sequence) FROM restricted").fetchone()[0] or 0
        return Verification(count, before.hex(), count + 1 if last > count else None)

    async def _run(self, thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, work)
        except (sqlite3.Error, OSError) as trouble:
            _LOG.error("the ledger is out of reach: %s", type(trouble).__name__)
            raise LedgerUnavailable from None
        except RuntimeError:  # the thread was shut down: the ledger is closed
            raise LedgerUnavailable from None


def _attempt(row: tuple[int, bytes, bytes | None, bytes | None, int | None]) -> Attempt:
    sequence, intent, story, completion, completed = row
    return Attempt(
        sequence,
        msgspec.json.decode(intent, type=Intent),
        msgspec.json.decode(story, type=Story) if story else Story(),
        msgspec.json.decode(completion, type=Completion) if completion else None,
        completed or 0,
    )
