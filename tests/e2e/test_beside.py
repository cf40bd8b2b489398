"""What is gathered beside a page, from outside: what the server brings along, and what no count on a page may tell."""

import pytest

from gateway.demo.upstream import EmbeddedUpstream
from gateway.proxy.context import MOST_POINTING
from tests.e2e.test_pages import alike, observation
from tests.e2e.world import PASSWORD, USER, embedded, serve, story_resources, world

pytestmark = pytest.mark.asyncio(loop_scope="function")

SEARCH = "Observation?patient=rosa&code=http://loinc.org|8867-4"


def provenances(of, count, who="Organization/mercy"):
    """So many Provenances of one observation."""
    return [
        {
            "resourceType": "Provenance",
            "id": f"{of}-{number}",
            "target": [{"reference": f"Observation/{of}"}],
            "recorded": "2026-02-01T09:00:00Z",
            "agent": [{"who": {"reference": who}}],
        }
        for number in range(count)
    ]


async def page(folder, records):
    """The plan's page of Rosa's heart rates before a server that holds these records."""
    async with embedded(records) as (_, base), world(folder, base) as gate:
        answer = await gate.ask(SEARCH)
        return answer.ids, alike(answer, gate)


async def test_L023_how_many_provenances_a_hidden_record_has_is_not_told(tmp_path):
    """More than are read of one record: the page is as if the hidden record and they had never been there."""
    shown = [observation(number, hidden=False) for number in (1, 2)]
    made = provenances("walk-01", 1)
    crowd = [observation(3, hidden=True), *provenances("walk-03", MOST_POINTING + 1)]
    full = await page(tmp_path / "full", [*shown, *crowd, *made])
    assert ["walk-01", "walk-02"] == full[0]
    assert await page(tmp_path / "absent", [*shown, *made]) == full


async def test_nobody_can_say_who_made_a_record_with_more_provenances_than_are_read(tmp_path):
    """None of those that would have been read names the program, and one that would not might: it is withheld."""
    shown = [observation(number, hidden=False) for number in (1, 2)]
    found, _ = await page(tmp_path, [*shown, *provenances("walk-01", MOST_POINTING + 1)])
    assert ["walk-02"] == found


async def test_what_a_provenance_names_counts_wherever_it_is_among_many(tmp_path):
    """As many as are read, the last of them the program's: withheld; all of them the hospital's: not."""
    shown = [observation(number, hidden=False) for number in (1, 2)]
    last = [*provenances("walk-01", MOST_POINTING - 1), *provenances("walk-01-p", 1, "Organization/harbor")]
    last[-1]["target"] = last[0]["target"]
    found, _ = await page(tmp_path / "program", [*shown, *last])
    assert ["walk-02"] == found
    found, _ = await page(tmp_path / "hospital", [*shown, *last[:-1]])
    assert ["walk-01", "walk-02"] == found


class _Stubborn(EmbeddedUpstream):
    """A server that states what `_include` takes, and takes none."""

    def _search(self, asked):
        self.refused = getattr(self, "refused", 0) + ("_include" in asked.query)
        if "_include" in asked.query:
            asked = type(asked)(asked.method, asked.path, "no-such-parameter=1", asked.body, asked.base)
        return super()._search(asked)


async def test_a_server_that_brings_nothing_is_asked_again_without(tmp_path):
    """The page is the same as from a server that does, and the search is not widened for it."""
    records = [observation(number, hidden=number == 2) for number in (1, 2, 3)]
    app = _Stubborn([*story_resources(), *records], credentials=(USER, PASSWORD))
    async with serve(app) as base, world(tmp_path, base) as gate:
        assert ["walk-01", "walk-03"] == (await gate.ask(SEARCH)).ids
    searches = [one.query for one in app.requests if one.path.endswith("/Observation")]
    assert 1 == app.refused
    assert 2 == len(searches)
    assert all("code=" in query for query in searches)


async def test_what_the_server_brings_beside_a_page_does_not_come(tmp_path):
    """Nobody asked for the patient, the visit and the hospital: they are context, and no entries."""
    async with embedded([observation(1, hidden=False)]) as (upstream, base), world(tmp_path, base) as gate:
        answer = await gate.ask(SEARCH)
        assert [("match", "walk-01")] == [(e["search"]["mode"], e["resource"]["id"]) for e in answer.json["entry"]]
        assert any("_include=Observation%3Aencounter" in one.query for one in upstream.requests)
        assert not any(one.path.endswith("/Encounter") for one in upstream.requests)


async def test_who_works_for_a_program_is_looked_up_where_records_say_who_made_them(tmp_path):
    """A record made by a person alone, whose one role is at the program: withheld, as `decide` would with that role;
    one by a person with no such role is not."""
    people = [{"resourceType": "Practitioner", "id": id_} for id_ in ("hers", "theirs")]
    role = {
        "resourceType": "PractitionerRole",
        "id": "at-harbor",
        "practitioner": {"reference": "Practitioner/theirs"},
        "organization": {"reference": "Organization/harbor"},
    }
    shown = [
        {name: value for name, value in observation(number, hidden=False).items() if name != "encounter"}
        | {"performer": [{"reference": f"Practitioner/{id_}"}]}
        for number, id_ in ((1, "hers"), (2, "theirs"))
    ]
    found, _ = await page(tmp_path, [*people, role, *shown])
    assert ["walk-01"] == found


async def test_L032_a_reference_goes_with_a_record_that_goes_with_what_it_names(tmp_path):
    """The claim that a bill answers has nothing but a withheld diagnosis, and goes with it: the bill names no claim,
    though what the claim names is two steps away."""
    condition = {
        "resourceType": "Condition",
        "id": "hidden",
        "subject": {"reference": "Patient/rosa"},
        "encounter": {"reference": "Encounter/rosa-harbor-intake"},
        "code": {"text": "hidden"},
    }
    claim = {
        "resourceType": "Claim",
        "id": "claimed",
        "status": "active",
        "use": "claim",
        "type": {"text": "professional"},
        "priority": {"text": "normal"},
        "created": "2026-02-01",
        "patient": {"reference": "Patient/rosa"},
        "provider": {"reference": "Organization/mercy"},
        "diagnosis": [{"sequence": 1, "diagnosisReference": {"reference": "Condition/hidden"}}],
        "item": [{"sequence": 1, "productOrService": {"text": "x"}, "diagnosisSequence": [1]}],
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "x"}}],
    }
    bill = {
        "resourceType": "ExplanationOfBenefit",
        "id": "bill",
        "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}]},
        "status": "active",
        "use": "claim",
        "type": {"text": "professional"},
        "created": "2026-02-01",
        "outcome": "complete",
        "patient": {"reference": "Patient/rosa"},
        "insurer": {"reference": "Organization/mercy"},
        "provider": {"reference": "Organization/mercy"},
        "claim": {"reference": "Claim/claimed"},
        "insurance": [{"focal": True, "coverage": {"display": "x"}}],
    }
    async with embedded([condition, claim, bill]) as (_, base), world(tmp_path, base) as gate:
        assert 404 == (await gate.ask("Claim/claimed")).status
        found = await gate.ask("ExplanationOfBenefit/bill")
        assert 200 == found.status, found.body
        assert b"Claim/" not in found.body


async def test_what_a_provenance_says_of_a_visit_holds_for_what_was_found_there(tmp_path):
    """The program made the visit, as a Provenance of the visit alone tells: what was found there is withheld too."""
    visit = {
        "resourceType": "Encounter",
        "id": "visit",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": "Patient/rosa"},
    }
    made = provenances("x", 1, "Organization/harbor")[0] | {"target": [{"reference": "Encounter/visit"}]}
    found = observation(1, hidden=False) | {"encounter": {"reference": "Encounter/visit"}}
    async with embedded([visit, found]) as (_, base), world(tmp_path / "without", base) as gate:
        assert 200 == (await gate.ask("Observation/walk-01")).status
    async with embedded([visit, found, made]) as (_, base), world(tmp_path / "with", base) as gate:
        assert 404 == (await gate.ask("Encounter/visit")).status
        assert 404 == (await gate.ask("Observation/walk-01")).status
        assert [] == (await gate.ask(SEARCH)).ids
