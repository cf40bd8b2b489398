"""What is left in a released record of one that is not: nothing, also where the other only stands in its context."""

import pytest

from tests.attack.records import ROSA

pytestmark = pytest.mark.asyncio(loop_scope="session")


def claim(**more):
    """A claim of Rosa's that rests on a coverage."""
    line = {"productOrService": {"text": "visit"}, "sequence": 1, "net": {"value": 10}}
    return {
        "resourceType": "Claim",
        "id": "hers",
        "status": "active",
        "use": "claim",
        "type": {"coding": [{"code": "professional"}]},
        "priority": {"coding": [{"code": "normal"}]},
        "created": "2026-03-10",
        "patient": {"reference": ROSA},
        "provider": {"reference": "Organization/mercy"},
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/named"}}],
        "item": [line],
    } | more


@pytest.mark.parametrize("payor", ["Organization/sunrise", "Organization/harbor"])
async def test_L032_what_could_not_be_released_by_itself_is_not_pointed_at(scene, payor):
    """A coverage that names the addiction clinic as payor is not released; so no claim says that it is there."""
    coverage = {"resourceType": "Coverage", "id": "named", "status": "active", "beneficiary": {"reference": ROSA}}
    scene.server.hold(claim(), coverage | {"payor": [{"reference": payor}]})
    alone = (await scene.ask("Coverage/named")).status
    found = await scene.ask("Claim?patient=rosa")
    pointed = b"Coverage/named" in found.body
    assert (200, alone == 200) == (found.status, pointed)
    assert (payor == "Organization/sunrise") == (alone == 200)
