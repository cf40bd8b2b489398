"""Stores on a Redis server, opened for a test, and what a test puts into one and finds there."""

import uuid
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from consent_store.model import PatientKey
from consent_store.redis import RedisConsentStore
from consent_store.store import StoreUnavailable, Subject
from tests.consents import text

AT = "2025-03-01T09:00:00Z"


@asynccontextmanager
async def client(server):
    """A client that is no consent store."""
    async with Redis(port=server.port, protocol=2) as opened:
        yield opened


@asynccontextmanager
async def opened(server, prefix=None, **how):
    """A store for as long as the block lasts."""
    store = await RedisConsentStore.open(server.url, prefix=prefix or uuid.uuid4().hex, **how)
    try:
        yield store
    finally:
        await store.close()


def subject(record: str) -> Subject:
    """The subject with this record."""
    return Subject(PatientKey("ehr", record))


async def put(store, tree, expect=None):
    """Store a Consent."""
    return await store.put("ehr", text(tree), fhir_version="4.0", at=AT, expect=expect)


async def found(store, record: str):
    """What is found for one patient."""
    return (await store.snapshot([subject(record)]))[subject(record)]


async def refused(url: str, **how) -> str:
    """Why a store is not opened."""
    with pytest.raises(StoreUnavailable) as caught:
        await RedisConsentStore.open(url, **{"connect_s": 1.0, "answer_s": 1.0, **how})
    return str(caught.value)
