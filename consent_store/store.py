"""The ConsentStore protocol: what every driver offers, and the values it gives.

Rules of this file
1. A look-up answers per key: one subject's failure never looks like "no consents" (L088).
2. Revisions are per subject and move at every change that could change a decision (law 9).
3. A Consent is never deleted, only superseded by a new version or made inactive (L081).
4. `snapshot` and `revisions` see every write that was acknowledged before they were called.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from consent_store.model import Consent, Identifier, PatientKey, Unreadable


class Subject(msgspec.Struct, frozen=True):
    """Whose consents are asked for: the record's key and the business identifiers known of the same person."""

    key: PatientKey
    identifiers: frozenset[Identifier] = frozenset()


class Revision(msgspec.Struct, frozen=True):
    """An opaque mark of one subject's consents: equal marks, equal consents."""

    mark: str


class Found(msgspec.Struct, frozen=True):
    """Every current version of a subject's consents, of any status, in no promised order."""

    consents: tuple[Consent | Unreadable, ...]
    revision: Revision


class Failed(msgspec.Struct, frozen=True):
    """The look-up of this one subject failed; `why` is for the operator's log, without identifiers."""

    why: str


Snapshot = Mapping[Subject, Found | Failed]


class StoredVersion(msgspec.Struct, frozen=True):
    """One version of one Consent as stored: `text` is the JSON as accepted, with id and meta.versionId."""

    id: str
    version: str
    fhir_version: str  # "4.0" or "5.0"
    text: bytes
    at: str  # instant of the write, FHIR instant text


class ConsentStore(Protocol):
    """What the gateway asks of a consent store. All methods raise `StoreUnavailable` when the store is out of reach."""

    async def snapshot(self, subjects: Iterable[Subject]) -> Snapshot:
        """Give each subject's consents and revision, in one look-up for all. A consent belongs to a subject when
        its patient key is the subject's key, or one of its patient identifiers is one of the subject's."""
        ...

    async def revisions(self, subjects: Iterable[Subject]) -> Mapping[Subject, Revision | Failed]:
        """Give each subject's revision alone (the check before sending, law 9)."""
        ...

    async def put(self, source: str, text: bytes, *, fhir_version: str, at: str, expect: str | None) -> StoredVersion:
        """Store the text of a Consent (id in it, or a fresh one is given) as a new version and return it.

        `source` is the PatientKey source of its patient reference. `expect` is the version that must be current
        (None: no such Consent must exist). What cannot be read is stored too: it becomes an Unreadable.
        Raises `VersionConflict` where the current version is another. Returns only after it is durable.
        """
        ...

    async def get(self, consent_id: str, version: str | None = None) -> StoredVersion | None:
        """Give one version (None: the current one), or None."""
        ...

    async def search(
        self, *, patient: Subject | None, status: str | None, consent_id: str | None
    ) -> tuple[StoredVersion, ...]:
        """Give the current versions that match all that is given, ordered by id."""
        ...

    async def close(self) -> None:
        """Release what the driver holds."""
        ...


class StoreUnavailable(Exception):
    """The store could not be read or written: nothing may be disclosed (L088)."""


class NotOffered(StoreUnavailable):
    """This store never does what was asked: consents are read, or written, elsewhere."""


class VersionConflict(Exception):
    """Another version is current than the writer expected."""
