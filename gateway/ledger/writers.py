"""The worker processes that write to one ledger: which of them live.

Rules of this file
1. Each worker holds a lock on a file of its own, beside the ledger, while it lives; the system frees it however it
   ends.
2. A writer is gone when its lock is free or its file is not there: a restarted worker never speaks for one that still
   sends.
"""

import fcntl
import os
import secrets
from collections.abc import Iterable
from pathlib import Path


class Writer:
    """This worker among those that write to the ledger at `ledger`; its name stands with all that it appends."""

    def __init__(self, ledger: Path) -> None:
        self._folder = ledger.with_name(f"{ledger.name}.writers")
        self.name = secrets.token_hex(8)
        self._lock = -1

    def live(self) -> None:
        """Take the lock of this worker. Raises OSError."""
        self._lock = self._take(self.name, os.O_CREAT) or -1

    def end(self) -> None:
        """Give the lock back: whatever this worker left open is anybody's to complete. Raises OSError."""
        (self._folder / self.name).unlink(missing_ok=True)
        os.close(self._lock)

    def gone(self, writers: Iterable[str]) -> set[str]:
        """Give those of these writers that do not live, and tidy their files away. Raises OSError."""
        found: set[str] = set()
        for writer in set(writers) - {self.name}:
            file = self._take(writer, 0)
            if file is None:
                continue
            found.add(writer)
            if file >= 0:
                (self._folder / writer).unlink(missing_ok=True)
                os.close(file)
        return found

    def _take(self, writer: str, create: int) -> int | None:
        """Take the lock of a writer, -1 where it has no file; None where it lives and holds it itself."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        try:
            file = os.open(self._folder / writer, os.O_RDWR | create, 0o600)
        except FileNotFoundError:  # it closed in order, or its file was tidied away: it is gone
            return -1
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        return file
