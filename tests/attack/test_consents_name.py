"""Whom and what a consent names is looked up behind the door: groups, teams, roles, organisations, related records."""

from typing import Any

import pytest

from tests.attack.records import ROLE, observation, refusal, transaction
from tests.stub_upstream import answer

pytestmark = pytest.mark.asyncio(loop_scope="session")
SUNRISE, NOBODY = "Organization/sunrise", "Organization/nobody"


def to(reference: str) -> dict[str, Any]:
    """A refusal to one party."""
    return {"type": "deny", "actor": [{"role": ROLE, "reference": {"reference": reference}}]}


def group(id: str, *members: str) -> dict[str, Any]:
    """A group of these."""
    listed = [{"entity": {"reference": one}} for one in members]
    return {"resourceType": "Group", "id": id, "type": "practitioner", "actual": True, "member": listed}


def team(id: str, *members: str) -> dict[str, Any]:
    """An active care team of these."""
    listed = [{"member": {"reference": one}} for one in members]
    return {"resourceType": "CareTeam", "id": id, "status": "active", "participant": listed}


async def refusing(scene, name: str, provision: dict[str, Any]) -> str:
    """Have a patient of that name refuse this, and one record; gives the record's id."""
    id_, patient = f"refuses-{name}", f"Patient/refuses-{name}"
    scene.server.hold({"resourceType": "Patient", "id": id_, "birthDate": "1980-01-01"}, observation(id_, patient))
    await scene.sign({**refusal(), "patient": {"reference": patient}, "provision": provision})
    return id_


async def test_a_refusal_to_a_group_of_others_withholds_nothing(scene):
    """Who is not in the group is not refused."""
    scene.server.hold(group("g", NOBODY))
    record = await refusing(scene, "others", to("Group/g"))
    assert 200 == (await scene.ask(f"Observation/{record}")).status


async def test_a_refusal_to_a_group_reaches_its_members(scene):
    """Who is in it, as a member of a team that is, is refused."""
    scene.server.hold(group("g", NOBODY, "CareTeam/t"), team("t", SUNRISE))
    record = await refusing(scene, "members", to("Group/g"))
    assert 404 == (await scene.ask(f"Observation/{record}")).status


async def test_a_refusal_to_a_group_that_is_not_there_reaches_everybody(scene):
    """A group that the server does not have may hold anybody."""
    record = await refusing(scene, "gone", to("Group/gone"))
    assert 404 == (await scene.ask(f"Observation/{record}")).status


async def test_a_group_that_cannot_be_asked_for_fails_the_request(scene):
    """A server that fails is no server without that group: nothing is decided."""
    scene.server.lie("Group?_id", answer({"resourceType": "OperationOutcome"}, 500))
    record = await refusing(scene, "fails", to("Group/g"))
    assert 502 == (await scene.ask(f"Observation/{record}")).status


async def test_a_refusal_of_what_a_record_refers_to_reaches_that_alone(scene):
    """`related` asks the named record for its references: what it does not say is not refused."""
    related = {"type": "deny", "data": [{"meaning": "related", "reference": {"reference": "CarePlan/c"}}]}
    record = await refusing(scene, "related", related)
    plan = {"resourceType": "CarePlan", "id": "c", "status": "active", "intent": "plan"}
    plan["subject"] = {"reference": f"Patient/{record}"}
    scene.server.hold(plan)
    assert 200 == (await scene.ask(f"Observation/{record}")).status
    scene.server.hold({**plan, "supportingInfo": [{"reference": f"Observation/{record}"}]})
    assert 404 == (await scene.ask(f"Observation/{record}")).status


async def test_a_push_is_judged_by_who_is_in_the_group(scene):
    """What is sent to the plan goes through under a refusal to others, and not under one to a group it is in."""
    scene.server.hold(group("g", NOBODY))
    record = await refusing(scene, "pushed", to("Group/g"))
    sent = transaction(observation("w", f"Patient/{record}"))
    assert 200 == (await scene.push(sent)).status
    scene.server.hold(group("g", SUNRISE))
    assert 200 != (await scene.push(sent)).status
