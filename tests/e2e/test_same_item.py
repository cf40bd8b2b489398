"""Where a record came from, at the door: a Provenance on the server shows it, where a rule asks (seed0 L34-40)."""

import pytest
import pytest_asyncio

from tests.e2e.world import embedded, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

DIRECTORY = """\
participants:
  - {id: mercy, type: health_home_lead, hipaa_covered: true, references: [Organization/mercy], purposes: []}
  - {id: agency, type: cma, hipaa_covered: true, purposes: [CAREMGT]}
  - {id: sunrise, type: mco, hipaa_covered: true, references: [Organization/sunrise], purposes: [CAREMGT]}
  - {id: clinic, type: provider_general, hipaa_covered: true, references: [Organization/clinic], purposes: []}
clients:
  - {client_id: agency-app, participant: agency}
  - {client_id: sunrise-app, participant: sunrise}
agreements:
  - {type: DEAA, between: [mercy, agency]}
  - {type: DEAA, between: [mercy, sunrise]}
"""


def team(name: str) -> dict:
    """A care team of the patient, with one member."""
    return {"resourceType": "CareTeam", "id": name, "status": "active", "subject": {"reference": "Patient/ida"}} | {
        "participant": [{"member": {"reference": "Organization/clinic"}}]
    }


def provenance(name: str, target: str, agent: str) -> dict:
    """Says from whom a record came."""
    return {
        "resourceType": "Provenance",
        "id": name,
        "target": [{"reference": target}],
        "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"who": {"reference": agent}}],
    }


RECORDS = [
    {"resourceType": "Patient", "id": "ida", "birthDate": "1980-03-01"},
    *map(team, ("from-plan", "from-clinic", "from-nobody", "claimed")),
    provenance("three", "CareTeam/claimed", "Organization/sunrise")
    | {"meta": {"tag": [{"system": "urn:consent-gateway:origin", "code": "pushed"}]}},
    provenance("one", "CareTeam/from-plan", "Organization/sunrise"),
    provenance("two", "CareTeam/from-clinic", "Organization/clinic"),
    *({"resourceType": "Organization", "id": name} for name in ("mercy", "sunrise", "clinic")),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory):
    """A Health Home's gateway, and its upstream."""
    async with embedded(RECORDS) as (upstream, base):
        folder = tmp_path_factory.mktemp("home")
        async with world(folder, base, profile="us-ny-health-home", directory=DIRECTORY) as gate:
            yield gate, upstream


async def test_what_the_plan_is_shown_to_have_given_goes_on(house):
    """An agency gets for outreach what a Provenance shows to have come from the plan, by search and by address."""
    gate, _ = house
    assert ["from-plan"] == (await gate.ask("CareTeam?patient=Patient/ida", "agency-app", "CAREMGT")).ids
    assert 200 == (await gate.ask("CareTeam/from-plan", "agency-app", "CAREMGT")).status
    for name in ("from-clinic", "from-nobody"):
        assert 404 == (await gate.ask(f"CareTeam/{name}", "agency-app", "CAREMGT")).status


async def test_L080_what_a_sender_says_of_where_it_came_from_shows_nothing(house):
    """A Provenance that was pushed is data: it opens nothing that the plan's own word would open."""
    assert 404 == (await house[0].ask("CareTeam/claimed", "agency-app", "CAREMGT")).status


async def test_provenances_are_asked_for_only_where_a_rule_asks(house):
    """Another exchange at the same door costs no call for them."""
    gate, upstream = house
    upstream.requests.clear()
    await gate.ask("CareTeam/from-plan", "sunrise-app", "CAREMGT")
    assert [] == [one for one in upstream.requests if "Provenance" in str(one)]
    await gate.ask("CareTeam/from-plan", "agency-app", "CAREMGT")
    assert 1 == len([one for one in upstream.requests if "Provenance" in str(one)])
