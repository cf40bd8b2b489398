"""What the SQLite driver does beyond the contract: processes on one file, damage, loss, requests that give up."""

import asyncio
import sqlite3

import pytest

from consent_store.model import Consent, PatientKey, Unreadable
from consent_store.sqlite import SqliteConsentStore
from consent_store.store import Failed, Found, StoreUnavailable
from tests.consents import r4
from tests.contract.drivers import ids, patient, put, subject
from tests.contract.writing_process import together


async def test_processes_write_to_one_file_together(tmp_path, repository):
    """Three processes that start at once lose none of each other's writes and no version of a shared Consent."""
    path = tmp_path / "consents.sqlite"
    assert [0, 0, 0] == await together(repository, 40, "sqlite", str(path))
    store = await SqliteConsentStore.open(path)
    assert {"both", *(f"{name}{number}" for name in "xyz" for number in range(40))} == await ids(store, subject("1"))
    assert "120" == (await store.get("both")).version
    await store.close()


async def filled(tmp_path):
    """A closed file with a Consent of patient 1 and one of patient 2."""
    path = tmp_path / "consents.sqlite"
    store = await SqliteConsentStore.open(path)
    await put(store, r4(id="a"))
    await put(store, r4(id="b", patient=patient("2")))
    await store.close()
    return path


def tamper(path, *statements):
    """Work on the file behind the store's back."""
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("table", ["consent_version", "subject_term"])
@pytest.mark.parametrize("form", ["DELETE FROM {}", "UPDATE {} SET id = 'x'"])
async def test_the_file_itself_refuses_to_forget(tmp_path, table, form):
    """Deleting or changing a row behind the gateway's back fails in the database (L081)."""
    path = await filled(tmp_path)
    with pytest.raises(sqlite3.IntegrityError):
        tamper(path, form.format(table))
    store = await SqliteConsentStore.open(path)
    assert {"a"} == await ids(store, subject("1"))
    await store.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE consent_version SET text = x'00ff' WHERE id = 'a'",
        "UPDATE consent_version SET text = 'words' WHERE id = 'a'",
        "UPDATE consent_version SET fhir_version = 9 WHERE id = 'a'",
        "DELETE FROM consent_version WHERE id = 'a'",
    ],
)
async def test_a_damaged_row_is_unreadable_for_its_patient_alone(tmp_path, damage):
    """Damage never reads as `no consents`: the patient has an Unreadable, the others what they had."""
    path = await filled(tmp_path)
    tamper(path, "DROP TRIGGER version_kept", "DROP TRIGGER version_fixed", damage)
    store = await SqliteConsentStore.open(path)
    snapshot = await store.snapshot([subject("1"), subject("2")])
    (mine,) = snapshot[subject("1")].consents
    assert isinstance(mine, Unreadable)
    assert ("a", PatientKey("ehr", "1")) == (mine.id, mine.patient)
    assert isinstance(snapshot[subject("2")].consents[0], Consent)
    await store.close()


async def test_a_file_that_is_no_store_is_unavailable(tmp_path):
    """No database, another's database, a later version's, a folder, no folder: none is taken for an empty store."""
    (tmp_path / "words").write_bytes(b"these are words, and no database at all" * 100)
    tamper(tmp_path / "other", "CREATE TABLE t (x)")
    later = await filled(tmp_path)
    tamper(later, "PRAGMA user_version = 2")
    for path in (tmp_path / "words", tmp_path / "other", later, tmp_path, tmp_path / "no" / "folder"):
        with pytest.raises(StoreUnavailable):
            await SqliteConsentStore.open(path)


async def test_a_file_that_goes_away_or_is_replaced_is_unavailable(tmp_path):
    """A store whose file was moved must not answer from, or write to, what nobody will open again."""
    path = await filled(tmp_path)
    store = await SqliteConsentStore.open(path)
    path.rename(tmp_path / "moved")
    for replaced in (False, True):
        if replaced:
            path.write_bytes(b"")
        for ask in (store.snapshot([subject("1")]), store.revisions([subject("1")]), put(store, r4(id="new"))):
            with pytest.raises(StoreUnavailable):
                await ask
    await store.close()


async def test_a_damaged_page_fails_those_it_holds_and_never_reads_as_none(tmp_path):
    """Whichever page of the file is broken: a look-up finds its consents or fails; where it can, the others go on."""
    path = tmp_path / "consents.sqlite"
    store = await SqliteConsentStore.open(path)
    who = [subject(str(number)) for number in range(120)]
    for one in who:
        await put(store, r4(id=f"c{one.key.id}", patient=patient(one.key.id)))
    await store.close()
    tamper(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    size = int.from_bytes(whole[16:18], "big")
    outcomes = set()
    for start in range(size, len(whole), size):
        path.write_bytes(whole[:start] + b"\xa5" * size + whole[start + size :])
        outcomes.add(await outcome(path, who))
    assert {frozenset({StoreUnavailable}), frozenset({Found, Failed})} <= outcomes


async def outcome(path, who) -> frozenset[type]:
    """How a look-up of these subjects ends, each of whom has a Consent."""
    try:
        store = await SqliteConsentStore.open(path)
    except StoreUnavailable:
        return frozenset({StoreUnavailable})
    try:
        answers = (await store.snapshot(who)).values()
    except StoreUnavailable:
        return frozenset({StoreUnavailable})
    finally:
        await store.close()
    assert all(isinstance(one, Failed) or one.consents for one in answers)
    return frozenset(type(one) for one in answers)


async def test_a_request_that_is_cancelled_leaves_no_half_write(tmp_path):
    """Whoever stops waiting finds the write done whole or not at all, and the store goes on."""
    store = await SqliteConsentStore.open(tmp_path / "consents.sqlite")
    for number in range(20):
        task = asyncio.create_task(put(store, r4(id=f"c{number}")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await put(store, r4(id="last"))
    found = await ids(store, subject("1"))
    assert "last" in found
    assert found == {one.id for one in await store.search(patient=None, status=None, consent_id=None)}
    await store.close()


async def test_the_loop_runs_on_while_the_store_works(tmp_path):
    """A big look-up happens in the store's own thread: other work of the loop goes on meanwhile."""
    store = await SqliteConsentStore.open(tmp_path / "consents.sqlite")
    for number in range(200):
        await put(store, r4(id=f"c{number}"))
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    await store.snapshot([subject("1")])
    turning.cancel()
    assert turns > 5
    await store.close()


async def test_the_file_is_its_owners_alone(tmp_path):
    """What patients said is not for every account of the machine."""
    path = await filled(tmp_path)
    assert 0 == path.stat().st_mode & 0o077
