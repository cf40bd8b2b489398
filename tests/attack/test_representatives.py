"""Who speaks for a patient: the patient, or a representative of verified authority; death opens nothing (L093)."""

import json

import pytest
import pytest_asyncio

from tests.e2e.world import PLAN, embedded, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

RECORD = "Encounter/rosa-harbor-intake"
MOTHER = {"resourceType": "RelatedPerson", "id": "mother", "patient": {"reference": "Patient/rosa"}, "active": True}
STRANGER = {"resourceType": "RelatedPerson", "id": "stranger", "patient": {"reference": "Patient/dana"}, "active": True}
BY_MOTHER, BY_STRANGER = ([{"reference": f"RelatedPerson/{one}"}] for one in ("mother", "stranger"))
VERIFIED = [{"verified": True, "verifiedWith": {"reference": "RelatedPerson/mother"}}]
UNVERIFIED = [{"verified": False}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory):
    """A gateway before the story and two related persons, and its upstream."""
    folder = tmp_path_factory.mktemp("representatives")
    async with embedded([MOTHER, STRANGER]) as (upstream, base), world(folder, base) as gate:
        yield gate, upstream


GIVEN = {
    "by the patient": ({}, 200),
    "by a representative of verified authority": ({"performer": BY_MOTHER, "verification": VERIFIED}, 200),
    "by a representative": ({"performer": BY_MOTHER}, 404),
    "by one whose authority was denied": ({"performer": BY_MOTHER, "verification": UNVERIFIED}, 404),
    "by somebody of another patient": ({"performer": BY_STRANGER, "verification": VERIFIED}, 404),
}


@pytest.mark.parametrize("case", GIVEN)
@pytest.mark.parametrize("life", [{}, {"deceasedBoolean": True}, {"deceasedDateTime": "2026-11-21"}], ids=str)
async def test_L093_a_consent_is_the_patients_or_a_representatives(house, case, life):
    """What a program may tell the plan needs a consent of the patient's, or of who was shown to act for it, and no less
    where the patient has died (42 CFR 2.15(b); 45 CFR 164.502(f), (g)): without one it is as if it never was."""
    gate, upstream = house
    changes, status = GIVEN[case]
    rosa = json.loads(upstream.store.read("Patient", "rosa").raw)
    upstream.store.put(json.dumps(rosa | life).encode(), "Patient", "rosa")
    never = await gate.ask("Encounter/never-was", PLAN, "HPAYMT")
    try:
        before = await gate.ask(RECORD, PLAN, "HPAYMT")
        assert never.constant == before.constant
        consent = await gate.consent("rosa-part2.json", **changes)
        found = await gate.ask(RECORD, PLAN, "HPAYMT")
        await gate.revoke(consent)
    finally:
        upstream.store.put(json.dumps(rosa).encode(), "Patient", "rosa")
    assert status == found.status
    assert status == 200 or never.constant == found.constant
