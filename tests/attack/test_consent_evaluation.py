"""How consents are read (leaks.md section H), at a route where they alone decide: what permits does so exactly.

Every test has patients of its own, for the scene keeps their consents; what the API refuses is put in the store.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
import pytest_asyncio

from consent_store.sqlite import SqliteConsentStore
from gateway import clock
from gateway.identity.dev_issuer import sign
from tests.attack.records import ROLE, observation
from tests.attack.scene import PLAN_ROUTE, Server, searchset
from tests.attack.test_consents_name import group
from tests.attack.test_residue import HIDDEN
from tests.attack.worlds import (
    DOOR,
    alike,
    coding,
    consent,
    constant,
    file,
    hold,
    labelled,
    person,
    purpose,
)
from tests.e2e.world import AUDIENCE, CBO, DIRECTORY_TEXT, HOSPITAL, PLAN, embedded, world
from tests.stub_upstream import Seen, answer, stub_upstream

pytestmark = pytest.mark.asyncio(loop_scope="session")

PERMIT, DENY = {"type": "permit"}, {"type": "deny"}
SUNRISE = {"role": ROLE, "reference": {"reference": "Organization/sunrise"}}


async def put(scene, tree: dict[str, Any], version: str = "4.0") -> None:
    """Put a consent into the store as it is, past the API that would refuse it; another process shares the file."""
    text, at = json.dumps(tree).encode(), "2026-10-01T00:00:00.000Z"
    if scene.gate.own_plane is not None:
        await scene.gate.services.consents.put("story", text, fhir_version=version, at=at, expect=None)
        return
    if not (file := scene.folder / "consents.sqlite").exists():
        pytest.skip("the gateway's consents are not in a file that this test can write")
    store = await SqliteConsentStore.open(file, {"story": frozenset()})
    await store.put("story", text, fhir_version=version, at=at, expect=None)
    await store.close()


def r5(patient: str, **parts: Any) -> dict[str, Any]:
    """An active R5 Consent."""
    return {
        "resourceType": "Consent",
        "status": "active",
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "subject": {"reference": f"Patient/{patient}"},
        "date": "2026-09-08",
        "grantor": [{"reference": f"Patient/{patient}"}],
        "controller": [{"reference": "Organization/mercy"}],
        "sourceAttachment": [{"title": "form"}],
        "policyBasis": {"url": "http://example.org/policy"},
        "decision": "permit",
    } | parts


# What was decided before ---------------------------------------------------------------------------------------------
async def test_L084_no_answer_is_another_question_s(scene):
    """Callers, purposes, routes and patients in turn: each gets what it got alone, in whatever order they ask."""
    only = PERMIT | {"actor": [SUNRISE], "purpose": purpose("HPAYMT")}
    await file(scene, consent("shared", only))
    await file(scene, consent("shared-not", DENY))
    asked = {
        (path, client, why): status
        for patient, opened in (("shared", 200), ("shared-not", 404))
        for path, client, why, status in (
            (hold(scene, patient), PLAN, "HPAYMT", opened),
            (hold(scene, patient), PLAN, "CAREMGT", 404),
            (hold(scene, patient), CBO, "CAREMGT", 404),
            (hold(scene, patient).replace(DOOR, "/t/hospital"), PLAN, "HPAYMT", opened),
            (hold(scene, patient).replace(DOOR, "/t/hospital"), CBO, "CAREMGT", 404),
        )
    }
    order = list(asked) * 4
    random.Random(84).shuffle(order)  # noqa: S311  an order, no secret
    for one in order:
        assert asked[one] == (await scene.ask(*one)).status, one


STATUSES = [
    *(("4.0", one) for one in ("draft", "proposed", "rejected", "inactive", "entered-in-error")),
    *(("5.0", one) for one in ("draft", "inactive", "not-done", "entered-in-error")),
]


def by_version(version: str, patient: str, kind: str, **more: Any) -> dict[str, Any]:
    """A consent of either version that permits or denies everything."""
    return r5(patient, decision=kind, **more) if version == "5.0" else consent(patient, {"type": kind}, **more)


@pytest.mark.parametrize(("version", "status"), STATUSES)
async def test_L085_only_an_active_consent_counts(scene, version, status):
    """A permit of another status opens nothing, a refusal of another status closes nothing."""
    permitted, denied = (f"{kind}-{version[0]}-{status}" for kind in ("permitted", "denied"))
    await put(scene, by_version(version, permitted, "permit", status=status), version)
    await file(scene, consent(denied, PERMIT))
    await put(scene, by_version(version, denied, "deny", status=status), version)
    assert 404 == (await scene.ask(hold(scene, permitted))).status
    assert 200 == (await scene.ask(hold(scene, denied))).status


@pytest.mark.parametrize(
    ("version", "status"), [("4.0", "nonsense"), ("5.0", "unknown"), ("5.0", "nonsense"), ("4.0", None)]
)
async def test_L085_a_status_nobody_knows_can_only_deny(scene, version, status):
    """It permits nothing, and beside a permit it denies."""
    alone, beside = f"alone-{version[0]}-{status}", f"beside-{version[0]}-{status}"
    await file(scene, consent(beside, PERMIT))
    assert 200 == (await scene.ask(hold(scene, beside))).status
    for patient in (alone, beside):
        await put(scene, by_version(version, patient, "permit") | {"status": status}, version)
        assert 404 == (await scene.ask(hold(scene, patient))).status


# (period, the first and the last second it permits, in UTC; the gateway's zone is New York's)
PERIODS = {
    "a year": ({"start": "2024", "end": "2024"}, "2024-01-01T05:00:00", "2025-01-01T04:59:59"),
    "a month": ({"start": "2024-12", "end": "2024-12"}, "2024-12-01T05:00:00", "2025-01-01T04:59:59"),
    "a day": ({"start": "2024-12-31", "end": "2024-12-31"}, "2024-12-31T05:00:00", "2025-01-01T04:59:59"),
    "in a zone": (
        {"start": "2024-12-31T00:00:00+14:00", "end": "2024-12-31T00:00:00-08:00"},
        "2024-12-30T10:00:00",
        "2024-12-31T08:00:00",
    ),
    "no start": ({"end": "2024-12-31"}, None, "2025-01-01T04:59:59"),
    "no end": ({"start": "2024-12-31"}, "2024-12-31T05:00:00", None),
    "the end before the start": ({"start": "2024-12-31", "end": "2024-12-30"}, None, None),
}


@pytest.mark.parametrize("kind", ["permit", "deny"])
@pytest.mark.parametrize("case", PERIODS)
async def test_L086_a_period_holds_to_the_second(scene, case, kind):
    """A second before its first it does not hold, from the first to the last it does; the wrong way round never."""
    period, first, last = PERIODS[case]
    patient = f"period-{list(PERIODS).index(case)}-{kind}"
    if kind == "deny":
        await file(scene, consent(patient, PERMIT, dateTime="2020-01-01"))
    await put(scene, consent(patient, {"type": kind, "period": period}, dateTime="2023-01-01"))
    path, before = hold(scene, patient), scene.gate.services.clock
    inside, outside = (200, 404) if kind == "permit" else (404, 200)
    never = first is None and last is None
    expected = [(first, 0, inside), (first, -1, outside), (last, 0, inside), (last, 1, outside)]
    expected += [("2024-12-30T12:00:00", 0, 404)] if never else []
    try:
        for text, seconds, status in expected:
            if text is None:
                continue
            at = datetime.fromtimestamp(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() + seconds, UTC)
            scene.gate.serve_with(clock=lambda at=at: at)
            assert status == (await scene.ask(path)).status, (text, seconds)
    finally:
        scene.gate.serve_with(clock=before)


class Paged(Server):
    """A server whose own Consents come by twenty; `third` is what it answers for the last page, if not the page."""

    def __init__(self) -> None:
        super().__init__()
        self.consents: list[dict[str, Any]] = []
        self.third: bytes | None = None

    def __call__(self, seen: Seen) -> bytes:
        if "/Consent?" not in seen.target or "authorization" not in seen.headers:
            return super().__call__(seen)
        query, _, start = seen.target.partition("&_start=")
        first = int(start or 0)
        if first == 40 and self.third is not None:
            return self.third
        following = f"http://{seen.headers['host']}{query}&_start={first + 20}"
        links = [{"relation": "next", "url": following}] if first + 20 < len(self.consents) else []
        return searchset(*self.consents[first : first + 20], total=len(self.consents), link=links)


async def test_L087_every_page_of_consents_is_read(tmp_path):
    """The refusal stands on the third page: it counts. The page fails, or is short of what was stated: 503."""
    server = Paged()
    async with (
        stub_upstream(server) as stub,
        world(tmp_path, stub.base, consents="{driver: upstream}", profile="base") as gate,
    ):
        server.hold(person("paged"), observation("o", "Patient/paged"))
        server.consents = [consent("paged", PERMIT) | {"id": f"c{number}"} for number in range(60)]
        assert 200 == (await gate.ask("Observation/o")).status
        server.consents[59] |= {"provision": DENY}
        assert 404 == (await gate.ask("Observation/o")).status
        for third in (answer({"resourceType": "OperationOutcome"}, 500), searchset(total=60), answer(b"{"), None):
            server.third = third
            assert (404 if third is None else 503) == (await gate.ask("Observation/o")).status


# What provisions say -------------------------------------------------------------------------------------------------
NESTED = PERMIT | {
    "provision": [
        {"type": "deny", "securityLabel": [coding("PSY")]},
        {"type": "deny", "securityLabel": [coding("HIV")], "purpose": purpose("CAREMGT")},
    ]
}
WIDENED = DENY | {"provision": [{"type": "permit", "securityLabel": [coding("N")], "purpose": purpose("HPAYMT")}]}
TABLE = [
    ("nested", NESTED, ("N",), "HPAYMT", 200),
    ("nested", NESTED, ("R", "PSY"), "HPAYMT", 404),
    ("nested", NESTED, ("R", "HIV"), "HPAYMT", 200),
    ("nested", NESTED, ("R", "HIV"), "CAREMGT", 404),
    ("widened", WIDENED, ("N",), "HPAYMT", 200),
    ("widened", WIDENED, ("N",), "CAREMGT", 404),
    ("widened", WIDENED, ("R",), "HPAYMT", 404),
]


@pytest.mark.parametrize(("patient", "provision", "labels", "why", "status"), TABLE)
async def test_L090_what_is_nested_is_read(scene, patient, provision, labels, why, status):
    """An exception holds for what it says, and for no more."""
    await file(scene, consent(patient, provision))
    assert status == (await scene.ask(hold(scene, patient, *labels), purpose=why)).status


async def test_L090_provisions_of_r5_alternate(scene):
    """Refused but for payment, but not what is marked PSY, but of that observations, but not those marked ETHUD."""
    deepest = {"securityLabel": [coding("ETHUD")]}
    kind = {"system": "http://hl7.org/fhir/fhir-types", "code": "Observation"}
    third = {"resourceType": [kind], "provision": [deepest]}
    second = {"securityLabel": [coding("PSY")], "provision": [third]}
    first = {"purpose": purpose("HPAYMT"), "provision": [second]}
    await file(scene, r5("alternate", decision="deny", provision=[first]), "5.0")
    whose = {"subject": {"reference": "Patient/alternate"}}
    problem = {"resourceType": "Condition", "id": "alternate-c", "code": {"text": "x"}, **whose}

    def asked(*labels: str) -> str:
        scene.server.hold(problem | {"meta": labelled(*labels)})
        return hold(scene, "alternate", *labels)

    for labels, why, measured, diagnosed in (
        (("N",), "HPAYMT", 200, 200),
        (("N",), "CAREMGT", 404, 404),
        (("R", "PSY"), "HPAYMT", 200, 404),
        (("R", "PSY", "ETHUD"), "HPAYMT", 404, 404),
    ):
        assert measured == (await scene.ask(asked(*labels), purpose=why)).status, labels
        assert diagnosed == (await scene.ask(f"{DOOR}/Condition/alternate-c", purpose=why)).status, labels


@pytest.mark.parametrize("what", ["extension", "expression", "an element nobody knows"])
async def test_L090_what_cannot_be_read_never_permits(scene, what):
    """An attribute that nobody can evaluate: no permit in a permit; in an exception that denies, it denies."""
    odd = {
        "extension": {"modifierExtension": [{"url": "urn:x", "valueBoolean": True}]},
        "expression": {"expression": {"language": "text/cql", "expression": "true"}},
        "an element nobody knows": {"weather": "fair"},
    }[what]
    inner = {"type": "deny", "securityLabel": [coding("PSY")], **odd}
    for number, provision in enumerate((PERMIT | odd, PERMIT | {"provision": [inner]})):
        patient = f"odd-{what[:3]}-{number}".replace(" ", "-")
        await put(scene, consent(patient, provision))
        assert 404 == (await scene.ask(hold(scene, patient, "R", "PSY"))).status


async def test_L091_no_order_of_consents_decides(scene):
    """Filed in whatever order, the same consents come to the same; of one moment the refusal counts, and an older one
    kept by somebody else is not outdated."""
    said = [("2026-01-01", PERMIT), ("2026-05-01", DENY), ("2026-03-01", PERMIT)]
    same = [("2026-05-01T09:00:00Z", PERMIT), ("2026-05-01T09:00:00Z", DENY)]
    newest = [("2026-01-01", DENY), ("2026-05-01", PERMIT)]
    apart = [("2026-01-01", DENY, "Organization/harbor"), ("2026-05-01", PERMIT)]
    cases = (("said", said, 404), ("same", same, 404), ("newest", newest, 200), ("apart", apart, 404))
    for name, consents, status in cases:
        for number, order in enumerate(permutations(consents)):
            patient = f"{name}-{number}"
            for at, provision, *keeper in order:
                kept = {"organization": [{"reference": one} for one in keeper]} if keeper else {}
                await file(scene, consent(patient, provision, dateTime=at, **kept))
            assert status == (await scene.ask(hold(scene, patient))).status, (name, order)


@pytest.mark.parametrize(
    ("who", "permitted", "denied"),
    [
        ({"reference": "Organization/sunrise"}, 200, 404),
        ({"reference": "http://other.example/fhir/Organization/sunrise"}, 404, 404),
        ({"identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1000000033"}}, 200, 404),
        ({"identifier": {"system": "urn:other", "value": "1000000033"}}, 404, 404),
        ({"identifier": {"value": "1000000033"}}, 404, 404),
        ({"display": "Sunrise Health Plan"}, 404, 404),
        ({"reference": "sunrise"}, 404, 404),
        ({"reference": "Organization/hearth"}, 404, 200),
    ],
    ids=["itself", "of another server", "its number", "of another system", "of none", "a name", "an id", "another"],
)
async def test_L092_who_is_named_is_who_is_meant(scene, who, permitted, denied, request):
    """By address or by system and number; what may mean anybody permits nobody, and refuses everybody."""
    name = request.node.callspec.id.replace(" ", "-")
    for kind, status in (("permit", permitted), ("deny", denied)):
        patient = f"named-{name}-{kind}"
        if kind == "deny":
            other = [{"uri": "http://example.org/other"}]
            await file(scene, consent(patient, PERMIT, dateTime="2020-01-01", policy=other))
        await put(scene, consent(patient, {"type": kind, "actor": [{"role": ROLE, "reference": who}]}))
        assert status == (await scene.ask(hold(scene, patient))).status, kind


async def test_L092_a_former_member_is_none(scene):
    """A permit to a group reaches its members of today: not who left, not who is marked inactive."""
    to_group = PERMIT | {"actor": [{"role": ROLE, "reference": {"reference": "Group/team"}}]}
    await file(scene, consent("grouped", to_group))
    team = group("team", "Organization/sunrise")
    (member,) = team["member"]
    for more, status in (
        ({}, 200),
        ({"period": {"end": "2026-01-01"}}, 404),
        ({"period": {"start": "2099-01-01"}}, 404),
        ({"inactive": True}, 404),
    ):
        scene.server.hold(team | {"member": [member | more]})
        assert status == (await scene.ask(hold(scene, "grouped"))).status, more
    scene.server.hold(team | {"active": False})
    assert 404 == (await scene.ask(hold(scene, "grouped"))).status


class Meanwhile:
    """A ledger; before the first intent that is written something happens."""

    def __init__(self, inner: Any, happens: Callable[[], Awaitable[None]]) -> None:
        self.inner, self.happens = inner, [happens]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def intent(self, *written: Any) -> Any:
        while self.happens:
            await self.happens.pop()()
        return await self.inner.intent(*written)


async def test_L094_what_is_revoked_before_the_first_byte_is_not_sent(scene):
    """Revoked after it was decided, while it is recorded: the record does not leave."""
    path, own = hold(scene, "quick"), scene.gate.services
    signed = await file(scene, consent("quick", PERMIT))
    assert 200 == (await scene.ask(path)).status
    scene.gate.serve_with(ledger=Meanwhile(own.ledger, lambda: scene.gate.revoke(signed)))
    try:
        assert 404 == (await scene.ask(path)).status
    finally:
        scene.gate.serve_with(ledger=own.ledger)


async def test_L094_what_is_revoked_meanwhile_is_not_sent(scene):
    """Revoked while the server is slow: the record does not leave."""
    path = hold(scene, "slow")
    signed = await file(scene, consent("slow", PERMIT))
    assert 200 == (await scene.ask(path)).status
    scene.stub.delay = 0.2
    scene.stub.seen.clear()
    asking = asyncio.create_task(scene.ask(path))
    while not scene.stub.seen:  # noqa: ASYNC110  until it was asked
        await asyncio.sleep(0.01)
    await scene.gate.revoke(signed)
    assert 404 == (await asking).status


# Purposes, roles and Part 2 ------------------------------------------------------------------------------------------
PURPOSES = "purposes: [TREAT, HPAYMT, HOPERAT, HLEGAL]"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def wide(tmp_path_factory):
    """A gateway whose plan is granted every purpose: `t/hospital` by consent alone, `t/plan` under Part 2."""
    text = DIRECTORY_TEXT.replace("purposes: [HPAYMT, CAREMGT]", PURPOSES)
    assert PURPOSES in text
    records = [
        one for id_ in ("treat", "coc", "pay") for one in (person(id_), observation(f"{id_}-o", f"Patient/{id_}"))
    ]
    async with embedded(records) as (_, base):
        more = PLAN_ROUTE.format(base=base).replace("owner: sunrise", "owner: mercy")
        folder = tmp_path_factory.mktemp("wide")
        async with world(folder, base, profile="base", directory=text, more=more) as gate:
            yield gate


@pytest.mark.parametrize(
    ("patient", "permitted", "asked", "status"),
    [
        ("treat", "TREAT", "TREAT", 200),
        ("treat", "TREAT", "COC", 200),
        ("treat", "TREAT", "CAREMGT", 404),
        ("coc", "COC", "COC", 200),
        ("coc", "COC", "TREAT", 404),
        ("pay", "HPAYMT", "CLMATTCH", 200),
        ("pay", "HPAYMT", "TREATS", 403),
        ("pay", "HPAYMT", "HPAYMT,TREAT", 400),
        ("pay", "HPAYMT", "urn:other|HPAYMT", 403),
    ],
)
async def test_L096_a_consent_reaches_down_and_not_up(wide, patient, permitted, asked, status):
    """A permit covers what falls under its purpose; a purpose nobody knows, or two, is no purpose."""
    tree = consent(patient, PERMIT | {"purpose": purpose(permitted)})
    said = {"Authorization": f"Bearer {wide.token('officer', roles=['privacy_officer'])}"}
    said["Content-Type"] = "application/fhir+json"
    assert 201 == (await wide.send("POST", f"{wide.control}/fhir/Consent", said, json.dumps(tree).encode())).status
    assert status == (await wide.ask(f"Observation/{patient}-o", purpose=asked)).status


async def test_L095_part_2_goes_with_its_notice_and_never_to_court(wide):
    """With consent each Part 2 record carries notice and scope, others none; for proceedings none goes at all."""
    notice, hidden = b"42 CFR part 2 prohibits", "/t/plan/Condition/rosa-opioid-dependence"
    before = await wide.ask("/t/plan/Condition?patient=rosa")
    assert notice not in before.body
    signed = await wide.consent("rosa-part2.json")
    found = await wide.ask("/t/plan/Condition?patient=rosa")
    told = {one["resource"]["id"]: json.dumps(one["resource"]).encode() for one in found.json["entry"]}
    assert "rosa-opioid-dependence" in told
    for id_, text in told.items():
        part2 = b"42CFRPart2" in text
        assert part2 == (notice in text) == (b"valueRelatedArtifact" in text), id_
        assert part2 or id_ in before.ids
    for why, status in (("HPAYMT", 200), ("TREAT", 200), ("HLEGAL", 404)):
        assert status == (await wide.ask(hidden, purpose=why)).status
    await wide.revoke(signed)
    assert constant(before) == constant(await wide.ask("/t/plan/Condition?patient=rosa"))


@pytest.mark.parametrize("claims", [
    {"roles": ["operator"]}, {"roles": ["privacy_officer", "admin", "superuser"]}, {"scope": "system/*.* user/*.*"},
    {"scope": "access/*.*", "admin": True}, {"groups": ["administrators"], "acr": "level4"},
])  # fmt: skip
async def test_L098_no_role_and_no_scope_goes_past_the_release(scene, claims):
    """Whatever else a token says, its client gets what it would get without: in both worlds the same."""
    said = {"client_id": PLAN, "sub": PLAN, "aud": AUDIENCE, **claims}
    headers = [("Authorization", f"Bearer {sign(scene.gate.key, said, clock.now())}")]
    for path in ("Observation?patient=rosa", "Condition/rosa-opioid-dependence", "Patient/rosa/$meta"):
        found = await alike(scene, path, [*HIDDEN, observation()], [observation()], client=None, headers=headers)
        assert constant(await scene.ask(path)) == constant(found)


async def test_L099_two_purposes_tell_no_more_than_each(scene):
    """The same search under both purposes of a plan: each is the answer of the world without; sums are not offered."""
    for why in ("HPAYMT", "CAREMGT"):
        for path in ("Observation?patient=rosa", "Condition?patient=rosa&_sort=code"):
            await alike(scene, path, [*HIDDEN, observation()], [observation()], purpose=why)
    for path in ("Observation/$stats?patient=rosa", "Observation/$count", "$aggregate", "Patient?_summary=count"):
        assert (await scene.ask(path)).status in {400, 501}


async def test_L083_no_worker_and_no_client_waits_for_a_revocation(scene):
    """Permitted, revoked, asked at once by two clients and as part of a search: withheld from the next request on."""
    await file(scene, consent("fickle", DENY, dateTime="2020-01-01"))
    path = hold(scene, "fickle")
    for number in range(10):
        signed = await file(scene, consent("fickle", PERMIT, dateTime=f"2026-01-{number + 1:02}"))
        assert 200 == (await scene.ask(path)).status
        await scene.gate.revoke(signed)
        asked = [scene.ask(path), scene.ask(path, HOSPITAL, "TREAT"), scene.ask(f"{DOOR}/Observation?patient=fickle")]
        read, other, found = await asyncio.gather(*asked)
        assert (404, 404, []) == (read.status, other.status, found.ids)
