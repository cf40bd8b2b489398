"""Odd records beside a withheld one: whatever their shape, nothing that leaves names, quotes or holds the withheld.

Each record is read, found and pushed through the door. `quokka-v` is a visit of Rosa's at a Part 2 program, which the
plan may not have; `KEPT` stands in what it may.
"""

import base64
import json
from typing import Any

import pytest

from tests.attack.records import LOINC, ROSA, observation
from tests.attack.scene import MARK, MARKS
from tests.stub_upstream import answer

pytestmark = pytest.mark.asyncio(loop_scope="session")

V = f"{MARK}-v"
UUID = "6f1b2c3d-0000-4000-8000-000000000abc"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
PART2 = [{"system": CONFIDENTIALITY, "code": "R"}, {"system": ACT, "code": "42CFRPart2"}]
VISIT = {"reference": f"Encounter/{V}", "display": MARK}
KEPT = {"text": "KEPT"}
HL7 = "http://hl7.org/fhir/StructureDefinition/x"
DATA = base64.b64encode(f"see {MARK}".encode()).decode()
DIV = {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{MARK}</div>'}
PEOPLE = {"performer": [{"reference": "Organization/mercy"}]}
FILE = {"contentType": "application/pdf", "data": DATA, "title": MARK}
NORMAL = {"security": [{"system": CONFIDENTIALITY, "code": "N"}]}


def hidden(kind: str, id: str, **more: Any) -> dict[str, Any]:
    """A record of the program's."""
    return {"resourceType": kind, "id": id, "meta": {"security": PART2}, "subject": {"reference": ROSA}, **more}


HIDDEN = (
    hidden("Encounter", V, status="finished", identifier=[{"system": "urn:visits", "value": MARK}])
    | {"class": {"system": ACT, "code": "AMB"}},
    hidden(
        "Condition", f"{MARK}-c", code={"coding": [{"system": "urn:local", "code": "q1", "display": f"the {MARK} ill"}]}
    ),
    hidden("Observation", UUID, status="final", code={"text": "x"}),
    hidden("Observation", f"{MARK}-o", status="final", code={"coding": [LOINC]}, valueString=MARK),
    {"resourceType": "Binary", "id": f"{MARK}-b", "contentType": "text/plain", "data": DATA},
    hidden("DocumentReference", f"{MARK}-d", status="current", content=[{"attachment": {"url": f"Binary/{MARK}-b"}}]),
)


def rosa(kind: str, **more: Any) -> dict[str, Any]:
    """A record of Rosa's that the plan may have, apart from what is odd in it."""
    return {"resourceType": kind, "id": "odd", "meta": NORMAL, "subject": {"reference": ROSA}, **more}


def plain(**more: Any) -> dict[str, Any]:
    """A heart rate of Rosa's with something odd."""
    return observation("odd", **{"method": KEPT, **more})


ODD: dict[str, dict[str, Any]] = {
    "a plain reference": plain(encounter=None) | {"focus": [VISIT]},
    "a version of it": plain(focus=[VISIT | {"reference": f"Encounter/{V}/_history/3"}]),
    "an escape in the path": plain(focus=[VISIT | {"reference": f"Encounter%2F{V}"}]),
    "a question for it": plain(focus=[VISIT | {"reference": f"Encounter?identifier=urn:visits|{MARK}"}]),
    "a fragment of it": plain(focus=[VISIT | {"reference": f"Encounter/{V}#part"}]),
    "something contained that is not there": plain(focus=[{"reference": f"#{MARK}", "display": MARK}]),
    "a urn that leads nowhere": plain(focus=[{"reference": f"urn:uuid:{UUID[:-3]}fff", "display": MARK}]),
    "only an extension of the display": plain(
        focus=[{"reference": f"Encounter/{V}", "_display": {"extension": [{"url": HL7, "valueString": MARK}]}}]
    ),
    "only a display": plain(focus=[{"display": MARK}]),
    "a type in full and a number": plain(
        focus=[
            {
                "type": "http://hl7.org/fhir/StructureDefinition/Encounter",
                "identifier": {"system": "urn:visits", "value": MARK},
            }
        ]
    ),
    "a number and no type": plain(focus=[{"identifier": {"system": "urn:visits", "value": MARK}}]),
    "a reference of R5": plain(reason=[{"concept": {"text": "x"}, "reference": VISIT}]),
    "an element nobody knows": plain(linkedVisit=f"Encounter/{V}"),
    "an extension in an extension": plain(
        extension=[
            {"url": HL7, "extension": [{"url": "a", "valueReference": VISIT}, {"url": "b", "valueUri": "urn:x"}]}
        ]
    ),
    "an extension of a vocabulary": plain(extension=[{"url": f"https://{MARK}.example/x", "valueString": MARK}]),
    "an extension without a url": plain(extension=[{"valueString": MARK}]),
    "an extension that is no list": plain(extension={"url": f"https://{MARK}.example/x", "valueString": MARK}),
    "an extension beside a date": plain(
        effectiveDateTime="2026-01-01", _effectiveDateTime={"extension": [{"url": "urn:private", "valueString": MARK}]}
    ),
    "a note that names it": plain(note=[{"text": f"compare Encounter/{V}."}]),
    "a note that gives its address": plain(note=[{"text": f"see [it](http://ehr.example/fhir/Encounter/{V})"}]),
    "a note that quotes it": plain(
        focus=[{"reference": f"Condition/{MARK}-c"}], note=[{"text": f"For THE {MARK} ILL"}]
    ),
    "a code of it beside": plain(
        focus=[{"reference": f"Condition/{MARK}-c"}],
        interpretation=[{"coding": [{"system": "urn:local", "code": "q1", "display": MARK}]}],
    ),
    "what it was made of": plain(derivedFrom=[{"reference": f"Observation/{MARK}-o"}], valueString=MARK),
    "narrative": plain(text=DIV),
    "narrative that is a text": plain(text=MARK),
    "tags and sources": plain(meta=NORMAL | {"source": MARK, "tag": [{"display": MARK}], "extension": [{"url": MARK}]}),
    "words of a label": plain(meta={"security": [NORMAL["security"][0] | {"display": MARK, "id": MARK}]}),
    "an extension of a label": plain(
        meta={"security": [NORMAL["security"][0] | {"extension": [{"url": HL7, "valueReference": VISIT}]}]}
    ),
    "rules of its own": plain(implicitRules=f"urn:{MARK}", method={"text": MARK}),
    "a modifier": plain(modifierExtension=[{"url": f"urn:{MARK}", "valueBoolean": True}], method={"text": MARK}),
    "a contained record of the program": plain(
        contained=[hidden("Condition", "c", code={"text": MARK})], focus=[{"reference": "#c", "display": MARK}]
    ),
    "contained in contained": plain(
        contained=[{"resourceType": "Device", "id": "d", "contained": [hidden("Condition", "c", code={"text": MARK})]}],
        device={"reference": "#d"},
    ),
    "contained and no list": plain(contained=hidden("Condition", "c", code={"text": MARK})),
    "a panel of it": rosa(
        "DiagnosticReport", status="final", code=KEPT, **PEOPLE, conclusion=MARK, presentedForm=[FILE], text=DIV
    )
    | {"result": [{"reference": f"Observation/{MARK}-o"}]},
    "a list of it": rosa("List", status="current", mode="working", title=MARK, note=[{"text": MARK}], code=KEPT)
    | {"entry": [{"item": VISIT, "flag": {"text": MARK}}, {"item": {"reference": "Observation/plain"}}]},
    "a group of it": {
        "resourceType": "Group",
        "id": "odd",
        "meta": NORMAL,
        "type": "person",
        "actual": True,
        "quantity": 2,
        "code": KEPT,
        "member": [{"entity": {"reference": ROSA}}, {"entity": {"reference": f"Device/{MARK}"}}],
    },
    "a section of a section": rosa(
        "Composition", status="final", type=KEPT, date="2026-01-01", author=[{"reference": "Organization/mercy"}]
    )
    | {
        "title": "letter",
        "section": [
            {
                "title": "a",
                "section": [
                    {"title": "b", "text": DIV, "focus": VISIT, "section": [{"title": MARK, "entry": [VISIT]}]}
                ],
                "entry": [{"reference": "Observation/plain"}],
            }
        ],
        "relatesTo": [{"code": "appends", "targetReference": VISIT}],
        "event": [{"code": [{"text": MARK}], "detail": [VISIT]}],
    },
    "a document about it": rosa(
        "DocumentReference",
        status="current",
        type=KEPT,
        content=[{"attachment": {"contentType": "text/plain", "data": base64.b64encode(b"KEPT").decode()}}],
        relatesTo=[{"code": "replaces", "target": {"reference": f"DocumentReference/{MARK}-d", "display": MARK}}],
        context={"related": [VISIT]},
    ),
    "a file of it": rosa(
        "Communication",
        status="completed",
        category=[KEPT],
        about=[VISIT],
        payload=[{"contentAttachment": {"url": f"Binary/{MARK}-b", "title": MARK}}, {"contentReference": VISIT}],
    ),
    "who made what": {
        "resourceType": "Provenance",
        "id": "odd",
        "meta": NORMAL,
        "target": [VISIT, {"reference": ROSA}],
        "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"who": {"reference": "Organization/mercy"}}],
        "entity": [{"role": "source", "what": VISIT}],
        "signature": [
            {"type": [{"code": "x"}], "when": "2026-01-01T00:00:00Z", "who": {"reference": ROSA}, "data": DATA}
        ],
    },
    "answers that point": rosa("QuestionnaireResponse", status="completed")
    | {"item": [{"linkId": "1", "answer": [{"valueReference": VISIT, "item": [{"linkId": "2", "text": MARK}]}]}]},
    "a task": rosa("Task", status="requested", intent="order", code=KEPT, **{"for": {"reference": ROSA}})
    | {"description": MARK, "focus": VISIT, "input": [{"type": {"text": MARK}, "valueReference": VISIT}]},
    "a plan": rosa("CarePlan", status="active", intent="plan", category=[KEPT], title=MARK, note=[{"text": MARK}])
    | {
        "addresses": [{"reference": f"Condition/{MARK}-c"}],
        "activity": [{"reference": VISIT, "progress": [{"text": MARK}]}],
        "supportingInfo": [VISIT],
    },
    "a bill": {
        "resourceType": "Claim",
        "id": "odd",
        "meta": NORMAL,
        "status": "active",
        "type": KEPT,
        "use": "claim",
        "patient": {"reference": ROSA},
        "created": "2026-01-05",
        "provider": {"reference": "Organization/mercy"},
        "priority": {"text": "normal"},
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "Sunrise"}}],
        "diagnosis": [
            {"sequence": 1, "diagnosisCodeableConcept": {"text": "cough"}},
            {"sequence": 2, "diagnosisReference": {"reference": f"Condition/{MARK}-c"}, "type": [{"text": MARK}]},
        ],
        "supportingInfo": [{"sequence": 1, "category": {"text": MARK}, "valueReference": VISIT}],
        "item": [
            {"sequence": 1, "diagnosisSequence": [1], "productOrService": KEPT},
            {"sequence": 2, "diagnosisSequence": [2], "productOrService": {"text": MARK}, "encounter": [VISIT]},
        ],
        "total": {"value": 9, "currency": "USD", "id": MARK},
    },
    "an appointment": {
        "resourceType": "Appointment",
        "id": "odd",
        "meta": NORMAL,
        "status": "booked",
        "serviceType": [KEPT],
        "participant": [{"actor": {"reference": ROSA}, "status": "accepted"}],
        "supportingInformation": [VISIT],
        "basedOn": [{"reference": f"ServiceRequest/{MARK}", "display": MARK}],
    },
}
# Records of which nothing leaves: they have what cannot be read, or may be of somebody else (L007, L008, L038).
NOTHING_LEFT = {
    "a fragment of it",
    "a modifier",
    "a urn that leads nowhere",
    "an escape in the path",
    "an extension that is no list",
    "an extension without a url",
    "contained and no list",
    "rules of its own",
    "something contained that is not there",
}
NO_WORDS = {"Provenance", "QuestionnaireResponse"}
for _one in ODD.values():
    _one.pop("encounter", None)


@pytest.mark.parametrize("case", ODD)
async def test_nothing_of_the_withheld_stands_in_an_odd_record(scene, case):
    """Read, found beside others, pushed on: no spelling of the withheld is in a body or a header, and the rest is."""
    record = ODD[case]
    kind = record["resourceType"]
    scene.server.hold(*HIDDEN, record)
    told = {"ETag": f'W/"{MARK}"', "Link": f"<{MARK}>", "X-Source": MARK, "Content-Location": f"x/{MARK}"}
    scene.server.lie(f"{kind}/odd", answer(json.dumps(record).encode(), 200, **told))
    read = await scene.ask(f"{kind}/odd")
    found = await scene.ask(f"{kind}?patient=rosa")
    pushed = await scene.push(
        {"resourceType": "Bundle", "type": "collection", "entry": _entries(record)}, "/t/plan/Bundle"
    )
    forwarded = [seen.body for seen in scene.stub.seen if seen.method == "POST"]
    for what in (read, found, pushed):
        for spelling in MARKS:
            assert spelling not in what.body + repr(dict(what.headers)).encode()
    assert not [text for text in forwarded if any(spelling in text for spelling in MARKS)]
    if case in NOTHING_LEFT:
        assert 404 == read.status
    else:
        assert (200, True) == (read.status, b"KEPT" in read.body or kind in NO_WORDS)


def _entries(record: dict[str, Any]) -> list[dict[str, Any]]:
    """A record with the withheld ones, as entries."""
    return [{"resource": one} for one in (record, *HIDDEN, observation("plain"))]


async def test_a_note_that_gives_the_random_id_of_a_withheld_record_goes(scene):
    """A UUID says which record is meant, with or without its type."""
    scene.server.hold(*HIDDEN, plain(note=[{"text": f"compare {UUID}"}], focus=[{"reference": f"Observation/{UUID}"}]))
    read = await scene.ask("Observation/odd")

    assert (200, False) == (read.status, UUID.encode() in read.body)


async def test_L039_labels_go_out_in_an_order_of_their_own(scene):
    """A server may give labels in the order in which it first saw them, on whatever record: it is not passed on."""
    act, level = (f"http://terminology.hl7.org/CodeSystem/v3-{one}" for one in ("ActCode", "Confidentiality"))
    labels = [{"system": level, "code": "N"}, {"system": act, "code": "PDS"}, {"system": act, "code": "DELAU"}]
    told = []
    for said in (labels, labels[::-1]):
        scene.server.lie("Observation/hers", answer(observation("hers", meta={"security": said})))
        told.append((await scene.ask("Observation/hers")).body)
    assert told[0] == told[1]
