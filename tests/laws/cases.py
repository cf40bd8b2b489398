"""The questions the laws ask: a case is one of them whole, as values that can be kept in a file; its context is fixed.

The context holds every way to be named: groups in and out of force, of groups, in circles; care teams; roles; parts of
organisations; two texts of one resource; resources that refer to the one asked about.
"""

import json
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from consent_store.dates import Period
from consent_store.model import Coding, Consent, Identifier, Reference, Unreadable
from gateway.decision.consents import (
    PARTICIPANT_TYPE,
    ConsentAnswer,
    ConsentProgram,
    Relations,
    Target,
    compile_consents,
    specialise,
)
from gateway.decision.model import Exchange, Initiator
from gateway.directory.model import Participant
from gateway.fhir.references import Foreign, parse_base
from gateway.labels.model import Labels
from tests.consent_questions import DIRECTORY, HOSPITAL, NPI, PLAN, view

FOUND = Path(__file__).parent / "found"
OURS = "https://ours.example/fhir"
ELSEWHERE = "https://elsewhere.example/fhir"
REGISTRY = "urn:registry"
KINDS = {"payer": frozenset({"mcp"})}
ACTING: dict[str, object] = {"o3": "Organization/o3", "other": "other", "npi": {"system": NPI, "value": "3"}}
"""Custodians that the discloser may act under, as its attribute says them."""


def _group(id: str, *members: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "Group", "id": id, "active": True, "member": list(members), **more}


def _member(reference: str, **more: Any) -> dict[str, Any]:
    return {"entity": {"reference": reference}, **more}


def _team(id: str, *participants: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "CareTeam", "id": id, "status": "active", "participant": list(participants), **more}


def _works(id: str, who: str, where: str, **more: Any) -> dict[str, Any]:
    whole = {"practitioner": {"reference": who}, "organization": {"reference": where}, **more}
    return {"resourceType": "PractitionerRole", "id": id, **whole}


def _in(reference: str, **more: Any) -> dict[str, Any]:
    return {"member": {"reference": reference}, **more}


def _identifier(system: str, value: str) -> list[dict[str, str]]:
    return [{"system": system, "value": value}]


PLAN_REF, OTHER_REF, DOCTOR = "Organization/o7", "Organization/o9", "Practitioner/p"
CONTEXT: tuple[dict[str, Any], ...] = (
    _group("with", _member(OTHER_REF), _member(PLAN_REF)),
    _group("without", _member(PLAN_REF, inactive=True), _member(OTHER_REF)),
    _group("late", _member(PLAN_REF, period={"end": "2025-02-28"})),
    _group("odd", _member(PLAN_REF, period={"end": "soon"})),
    _group("nested", _member("CareTeam/team")),
    _group("circle", _member("Group/round")),
    _group("round", _member("Group/circle"), _member(OTHER_REF)),
    _group("off", _member(PLAN_REF), active=False),
    _group("plans", identifier=_identifier(PARTICIPANT_TYPE, "mcp")),
    _group("payers", code={"coding": [{"system": PARTICIPANT_TYPE, "code": "payer"}]}),
    _group("like", _member(OTHER_REF), characteristic=[{"code": {"text": "like"}}]),
    _group("ours", _member(f"{OURS}/{PLAN_REF}")),
    _team("team", _in(PLAN_REF)),
    _team("behalf", _in("Practitioner/q", onBehalfOf={"reference": PLAN_REF})),
    _team("past", _in(PLAN_REF), status="inactive"),
    _team("over", _in(PLAN_REF), period={"end": "2024"}),
    _team("others", _in(OTHER_REF, period={"start": "2020"})),
    {"resourceType": "CareTeam", "id": "untold", "participant": [_in(PLAN_REF)]},
    _works("r7", DOCTOR, PLAN_REF),
    _works("r9", "Practitioner/q", OTHER_REF),
    _works("quit", DOCTOR, PLAN_REF, period={"end": "2025-02-28"}),
    _works("off", DOCTOR, PLAN_REF, active=False),
    _works("writes", "Practitioner/a", "Organization/o1"),
    {"resourceType": "Organization", "id": "twin", "identifier": _identifier(NPI, "7")},
    {"resourceType": "Organization", "id": "whole", "identifier": _identifier(REGISTRY, "whole")},
    {
        "resourceType": "Organization",
        "id": "o7",
        "identifier": _identifier(REGISTRY, "plan"),
        "partOf": {"reference": "Organization/whole"},
    },
    {"resourceType": "Organization", "id": "double", "name": "one"},
    {"resourceType": "Organization", "id": "double", "name": "two", "identifier": _identifier(NPI, "7")},
    {"resourceType": "Practitioner", "id": "a", "identifier": _identifier(REGISTRY, "a")},
    {"resourceType": "Encounter", "id": "e2", "diagnosis": [{"condition": {"reference": "Observation/obs1"}}]},
    {"resourceType": "Encounter", "id": "e3", "identifier": _identifier(REGISTRY, "e3")},
    {"resourceType": "List", "id": "l1", "entry": [{"item": {"reference": f"{OURS}/Observation/obs1"}}]},
)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One question. `own`: the server knows its own base. `person` asks for the plan; `acting` names whom the discloser
    acts under. `elsewhere`: the resource is another server's. `container` contains it."""

    consents: tuple[Consent, ...]
    unreadable: tuple[Unreadable, ...] = ()
    purpose: Coding
    at: datetime
    action: str = "disclose"
    zone: str | None = "UTC"
    own: bool = True
    person: str | None = None
    acting: str | None = None
    resource: dict[str, Any]
    labels: Labels
    period: Period | None = None
    authors: tuple[Reference, ...] = ()
    container: dict[str, Any] | None = None
    elsewhere: bool = False

    @property
    def whole(self) -> tuple[Consent | Unreadable, ...]:
        """Every consent, read or not."""
        return (*self.consents, *self.unreadable)

    @property
    def read_in(self) -> ZoneInfo | None:
        """The zone in which dates without offset are read."""
        return zone(self.zone)

    @property
    def discloser(self) -> Participant:
        """The hospital, with whom it acts under."""
        custodians = [ACTING[self.acting]] if self.acting else []
        return msgspec.structs.replace(HOSPITAL, attributes={"consent_custodians": custodians})


@lru_cache
def zone(name: str | None) -> ZoneInfo | None:
    """A time zone by name; the same name is the same object."""
    return ZoneInfo(name) if name else None


@lru_cache
def shown(own: bool) -> Relations:
    """The context as the engine reads it."""
    views = [view(one, f"/{index}") for index, one in enumerate(CONTEXT)]
    bases = frozenset({parse_base(OURS)} if own else ())
    return Relations.of(views, DIRECTORY, own=bases, kinds=KINDS)


def exchange_of(case: Case) -> Exchange:
    """Who discloses to whom, why and when."""
    person = Initiator(case.person, frozenset({Identifier(NPI, "99")})) if case.person else None
    return Exchange(
        discloser=case.discloser,
        recipient=PLAN,
        initiator=person,
        purpose=case.purpose,
        at=case.at,
        action=case.action,
    )


def target_of(case: Case) -> Target:
    """The resource as the engine sees it."""
    kind, id = case.resource["resourceType"], case.resource.get("id")
    contained = case.container is not None
    return Target(
        view=view(case.resource, "/contained/0" if contained else ""),
        labels=case.labels,
        period=case.period,
        authors=case.authors,
        container=view(case.container) if case.container is not None else None,
        identity=Foreign(parse_base(ELSEWHERE), kind, id) if case.elsewhere and not contained else None,
    )


def program_of(case: Case) -> ConsentProgram:
    """The case's consents, specialised to its exchange."""
    compiled = compile_consents(case.whole, case.read_in)
    return specialise(compiled, exchange_of(case), shown(case.own), case.read_in)


def engine(case: Case) -> ConsentAnswer:
    """What the engine answers."""
    return program_of(case).decide(target_of(case))


def to_text(case: Case) -> bytes:
    """A case as JSON text for a file."""
    return msgspec.json.format(msgspec.json.encode(case), indent=1)


def from_text(text: bytes) -> Case:
    """The case of a file's text."""
    return msgspec.json.decode(text, type=Case)


def same_text(resource: dict[str, Any]) -> str:
    """A resource as text, for comparing."""
    return json.dumps(resource, sort_keys=True)
