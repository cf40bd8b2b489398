"""How a SQLite file is opened and worked on: one thread and connection for each kind of work, off the event loop.

Rules of this file
1. WAL and synchronous FULL: what was committed survives a power cut.
2. One transaction is one call into one thread: a cancelled request never leaves half a write.
3. The file is made for its owner alone: it holds what patients said.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from consent_store.store import StoreUnavailable

_T = TypeVar("_T")

_BUSY_SECONDS: Final = 10.0


class Desk:
    """One thread with one connection; what runs here runs to its end, whoever gives up waiting for it."""

    def __init__(self, path: Path, *, writes: bool) -> None:
        self._path = path
        self._writes = writes
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="consent-store")
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    async def run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `work` here. Raises StoreUnavailable for what goes wrong with the file."""
        if self._closed:
            raise StoreUnavailable("the consent store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, work)

    async def close(self) -> None:
        """Close the connection after what is under way."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._shut)
            self._thread.shutdown(wait=False)

    def _guarded(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            if self._connection is None:
                self._connection = _connect(self._path, writes=self._writes)
            return work(self._connection)
        except (sqlite3.Error, OSError, UnicodeError) as error:
            raise StoreUnavailable(f"the consent store cannot be used: {type(error).__name__}") from error

    def _shut(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _connect(path: Path, *, writes: bool) -> sqlite3.Connection:
    if writes:
        path.touch(mode=0o600)
    # Adopted by the thread that opens it; autocommit, so that every transaction is begun by name.
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        if writes:
            _into_wal(connection)
            connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _into_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL. The busy timeout does not cover the switch, so processes that start together take turns."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            if mode != "wal":
                raise sqlite3.OperationalError("the file system does not support WAL")
            return


def in_transaction(work: Callable[[sqlite3.Connection], _T], connection: sqlite3.Connection) -> _T:
    """Run `work` alone among all writers of all processes; all of it stays, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        done = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return done


def identity(path: Path) -> tuple[int, int]:
    """Tell which file stands at `path`: device and inode."""
    status = path.stat()
    return status.st_dev, status.st_ino
