"""Da Vinci's attribution list, which is published as XML alone: a Group that names three members of a plan.

HAPI turns it into JSON when it stores it; the gateway reads, sends and takes JSON only. Expectations are by hand.
"""

import json

import pytest

from gateway.demo.folder import load_folder
from gateway.demo.stage import RouteOf
from tests.e2e.hapi.consents import permission
from tests.e2e.hapi.gateway import gateway
from tests.e2e.hapi.searchset import matches

GROUPS = {
    "davincipatientlistexample": "davinci-patient-list-example.xml",
    "fullexample": "group-fullexample.xml",
}
MEMBERS = ("1", "2", "3")
PARTIES = [
    {"id": "plan", "type": "mco", "references": ["Organization/1"], "purposes": ["HPAYMT"], "hipaa_covered": True},
    {"id": "clinic", "type": "provider_general", "references": [], "purposes": ["TREAT"], "hipaa_covered": True},
]
DIRECTORY = {
    "participants": PARTIES,
    "agreements": [],
    "relationships": [],
    "clients": [{"client_id": one["id"], "participant": one["id"]} for one in PARTIES],
}


@pytest.fixture(scope="module")
def attributed(server, shared):
    """HAPI with the plan's members, their coverage and both Groups."""
    folder = shared / "data" / "payer-atr"
    texts = load_folder(folder)
    server.load(text for text in texts if json.loads(text)["resourceType"] != "Subscription")
    for id_, name in GROUPS.items():
        server.put_xml(f"Group/{id_}", (folder / name).read_bytes())
    return server


@pytest.fixture(scope="module")
def gate(attributed, tmp_path_factory):
    """A gateway before it: the plan discloses, consent alone decides."""
    routes = (RouteOf("plan-base", "plan", "base"), RouteOf("plan-hipaa", "plan", "us-hipaa"))
    with gateway(tmp_path_factory.mktemp("attribution"), attributed, json.dumps(DIRECTORY), routes) as one:
        yield one


@pytest.mark.parametrize("id_", GROUPS)
def test_a_group_is_of_those_who_consent(gate, attributed, id_):
    """Without any consent it is not there; each makes it one member longer, and each revocation one shorter."""
    named = {member["entity"]["reference"] for member in json.loads(attributed.text("Group", id_))["member"]}
    assert {f"Patient/{one}" for one in MEMBERS} == named

    def seen():
        answer = gate.ask(f"plan-base/Group/{id_}", "clinic", "TREAT")
        found = gate.ask(f"plan-base/Group?_id={id_}", "clinic", "TREAT")
        assert (answer.status_code == 200) == (matches(found.json()) == [f"Group/{id_}"])
        return answer

    absent = gate.ask("plan-base/Group/never-was", "clinic", "TREAT").content
    assert (404, absent) == (seen().status_code, seen().content)

    def members():
        answer = seen()
        assert 200 == answer.status_code
        assert "application/fhir+json" in answer.headers["content-type"]
        return [member["entity"]["reference"] for member in answer.json()["member"]]

    signed = []
    for number, member in enumerate(MEMBERS, 1):
        signed.append(gate.sign(permission(member, "Organization/1", "TREAT")))
        assert {f"Patient/{one}" for one in MEMBERS[:number]} == set(members())
    gate.revoke(signed[0])
    assert {f"Patient/{one}" for one in MEMBERS[1:]} == set(members())
    for one in signed[1:]:
        gate.revoke(one)
    assert (404, absent) == (seen().status_code, seen().content)


def test_xml_is_neither_sent_nor_taken(gate, attributed, shared):
    """Asked for by header or by `_format` it is refused, and so is a body of it; HAPI is not asked."""
    before = attributed.requests
    token = {"Authorization": f"Bearer {gate.token('clinic')}", "X-Purpose-Of-Use": "TREAT"}
    where = f"{gate.base('plan-hipaa')}/Group/fullexample"
    xml = {"Accept": "application/fhir+xml"}
    assert 406 == gate.client.get(where, headers=token | xml).status_code
    assert 406 == gate.client.get(f"{where}?_format=xml", headers=token).status_code
    text = (shared / "data" / "payer-atr" / "group-fullexample.xml").read_bytes()
    posted = {"Content-Type": "application/fhir+xml"}
    assert 415 == gate.client.post(gate.base("plan-hipaa"), headers=token | posted, content=text).status_code
    assert before == attributed.requests
