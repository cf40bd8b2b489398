"""Consents that are read from the FHIR server itself: all of them, of the right patient, and none forgotten."""

import asyncio
import json
from collections import Counter

import pytest

from consent_store.model import Consent, Identifier, PatientKey, Status, Unreadable
from consent_store.store import Failed, Found, NotOffered, StoreUnavailable, Subject
from tests.consents import MRN, deny, r4, text
from tests.contract.upstream_consents import look_up, of, patient, subject
from tests.fhir_consents import FhirConsents, answer, entry, searchset, store_of


# Whole answers ----------------------------------------------------------------------------------------------------
async def test_consents_of_every_status_and_page_are_found():
    """Sixty Consents in pages of twenty, the deny on the last page, and each status there is (L087)."""
    server = FhirConsents(page=20)
    for number in range(60):
        status = list(Status)[number % 7] if number % 7 in {0, 2, 3, 4, 6} else "active"
        server.consents[f"c{number}"] = of("1", id=f"c{number}", status=status)
    server.consents["c59"] = of("1", id="c59", provision=deny())
    found = await look_up(store_of(server), subject("1"))
    assert {f"c{number}" for number in range(60)} == {one.id for one in found.consents}
    statuses = Counter(one.status for one in found.consents if isinstance(one, Consent))
    assert {"draft", "active", "rejected", "inactive", "entered-in-error"} <= set(statuses)
    assert 3 * 2 == len(server.asked)


async def test_a_consent_is_found_as_it_is_read_anywhere():
    """Id, version, patient, exact text: what the server sent, read by the one reader."""
    server = FhirConsents()
    exact = b'{ "resourceType":"Consent", "id":"a", "meta":{"versionId":"7"}, "x": 1.10 }'
    whole = json.dumps(searchset("HERE")).encode().replace(b'"HERE"', exact)
    server.bend = lambda url, given: answer(whole)
    (one,) = (await look_up(store_of(server), subject("1"))).consents
    assert ("a", "7", exact) == (one.id, one.version, one.raw)


async def test_what_cannot_be_read_denies_for_its_patient():
    """A Consent of a strange status, or without a patient anybody can tell, is Unreadable, not left out (law 2)."""
    server = FhirConsents()
    strange, lost = of("1", id="a", status="nonsense"), r4(id="b", patient={"display": "somebody"})
    server.bend = lambda url, given: answer(searchset(strange, lost))
    found = await look_up(store_of(server), subject("1"))
    assert [Unreadable, Unreadable] == [type(one) for one in found.consents]
    assert {PatientKey("ehr", "1")} == {one.patient for one in found.consents}


@pytest.mark.parametrize(
    "bundle",
    [
        searchset(of("1"), total=None),
        searchset(of("1"), entry=[entry(of("1"), None)]),
        searchset(of("1"), link=None),
        searchset(
            of("1"),
            entry=[
                entry(of("1")),
                entry({"resourceType": "OperationOutcome", "issue": [{"severity": "information"}]}, "outcome"),
            ],
        ),
    ],
)
async def test_what_the_standard_leaves_open_is_taken_either_way(bundle):
    """No total, no mode, no links, an outcome that informs: still one whole page."""
    server = FhirConsents()
    server.bend = lambda url, given: answer(bundle)
    assert ["c1"] == [one.id for one in (await look_up(store_of(server), subject("1"))).consents]


async def test_each_look_up_asks_again():
    """Nothing is cached: what the server says now is what is found, and the revision moves with the text."""
    server = FhirConsents()
    store, who = store_of(server), subject("1")
    marks = [(await look_up(store, who)).revision]
    for status in ("active", "inactive", "active"):
        server.consents["a"] = of("1", id="a", status=status)
        found = await look_up(store, who)
        assert [status] == [one.status for one in found.consents]
        marks.append(found.revision)
    assert marks[1] == marks[3]
    assert 3 == len(set(marks))


async def test_a_version_that_does_not_count_hides_no_change():
    """A server that says version 1 of everything cannot make a revocation look like what was there before."""
    server = FhirConsents()
    server.consents["a"] = of("1", id="a", meta={"versionId": "1"})
    store = store_of(server)
    before = (await look_up(store, subject("1"))).revision
    server.consents["a"] = of("1", id="a", meta={"versionId": "1"}, status="inactive")
    assert before != (await look_up(store, subject("1"))).revision


# Whose they are ---------------------------------------------------------------------------------------------------
async def test_a_server_that_leaves_the_question_out_is_not_believed():
    """Where `patient` is not understood everybody's Consents come back: nobody's permit becomes another's."""
    server = FhirConsents()
    server.bend = lambda url, given: given if "/Patient/2" in url else answer(searchset(of("2", id="b")))
    server.patients = {"2": patient("2", "m2")}
    why = Failed("the answer holds another patient's consent")
    assert why == await look_up(store_of(server), subject("1"))
    assert why == await look_up(store_of(server, "patient.identifier"), subject("1", "m1"))


async def test_identifiers_are_asked_for_where_it_is_told():
    """A Consent of another record of the same person, shown by that record, and one that names no record at all."""
    server = FhirConsents()
    server.patients = {"1": patient("1", "m1"), "7": patient("7", "m0", "m1")}
    server.consents = {
        "own": of("1", id="own"),
        "other": of("7", id="other"),
        "logical": r4(id="logical", patient={"identifier": {"system": MRN, "value": "m1"}}),
    }
    who = subject("1", "m1")
    assert {"own"} == {one.id for one in (await look_up(store_of(server), who)).consents}
    found = await look_up(store_of(server, "patient.identifier", "patient:identifier"), who)
    assert {"own", "other", "logical"} == {one.id for one in found.consents}
    assert all(isinstance(one, Consent) for one in found.consents)
    alone = await look_up(store_of(server, "patient.identifier"), subject("", "m1"))
    assert {"own", "other"} == {one.id for one in alone.consents}


@pytest.mark.parametrize(
    "record",
    [None, patient("7", "m2"), patient("8", "m1"), {**patient("7", "m1"), "resourceType": "Person"}],
)
async def test_another_record_is_not_the_same_person_on_a_servers_word(record):
    """The other record must be there and have the identifier itself."""
    server = FhirConsents()
    server.patients = {"7": record}
    server.bend = lambda url, given: given if "/Patient/" in url else answer(searchset(of("7")))
    assert isinstance(await look_up(store_of(server, "patient.identifier"), subject("1", "m1")), Failed)


async def test_an_identifier_is_one_value_whatever_it_holds():
    """What separates values in a search is escaped in ours."""
    server = FhirConsents()
    who = Subject(PatientKey("ehr", ""), frozenset({Identifier("http://s|t", "a,b$c\\d")}))
    await store_of(server, "patient:identifier").snapshot([who])
    assert "patient%3Aidentifier=http%3A//s%5C%7Ct%7Ca%5C%2Cb%5C%24c%5C%5Cd&" in server.asked[0]


@pytest.mark.parametrize(
    "who",
    [
        subject(""),
        subject("", "m1"),
        subject("urn:uuid:5f1c0b6e-0000-4000-8000-000000000001", "m1"),
        subject("a/../b"),
        subject("1?x=1"),
        subject("1", source="lab"),
        subject("1", source=""),
    ],
)
async def test_who_cannot_be_asked_for_has_failed(who):
    """No record id, an id that is none, no server of this source: that is not `no consents`, and nobody is asked."""
    server = FhirConsents()
    assert isinstance(await look_up(store_of(server), who), Failed)
    assert [] == server.asked


# Disappearance ----------------------------------------------------------------------------------------------------
async def test_a_consent_that_disappears_keeps_denying():
    """A deny that is deleted behind the gateway's back: the patient fails from then on, and it is told once (L081)."""
    server, told = FhirConsents(), []
    server.consents = {"a": of("1", id="a", provision=deny()), "b": of("2", id="b")}
    store = store_of(server, told=told)
    assert 1 == len((await look_up(store, subject("1"))).consents)
    kept = server.consents.pop("a")
    for _ in range(2):
        assert Failed("a consent that was seen before is gone") == await look_up(store, subject("1"))
        assert isinstance(await look_up(store, subject("2")), Found)
    assert 1 == len(told)
    server.consents["a"] = kept
    assert 1 == len((await look_up(store, subject("1"))).consents)


async def test_the_memory_of_what_was_seen_is_bounded():
    """The limit that is documented: of more subjects than are remembered the oldest are forgotten."""
    server = FhirConsents()
    server.consents = {f"c{record}": of(str(record), id=f"c{record}") for record in range(3)}
    store = store_of(server, remembered=2)
    for record in range(3):
        await look_up(store, subject(str(record)))
    server.consents.clear()
    assert isinstance(await look_up(store, subject("2")), Failed)
    assert isinstance(await look_up(store, subject("0")), Found)


async def test_an_answer_that_was_overtaken_is_no_disappearance():
    """A slow answer from before a Consent was made does not say that it is gone."""
    server, told = FhirConsents(), []
    first = asyncio.Event()

    async def slow(url):
        given = await server(url)
        if not first.is_set():
            first.set()
            await asyncio.sleep(0.05)
        return given

    store = store_of(slow, told=told)
    earlier = asyncio.create_task(store.snapshot([subject("1")]))
    await first.wait()
    server.consents["a"] = of("1", id="a")
    assert 1 == len((await look_up(store, subject("1"))).consents)
    assert () == (await earlier)[subject("1")].consents
    assert [] == told


# Bounds, and what is not offered ------------------------------------------------------------------------------------
async def test_a_server_that_is_slow_fails_in_time_and_is_not_flooded():
    """Twenty patients of a page are asked for two at a time, and all have an answer when the time is over."""
    at_once, most = 0, 0

    class Slow(FhirConsents):
        async def __call__(self, url):
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            try:
                await asyncio.sleep(0.05)
                return await super().__call__(url)
            finally:
                at_once -= 1

    store = store_of(Slow(), at_once=2, answer_s=0.2)
    began = asyncio.get_running_loop().time()
    answers = await store.snapshot([subject(str(record)) for record in range(20)])
    assert asyncio.get_running_loop().time() - began < 1
    assert 2 == most
    assert {Found, Failed} == {type(one) for one in answers.values()}


async def test_nothing_is_written_and_nothing_looked_up_but_by_subject():
    """The Consent API rests on these: it is told that they are never offered."""
    store = store_of(FhirConsents())
    for ask in (
        lambda: store.put("ehr", text(r4()), fhir_version="4.0", at="2025", expect=None),
        lambda: store.get("a"),
        lambda: store.search(patient=subject("1"), status=None, consent_id=None),
    ):
        with pytest.raises(NotOffered):
            await ask()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.snapshot([subject("1")])
