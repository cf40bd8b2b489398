"""Which Redis server the driver trusts with consents, and what it asks of replicas."""

import asyncio
import time

import pytest

from consent_store.redis import RedisConsentStore
from consent_store.redis_server import unsafe
from consent_store.store import StoreUnavailable
from tests.consents import r4
from tests.contract.redis_stores import client, found, opened, put, refused, subject
from tests.redis_server import running

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
