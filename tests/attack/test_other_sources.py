"""A Consent of another server, found by the number of its patient: its relative references point there (L092).

Two servers stand behind the gateway, `story` and `annex`. The Consents are filed at the control plane for a patient of
the annex; asked for are records of the same person at `story`, which has a group, a person and a record of equal ids.
"""

from typing import Any

import pytest
import pytest_asyncio

from tests.attack.records import ROLE
from tests.attack.scene import staged
from tests.attack.test_consents_name import group
from tests.attack.worlds import BY_CONSENT, consent, file, hold
from tests.e2e.world import PLAN

pytestmark = pytest.mark.asyncio(loop_scope="session")
ANNEX = """\
      annex:
        owner: mercy
        upstream: {base}/annex
        source: annex
        credentials: {{kind: basic, username: gateway, password: {{file: password}}}}
        public_url: http://annex.example/t/annex
        profile: base"""
THERE, HERE = "http://annex.example/t/annex", "http://consented.example/t/consented"
PERMIT = {"type": "permit"}
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
CUSTODIAN = {"coding": [{"system": PARTICIPATION, "code": "CST"}]}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(tmp_path_factory):
    """A gateway before two servers; `story` holds a group with the plan in it."""
    async with staged(tmp_path_factory.mktemp("sources"), more=f"{BY_CONSENT}\n{ANNEX}") as one:
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def scene(stage):
    """The scene, set anew; nothing that was told meanwhile speaks of a patient."""
    stage.begin(group("team", "Organization/sunrise"))
    yield stage
    await stage.check()


async def filed(scene, patient: str, provision: dict[str, Any], base: str = THERE, **more: Any) -> None:
    """File a consent of a patient of the annex, or of another base, who has the same number everywhere."""
    tree = consent(patient, provision, **more)
    tree["patient"] = tree["patient"] | {"reference": f"{base}/Patient/{patient}"}
    await file(scene, tree | {"performer": [{"reference": f"{base}/Patient/{patient}"}]})


async def met(scene, patient: str) -> None:
    """Have a consent of this server that permits nothing, but for whose sake the group is gathered."""
    unmet = PERMIT | to("Group/team") | {"period": {"end": "2001"}}
    await filed(scene, patient, unmet, HERE, policy=[{"uri": "http://example.org/another"}])


def to(reference: str) -> dict[str, Any]:
    """One recipient."""
    return {"actor": [{"role": ROLE, "reference": {"reference": reference}}]}


@pytest.mark.parametrize(
    ("who", "permitted"),
    [
        ("Group/team", 404),
        (f"{THERE}/Group/team", 404),
        (f"{HERE}/Group/team", 200),
        ("Organization/sunrise", 200),
        (f"{HERE}/Organization/sunrise", 200),
        ("Organization/hearth", 404),
    ],
    ids=["its own group", "the same in full", "our group", "a party of any server", "ours in full", "another party"],
)
async def test_L092_a_permit_of_another_server_reaches_who_is_meant_there(scene, who, permitted, request):
    """Its `Group/team` is not ours; what the directory lists without a server is the same on any."""
    patient = f"there-{request.node.callspec.id.replace(' ', '-')}"
    await met(scene, patient)
    await filed(scene, patient, PERMIT | to(who))
    assert permitted == (await scene.ask(hold(scene, patient), PLAN)).status


async def test_L092_a_permit_of_this_server_reaches_its_own_group(scene):
    """The same words in a consent of this server are this server's."""
    await filed(scene, "here", PERMIT | to("Group/team"), HERE)
    assert 200 == (await scene.ask(hold(scene, "here"), PLAN)).status


@pytest.mark.parametrize(("base", "status"), [(THERE, 404), (HERE, 200)], ids=["there", "here"])
async def test_L092_a_permit_of_a_record_reaches_it_on_its_own_server(scene, base, status):
    """`Observation/x` of another server is not the record of that id here."""
    patient = f"record-{base[7:12]}"
    data = [{"meaning": "instance", "reference": {"reference": f"Observation/{patient}-o"}}]
    await filed(scene, patient, PERMIT | {"data": data}, base)
    assert status == (await scene.ask(hold(scene, patient), PLAN)).status


@pytest.mark.parametrize(
    ("who", "status"),
    [("Group/team", 404), ("Group/gone", 404), ("Organization/hearth", 200), ("Organization/sunrise", 404)],
)
async def test_L092_a_refusal_of_another_server_stands_where_its_words_are_not_known_here(scene, who, status):
    """To a group of another server: it may be anybody. To a party that the directory knows on any: that one alone."""
    patient = f"refused-{who.replace('/', '-')}"
    await met(scene, patient)
    await filed(scene, patient, PERMIT, HERE)
    await filed(scene, patient, {"type": "deny"} | to(who), policy=[{"uri": "http://example.org/third"}])
    assert status == (await scene.ask(hold(scene, patient), PLAN)).status


async def test_L092_custodians_of_two_servers_are_two(scene):
    """A newer permit given to `Organization/x` of one server does not silence the refusal at `Organization/x` of
    another."""
    named = [{"reference": "Organization/nobody-knows"}]
    by_mercy = PERMIT | {"actor": [{"role": CUSTODIAN, "reference": {"reference": "Organization/mercy"}}]}
    for base, status in ((HERE, 200), (THERE, 404)):
        patient = f"custodians-{base[7:12]}"
        await filed(scene, patient, {"type": "deny"}, base, organization=named, dateTime="2020-01-01")
        await filed(scene, patient, by_mercy, HERE, organization=named, dateTime="2026-01-01")
        assert status == (await scene.ask(hold(scene, patient), PLAN)).status, base
