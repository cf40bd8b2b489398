"""Consents that cannot be read, a ledger that cannot be written, clients that go away: nothing leaves unrecorded.

Every test has stores of its own, whose files it takes away, breaks or locks while the gateway runs.
"""

import asyncio
import contextlib
import json
import socket
import sqlite3
import struct
from datetime import UTC, datetime

import pytest
import pytest_asyncio

import consent_store.sqlite_file
import gateway.ledger.sqlite
from consent_store.sqlite import SqliteConsentStore
from gateway.ledger.model import LedgerUnavailable
from gateway.ledger.sqlite import SqliteLedger
from tests.attack.records import observation, quokka, refusal, transaction
from tests.attack.scene import MARK, Trap, staged
from tests.e2e.world import HOSPITAL, PLAN
from tests.stub_upstream import answer

pytestmark = pytest.mark.asyncio(loop_scope="session")

THEIRS = f"Patient/{MARK}-p"
PATHS = ["Condition/rosa-hypertension", THEIRS, "Condition?patient=rosa", "Observation/never-existed"]
WAIT_S = 0.3
"""How long a locked file is waited for here."""


@pytest_asyncio.fixture(loop_scope="session")
async def own(stage, tmp_path, monkeypatch):
    """The scene with stores of the test's own, whose files may be broken; the refusal is in them."""
    monkeypatch.setattr(consent_store.sqlite_file, "_BUSY_SECONDS", WAIT_S)
    monkeypatch.setattr(gateway.ledger.sqlite, "_WAIT_S", WAIT_S)
    consents = await SqliteConsentStore.open(tmp_path / "consents.sqlite", {"story": frozenset()})
    at = "2026-09-08T09:05:00Z"
    await consents.put("story", json.dumps(refusal()).encode(), fhir_version="4.0", at=at, expect=None)
    ledger = await SqliteLedger.open(tmp_path / "ledger.sqlite")
    before = stage.gate.services
    stage.gate.serve_with(consents=consents, ledger=ledger)
    stage.server.reset()
    stage.server.hold(quokka(), observation())
    scene = stage._replace(folder=tmp_path, trap=Trap())
    with scene.trap.listening():
        await all_is_well(scene)
        await completed(scene, len(PATHS) + 1)
        yield scene
        stage.gate.serve_with(consents=before.consents, ledger=before.ledger)
        await scene.check()
    await consents.close()
    with contextlib.suppress(LedgerUnavailable):
        await ledger.close()


async def completed(scene, count: int) -> list:
    """The first attempts of the ledger, once there are so many that are complete."""
    async with asyncio.timeout(5):
        while len(found := await scene.gate.services.ledger.attempts(0, 1000)) < count:  # noqa: ASYNC110  it tells nobody
            await asyncio.sleep(0.01)
    return list(found)


async def nothing_passes(scene) -> None:
    """Whatever is asked, the answer is one 503 for all, nothing is forwarded, and the gateway says it is not ready."""
    found = [await scene.ask(path) for path in PATHS]
    assert [503] * 4 == [one.status for one in found]
    assert 1 == len({one.body for one in found})
    assert "transient" == found[0].json["issue"][0]["code"]
    scene.stub.seen.clear()
    assert 503 == (await scene.push(transaction(observation("a")))).status
    assert "POST" not in {seen.method for seen in scene.stub.seen}


async def all_is_well(scene) -> None:
    """What may pass does, what may not does not."""
    assert [200, 404, 200, 404] == [(await scene.ask(path)).status for path in PATHS]
    assert 200 == (await scene.push(transaction(observation("a")))).status


def aside(scene, name: str) -> list:
    """The file of a store and the ones beside it."""
    return sorted(scene.folder.glob(f"{name}.sqlite*"))


@contextlib.contextmanager
def opened(scene, name: str):
    """Another program's connection to a file of the gateway."""
    connection = sqlite3.connect(scene.folder / f"{name}.sqlite", isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


# Consents ------------------------------------------------------------------------------------------------------------
async def test_L088_consents_that_are_gone_let_nothing_pass(own):
    """The file is moved away: 503 for what is there, hidden or absent; moved back, all is as it was."""
    (own.folder / "consents.sqlite").rename(own.folder / "elsewhere")
    await nothing_passes(own)
    (own.folder / "elsewhere").rename(own.folder / "consents.sqlite")
    await all_is_well(own)


async def test_L088_other_consents_in_their_place_let_nothing_pass(own):
    """An empty store put in the place of the real one would know of no refusal: it is not taken for it."""
    for file in aside(own, "consents"):
        file.unlink()
    with opened(own, "consents") as empty:
        empty.execute("CREATE TABLE subject_term (term, id, version)")
        empty.execute("CREATE TABLE consent_version (id, version, source, fhir_version, status, at, text)")
    await nothing_passes(own)


@pytest.mark.parametrize("table", ["subject_term", "consent_version"])
async def test_L088_a_store_without_its_tables_lets_nothing_pass(own, table):
    """A table is dropped by another program: 503."""
    with opened(own, "consents") as other:
        other.execute(f"DROP TABLE {table}")
    await nothing_passes(own)


async def test_L088_a_damaged_store_lets_nothing_wrong_pass(own):
    """Its bytes are overwritten while it runs: what is withheld stays withheld, and no answer is a guess."""
    for file in aside(own, "consents"):
        if file.suffix != ".sqlite-shm":
            file.write_bytes(MARK.encode() * (file.stat().st_size // 6))
    found = {path: (await own.ask(path)).status for path in PATHS}
    assert found[THEIRS] in {404, 503}
    assert set(found.values()) <= {200, 404, 503}
    assert 1 == len({found[THEIRS], found["Observation/never-existed"]})


@pytest.mark.parametrize("text", ["X'00'", f"CAST('{{\"{MARK}\"' AS BLOB)", "'text'", "7"])
async def test_L088_a_damaged_consent_still_refuses(own, text):
    """The refusal's own text is broken: it cannot be read, and what cannot be read can only deny."""
    with unguarded(own) as other:
        other.execute(f"UPDATE consent_version SET text = {text}")  # noqa: S608  the test's own words
    await all_is_well(own)


async def test_L081_a_consent_that_disappears_still_refuses(own):
    """Its text is deleted behind our back: it was there once, and it denies."""
    with unguarded(own) as other:
        other.execute("DELETE FROM consent_version")
    await all_is_well(own)


@contextlib.contextmanager
def unguarded(scene):
    """A connection of somebody who took the guards off the consents."""
    with opened(scene, "consents") as other:
        for (name,) in other.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            other.execute(f"DROP TRIGGER {name}")
        yield other


async def test_a_store_that_somebody_writes_is_read(tmp_path, monkeypatch):
    """Another program holds the files to write: answers go on; a consent that cannot be filed is a 503, not a maybe.
    Where the files are gone, the gateway says that it is not ready."""
    monkeypatch.setattr(consent_store.sqlite_file, "_BUSY_SECONDS", WAIT_S)
    async with staged(tmp_path) as scene:
        scene.server.hold(quokka(), observation())
        with opened(scene, "consents") as other:
            other.execute("BEGIN EXCLUSIVE")
            assert 200 == (await scene.ask(PATHS[0])).status
            with pytest.raises(AssertionError, match="transient"):
                await scene.sign(refusal())
        assert 200 == (await scene.ask(THEIRS)).status
        await scene.sign(refusal())
        assert 404 == (await scene.ask(THEIRS)).status
        (tmp_path / "consents.sqlite").unlink()
        assert 503 == (await scene.ask("/readyz", client=None, purpose=None)).status
        with pytest.raises(AssertionError, match="out of reach"):
            await scene.sign(refusal())


# The ledger ----------------------------------------------------------------------------------------------------------
async def test_a_ledger_that_is_read_only_lets_nothing_pass(own):
    """Written no more: 503 for everything, also for what would be a 404; written again, all is well."""
    ledger = own.gate.services.ledger
    ledger._writing.execute("PRAGMA query_only = ON")
    await nothing_passes(own)
    ledger._writing.execute("PRAGMA query_only = OFF")
    await all_is_well(own)


async def test_a_full_disk_lets_nothing_pass(own):
    """No room for another record: 503; room again, all is well, and the chain holds."""
    ledger = own.gate.services.ledger
    (pages,) = ledger._writing.execute("PRAGMA page_count").fetchone()
    ledger._writing.execute(f"PRAGMA max_page_count = {pages}")
    while {(await own.ask(path)).status for path in PATHS} != {503}:
        pass
    await nothing_passes(own)
    ledger._writing.execute("PRAGMA max_page_count = 1000000")
    await all_is_well(own)
    assert (await ledger.verify()).broken is None


async def test_a_locked_ledger_lets_nothing_pass(own):
    """Another program holds it: 503 after the wait, and no answer before; released, all is well."""
    with opened(own, "ledger") as other:
        other.execute("BEGIN IMMEDIATE")
        began = asyncio.get_running_loop().time()
        assert 503 == (await own.ask(PATHS[0])).status
        assert WAIT_S <= asyncio.get_running_loop().time() - began
    await all_is_well(own)


async def test_a_ledger_that_was_deleted_lets_nothing_pass(own):
    """The file is gone: a record written into what nobody will find again is no record (law 8)."""
    for file in aside(own, "ledger"):
        if file.is_file():
            file.unlink()
    await nothing_passes(own)


async def test_another_ledger_in_its_place_lets_nothing_pass(own):
    """A copy is put in the place of the real one, as a restored backup would be: it is not written past."""
    copy = own.folder / "copy"
    with opened(own, "ledger") as other:
        other.execute("VACUUM INTO ?", (str(copy),))
    for file in aside(own, "ledger"):
        if file.is_file():
            file.unlink()
    copy.rename(own.folder / "ledger.sqlite")
    await nothing_passes(own)


async def test_a_damaged_ledger_is_not_begun_with(tmp_path):
    """A file that is no ledger, or a broken one, stops the start: nothing is written beside it."""
    for text in (MARK.encode() * 1000, b"SQLite format 3\0" + b"\xff" * 5000):
        (tmp_path / "ledger.sqlite").write_bytes(text)
        with pytest.raises(LedgerUnavailable):
            await SqliteLedger.open(tmp_path / "ledger.sqlite")
        assert text == (tmp_path / "ledger.sqlite").read_bytes()


async def test_an_answer_whose_end_cannot_be_written_counts_as_disclosed(own):
    """The ledger takes the intent and not the completion: the answer was sent, and recovery says that nobody knows."""
    when = "BEFORE INSERT ON records WHEN NEW.kind = 'completion'"
    broken = f"CREATE TRIGGER broken {when} BEGIN SELECT RAISE(FAIL, 'x'); END"
    told = "an intent was left without completion: LedgerUnavailable"
    with opened(own, "ledger") as other:
        other.execute(broken)
        assert 200 == (await own.ask(PATHS[0])).status
        async with asyncio.timeout(5):
            while not [line for line in own.trap.heard if told in line]:  # noqa: ASYNC110  a log tells nobody
                await asyncio.sleep(0.01)
        other.execute("DROP TRIGGER broken")
    await own.gate.services.ledger.close()
    again = await SqliteLedger.open(own.folder / "ledger.sqlite")
    assert 1 == await again.recover(datetime.now(UTC))
    last = (await again.attempts(0, 1000))[-1]
    assert ("unknown", ("Condition/rosa-hypertension",)) == (
        last.completion.outcome,
        last.intent.account.disclosed[0].resources,
    )
    await again.close()


# Clients that go away ------------------------------------------------------------------------------------------------
def request(scene, path: str, *more: bytes, method: bytes = b"GET", client: str = PLAN) -> bytes:
    """A request as bytes."""
    head = b"%b /t/%b HTTP/1.1\r\nHost: x\r\nX-Purpose-Of-Use: HPAYMT\r\nAuthorization: Bearer %b\r\n"
    return head % (method, path.encode(), scene.gate.token(client).encode()) + b"".join(more) + b"\r\n"


def connected(scene) -> socket.socket:
    """A client that takes in little at a time."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", int(scene.gate.data.rpartition(":")[2])))
    client.setblocking(False)
    return client


async def test_an_answer_that_broke_off_is_recorded_as_such(tmp_path):
    """Large answers to clients that hang up, break off, or read no more: aborted, and the next client is served."""
    limits = "{body_bytes: 33554432, upstream_answer_s: 5.0, client_idle_s: 0.5}"
    async with staged(tmp_path, limits=limits) as scene:
        scene.server.lie("Observation/plain", answer(observation(note=[{"text": "x" * 12_000_000}])))
        for number, way in enumerate(["hangs up", "breaks off", "stops reading"], 1):
            loop, client = asyncio.get_running_loop(), connected(scene)
            await loop.sock_sendall(client, request(scene, "hospital/Observation/plain"))
            assert (await loop.sock_recv(client, 1000)).startswith(b"HTTP/1.1 200 OK\r\n")
            if way == "breaks off":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if way != "stops reading":
                client.close()
            assert "aborted" == (await completed(scene, number))[-1].completion.outcome.value, way
            client.close()
        assert 200 == (await scene.ask("Condition/rosa-hypertension")).status
        await scene.check()


async def test_a_push_that_was_cut_off_is_not_forwarded(own):
    """Half a Bundle, and the client is gone: nothing is decided, nothing leaves, nothing is told of it."""
    before = len(await own.gate.services.ledger.attempts(0, 1000))
    own.stub.seen.clear()
    whole = transaction(observation("a", note=[{"text": MARK}]))
    for length in (b"Content-Length: %d\r\n" % len(whole), b"Transfer-Encoding: chunked\r\n"):
        loop, client = asyncio.get_running_loop(), connected(own)
        kind = b"Content-Type: application/fhir+json\r\n"
        body = whole[:100] if length.startswith(b"C") else b"%x\r\n" % len(whole) + whole[:100]
        await loop.sock_sendall(client, request(own, "plan/", kind, length, method=b"POST", client=HOSPITAL) + body)
        await asyncio.sleep(0.05)
        client.close()
    await asyncio.sleep(0.05)
    assert before == len(await own.gate.services.ledger.attempts(0, 1000))
    assert [] == own.stub.seen
    await all_is_well(own)


async def test_a_client_that_leaves_during_a_push_was_heard(own):
    """The Bundle was forwarded when its sender left: it is recorded as sent."""
    before = len(await own.gate.services.ledger.attempts(0, 1000))
    heard = asyncio.Event()

    def slowly(seen):
        heard.set()
        entry = {"response": {"status": "201", "location": "Observation/1/_history/1"}}
        return [0.3, answer({"resourceType": "Bundle", "type": "transaction-response", "entry": [entry]})]

    own.server.take(slowly)
    body = transaction(observation("a"))
    loop, client = asyncio.get_running_loop(), connected(own)
    kind = b"Content-Type: application/fhir+json\r\nContent-Length: %d\r\n" % len(body)
    await loop.sock_sendall(client, request(own, "plan/", kind, method=b"POST", client=HOSPITAL) + body)
    await asyncio.wait_for(heard.wait(), 5)
    client.close()
    assert "sent" == (await completed(own, before + 1))[-1].completion.outcome.value


NONSENSE = {
    "no HTTP": MARK.encode() + b"\r\n\r\n",
    "another protocol": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": bytes.fromhex("16030100") + MARK.encode() * 50,
    "a NUL in a header": b"GET /t/hospital/Patient/rosa HTTP/1.1\r\nHost: x\r\nX-A: \0" + MARK.encode() + b"\r\n\r\n",
    "a method nobody knows": b"QUOKKA /t/hospital/Patient/quokka-p HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target without a path": b"GET quokka HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target of another server": b"GET http://quokka.example/t/hospital/Patient/quokka-p HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("case", NONSENSE)
async def test_bytes_that_are_no_request_are_not_repeated(scene, case):
    """What no HTTP parser takes is a 4xx without a word of it, and the connection ends."""
    found = await scene.gate.raw(NONSENSE[case].replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    scene.trap.errors.append(found)
    assert found == b"" or found.startswith(b"HTTP/1.1 4")
    assert [] == scene.stub.seen
