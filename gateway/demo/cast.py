"""Parts for anybody's patients: who takes part, who of them consents to what, and the lines that are then asked.

Rules of this file
1. Nothing is added to the records: organisations and patients are those of the folder, only their parts are made up.
2. Same folder, same cast. The organisation with the most records discloses; the next one that some of the patients
   went to is taken to be a Part 2 program, so that something is withheld; most others stay unknown to the directory.
3. A handful of patients, the smallest first, and of one who has very many records not the types with the most: a
   large folder takes no longer than a small one.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.demo.lines import Line
from gateway.demo.references import reference_texts
from gateway.demo.stage import SOURCE, RouteOf

_TYPES: Final = (
    "Encounter",
    "Condition",
    "MedicationRequest",
    "Observation",
    "Procedure",
    "DiagnosticReport",
    "DocumentReference",
    "ExplanationOfBenefit",
)
_PATIENTS: Final = 4
_RECORDS: Final = 1200  # of all patients together, as many are asked for in each line
_TREATMENT: Final = ("TREAT", "HPAYMT", "HOPERAT")
_ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_FROM, _TO = "2026-01-01", "2036-01-01"


class Records(msgspec.Struct, frozen=True):
    """What a folder holds, counted: by patient and type, and by patient and organisation; names of organisations."""

    types: Mapping[str, Counter[str]]
    organisations: Mapping[str, Counter[str]]
    names: Mapping[str, str]


class MadeUp(msgspec.Struct, frozen=True):
    """A made-up consent: a name for it, what its patient does by it, and the Consent as it is signed."""

    name: str
    does: str
    text: bytes


class Cast(msgspec.Struct, frozen=True):
    """The parts: references of the organisation that discloses and of the taken-for program ("" = none), others that
    are registered, the patients' ids, and what was made up for them."""

    hospital: str
    program: str
    registered: tuple[str, ...]
    patients: tuple[str, ...]
    names: Mapping[str, str]
    directory: str
    consents: tuple[MadeUp, ...]
    lines: tuple[Line, ...]


ROUTES: Final = (
    RouteOf("hospital", "hospital", "us-part2"),
    RouteOf("plan", "plan", "us-part2"),
    RouteOf("hospital-hipaa", "hospital", "us-hipaa"),
    RouteOf("hospital-base", "hospital", "base"),
)


class _Head(msgspec.Struct, rename="camel"):
    resource_type: str
    id: str = ""
    name: Any = None


def cast(resources: Sequence[bytes]) -> Cast:
    """Give the parts for a folder's resources. Raises ValueError where there is no patient among them."""
    records = _count(resources)
    overall: Counter[str] = Counter()
    for counted in records.organisations.values():
        overall.update(counted)
    ranked = sorted(overall, key=lambda one: (-overall[one], one))
    hospital = ranked[0] if ranked else ""
    program = ranked[1] if len(ranked) > 1 else ""
    patients = _chosen(records, [hospital, program])
    if not patients:
        raise ValueError("the folder holds no records of a patient")
    treated = max(patients, key=lambda patient: records.organisations[patient][program])
    registered = tuple(ranked[2:5])
    return Cast(
        hospital=hospital,
        program=program,
        registered=registered,
        patients=patients,
        names=records.names,
        directory=_directory(hospital, program, registered, patients),
        consents=tuple(_consents(hospital, program, patients, treated)),
        lines=tuple(_lines(patients, _asked(records, patients))),
    )


def _count(resources: Sequence[bytes]) -> Records:
    types: dict[str, Counter[str]] = {}
    organisations: dict[str, Counter[str]] = {}
    names: dict[str, str] = {}
    for raw in resources:
        head = msgspec.json.decode(raw, type=_Head)
        if head.resource_type == "Organization" and isinstance(head.name, str):
            names[f"Organization/{head.id}"] = head.name
        named = [text for text in reference_texts(raw) if "/" in text]
        about = {text.removeprefix("Patient/") for text in named if text.startswith("Patient/")}
        at = {text for text in named if text.startswith("Organization/")}
        for patient in about:
            types.setdefault(patient, Counter())[head.resource_type] += 1
            organisations.setdefault(patient, Counter()).update(at)
    return Records(types, organisations, names)


def _chosen(records: Records, wanted: Sequence[str]) -> tuple[str, ...]:
    """Give the patients: in turn the smallest of each wanted organisation, then whoever is smallest."""
    size = {patient: counted.total() for patient, counted in records.types.items()}
    waiting = sorted(size, key=lambda patient: (size[patient], patient))
    turns = [*wanted, *wanted, *([""] * _PATIENTS)]
    chosen: list[str] = []
    for organisation in turns:
        fits = [p for p in waiting if not organisation or organisation in records.organisations[p]]
        fits = [p for p in fits if not chosen or sum(size[q] for q in chosen) + size[p] <= _RECORDS]
        if fits and len(chosen) < _PATIENTS:
            chosen.append(fits[0])
            waiting.remove(fits[0])
    return tuple(chosen)


def _asked(records: Records, patients: Sequence[str]) -> tuple[str, ...]:
    """Give the types that are asked for: those the patients have, but the largest ones while it is too much."""
    held = {type_: sum(records.types[patient][type_] for patient in patients) for type_ in _TYPES}
    kept = [type_ for type_ in _TYPES if held[type_]]
    while len(kept) > 1 and sum(held[type_] for type_ in kept) > _RECORDS:
        kept.remove(max(kept, key=lambda type_: held[type_]))
    return tuple(kept)


def _directory(hospital: str, program: str, registered: Sequence[str], patients: Sequence[str]) -> str:
    """Write the directory file; JSON is YAML."""

    def party(id_: str, type_: str, references: Sequence[str], purposes: Sequence[str], **what: bool) -> dict[str, Any]:
        listed = [one for one in references if one]
        return {"id": id_, "type": type_, "references": listed, "purposes": list(purposes), **what}

    parties = [
        party("hospital", "provider_general", [hospital], _TREATMENT, hipaa_covered=True),
        party("program", "provider_part2", [program], _TREATMENT, hipaa_covered=True, part2_program=True),
        party("plan", "mco", ["Organization/made-up-plan"], ["HPAYMT", "CAREMGT"], hipaa_covered=True),
        party("care-manager", "cma", ["Organization/made-up-care-manager"], ["CAREMGT"], hipaa_covered=True),
        party("housing", "cbo", ["Organization/made-up-housing"], ["CAREMGT"]),
        party("app", "patient", [f"Patient/{patients[0]}"], ["PATRQT"]),
    ]
    neighbours = registered or ("Organization/made-up-neighbour",)
    parties += [
        party(
            "neighbour" if number == 0 else f"other-{number}", "provider_general", [one], _TREATMENT, hipaa_covered=True
        )
        for number, one in enumerate(neighbours)
    ]
    related = ["hospital", "program", "plan", "care-manager", "neighbour"]
    return json.dumps(
        {
            "participants": parties,
            "agreements": [{"type": "BAA", "between": ["plan", "care-manager"], "purposes": ["CAREMGT"]}],
            "relationships": [
                {"participant": one, "patient": {"source": SOURCE, "id": patient}}
                for patient in patients
                for one in related
            ],
            "clients": [{"client_id": one["id"], "participant": one["id"]} for one in parties],
        },
        indent=1,
    )


def _consents(hospital: str, program: str, patients: Sequence[str], treated: str) -> list[MadeUp]:
    """Make up what the patients consent to: some permit, the one `treated` at the program Part 2 too, one denies, one
    lets a CBO know."""
    discloser, source = hospital or "Organization/made-up-hospital", program or "Organization/made-up-program"
    first = patients[0]
    others = [patient for patient in patients if patient not in {first, treated}]
    found = [
        MadeUp(
            "general",
            "lets everybody who treats, pays and runs the care have the records",
            _consent(first, discloser, "permit"),
        ),
        MadeUp(
            "part2",
            "consents to the disclosure of Part 2 records to the plan",
            _consent(
                treated,
                source,
                "permit",
                disclosers=(source, discloser),
                recipients=("Organization/made-up-plan",),
                labels=((_ACT_CODE, "42CFRPart2"), (_ACT_CODE, "SUD"), (_CONFIDENTIALITY, "R")),
                category="42CFRPart2CD",
            ),
        ),
    ]
    if others:
        refused = _consent(others[0], discloser, "deny", recipients=("Organization/made-up-plan",))
        found.append(MadeUp("refusal", "denies the plan", refused))
    if len(others) > 1:
        housing = _consent(
            others[1],
            discloser,
            "permit",
            recipients=("Organization/made-up-housing",),
            labels=((_CONFIDENTIALITY, "N"),),
            purposes=("CAREMGT",),
        )
        does = "lets the housing organisation have what is not specially protected"
        found.append(MadeUp("housing", does, housing))
    return found


def _consent(  # noqa: PLR0913  what a consent says, each by name
    patient: str,
    custodian: str,
    decision: str,
    *,
    disclosers: Sequence[str] = (),
    recipients: Sequence[str] = (),
    labels: Sequence[tuple[str, str]] = (),
    purposes: Sequence[str] = _TREATMENT,
    category: str = "IDSCL",
) -> bytes:
    roles = [("http://terminology.hl7.org/CodeSystem/provenance-participant-type", "performer", disclosers)]
    roles += [("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP", recipients)]
    actors = [
        {"role": {"coding": [{"system": system, "code": code}]}, "reference": {"reference": one}}
        for system, code, named in roles
        for one in named
    ]
    provision: dict[str, Any] = {"type": decision, "period": {"start": _FROM, "end": _TO}}
    provision |= {"actor": actors} if actors else {}
    provision |= {"securityLabel": [{"system": system, "code": code} for system, code in labels]} if labels else {}
    provision["purpose"] = [{"system": _ACT_REASON, "code": code} for code in purposes]
    scope = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
    whole = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [scope]},
        "category": [{"coding": [{"system": _ACT_CODE, "code": category}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": f"{_FROM}T09:00:00Z",
        "performer": [{"reference": f"Patient/{patient}"}],
        "organization": [{"reference": custodian}],
        "sourceAttachment": {"contentType": "text/plain", "data": "TWFkZSB1cCBmb3IgYSBkZW1vbnN0cmF0aW9uLg=="},
        "policy": [{"uri": "https://www.ecfr.gov/current/title-42/chapter-I/subchapter-A/part-2"}],
        "provision": provision,
    }
    return msgspec.json.encode(whole)


def _lines(patients: tuple[str, ...], types: tuple[str, ...]) -> list[Line]:
    asked = [
        ("neighbour", "A neighbouring hospital", "TREAT", "plan"),
        ("plan", "The health plan", "CAREMGT", "hospital"),
        ("plan", "The health plan", "HPAYMT", "hospital"),
        ("plan", "The health plan", "HPAYMT", "hospital-hipaa"),
        ("plan", "The health plan", "HPAYMT", "hospital-base"),
        ("care-manager", "The Health Home care management agency", "CAREMGT", "plan"),
        ("housing", "A housing organisation", "CAREMGT", "hospital"),
        ("app", "The first patient's own app", "PATRQT", "hospital"),
        ("plan", "The health plan", "", "hospital"),
        ("housing", "A housing organisation", "TREAT", "hospital"),
    ]
    return [
        Line(
            id=f"{client}-{purpose or 'none'}-{route}".lower(),
            who=who,
            client=client,
            purpose=purpose,
            route=route,
            patients=patients,
            types=types,
        )
        for client, who, purpose, route in asked
    ]
