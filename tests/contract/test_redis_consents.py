"""What the Redis driver does beyond the contract: requests and processes beside each other, round trips, keys."""

import asyncio
import uuid

import pytest

from consent_store.model import Consent
from consent_store.store import Found, StoreUnavailable
from tests.consents import MRN, r4
from tests.contract.redis_stores import client, found, opened, put, subject
from tests.contract.writing_process import together


async def test_an_answer_goes_to_who_asked_whoever_gives_up(server):
    """Requests that are cancelled at any moment mix up no answers and use up no connections (CVE-2023-28858)."""
    async with opened(server, connections=2) as store:
        for record in range(20):
            await put(store, r4(id=f"c{record}", patient={"reference": f"Patient/{record}"}))
        for turns in range(40):
            asking = [asyncio.create_task(found(store, str(record))) for record in range(10)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for one in asking:
                one.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            answers = await asyncio.gather(*(found(store, str(record)) for record in range(20)))
            assert [f"c{record}" for record in range(20)] == [one.consents[0].id for one in answers]


class Late:
    """A server whose answers come one question late, as on a connection that was given up half-way."""

    def __init__(self, inner) -> None:
        self.inner, self.before = inner, None

    async def ask(self, *commands):
        given, self.before = self.before, await self.inner.ask(*commands)
        return given or self.before

    async def close(self):
        await self.inner.close()


async def test_another_s_answer_is_not_taken(server):
    """Should an answer come that is not to what was asked, nobody's consents become another's."""
    async with opened(server) as store:
        for record in ("1", "2"):
            await put(store, r4(id=f"c{record}", patient={"reference": f"Patient/{record}"}))
        store._server = Late(store._server)
        assert ["c1"] == [one.id for one in (await found(store, "1")).consents]
        with pytest.raises(StoreUnavailable, match="not to what was asked"):
            await found(store, "2")


async def test_a_write_that_is_cancelled_is_done_whole_or_not_at_all(server):
    """Whoever stops waiting leaves no Consent without its index and no index without its Consent."""
    async with opened(server) as store:
        for number in range(30):
            task = asyncio.create_task(put(store, r4(id=f"c{number}")))
            for _ in range(number):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await put(store, r4(id="last"))
        every = {one.id for one in await store.search(patient=None, status=None, consent_id=None)}
        consents = (await found(store, "1")).consents
        assert every == {one.id for one in consents}
        assert all(isinstance(one, Consent) for one in consents)


async def test_a_page_is_one_round_trip_and_its_check_another(server):
    """However many patients a page is about, the server is asked once, and once more before it is sent."""
    async with opened(server) as store, client(server) as other:
        who = [subject(str(number)) for number in range(50)]
        for number in range(50):
            await put(store, r4(id=f"c{number}", patient={"reference": f"Patient/{number}"}))
        for ask in (store.snapshot, store.revisions):
            before = await evaluated(other)
            assert 50 == len(await ask(who))
            assert 1 == await evaluated(other) - before


async def evaluated(other) -> int:
    """How many scripts the server has run."""
    return (await other.info("commandstats"))["cmdstat_evalsha"]["calls"]


async def test_every_consent_is_walked_once(server):
    """A search without a patient gives each of many Consents once, its last version."""
    async with opened(server) as store:
        await asyncio.gather(*(put(store, r4(id=f"c{number:04}")) for number in range(1200)))
        await put(store, r4(id="c0000", status="inactive"), expect="1")
        listed = await store.search(patient=None, status=None, consent_id=None)
        assert [f"c{number:04}" for number in range(1200)] == [one.id for one in listed]
        assert ["c0000"] == [one.id for one in await store.search(patient=None, status="inactive", consent_id=None)]


async def test_no_key_tells_whose_consents_they_are(server):
    """Records and identifiers stand in no key: keys show in slow logs and metrics."""
    prefix = uuid.uuid4().hex
    async with opened(server, prefix) as store, client(server) as other:
        who = {"reference": "Patient/marker-record", "identifier": {"system": MRN, "value": "marker-mrn"}}
        await put(store, r4(id="a", patient=who))
        keys = b" ".join(await other.keys(f"{prefix}:*"))
        assert 2 == keys.count(b":t:")
        assert b"marker" not in keys


async def test_processes_write_to_one_server_together(server, repository):
    """Three processes that start at once make one store, and lose none of each other's writes."""
    prefix = uuid.uuid4().hex
    assert [0, 0, 0] == await together(repository, 30, "redis", server.url, prefix)
    async with opened(server, prefix) as store:
        answer = await found(store, "1")
        assert isinstance(answer, Found)
        assert {"both", *(f"{name}{number}" for name in "xyz" for number in range(30))} == {
            one.id for one in answer.consents
        }
        assert "90" == (await store.get("both")).version
