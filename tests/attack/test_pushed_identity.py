"""Nobody widens its access by what it pushes: a record that says two parties are one is data, never proof (L080)."""

import json

import pytest

from tests.attack.records import observation
from tests.attack.scene import searchset
from tests.attack.worlds import DOOR, consent, file, hold, purpose
from tests.e2e.world import HOSPITAL, PLAN

pytestmark = pytest.mark.asyncio(loop_scope="session")

NPI = "http://hl7.org/fhir/sid/us-npi"
OWN, OTHER = {"system": NPI, "value": "1000000033"}, {"system": "http://friends.example", "value": "lighthouse"}
ROLE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
EVIL = {
    "Organization": {"resourceType": "Organization", "identifier": [OTHER, OWN]},
    "Group": {
        "resourceType": "Group",
        "type": "practitioner",
        "actual": True,
        "identifier": [OTHER],
        "member": [{"entity": {"reference": "Organization/sunrise"}}],
    },
}


async def victim(scene, name):
    """A patient whose consent permits one party, named by its identifier; gives the patient's id."""
    hold(scene, name)
    actor = {"role": ROLE, "reference": {"identifier": OTHER}}
    provision = {"type": "permit", "actor": [actor], "purpose": purpose("HPAYMT")}
    await file(scene, consent(name, provision))
    return name


async def page(scene, patient, evil):
    """What the plan gets of a page on which a record names `evil`."""
    place = f"{evil['resourceType']}/{evil['id']}"
    bait = observation("bait", f"Patient/{patient}", performer=[{"reference": place}], focus=[{"reference": place}])
    held = json.loads(scene.server.held[f"Observation/{patient}-o"])
    scene.server.hold(evil, bait)
    scene.server.lie("Observation?", searchset(held, bait))
    scene.server.lie(f"{evil['resourceType']}?", searchset(evil))
    return (await scene.ask(f"{DOOR}/Observation?patient={patient}&_include=Observation:focus", PLAN, "HPAYMT")).ids


async def forwarded(scene, tree):
    """What reaches the server of a record that the hospital pushes to the plan."""
    answer = await scene.ask("/t/plan/", HOSPITAL, "HPAYMT", method="POST", body=_batch(tree))
    assert 200 == answer.status
    (sent,) = [one for one in scene.stub.seen if one.method == "POST"]
    return json.loads(sent.body)["entry"][0]["resource"]


def _batch(tree):
    entry = {"resource": tree, "request": {"method": "POST", "url": tree["resourceType"]}}
    return {"resourceType": "Bundle", "type": "batch", "entry": [entry]}


@pytest.mark.parametrize("type_", EVIL)
async def test_L080_what_is_pushed_proves_nobody_s_identity(scene, type_):
    """An Organization with two parties' identifiers, a Group with one's and the other as member: pushed, no permit."""
    patient = await victim(scene, f"pushed-{type_.lower()}")
    tree = EVIL[type_] | ({"member": [{"entity": {"reference": "Patient/rosa"}}]} if type_ == "Group" else {})
    pushed = await forwarded(scene, tree)
    assert [{"system": "urn:consent-gateway:origin", "code": "pushed"}] == pushed["meta"]["tag"]
    assert [] == await page(scene, patient, EVIL[type_] | {"id": "evil", "meta": pushed["meta"]})


@pytest.mark.parametrize("type_", EVIL)
async def test_what_the_owner_keeps_does(scene, type_):
    """The positive control: the same record without the mark is the owner's word, and the permit holds."""
    patient = await victim(scene, f"kept-{type_.lower()}")
    assert f"{patient}-o" in await page(scene, patient, EVIL[type_] | {"id": "evil"})


async def test_L080_a_record_that_is_no_party_proves_no_identity(scene):
    """An Observation, a Location with both identifiers: what is no party names nobody, marked or not."""
    patient = await victim(scene, "no-party")
    for type_ in ("Observation", "Location"):
        tree = observation("evil", f"Patient/{patient}") if type_ == "Observation" else {"resourceType": type_}
        assert [] == await page(scene, patient, tree | {"id": "evil", "identifier": [OTHER, OWN]})
