"""What is asked at the doors: Synthea records cut to measure, who holds them, who asks, and what patients consent to.

Rules of this file
1. Records are those of the folder, text for text; only how many of a type there are is chosen, so that the upstream's
   body has the size wanted. Nothing about a size is assumed: what came is measured, and printed.
2. Of the two organisations that the patient with the most bills was most often at, the first discloses; the second is
   taken to be a Part 2 program to whose disclosure nobody consented: so something is withheld from the plan that asks.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gateway.demo.references import reference_texts
from gateway.demo.upstream import load_folder

KIB = 1024
PURPOSE = "HPAYMT"
PLAN = "plan"
_ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_PURPOSES = ("TREAT", "HPAYMT", "HOPERAT")
# What an entry of the embedded upstream has beside its resource: fullUrl and search.
_AROUND = 140
_IDS = 50


class Question(NamedTuple):
    """One request: what the size is called, the path beneath the base, whether there is more than one page of it."""

    name: str
    path: str
    more: bool = False


class Record(NamedTuple):
    """One record: its type and id, the one patient it names ("" none, or several), its references and its text."""

    type: str
    id: str
    patient: str
    references: frozenset[str]
    raw: bytes

    @property
    def name(self) -> str:
        """Type/id, as references write it."""
        return f"{self.type}/{self.id}"


class Fixture(NamedTuple):
    """See the module. `program` are the references of the Part 2 program and its visits; `directory` is the directory
    file's text."""

    resources: tuple[bytes, ...]
    directory: str
    consents: tuple[bytes, ...]
    program: frozenset[str]
    questions: tuple[Question, ...]


def fixture(folder: Path) -> Fixture:
    """Make the fixture of a folder of R4 Bundles. Raises ValueError where it holds too little for the sizes."""
    records = [_record(raw) for raw in load_folder(folder)]
    billed, other = _billed(records)[:2]
    hospital, program = _organisations(records, billed)
    theirs = {one.name for one in records if one.type == "Encounter" and program in one.references}
    bills = _fifty([one for one in records if one.type == "ExplanationOfBenefit"], theirs)
    observations = [one for one in records if one.type == "Observation"]
    measured = sorted(
        (one for one in observations if one.patient == billed), key=lambda one: theirs.isdisjoint(one.references)
    )
    page = _filled(measured, 64 * KIB)
    first = _filled([one for one in observations if one.patient == other], 64 * KIB)
    dropped = {one.name for one in measured} - {one.name for one in page}
    reports = [one for one in records if one.type == "DiagnosticReport" and one.patient == other]
    report = min(reports, key=lambda one: abs(len(one.raw) - 2 * KIB))
    patients = sorted({one.patient for one in records} - {""})
    return Fixture(
        resources=tuple(one.raw for one in records if one.name not in dropped),
        directory=_directory(hospital, program, patients),
        consents=tuple(_consent(patient, hospital) for patient in patients),
        program=frozenset({program, *theirs}),
        questions=(
            Question("2 KiB", f"/{report.name}"),
            Question("64 KiB", f"/Observation?patient={billed}&_count={len(page)}"),
            Question("64 KiB, more", f"/Observation?patient={other}&_count={len(first) - 1}", more=True),
            Question("1 MiB", f"/ExplanationOfBenefit?_id={','.join(one.id for one in bills)}&_count={len(bills)}"),
        ),
    )


class _Head(msgspec.Struct, rename="camel"):
    resource_type: str
    id: str


def _record(raw: bytes) -> Record:
    head = msgspec.json.decode(raw, type=_Head)
    references = frozenset(reference_texts(raw))
    named = [text.removeprefix("Patient/") for text in references if text.startswith("Patient/")]
    patient = head.id if head.resource_type == "Patient" else named[0] if len(named) == 1 else ""
    return Record(head.resource_type, head.id, patient, references, raw)


def _billed(records: Sequence[Record]) -> list[str]:
    """The patients, whoever has most bills first."""
    bills = Counter(one.patient for one in records if one.type == "ExplanationOfBenefit")
    return sorted(bills, key=lambda patient: (-bills[patient], patient))


def _organisations(records: Sequence[Record], patient: str) -> tuple[str, str]:
    """The two organisations that a patient was most often at."""
    visits = [one.references for one in records if one.type == "Encounter" and one.patient == patient]
    named = Counter(text for references in visits for text in references if text.startswith("Organization/"))
    (first, _), (second, _) = sorted(named.items(), key=lambda item: (-item[1], item[0]))[:2]
    return first, second


def _filled(records: Sequence[Record], size: int) -> list[Record]:
    """The first records that fill a searchset of a size."""
    taken: list[Record] = []
    for one in records:
        size -= len(one.raw) + _AROUND
        taken.append(one)
        if size <= 0:
            return taken
    raise ValueError("the folder holds too little to fill the body")


def _fifty(bills: Sequence[Record], visits: set[str]) -> list[Record]:
    """Fifty bills (as many as one search may name) of 1 MiB together: those for the program's visits, and others of a
    like size."""
    theirs = [one for one in bills if not visits.isdisjoint(one.references)]
    others = sorted((one for one in bills if one not in theirs), key=lambda one: (len(one.raw), one.id))
    needed = KIB * KIB - sum(len(one.raw) + _AROUND for one in theirs)
    more = _IDS - len(theirs)
    starts = range(len(others) - more + 1)

    def off(start: int) -> int:
        return abs(needed - sum(len(one.raw) + _AROUND for one in others[start : start + more]))

    start = min(starts, key=off)
    return sorted([*theirs, *others[start : start + more]], key=lambda one: one.id)


def _directory(hospital: str, program: str, patients: Sequence[str]) -> str:
    """Write the directory file; JSON is YAML."""
    parties: list[dict[str, Any]] = [
        {"id": "hospital", "type": "provider_general", "references": [hospital], "purposes": _PURPOSES},
        {
            "id": "program",
            "type": "provider_part2",
            "references": [program],
            "purposes": _PURPOSES,
            "part2_program": True,
        },
        {"id": PLAN, "type": "mco", "references": ["Organization/made-up-plan"], "purposes": [PURPOSE]},
    ]
    related = [{"participant": p["id"], "patient": {"source": "bench", "id": i}} for i in patients for p in parties]
    return json.dumps(
        {
            "participants": [{"hipaa_covered": True, **one} for one in parties],
            "agreements": [],
            "relationships": related,
            "clients": [{"client_id": PLAN, "participant": PLAN}],
        }
    )


def _consent(patient: str, custodian: str) -> bytes:
    """A general permit for treatment, payment and operations, of no Part 2 form."""
    scope = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
    category = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IDSCL"}
    return msgspec.json.encode(
        {
            "resourceType": "Consent",
            "status": "active",
            "scope": {"coding": [scope]},
            "category": [{"coding": [category]}],
            "patient": {"reference": f"Patient/{patient}"},
            "dateTime": "2026-01-01T09:00:00Z",
            "performer": [{"reference": f"Patient/{patient}"}],
            "organization": [{"reference": custodian}],
            "sourceAttachment": {"contentType": "text/plain", "data": "TWFkZSB1cCBmb3IgYSBtZWFzdXJlbWVudC4="},
            "policy": [{"uri": "https://www.ecfr.gov/current/title-45/part-164"}],
            "provision": {
                "type": "permit",
                "period": {"start": "2025-01-01", "end": "2036-01-01"},
                "purpose": [{"system": _ACT_REASON, "code": code} for code in _PURPOSES],
            },
        }
    )
