"""The same question in two worlds, and patients whose consents alone decide.

`alike` asks with what is withheld and where it never was: status, headers and body must be equal, but for the random id
of a Bundle. At the route `t/consented` no law permits anything: what goes there goes by a consent of the patient.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from tests.attack.records import MRN, observation, refusal
from tests.attack.scene import MARKS, Scene, further_route
from tests.e2e.world import Answer

BY_CONSENT = further_route("consented", profile="base")
STRICT = further_route("strict", "read_again: true")
"""A route that reads what a search finds again by its id."""
DOOR = "/t/consented"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
PART2 = [{"system": CONFIDENTIALITY, "code": "R"}, {"system": ACT, "code": "42CFRPart2"}]


def constant(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    """All of an answer that may be compared: a Bundle's id is random."""
    status, headers, body = answer.constant
    return status, headers, re.sub(rb'"id":"[0-9a-f-]{36}","type"', b'"id":"?","type"', body)


async def alike(
    scene: Scene, path: str, full: Iterable[dict[str, Any]], absent: Iterable[dict[str, Any]] = (), **more: Any
) -> Answer:
    """Ask with these records and with those, fail unless the answers are equal and hold no mark; give the answer."""
    answers = []
    for held in (absent, full):
        scene.server.held = {}
        scene.server.reset()
        scene.server.hold(*held)
        answers.append(await scene.ask(path, **more))
    assert constant(answers[0]) == constant(answers[1])
    for spelling in MARKS:
        assert spelling not in answers[1].body + repr(dict(answers[1].headers)).encode()
    return answers[1]


# Labels and consents -------------------------------------------------------------------------------------------------
def coding(code: str) -> dict[str, str]:
    """A label by its code."""
    return {"system": CONFIDENTIALITY if code in set("ULMNRV") else ACT, "code": code}


def labelled(*codes: str) -> dict[str, Any]:
    """A `meta` with these labels."""
    return {"security": [coding(code) for code in codes]}


def purpose(*codes: str) -> list[dict[str, str]]:
    """Purposes of use."""
    return [{"system": REASON, "code": code} for code in codes]


def consent(patient: str, provision: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An active consent of a patient; a part of None is left out."""
    who = f"Patient/{patient}"
    number = {"system": MRN, "value": f"{patient}-number"}
    tree = refusal() | {
        "patient": {"reference": who, "identifier": number},
        "performer": [{"reference": who}],
        "sourceAttachment": {"title": "form"},
        "provision": provision,
    }
    return {name: value for name, value in (tree | more).items() if value is not None}


def person(id: str, **more: Any) -> dict[str, Any]:
    """A patient."""
    return {
        "resourceType": "Patient",
        "id": id,
        "identifier": [{"system": MRN, "value": f"{id}-number"}],
        "birthDate": "1980-01-01",
    } | more


def hold(scene: Scene, patient: str, *codes: str, **more: Any) -> str:
    """Have the server hold a patient and one observation of theirs with these labels; gives where it is read."""
    meta = {"meta": labelled(*codes)} if codes else {}
    scene.server.hold(person(patient), observation(f"{patient}-o", f"Patient/{patient}", **meta, **more))
    return f"{DOOR}/Observation/{patient}-o"


async def file(scene: Scene, tree: dict[str, Any], version: str = "4.0") -> tuple[str, str, dict[str, Any]]:
    """File a consent; gives what `World.revoke` takes."""
    gate = scene.gate
    said = {
        "Authorization": f"Bearer {gate.token('officer', roles=['privacy_officer'])}",
        "Content-Type": f"application/fhir+json; fhirVersion={version}",
    }
    found = await gate.send("POST", f"{gate.control}/fhir/Consent", said, json.dumps(tree).encode())
    assert 201 == found.status, found.body
    return found.json["id"], found.headers["etag"], found.json
