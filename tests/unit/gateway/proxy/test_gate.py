"""A change of consents is acknowledged only when no answer checked before it is still to begin (law 9)."""

import asyncio

import pytest

from consent_store.store import StoredVersion
from gateway.proxy.gate import Gate, GatedConsentStore

STORED = StoredVersion("c1", "1", "4.0", b"{}", "2026-03-01T09:00:00Z")


class FakeStore:
    def __init__(self) -> None:
        self.closed = False

    async def put(self, source, text, *, fhir_version, at, expect):
        return STORED

    async def get(self, consent_id, version=None):
        return STORED if consent_id == "c1" else None

    async def search(self, *, patient, status, consent_id):
        return (STORED,)

    async def snapshot(self, subjects):
        return dict.fromkeys(subjects, "found")

    async def revisions(self, subjects):
        return dict.fromkeys(subjects, "revision")

    async def close(self):
        self.closed = True


def put(store):
    """Write something through a store, as a task."""
    return asyncio.ensure_future(store.put("s", b"{}", fhir_version="4.0", at="now", expect=None))


async def test_a_write_waits_for_the_answers_that_are_about_to_begin():
    """While a passage is open the write is not acknowledged; when it is over, it is."""
    gate = Gate()
    with gate.passing():
        writing = put(GatedConsentStore(FakeStore(), gate))
        await asyncio.sleep(0.01)
        assert not writing.done()
    assert STORED == await writing


async def test_a_write_does_not_wait_for_later_answers():
    """A passage that opened after the write became durable saw the new revision already."""
    gate = Gate()
    with gate.passing():
        writing = put(GatedConsentStore(FakeStore(), gate))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    with gate.passing():
        assert STORED == await asyncio.wait_for(writing, 1)


async def test_a_passage_that_fails_is_over():
    """An error inside a passage does not hold up writers for ever."""
    gate = Gate()
    with pytest.raises(RuntimeError), gate.passing():
        raise RuntimeError
    assert STORED == await asyncio.wait_for(put(GatedConsentStore(FakeStore(), gate)), 1)


async def test_all_else_is_the_store_s_own():
    """Reading goes straight to the store."""
    inner = FakeStore()
    store = GatedConsentStore(inner, Gate())
    assert {"p": "found"} == await store.snapshot(["p"])
    assert {"p": "revision"} == await store.revisions(["p"])
    assert STORED == await store.get("c1")
    assert None is await store.get("c2")
    assert (STORED,) == await store.search(patient=None, status=None, consent_id=None)
    await store.close()
    assert inner.closed
