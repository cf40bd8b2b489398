"""Pushed Bundles from outside: decided before anything is forwarded, told to their sender in our own words."""

import json

import pytest
import pytest_asyncio

from tests.e2e.world import CLINIC, HOSPITAL, embedded, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOINC = {"system": "http://loinc.org", "code": "8867-4"}
OPIOID = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "F11.20"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory):
    """A plan's gateway: what is pushed goes to the plan. (world, upstream)."""
    async with embedded() as (upstream, base):
        folder = tmp_path_factory.mktemp("push")
        more = f"""\
      plan:
        owner: sunrise
        upstream: {base}
        source: story
        credentials: {{kind: basic, username: gateway, password: {{file: password}}}}
        public_url: http://plan.example/t/plan
        profile: us-part2"""
        async with world(folder, base, more=more) as gate:
            yield gate, upstream


@pytest.fixture
def gate(house):
    """The gateway."""
    return house[0]


@pytest.fixture
def log(house):
    """What the upstream was asked since the test began."""
    house[1].requests.clear()
    return house[1].requests


def observation(patient="Patient/rosa", **more):
    """A heart rate, taken at the hospital."""
    tree = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [LOINC]},
        "subject": {"reference": patient},
        "performer": [{"reference": "Organization/mercy"}],
        "valueQuantity": {"value": 70, "unit": "/min"},
    }
    return tree | more


def condition(patient="Patient/rosa", **more):
    """An opioid use disorder, recorded at the Part 2 clinic."""
    return {
        "resourceType": "Condition",
        "code": {"coding": [OPIOID]},
        "subject": {"reference": patient},
        "asserter": {"reference": "Organization/harbor"},
        "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "42CFRPart2"}]},
    } | more


def bundle(*resources, kind="transaction", full_urls=()):
    """A Bundle that creates these resources."""
    entries = [
        {"resource": one, "request": {"method": "POST", "url": one["resourceType"]}}
        if kind != "collection"
        else {"resource": one}
        for one in resources
    ]
    for entry, url in zip(entries, full_urls, strict=False):
        entry["fullUrl"] = url
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


async def push(gate, tree, client=HOSPITAL, purpose="HPAYMT", path="/t/plan/"):
    """Push a Bundle to the plan."""
    return await gate.ask(path, client, purpose, method="POST", body=tree)


def posts(log):
    """The bodies forwarded: what the upstream was asked by POST."""
    return [one.path for one in log if one.method == "POST"]


async def test_what_may_be_disclosed_is_forwarded_and_told_in_our_words(gate, house, log):
    """A transaction of plain records is stored upstream; its sender gets status and places at our door (L077)."""
    answer = await push(gate, bundle(observation(), observation(valueQuantity={"value": 71})))
    assert 200 == answer.status
    tree = answer.json
    assert ("Bundle", "transaction-response") == (tree["resourceType"], tree["type"])
    assert ["201 Created", "201 Created"] == [entry["response"]["status"] for entry in tree["entry"]]
    places = [entry["response"]["location"] for entry in tree["entry"]]
    assert all(place.startswith("http://plan.example/t/plan/Observation/") for place in places)
    stored = [house[1].store.read("Observation", place.rpartition("/")[2]) for place in places]
    assert [70, 71] == [json.loads(one.raw)["valueQuantity"]["value"] for one in stored]
    assert ["/fhir"] == [path.rstrip("/") for path in posts(log)]


async def test_references_between_entries_are_the_upstream_s_to_settle(gate, house):
    """An entry may refer to another by urn:uuid; the pushed Patient is whom it is about."""
    patient = {
        "resourceType": "Patient",
        "identifier": [{"system": "https://mercy-general.example/mrn", "value": "new-1"}],
    }
    urn = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    answer = await push(gate, bundle(patient, observation(urn), full_urls=[urn]))
    assert 200 == answer.status, answer.body
    made = [entry["response"]["location"].rpartition("/")[2] for entry in answer.json["entry"]]
    stored = json.loads(house[1].store.read("Observation", made[1]).raw)
    assert f"Patient/{made[0]}" == stored["subject"]["reference"]


async def test_a_reference_to_the_receiver_s_own_record_arrives(gate, house):
    """`Encounter/x` in a transaction is the receiver's record: the sender's word about it is forwarded unchanged."""
    answer = await push(gate, bundle(observation(encounter={"reference": "Encounter/receivers-own"})))
    made = answer.json["entry"][0]["response"]["location"].rpartition("/")[2]
    stored = json.loads(house[1].store.read("Observation", made).raw)
    assert {"reference": "Encounter/receivers-own"} == stored["encounter"]


async def test_a_reference_out_of_a_collection_does_not(gate, house):
    """In a collection `Encounter/x` is the sender's record, and what it is was not said: the reference goes."""
    tree = observation(id="one", encounter={"reference": "Encounter/senders-own"})
    answer = await push(gate, bundle(tree, kind="collection"), path="/t/plan/Bundle")
    assert 201 == answer.status
    assert all(b"senders-own" not in one.raw for one in house[1].store.all("Bundle"))


async def test_a_transaction_with_anything_held_back_is_refused_whole(gate, house, log):
    """Nothing is forwarded; the sender is told which of its entries, its labels, the rule and its citation."""
    before = sum(1 for _ in house[1].store.all("Observation"))
    answer = await push(gate, bundle(observation(), condition()))
    assert 403 == answer.status
    assert "/entry/1/resource Condition: withheld" in answer.told
    assert "42CFRPart2" in answer.told
    assert "42 CFR 2.13(a)" in answer.told
    assert "/entry/0" not in answer.told
    assert "Consent/" not in answer.told
    assert before == sum(1 for _ in house[1].store.all("Observation"))
    assert [] == posts(log)


async def test_with_the_patient_s_consent_it_goes_whole(gate):
    """The positive control: what a consent permits is forwarded, and after revocation no more."""
    consent = await gate.consent("rosa-part2.json")
    assert 200 == (await push(gate, bundle(observation(), condition()))).status
    await gate.revoke(consent)
    assert 403 == (await push(gate, bundle(observation(), condition()))).status


async def test_a_batch_goes_in_part_and_says_so_in_order(gate, log):
    """What may go is forwarded; the entry that may not has its answer in its place."""
    answer = await push(gate, bundle(observation(), condition(), observation(), kind="batch"))
    assert 200 == answer.status
    entries = answer.json["entry"]
    assert "batch-response" == answer.json["type"]
    assert ["201 Created", "403 Forbidden", "201 Created"] == [entry["response"]["status"] for entry in entries]
    assert "42CFRPart2" in entries[1]["response"]["outcome"]["issue"][0]["diagnostics"]
    assert 1 == len(posts(log))


async def test_a_collection_goes_in_part_and_says_so(gate, house, log):
    """What is stored as a Bundle lacks what was held back, and its sender is told."""
    answer = await push(gate, bundle(observation(), condition(), kind="collection"), path="/t/plan/Bundle")
    assert 201 == answer.status
    place = answer.headers["location"]
    assert place.startswith("http://plan.example/t/plan/Bundle/")
    assert "/entry/1/resource Condition: withheld" in answer.told
    stored = json.loads(house[1].store.read("Bundle", place.rpartition("/")[2]).raw)
    assert ["Observation"] == [entry["resource"]["resourceType"] for entry in stored["entry"]]
    assert ["/fhir/Bundle"] == posts(log)


async def test_a_collection_of_which_nothing_may_go_is_refused(gate, log):
    """Nothing left: nothing is stored."""
    answer = await push(gate, bundle(condition(), kind="collection"), path="/t/plan/Bundle")
    assert 403 == answer.status
    assert [] == posts(log)


async def test_a_push_is_recorded_before_it_goes_and_so_is_a_refusal(gate):
    """The story of a push names discloser, recipient, purpose and what left; of a refused one that nothing did."""
    sent = await gate.explain(await push(gate, bundle(observation())))
    (attempt,) = sent["attempts"]
    assert ("push", "mercy", "sunrise") == tuple(
        attempt["intent"][name] for name in ("direction", "discloser", "recipient")
    )
    assert ("transaction", "sent") == (attempt["intent"]["interaction"], attempt["completion"]["outcome"])
    assert "rosa" == attempt["intent"]["account"]["disclosed"][0]["patient"]["id"]
    refused = await gate.explain(await push(gate, bundle(condition())))
    assert ["void"] == [attempt["completion"]["outcome"] for attempt in refused["attempts"]]


async def test_the_purpose_must_be_granted_to_the_sender(gate, log):
    """A push for a purpose that the sender may not claim is refused before it is read."""
    assert 403 == (await push(gate, bundle(observation()), CLINIC, "HMARKT")).status
    assert 403 == (await push(gate, bundle(observation()), purpose=None)).status
    assert [] == log


def with_request(**request):
    """A transaction whose one entry has this request."""
    tree = bundle(observation())
    tree["entry"][0]["request"] = {"method": "POST", "url": "Observation"} | request
    return tree


FORMS = {
    "an update": (with_request(method="PUT", url="Observation/1"), 422),
    "a patch": (with_request(method="PATCH", url="Observation/1"), 422),
    "a delete": (with_request(method="DELETE", url="Observation/1"), 422),
    "a get in a transaction": (with_request(method="GET", url="Observation/1"), 422),
    "a conditional create": (with_request(ifNoneExist="identifier=a|b"), 422),
    "an if-match": (with_request(ifMatch='W/"1"'), 422),
    "a query": (with_request(url="Observation?identifier=a"), 422),
    "another type": (with_request(url="Condition"), 422),
    "an operation": (with_request(url="$process-message"), 400),
    "another server": (with_request(url="http://other/fhir/Observation"), 400),
    "another route": (with_request(url="/t/hospital/Observation"), 400),
    "a way up": (with_request(url="../hospital/Observation"), 400),
    "an absolute condition": (with_request(ifNoneExist="http://other/fhir/Observation?identifier=a"), 422),
    "a conditional reference": (bundle(observation("Patient?identifier=x|y")), 422),
    "a consent": (bundle({"resourceType": "Consent", "patient": {"reference": "Patient/rosa"}}), 403),
    "a list": (bundle({"resourceType": "List", "status": "current", "mode": "working"}), 403),
    "a person": (bundle({"resourceType": "Person"}), 403),
    "a subscription": (bundle({"resourceType": "Subscription", "criteria": "Observation?"}), 403),
    "a patient's link": (
        bundle({"resourceType": "Patient", "link": [{"other": {"reference": "Patient/dana"}, "type": "seealso"}]}),
        403,
    ),
    "a contained list": (bundle(observation(contained=[{"resourceType": "List", "id": "g"}])), 403),
    "no entries": ({"resourceType": "Bundle", "type": "transaction"}, 422),
    "a searchset": (bundle(observation(), kind="searchset"), 422),
    "a collection at the base": (bundle(observation(), kind="collection"), 422),
    "no Bundle": (observation(), 422),
    "reads and writes": (
        {
            "resourceType": "Bundle",
            "type": "batch",
            "entry": [*bundle(observation())["entry"], {"request": {"method": "GET", "url": "Patient/rosa"}}],
        },
        422,
    ),
    "an unknown element": ({**bundle(observation()), "novel": 1}, 422),
}


@pytest.mark.parametrize("case", FORMS)
async def test_a_form_that_is_not_taken_is_refused(gate, log, case):
    """Methods, addresses, conditions, policy-bearing types: refused by form, nothing asked, nothing written."""
    tree, status = FORMS[case]
    assert status == (await push(gate, tree)).status
    assert [] == log


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b'{"resourceType":"Bundle","type":"batch","type":"transaction"}',
        b'\xef\xbb\xbf{"a":1}',
        b"[" * 10_000,
    ],
)
async def test_a_body_with_two_meanings_is_refused(gate, log, body):
    """Not JSON, a name twice, a byte order mark, endless nesting: 400, and no word of it comes back (L059)."""
    answer = await gate.ask("/t/plan/", HOSPITAL, "HPAYMT", method="POST", body=body)
    assert 400 == answer.status
    assert b"nonsense" not in answer.body
    assert [] == log


async def test_a_conditional_header_is_refused(gate, log):
    """If-None-Exist beside a Bundle is refused (L078)."""
    headers = [("If-None-Exist", "identifier=a|b")]
    answer = await gate.ask("/t/plan/", HOSPITAL, "HPAYMT", method="POST", body=bundle(observation()), headers=headers)
    assert 400 == answer.status
    assert [] == log


async def test_a_collection_is_posted_where_it_belongs(gate, log):
    """A transaction posted to /Bundle is refused; a collection with requests too."""
    for kind in ("transaction", "batch"):
        assert 422 == (await push(gate, bundle(observation(), kind=kind), path="/t/plan/Bundle")).status
    mixed = bundle(observation()) | {"type": "collection"}
    assert 422 == (await push(gate, mixed, path="/t/plan/Bundle")).status
    assert [] == log


async def test_whether_the_patient_is_known_there_does_not_show(gate):
    """A refusal is the same for a patient the receiver holds and for one it never heard of (leaks.md point 12)."""
    known, unknown = [(await push(gate, bundle(condition(f"Patient/{id_}")))).body for id_ in ("omar", "nobody-at-all")]
    assert known == unknown
