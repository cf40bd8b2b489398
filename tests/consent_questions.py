"""Builders of questions to the consents of one patient: an exchange, a resource with labels, what the context shows."""

import json
from datetime import UTC, datetime, tzinfo
from typing import Any

from consent_store.dates import Period, parse_date
from consent_store.model import ACT_CODE, ACT_REASON, CONFIDENTIALITY, Coding, Identifier, PatientKey, Reference
from gateway.decision.consents import (
    ConsentAnswer,
    ConsentProgram,
    Relations,
    Target,
    compile_consents,
    specialise,
)
from gateway.decision.model import Exchange, Initiator, SubjectFacts
from gateway.directory.model import Directory, Participant
from gateway.fhir.references import parse_base
from gateway.fhir.terminology import CodeSet, canonical, code_set
from gateway.fhir.view import ResourceView, read_resource
from gateway.labels.model import Basis, Confidentiality, Kind, Label, Labels
from tests.consents import read

NPI = "http://hl7.org/fhir/sid/us-npi"
LOINC = "http://loinc.org"
AT = datetime(2025, 3, 1, 12, tzinfo=UTC)

HOSPITAL = Participant(
    id="hospital",
    type="provider_general",
    references=frozenset({"Organization/o1"}),
    identifiers=frozenset({Identifier(NPI, "1")}),
)
PLAN = Participant(
    id="plan", type="mcp", references=frozenset({"Organization/o7"}), identifiers=frozenset({Identifier(NPI, "7")})
)
OTHER = Participant(
    id="other", type="cbo", references=frozenset({"Organization/o9"}), identifiers=frozenset({Identifier(NPI, "9")})
)
DIRECTORY = Directory({party.id: party for party in (HOSPITAL, PLAN, OTHER)})

_KINDS = {
    CodeSet.CONFIDENTIALITY: Kind.CONFIDENTIALITY,
    CodeSet.SENSITIVITY: Kind.SENSITIVITY,
    CodeSet.POLICY: Kind.POLICY,
    CodeSet.UNKNOWN: Kind.UNKNOWN,
    CodeSet.FOREIGN: Kind.UNKNOWN,
}


def labels(*codes: str | Coding, unknown: bool = False) -> Labels:
    """Labels by code: U to V are confidentiality, everything else v3-ActCode. No confidentiality means N."""
    found = [_label(_coding(one)) for one in codes]
    levels = [Confidentiality[one.code] for one in found if one.kind is Kind.CONFIDENTIALITY]
    return Labels(
        labels=tuple(sorted(found)),
        confidentiality=max(levels, default=Confidentiality.N),
        sensitivities=frozenset(one.code for one in found if one.kind is Kind.SENSITIVITY),
        policies=frozenset(one.code for one in found if one.kind is Kind.POLICY),
        unknown=unknown or any(one.kind is Kind.UNKNOWN for one in found),
    )


def _coding(one: str | Coding) -> Coding:
    if isinstance(one, Coding):
        return canonical(one)
    return Coding(CONFIDENTIALITY if one in Confidentiality.__members__ else ACT_CODE, one)


def _label(coding: Coding) -> Label:
    kind = _KINDS.get(code_set(coding), Kind.HANDLING)
    return Label(kind, coding.system or "", coding.code or "", Basis.RECEIVED)


def observation(id: str = "obs1", **elements: Any) -> dict[str, Any]:
    """An Observation of Patient/1: a blood glucose."""
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "2339-0"}]},
        "subject": {"reference": "Patient/1"},
        **elements,
    }


def view(resource: dict[str, Any], at: str = "") -> ResourceView:
    """A resource as the scan gives it."""
    return read_resource(json.dumps(resource).encode(), at)


def period(start: str | None = None, end: str | None = None) -> Period:
    """A Period of FHIR date text."""
    return Period(parse_date(start) if start else None, parse_date(end) if end else None)


def target(
    resource: dict[str, Any] | None = None,
    *codes: str | Coding,
    dates: Period | None = None,
    authors: tuple[str, ...] = (),
    unknown: bool = False,
) -> Target:
    """A resource with labels, dates and authors."""
    return Target(
        view=view(resource if resource is not None else observation()),
        labels=labels(*codes, unknown=unknown),
        period=dates,
        authors=tuple(Reference(author) for author in authors),
    )


def exchange(
    purpose: str | Coding = "TREAT",
    *,
    at: datetime = AT,
    discloser: Participant = HOSPITAL,
    recipient: Participant = PLAN,
    initiator: Initiator | None = None,
    action: str = "disclose",
) -> Exchange:
    """The hospital discloses to the plan."""
    coding = purpose if isinstance(purpose, Coding) else Coding(ACT_REASON, purpose)
    return Exchange(discloser=discloser, recipient=recipient, initiator=initiator, purpose=coding, at=at, action=action)


def relations(
    *context: dict[str, Any], own: tuple[str, ...] = (), kinds: dict[str, frozenset[str]] | None = None
) -> Relations:
    """What the context shows, in the directory of hospital, plan and another."""
    bases = frozenset(parse_base(url) for url in own)
    return Relations.of([view(one, f"/{i}") for i, one in enumerate(context)], DIRECTORY, own=bases, kinds=kinds)


def program(
    *consents: Any,
    asked: Exchange | None = None,
    shown: Relations | None = None,
    zone: tzinfo | None = UTC,
) -> ConsentProgram:
    """Consents (FHIR JSON, or values as read) specialised to an exchange."""
    values = tuple(read(one) if isinstance(one, dict | bytes) else one for one in consents)
    return specialise(compile_consents(values, zone), asked or exchange(), shown or relations(), zone)


def ask(
    *consents: Any,
    about: Target | None = None,
    asked: Exchange | None = None,
    shown: Relations | None = None,
    zone: tzinfo | None = UTC,
) -> ConsentAnswer:
    """What the consents answer about one resource."""
    return program(*consents, asked=asked, shown=shown, zone=zone).decide(about or target())


def subject(*identifiers: Identifier, id: str = "1") -> SubjectFacts:
    """The patient of the builders' consents."""
    return SubjectFacts(key=PatientKey("ehr", id), identifiers=frozenset(identifiers))
