"""Every ConsentStore driver, opened for a test, and what a test puts into a store and asks of it.

A new driver joins `DRIVERS`; `test_consent_store` is its examination.
"""

import uuid
from collections.abc import Awaitable, Callable
from functools import partial

from consent_store.memory import MemoryConsentStore
from consent_store.model import Identifier, PatientKey
from consent_store.redis import RedisConsentStore
from consent_store.sqlite import SqliteConsentStore
from consent_store.store import ConsentStore, Found, Subject
from tests.consents import MRN, text
from tests.fhir_consents import WrittenUpstream
from tests.redis_server import programs

AT = "2025-03-01T09:00:00Z"
OWN = {"ehr": frozenset({"http://ehr.example.org/fhir"})}
Opener = Callable[[], Awaitable[ConsentStore]]


def memory(request) -> Opener:
    """A store in memory: a new one each time."""

    async def opened() -> ConsentStore:
        return MemoryConsentStore(OWN)

    return opened


def sqlite(request) -> Opener:
    """A store in a file of the test's folder: the same one each time."""
    path = request.getfixturevalue("tmp_path") / "consents.sqlite"
    return partial(SqliteConsentStore.open, path, OWN)


def redis(request) -> Opener:
    """A store in a server that runs: the same one each time, another for each test."""
    server = request.getfixturevalue("redis_servers")(request.param)
    return partial(RedisConsentStore.open, server.url, OWN, prefix=uuid.uuid4().hex)


def upstream(request) -> Opener:
    """A store that reads a FHIR server, which the test's `put` writes to: a new one each time."""

    async def opened() -> ConsentStore:
        return WrittenUpstream()

    return opened


DRIVERS = {"memory": memory, "sqlite": sqlite, **dict.fromkeys(programs(), redis)}
LASTING = [name for name in DRIVERS if name != "memory"]
READING = {**DRIVERS, "upstream": upstream}


def patient(record: str) -> dict:
    """A relative reference to a patient."""
    return {"reference": f"Patient/{record}"}


def person(value: str) -> dict:
    """A patient named by identifier alone."""
    return {"identifier": {"system": MRN, "value": value}}


def subject(record: str, *values: str, source: str = "ehr") -> Subject:
    """The subject with this record and these MRNs."""
    return Subject(PatientKey(source, record), frozenset(Identifier(MRN, value) for value in values))


async def put(store, tree, *, expect=None, source="ehr", version="4.0", at=AT):
    """Store a Consent."""
    raw = tree if isinstance(tree, bytes) else text(tree)
    return await store.put(source, raw, fhir_version=version, at=at, expect=expect)


async def ids(store, who) -> set[str]:
    """The ids of the consents found for one subject."""
    found = (await store.snapshot([who]))[who]
    assert isinstance(found, Found)
    return {one.id for one in found.consents}


async def mark(store, who) -> str:
    """The subject's revision, which a snapshot gives too."""
    alone = (await store.revisions([who]))[who]
    assert alone == (await store.snapshot([who]))[who].revision
    return alone.mark
