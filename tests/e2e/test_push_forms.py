"""Every form of a push besides transactions and batches: documents, single records, lists of members."""

import json

import pytest

from tests.e2e.test_push import bundle, condition, house, observation, posts, push  # noqa: F401  the fixture is used
from tests.e2e.world import CLINIC, HOSPITAL, PLAN, embedded, world

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def gate(house):  # noqa: F811
    """The gateway."""
    return house[0]


@pytest.fixture
def log(house):  # noqa: F811
    """What the upstream was asked since the test began."""
    house[1].requests.clear()
    return house[1].requests


@pytest.fixture
def store(house):  # noqa: F811
    """What the upstream holds."""
    return house[1].store


def document(*resources, **head):
    """A document of these records, its Composition before them."""
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"text": "visit note"},
        "subject": {"reference": "Patient/rosa"},
        "date": "2026-11-01",
        "author": [{"reference": "Organization/mercy"}],
        "title": "note",
    } | head
    return bundle(composition, *resources, kind="collection") | {"type": "document"}


async def test_a_single_record_is_created(gate, store, log):
    """`POST Observation` is a push: decided, forwarded, told by our own place, without the server's answer (L077)."""
    answer = await push(gate, observation(), path="/t/plan/Observation")
    assert 201 == answer.status
    place = answer.headers["location"]
    assert place.startswith("http://plan.example/t/plan/Observation/")
    assert "OperationOutcome" == answer.json["resourceType"]
    assert 70 == json.loads(store.read("Observation", place.rpartition("/")[2]).raw)["valueQuantity"]["value"]
    assert ["/fhir/Observation"] == posts(log)


async def test_a_single_record_that_may_not_go_is_refused(gate, log):
    """The sender is told of its record: labels, rule and citation, and nothing of a consent."""
    answer = await push(gate, condition(), path="/t/plan/Condition")
    assert 403 == answer.status
    assert "/ Condition: withheld" in answer.told
    assert "42CFRPart2" in answer.told
    assert "42 CFR 2.13(a)" in answer.told
    assert "Consent/" not in answer.told
    assert [] == posts(log)


async def test_with_consent_a_single_record_goes_with_its_notice_and_labels(gate, store):
    """What the patient permitted is stored with its label and the statement of 42 CFR 2.32."""
    consent = await gate.consent("rosa-part2.json")
    answer = await push(gate, condition(), path="/t/plan/Condition")
    await gate.revoke(consent)
    assert 201 == answer.status
    meta = json.loads(store.read("Condition", answer.headers["location"].rpartition("/")[2]).raw)["meta"]
    assert "42CFRPart2" in {label["code"] for label in meta["security"]}
    assert "42 CFR part 2" in json.dumps(meta["extension"])


async def test_a_create_is_recorded_as_one(gate):
    """The ledger names the create, who disclosed to whom, and what left; a refused one that nothing did."""
    (attempt,) = (await gate.explain(await push(gate, observation(), path="/t/plan/Observation")))["attempts"]
    assert ("create", "push", "mercy", "sunrise", "sent") == (
        *(attempt["intent"][name] for name in ("interaction", "direction", "discloser", "recipient")),
        attempt["completion"]["outcome"],
    )
    (refused,) = (await gate.explain(await push(gate, condition(), path="/t/plan/Condition")))["attempts"]
    assert "void" == refused["completion"]["outcome"]


async def test_a_document_goes_in_part_and_says_so(gate, store):
    """A document without an attester is stored without what was held back; its sender is told."""
    answer = await push(gate, document(observation(id="pulse"), condition(id="opioid")), path="/t/plan/Bundle")
    assert 201 == answer.status, answer.told
    assert "/entry/2/resource Condition: withheld" in answer.told
    stored = json.loads(store.read("Bundle", answer.headers["location"].rpartition("/")[2]).raw)
    assert ["Composition", "Observation"] == [entry["resource"]["resourceType"] for entry in stored["entry"]]


async def test_an_attested_document_goes_whole_or_not_at_all(gate, log):
    """Who vouches for a document vouches for all of it: nothing is forwarded where a part would be lost."""
    attester = [{"mode": "legal", "party": {"reference": "Organization/mercy"}}]
    whole = document(observation(id="pulse"), attester=attester)
    part = document(observation(id="pulse"), condition(id="opioid"), attester=attester)
    assert [201, 403] == [(await push(gate, one, path="/t/plan/Bundle")).status for one in (whole, part)]
    assert ["/fhir/Bundle"] == posts(log)


async def test_a_list_of_members_is_data(gate, store, log):
    """A Group is forwarded in a transaction; for a patient the sender may not tell of, nothing is (attribution)."""
    member = [{"entity": {"reference": "Patient/rosa"}}]
    group = {"resourceType": "Group", "type": "person", "actual": True, "member": member}
    answer = await push(gate, bundle(group, observation()))
    assert 200 == answer.status, answer.told
    assert member == json.loads(next(iter(store.all("Group"))).raw)["member"]


async def test_L080_a_care_team_is_data_and_marked(gate, store, log):
    """A person's care team may be sent; the mark on it says that it proves nobody's membership."""
    team = {"resourceType": "CareTeam", "status": "active", "subject": {"reference": "Patient/rosa"}}
    team["participant"] = [{"member": {"reference": "Organization/mercy"}}]
    answer = await push(gate, bundle(team, observation()))
    assert 200 == answer.status, answer.told
    kept = json.loads(next(iter(store.all("CareTeam"))).raw)
    assert [{"system": "urn:consent-gateway:origin", "code": "pushed"}] == kept["meta"]["tag"]


FORMS = {
    "a consent": ("Consent", {"resourceType": "Consent", "patient": {"reference": "Patient/rosa"}}, 403),
    "a role": ("PractitionerRole", {"resourceType": "PractitionerRole"}, 403),
    "an affiliation": ("OrganizationAffiliation", {"resourceType": "OrganizationAffiliation"}, 403),
    "a provenance": ("Provenance", {"resourceType": "Provenance", "target": [{"reference": "Patient/rosa"}]}, 403),
    "a list": ("List", {"resourceType": "List", "status": "current", "mode": "working"}, 403),
    "a person": ("Person", {"resourceType": "Person"}, 403),
    "a subscription": ("Subscription", {"resourceType": "Subscription", "criteria": "Observation?"}, 403),
    "an audit event": ("AuditEvent", {"resourceType": "AuditEvent"}, 403),
    "a patient's link": (
        "Patient",
        {"resourceType": "Patient", "link": [{"other": {"reference": "Patient/dana"}, "type": "seealso"}]},
        403,
    ),
    "a contained consent": ("Observation", observation(contained=[{"resourceType": "Consent", "id": "c"}]), 403),
    "another type": ("Condition", observation(), 422),
    "a Bundle of another address": ("Observation", bundle(observation()), 422),
    "a document without its Composition": (
        "Bundle",
        bundle(observation(), kind="collection") | {"type": "document"},
        422,
    ),
}


@pytest.mark.parametrize("case", FORMS)
async def test_L080_what_makes_policy_is_not_written(gate, log, case):
    """Consents, links, teams, roles, lists and what makes the server act: refused by form, nothing asked."""
    type_, tree, status = FORMS[case]
    assert status == (await push(gate, tree, path=f"/t/plan/{type_}")).status
    if status == 403:
        assert status == (await push(gate, bundle(tree))).status
    assert [] == log


@pytest.mark.parametrize("known", ["rosa", "nobody-at-all"])
async def test_L011_a_conditional_reference_is_one_refusal(gate, log, known):
    """None, one or many matches, at every door: one text, nothing asked of the server."""
    tree = observation(f"Patient?identifier=https://mercy-general.example/mrn|{known}")
    answers = [
        await push(gate, tree, path="/t/plan/Observation"),
        await push(gate, bundle(tree)),
        await push(gate, bundle(tree, kind="batch")),
        await push(gate, bundle(tree, kind="collection"), path="/t/plan/Bundle"),
    ]
    assert {(422, "conditional references are not supported")} == {(one.status, one.told) for one in answers}
    assert [] == log


@pytest.mark.parametrize("name", ["If-None-Exist", "If-Match"])
async def test_L078_a_conditional_create_is_refused(gate, log, name):
    """By header or by query: refused by form, whether there would be a match or not."""
    path, headers = "/t/plan/Observation", [(name, "identifier=a|b")]
    answer = await gate.ask(path, HOSPITAL, "HPAYMT", method="POST", body=observation(), headers=headers)
    assert (400, "conditional requests are not supported") == (answer.status, answer.told)
    assert 400 == (await push(gate, observation(), path=f"{path}?identifier=a")).status
    for method in ("PUT", "PATCH", "DELETE"):
        found = await gate.ask(f"{path}?identifier=a|b", HOSPITAL, "HPAYMT", method=method, body=observation())
        assert 405 == found.status
    assert [] == log


async def test_L081_consents_and_audit_events_are_not_deleted(gate, log):
    """DELETE and `$expunge` are refused by form, of any type, for whoever asks."""
    for path in ("Consent/x", "AuditEvent/x", "Observation/x"):
        assert 405 == (await gate.ask(f"/t/plan/{path}", HOSPITAL, "HPAYMT", method="DELETE")).status
        assert 501 == (await gate.ask(f"/t/plan/{path}/$expunge", HOSPITAL, "HPAYMT", method="POST", body={})).status
    assert [] == log


async def test_the_purpose_must_be_granted_to_whoever_creates(gate, log):
    """A single create for a purpose the sender may not disclose for is refused before it is read."""
    assert 403 == (await push(gate, observation(), CLINIC, "HMARKT", "/t/plan/Observation")).status
    assert [] == log


async def test_who_may_not_disclose_to_the_owner_is_refused(gate, log):
    """A plan that has no ground to disclose to the hospital: its create is refused and told why."""
    tree = condition(meta={"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "SUD"}]})
    answer = await push(gate, tree, PLAN, "HPAYMT", "/t/hospital/Condition")
    assert 403 == answer.status
    assert "/ Condition: withheld" in answer.told
    assert [] == posts(log)


async def test_a_route_closed_to_writes_takes_none(tmp_path):
    """With `writes: []` a create, a collection, a message and a transaction are refused by form; batches still read."""
    async with embedded() as (upstream, base), world(tmp_path, base, route="writes: []") as gate:
        upstream.requests.clear()
        doors = {"Observation": 405, "Bundle": 405, "$process-message": 501, "": 405}
        for path, status in doors.items():
            tree = observation() if path == "Observation" else bundle(observation())
            assert status == (await push(gate, tree, path=f"/t/hospital/{path}")).status
        assert [] == upstream.requests
        reads = {
            "resourceType": "Bundle",
            "type": "batch",
            "entry": [{"request": {"method": "GET", "url": "Patient/rosa"}}],
        }
        assert 200 == (await push(gate, reads, PLAN, path="/t/hospital/")).status
        statement = (await gate.ask("metadata")).json["rest"][0]
        assert "transaction" not in {one["code"] for one in statement["interaction"]}
        assert "operation" not in statement
