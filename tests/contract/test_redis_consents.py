"""What the Redis driver does beyond the contract: which server it trusts, what damage and loss look like to it."""

import asyncio
import sys
import time
import uuid
from contextlib import asynccontextmanager

import msgspec
import pytest
from redis.asyncio import Redis

from consent_store.model import Consent, PatientKey, Unreadable
from consent_store.redis import RedisConsentStore
from consent_store.redis_kept import Kept
from consent_store.redis_server import unsafe
from consent_store.store import Failed, Found, StoreUnavailable, Subject, VersionConflict
from tests.consents import MRN, r4, text
from tests.redis_server import programs, running, start

AT = "2025-03-01T09:00:00Z"
# All that a consent store's user may do: nothing in it deletes, renames or expires (docs/consent-stores.md).
ACL = (
    "on",
    ">secret",
    "resetkeys",
    "~consents:*",
    "-@all",
    "+evalsha",
    "+eval",
    "+info",
    "+config|get",
    "+wait",
    "+hello",
    "+select",
    "+ping",
    "+hmget",
    "+hget",
    "+hgetall",
    "+hexists",
    "+hset",
    "+hincrby",
    "+sadd",
    "+sismember",
    "+sscan",
    "+exists",
    "+type",
)


@pytest.fixture(params=programs())
def server(request, redis_servers):
    """A server of each program."""
    return redis_servers(request.param)


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


# Which server is trusted ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--appendonly", "no"), "the server's `appendonly` must be `yes`"),
        (("--appendfsync", "everysec"), "the server's `appendfsync` must be `always`"),
        (("--appendfsync", "no"), "the server's `appendfsync` must be `always`"),
        (("--no-appendfsync-on-rewrite", "yes"), "the server's `no-appendfsync-on-rewrite` must be `no`"),
        (("--maxmemory-policy", "allkeys-lru"), "the server's `maxmemory-policy` must be `noeviction`"),
        (("--cluster-enabled", "yes"), "a cluster is not served: a look-up must see one state of all keys"),
    ],
)
async def test_a_server_that_may_forget_is_refused(tmp_path, options, why):
    """Each setting that could lose an acknowledged revocation, or evict one, keeps the store from opening."""
    with running(tmp_path, *options) as server:
        assert why == await refused(server.url)
        assert why == await refused(server.url, durability_stated=True)
        async with client(server) as other:
            assert 0 == await other.dbsize()


async def test_a_server_that_is_made_unsafe_later_takes_no_more_writes(tmp_path):
    """What was safe at the start is asked again with every write."""
    with running(tmp_path) as server:
        async with opened(server) as store, client(server) as other:
            await put(store, r4(id="a"))
            await other.config_set("appendfsync", "everysec")
            with pytest.raises(StoreUnavailable, match="appendfsync"):
                await put(store, r4(id="b"))
            assert 1 == len((await found(store, "1")).consents)


def test_settings_that_are_not_told_are_not_held_against_a_server():
    """`unsafe` judges what is there; that all is there is asked for elsewhere."""
    assert "" == unsafe({})
    assert "" == unsafe({"maxmemory-policy": "volatile-ttl"})
    assert "" != unsafe({"appendonly": "no"})


async def test_a_user_with_nothing_that_deletes_is_enough(server):
    """The driver needs no command that forgets: with this ACL nobody has one, and hidden settings must be stated."""
    async with client(server) as other:
        await other.execute_command("ACL", "SETUSER", "gateway", "reset", *ACL)
        url = f"redis://gateway:secret@127.0.0.1:{server.port}"
        store = await RedisConsentStore.open(url, prefix="consents")
        await put(store, r4(id="a"))
        await put(store, r4(id="a", status="inactive"), expect="1")
        assert ["a"] == [one.id for one in (await found(store, "1")).consents]
        assert ["2"] == [one.version for one in await store.search(patient=None, status=None, consent_id=None)]
        await store.close()
        await other.execute_command("ACL", "SETUSER", "gateway", "-config|get")
        why = "the server does not tell how it keeps what is written, and nobody states it"
        assert why == await refused(url, prefix="consents")
        stated = await RedisConsentStore.open(url, prefix="consents", durability_stated=True)
        await put(stated, r4(id="b"))
        await stated.close()
        assert "the consent store cannot be used: NoPermissionError" == await refused(
            url, prefix="elsewhere", durability_stated=True
        )
        assert "secret" not in await refused(url.replace("secret", "wrong-secret"))


def test_the_document_names_the_same_commands(repository):
    """What operators are told to allow is what the test above allows."""
    told = (repository / "docs" / "consent-stores.md").read_text().partition("ACL SETUSER")[2].partition("\n\n")[0]
    assert {word for word in ACL if word.startswith("+")} == {word for word in told.split() if word.startswith("+")}


@pytest.mark.parametrize(
    "url",
    ["", "http://127.0.0.1", "redis://", "redis://h:port", "redis://h/x", "redis://h?ssl_cert_reqs=none", "unix://"],
)
async def test_an_address_that_is_none_is_refused(url):
    """A query would be another set of knobs: it is no part of an address."""
    assert "the consent store's address is not redis://, rediss:// or unix://" == await refused(url)


async def test_nobody_there_or_nobody_answering_is_unavailable_soon():
    """A port without a server, one that never answers, and TLS where there is none: in bounded time."""
    held = asyncio.Event()

    async def silent(reader, writer):
        await held.wait()
        writer.close()

    listening = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    began = time.monotonic()
    for url in (f"redis://127.0.0.1:{port}", f"rediss://127.0.0.1:{port}", "redis://127.0.0.1:1"):
        assert (await refused(url, answer_s=0.3)).startswith("the consent store cannot be used: ")
    assert time.monotonic() - began < 5
    held.set()
    listening.close()


async def test_what_fails_is_not_tried_again():
    """A write whose answer is lost may have been made: to send it once more is the caller's to decide."""
    came = 0

    async def closing(reader, writer):
        nonlocal came
        came += 1
        writer.close()

    listening = await asyncio.start_server(closing, "127.0.0.1", 0)
    await refused(f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
    assert 1 == came
    listening.close()


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


# Replicas ---------------------------------------------------------------------------------------------------------
async def test_a_replica_is_neither_read_nor_written(tmp_path):
    """A replica may lag: it is refused at the start, and from the moment a primary becomes one (L083)."""
    with running(tmp_path / "one") as one, running(tmp_path / "two") as two:
        async with opened(one, "p") as store, client(one) as first, client(two) as second:
            await put(store, r4(id="a"))
            await second.execute_command("REPLICAOF", "127.0.0.1", one.port)
            await replicated(first, 1)
            assert "the server is a replica: consents are read and written at the primary alone" == await refused(
                two.url, prefix="p"
            )
            await second.execute_command("REPLICAOF", "NO", "ONE")
            await first.execute_command("REPLICAOF", "127.0.0.1", two.port)
            for ask in (
                lambda: found(store, "1"),
                lambda: store.revisions([subject("1")]),
                lambda: store.get("a"),
                lambda: put(store, r4(id="b")),
            ):
                with pytest.raises(StoreUnavailable, match="is a replica"):
                    await ask()


async def test_a_write_is_acknowledged_when_the_replicas_have_it(tmp_path):
    """With `replicas=1`: told as stored while a replica follows, not told when it is gone."""
    with running(tmp_path / "one") as one, running(tmp_path / "two", "--replicaof", "127.0.0.1", str(one.port)) as two:
        async with client(one) as first, opened(one, "p", replicas=1, answer_s=5.0) as store:
            await replicated(first, 1)
            await put(store, r4(id="a"))
            two.stop()
            with pytest.raises(StoreUnavailable, match="has not reached the replicas"):
                await put(store, r4(id="b"))


async def test_a_primary_without_the_replicas_it_must_have_is_not_read(tmp_path):
    """`min-replicas-to-write` cuts an old primary off for readers too: it may not know of a revocation elsewhere."""
    with running(tmp_path) as server:
        async with opened(server, "p") as store, client(server) as other:
            await put(store, r4(id="a"))
            await other.config_set("min-replicas-to-write", "1")
            for ask in (lambda: found(store, "1"), lambda: put(store, r4(id="b"))):
                with pytest.raises(StoreUnavailable, match="has not the replicas"):
                    await ask()


async def replicated(primary, count: int) -> None:
    """Return when this many replicas have all there is."""
    assert count == await primary.wait(count, 4000)


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


# One process ------------------------------------------------------------------------------------------------------
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


WRITER = """
import asyncio, sys
from consent_store.redis import RedisConsentStore
from consent_store.store import VersionConflict
from tests.consents import r4, text

async def main(url, prefix, name):
    store = await RedisConsentStore.open(url, prefix=prefix)
    for number in range(30):
        await store.put("ehr", text(r4(id=f"{name}{number}")), fhir_version="4.0", at="2025", expect=None)
        while True:
            current = await store.get("both")
            expect = current.version if current else None
            try:
                await store.put("ehr", text(r4(id="both")), fhir_version="4.0", at="2025", expect=expect)
            except VersionConflict:
                continue
            break
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_processes_write_to_one_server_together(server, repository):
    """Three processes that start at once make one store, and lose none of each other's writes."""
    prefix = uuid.uuid4().hex
    command = [sys.executable, "-c", WRITER, server.url, prefix]
    started = [await asyncio.create_subprocess_exec(*command, name, cwd=repository) for name in "xyz"]
    assert [0, 0, 0] == await asyncio.gather(*(one.wait() for one in started))
    async with opened(server, prefix) as store:
        answer = await found(store, "1")
        assert isinstance(answer, Found)
        assert {"both", *(f"{name}{number}" for name in "xyz" for number in range(30))} == {
            one.id for one in answer.consents
        }
        assert "90" == (await store.get("both")).version
