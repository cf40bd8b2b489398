"""Consents that HAPI itself holds, read by the `upstream` driver: pages, promptness, identifiers, what disappears."""

import pytest

from consent_store.fetching import AiohttpFetch
from consent_store.model import Identifier, PatientKey, Status
from consent_store.store import Failed, Found, Subject
from consent_store.upstream import FhirServer, UpstreamConsentStore
from gateway.proxy.upstream import new_session
from tests.consents import MRN, r4, text

SOURCE = "hapi"
MANY = 230
"""More than two pages, of what the driver asks for at a time and of what HAPI gives."""


def patient(record: str, mrn: str) -> bytes:
    """A Patient with one MRN."""
    return text({"resourceType": "Patient", "id": record, "identifier": [{"system": MRN, "value": mrn}]})


def consent(name: str, record: str, **parts) -> bytes:
    """A Consent of this patient, whose references HAPI can resolve."""
    return text(r4(id=name, patient={"reference": f"Patient/{record}"}, organization=None, **parts))


@pytest.fixture(scope="module")
def filled(server):
    """HAPI with patients of this file's own: one with many Consents, two records of one person."""
    server.load([patient("cs-many", "cs-1"), patient("cs-one", "cs-2"), patient("cs-twin", "cs-2")])
    server.load([consent(f"cs-many-{number}", "cs-many") for number in range(MANY)])
    server.load([consent("cs-one-1", "cs-one"), consent("cs-twin-1", "cs-twin")])
    return server


@pytest.fixture
async def store_of(filled):
    """Makes a store that reads HAPI, asking for identifiers by these parameters too."""
    async with new_session(8, 5.0, 60.0) as session:
        fetch = AiohttpFetch(session, authorization=filled.authorization)

        def made(*by_identifier: str, alerts: list[str] | None = None) -> UpstreamConsentStore:
            served = FhirServer(
                base=filled.base, fetch=fetch, own_bases=frozenset({filled.base}), by_identifier=by_identifier
            )
            told = alerts if alerts is not None else []
            return UpstreamConsentStore({SOURCE: served}, alert=told.append)

        yield made


async def found(store, record: str, *mrns: str) -> Found | Failed:
    """What is found of one patient."""
    who = Subject(PatientKey(SOURCE, record), frozenset(Identifier(MRN, mrn) for mrn in mrns))
    return (await store.snapshot([who]))[who]


async def test_every_page_is_read(store_of, filled):
    """As many as were loaded, over as many pages as HAPI makes of them."""
    before = len(filled.requests)
    answer = await found(store_of(), "cs-many")
    assert {f"cs-many-{number}" for number in range(MANY)} == {one.id for one in answer.consents}
    assert 3 <= len(filled.requests) - before


async def test_what_is_written_to_hapi_counts_at_once(store_of, filled):
    """However often it changes, each look-up finds what HAPI holds now, and the revision moves (L083)."""
    store = store_of()
    seen = []
    for number in range(10):
        status = Status.INACTIVE if number % 2 else Status.ACTIVE
        filled.load([consent("cs-one-1", "cs-one", status=status, dateTime=f"20{number:02}")])
        answer = await found(store, "cs-one")
        assert [("cs-one-1", status)] == [(one.id, one.status) for one in answer.consents]
        seen.append(answer.revision)
    assert 10 == len(set(seen))
    filled.load([consent("cs-one-2", "cs-one")])
    assert {"cs-one-1", "cs-one-2"} == {one.id for one in (await found(store, "cs-one")).consents}


def test_hapi_told_not_to_store_cuts_the_answer_off(filled):
    """Why the driver never says `no-store`: HAPI then gives one page, calls it all, and links no other."""
    search = f"{filled.base}/Consent?patient=Patient/cs-many&_count=20"
    answers = [filled.client.get(search, headers={"Cache-Control": said}).json() for said in ("no-store", "no-cache")]
    assert [(20, False), (20, True)] == [
        (len(one["entry"]), any(link["relation"] == "next" for link in one["link"])) for one in answers
    ]
    assert 20 == answers[0]["total"]


async def test_another_record_of_the_person_is_found_by_identifier(store_of):
    """Asked by `patient.identifier` too, the Consents of both records count, confirmed by the other Patient."""
    assert "cs-one-1" not in {one.id for one in (await found(store_of(), "cs-twin", "cs-2")).consents}
    answer = await found(store_of("patient.identifier"), "cs-twin", "cs-2")
    assert {"cs-one-1", "cs-twin-1"} <= {one.id for one in answer.consents}


async def test_a_deleted_consent_keeps_denying(store_of, filled):
    """Deleted in HAPI behind the gateway's back: the patient's look-up fails, and it is told (L081)."""
    filled.load([patient("cs-gone", "cs-3")])
    filled.load([consent("cs-gone-1", "cs-gone")])
    told: list[str] = []
    store = store_of(alerts=told)
    assert isinstance(await found(store, "cs-gone"), Found)
    filled.client.delete(f"{filled.base}/Consent/cs-gone-1").raise_for_status()
    assert Failed("a consent that was seen before is gone") == await found(store, "cs-gone")
    assert 1 == len(told)


async def test_a_parameter_that_hapi_does_not_know_is_no_answer(store_of):
    """HAPI refuses what it does not understand; it is not taken for an empty answer."""
    assert isinstance(await found(store_of("patient.nonsense"), "cs-one", "cs-2"), Failed)


async def test_a_patient_without_consents_has_none(store_of):
    """The positive control: an empty searchset is an answer."""
    answer = await found(store_of(), "cs-nobody")
    assert () == answer.consents
