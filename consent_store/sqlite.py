"""Consents in one SQLite file, shared by every worker process of a machine. The embedded default.

Rules of this file
1. A write has reached the disk before `put` returns, and every process sees it from then on.
2. Rows are only ever added; triggers refuse the rest, whoever asks (L081).
3. A row that cannot be read is Unreadable; a subject whose look-up fails is Failed; all failing is StoreUnavailable.
4. Each process opens the file after it was forked.
"""

import os
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from consent_store.filing import NOT_ASKABLE, filing_of, found_for, mark_of, read_stored, stamp, terms_after, terms_for
from consent_store.model import Consent, Unreadable
from consent_store.sqlite_file import Desk, identity, in_transaction
from consent_store.store import (
    Failed,
    Found,
    Revision,
    Snapshot,
    StoredVersion,
    StoreUnavailable,
    Subject,
    VersionConflict,
)

_T = TypeVar("_T")

_SCHEMA_VERSION: Final = 1
_NO_CHANGE: Final = "BEGIN SELECT RAISE(ABORT, 'consents are never changed or deleted'); END"
# A Consent's terms are kept for each of its versions; those of its last version count.
_SCHEMA: Final = (
    (
        "CREATE TABLE consent_version (id TEXT NOT NULL, version INTEGER NOT NULL, source TEXT NOT NULL,"
        " fhir_version TEXT NOT NULL, status TEXT NOT NULL, at TEXT NOT NULL, text BLOB NOT NULL,"
        " PRIMARY KEY (id, version))"
    ),
    (
        "CREATE TABLE subject_term (term TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,"
        " PRIMARY KEY (term, id, version)) WITHOUT ROWID"
    ),
    "CREATE INDEX term_of_version ON subject_term (id, version)",
    f"CREATE TRIGGER version_kept BEFORE DELETE ON consent_version {_NO_CHANGE}",
    f"CREATE TRIGGER version_fixed BEFORE UPDATE ON consent_version {_NO_CHANGE}",
    f"CREATE TRIGGER term_kept BEFORE DELETE ON subject_term {_NO_CHANGE}",
    f"CREATE TRIGGER term_fixed BEFORE UPDATE ON subject_term {_NO_CHANGE}",
    f"PRAGMA user_version = {_SCHEMA_VERSION}",
)
_LAST: Final = "(SELECT max(version) FROM subject_term AS later WHERE later.id = t.id)"
_ASKED: Final = "t.term IN (SELECT value FROM json_each(?))"
_MARKS: Final = f"SELECT t.term, t.id, t.version FROM subject_term AS t WHERE {_ASKED} AND t.version = {_LAST}"  # noqa: S608  no input
_FOUND: Final = (
    "SELECT t.term, t.id, t.version, v.fhir_version, v.text, v.at, v.source FROM subject_term AS t"  # noqa: S608  no input
    " LEFT JOIN consent_version AS v ON v.id = t.id AND v.version = t.version"
    f" WHERE {_ASKED} AND t.version = {_LAST}"
)
_GET: Final = (
    "SELECT id, version, fhir_version, text, at FROM consent_version"
    " WHERE id = ?1 AND version = coalesce(?2, (SELECT max(version) FROM consent_version WHERE id = ?1))"
)
_SEARCH: Final = (
    "SELECT id, version, fhir_version, text, at FROM consent_version AS v"
    " WHERE version = (SELECT max(version) FROM consent_version AS later WHERE later.id = v.id)"
    " AND (?1 IS NULL OR id = ?1) AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR EXISTS ("
    "SELECT 1 FROM subject_term AS t WHERE t.id = v.id AND t.version = v.version"
    " AND t.term IN (SELECT value FROM json_each(?3)))) ORDER BY id"
)
_Row = tuple[Any, ...]


class SqliteConsentStore:
    """A ConsentStore in a file; made by `open`."""

    def __init__(self, path: Path, own_bases: Mapping[str, frozenset[str]]) -> None:
        self._path = path
        self._own_bases = dict(own_bases)
        self._file = (0, 0)
        # One thread and connection to write and one to read, so that reads never wait for a write.
        self._writer = Desk(path, writes=True)
        self._reader = Desk(path, writes=False)

    @classmethod
    async def open(
        cls, path: str | os.PathLike[str], own_bases: Mapping[str, frozenset[str]] | None = None
    ) -> "SqliteConsentStore":
        """Open the file, made where it does not exist, and give the store.

        `own_bases` gives, by source, the base URLs whose absolute references are its own: the same in every process.
        Raises StoreUnavailable for a file that cannot be opened or is no consent store of this version.
        """
        store = cls(Path(path), own_bases or {})
        try:
            await store._writer.run(store._prepare)
            await store._reader.run(lambda connection: connection.execute("PRAGMA query_only = ON"))
        except StoreUnavailable:
            await store.close()
            raise
        return store

    async def snapshot(self, subjects: Iterable[Subject]) -> Snapshot:
        """See `ConsentStore.snapshot`."""
        return await self._reader.run(partial(self._each, list(subjects), self._found))

    async def revisions(self, subjects: Iterable[Subject]) -> Mapping[Subject, Revision | Failed]:
        """See `ConsentStore.revisions`."""
        return await self._reader.run(partial(self._each, list(subjects), self._revisions))

    async def put(self, source: str, text: bytes, *, fhir_version: str, at: str, expect: str | None) -> StoredVersion:
        """See `ConsentStore.put`. Raises VersionConflict, StoreUnavailable."""
        return await self._writer.run(partial(self._put, source, text, fhir_version, at, expect))

    async def get(self, consent_id: str, version: str | None = None) -> StoredVersion | None:
        """See `ConsentStore.get`."""
        if version is not None and not (version.isascii() and version.isdigit() and len(version) < 10):
            return None
        asked = (consent_id, None if version is None else int(version))
        rows = await self._reader.run(lambda connection: self._rows(connection, _GET, asked))
        found = _stored(rows[0]) if rows else None
        return found if found is not None and version in (None, found.version) else None

    async def search(
        self, *, patient: Subject | None, status: str | None, consent_id: str | None
    ) -> tuple[StoredVersion, ...]:
        """See `ConsentStore.search`."""
        asked = (consent_id, status, None if patient is None else _json(terms_for(patient)))
        rows = await self._reader.run(lambda connection: self._rows(connection, _SEARCH, asked))
        return tuple(_stored(row) for row in rows)

    async def close(self) -> None:
        """Close the file; everything asked afterwards is refused."""
        await self._reader.close()
        await self._writer.close()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Make the tables, whichever process comes first, and remember which file this is."""

        def make(connection: sqlite3.Connection) -> None:
            (made,) = connection.execute("PRAGMA user_version").fetchone()
            (foreign,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if made == _SCHEMA_VERSION:
                return
            if made or foreign:
                raise StoreUnavailable("the file is no consent store of this version")
            for statement in _SCHEMA:
                connection.execute(statement)

        in_transaction(make, connection)
        self._file = identity(self._path)

    def _put(
        self, source: str, text: bytes, fhir_version: str, at: str, expect: str | None, connection: sqlite3.Connection
    ) -> StoredVersion:
        filing = filing_of(source, text, fhir_version, self._own_bases.get(source, frozenset()))
        consent_id = filing.id or str(uuid.uuid4())

        def write(connection: sqlite3.Connection) -> StoredVersion:
            self._check_file()
            last, before = _last_of(connection, consent_id)
            if expect != (None if last is None else str(last)):
                raise VersionConflict
            version = (last or 0) + 1
            stamped = stamp(text, consent_id, str(version), at)
            row = (consent_id, version, source, fhir_version, filing.status, at, stamped)
            connection.execute("INSERT INTO consent_version VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            terms = [(term, consent_id, version) for term in sorted(terms_after(filing, before))]
            connection.executemany("INSERT INTO subject_term VALUES (?, ?, ?)", terms)
            return StoredVersion(consent_id, str(version), fhir_version, stamped, at)

        return in_transaction(write, connection)

    def _check_file(self) -> None:
        if identity(self._path) != self._file:
            raise StoreUnavailable("the consent store's file was moved or replaced")

    def _rows(self, connection: sqlite3.Connection, statement: str, asked: tuple[object, ...]) -> list[_Row]:
        self._check_file()
        return connection.execute(statement, asked).fetchall()

    def _each(
        self,
        subjects: list[Subject],
        look_up: Callable[[sqlite3.Connection, Sequence[Subject]], dict[Subject, _T | Failed]],
        connection: sqlite3.Connection,
    ) -> dict[Subject, _T | Failed]:
        """Look all subjects up at once; where the file is damaged, one by one, so that the others are answered."""
        try:
            return look_up(connection, subjects)
        except sqlite3.DatabaseError:
            if len(subjects) < 2:
                raise
        answers: dict[Subject, _T | Failed] = {}
        failed: sqlite3.DatabaseError | None = None
        for subject in subjects:
            try:
                answers |= look_up(connection, [subject])
            except sqlite3.DatabaseError as error:
                answers[subject], failed = Failed(f"the look-up failed: {type(error).__name__}"), error
        if failed is not None and all(isinstance(answer, Failed) for answer in answers.values()):
            raise failed
        return answers

    def _revisions(
        self, connection: sqlite3.Connection, subjects: Sequence[Subject]
    ) -> dict[Subject, Revision | Failed]:
        return {subject: _revision(subject, mine) for subject, mine in self._by_subject(connection, _MARKS, subjects)}

    def _found(self, connection: sqlite3.Connection, subjects: Sequence[Subject]) -> dict[Subject, Found | Failed]:
        answers: dict[Subject, Found | Failed] = {}
        for subject, mine in self._by_subject(connection, _FOUND, subjects):
            revision = _revision(subject, mine)
            if isinstance(revision, Revision):
                answers[subject] = Found(tuple(self._read(subject, row) for row in mine.values()), revision)
            else:
                answers[subject] = revision
        return answers

    def _by_subject(
        self, connection: sqlite3.Connection, statement: str, subjects: Sequence[Subject]
    ) -> Iterator[tuple[Subject, dict[str, _Row]]]:
        """Give each subject with the rows its terms lead to, one for each Consent; one statement, so one state."""
        terms = {subject: terms_for(subject) for subject in subjects}
        by_term: dict[str, list[_Row]] = {}
        for row in self._rows(connection, statement, (_json(term for one in terms.values() for term in one),)):
            by_term.setdefault(row[0], []).append(row)
        for subject, mine in terms.items():
            yield subject, {row[1]: row for term in mine for row in by_term.get(term, ())}

    def _read(self, subject: Subject, row: _Row) -> Consent | Unreadable:
        stored, source = _stored(row[1:6]), row[6]
        if not isinstance(source, str):
            why = "Consent: the stored text is missing"
            return Unreadable(id=stored.id, version=stored.version, patient=subject.key, why=why)
        bases = self._own_bases.get(source, frozenset())
        return found_for(subject, read_stored(source, stored, bases))


def _last_of(connection: sqlite3.Connection, consent_id: str) -> tuple[int | None, frozenset[str]]:
    """Give the last version of a Consent, None where there is none, and the terms it is filed under."""
    (last,) = connection.execute(
        "SELECT max(version) FROM (SELECT version FROM consent_version WHERE id = ?1"
        " UNION ALL SELECT version FROM subject_term WHERE id = ?1)",
        (consent_id,),
    ).fetchone()
    terms = connection.execute("SELECT term FROM subject_term WHERE id = ? AND version = ?", (consent_id, last))
    return last, frozenset(term for (term,) in terms)


def _revision(subject: Subject, mine: Mapping[str, _Row]) -> Revision | Failed:
    if not terms_for(subject):
        return Failed(NOT_ASKABLE)
    return mark_of((str(row[1]), str(row[2])) for row in mine.values())


def _stored(row: _Row) -> StoredVersion:
    """Give a row as it should be; what a damaged row has in another type reads as nothing."""
    consent_id, version, fhir_version, text, at = row
    told = fhir_version if isinstance(fhir_version, str) else ""
    kept = text if isinstance(text, bytes) else b""
    return StoredVersion(str(consent_id), str(version), told, kept, at if isinstance(at, str) else "")


def _json(terms: Iterable[str]) -> str:
    return msgspec.json.encode(sorted(set(terms))).decode()
