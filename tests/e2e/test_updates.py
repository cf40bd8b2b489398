"""Updates from outside: who may not see a record cannot write it, what one cannot see stays, labels are never lowered.

Two gateways stand before two upstreams: FULL holds everything, ABSENT never had what is withheld from the plan.
"""

import json
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from gateway.demo.upstream import EmbeddedUpstream
from tests.attack.records import observation, quokka
from tests.e2e.world import CBO, HOSPITAL, PLAN, Answer, World, embedded, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPEN = "writes: [create, update, patch]"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
LEVEL = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
PATCH = "application/json-patch+json"
LABELLED = {"security": [{"system": LEVEL, "code": "N"}, {"system": ACT, "code": "PHY"}]}


def pulse(id: str, *, hidden: bool = False, **more: Any) -> dict[str, Any]:
    """A heart rate of Rosa's; a hidden one was measured at the Part 2 clinic."""
    return observation(
        id,
        encounter={"reference": f"Encounter/{'rosa-harbor-intake' if hidden else 'rosa-mercy-clinic'}"},
        performer=[{"reference": f"Organization/{'harbor' if hidden else 'mercy'}"}],
        status="preliminary",
        valueQuantity={"value": 70, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
        note=[{"text": "plain"}],
        **more,
    )


PROSE = ("valueQuantity", "note")
PART = {"focus": [{"reference": "Observation/plain"}]}
PART_FULL = {"focus": [{"reference": "Observation/hid"}, {"reference": "Observation/plain"}]}


class House(NamedTuple):
    """The two gateways, and the upstream of the first."""

    full: World
    absent: World
    upstream: EmbeddedUpstream
    upstream_absent: EmbeddedUpstream

    def stored(self, id: str) -> dict[str, Any]:
        """What the server holds."""
        return json.loads(self.upstream.store.read("Observation", id).raw)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory):
    """Both arms."""
    folder = tmp_path_factory.mktemp("updates")
    common = [pulse("plain"), pulse("labelled", meta=LABELLED), pulse("spare")]
    panel = {"hasMember": PART_FULL["focus"]}
    rest = pulse("panel", hasMember=PART["focus"])
    for name in ("note", "valueQuantity"):
        del rest[name]
    more = [quokka(), pulse("hid", hidden=True), pulse("part", **PART_FULL), pulse("panel", **panel)]
    bare = pulse("part", **PART)
    del bare["note"]  # prose beside a link that is cut goes with it
    async with (
        embedded([*common, *more]) as (upstream, base),
        embedded([*common, quokka(), bare, rest]) as (upstream_absent, base_absent),
        world(folder / "full", base, route=OPEN) as full,
        world(folder / "absent", base_absent, route=OPEN) as absent,
    ):
        yield House(full, absent, upstream, upstream_absent)


async def put(gate: World, id: str, tree: Any, client: str = PLAN, **headers: str) -> Answer:
    """Update an observation."""
    said = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return await gate.ask(f"Observation/{id}", client, "HPAYMT", method="PUT", body=tree, headers=said)


async def patch(gate: World, id: str, operations: Any, *, path: str = "", **headers: str) -> Answer:
    """Patch an observation."""
    said = [("Content-Type", PATCH), *((name.replace("_", "-"), value) for name, value in headers.items())]
    body = json.dumps(operations).encode()
    return await gate.ask(path or f"Observation/{id}", PLAN, "HPAYMT", method="PATCH", body=body, headers=said)


async def shown(gate: World, id: str) -> Answer:
    """Read an observation."""
    return await gate.ask(f"Observation/{id}", PLAN, "HPAYMT")


def replace(path: str, value: Any, op: str = "replace") -> list[dict[str, Any]]:
    """A patch of one operation."""
    return [{"op": op, "path": path, "value": value}]


async def test_what_one_may_see_one_may_update(house):
    """A PUT of what was read, changed, is stored; the answer is ours and says nothing of the record (L077)."""
    read = await shown(house.full, "spare")
    answer = await put(house.full, "spare", read.json | {"status": "final"}, If_Match=read.headers["etag"])
    assert (200, "the Observation was updated") == (answer.status, answer.told)
    assert "final" == house.stored("spare")["status"]
    assert "final" == (await shown(house.full, "spare")).json["status"]


async def test_an_update_is_recorded_as_a_push(house):
    """The ledger says who changed what at whom; a refused one that nothing left."""
    read = (await shown(house.full, "spare")).json
    answer = await put(house.full, "spare", read | {"status": "amended"})
    (attempt,) = (await house.full.explain(answer))["attempts"]
    assert ("update", "push", "sunrise", "mercy", "sent") == (
        *(attempt["intent"][name] for name in ("interaction", "direction", "discloser", "recipient")),
        attempt["completion"]["outcome"],
    )
    refused = await put(house.full, "hid", pulse("hid"))
    assert ["void"] == [one["completion"]["outcome"] for one in (await house.full.explain(refused))["attempts"]]


async def test_L075_a_put_without_labels_keeps_those_stored(house):
    """Labels left out, or lowered, stay in the stored copy."""
    tree = {name: value for name, value in (await shown(house.full, "labelled")).json.items() if name != "meta"}
    for meta in ({}, {"meta": {"security": [{"system": LEVEL, "code": "L"}]}}):
        assert 200 == (await put(house.full, "labelled", tree | meta, X_Meta_Snapshot_Mode="SECURITY_LABEL")).status
        assert {"N", "PHY"} <= {one["code"] for one in house.stored("labelled")["meta"]["security"]}


async def test_L082_nobody_raises_a_label(house):
    """A higher confidentiality or another sensitivity is refused, and others' answers stay."""
    read = (await shown(house.full, "plain")).json
    for label in ({"system": LEVEL, "code": "V"}, {"system": ACT, "code": "SUD"}):
        assert 403 == (await put(house.full, "plain", read | {"meta": {"security": [label]}})).status
    assert read == (await shown(house.full, "plain")).json


async def test_what_labels_rest_on_is_not_changed_away(house):
    """A code that labels the record cannot be taken out by a caller, whatever it may see."""
    read = (await shown(house.full, "plain")).json
    subject = await put(house.full, "plain", read | {"subject": {"reference": "Patient/dana"}})
    performer = await put(house.full, "plain", {k: v for k, v in read.items() if k != "performer"})
    extension = await put(
        house.full, "plain", read | {"extension": [{"url": "http://x.example", "valueBoolean": True}]}
    )
    assert [422, 422, 422] == [one.status for one in (subject, performer, extension)]
    assert read == (await shown(house.full, "plain")).json


PATCHES = {
    "remove a label": [{"op": "remove", "path": "/meta/security/0"}],
    "replace meta": replace("/meta", {}),
    "replace the root": replace("", {}),
    "move from meta": [{"op": "move", "from": "/meta/security", "path": "/note/0/extension"}],
    "copy to meta": [{"op": "copy", "from": "/note/0", "path": "/meta/tag"}],
    "copy meta": [{"op": "copy", "from": "/meta", "path": "/note/0/x"}],
    "test meta": replace("/meta/versionId", "1", op="test"),
    "another patient": replace("/subject/reference", "Patient/dana"),
    "no patient": [{"op": "remove", "path": "/subject"}],
    "another source": replace("/performer/0/reference", "Organization/harbor"),
    "an extension": replace("/extension", [{"url": "http://x.example"}], op="add"),
    "another id": replace("/id", "hid"),
    "a conditional reference": replace("/focus", [{"reference": "Patient?identifier=a|b"}], op="add"),
    "a contained consent": replace("/contained", [{"resourceType": "Consent", "id": "c"}], op="add"),
    "what is not there": [{"op": "remove", "path": "/valueString"}],
    "a test that fails": replace("/status", "final", op="test"),
}


@pytest.mark.parametrize("case", PATCHES)
async def test_L076_a_patch_does_not_touch_what_policy_rests_on(house, case):
    """Labels, identity, subject, sources, extensions: refused, by path or by what comes out; the copy is unchanged."""
    before = house.stored("labelled")
    assert 422 == (await patch(house.full, "labelled", PATCHES[case])).status
    assert before == house.stored("labelled")


async def test_L076_meta_operations_and_other_patches_are_refused(house):
    """`$meta-delete`, `$meta-add`, XML, a merge patch, patches of no operation, a delete in a batch: nothing asked."""
    house.upstream.requests.clear()
    for name in ("$meta-delete", "$meta-add"):
        found = await house.full.ask(f"Observation/labelled/{name}", PLAN, "HPAYMT", method="POST", body={})
        assert 501 == found.status
    for media, status in (("application/fhir+xml", 415), ("application/merge-patch+json", 415), (None, 400)):
        said = [("Content-Type", media)] if media else []
        body = {"resourceType": "Parameters", "parameter": []}
        found = await house.full.ask("Observation/labelled", PLAN, "HPAYMT", method="PATCH", body=body, headers=said)
        assert status == found.status
    entry = {"request": {"method": "DELETE", "url": "Observation/labelled"}}
    for kind, status in (("batch", 200), ("transaction", 422)):
        whole = {"resourceType": "Bundle", "type": kind, "entry": [entry]}
        found = await house.full.ask("", PLAN, "HPAYMT", method="POST", body=whole)
        assert status == found.status
        if status == 200:
            assert "405 Method Not Allowed" == found.json["entry"][0]["response"]["status"]
    assert [] == house.upstream.requests


async def test_a_patch_changes_what_was_shown(house):
    """A patch of plain elements is stored, numbers as they were written."""
    operations = replace("/valueQuantity", {"value": 71.50, "unit": "/min"}) + replace(
        "/note/-", {"text": "x"}, op="add"
    )
    body = json.dumps(operations).replace("71.5", "71.50").encode()
    said = [("Content-Type", PATCH)]
    answer = await house.full.ask("Observation/spare", PLAN, "HPAYMT", method="PATCH", body=body, headers=said)
    assert 200 == answer.status, answer.told
    assert b'"value":71.50' in house.upstream.store.read("Observation", "spare").raw.replace(b" ", b"")
    assert [{"text": "plain"}, {"text": "x"}] == house.stored("spare")["note"]


async def test_L079_what_was_withheld_of_a_record_stays(house):
    """The plan reads a record whose link to a hidden one was cut, changes it, writes it: link and note stay stored."""
    answers = []
    for gate in (house.full, house.absent):
        read = await shown(gate, "part")
        assert [{"reference": "Observation/plain"}] == read.json["focus"]
        first = await put(gate, "part", read.json | {"status": "final"}, If_Match=read.headers["etag"])
        second = await patch(gate, "part", replace("/status", "corrected"))
        tried = await patch(gate, "part", [{"op": "remove", "path": "/focus"}])
        answers.append([(one.status, one.body) for one in (first, second, tried)] + [(await shown(gate, "part")).json])
    statuses = [status for status, _ in answers[0][:3]]
    assert [200, 200, 422] == statuses
    for one in answers:
        one[-1].pop("meta")
    assert answers[0] == answers[1]
    assert PART_FULL["focus"] == house.stored("part")["focus"]
    assert [{"text": "plain"}] == house.stored("part")["note"]
    assert "corrected" == house.stored("part")["status"]


async def test_L079_what_was_withheld_is_not_written_over(house):
    """Of a panel with a hidden member the value and note are not shown: they stay, and nobody writes others there, nor
    where there never were any: a note that is taken and then not shown would tell of the member."""
    before = house.stored("panel")
    told = []
    for gate in (house.full, house.absent):
        read = (await shown(gate, "panel")).json
        assert not {"valueQuantity", "note"} & read.keys()
        done = [await put(gate, "panel", read | {"status": "final"})]
        words = ({"valueQuantity": {"value": 1}}, {"valueString": "low"}, {"note": [{"text": "mine"}]})
        done += [await put(gate, "panel", read | one) for one in (*words, {"interpretation": [{"text": "low"}]})]
        done += [await patch(gate, "panel", replace("/note", [{"text": "mine"}], "add"))]
        told.append([(one.status, one.body) for one in done])
        assert read | {"status": "final"} | {"meta": 0} == (await shown(gate, "panel")).json | {"meta": 0}
    assert told[0] == told[1]
    assert [200, *[422] * 5] == [status for status, _ in told[0]]
    after = house.stored("panel")
    assert [before[name] for name in (*PROSE, "hasMember")] == [after[name] for name in (*PROSE, "hasMember")]


async def test_words_that_were_shown_are_changed_and_added_to(house):
    """The positive control: another note beside one that was shown, another value, another form of it."""
    read = (await shown(house.full, "spare")).json
    notes = [*read["note"], {"text": "mine"}]
    assert 200 == (await put(house.full, "spare", read | {"note": notes})).status
    assert notes == (await shown(house.full, "spare")).json["note"]
    other = {name: value for name, value in read.items() if name != "valueQuantity"} | {"valueString": "high"}
    assert 200 == (await put(house.full, "spare", other)).status
    assert "high" == (await shown(house.full, "spare")).json["valueString"]
    assert 200 == (await put(house.full, "spare", read)).status


@pytest.mark.parametrize("tag", ["SUBSETTED", "REDACTED"])
@pytest.mark.parametrize("id_", ["plain", "hid", "never"])
async def test_L079_a_part_of_a_record_is_no_record(house, tag, id_):
    """A body that says it was cut is 422, whether the record is there, hidden or never was."""
    mark = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": tag}
    answers = [await put(gate, id_, pulse(id_, meta={"tag": [mark]})) for gate in (house.full, house.absent)]
    assert [422, 422] == [one.status for one in answers]
    assert answers[0].body == answers[1].body


CONDITIONS = [{}, {"If_Match": 'W/"1"'}, {"If_Match": "*"}, {"If_Match": 'W/"none"'}]


@pytest.mark.parametrize("condition", CONDITIONS)
async def test_L068_L069_a_hidden_record_is_written_like_one_that_never_was(house, condition):
    """PUT and PATCH of what is hidden, absent or another's: one answer, in both arms; the hidden copy is unchanged."""
    before = house.stored("hid")
    found = []
    for gate in (house.full, house.absent):
        for id_ in ("hid", "never"):
            found.append(await put(gate, id_, pulse(id_), **condition))
            found.append(await patch(gate, id_, replace("/status", "final"), **condition))
            found.append(await patch(gate, id_, replace("/no/such", "final", op="test"), **condition))
    first = found[0].constant
    assert 404 == first[0]
    assert all(first == one.constant for one in found)
    assert before == house.stored("hid")
    assert house.upstream_absent.store.read("Observation", "hid") is None


async def test_another_version_than_the_client_holds_is_412(house):
    """If-Match is held against what the client was shown; the record stays."""
    before = house.stored("plain")
    answer = await put(house.full, "plain", pulse("plain", code=before["code"]) | {"status": "final"}, If_Match='W/"x"')
    assert 412 == answer.status
    assert before == house.stored("plain")


async def test_who_may_not_see_may_not_write(house):
    """A stranger gets the answer for what is not there."""
    answer = await house.full.ask("Observation/plain", CBO, "CAREMGT", method="PUT", body=pulse("plain"))
    assert answer.constant[::2] == (await put(house.full, "never", pulse("never"))).constant[::2]


CLOSED = ["Consent", "Person", "Group", "List", "CareTeam", "PractitionerRole", "OrganizationAffiliation", "Provenance"]
CLOSED += ["AuditEvent", "Subscription", "Organization", "Practitioner", "Location", "Encounter", "Patient", "Coverage"]


@pytest.mark.parametrize("type_", [*CLOSED, "ExplanationOfBenefit", "ValueSet"])
async def test_L080_policy_is_not_written_by_who_exchanges(house, type_):
    """Consents, links, members, teams, roles, the directory, and what a caller gets in part: refused by type."""
    house.upstream.requests.clear()
    for client, purpose in ((PLAN, "HPAYMT"), (HOSPITAL, "TREAT")):
        if (type_, client) == ("ExplanationOfBenefit", HOSPITAL):
            continue
        tree = {"resourceType": type_, "id": "rosa"}
        found = await house.full.ask(f"{type_}/rosa", client, purpose, method="PUT", body=tree)
        said = [("Content-Type", PATCH)]
        body = json.dumps(replace("/active", False, op="add")).encode()
        also = await house.full.ask(f"{type_}/rosa", client, purpose, method="PATCH", body=body, headers=said)
        assert (403, 403) == (found.status, also.status)
    assert [] == house.upstream.requests


async def test_L078_conditions_and_deletes_stay_refused(house):
    """Where updates are open too: no conditional update or patch, no delete, no update that creates."""
    house.upstream.requests.clear()
    for method in ("PUT", "PATCH", "DELETE"):
        path = "Observation?identifier=a|b"
        assert 405 == (await house.full.ask(path, PLAN, "HPAYMT", method=method, body=pulse("x"))).status
    assert 405 == (await house.full.ask("Observation/plain", PLAN, "HPAYMT", method="DELETE")).status
    assert 400 == (await put(house.full, "plain", pulse("plain"), If_None_Match="*")).status
    assert 400 == (await put(house.full, "plain", pulse("another"))).status
    assert [] == house.upstream.requests


async def test_the_statement_says_what_may_be_written(house):
    """Observation may be updated and patched, Claims and Groups may not; OPTIONS agrees."""
    types = {one["type"]: one for one in (await house.full.ask("metadata")).json["rest"][0]["resource"]}
    codes = {name: {one["code"] for one in types[name]["interaction"]} for name in ("Observation", "Claim", "Group")}
    assert {"update", "patch"} <= codes["Observation"]
    assert not {"update", "patch"} & (codes["Claim"] | codes["Group"])
    allowed = await house.full.ask("Observation/plain", method="OPTIONS", client=None)
    assert "GET, HEAD, PATCH, PUT, OPTIONS" == allowed.headers["allow"]


async def test_a_version_id_that_was_read_is_a_tag(house):
    """R4 makes `W/"versionId"` of a version: a client that says it so is understood."""
    read = (await shown(house.full, "spare")).json
    version = read["meta"]["versionId"]
    answers = [await put(house.full, "spare", read, If_Match=f'W/"{version}"') for _ in range(2)]
    assert [200, 412] == [one.status for one in answers]


async def test_L075_who_is_cleared_for_a_label_cannot_take_it_away(house):
    """The hospital sees its own record of substance use; written without labels, or as N, it stays SUD and R."""
    label = [{"system": LEVEL, "code": "R"}, {"system": ACT, "code": "SUD"}]
    house.upstream.store.put(json.dumps(pulse("sud", meta={"security": label})).encode(), "Observation", "sud")
    door = "Observation/sud"
    read = (await house.full.ask(door, HOSPITAL, "TREAT")).json
    bare = {name: value for name, value in read.items() if name != "meta"}
    for number, meta in enumerate([{}, {"meta": {"security": [{"system": LEVEL, "code": "N"}]}}]):
        tree = bare | meta | {"note": [{"text": f"note {number}"}]}
        answer = await house.full.ask(door, HOSPITAL, "TREAT", method="PUT", body=tree)
        assert 200 == answer.status, answer.told
        stored = house.stored("sud")
        assert ["R", "SUD"] == [one["code"] for one in stored["meta"]["security"]]
        assert [{"text": f"note {number}"}] == stored["note"]
