"""What remains of a record that is withheld (leaks.md section D): the answers are those of the world without it.

Each test holds a record with something in it that points at, sums up or counts the withheld, and the same record as it
would be had that never been: read and found, both answers must be equal, byte for byte.
"""

import base64
import json
from typing import Any

import pytest

from tests.attack.records import NOBODY_S_BUSINESS, ROSA, observation, quokka
from tests.attack.scene import MARK
from tests.attack.test_residue import HIDDEN, KEPT, NORMAL, VISIT, hidden, rosa
from tests.attack.worlds import ACT, DOOR, PART2, alike, coding, consent, file, labelled, person

pytestmark = pytest.mark.asyncio(loop_scope="session")

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
HL7 = "http://hl7.org/fhir/StructureDefinition/x"
DIV = {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{MARK}</div>'}
FILE = {"contentType": "application/pdf", "data": base64.b64encode(f"see {MARK}".encode()).decode(), "title": MARK}
SEEN = {"reference": "Observation/plain"}
UNSEEN = {"reference": f"Observation/{MARK}-o", "display": MARK}
PROBLEM = {"reference": f"Condition/{MARK}-c", "display": MARK}
MERCY = {"reference": "Organization/mercy"}


async def same(scene, full: dict[str, Any], absent: dict[str, Any] | None) -> bytes:
    """Read and find a record in both worlds, fail on any difference; gives how it reads (status and body)."""
    there = [observation()] if absent is None else [observation(), absent]
    read = await alike(scene, f"{full['resourceType']}/{full['id']}", [*HIDDEN, observation(), full], there)
    if full["resourceType"] != "Provenance":
        await alike(scene, f"{full['resourceType']}?patient=rosa", [*HIDDEN, observation(), full], there)
    assert (404 if absent is None else 200) == read.status
    return read.body


def report(**more: Any) -> dict[str, Any]:
    """A report on what was measured."""
    return rosa("DiagnosticReport", status="final", code=KEPT, performer=[MERCY], **more)


POINTING = {
    "a visit's diagnosis": (
        rosa("Encounter", status="finished", serviceProvider=MERCY, diagnosis=[{"condition": PROBLEM}])
        | {"class": {"system": ACT, "code": "AMB"}},
        ("diagnosis",),
    ),
    "a report's results": (report(result=[UNSEEN]), ("result",)),
    "a plan's problems": (rosa("CarePlan", status="active", intent="plan", addresses=[PROBLEM]), ("addresses",)),
    "a reason to prescribe": (
        rosa("MedicationRequest", status="active", intent="order", requester=MERCY, reasonReference=[PROBLEM])
        | {"medicationCodeableConcept": KEPT},
        ("reasonReference",),
    ),
    "what was made of it": (observation("odd", derivedFrom=[UNSEEN], hasMember=[UNSEEN]), ("derivedFrom", "hasMember")),
    "an order behind it": (observation("odd", basedOn=[{"reference": f"ServiceRequest/{MARK}"}]), ("basedOn",)),
}


@pytest.mark.parametrize("case", POINTING)
async def test_L032_a_reference_goes_with_its_words_and_its_element(scene, case):
    """Reference, display and the element that is nothing without them: as if nobody had ever pointed there."""
    full, gone = POINTING[case]
    await same(scene, full, {name: value for name, value in full.items() if name not in gone})


async def test_L033_prose_goes_with_what_it_tells_of(scene):
    """Narrative, conclusion and the printed form of a report on what is withheld; narrative of every report."""
    full = report(result=[UNSEEN, SEEN], conclusion=MARK, presentedForm=[FILE], text=DIV)
    await same(scene, full, report(result=[SEEN]))
    clean = report(result=[SEEN], text={"status": "generated", "div": DIV["div"].replace(MARK, "clean")})
    assert b"clean" not in await same(scene, clean, report(result=[SEEN]))


def summary(*entries: dict[str, Any], text: str, **more: Any) -> dict[str, Any]:
    """A stored document: a Composition with a section on what the other entries hold."""
    section = {"title": "KEPT", "text": DIV | {"div": DIV["div"].replace(MARK, text)}}
    section["entry"] = [{"reference": f"{one['resourceType']}/{one['id']}"} for one in entries]
    first = rosa("Composition", status="final", type=KEPT, date="2026-01-01", author=[MERCY], title="KEPT") | {
        "id": "c"
    }
    listed = [first | {"section": [section]} | more, *entries]
    return {"resourceType": "Bundle", "id": "b", "type": "document", "entry": [{"resource": one} for one in listed]}


async def test_L035_a_section_of_a_stored_document_goes_with_what_it_held(scene):
    """The entry, the section's pointer at it and the section's prose go; attested, the document goes as a whole."""
    ill = next(one for one in HIDDEN if one["resourceType"] == "Condition")
    found = await alike(scene, "Bundle/b", [summary(observation(), ill, text=MARK)], [summary(observation(), text="x")])
    assert 200 == found.status
    assert ["Composition", "Observation"] == [one["resource"]["resourceType"] for one in found.json["entry"]]
    attested = summary(observation(), ill, text=MARK, attester=[{"mode": "legal"}])
    assert 404 == (await alike(scene, "Bundle/b", [attested])).status


async def test_L036_a_list_is_as_long_as_what_may_be_seen(scene):
    """Of three items two; of a group no number that counts the third; a pointer at it alone is not there."""
    items = [{"item": SEEN}, {"item": VISIT, "flag": {"text": MARK}}, {"item": {"reference": ROSA}}]
    listed = rosa("List", status="current", mode="working", code=KEPT)
    await same(scene, listed | {"entry": items}, listed | {"entry": [items[0], items[2]]})
    members = [{"entity": {"reference": ROSA}}, {"entity": {"reference": f"Device/{MARK}"}}]
    group = {"resourceType": "Group", "id": "odd", "meta": NORMAL, "type": "person", "actual": True, "code": KEPT}
    await same(scene, group | {"member": members, "quantity": 2}, group | {"member": members[:1], "quantity": 1})
    other = {"entity": {"reference": NOBODY_S_BUSINESS, "display": MARK}, "period": {"start": "2020"}}
    whose = group | {"member": [members[0], other], "quantity": 2}
    alone = group | {"member": members[:1], "quantity": 1}
    assert 200 == (await alike(scene, "Group/odd", [quokka(), whose], [alone])).status
    named = {"managingEntity": {"reference": "Practitioner/p"}, "member": [other], "quantity": 1}
    assert 404 == (await alike(scene, "Group/odd", [quokka(), group | named])).status
    told_of = listed | {"entry": [items[0], {"item": {"reference": NOBODY_S_BUSINESS}}]}
    left = [observation(), listed | {"entry": items[:1]}]
    assert 200 == (await alike(scene, "List/odd", [quokka(), observation(), told_of], left)).status
    theirs = told_of | {"subject": {"reference": NOBODY_S_BUSINESS}}
    assert 404 == (await alike(scene, "List/odd", [quokka(), theirs])).status
    agent = [{"who": MERCY}]
    told = {"resourceType": "Provenance", "id": "odd", "recorded": "2026-01-01T00:00:00Z", "agent": agent}
    await same(scene, told | {"target": [UNSEEN]}, None)


def bill(*lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What a plan paid, line by line."""
    return {
        "resourceType": "ExplanationOfBenefit",
        "id": "odd",
        "status": "active",
        "type": {"text": "professional"},
        "use": "claim",
        "outcome": "complete",
        "created": "2026-01-05",
        "patient": {"reference": ROSA},
        "insurer": {"reference": "Organization/sunrise"},
        "provider": MERCY,
        "insurance": [{"focal": True, "coverage": {"reference": "Coverage/rosa-coverage"}}],
        **more,
        "item": [{"sequence": number, **line} for number, line in enumerate(lines, 1)],
    }


async def test_L037_a_bill_does_not_count_the_line_that_is_gone(scene):
    """A line of the program's goes with its diagnosis and its clinician, and no sum on any bill tells what it cost."""
    cough = {"sequence": 1, "diagnosisCodeableConcept": {"coding": [{"system": ICD, "code": "R05.9"}]}}
    team = [{"sequence": 1, "provider": MERCY}, {"sequence": 2, "provider": {"reference": "Organization/harbor"}}]
    visit = {"careTeamSequence": [1], "diagnosisSequence": [1], "productOrService": KEPT}
    session = {"careTeamSequence": [2], "diagnosisSequence": [2], "productOrService": {"text": MARK}}

    def sums(value: int) -> dict[str, Any]:
        amount = {"value": value, "currency": "USD"}
        return {"total": [{"category": {"text": "submitted"}, "amount": amount}], "payment": {"amount": amount}}

    full = bill(
        visit | {"net": {"value": 80}},
        session | {"net": {"value": 120}},
        careTeam=team,
        diagnosis=[cough, {"sequence": 2, "diagnosisReference": PROBLEM}],
        **sums(200),
    )
    absent = bill(visit | {"net": {"value": 80}}, careTeam=team[:1], diagnosis=[cough], **sums(80))
    body = await same(scene, full, absent)
    assert [80] == [line["net"]["value"] for line in json.loads(body)["item"]]


async def test_L038_what_stands_beside_the_elements_goes(scene):
    """Extensions of others' vocabularies, on values too, sources and tags: gone; a modifier nobody knows: no record."""
    private = {"url": f"https://{MARK}.example/x", "valueString": MARK}
    full = person("rosa", _birthDate={"extension": [private]}, extension=[private])
    full["meta"] = {"source": MARK, "tag": [{"code": MARK}], "extension": [private], "versionId": "1"}
    read = await alike(scene, "Patient/rosa", [full], [person("rosa", meta={"versionId": "1"})])
    assert 200 == read.status
    await same(scene, observation("odd", extension=[private]), observation("odd"))
    await same(scene, observation("odd", modifierExtension=[{"url": f"urn:{MARK}", "valueBoolean": True}]), None)


@pytest.mark.parametrize("path", ["Patient/marked", "Patient?_id=marked", "Observation?patient=marked"])
async def test_L039_no_label_tells_of_what_is_withheld(scene, path):
    """A patient who is marked by what was refused is not there; a page is no stricter for what it does not hold."""
    whose = "Patient/marked"
    narrowed = {"type": "deny", "securityLabel": [coding("ETHUD")]}
    await file(scene, consent("marked", {"type": "permit", "provision": [narrowed]}))
    plain, secret = observation("plain", whose), observation(f"{MARK}-o", whose, meta=labelled("V", "ETHUD"))
    marked = person("marked", meta=labelled("R", "ETHUD"), name=[{"family": MARK}])
    about = path.startswith("Observation")
    full = [person("marked") if about else marked, plain, secret]
    found = await alike(scene, f"{DOOR}/{path}", full, [person("marked"), plain] if about else [])
    assert b"ETHUD" not in found.body
    assert (404 if path == "Patient/marked" else 200) == found.status


async def test_L039_the_label_of_a_bundle_is_that_of_what_is_left(scene):
    """A stored collection, marked for what goes: its label is a level alone, the highest of what stays."""

    def collection(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
        entries = [{"resource": one} for one in resources]
        return {"resourceType": "Bundle", "id": "b", "type": "collection", "entry": entries, **more}

    narrowed = {"type": "deny", "securityLabel": [coding("ETHUD")]}
    await file(scene, consent("bundled", {"type": "permit", "provision": [narrowed]}))
    plain = observation("plain", "Patient/bundled", meta=NORMAL)
    secret = observation("s", "Patient/bundled", meta=labelled("V", "ETHUD"), note=[{"text": MARK}])
    full = collection(plain, secret, meta=labelled("V"))
    absent = collection(plain, meta=labelled("N"))
    found = await alike(scene, f"{DOOR}/Bundle/b", [person("bundled"), full], [person("bundled"), absent])
    assert (200, [coding("N")]) == (found.status, found.json["meta"]["security"])


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("place", ["", "Patient/", "Patient/rosa/", f"Observation/{MARK}-o/", "Observation/never/"])
@pytest.mark.parametrize("name", ["$meta", "$meta-add", "$meta-delete"])
async def test_L039_no_operation_tells_labels(scene, method, place, name):
    """Asked of the system, a type, what is there, hidden or absent: one refusal, and the server is asked nothing."""
    scene.server.hold(*HIDDEN)
    body = {"resourceType": "Parameters"} if method == "POST" else None
    found = await scene.ask(place + name, method=method, body=body)
    assert (501, "this operation is not supported") == (found.status, found.told)
    assert [] == scene.stub.seen


async def test_L040_a_mandatory_element_takes_its_record_along(scene):
    """What R4 requires and may not be told takes along the structure it stands in, or the record; what is optional goes
    without a mark in its place."""
    visit = rosa("Encounter", status="finished", serviceProvider=MERCY) | {"class": {"system": ACT, "code": "AMB"}}
    await same(scene, visit | {"diagnosis": [{"condition": PROBLEM, "rank": 2}]}, visit)
    pill = hidden("Medication", "m", code={"text": MARK})
    pill.pop("subject")
    order = rosa("MedicationRequest", status="active", intent="order", requester=MERCY, contained=[pill])
    await same(scene, order | {"medicationReference": {"reference": "#m"}}, None)
    body = await same(scene, observation("odd", focus=[UNSEEN], method=KEPT), observation("odd", method=KEPT))
    assert b"data-absent-reason" not in body
    assert {"status", "code"} <= set(json.loads(body))


def signed(recipient: str) -> dict[str, Any]:
    """A consent as data: who may have what."""
    return {
        "resourceType": "Consent",
        "id": f"{MARK}-consent",
        "status": "active",
        "scope": {"text": MARK},
        "category": [{"text": MARK}],
        "patient": {"reference": ROSA},
        "provision": {"actor": [{"role": {"text": MARK}, "reference": {"reference": recipient}}]},
    }


@pytest.mark.parametrize(
    "path",
    [
        f"Consent/{MARK}-consent",
        "Consent?patient=rosa",
        "Patient?_id=rosa&_revinclude=Consent:patient",
        "Patient?_id=rosa&_has:Consent:patient:status=active",
        "Consent?patient=rosa&_summary=count",
    ],
)
async def test_L041_consents_are_not_read_here(scene, path):
    """By id, by search, brought along or asked of: one refusal by form, whether or not there is one."""
    found = await alike(scene, path, [signed("Organization/harbor")])
    assert found.status in {400, 501}
    assert [] == scene.stub.seen


async def test_L041_a_consent_in_a_bundle_names_no_other_recipient(scene):
    """One that names another recipient does not ride along in a stored Bundle; what stands beside it does."""

    def collection(*resources: dict[str, Any]) -> dict[str, Any]:
        entries = [{"resource": one} for one in resources]
        return {"resourceType": "Bundle", "id": "b", "type": "collection", "entry": entries}

    worlds = [collection(signed("Organization/harbor"), observation("z"))], [collection(observation("z"))]
    assert 200 == (await alike(scene, "Bundle/b", *worlds)).status


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("AuditEvent?patient=rosa", 501),
        ("AuditEvent/a", 501),
        (f"Provenance?target=Observation/{MARK}-o", 400),
        ("Provenance/p", 404),
        ("Patient?_id=rosa&_revinclude=AuditEvent:patient", 400),
        ("Observation?patient=rosa&_revinclude=Provenance:target", 200),
    ],
)
async def test_L042_who_saw_and_who_made_tells_nothing(scene, path, status):
    """Neither an AuditEvent nor the Provenance of what is withheld is read, found or brought along."""
    made = {"resourceType": "Provenance", "id": "p", "target": [UNSEEN], "recorded": "2026-01-01T00:00:00Z"}
    seen = {"resourceType": "AuditEvent", "id": "a", "entity": [{"what": UNSEEN}], "agent": [{"name": MARK}]}
    secret = observation(f"{MARK}-o", meta={"security": PART2})
    told = [made | {"agent": [{"who": {"reference": "Organization/harbor"}}]}, seen, secret]
    assert status == (await alike(scene, path, [observation(), *told], [observation()])).status
