"""Consents in one Redis or Valkey server, shared by the worker processes of many machines.

Rules of this file
1. `put` returns when the write has reached the disk (and as many replicas as are asked for); every process sees it
   from then on. Reads go where writes go.
2. What the index holds of a Consent is never taken away: text that is gone is Unreadable, an index that is damaged is
   Failed, a store that was emptied, replaced or rolled back is StoreUnavailable (L081).
3. Key names hold digests: who has consents does not show in the server's logs.
4. One server with its replicas; no cluster. Each process opens the store after it was forked.
"""

import itertools
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec

from consent_store.filing import filing_of, found_for, mark_of, read_stored, stamp, terms_after, terms_for
from consent_store.model import Consent, PatientKey, Unreadable
from consent_store.redis_kept import Finding, Held, Kept, each, named
from consent_store.redis_scripts import FIND, LAST, OPEN, PUT, WALK, Script
from consent_store.redis_server import CONFIG, Command, RedisServer, Run, pairs, unsafe
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

_SCHEMA: Final = b"1"
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_VERSION: Final = re.compile(r"[1-9][0-9]{0,8}")
_PREFIX: Final = re.compile(r"[A-Za-z0-9:_.\-]{1,64}")


class RedisConsentStore:
    """A ConsentStore in a Redis or Valkey server; made by `open`."""

    def __init__(
        self, server: RedisServer, prefix: str, own_bases: Mapping[str, frozenset[str]], *, replicas: int, wait_s: float
    ) -> None:
        self._server = server
        self._prefix = prefix.encode()
        self._own_bases = dict(own_bases)
        self._replicas, self._wait_ms = replicas, int(wait_s * 1000)
        self._store, self._ids = self._key("store"), self._key("ids")
        self._identity = b""
        self._words = itertools.count(1)
        self._writes = 0
        self._tells = True
        self._over = ""

    @classmethod
    async def open(  # noqa: PLR0913  the knobs of one driver, each by name
        cls,
        url: str,
        own_bases: Mapping[str, frozenset[str]] | None = None,
        *,
        prefix: str = "consent-gateway",
        replicas: int = 0,
        durability_stated: bool = False,
        ca_file: str = "",
        connections: int = 16,
        connect_s: float = 2.0,
        answer_s: float = 5.0,
    ) -> "RedisConsentStore":
        """Reach the server, check that it forgets nothing, and give the store under `prefix`, made where none is.

        `url` is redis://, rediss:// (TLS, verified by `ca_file` or the system's certificates) or unix://, with user
        and password of an ACL. `own_bases` gives, by source, the base URLs whose absolute references are its own.
        `replicas` must have a write before it is acknowledged. `durability_stated`: where the server does not tell its
        settings, the operator's word stands that it loses no write; settings it does tell must be safe all the same.
        Raises StoreUnavailable.
        """
        if not _PREFIX.fullmatch(prefix):
            raise StoreUnavailable("the prefix of the consent store's keys holds letters, digits and :_.- only")
        server = RedisServer(url, ca_file=ca_file, connections=connections, connect_s=connect_s, answer_s=answer_s)
        store = cls(server, prefix, own_bases or {}, replicas=replicas, wait_s=answer_s / 2)
        try:
            await server.check_kind()
            await store._check_durable(stated=durability_stated)
            await store._begin()
        except BaseException:
            await store.close()
            raise
        return store

    async def snapshot(self, subjects: Iterable[Subject]) -> Snapshot:
        """See `ConsentStore.snapshot`. One round trip."""
        asked = list(subjects)
        finding = await self._find(asked, texts=True)
        answers: dict[Subject, Found | Failed] = {}
        for subject in asked:
            terms = terms_for(subject)
            mine = finding.versions(terms)
            if isinstance(mine, Failed):
                answers[subject] = mine
            else:
                consents = tuple(self._read(subject, terms, finding.held[one]) for one in mine.items())
                answers[subject] = Found(consents, mark_of(mine.items()))
        return answers

    async def revisions(self, subjects: Iterable[Subject]) -> Mapping[Subject, Revision | Failed]:
        """See `ConsentStore.revisions`. One round trip."""
        asked = list(subjects)
        finding = await self._find(asked, texts=False)
        found = {subject: finding.versions(terms_for(subject)) for subject in asked}
        return {who: mine if isinstance(mine, Failed) else mark_of(mine.items()) for who, mine in found.items()}

    async def put(self, source: str, text: bytes, *, fhir_version: str, at: str, expect: str | None) -> StoredVersion:
        """See `ConsentStore.put`. Two round trips. Raises VersionConflict, and StoreUnavailable also for a write that
        was made and has not reached the replicas it must reach: it stands, and is not acknowledged.
        """
        filing = filing_of(source, text, fhir_version, self._own_bases.get(source, frozenset()))
        consent_id = filing.id or str(uuid.uuid4())
        last, before = await self._last_of(consent_id)
        if expect != (last or None):
            raise VersionConflict
        version = str(int(last or "0") + 1)
        stored = StoredVersion(consent_id, version, fhir_version, stamp(text, consent_id, version, at), at)
        terms = terms_after(filing, before)
        kept = msgspec.msgpack.encode(Kept(stored, source, filing.status, tuple(sorted(terms))))
        keys = (self._consent(consent_id), self._ids, *map(self._term, sorted(terms)))
        wait = ("WAIT", self._replicas, self._wait_ms) if self._replicas else None
        (_, _, written), reached = await self._run(PUT, keys, consent_id, last, version, kept, beside=wait)
        if not written:
            raise VersionConflict
        if wait and reached < self._replicas:
            raise StoreUnavailable("the write has not reached the replicas it must reach")
        return stored

    async def get(self, consent_id: str, version: str | None = None) -> StoredVersion | None:
        """See `ConsentStore.get`."""
        self._check()
        if not _ID.fullmatch(consent_id) or not (version is None or _VERSION.fullmatch(version)):
            return None
        keys = (self._consent(consent_id), self._ids)
        (_, _, last, told, raw), _ = await self._run(LAST, keys, consent_id, version or "")
        if not last or (raw is None and told != last):
            return None
        return Held(consent_id, told.decode(), raw or b"").stored

    async def search(
        self, *, patient: Subject | None, status: str | None, consent_id: str | None
    ) -> tuple[StoredVersion, ...]:
        """See `ConsentStore.search`. Without a patient, each Consent is as it was at some moment of the search."""
        self._check()
        current = await self._of(patient) if patient is not None else await self._all(consent_id)
        matching = (one for one in current if consent_id in (None, one.id) and status in (None, one.status))
        return tuple(one.stored for one in sorted(matching, key=lambda one: one.id))

    async def close(self) -> None:
        """Close every connection; everything asked afterwards is refused."""
        self._over = self._over or "the consent store is closed"
        await self._server.close()

    async def _begin(self) -> None:
        """Make the store where the prefix is free, and remember which one this is."""
        words = (_SCHEMA, uuid.uuid4().hex.encode())
        ((schema, identity, writes),) = await self._server.ask(Run(OPEN, (self._store, self._ids), words))
        if schema != _SCHEMA or not identity or not (writes or b"").isdigit():
            raise StoreUnavailable("what is under the prefix is no consent store of this version")
        self._identity, self._writes = identity, int(writes)

    async def _check_durable(self, *, stated: bool) -> None:
        config = await self._server.settings()
        self._tells = config is not None and len(config) == len(CONFIG) - 2
        if not self._tells and not stated:
            raise StoreUnavailable("the server does not tell how it keeps what is written, and nobody states it")
        if why := unsafe(config or {}):
            raise StoreUnavailable(why)

    def _check(self) -> None:
        if self._over:
            raise StoreUnavailable(self._over)

    async def _run(
        self, script: Script, keys: Sequence[bytes], *args: str | bytes, beside: Command | None = None
    ) -> tuple[list[Any], Any]:
        """Run one script on this store, and `beside` after it in the same round trip. Gives both answers."""
        self._check()
        word, least = b"%d" % next(self._words), self._writes
        words = (word, self._identity, *(one if isinstance(one, bytes) else one.encode() for one in args))
        run = Run(script, (self._store, *keys), words)
        answer, *more = await self._server.ask(run, *((beside,) if beside is not None else ()))
        if answer[0] != word:
            # A connection that was given up half-way gave another's answer (as redis-py's CVE-2023-28858 did).
            raise StoreUnavailable("an answer came that is not to what was asked")
        writes = int(answer[1])
        if writes < least:
            self._over = "the consent store has lost writes that were acknowledged"
            raise StoreUnavailable(self._over)
        self._writes = max(self._writes, writes)
        return answer, more[0] if more else None

    async def _find(self, subjects: Iterable[Subject], *, texts: bool) -> Finding:
        terms = sorted({term for subject in subjects for term in terms_for(subject)})
        keys = [self._term(term) for term in terms]
        (_, _, found, held), _ = await self._run(FIND, keys, self._prefix + b":c:", b"1" if texts else b"0")
        by_term = {term: None if mine is None else named(mine) for term, mine in zip(terms, found, strict=True)}
        if not texts:
            return Finding(by_term, {})
        every = dict.fromkeys(one for mine in by_term.values() if mine is not None for one in mine.items())
        return Finding(by_term, {one: Held(*one, raw) for one, raw in zip(every, held, strict=True)})

    async def _of(self, patient: Subject) -> list[Held]:
        finding = await self._find([patient], texts=True)
        terms = terms_for(patient)
        mine = finding.versions(terms)
        if isinstance(mine, Failed):
            if terms:
                raise StoreUnavailable(mine.why)
            return []
        return [finding.held[one] for one in mine.items()]

    async def _all(self, consent_id: str | None) -> list[Held]:
        if consent_id is not None:
            if not _ID.fullmatch(consent_id):
                return []
            keys = (self._consent(consent_id), self._ids)
            (_, _, last, _, raw), _ = await self._run(LAST, keys, consent_id, "")
            return [Held(consent_id, last.decode(), raw or b"")] if last else []
        found: dict[str, Held] = {}
        cursor = b"0"
        while True:
            (_, _, cursor, held), _ = await self._run(WALK, [self._ids], self._prefix + b":c:", cursor)
            found |= {one.id: one for one in each(held)}
            if cursor == b"0":
                return list(found.values())

    async def _last_of(self, consent_id: str) -> tuple[str, frozenset[str]]:
        """Give the last version of a Consent ("" where there is none) and the terms it is filed under."""
        keys = (self._consent(consent_id), self._ids)
        beside = CONFIG if self._tells else None
        (_, _, last, _, raw), config = await self._run(LAST, keys, consent_id, "", beside=beside)
        if config is not None and (why := unsafe(pairs(config))):
            raise StoreUnavailable(why)
        if not last:
            return "", frozenset()
        kept = Held(consent_id, last.decode(), raw or b"").kept
        if kept is None or not _VERSION.fullmatch(kept.stored.version):
            raise StoreUnavailable("what is stored of this consent is damaged")
        return kept.stored.version, frozenset(kept.terms)

    def _read(self, subject: Subject, terms: frozenset[str], held: Held) -> Consent | Unreadable:
        kept = held.kept
        if kept is None or terms.isdisjoint(kept.terms):
            why = "Consent: the stored text is missing or damaged"
            nobody = PatientKey(subject.key.source, "")
            return found_for(subject, Unreadable(id=held.id, version=held.version, patient=nobody, why=why))
        bases = self._own_bases.get(kept.source, frozenset())
        return found_for(subject, read_stored(kept.source, kept.stored, bases))

    def _key(self, *parts: str) -> bytes:
        return b":".join((self._prefix, *(part.encode() for part in parts)))

    def _consent(self, consent_id: str) -> bytes:
        return self._key("c", consent_id)

    def _term(self, term: str) -> bytes:
        return self._key("t", blake2b(term.encode(), digest_size=16).hexdigest())
