"""Flows as FHIR users send them, from the published examples: what may go arrives whole, the rest stays at its sender.

Referrals to a community organisation (SDOH Clinical Care), member attribution lists (ATR), claims and coverage (CARIN
Blue Button, ATR) and encounters (PDex), under California's and New York's rules.
"""

import json

import pytest
import pytest_asyncio

from tests.attack.worlds import MRN, consent
from tests.e2e.flows import attribution, claims, exchange, read, send, together

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
REFERRAL = (
    "Patient-pat-53234",
    "Task-SDOHCC-TaskReferralManagementOrderFulfillmentAcceptedExample",
    "ServiceRequest-SDOHCC-ServiceRequestActiveFoodPantryApplicationAssistExample",
    "Condition-SDOHCC-ConditionFoodInsecurityExample",
    "Observation-SDOHCC-ObservationResponseHungerVitalSignQuestion3Example",
    "PractitionerRole-SDOHCC-PractitionerRoleDrJanWaterExample",
    "Practitioner-SDOHCC-PractitionerDrJanWaterExample",
    "Organization-SDOHCC-OrganizationClinicExample",
    "Organization-SDOHCC-OrganizationCoordinationPlatformExample",
)
PERSONAL = (
    "Observation-SDOHCC-ObservationSexualOrientationExample",
    "Observation-SDOHCC-ObservationGenderIdentityExample",
    "Observation-SDOHCC-ObservationRaceOMBExample",
)
PUSHED = {"system": "urn:consent-gateway:origin", "code": "pushed"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory):
    """The gateway and the recipients' server."""
    async with exchange(tmp_path_factory.mktemp("flows")) as both:
        yield both


@pytest.fixture
def gate(house):
    """The gateway."""
    return house[0]


@pytest.fixture
def posted(house):
    """What the recipients' server was sent since the test began, by path."""
    house[1].requests.clear()
    return lambda: [one.path.removeprefix("/fhir") for one in house[1].requests if one.method == "POST"]


def made(house, answer):
    """The records that an answer says were made, as the recipient holds them; None for an entry that was held back."""
    places = [one["response"].get("location") for one in answer.json["entry"]]
    names = [place.split("/")[-2:] if place else None for place in places]
    return [json.loads(house[1].store.read(*name).raw) if name else None for name in names]


def referral(shared, *more):
    """A referral to a food pantry, with what else its sender puts in."""
    return [read(shared / "data/sdoh-cc", name) for name in (*REFERRAL, *more)]


def visits(shared):
    """Two members and their visits."""
    folder = shared / "data/payer-pdex"
    return [read(folder, name) for name in ("Patient-1", "Patient-100", "Encounter-6", "Encounter-7", "Encounter-8")]


def at_program(visit):
    """A visit to a substance use program."""
    return visit | {"id": "at-program", "serviceProvider": {"reference": "Organization/program"}}


def bills(shared):
    """The claims guide's bills with their two patients, and the coverage that they name."""
    folder = shared / "data/payer-pdex"
    people = [read(folder, f"Patient-{id_}") | {"id": f"Patient{number}"} for number, id_ in ((1, "1"), (2, "100"))]
    cover = read(shared / "data/payer-atr", "coverage-1") | {"id": "Coverage1"}
    named = {name: {"reference": "Patient/Patient1"} for name in ("policyHolder", "subscriber", "beneficiary")}
    return [*people, cover | named, *claims(shared / "data/payer-carin-bb")]


def with_opioids(bill):
    """A bill with one diagnosis more: opioid dependence."""
    code = {"coding": [{"system": ICD, "code": "F11.20"}]}
    return bill | {"diagnosis": [*bill["diagnosis"], {"sequence": 9, "diagnosisCodeableConcept": code}]}


def claim_of(bill):
    """The claim behind a bill: what the two types have in common (R4 claim.html)."""
    kept = ("id", "status", "type", "use", "patient", "created", "insurer", "provider", "careTeam", "diagnosis", "item")
    lines = [{name: value for name, value in line.items() if name != "adjudication"} for line in bill["item"]]
    priority = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/processpriority", "code": "normal"}]}
    cover = [one | {"sequence": number} for number, one in enumerate(bill["insurance"], 1)]
    found = {name: bill[name] for name in kept if name in bill}
    return {"resourceType": "Claim"} | found | {"item": lines, "priority": priority, "insurance": cover}


# Referrals ------------------------------------------------------------------------------------------------------------
async def test_a_referral_arrives_whole(house, shared):
    """Task, request, need and who asks go to the pantry in one transaction; people and places are marked as pushed."""
    answer = await send(house[0], "pantry", together(*referral(shared)), "clinic", "TREAT")
    assert 200 == answer.status, answer.body
    patient, task, request, need, *_, role, _, _, _ = made(house, answer)
    assert f"ServiceRequest/{request['id']}" == task["focus"]["reference"]
    assert f"Condition/{need['id']}" == request["reasonReference"][0]["reference"]
    assert {f"Patient/{patient['id']}"} == {one["subject"]["reference"] for one in (request, need)}
    assert f"PractitionerRole/{role['id']}" == task["requester"]["reference"]
    assert ("PractitionerRole", PUSHED) == (role["resourceType"], role["meta"]["tag"][0])


async def test_a_referral_with_more_than_it_needs_is_refused_whole(gate, posted, shared):
    """Orientation, identity and race are more than a pantry needs; the sender is told which, and by what rule."""
    answer = await send(gate, "pantry", together(*referral(shared, *PERSONAL)), "clinic", "TREAT")
    lines = answer.told.split(" / /")[1:]
    assert 403 == answer.status
    assert ["entry/9/", "entry/10/", "entry/11/"] == [line.partition("resource")[0] for line in lines]
    assert all("ca-minimum-necessary-community (seed1 L761-765; 45 CFR 164.502(b))" in line for line in lines)
    assert [] == posted()


async def test_a_batch_of_it_leaves_those_behind(house, shared):
    """The same as a batch: the rest arrives, three are answered 403, and nothing that arrived tells of them."""
    answer = await send(house[0], "pantry", together(*referral(shared, *PERSONAL), kind="batch"), "clinic", "TREAT")
    assert [201] * 9 + [403] * 3 == [int(one["response"]["status"][:3]) for one in answer.json["entry"]]
    arrived = json.dumps(made(house, answer))
    assert not [name for name in ("ObservationSexualOrientation", "GenderIdentity") if name in arrived]


async def test_without_the_attestation_no_referral_goes(gate, posted, shared):
    """What goes to the pantry by the clinic's word does not go by the word of a program, or of nobody."""
    for client in ("program", "mercy-desk"):
        answer = await send(gate, "pantry", together(*referral(shared)), client, "TREAT")
        assert 403 == answer.status
    assert [] == posted()


async def test_outreach_is_told_no_needs(house, shared):
    """New York: of the same referral a plan tells the Health Home who the person is, and nothing of needs."""
    gate, bundle = house[0], referral(shared)
    assert 403 == (await send(gate, "home", together(*bundle), "mco", "CAREMGT")).status
    answer = await send(gate, "home", together(*bundle, kind="batch"), "mco", "CAREMGT")
    kinds = [one["resourceType"] for one in made(house, answer) if one is not None]
    assert ["Patient"] == kinds
    outcomes = [one["response"].get("outcome") for one in answer.json["entry"]]
    assert "ny-minimum-necessary (seed0 L2-4; 45 CFR 164.502(b))" in outcomes[3]["issue"][0]["diagnostics"]


# Member lists ---------------------------------------------------------------------------------------------------------
LISTS = {"california": ("plan", "state", "HOPERAT"), "new york": ("home", "mco", "CAREMGT"),
         "new york, passed on": ("agency", "home", "CAREMGT")}  # fmt: skip


@pytest.mark.parametrize("where", LISTS)
async def test_a_member_list_arrives_whole_and_is_data(house, shared, where):
    """Group, members, coverage, providers and their roles: one transaction; the Group is marked, and names the new."""
    to, client, purpose = LISTS[where]
    answer = await send(house[0], to, together(*attribution(shared / "data/payer-atr")), client, purpose)
    assert 200 == answer.status, answer.body
    group, *people = made(house, answer)
    ids = {f"Patient/{one['id']}" for one in people if one["resourceType"] == "Patient"}
    assert (3, ids) == (len(group["member"]), {one["entity"]["reference"] for one in group["member"]})
    assert PUSHED in group["meta"]["tag"]
    roles = [one for one in people if one["resourceType"] == "PractitionerRole"]
    assert [[PUSHED]] == [one["meta"]["tag"] for one in roles]


async def test_a_member_who_refused_is_on_no_list(house, posted, shared):
    """As a transaction the list stays; as a collection it goes without the member, her coverage and her place on it."""
    gate, records = house[0], attribution(shared / "data/payer-atr")
    member = next(one for one in records if one["resourceType"] == "Patient" and one["id"] == "2")
    member["identifier"] = [{"system": MRN, "value": "refusing-number"}]
    sign = {"Authorization": f"Bearer {gate.token('officer', roles=['privacy_officer'])}"}
    sign["Content-Type"] = "application/fhir+json"
    tree = consent("refusing", {"type": "deny"})
    tree["patient"]["reference"] = "http://plan.example/fhir/Patient/refusing"
    filed = await gate.send("POST", f"{gate.control}/fhir/Consent", sign, json.dumps(tree).encode())
    assert 201 == filed.status, filed.body
    whole = await send(gate, "plan", together(*records), "state", "HOPERAT")
    assert (403, []) == (whole.status, posted())
    assert "/entry/2/resource Patient: withheld" in whole.told
    entries = [{"fullUrl": one["fullUrl"], "resource": one["resource"]} for one in together(*records)["entry"]]
    kept = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    answer = await gate.ask("/t/plan/Bundle", "state", "HOPERAT", method="POST", body=kept)
    assert 201 == answer.status, answer.body
    stored = json.loads(house[1].store.read("Bundle", answer.headers["location"].rpartition("/")[2]).raw)
    group = stored["entry"][0]["resource"]
    kinds = [one["resource"]["resourceType"] for one in stored["entry"]]
    assert ("Group", 2, 2) == (kinds[0], kinds.count("Patient"), kinds.count("Coverage"))
    assert 2 == len(group["member"])
    gone = next(one["fullUrl"] for one in entries if one["resource"] is entries[2]["resource"])
    assert gone not in json.dumps(stored)
    assert "refusing-number" not in json.dumps(stored)


# Claims, coverage, visits ---------------------------------------------------------------------------------------------
BILLS = {"california": ("ecm", "plan", "TREAT"), "new york": ("home", "mco", "CAREMGT")}


@pytest.mark.parametrize("where", BILLS)
async def test_bills_and_coverage_arrive(house, shared, where):
    """Ten bills of the claims guide and a coverage: for treatment to a provider, for outreach to a Health Home."""
    to, client, purpose = BILLS[where]
    records = bills(shared)
    answer = await send(house[0], to, together(*records), client, purpose)
    assert 200 == answer.status, answer.body
    assert [one["resourceType"] for one in records] == [one["resourceType"] for one in made(house, answer)]


@pytest.mark.parametrize("where", BILLS)
async def test_what_a_bill_says_of_substance_use_stays(house, posted, shared, where):
    """With an opioid diagnosis: no transaction; of a batch the bill goes without the diagnosis and without its sums."""
    to, client, purpose = BILLS[where]
    *others, plain, bill = bills(shared)[:6]
    records = [*others, plain, with_opioids(bill)]
    assert 403 == (await send(house[0], to, together(*records), client, purpose)).status
    assert [] == posted()
    answer = await send(house[0], to, together(*records, kind="batch"), client, purpose)
    assert 200 == answer.status
    *rest, arrived = made(house, answer)
    assert None not in rest
    assert "F11.20" not in json.dumps(made(house, answer))
    assert len(bill.get("diagnosis", ())) == len(arrived["diagnosis"])
    assert not {"total", "payment"} & arrived.keys()


async def test_claims_go_to_who_pays(house, posted, shared):
    """California: a clinic's claims and coverage go to the plan for payment; what a program treated does not."""
    people, cover = bills(shared)[:2], bills(shared)[2]
    found = [claim_of(one) for one in bills(shared)[3:7]]
    assert 200 == (await send(house[0], "plan", together(*people, cover, *found), "clinic", "HPAYMT")).status
    treated = found[0] | {"id": "treated", "provider": {"reference": "Organization/program"}}
    answer = await send(house[0], "plan", together(*people, cover, treated, kind="batch"), "clinic", "HPAYMT")
    assert [201, 201, 201, 403] == [int(one["response"]["status"][:3]) for one in answer.json["entry"]]


VISITS = {"california": ("plan", "clinic", "HPAYMT"), "new york": ("home", "mco", "CAREMGT")}


@pytest.mark.parametrize("where", VISITS)
async def test_visits_go_but_none_to_a_program(house, posted, shared, where):
    """A batch of encounters arrives but for the one at a substance use program; a transaction with it is refused."""
    to, client, purpose = VISITS[where]
    records = visits(shared)
    assert 200 == (await send(house[0], to, together(*records), client, purpose)).status
    house[1].requests.clear()
    more = [*records, at_program(records[2])]
    assert 403 == (await send(house[0], to, together(*more), client, purpose)).status
    assert [] == posted()
    answer = await send(house[0], to, together(*more, kind="batch"), client, purpose)
    assert [201] * 5 + [403] == [int(one["response"]["status"][:3]) for one in answer.json["entry"]]
    told = answer.json["entry"][5]["response"]["outcome"]["issue"][0]["diagnostics"]
    assert "42CFRPart2" in told
    assert "2.31" in told


# Provenance -----------------------------------------------------------------------------------------------------------
def provenance(target, **more):
    """Who made a record."""
    agent = [{"who": {"reference": "Organization/clinic"}}]
    return {"resourceType": "Provenance", "id": "made", "target": [{"reference": target}], "agent": agent} | more


async def test_a_provenance_goes_with_what_it_is_about(house, shared):
    """In the transaction that makes its target, marked: what a sender says of its own records."""
    records = visits(shared)
    sent = together(*records, provenance("Encounter/6", recorded="2026-11-01T00:00:00Z"))
    answer = await send(house[0], "plan", sent, "clinic", "HPAYMT")
    assert 200 == answer.status, answer.told
    *_, found = made(house, answer)
    assert [PUSHED] == found["meta"]["tag"]


TARGETS = {
    "another's record": [{"reference": "Encounter/rosa-mercy-clinic"}],
    "one of its own and another's": [{"reference": "urn"}, {"reference": "Encounter/rosa-mercy-clinic"}],
    "by number": [{"identifier": {"system": "urn:x", "value": "1"}}],
    "nothing": [],
}


@pytest.mark.parametrize("case", TARGETS)
async def test_L080_a_provenance_speaks_of_nothing_else(gate, posted, shared, case):
    """Of the receiver's records nobody who exchanges says where they came from: refused by form."""
    sent = together(*visits(shared), provenance("Encounter/6"))
    urn = sent["entry"][2]["fullUrl"]
    sent["entry"][-1]["resource"]["target"] = [
        one | {"reference": urn} if one.get("reference") == "urn" else one for one in TARGETS[case]
    ]
    assert 403 == (await send(gate, "plan", sent, "clinic", "HPAYMT")).status
    alone = await gate.ask("/t/plan/Provenance", "clinic", "HPAYMT", method="POST", body=provenance("Encounter/6"))
    batch = await send(
        gate, "plan", together(*visits(shared), provenance("Encounter/6"), kind="batch"), "clinic", "HPAYMT"
    )
    assert (403, 403, []) == (alone.status, batch.status, posted())
