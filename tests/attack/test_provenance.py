"""Who made a record, where only a Provenance beside it says so."""

import pytest

from tests.attack.records import observation
from tests.attack.scene import searchset

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_L042_a_provenance_tells_whose_a_record_is(scene):
    """A reading that nothing but a Provenance beside it shows to be the addiction clinic's is the clinic's."""
    who = {"resourceType": "Provenance", "id": "of-hers", "recorded": "2026-03-01T10:00:00Z"}
    who |= {"target": [{"reference": "Observation/hers"}], "agent": [{"who": {"reference": "Organization/harbor"}}]}
    scene.server.hold(observation("hers", performer=[]))
    scene.server.lie("Provenance?target", searchset(who))
    hers, never = [await scene.ask(f"Observation/{one}") for one in ("hers", "never-existed")]
    assert never.constant == hers.constant
    scene.server.lie("Provenance?target", searchset())
    assert 200 == (await scene.ask("Observation/hers")).status
