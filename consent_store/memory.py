"""Consents in the memory of one process: for tests, for the demo, and for a question's own consents.

Rules of this file
1. The same rules as every driver, from `consent_store.filing`; nothing outlives the process.
2. Every version is kept; there is no delete.
"""

import uuid
from collections.abc import Iterable, Mapping

import msgspec

from consent_store.filing import (
    NOT_ASKABLE,
    filing_of,
    found_for,
    mark_of,
    read_stored,
    stamp,
    terms_after,
    terms_for,
)
from consent_store.model import Consent, Unreadable
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


class _Kept(msgspec.Struct, frozen=True):
    source: str
    stored: StoredVersion
    status: str
    terms: frozenset[str]


class MemoryConsentStore:
    """A ConsentStore in memory. `own_bases` gives, by source, the base URLs whose absolute references are its own."""

    def __init__(self, own_bases: Mapping[str, frozenset[str]] | None = None) -> None:
        self._own_bases = dict(own_bases or {})
        self._versions: dict[str, list[_Kept]] = {}
        self._index: dict[str, set[str]] = {}
        self._open = True

    async def snapshot(self, subjects: Iterable[Subject]) -> Snapshot:
        """See `ConsentStore.snapshot`."""
        self._check()
        return {subject: self._found(subject) for subject in subjects}

    async def revisions(self, subjects: Iterable[Subject]) -> Mapping[Subject, Revision | Failed]:
        """See `ConsentStore.revisions`."""
        self._check()
        return {subject: self._revision(subject) for subject in subjects}

    async def put(self, source: str, text: bytes, *, fhir_version: str, at: str, expect: str | None) -> StoredVersion:
        """See `ConsentStore.put`. Raises VersionConflict, StoreUnavailable when closed."""
        self._check()
        filing = filing_of(source, text, fhir_version, self._bases(source))
        consent_id = filing.id or str(uuid.uuid4())
        kept = self._versions.get(consent_id, [])
        if expect != (kept[-1].stored.version if kept else None):
            raise VersionConflict
        version = str(len(kept) + 1)
        stored = StoredVersion(consent_id, version, fhir_version, stamp(text, consent_id, version, at), at)
        before = kept[-1].terms if kept else frozenset()
        terms = terms_after(filing, before)
        for term in before:
            self._index[term].discard(consent_id)
        for term in terms:
            self._index.setdefault(term, set()).add(consent_id)
        self._versions[consent_id] = [*kept, _Kept(source, stored, filing.status, terms)]
        return stored

    async def get(self, consent_id: str, version: str | None = None) -> StoredVersion | None:
        """See `ConsentStore.get`."""
        self._check()
        kept = self._versions.get(consent_id, [])
        if version is None:
            return kept[-1].stored if kept else None
        return next((one.stored for one in kept if one.stored.version == version), None)

    async def search(
        self, *, patient: Subject | None, status: str | None, consent_id: str | None
    ) -> tuple[StoredVersion, ...]:
        """See `ConsentStore.search`."""
        self._check()
        ids = set(self._versions) if patient is None else self._ids(patient)
        current = [self._versions[one][-1] for one in sorted(ids) if consent_id in (None, one)]
        return tuple(one.stored for one in current if status in (None, one.status))

    async def close(self) -> None:
        """Refuse everything from now on."""
        self._open = False

    def _check(self) -> None:
        if not self._open:
            raise StoreUnavailable("the consent store is closed")

    def _bases(self, source: str) -> frozenset[str]:
        return self._own_bases.get(source, frozenset())

    def _ids(self, subject: Subject) -> set[str]:
        return {one for term in terms_for(subject) for one in self._index.get(term, ())}

    def _found(self, subject: Subject) -> Found | Failed:
        revision = self._revision(subject)
        if isinstance(revision, Failed):
            return revision
        return Found(tuple(self._read(subject, self._versions[one][-1]) for one in self._ids(subject)), revision)

    def _revision(self, subject: Subject) -> Revision | Failed:
        if not terms_for(subject):
            return Failed(NOT_ASKABLE)
        return mark_of((one, self._versions[one][-1].stored.version) for one in self._ids(subject))

    def _read(self, subject: Subject, kept: _Kept) -> Consent | Unreadable:
        return found_for(subject, read_stored(kept.source, kept.stored, self._bases(kept.source)))
