"""What the Redis driver answers after loss and damage: never `no consents`."""

import asyncio
import uuid

import msgspec
import pytest

from consent_store.model import Consent, PatientKey, Unreadable
from consent_store.redis_kept import Kept
from consent_store.store import Failed, StoreUnavailable, VersionConflict
from tests.consents import r4
from tests.contract.redis_stores import client, found, opened, put, refused, subject
from tests.redis_server import running, start


# Loss -------------------------------------------------------------------------------------------------------------
async def test_a_store_that_was_emptied_is_unavailable(tmp_path):
    """A server whose data are gone says nothing about anybody: not that there are no consents (L081, L088)."""
    with running(tmp_path) as server:
        async with opened(server) as store, client(server) as other:
            await put(store, r4(id="a"))
            await other.flushall()
            for ask in (
                lambda: store.snapshot([subject("1")]),
                lambda: store.revisions([subject("1")]),
                lambda: store.get("a"),
                lambda: store.search(patient=None, status=None, consent_id=None),
                lambda: put(store, r4(id="a")),
            ):
                with pytest.raises(StoreUnavailable, match="emptied or replaced"):
                    await ask()
            assert 0 == await other.dbsize()


async def test_a_store_that_another_has_made_anew_is_unavailable(tmp_path):
    """An empty store that took the place of the one that was opened is not taken for it."""
    with running(tmp_path) as server:
        async with opened(server, "p") as store, client(server) as other:
            await put(store, r4(id="a"))
            await other.flushall()
            async with opened(server, "p") as anew:
                assert () == (await found(anew, "1")).consents
                with pytest.raises(StoreUnavailable, match="emptied or replaced"):
                    await found(store, "1")


async def test_consents_without_their_mark_are_no_new_store(server):
    """Where the mark is gone and consents are left, nobody makes a new store over them."""
    async with opened(server, "p1") as store, client(server) as other:
        await put(store, r4(id="a"))
        await other.delete("p1:store")
    assert "the consent store was emptied or replaced since it was opened" == await refused(server.url, prefix="p1")


async def test_a_store_of_a_later_version_is_refused(server):
    """What a later gateway has written is not read by this one."""
    async with client(server) as other:
        await other.hset("p2:store", mapping={"schema": "2", "id": "x", "writes": "0"})
    assert "what is under the prefix is no consent store of this version" == await refused(server.url, prefix="p2")


async def test_a_store_that_lost_acknowledged_writes_is_unavailable_for_good(server):
    """Older data than were seen before, as after a failover to a lagging replica: refused until it is opened again."""
    async with opened(server, "p3") as store, client(server) as other:
        await put(store, r4(id="a"))
        backup = {key: await other.dump(key) for key in await other.keys("p3:*")}
        await put(store, r4(id="a", status="inactive"), expect="1")
        for key, value in backup.items():
            await other.restore(key, 0, value, replace=True)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="has lost writes"):
                await found(store, "1")
            await other.hset("p3:store", "writes", "9")


async def test_answers_that_overtake_each_other_are_no_loss(server):
    """Many readers and writers at once see different numbers of writes, and none of them takes that for a loss."""
    async with opened(server) as store, opened(server) as other:
        await asyncio.gather(
            *(put(one, r4(id=f"{name}{n}")) for n in range(60) for name, one in (("a", store), ("b", other))),
            *(found(one, "1") for _ in range(60) for one in (store, other)),
        )
        assert 60 == len((await found(store, "1")).consents)


async def test_what_was_acknowledged_survives_the_server(tmp_path):
    """The server is killed the moment a write was acknowledged, and started again: all is there."""
    prefix = "p"
    server = start(tmp_path)
    marks = []
    for number in range(5):
        async with opened(server, prefix) as store:
            await put(store, r4(id=f"c{number}"))
            marks.append((await found(store, "1")).revision)
            server.stop()
            with pytest.raises(StoreUnavailable):
                await found(store, "1")
        server = start(tmp_path)
        async with opened(server, prefix) as store:
            assert marks[-1] == (await found(store, "1")).revision
    server.stop()


async def test_a_store_goes_on_when_its_server_is_back(tmp_path):
    """After a restart nobody has to open the store again: connections and scripts are made anew."""
    server = start(tmp_path)
    async with opened(server) as store:
        await put(store, r4(id="a"))
        server.stop()
        with pytest.raises(StoreUnavailable):
            await put(store, r4(id="b"))
        server = start(tmp_path, port=server.port)
        assert "1" == (await put(store, r4(id="b"))).version
        assert 2 == len((await found(store, "1")).consents)
    server.stop()


# Damage -----------------------------------------------------------------------------------------------------------
async def cut_off(other, key) -> None:
    """Half of a text."""
    raw = await other.hget(key, "1")
    await other.hset(key, "1", raw[: len(raw) // 2])


async def older(other, key) -> None:
    """The text of its own first version in the place of the second."""
    await other.hset(key, mapping={"2": await other.hget(key, "1"), "last": "2"})
    (term,) = [one for one in await other.keys(key.partition(":")[0] + ":t:*") if await other.hexists(one, "a")]
    await other.hset(term, "a", "2")


async def of_nobody(other, key) -> None:
    """A text that was not filed for this patient."""
    kept = msgspec.msgpack.decode(await other.hget(key, "1"), type=Kept)
    await other.hset(key, "1", msgspec.msgpack.encode(msgspec.structs.replace(kept, terms=())))


async def another(other, key) -> None:
    """The text of patient 2's Consent in the place of patient 1's."""
    await other.hset(key, "1", await other.hget(key[:-1] + "b", "1"))


DAMAGES = {
    "text gone": lambda other, key: other.hdel(key, "1"),
    "text of something else": lambda other, key: other.hset(key, "1", b"words"),
    "text cut off": cut_off,
    "Consent gone": lambda other, key: other.delete(key),
    "Consent of another type": lambda other, key: other.set(key, "x"),
    "last version gone": lambda other, key: other.hdel(key, "last"),
    "last version without text": lambda other, key: other.hset(key, "last", "7"),
    "last version no number": lambda other, key: other.hset(key, "last", "x"),
    "another's text": another,
    "an older version's text": older,
    "a text of nobody's": of_nobody,
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_consent_is_unreadable_for_its_patient_alone(server, damage):
    """Damage never reads as `no consents`: the patient has an Unreadable, the others what they had."""
    prefix = uuid.uuid4().hex
    async with opened(server, prefix) as store, client(server) as other:
        await put(store, r4(id="a"))
        await put(store, r4(id="b", patient={"reference": "Patient/2"}))
        await DAMAGES[damage](other, f"{prefix}:c:a")
        snapshot = await store.snapshot([subject("1"), subject("2")])
        (mine,) = snapshot[subject("1")].consents
        assert isinstance(mine, Unreadable)
        assert ("a", PatientKey("ehr", "1")) == (mine.id, mine.patient)
        assert isinstance(snapshot[subject("2")].consents[0], Consent)
        assert {one.revision for one in snapshot.values()} == set(
            (await store.revisions([subject("1"), subject("2")])).values()
        )
        with pytest.raises((StoreUnavailable, VersionConflict)):
            await put(store, r4(id="a"))


async def test_a_version_is_never_written_over(server):
    """Where the last version was set back, the one that would come next is there already, and stays."""
    prefix = uuid.uuid4().hex
    async with opened(server, prefix) as store, client(server) as other:
        await put(store, r4(id="a"))
        second = await put(store, r4(id="a", status="inactive"), expect="1")
        await other.hset(f"{prefix}:c:a", "last", "1")
        with pytest.raises(StoreUnavailable):
            await put(store, r4(id="a"), expect="1")
        assert second == await store.get("a", "2")


async def test_a_damaged_version_is_listed_and_holds_nothing(server):
    """Look-ups by id and patient show that it is there, as a Consent nobody can read."""
    prefix = uuid.uuid4().hex
    async with opened(server, prefix) as store, client(server) as other:
        await put(store, r4(id="a"))
        await other.hset(f"{prefix}:c:a", "1", b"words")
        for how in ({"patient": subject("1"), "consent_id": None}, {"patient": None, "consent_id": "a"}):
            (one,) = await store.search(status=None, **how)
            assert ("a", "1", "", b"") == (one.id, one.version, one.fhir_version, one.text)
            assert () == await store.search(status="active", **how)
        assert one == await store.get("a")


async def test_a_consent_that_moved_on_does_not_come_back_when_damaged(server):
    """Patient 1's permit was given to patient 2; damage to it afterwards revives nothing of the first version."""
    prefix = uuid.uuid4().hex
    async with opened(server, prefix) as store, client(server) as other:
        await put(store, r4(id="a"))
        await put(store, r4(id="a", patient={"reference": "Patient/2"}), expect="1")
        assert () == (await found(store, "1")).consents
        await other.hdel(f"{prefix}:c:a", "last")
        for record in ("1", "2"):
            (one,) = (await found(store, record)).consents
            assert isinstance(one, Unreadable)


async def of_another_type(other, term) -> None:
    """Words where a hash was."""
    await other.delete(term)
    await other.set(term, "x")


async def with_a_strange_name(other, term) -> None:
    """A hash with an entry that no store has made."""
    await other.hset(term, "a 1 b", "1")


async def with_a_strange_version(other, term) -> None:
    """A hash with an entry that no store has made."""
    await other.hset(term, "c", "one")


@pytest.mark.parametrize("damage", [of_another_type, with_a_strange_name, with_a_strange_version])
async def test_a_damaged_index_fails_its_subject_alone(server, damage):
    """Whose index cannot be read has Failed in both look-ups, and is not written to; the others go on."""
    prefix = uuid.uuid4().hex
    async with opened(server, prefix) as store, client(server) as other:
        await put(store, r4(id="a"))
        (term,) = await other.keys(f"{prefix}:t:*")
        await put(store, r4(id="b", patient={"reference": "Patient/2"}))
        await damage(other, term)
        for look_up in (store.snapshot, store.revisions):
            answers = await look_up([subject("1"), subject("2")])
            assert isinstance(answers[subject("1")], Failed)
            assert not isinstance(answers[subject("2")], Failed)
        with pytest.raises(StoreUnavailable):
            await store.search(patient=subject("1"), status=None, consent_id=None)


async def test_a_write_that_cannot_be_filed_leaves_nothing(server):
    """Where one of its terms is damaged, a Consent is not half stored."""
    prefix = uuid.uuid4().hex
    async with opened(server, prefix) as store, client(server) as other:
        await put(store, r4(id="a"))
        (term,) = await other.keys(f"{prefix}:t:*")
        await of_another_type(other, term)
        with pytest.raises(StoreUnavailable):
            await put(store, r4(id="c"))
        assert None is await store.get("c")
        assert ["a"] == [one.id for one in await store.search(patient=None, status=None, consent_id=None)]


async def test_a_full_server_is_read_and_not_written(tmp_path):
    """Without memory a revocation is not acknowledged; what is there still decides."""
    with running(tmp_path, "--maxmemory-policy", "noeviction") as server:
        async with opened(server) as store, client(server) as other:
            await put(store, r4(id="a"))
            await other.config_set("maxmemory", "1")
            with pytest.raises(StoreUnavailable):
                await put(store, r4(id="b"))
            assert 1 == len((await found(store, "1")).consents)
