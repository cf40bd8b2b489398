"""The operations from outside: each gives what the searches would give, and is refused alike for everybody."""

from typing import Any

import pytest

from tests.attack.records import MARK, quokka, refusal
from tests.e2e.read_twins import alike, member, parameters, walked
from tests.e2e.world import Answer, World

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_everything_between_two_dates_is_what_was_done_then(twins):
    """Observations and conditions of other days stay away; the patient, and what has no such date, comes."""
    whole = (await twins.full.ask("Patient/rosa/$everything")).json["entry"]
    days = {
        one["resource"]["effectiveDateTime"][:10]
        for one in whole
        if one["resource"]["resourceType"] == "Observation" and "effectiveDateTime" in one["resource"]
    }
    day = min(days)
    some = (await twins.full.ask(f"Patient/rosa/$everything?start={day}&end={day}")).json["entry"]
    found = [one["resource"] for one in some if one["resource"]["resourceType"] == "Observation"]
    assert 1 < len(days)
    assert {day} == {one["effectiveDateTime"][:10] for one in found}
    assert "Patient" in {one["resource"]["resourceType"] for one in some}


async def test_L048_everything_is_everything_that_the_searches_give(twins):
    """The positive control: what is released of a patient by type is released in one, and what it names beside it."""
    pages = await walked(twins.full, "Patient/rosa/$everything?_count=4")
    entries = [entry for page in pages for entry in page.json["entry"]]
    matches = [entry["fullUrl"].split("/t/hospital/")[1] for entry in entries if entry["search"]["mode"] == "match"]
    assert len(set(matches)) == len(matches)
    for type_ in ("Observation", "Condition", "Encounter", "DocumentReference", "MedicationRequest"):
        found = [id_ for page in await walked(twins.full, f"{type_}?patient=rosa&_count=50") for id_ in page.ids]
        assert sorted(found) == sorted(name.split("/")[1] for name in matches if name.startswith(f"{type_}/"))
    included = {entry["fullUrl"].split("/")[-2] for entry in entries if entry["search"]["mode"] == "include"}
    assert {"Organization", "Practitioner"} <= included
    assert [4] * (len(pages) - 1) == [len(page.ids) for page in pages[:-1]]


async def test_L048_a_patient_who_is_hidden_has_nothing_and_is_nobody(twins):
    """Denied and never there: one answer, by every way that begins with a patient."""
    for way in ("$everything", "$everything?_type=Observation", "$everything?_count=2"):
        hidden, never = [await twins.full.ask(f"Patient/{id_}/{way}") for id_ in (f"{MARK}-p", "never")]
        assert hidden.constant == never.constant
        assert 404 == hidden.status


async def test_L035_a_document_holds_what_its_summary_may_name(twins):
    """The Composition first, then what it still names, each once; nothing of what was cut out of it."""
    found = (await twins.full.ask("Composition/summary/$document")).json
    names = [entry["fullUrl"].split("/t/hospital/")[1] for entry in found["entry"]]
    assert ("document", "Composition/summary") == (found["type"], names[0])
    assert ["Observation/walk-2", "Observation/walk-3", "Observation/walk-6"] == [
        n for n in names if "Observation" in n
    ]
    assert {"Patient/rosa", "Organization/mercy"} <= set(names)
    assert len(set(names)) == len(names)


async def test_L051_the_latest_are_the_latest_that_are_seen(twins):
    """The newest of each kind among what is released, as many as were asked for."""
    one = await twins.full.ask("Observation/$lastn?patient=rosa&code=8867-4")
    three = await twins.full.ask("Observation/$lastn?patient=Patient/rosa&code=http://loinc.org|8867-4&max=3")
    assert ["walk-6"] == one.ids
    assert ["walk-6", "walk-3"] == three.ids[:2]
    posted = parameters(patient="rosa", code="8867-4", max=3)
    assert three.ids == (await twins.full.ask("Observation/$lastn", method="POST", body=posted)).ids


async def test_L043_an_operation_by_post_is_the_operation_by_get(twins):
    """The form of the request changes nothing of the answer."""
    got = await twins.full.ask("Patient/rosa/$everything?_type=Observation")
    posted = await twins.full.ask("Patient/rosa/$everything", method="POST", body=parameters(_type="Observation"))
    assert alike(got, twins.full) == alike(posted, twins.full)


# Matching ------------------------------------------------------------------------------------------------------------
def described(id: str, number: str, family: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A person and their coverage as another plan would describe them."""
    person, coverage = member(id, number, family)
    return person | {"id": "theirs", "identifier": person["identifier"][:1]}, coverage | {"id": "theirs"}


def signed(**more: Any) -> dict[str, Any]:
    """The Consent that a plan sends along: its own organisation may receive."""
    role = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
    provision = {
        "type": "permit",
        "period": {"start": "2020-01-01", "end": "2099-01-01"},
        "actor": [{"role": role, "reference": {"reference": "Organization/sunrise"}}],
    }
    return refusal() | {"patient": {"reference": "Patient/theirs"}, "provision": provision | more}


async def matched(gate: World, who: tuple[dict, dict], consent: dict[str, Any]) -> Answer:
    """Ask who a person is."""
    body = parameters(MemberPatient=who[0], CoverageToMatch=who[1], Consent=consent)
    return await gate.ask("Patient/$member-match", method="POST", body=body)


async def test_L054_a_member_is_told_by_number_to_who_may_know(twins):
    """The positive control: one visible member, their coverage, a sound Consent."""
    found = await matched(twins.full, described("mia", "M-1", "Okapi"), signed())
    (told,) = found.json["parameter"]
    assert (200, "MemberIdentifier", "M-1") == (found.status, told["name"], told["valueIdentifier"]["value"])


async def test_L054_every_other_outcome_is_one_answer(twins):
    """Opted out, unknown, another's coverage, a Consent that is expired, of another or unsound: equal bytes."""
    mia, gone = described("mia", "M-1", "Okapi"), described(f"{MARK}-p", "M-2", MARK)
    wrong = [
        (gone, signed()),
        (described("never", "M-9", "Nobody"), signed()),
        ((mia[0], gone[1]), signed()),
        (mia, signed(period={"end": "2021-01-01"})),
        (mia, signed(actor=[])),
        (mia, signed() | {"status": "inactive"}),
        (mia, {"resourceType": "Consent", "status": "active"}),
    ]
    answers = [await matched(twins.full, who, consent) for who, consent in wrong]
    assert {422} == {answer.status for answer in answers}
    assert [answers[0].constant] * len(wrong) == [answer.constant for answer in answers]
    assert answers[0].constant == (await matched(twins.absent, *wrong[0])).constant


async def test_L054_a_match_is_among_those_who_are_visible(twins):
    """Graded here, of released forms; who said no is no candidate, however well described."""
    person, _ = described("mia", "M-1", "Okapi")
    hidden = quokka() | {"id": "theirs"}
    found = await twins.full.ask("Patient/$match", method="POST", body=parameters(resource=person))
    (entry,) = found.json["entry"]
    assert ("mia", 1.0) == (entry["resource"]["id"], entry["search"]["score"])
    assert "certain" == entry["search"]["extension"][0]["valueCode"]
    for gate in (twins.full, twins.absent):
        none = await gate.ask(
            "Patient/$match", method="POST", body=parameters(resource=hidden, onlyCertainMatches=True)
        )
        assert (200, 0, False) == (none.status, none.json["total"], "entry" in none.json)


@pytest.mark.parametrize("name", ["$export", "$graphql", "$meta", "$stats", "$graph", "$nothing", "$validate"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_L051_every_other_operation_is_refused_the_same_for_everybody(twins, name, method):
    """At each level, about whom ever: one refusal for each, and the upstream is asked nothing."""
    twins.upstream.requests.clear()
    body = b"{}" if method == "POST" else None
    for places in ([""], ["Patient/"], ["Patient/rosa/", f"Patient/{MARK}-p/", "Patient/never/"]):
        answers = [await twins.full.ask(f"{place}{name}", method=method, body=body) for place in places]
        assert {501} == {answer.status for answer in answers}
        assert 1 == len({str(answer.constant) for answer in answers})
    assert [] == twins.upstream.requests
