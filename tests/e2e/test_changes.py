"""Patches by FHIRPath, and changes within batches and transactions: each as by itself, all of them or none.

Two gateways stand before two upstreams, as in `test_updates`: FULL holds everything, ABSENT never had what is withheld.
"""

import base64
import json
from typing import Any

import pytest
import pytest_asyncio

from tests.attack.records import quokka
from tests.e2e.test_updates import ACT, LABELLED, LEVEL, OPEN, PART, PART_FULL, House, pulse, put, shown
from tests.e2e.world import CBO, HOSPITAL, PLAN, Answer, World, embedded, world
from tests.unit.gateway.fhir.test_path_patch import operation

pytestmark = pytest.mark.asyncio(loop_scope="module")

ICD = "http://hl7.org/fhir/sid/icd-10-cm"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory):
    """Both arms."""
    folder = tmp_path_factory.mktemp("changes")
    common = [pulse("plain"), pulse("labelled", meta=LABELLED), pulse("spare"), pulse("other")]
    coded = pulse("coded", category=[{"coding": [{"system": ICD, "code": "F33.1"}]}])
    more = [quokka(), pulse("hid", hidden=True), pulse("part", **PART_FULL)]
    async with (
        embedded([*common, coded, *more]) as (upstream, base),
        embedded([*common, coded, quokka(), pulse("part", **PART)]) as (upstream_absent, base_absent),
        world(folder / "full", base, route=OPEN) as full,
        world(folder / "absent", base_absent, route=OPEN) as absent,
    ):
        yield House(full, absent, upstream, upstream_absent)


def parameters(*operations: Any) -> dict[str, Any]:
    """A FHIRPath Patch."""
    return {"resourceType": "Parameters", "parameter": list(operations)}


async def patch(gate: World, id: str, *operations: Any, client: str = PLAN, purpose: str = "HPAYMT") -> Answer:
    """Patch an observation by FHIRPath."""
    tree = parameters(*operations)
    return await gate.ask(f"Observation/{id}", client, purpose, method="PATCH", body=tree)


def change(method: str, id: str, tree: Any, **request: str) -> dict[str, Any]:
    """An entry that changes an observation."""
    return {"resource": tree, "request": {"method": method, "url": f"Observation/{id}"} | request}


def json_patch(*operations: Any) -> dict[str, Any]:
    """A JSON Patch as it stands in a Bundle."""
    data = base64.b64encode(json.dumps(list(operations)).encode()).decode()
    return {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}


def create(tree: Any) -> dict[str, Any]:
    """An entry that creates."""
    made = {name: value for name, value in tree.items() if name != "id"}
    return {"resource": made, "request": {"method": "POST", "url": tree["resourceType"]}}


async def send(gate: World, kind: str, *entries: Any, client: str = PLAN, purpose: str = "HPAYMT") -> Answer:
    """Post a Bundle."""
    tree = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
    return await gate.ask("", client, purpose, method="POST", body=tree)


def statuses(answer: Answer) -> list[int]:
    """The statuses of the entries of a batch's or transaction's answer."""
    return [int(one["response"]["status"][:3]) for one in answer.json["entry"]]


MERCY = "Organization/mercy"
FINAL = operation("replace", "Observation.status", value={"valueCode": "final"})
REPLACED = {"op": "replace", "path": "/status", "value": "corrected"}


# FHIRPath Patch ------------------------------------------------------------------------------------------------------
async def test_a_path_patch_changes_what_was_shown(house):
    """Replaced, added and deleted by path; the answer is ours and says nothing of the record (L077)."""
    note = operation("add", "Observation", name="note", value={"valueAnnotation": {"text": "x"}})
    unit = operation("delete", "Observation.value.unit")
    answer = await patch(house.full, "spare", FINAL, note, unit)
    assert (200, "the Observation was updated") == (answer.status, answer.told)
    stored = house.stored("spare")
    assert ("final", "x", None) == (stored["status"], stored["note"][-1]["text"], stored["valueQuantity"].get("unit"))


DANA, PLAIN = {"reference": "Patient/dana"}, {"reference": "Observation/plain"}
CLOSED = {
    "remove a label": operation("delete", "Observation.meta.security[0]"),
    "remove all": operation("delete", "Observation.meta.security"),
    "replace meta": operation("replace", "Observation.meta", value={"valueMeta": {"versionId": "1"}}),
    "another patient": operation("replace", "Observation.subject", value={"valueReference": DANA}),
    "its address": operation("replace", "Observation.subject.reference", value={"valueString": "Patient/dana"}),
    "no patient": operation("delete", "Observation.subject"),
    "another source": operation(
        "replace", "Observation.performer[0]", value={"valueReference": {"reference": "Organization/harbor"}}
    ),
    "a focus": operation("add", "Observation", name="focus", value={"valueReference": PLAIN}),
    "another id": operation("replace", "Observation.id", value={"valueId": "hid"}),
    "what is not there": operation("replace", "Observation.issued", value={"valueInstant": "2026-01-01T00:00:00Z"}),
}  # fmt: skip


@pytest.mark.parametrize("case", CLOSED)
async def test_L076_a_path_patch_does_not_touch_what_policy_rests_on(house, case):
    """Labels, identity, subject, sources: refused alone, in a batch and in a transaction; the copy is unchanged."""
    before = house.stored("labelled")
    alone = await patch(house.full, "labelled", CLOSED[case])
    batch = await send(house.full, "batch", change("PATCH", "labelled", parameters(CLOSED[case])))
    whole = await send(house.full, "transaction", change("PATCH", "labelled", parameters(CLOSED[case])))
    assert (422, [422], 422) == (alone.status, statuses(batch), whole.status)
    assert before == house.stored("labelled")


@pytest.mark.parametrize(
    "said", [FINAL, operation("delete", "Observation.no"), operation("delete", "Observation.note")]
)
async def test_L069_a_path_patch_of_what_is_hidden_is_that_of_what_never_was(house, said):
    """Hidden and absent: one answer, whether the patch would fit or not, in both arms."""
    found = [await patch(gate, id_, said) for gate in (house.full, house.absent) for id_ in ("hid", "never")]
    assert 404 == found[0].status
    assert all(found[0].constant == one.constant for one in found)


async def test_L079_what_was_withheld_stays_under_a_path_patch(house):
    """The link that was cut is still stored after a patch of another element; one that would meet it is refused."""
    answers = []
    for gate in (house.full, house.absent):
        first = await patch(gate, "part", FINAL)
        second = await patch(gate, "part", operation("delete", "Observation.focus[0]"))
        answers.append([(one.status, one.body) for one in (first, second)])
    assert answers[0] == answers[1]
    assert [200, 422] == [status for status, _ in answers[0]]
    assert PART_FULL["focus"] == house.stored("part")["focus"]


# What labels a record ------------------------------------------------------------------------------------------------
async def test_L075_a_code_that_labels_is_not_changed_away(house):
    """A record is sensitive by what it says: without the code it would be plain. By PUT, by each patch, in a Bundle."""
    door, before = "Observation/coded", house.stored("coded")
    read = (await house.full.ask(door, HOSPITAL, "TREAT")).json
    assert ICD == read["category"][0]["coding"][0]["system"]
    bare = {name: value for name, value in read.items() if name != "category"}
    removed = operation("delete", "Observation.category")
    tries = [
        await house.full.ask(door, HOSPITAL, "TREAT", method="PUT", body=bare),
        await patch(house.full, "coded", removed, client=HOSPITAL, purpose="TREAT"),
        await send(house.full, "transaction", change("PUT", "coded", bare), client=HOSPITAL, purpose="TREAT"),
    ]
    assert [422] * 3 == [one.status for one in tries]
    batch = await send(house.full, "batch", change("PUT", "coded", bare), client=HOSPITAL, purpose="TREAT")
    assert [422] == statuses(batch)
    assert before == house.stored("coded")
    noted = await house.full.ask(door, HOSPITAL, "TREAT", method="PUT", body=read | {"note": [{"text": "seen"}]})
    assert 200 == noted.status


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_L075_labels_left_out_in_a_bundle_stay(house, kind):
    """What keeps labels by a PUT keeps them by a PUT within a batch or transaction."""
    tree = {name: value for name, value in (await shown(house.full, "labelled")).json.items() if name != "meta"}
    answer = await send(house.full, kind, change("PUT", "labelled", tree | {"status": "final"}))
    assert (200, [200]) == (answer.status, statuses(answer))
    stored = house.stored("labelled")
    assert ("final", {"N", "PHY"}) == (stored["status"], {one["code"] for one in stored["meta"]["security"]})
    again = await put(house.full, "labelled", stored | {"status": "preliminary"})
    assert 200 == again.status


@pytest.mark.parametrize("label", [{"system": LEVEL, "code": "V"}, {"system": ACT, "code": "SUD"}])
async def test_L082_nobody_raises_a_label_in_a_bundle(house, label):
    """A higher label in a batch is refused in its place, in a transaction with all of it."""
    read = (await shown(house.full, "plain")).json
    entry = change("PUT", "plain", read | {"meta": {"security": [label]}})
    batch, whole = [await send(house.full, kind, create(pulse("new")), entry) for kind in ("batch", "transaction")]
    assert ([201, 403], 403) == (statuses(batch), whole.status)
    assert read == (await shown(house.full, "plain")).json


# Batches -------------------------------------------------------------------------------------------------------------
async def test_L044_each_change_of_a_batch_is_answered_as_by_itself(house):
    """Creates and changes, some refused by form, some for what they are: status and text as each would have alone."""
    read = (await shown(house.full, "other")).json
    entries = [
        change("PUT", "other", read | {"status": "final"}),
        create(pulse("new")),
        change("PATCH", "never", parameters(FINAL)),
        change("PATCH", "hid", json_patch(REPLACED)),
        change("PUT", "plain", pulse("another")),
        change("PUT", "spare", pulse("spare"), ifMatch='W/"none"'),
        {"request": {"method": "DELETE", "url": "Observation/plain"}},
        change("PUT", "x", {"resourceType": "Organization", "id": "x"}) | {"request": {"method": "PUT", "url": MERCY}},
        change("PATCH", "other", json_patch(REPLACED)),
    ]  # fmt: skip
    answer = await send(house.full, "batch", *entries)
    assert [200, 201, 404, 404, 400, 412, 405, 403, 200] == statuses(answer)
    told = [one["response"]["outcome"]["issue"][0]["diagnostics"] for one in answer.json["entry"]]
    alone = await patch(house.full, "never", FINAL)
    assert (alone.told, alone.told) == (told[2], told[3])
    assert answer.json["entry"][1]["response"]["location"].startswith(f"{house.full.data}/t/hospital/Observation/")
    assert "corrected" == house.stored("other")["status"]


async def test_L069_a_batch_of_changes_tells_nothing(house):
    """The same batch in both arms: equal but for the ids of what was made."""
    entries = [change("PATCH", "hid", parameters(FINAL)), change("PUT", "hid", pulse("hid"))]
    entries += [change("PATCH", "never", parameters(FINAL)), change("PUT", "never", pulse("never"))]
    answers = [await send(gate, "batch", *entries) for gate in (house.full, house.absent)]
    assert answers[0].body == answers[1].body
    assert [404] * 4 == statuses(answers[0])


# Transactions --------------------------------------------------------------------------------------------------------
async def test_a_transaction_creates_and_changes_at_once(house):
    """A create, a PUT and both kinds of patch go as one transaction, patches as the records that they make."""
    read = (await shown(house.full, "spare")).json
    house.upstream.requests.clear()
    answer = await send(
        house.full,
        "transaction",
        create(pulse("new")),
        change("PUT", "spare", read | {"status": "cancelled"}),
        change("PATCH", "other", json_patch(REPLACED | {"value": "unknown"})),
        change("PATCH", "plain", parameters(FINAL)),
    )
    assert (200, [201, 200, 200, 200]) == (answer.status, statuses(answer)), answer.body
    found = [house.stored(name)["status"] for name in ("spare", "other", "plain")]
    assert ["cancelled", "unknown", "final"] == found
    assert ["POST"] == [one.method for one in house.upstream.requests if one.method != "GET"]
    (attempt,) = (await house.full.explain(answer))["attempts"]
    assert ("transaction", "sent") == (attempt["intent"]["interaction"], attempt["completion"]["outcome"])


@pytest.mark.parametrize("id_", ["hid", "never"])
async def test_L069_a_transaction_with_what_is_not_visible_changes_nothing(house, id_):
    """Hidden or absent: one answer in both arms, whatever else stands in it, and nothing is written."""
    before = house.stored("other")
    read = (await shown(house.full, "other")).json
    first = change("PUT", "other", read | {"status": "final"})
    entries = (change("PATCH", id_, parameters(FINAL)), change("PUT", id_, pulse(id_)))
    arms = (house.full, house.absent)
    found = [await send(gate, "transaction", first, entry) for gate in arms for entry in entries]
    assert 404 == found[0].status
    assert all(found[0].constant == one.constant for one in found)
    assert before == house.stored("other")
    assert (await patch(house.full, "never", FINAL)).body == found[0].body


async def test_L079_a_transaction_keeps_what_was_withheld(house):
    """The link that was cut stays stored where the record is changed by a transaction."""
    read = (await shown(house.full, "part")).json
    answer = await send(house.full, "transaction", change("PUT", "part", read | {"status": "amended"}))
    assert (200, "amended") == (answer.status, house.stored("part")["status"])
    assert PART_FULL["focus"] == house.stored("part")["focus"]


REFUSED = {
    "another version": (change("PUT", "plain", pulse("plain"), ifMatch='W/"none"'), 412),
    "twice the same": (change("PATCH", "plain", parameters(FINAL)), 422),
    "a delete": ({"request": {"method": "DELETE", "url": "Observation/plain"}}, 422),
    "a condition in the address": (change("PUT", "x?identifier=a", pulse("plain")), 422),
    "a condition besides": (change("PUT", "plain", pulse("plain"), ifNoneMatch="*"), 422),
    "a type that is not updated": (
        {"request": {"method": "PUT", "url": "Patient/rosa"}, "resource": {"resourceType": "Patient", "id": "rosa"}},
        403,
    ),
    "a patch of another kind": (change("PATCH", "plain", pulse("plain")), 400),
    "content of another kind": (change("PATCH", "plain", {"resourceType": "Binary", "contentType": "text/xml"}), 415),
    "content that is none": (
        change("PATCH", "plain", {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "*"}),
        400,
    ),
    "a get": ({"request": {"method": "GET", "url": "Observation/plain"}}, 422),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_L078_a_transaction_is_refused_whole(house, case):
    """Other versions, conditions, deletes, types: one refusal, and nothing of the rest is written."""
    entry, status = REFUSED[case]
    before = [house.stored(name) for name in ("plain", "other")]
    house.upstream.requests.clear()
    first = change("PATCH", "plain" if case == "twice the same" else "other", parameters(FINAL))
    answer = await send(house.full, "transaction", first, create(pulse("new")), entry)
    assert status == answer.status, answer.told
    assert before == [house.stored(name) for name in ("plain", "other")]
    assert [] == [one for one in house.upstream.requests if one.method != "GET"]


async def test_who_may_not_see_changes_nothing_by_a_bundle(house):
    """A stranger's batch is answered like one about what never was; its transaction is refused like that."""
    for id_ in ("plain", "never"):
        entry = change("PATCH", id_, parameters(FINAL))
        assert [404] == statuses(await send(house.full, "batch", entry, client=CBO, purpose="CAREMGT"))
        assert 404 == (await send(house.full, "transaction", entry, client=CBO, purpose="CAREMGT")).status


async def test_a_closed_route_takes_no_change_in_a_bundle(tmp_path):
    """Where only creates are open, a change within a Bundle is refused as it would be alone."""
    async with embedded([pulse("plain")]) as (upstream, base), world(tmp_path, base) as gate:
        upstream.requests.clear()
        for entry in (change("PUT", "plain", pulse("plain")), change("PATCH", "plain", parameters(FINAL))):
            assert [405] == statuses(await send(gate, "batch", entry))
            assert 422 == (await send(gate, "transaction", entry)).status
        assert [] == upstream.requests
