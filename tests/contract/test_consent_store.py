"""What every ConsentStore driver does, asked of each in `drivers.DRIVERS`."""

import asyncio
import json

import pytest

from consent_store.filing import belongs_to
from consent_store.memory import MemoryConsentStore
from consent_store.model import Consent, PatientKey, Status, Unreadable
from consent_store.redis import RedisConsentStore
from consent_store.sqlite import SqliteConsentStore
from consent_store.store import ConsentStore, Failed, StoreUnavailable, Subject, VersionConflict
from consent_store.upstream import UpstreamConsentStore
from tests.consents import r4, r5, text
from tests.contract.drivers import AT, ids, mark, patient, person, put, subject


async def test_an_empty_store_answers_every_subject(readable):
    """No consents is an answer with a revision, not a failure."""
    who = [subject("1"), subject("2", "m2")]
    snapshot = await readable.snapshot(who)
    assert set(who) == set(snapshot)
    assert all(found.consents == () for found in snapshot.values())
    assert {} == await readable.snapshot([])


async def test_one_look_up_answers_for_many_subjects_and_mixes_nobody_up(readable):
    """Each of a hundred subjects gets its own consents and no one else's, with doubles in the question."""
    for number in range(100):
        await put(readable, r4(id=f"c{number}", patient=patient(str(number))))
    who = [subject(str(number)) for number in range(100)]
    snapshot = await readable.snapshot([*who, *who, subject("nobody")])
    assert {f"c{number}": str(number) for number in range(100)} == {
        one.id: asked.key.id for asked, found in snapshot.items() for one in found.consents
    }


async def test_key_and_identifiers_are_a_union(store):
    """A subject finds the consents of its record and of each of its identifiers, once each, from any source."""
    await put(store, r4(id="by-key", patient=patient("1")))
    await put(store, r4(id="by-mrn", patient=person("m1")))
    await put(store, r4(id="by-both", patient={**patient("1"), **person("m1")}))
    await put(store, r4(id="elsewhere", patient={**patient("7"), **person("m2")}), source="lab")
    await put(store, r4(id="other-source", patient=patient("1")), source="lab")
    await put(store, r4(id="own-base", patient={"reference": "http://ehr.example.org/fhir/Patient/1"}))
    assert {"by-key", "by-both", "own-base"} == await ids(store, subject("1"))
    assert {"by-key", "by-both", "own-base", "by-mrn"} == await ids(store, subject("1", "m1"))
    assert {"by-mrn", "by-both"} == await ids(store, subject("", "m1"))
    assert {"elsewhere"} == await ids(store, subject("9", "m2"))
    assert {"other-source"} == await ids(store, subject("1", source="lab"))


async def test_a_subject_that_cannot_be_asked_for_has_failed(readable):
    """Without record and identifier there is no look-up: the others are answered, this one never reads as `none`."""
    await put(readable, r4())
    nobody = Subject(PatientKey("ehr", ""))
    snapshot = await readable.snapshot([nobody, subject("1")])
    assert isinstance(snapshot[nobody], Failed)
    assert isinstance((await readable.revisions([nobody]))[nobody], Failed)
    assert 1 == len(snapshot[subject("1")].consents)


async def test_revisions_move_exactly_when_a_consent_of_the_subject_is_written(store):
    """A write for one subject moves its mark, by key or identifier, and nobody else's; reading moves none."""
    ann, bob, eve = subject("1", "m1"), subject("2"), subject("3", "m1")
    seen = [[await mark(store, who) for who in (ann, bob, eve)]]

    async def moved() -> list[bool]:
        seen.append([await mark(store, who) for who in (ann, bob, eve)])
        return [now != before for before, now in zip(seen[-2], seen[-1], strict=True)]

    assert [False, False, False] == await moved()
    await put(store, r4(id="a", patient=patient("1")))
    assert [True, False, False] == await moved()
    await put(store, r4(id="a", status="inactive"), expect="1")
    assert [True, False, False] == await moved()
    await put(store, r4(id="m", patient=person("m1")))
    assert [True, False, True] == await moved()
    with pytest.raises(VersionConflict):
        await put(store, r4(id="a", patient=patient("2")), expect="1")
    assert [False, False, False] == await moved()
    await put(store, r4(id="a", patient=patient("2")), expect="2")
    assert [True, True, False] == await moved()
    await put(store, r4(id="a", patient=patient("1")), expect="3")
    assert [True, True, False] == await moved()
    assert len(seen) - 2 == len({one[0] for one in seen})


async def test_the_same_text_again_is_a_new_version_and_a_new_revision(readable):
    """A write is a write: nobody has to compare texts to know that something was written."""
    await put(readable, r4())
    before = await mark(readable, subject("1"))
    assert "2" == (await put(readable, r4(), expect="1")).version
    assert before != await mark(readable, subject("1"))


async def test_a_stored_version_is_what_was_given_with_its_id_and_version(store):
    """The text is as accepted, with id, versionId and the instant of the write; a fresh id is given where none is."""
    first = await put(store, r4(id="a", meta={"profile": ["http://p"]}))
    body = json.loads(first.text)
    assert ("a", "1", "4.0", AT) == (first.id, first.version, first.fhir_version, first.at)
    assert {"profile": ["http://p"], "versionId": "1", "lastUpdated": AT} == body.pop("meta")
    assert r4(id="a") == body
    fresh = await put(store, r4(id=None))
    assert fresh.id == json.loads(fresh.text)["id"]
    assert fresh.id not in ("", "a")
    assert fresh == await store.get(fresh.id)


async def test_every_version_is_kept(store):
    """Old versions stay readable for ever, and a withdrawn Consent is still there, withdrawn."""
    first = await put(store, r4(id="a"))
    second = await put(store, r4(id="a", status="inactive"), expect="1", at="2025-03-02T09:00:00Z")
    assert (first, second, second) == (
        await store.get("a", "1"),
        await store.get("a", "2"),
        await store.get("a"),
    )
    for version in ("3", "0", "x", "01", "", "9" * 30):
        assert None is await store.get("a", version)
    assert None is await store.get("b")
    (found,) = (await store.snapshot([subject("1")]))[subject("1")].consents
    assert ("a", "2", Status.INACTIVE) == (found.id, found.version, found.status)


async def test_nothing_in_a_store_deletes():
    """No driver has a method for it."""
    for driver in (ConsentStore, MemoryConsentStore, SqliteConsentStore, RedisConsentStore, UpstreamConsentStore):
        assert [] == [name for name in dir(driver) if any(word in name for word in ("delete", "remove", "purge"))]


@pytest.mark.parametrize("expect", ["1", "2", "x", ""])
async def test_a_new_consent_expects_none(store, expect):
    """Who expects a version of a Consent that is not there is told so, and nothing is written."""
    with pytest.raises(VersionConflict):
        await put(store, r4(id="a"), expect=expect)
    assert None is await store.get("a")


@pytest.mark.parametrize("expect", [None, "0", "2", "01", ""])
async def test_an_update_expects_the_current_version(store, expect):
    """Of two writers who read the same version, one is told."""
    await put(store, r4(id="a"))
    with pytest.raises(VersionConflict):
        await put(store, r4(id="a", status="inactive"), expect=expect)
    assert "1" == (await store.get("a")).version


async def test_of_many_writers_at_once_exactly_one_wins(store):
    """Twenty updates of one version: one is stored, nineteen are told."""
    await put(store, r4(id="a"))
    outcomes = await asyncio.gather(
        *(put(store, r4(id="a", dateTime=f"20{n:02}"), expect="1") for n in range(20)), return_exceptions=True
    )
    assert 19 == sum(isinstance(one, VersionConflict) for one in outcomes)
    assert "2" == (await store.get("a")).version


async def test_what_cannot_be_read_is_kept_for_its_patient(store):
    """A malformed Consent that is put is stored, found, and Unreadable (law 2)."""
    await put(store, r4(id="a", status="nonsense"))
    await put(store, r4(id="b", provision="broken"))
    await put(store, text(r4(id="c"))[:-3])
    found = (await store.snapshot([subject("1")]))[subject("1")].consents
    assert {"a", "b", "c"} == {one.id for one in found}
    assert all(isinstance(one, Unreadable) and one.raw for one in found)


async def test_text_that_names_nobody_is_kept_under_a_fresh_id(store):
    """Nobody's look-up finds it, but it can be got, searched and looked into; its bytes are as they came."""
    stored = await put(store, b"\xff not a consent")
    assert b"\xff not a consent" == stored.text
    assert (stored,) == await store.search(patient=None, status=None, consent_id=stored.id)
    assert set() == await ids(store, subject("1"))


async def test_an_update_that_cannot_be_read_stays_with_its_patient(store):
    """A deny that is overwritten with an unreadable text keeps denying for the same people (L081)."""
    who = subject("1", "m1")
    await put(store, r4(id="a", patient={**patient("1"), **person("m1")}))
    before = await mark(store, who)
    await put(store, r4(id="a", patient="lost"), expect="1")
    for asked in (who, subject("1"), subject("", "m1")):
        (found,) = (await store.snapshot([asked]))[asked].consents
        assert isinstance(found, Unreadable)
        assert belongs_to(found, asked)
    assert before != await mark(store, who)


async def test_a_consent_of_any_status_is_found_and_moves_the_revision(readable):
    """Drafts, withdrawn and mistaken ones too: what they mean is decided elsewhere."""
    seen = [await mark(readable, subject("1"))]
    for number, status in enumerate(("draft", "proposed", "active", "rejected", "inactive", "entered-in-error")):
        await put(readable, r4(id=f"c{number}", status=status))
        found = (await readable.snapshot([subject("1")]))[subject("1")].consents
        assert status in {one.status for one in found}
        assert number + 1 == len(found)
        seen.append(await mark(readable, subject("1")))
    assert len(seen) == len(set(seen))


async def test_both_versions_of_fhir_live_together(store):
    """An R4 and an R5 Consent of one patient are both found, each read as what it is."""
    await put(store, r4(id="four"))
    await put(store, r5(id="five"), version="5.0")
    found = (await store.snapshot([subject("1")]))[subject("1")].consents
    assert {("four", "4.0"), ("five", "5.0")} == {(one.id, one.fhir_version) for one in found}
    assert all(isinstance(one, Consent) for one in found)


async def test_search_gives_the_current_versions_that_match_all(store):
    """By patient, status and id, together, ordered by id."""
    await put(store, r4(id="b", patient=patient("1")))
    await put(store, r4(id="a", patient=patient("1")))
    await put(store, r4(id="a", patient=patient("1"), status="inactive"), expect="1")
    await put(store, r4(id="c", patient=patient("2")))

    async def found(who=None, status=None, consent_id=None):
        stored = await store.search(patient=who, status=status, consent_id=consent_id)
        return [(one.id, one.version) for one in stored]

    assert [("a", "2"), ("b", "1"), ("c", "1")] == await found()
    assert [("a", "2"), ("b", "1")] == await found(subject("1"))
    assert [("b", "1")] == await found(subject("1"), "active")
    assert [("a", "2")] == await found(status="inactive")
    assert [("c", "1")] == await found(consent_id="c")
    assert [] == await found(subject("1"), None, "c")
    assert [] == await found(Subject(PatientKey("ehr", "")))


@pytest.mark.parametrize("hostile", ["' OR 1=1 --", '"], "x', "%", "\u202e", "a\x00b", "ключ"])
async def test_hostile_names_are_only_names(store, hostile):
    """Whatever an identifier or a question holds, it finds what equals it and nothing else."""
    await put(store, r4(id="plain"))
    await put(store, r4(id="odd", patient=person(hostile)))
    assert {"odd"} == await ids(store, subject("", hostile))
    assert () == await store.search(patient=None, status=hostile, consent_id=hostile)
    assert None is await store.get(hostile)


async def test_a_closed_store_is_unavailable(store):
    """Nothing asked of it afterwards reads as `no consents`; closing twice is no error."""
    await store.close()
    await store.close()
    for ask in (
        store.snapshot([subject("1")]),
        store.revisions([subject("1")]),
        store.get("a"),
        store.search(patient=None, status=None, consent_id=None),
        put(store, r4()),
    ):
        with pytest.raises(StoreUnavailable):
            await ask


async def test_a_write_is_there_after_opening_again(lasting):
    """Text, versions, index and revision are the same in the next process."""
    first = await lasting()
    await put(first, r4(id="a"))
    stored = await put(first, r4(id="a", status="inactive"), expect="1")
    before = await mark(first, subject("1"))
    await first.close()
    again = await lasting()
    assert stored == await again.get("a")
    assert {"a"} == await ids(again, subject("1"))
    assert before == await mark(again, subject("1"))
    await again.close()


async def test_workers_see_each_others_writes_at_once(lasting):
    """Two stores on one file or server: what one has acknowledged the other finds, with the same revision (law 9)."""
    one, other = await lasting(), await lasting()
    for number in range(1, 30):
        before = await mark(other, subject("1"))
        expect = str(number - 1) if number > 1 else None
        await put(one, r4(id="a", status="inactive" if number % 2 else "active"), expect=expect)
        after = await mark(other, subject("1"))
        assert before != after
        assert after == await mark(one, subject("1"))
        one, other = other, one
    await one.close()
    await other.close()
