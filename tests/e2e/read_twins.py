"""Two gateways before two upstreams: FULL holds everything, ABSENT never had what is withheld from the plan.

Which records those are is written here by hand: those of the Part 2 clinic, and everything of the patient who said no.
"""

import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gateway.demo.upstream import EmbeddedUpstream
from gateway.proxy.upstream import basic
from tests.attack.records import MARK, MRN, NOBODY_S_BUSINESS, observation, quokka, refusal
from tests.e2e.world import PASSWORD, USER, Answer, World, embedded, world

SENTINEL = "sentinel-hidden"
HIDDEN = {1, 4, 5}
PDF = b"%PDF-1.4 a letter"
JSON = [("Accept", "application/fhir+json")]
MEMBER = "https://sunrise-health-plan.example/member"


def walk(number: int) -> dict[str, Any]:
    """A heart rate of Rosa's; a hidden one was measured at the Part 2 clinic."""
    hidden = number in HIDDEN
    return observation(
        f"walk-{number}",
        encounter={"reference": f"Encounter/{'rosa-harbor-intake' if hidden else 'rosa-mercy-clinic'}"},
        performer=[
            {"reference": f"Organization/{'harbor' if hidden else 'mercy'}"},
            *([{"reference": "Practitioner/quentin"}] if hidden else []),
        ],
        effectiveDateTime=f"2026-02-0{number}",
        valueQuantity={"value": 70 + number, "unit": "/min"},
        note=[{"text": f"{SENTINEL}-{number}" if hidden else "plain"}],
    )


def version(number: int, *, hidden: bool, id: str) -> dict[str, Any]:
    """One version of an observation."""
    return walk(1 if hidden else 2) | {"id": id, "valueQuantity": {"value": number}}


def document(id: str, *, hidden: bool) -> dict[str, Any]:
    """A letter, with its content in a Binary of the same name."""
    return {
        "resourceType": "DocumentReference",
        "id": id,
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "34133-9"}]},
        "subject": {"reference": "Patient/rosa"},
        "author": [{"reference": f"Organization/{'harbor' if hidden else 'mercy'}"}],
        "custodian": {"reference": f"Organization/{'harbor' if hidden else 'mercy'}"},
        "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}]},
        "content": [{"attachment": {"contentType": "application/pdf", "url": f"Binary/{id}"}}],
    }


def binary(id: str, owner: str | None, content_type: str = "application/pdf") -> dict[str, Any]:
    """Content, with the record that owns it."""
    data = base64.b64encode(SENTINEL.encode() if "hid" in id else PDF).decode()
    tree = {"resourceType": "Binary", "id": id, "contentType": content_type, "data": data}
    tree["meta"] = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}]}
    return tree | ({"securityContext": {"reference": f"DocumentReference/{owner}"}} if owner else {})


def composition(entries: list[str]) -> dict[str, Any]:
    """A summary of these observations."""
    section = {"title": "Heart rates", "entry": [{"reference": f"Observation/{id_}"} for id_ in entries]}
    return {
        "resourceType": "Composition",
        "id": "summary",
        "status": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "34133-9"}]},
        "subject": {"reference": "Patient/rosa"},
        "date": "2026-03-01",
        "author": [{"reference": "Organization/mercy"}],
        "custodian": {"reference": "Organization/mercy"},
        "title": "Summary",
        "section": [section],
    }


def member(id: str, number: str, family: str) -> list[dict[str, Any]]:
    """A person and their coverage."""
    kind = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MB"}]}
    person = {
        "resourceType": "Patient",
        "id": id,
        "identifier": [{"type": kind, "system": MEMBER, "value": number}, {"system": MRN, "value": f"{id}-mrn"}],
        "name": [{"family": family, "given": ["Mia"]}],
        "birthDate": "1980-01-01",
    }
    coverage = {
        "resourceType": "Coverage",
        "id": f"{id}-coverage",
        "status": "active",
        "subscriberId": number,
        "beneficiary": {"reference": f"Patient/{id}"},
        "payor": [{"reference": "Organization/sunrise"}],
    }
    return [person, coverage]


PART2 = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "42CFRPart2"}]}
SIGNED = {
    "resourceType": "Provenance",
    "id": "signed",
    "target": [{"reference": "Observation/walk-2"}],
    "recorded": "2026-03-01T00:00:00Z",
    "agent": [{"who": {"reference": "Practitioner/quentin"}}],
}
OPEN = [
    {"resourceType": "Practitioner", "id": "quentin", "name": [{"family": "Quentin"}]},
    SIGNED,
    *(walk(number) for number in (2, 3, 6)),
    document("doc-ok", hidden=False),
    binary("doc-ok", "doc-ok"),
    binary("page", "doc-ok", "text/html"),
    document("doc-two", hidden=False) | {"content": [{"attachment": {"url": "Binary/hid-shared"}}]},
    *member("mia", "M-1", "Okapi"),
]
CLOSED = [
    *(walk(number) for number in sorted(HIDDEN)),
    document("doc-hid", hidden=True),
    binary("doc-hid", "doc-hid"),
    document("hid-two", hidden=True) | {"content": [{"attachment": {"url": "Binary/hid-shared"}}]},
    binary("hid-shared", "doc-two"),
    document("hid-own", hidden=False),
    binary("hid-own", "hid-own") | {"meta": PART2},
    binary("hid-nobody", None),
    binary("hid-lost", "never-existed"),
    quokka() | {"id": f"{MARK}-p"},
    observation(f"{MARK}-o", NOBODY_S_BUSINESS),
    member(f"{MARK}-p", "M-2", MARK)[1] | {"id": f"{MARK}-coverage"},
]
HISTORY = "history: [Observation, Patient]"


class Twins(NamedTuple):
    """The two arms, and FULL's upstream."""

    full: World
    absent: World
    upstream: EmbeddedUpstream


async def written(gate: World, base: str, id_: str, versions: list[bool | None]) -> None:
    """Write the versions of an observation to an upstream, in order; True for one that is to be hidden."""
    for number, hidden in enumerate(versions):
        if hidden is not None:
            body = json.dumps(version(number, hidden=hidden, id=id_)).encode()
            said = {"Content-Type": "application/fhir+json", "Authorization": basic(USER, PASSWORD)}
            assert (await gate.send("PUT", f"{base}/Observation/{id_}", said, body)).status in {200, 201}


@asynccontextmanager
async def read_twins(folder: Path) -> AsyncIterator[Twins]:
    """Both arms, with versions open; the patient who said no has said so in both, where there is one to say it of."""
    names = [f"walk-{number}" for number in range(1, 7)]
    seen = [name for name in names if int(name[-1]) not in HIDDEN]
    async with (
        embedded([*OPEN, *CLOSED, composition(names)]) as (upstream, base),
        embedded([*OPEN, composition(seen)]) as (_, base_absent),
        world(folder / "full", base, route=HISTORY) as full,
        world(folder / "absent", base_absent, route=HISTORY) as absent,
    ):
        for gate in (full, absent):
            await gate._write("POST", f"{gate.control}/fhir/Consent", refusal(), {})
        await written(full, base, "ver-ok", [False, False])
        await written(absent, base_absent, "ver-ok", [False, False])
        await written(full, base, "ver-mixed", [False, True, False])
        await written(absent, base_absent, "ver-mixed", [False, None, False])
        await written(full, base, "ver-hid", [False, True])
        yield Twins(full, absent, upstream)


def alike(answer: Answer, gate: World) -> tuple:
    """An answer with nothing taken out but what leaves.md lets differ: our own address, Bundle ids, dates, cursors."""
    text = answer.body.replace(gate.data.encode(), b"GATE")
    text = re.sub(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", b"UUID", text)
    text = re.sub(rb'"(lastUpdated|lastModified|timestamp)":"[^"]*"', rb'"\1":"?"', text)
    text = re.sub(rb"_cursor=[A-Za-z0-9_%=-]+", lambda m: b"_cursor=%d" % len(m[0]), text)
    kept = {name: v for name, v in answer.headers.items() if name not in {"date", "x-request-id", "content-length"}}
    return answer.status, kept, text


async def walked(gate: World, path: str) -> list[Answer]:
    """Every page that begins with this one."""
    pages = [await gate.ask(path, headers=JSON)]
    while pages[-1].status == 200 and "link" in pages[-1].json and pages[-1].next and len(pages) < 40:
        pages.append(await gate.ask(pages[-1].next, headers=JSON))
    return pages


def parameters(**said: Any) -> dict[str, Any]:
    """A Parameters resource."""
    listed = []
    for name, value in said.items():
        if isinstance(value, dict):
            listed.append({"name": name, "resource": value})
        else:
            kind = (
                "valueBoolean"
                if isinstance(value, bool)
                else "valueInteger"
                if isinstance(value, int)
                else "valueString"
            )
            listed.append({"name": name, kind: value})
    return {"resourceType": "Parameters", "parameter": listed}


def told(story: dict[str, Any]) -> dict[str, str]:
    """What the ledger says of each record."""
    return {one["resource"]: one["verdict"] for one in story["attempts"][-1]["story"]["decisions"]}
