"""Between the last check of revisions and the first byte: a change of consents is acknowledged only after it (law 9).

Rules of this file
1. An answer passes its last check and begins inside `passing`.
2. A write returns only when every passage that was open when it became durable is over: no answer that was checked
   against the old revision is still to begin.
3. One gate serves one process: the data plane and the control plane that writes consents share it.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from consent_store.store import ConsentStore, Failed, Revision, Snapshot, StoredVersion, Subject


class Gate:
    """Counts the passages under way, and lets a writer wait for them."""

    def __init__(self) -> None:
        self._open: set[asyncio.Future[None]] = set()

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Hold a passage open for as long as the block lasts: check revisions and begin to send inside it."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open.add(over)
        try:
            yield
        finally:
            self._open.discard(over)
            over.set_result(None)

    async def settled(self) -> None:
        """Return when every passage that is open now is over."""
        if self._open:
            await asyncio.wait(set(self._open))


class GatedConsentStore:
    """A consent store whose writes are acknowledged by rule 2; all else is the store's own."""

    def __init__(self, store: ConsentStore, gate: Gate) -> None:
        self._store, self._gate = store, gate

    async def snapshot(self, subjects: Iterable[Subject]) -> Snapshot:
        """See ConsentStore."""
        return await self._store.snapshot(subjects)

    async def revisions(self, subjects: Iterable[Subject]) -> Mapping[Subject, Revision | Failed]:
        """See ConsentStore."""
        return await self._store.revisions(subjects)

    async def put(self, source: str, text: bytes, *, fhir_version: str, at: str, expect: str | None) -> StoredVersion:
        """See ConsentStore; waits for the answers that were about to begin."""
        stored = await self._store.put(source, text, fhir_version=fhir_version, at=at, expect=expect)
        await self._gate.settled()
        return stored

    async def get(self, consent_id: str, version: str | None = None) -> StoredVersion | None:
        """See ConsentStore."""
        return await self._store.get(consent_id, version)

    async def search(
        self, *, patient: Subject | None, status: str | None, consent_id: str | None
    ) -> tuple[StoredVersion, ...]:
        """See ConsentStore."""
        return await self._store.search(patient=patient, status=status, consent_id=consent_id)

    async def close(self) -> None:
        """See ConsentStore."""
        await self._store.close()
