"""Consents that live in the FHIR servers themselves: each look-up asks again, every page, and nothing is cached.

Rules of this file
1. Whatever is not one whole and plain answer fails the subject; nothing is ever taken from part of one (L087, L088).
2. A Consent seen once that is no longer given fails its subject until this process ends, and is told once (L081). The
   memory is this process's own, and holds the latest subjects only: a server that deletes Consents is not made safe.
3. What a server gives as a patient's must say so itself, or be of a record that is shown to be the same person's.
4. Nothing is written, and nothing is looked up but by subject: the Consent API is not offered.
"""

# ruff: noqa: ARG002  what is not offered takes what the protocol says it takes

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Final, NoReturn
from urllib.parse import urlencode

import msgspec

from consent_store.fetching import Fetch, FetchFailed
from consent_store.filing import belongs_to, found_for, is_nobodys, mark_of, read_stored
from consent_store.identifier_systems import spellings
from consent_store.model import Consent, Unreadable
from consent_store.patients import identifiers_of
from consent_store.reading import R4
from consent_store.searchset import Entry, Page, Unusable, beneath, is_id, read_page, read_resource
from consent_store.store import (
    Failed,
    Found,
    NotOffered,
    Revision,
    Snapshot,
    StoredVersion,
    StoreUnavailable,
    Subject,
)

_MOST_PAGES: Final = 200
_PAGE: Final = 100
_ELSEWHERE: Final = "consents are kept by the FHIR server itself"


class FhirServer(msgspec.Struct, frozen=True, kw_only=True):
    """Where the consents of one source are asked for."""

    base: str  # base URL, without a slash at its end
    fetch: Fetch
    own_bases: frozenset[str]  # base URLs whose absolute references are its own
    aliases: tuple[str, ...] = ()  # further base URLs that its links may begin with; never asked
    # To ask by identifiers too, where the server has the parameter: `patient.identifier` (of the Patient referred to),
    # `patient:identifier` (in the reference itself).
    by_identifier: tuple[str, ...] = ()


class UpstreamConsentStore:
    """A ConsentStore that only reads. `servers` are by PatientKey.source; `alert` is told, without identifiers, what
    somebody should look at; `at_once` bounds the subjects asked for together, `answer_s` the time one may take.
    """

    def __init__(
        self,
        servers: Mapping[str, FhirServer],
        *,
        alert: Callable[[str], None],
        at_once: int = 8,
        answer_s: float = 20.0,
        remembered: int = 100_000,
    ) -> None:
        self._servers = dict(servers)
        self._alert = alert
        self._turns = asyncio.Semaphore(at_once)
        self._answer_s = answer_s
        self._remembered = remembered
        self._seen: OrderedDict[tuple[str, str], frozenset[str]] = OrderedDict()
        self._told: set[tuple[str, str]] = set()
        self._open = True

    async def snapshot(self, subjects: Iterable[Subject]) -> Snapshot:
        """See `ConsentStore.snapshot`; each subject is one search or more."""
        self._check()
        asked = list(dict.fromkeys(subjects))
        return dict(zip(asked, await asyncio.gather(*map(self._found, asked)), strict=True))

    async def revisions(self, subjects: Iterable[Subject]) -> Mapping[Subject, Revision | Failed]:
        """See `ConsentStore.revisions`; asks as much as a snapshot does."""
        found = await self.snapshot(subjects)
        return {who: one.revision if isinstance(one, Found) else one for who, one in found.items()}

    async def put(self, source: str, text: bytes, *, fhir_version: str, at: str, expect: str | None) -> StoredVersion:
        """Not offered: raises NotOffered."""
        self._refuse()

    async def get(self, consent_id: str, version: str | None = None) -> StoredVersion | None:
        """Not offered: raises NotOffered."""
        self._refuse()

    async def search(
        self, *, patient: Subject | None, status: str | None, consent_id: str | None
    ) -> tuple[StoredVersion, ...]:
        """Not offered: raises NotOffered."""
        self._refuse()

    async def close(self) -> None:
        """Refuse everything from now on."""
        self._open = False

    def _check(self) -> None:
        if not self._open:
            raise StoreUnavailable("the consent store is closed")

    def _refuse(self) -> NoReturn:
        self._check()
        raise NotOffered(_ELSEWHERE)

    async def _found(self, subject: Subject) -> Found | Failed:
        server = self._servers.get(subject.key.source)
        if server is None:
            return Failed("no server is known for the source of this subject")
        try:
            async with asyncio.timeout(self._answer_s), self._turns:
                return await self._look_up(subject, server)
        except Unusable as error:
            return Failed(str(error))
        except FetchFailed as error:
            return Failed(f"the server cannot be asked: {error}")
        except TimeoutError:
            return Failed("the server did not answer in time")

    async def _look_up(self, subject: Subject, server: FhirServer) -> Found:
        """Ask for one subject. Raises Unusable, FetchFailed, TimeoutError."""
        entries: dict[str, Entry] = {}
        for query in _queries(subject, server):
            asked = (subject.key.source, query)
            before = self._seen.get(asked, frozenset())
            given = await _every_page(query, server)
            self._remember(asked, before, frozenset(given))
            for one in given.values():
                if entries.setdefault(one.id, one) != one:
                    raise Unusable("a consent changed while it was read")
        read = [_read(subject, one, server) for one in entries.values()]
        await _confirm(subject, read, server)
        consents = tuple(found_for(subject, one) for one in read)
        return Found(consents, mark_of((one.id, _mark(one)) for one in entries.values()))

    def _remember(self, asked: tuple[str, str], before: frozenset[str], given: frozenset[str]) -> None:
        """Keep what was given. Raises Unusable where something is missing of what had been given before it was asked.

        Answers may overtake each other: what was first seen meanwhile may be missing.
        """
        self._seen[asked] = self._seen.pop(asked, frozenset()) | given
        while len(self._seen) > self._remembered:
            self._told.discard(self._seen.popitem(last=False)[0])
        if before <= given:
            return
        if asked not in self._told:
            self._told.add(asked)
            self._alert("a consent that was seen before is gone from its server; its patient's data are withheld")
        raise Unusable("a consent that was seen before is gone")


async def _every_page(query: str, server: FhirServer) -> Mapping[str, Entry]:
    """Give the Consents of all pages of a search, by id. Raises Unusable, FetchFailed."""
    found: dict[str, Entry] = {}
    asked: set[str] = set()
    totals: set[int] = set()
    url: str | None = f"{server.base}/Consent?{query}"
    while url is not None:
        if url in asked or len(asked) == _MOST_PAGES:
            raise Unusable("the pages have no end")
        asked.add(url)
        page: Page = read_page(await server.fetch(url))
        totals |= {page.total} if page.total is not None else set()
        for one in page.entries:
            if one.id in found:
                raise Unusable("a consent stands on two pages")
            found[one.id] = one
        url = None if page.next is None else beneath(server.base, page.next, server.aliases, url)
    if totals not in (set(), {len(found)}):
        raise Unusable("the consents found are not as many as the total")
    return found


def _queries(subject: Subject, server: FhirServer) -> Sequence[str]:
    """Give the searches that find a subject's consents. Raises Unusable where there is none."""
    asked = [("patient", f"Patient/{subject.key.id}")] if is_id(subject.key.id) else []
    numbers = sorted(subject.identifiers, key=str)
    tokens = [_token(system, one.value) for one in numbers if one.system for system in spellings(one.system)]
    asked += [(parameter, token) for parameter in server.by_identifier for token in tokens]
    if not asked:
        raise Unusable("a subject without anything its server could be asked by")
    return [urlencode([one, ("_count", str(_PAGE))], safe="/") for one in asked]


def _token(*parts: str) -> str:
    """Write a token search value (FHIR R4 search.html 3.1.1.4.10; 3.1.1.4.0.4 on escaping): system and value."""
    return "|".join("".join(f"\\{one}" if one in "\\,|$" else one for one in text) for text in parts)


def _read(subject: Subject, entry: Entry, server: FhirServer) -> Consent | Unreadable:
    stored = StoredVersion(entry.id, entry.version, R4, entry.text, "")
    return read_stored(subject.key.source, stored, server.own_bases)


async def _confirm(subject: Subject, read: Iterable[Consent | Unreadable], server: FhirServer) -> None:
    """Raise Unusable unless every Consent is the subject's: by its own words, or by another record of the person.

    A server that does not know a parameter may leave it out and give everybody's Consents (rule 3). What names nobody
    that can be read is the subject's: it can only deny.
    """
    others = {one.patient.id for one in read if not is_nobodys(one) and not belongs_to(one, subject)}
    for other in sorted(others):
        if not server.by_identifier or not is_id(other):
            raise Unusable("the answer holds another patient's consent")
        record = read_resource(await server.fetch(f"{server.base}/Patient/{other}"), "Patient")
        if record.get("id") != other or subject.identifiers.isdisjoint(identifiers_of(dict(record))):
            raise Unusable("the answer holds another patient's consent")


def _mark(entry: Entry) -> str:
    """Mark one Consent by its text, which holds its version where it has one: some servers never count versions."""
    return blake2b(entry.text, digest_size=16).hexdigest()
