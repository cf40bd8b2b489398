"""What a participant vouches for, at the door: standing in the directory or in a signed token, and nowhere else."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from gateway import clock
from gateway.identity.dev_issuer import sign
from tests.e2e.world import AUDIENCE, World, embedded, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CLAIM = "urn:consent-gateway:attestations"
REFERRAL = "discloser_attests_advances_treatment"
EMERGENCY = ("bona_fide_medical_emergency", "consent_cannot_be_obtained")

DIRECTORY = """\
participants:
  - {id: mercy, type: provider_general, hipaa_covered: true, references: [Organization/mercy], purposes: [TREAT]}
  - {id: hearth, type: cbo, purposes: [TREAT]}
  - {id: lodge, type: cbo, purposes: [TREAT]}
  - {id: valley, type: provider_general, hipaa_covered: true, purposes: [TREAT, ETREAT]}
  - {id: recovery, type: provider_part2, references: [Organization/recovery], purposes: []}
clients:
  - {client_id: mercy-ehr, participant: mercy, may_attest: [discloser_attests_advances_treatment]}
  - {client_id: hearth-intake, participant: hearth, may_attest: [discloser_attests_advances_treatment]}
  - {client_id: lodge-intake, participant: lodge}
  - {client_id: valley-er, participant: valley, may_break_glass: true,
     may_attest: [bona_fide_medical_emergency, consent_cannot_be_obtained]}
  - {client_id: valley-ehr, participant: valley}
attestations:
  - {fact: calaim_purpose, by: mercy, recipient: lodge, id: purposes-2026}
  - {fact: discloser_attests_advances_treatment, by: mercy, recipient: lodge, patient: all}
  - {fact: discloser_attests_advances_treatment, by: mercy, recipient: lodge, holds: false,
     patient: {source: story, id: dora}}
"""
ANAS = """\
  - {fact: discloser_attests_advances_treatment, by: mercy, recipient: hearth, id: ana-2026, purposes: [TREAT],
     identifier: {system: "urn:example:mrn", value: "7"}, period: {end: 2099-12-31}}
"""
INTAKE = """\
      intake:
        owner: hearth
        upstream: {base}
        source: story
        credentials: {{kind: basic, username: gateway, password: {{file: password}}}}
        public_url: http://intake.example/t/intake
        profile: us-ca-calaim"""


def patient(name: str, **more) -> dict:
    """A patient."""
    return {"resourceType": "Patient", "id": name, **more}


def plan(name: str, whose: str) -> dict:
    """A care plan."""
    return {"resourceType": "CarePlan", "id": name, "status": "active", "intent": "plan"} | {
        "subject": {"reference": f"Patient/{whose}"}
    }


def visit(name: str, whose: str, at: str) -> dict:
    """A visit at an organisation."""
    return {
        "resourceType": "Encounter",
        "id": name,
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": f"Patient/{whose}"},
        "serviceProvider": {"reference": f"Organization/{at}"},
    }


RECORDS = [
    patient("ana", birthDate="1980-03-01", identifier=[{"system": "urn:example:mrn", "value": "7"}]),
    patient("dora", birthDate="1981-03-01"),
    patient("ben", birthDate="2008-03-01"),
    patient("cleo"),
    patient("max", birthDate="2008"),
    patient("nina", birthDate="2007"),
    *(plan(f"{whose}-plan", whose) for whose in ("ana", "dora", "ben", "cleo", "max", "nina")),
    visit("ana-program", "ana", "recovery"),
    {"resourceType": "Organization", "id": "mercy"},
    {"resourceType": "Organization", "id": "recovery"},
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory):
    """A gateway under the Californian profile, its folder, and the upstream."""
    folder = tmp_path_factory.mktemp("attested")
    async with embedded(RECORDS) as (upstream, base):
        more = INTAKE.format(base=base)
        async with world(folder, base, profile="us-ca-calaim", directory=DIRECTORY, more=more) as gate:
            yield gate, folder, upstream


@pytest.fixture
def gate(house):
    """The gateway."""
    return house[0]


async def written(house, text: str) -> None:
    """Write the directory and have it read again."""
    gate, folder, _ = house
    (folder / "directory.yaml").write_text(text)
    said = {"Authorization": f"Bearer {gate.token('operator', roles=['operator'])}"}
    found = await gate.send("POST", f"{gate.control}/control/reload", said)
    assert 200 == found.status, found.body


def headers(gate: World, client: str, purpose: str = "TREAT", **claims) -> dict[str, str]:
    """The headers of a caller whose token has more claims."""
    said = {"client_id": client, "sub": client, "aud": AUDIENCE, "purpose_of_use": [purpose], **claims}
    return {"Authorization": f"Bearer {sign(gate.key, said, clock.now())}", "Content-Type": "application/fhir+json"}


async def read(gate: World, what: str, client: str, purpose: str = "TREAT", more: tuple = (), **claims):
    """Read one record at the hospital."""
    return await gate.send(
        "GET", f"{gate.data}/t/hospital/{what}", headers(gate, client, purpose, **claims) | dict(more)
    )


async def push(gate: World, *records: dict, client: str = "mercy-ehr", **claims):
    """Push records from the hospital to the community organisation."""
    entries = [{"resource": one, "request": {"method": "POST", "url": one["resourceType"]}} for one in records]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    said = headers(gate, client, **claims)
    return await gate.send("POST", f"{gate.data}/t/intake/", said, json.dumps(bundle).encode())


# Standing in the directory -------------------------------------------------------------------------------------------
async def test_what_stands_in_the_directory_counts_from_the_reload_on(gate, house):
    """A referral goes out for the patient whom the attestation names, and for nobody else; before it for nobody."""
    assert 404 == (await read(gate, "CarePlan/ana-plan", "hearth-intake")).status
    await written(house, DIRECTORY + ANAS)
    assert 200 == (await read(gate, "CarePlan/ana-plan", "hearth-intake")).status
    assert 404 == (await read(gate, "CarePlan/dora-plan", "hearth-intake")).status
    await written(house, DIRECTORY)
    assert 404 == (await read(gate, "CarePlan/ana-plan", "hearth-intake")).status


async def test_a_source_that_no_route_has_is_refused(gate, house):
    """A misspelt source would match nobody: the directory is not taken, and the old one stays."""
    (house[1] / "directory.yaml").write_text(DIRECTORY.replace("source: story", "source: stroy"))
    said = {"Authorization": f"Bearer {gate.token('operator', roles=['operator'])}"}
    found = await gate.send("POST", f"{gate.control}/control/reload", said)
    assert 422 == found.status
    assert "no route has the source `stroy`" in found.told
    assert 200 == (await read(gate, "CarePlan/ana-plan", "lodge-intake")).status


async def test_of_two_the_one_that_says_no_counts(gate):
    """An attestation for all patients is undone for one by another about that one."""
    assert 200 == (await read(gate, "CarePlan/ana-plan", "lodge-intake")).status
    assert 404 == (await read(gate, "CarePlan/dora-plan", "lodge-intake")).status


# In a signed token ---------------------------------------------------------------------------------------------------
async def test_a_signed_claim_lets_a_referral_go(gate, house):
    """The discloser's own registered client attests in its token; without the claim the push is refused."""
    house[2].requests.clear()
    assert 403 == (await push(gate, plan("new", "ana"))).status
    assert 200 == (await push(gate, plan("new", "ana"), **{CLAIM: [{"fact": REFERRAL}]})).status
    one = [{"fact": REFERRAL, "patient": "Patient/ana"}]
    assert 200 == (await push(gate, plan("new", "ana"), **{CLAIM: one})).status
    assert 403 == (await push(gate, plan("new", "dora"), **{CLAIM: one})).status


@pytest.mark.parametrize("times", [{"exp": 1_600_000_000}, {"iat": 4_000_000_000}, {"holds": False}])
async def test_a_claim_lasts_as_long_as_it_says(gate, times):
    """One that ended, that has not begun, or that says no opens nothing."""
    assert 403 == (await push(gate, plan("new", "ana"), **{CLAIM: [{"fact": REFERRAL, **times}]})).status


async def test_a_recipient_cannot_give_the_disclosers_word(gate):
    """On a read the caller is the recipient: what only the discloser can attest does not count from it."""
    assert 404 == (await read(gate, "CarePlan/ana-plan", "hearth-intake", **{CLAIM: [{"fact": REFERRAL}]})).status


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ([{"fact": EMERGENCY[0]}], "not registered to attest this"),
        ([{"fact": "mercy_says_so"}], "not known here"),
        ([{"fact": "legal_assurance_between_parties"}], "not known here"),
        ([{"fact": REFERRAL, "because": "x"}], "cannot be read"),
        ([{"fact": REFERRAL, "patient": "Practitioner/ana"}], "cannot be read"),
        ([{"fact": REFERRAL, "exp": "never"}], "cannot be read"),
        ([{"fact": REFERRAL, "exp": 10**40}], "cannot be read"),
        ({"fact": REFERRAL}, "cannot be read"),
        ([{"fact": REFERRAL}] * 51, "too much"),
        (None, "cannot be read"),
    ],
)
async def test_a_claim_that_is_not_understood_or_not_granted_is_refused(gate, claim, said):
    """The whole request is refused: a statement is never passed over."""
    answer = await push(gate, plan("new", "ana"), **{CLAIM: claim})
    assert 403 == answer.status
    assert said in answer.told


@pytest.mark.parametrize("name", [CLAIM, "X-Attestations", "X-Consent-Attestation", REFERRAL])
async def test_a_header_attests_nothing(gate, name):
    """Whatever a client puts in a header, nothing is attested by it."""
    said = [(name.replace(":", "-"), json.dumps([{"fact": REFERRAL}]))]
    assert 404 == (await read(gate, "CarePlan/ana-plan", "hearth-intake", more=tuple(said))).status


async def test_an_emergency_is_attested_by_the_clinician_who_asks(gate):
    """Part 2 records go in an emergency when consent cannot be obtained, and it is documented (42 CFR 2.51)."""
    claims = GLASS
    assert 404 == (await read(gate, "Encounter/ana-program", "valley-er", "ETREAT", **claims | {CLAIM: []})).status
    found = await read(gate, "Encounter/ana-program", "valley-er", "ETREAT", **claims)
    assert 200 == found.status
    told = (await gate.explain(found))["attempts"][-1]["intent"]
    assert "document_2.51c" in told["account"]["obligations"]
    assert ("Practitioner/9", ["emergency"]) == (told["initiator"], told["alerts"])
    story = (await gate.explain(found))["attempts"][-1]["story"]
    assert "unconscious on arrival" == story["emergency"]
    assert [(one, "valley", "token") for one in EMERGENCY] == [
        (one["fact"], one["by"], one["how"]) for one in told["attested"]
    ]
    half = claims | {CLAIM: claims[CLAIM][:1]}
    assert 404 == (await read(gate, "Encounter/ana-program", "valley-er", "ETREAT", **half)).status


# The ledger ----------------------------------------------------------------------------------------------------------
async def test_the_ledger_tells_which_attestation_it_was(gate, house):
    """The open part names the fact, whose word it is and where it stands, and no patient; of a patient of whom nothing
    leaves not even that something was attested."""
    general = [
        {"fact": "calaim_purpose", "holds": True, "by": "mercy", "how": "standing", "name": "purposes-2026"},
        {"fact": REFERRAL, "holds": True, "by": "mercy", "how": "standing", "name": "attestations[1]"},
    ]
    doras = {"fact": REFERRAL, "holds": False, "by": "mercy", "how": "standing", "name": "attestations[2]"}
    attempt = (await gate.explain(await read(gate, "CarePlan/dora-plan", "lodge-intake")))["attempts"][-1]
    assert general == attempt["intent"]["attested"]
    assert {"story|dora": [doras]} == attempt["story"]["attested"]
    with closing(sqlite3.connect(house[1] / "ledger.sqlite")) as ledger:
        rows = ledger.execute("SELECT body FROM records ORDER BY sequence DESC LIMIT 2").fetchall()
    assert b"dora" not in b"".join(row[0] for row in rows)


async def test_the_ledger_tells_of_a_patients_attestation_where_something_left(gate):
    """What was attested of one patient stands in the open part too, without the patient, where a record went by it."""
    one = [{"fact": REFERRAL, "patient": "Patient/ana"}]
    found = await push(gate, plan("new", "ana"), **{CLAIM: one})
    attempt = (await gate.explain(found))["attempts"][-1]
    told = {"fact": REFERRAL, "holds": True, "by": "mercy", "how": "token", "name": "claim 0"}
    assert [told] == attempt["intent"]["attested"]
    assert {"story|ana": [told]} == attempt["story"]["attested"]


# Derived at the door as in a question --------------------------------------------------------------------------------
@pytest.mark.parametrize(("instant", "status"), [("07:59", 404), ("08:01", 200)])
async def test_L093_who_comes_of_age_does_so_in_the_profiles_zone(gate, instant, status):
    """Eighteen is counted from Patient.birthDate, by the clock of the place whose law it is."""
    before = gate.services.clock
    at = datetime.fromisoformat(f"2026-03-01T{instant}:00").replace(tzinfo=UTC)
    gate.serve_with(clock=lambda: at)
    try:
        assert status == (await read(gate, "CarePlan/ben-plan", "valley-ehr")).status
    finally:
        gate.serve_with(clock=before)


async def test_L093_a_patient_of_unknown_age_is_no_adult(gate):
    """Without a birth date nobody is taken for an adult."""
    assert 200 == (await read(gate, "CarePlan/ana-plan", "valley-ehr")).status
    assert 404 == (await read(gate, "CarePlan/cleo-plan", "valley-ehr")).status


async def test_L093_of_a_year_alone_the_last_day_counts(gate):
    """Who may still be seventeen is no adult: a birth date of a year is that year's last day."""
    before = gate.services.clock
    gate.serve_with(clock=lambda: datetime(2026, 6, 1, tzinfo=UTC))
    try:
        found = [await read(gate, f"CarePlan/{one}-plan", "valley-ehr") for one in ("max", "nina")]
    finally:
        gate.serve_with(clock=before)
    assert [404, 200] == [one.status for one in found]


async def test_a_program_is_one_by_its_type(gate):
    """Who is registered with a type that is a Part 2 program is one, whether or not the flag says so."""
    assert 404 == (await read(gate, "Encounter/ana-program", "valley-ehr")).status


# Break-glass (leaks.md L063, L097) -----------------------------------------------------------------------------------
PERSON = {"fhirUser": "Practitioner/9", "break_glass": {"reason": "unconscious on arrival"}}
GLASS = {CLAIM: [{"fact": one, "patient": "Patient/ana"} for one in EMERGENCY]} | PERSON
LACKING = {
    "a client that may": ("valley-ehr", "ETREAT", GLASS),
    "one patient": ("valley-er", "ETREAT", GLASS | {CLAIM: [{"fact": one} for one in EMERGENCY]}),
    "no other patient": (
        "valley-er",
        "ETREAT",
        GLASS | {CLAIM: [*GLASS[CLAIM], GLASS[CLAIM][0] | {"patient": "Patient/dora"}]},
    ),
    "a clinician's client at all": ("hearth-intake", "ETREAT", GLASS),
    "a named person": ("valley-er", "ETREAT", GLASS | {"fhirUser": None}),
    "a reason": ("valley-er", "ETREAT", GLASS | {"break_glass": None}),
    "a reason with words": ("valley-er", "ETREAT", GLASS | {"break_glass": {"reason": ""}}),
    "an emergency": ("valley-er", "ETREAT", GLASS | {CLAIM: [GLASS[CLAIM][1]]}),
    "consent out of reach": ("valley-er", "ETREAT", GLASS | {CLAIM: [GLASS[CLAIM][0]]}),
    "this patient": (
        "valley-er",
        "ETREAT",
        GLASS | {CLAIM: [one | {"patient": "Patient/dora"} for one in GLASS[CLAIM]]},
    ),
    "time": ("valley-er", "ETREAT", GLASS | {CLAIM: [one | {"exp": 1_600_000_000} for one in GLASS[CLAIM]]}),
}


@pytest.mark.parametrize("lacking", LACKING)
async def test_L063_L097_an_emergency_needs_everything_that_makes_it_one(gate, lacking):
    """Under an emergency purpose each precondition in turn is left out: nothing is told; with all of them it is."""
    client, purpose, claims = LACKING[lacking]
    said = {name: value for name, value in claims.items() if value is not None}
    assert (await read(gate, "Encounter/ana-program", client, purpose, **said)).status in {403, 404}
    assert (await read(gate, "Encounter/ana-program", client, "TREAT", **said)).status in {403, 404}
    assert 200 == (await read(gate, "Encounter/ana-program", "valley-er", "ETREAT", **GLASS)).status


@pytest.mark.parametrize("lacking", ["a client that may", "a named person", "a reason"])
async def test_L063_an_emergency_under_another_purpose_needs_no_less(gate, lacking):
    """Who treats and says that it is an emergency says who and why too (42 CFR 2.51(c)): else 403."""
    client, _, claims = LACKING[lacking]
    said = {name: value for name, value in claims.items() if value is not None}
    assert 403 == (await read(gate, "Encounter/ana-program", client, "TREAT", **said)).status
    found = await read(gate, "Encounter/ana-program", "valley-er", "TREAT", **GLASS)
    assert 200 == found.status
    assert ["emergency"] == (await gate.explain(found))["attempts"][-1]["intent"]["alerts"]


async def test_L063_no_emergency_stands_in_the_directory(gate, house):
    """A directory that attests one is not taken: nobody would have said who, for whom and why."""
    standing = "  - {fact: bona_fide_medical_emergency, by: valley, recipient: valley}\n"
    (house[1] / "directory.yaml").write_text(DIRECTORY + standing)
    said = {"Authorization": f"Bearer {gate.token('operator', roles=['operator'])}"}
    found = await gate.send("POST", f"{gate.control}/control/reload", said)
    assert 422 == found.status
    assert "by a named person who gives a reason" in found.told


async def test_L097_a_token_for_an_emergency_is_used_once(gate):
    """One request, and the further pages of its answer; replayed, for the same or another record, it is 403."""
    said = headers(gate, "valley-er", "ETREAT", **GLASS)
    door = f"{gate.data}/t/hospital"
    first = await gate.send("GET", f"{door}/CarePlan?patient=ana&_count=1", said)
    assert 200 == first.status
    for path in ("CarePlan?patient=ana&_count=1", "Encounter/ana-program", "Encounter/ana-program"):
        again = await gate.send("GET", f"{door}/{path}", said)
        assert (403, "a token for an emergency is used once") == (again.status, again.told)


async def test_L097_the_pages_of_one_search_are_one_use(gate, house):
    """The next link works with the token of its first page, and with no token that was never used."""
    for number in range(3):
        house[2].store.put(json.dumps(plan(f"ana-{number}", "ana")).encode(), "CarePlan", f"ana-{number}")
    said, other = (headers(gate, "valley-er", "ETREAT", **GLASS) for _ in range(2))
    page = await gate.send("GET", f"{gate.data}/t/hospital/CarePlan?patient=ana&_count=2", said)
    assert 403 == (await gate.send("GET", page.next, other)).status
    assert 200 == (await gate.send("GET", page.next, said)).status


async def test_L097_an_emergency_ends_and_opens_no_psychotherapy_notes(gate, house):
    """At the second its attestation ends it opens no more; notes of psychotherapy stay closed all the while."""
    before, ends = gate.services.clock, clock.now().replace(microsecond=0) + timedelta(minutes=2)
    lasting = GLASS | {CLAIM: [one | {"exp": int(ends.timestamp())} for one in GLASS[CLAIM]]}
    notes = plan("ana-notes", "ana") | {"meta": {"security": [{"system": ACT_CODE, "code": "PSYTHPN"}]}}
    house[2].store.put(json.dumps(notes).encode(), "CarePlan", "ana-notes")
    assert 404 == (await read(gate, "CarePlan/ana-notes", "valley-er", "ETREAT", **lasting)).status
    assert 200 == (await read(gate, "CarePlan/ana-plan", "valley-er", "ETREAT", **lasting)).status
    found = []
    try:
        for at in (ends - timedelta(seconds=1), ends + timedelta(seconds=1)):
            gate.serve_with(clock=lambda at=at: at)
            found.append((await read(gate, "Encounter/ana-program", "valley-er", "ETREAT", **lasting)).status)
    finally:
        gate.serve_with(clock=before)
    assert [200, 404] == found
