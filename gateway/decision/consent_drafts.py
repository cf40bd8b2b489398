"""Consents that a patient could give or amend, as text: what would have to be written for a record to go, or to stay.

Rules of this file
1. A draft is for one exchange: it names this discloser, this recipient and this purpose, from the instant asked about.
2. An amendment changes as little as its reasons need; what cannot be written right is left alone (None).
3. Drafts show what a form would say; nobody signs them here.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from consent_store.dates import Period
from consent_store.model import ACT_CODE, CONFIDENTIALITY, Coding, Consent, Identifier, PatientKey
from gateway.decision.alterations import Patch, at_path, reference_to
from gateway.decision.case import Case
from gateway.decision.consents import PARTICIPANT_TYPE
from gateway.decision.consents.spans import span_of
from gateway.decision.consents.truth import Match
from gateway.decision.near_consents import Lack, NearConsent, NearProvision, periods_of, provisions_on
from gateway.directory.model import Participant

_SCOPE: Final = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
}
_PRIVACY: Final = {"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}
_PART2_FORM: Final = {"coding": [{"system": ACT_CODE, "code": "42CFRPart2CD"}]}
_PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_ROLE: Final = {"coding": [{"system": _PARTICIPATION, "code": "IRCP"}]}
_TYPES: Final = "http://hl7.org/fhir/resource-types"
_FHIR_TYPES: Final = "http://hl7.org/fhir/fhir-types"  # R5 Consent.provision.resourceType
_POLICY: Final = "urn:consent-gateway:draft"
_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,50}")


def general(case: Case, key: PatientKey) -> Mapping[str, Any]:
    """A consent to this exchange, without limits on the data."""
    return _consent(case, key, "permit", purpose=[_coding(case.exchange.purpose)])


def part2_form(case: Case, key: PatientKey, *, contact: bool = False) -> Mapping[str, Any]:
    """A consent with every element of 42 CFR 2.31, for data labelled as this record is; `contact`: which also tells of
    the program."""
    codes = sorted({"42CFRPart2", *case.target.labels.sensitivities, *(("SUD",) if contact else ())})
    labels = [{"system": ACT_CODE, "code": code} for code in codes]
    tree = _consent(case, key, "permit", purpose=[_coding(case.exchange.purpose)], securityLabel=labels)
    return {**tree, "category": [_PRIVACY, _PART2_FORM]}


def refusal(case: Case, key: PatientKey) -> Mapping[str, Any]:
    """A refusal of this exchange."""
    return _consent(case, key, "deny")


def _consent(case: Case, key: PatientKey, effect: str, **provision: Any) -> dict[str, Any]:  # noqa: ANN401  JSON
    at, patient = case.exchange.at, {"reference": reference_to(key)}
    custodian = _reference(case.exchange.discloser)
    start = at.replace(microsecond=0).isoformat()
    end = at.replace(year=min(at.year + 1, 9998), month=1, day=1).date().isoformat()
    return {
        "resourceType": "Consent",
        "id": f"draft-{key.id}" if _ID.fullmatch(key.id) else "draft",
        "status": "active",
        "scope": _SCOPE,
        "category": [_PRIVACY],
        "patient": patient,
        "dateTime": start,
        "performer": [patient],
        **({"organization": [custodian]} if custodian else {}),
        "sourceAttachment": {"title": "the signed form", "url": "urn:consent-gateway:signed-form"},
        "policy": [{"uri": _POLICY}],
        "provision": {
            "type": effect,
            "period": {"start": start, "end": end},
            "actor": [{"role": _ROLE, "reference": recipient_of(case)}],
            **provision,
        },
    }


def recipient_of(case: Case) -> Mapping[str, Any]:
    """Give how a consent would name the recipient: as registered, else by its class."""
    party = case.exchange.recipient
    return _reference(party) or {"identifier": {"system": PARTICIPANT_TYPE, "value": party.type}}


def _reference(party: Participant) -> Mapping[str, Any] | None:
    if party.references:
        return {"reference": min(party.references)}
    known = sorted(((one.system, one.value) for one in party.identifiers if one.system), key=str)
    return {"identifier": {"system": known[0][0], "value": known[0][1]}} if known else None


# Amendments ----------------------------------------------------------------------------------------------------------
def amendment(case: Case, consent: Consent, near: NearConsent, provision: NearProvision) -> Patch | None:
    """Give the patch that lets `provision` of a consent speak of the record in this exchange; None where words on a
    form cannot: what cannot be read, or a consent that was overtaken."""
    patch: list[Mapping[str, Any]] = []
    for why in (*near.why, *provision.why):
        write = _WRITERS.get(why.lack)
        if write is None:
            return None
        found = list(write(case, consent, provision.path))
        if not found:
            return None
        patch += [one for one in found if one not in patch]
    return tuple(patch) or None


def _active(_case: Case, _consent: Consent, _path: str) -> Iterator[Mapping[str, Any]]:
    yield _put("active", "status")


def _verified(_case: Case, _consent: Consent, _path: str) -> Iterator[Mapping[str, Any]]:
    yield _put([{"verified": True}], "verification")


def _renewed(case: Case, consent: Consent, path: str) -> Iterator[Mapping[str, Any]]:
    """Move the ends and starts that keep the periods from running."""
    zone, at = case.policy.zone, case.exchange.at
    for place, period in periods_of(consent, path):
        span = span_of(period, zone)
        if span.holds(at) is Match.YES:
            continue
        steps = (*_steps(consent, place), "period")
        yield _put(_lasting(case, period), *steps)


def _lasting(case: Case, period: Period) -> dict[str, str]:
    at = case.exchange.at
    start = period.start
    begun = start is not None and span_of(Period(start, None), case.policy.zone).holds(at) is Match.YES
    begins = start.text if start is not None and begun else at.replace(microsecond=0).isoformat()
    return {"start": begins, "end": f"{min(at.year + 1, 9998):04d}-12-31"}


def _purposed(case: Case, consent: Consent, path: str) -> Iterator[Mapping[str, Any]]:
    own = _own(consent, path)
    if own is not None:
        known = [_coding(one) for one in own.purposes]
        yield _put([*known, _coding(case.exchange.purpose)], *_steps(consent, path), "purpose")


def _named(case: Case, consent: Consent, path: str) -> Iterator[Mapping[str, Any]]:
    """Name the recipient beside the others, where the provision itself or what it stands in names them."""
    actor = {"role": _ROLE, "reference": recipient_of(case)}
    if consent.grantees:
        listed = [_written(one.reference, one.identifier) for one in consent.grantees]
        yield _put([*listed, recipient_of(case)], "grantee")
    own = _own(consent, path)
    if own is None:
        return
    if own.actors:
        yield {"op": "add", "path": at_path(*_steps(consent, path), "actor", "-"), "value": actor}
    elif not consent.grantees:
        yield _put([actor], *_steps(consent, path), "actor")


def _addressed(case: Case, consent: Consent, _path: str) -> Iterator[Mapping[str, Any]]:
    who = _reference(case.exchange.discloser)
    if who is None:
        return
    element = "organization" if consent.fhir_version.startswith("4") else "controller"
    listed = [_written(one.reference, one.identifier) for one in consent.custodians]
    yield _put([*listed, who], element)


def _acting(case: Case, consent: Consent, path: str) -> Iterator[Mapping[str, Any]]:
    system = "http://terminology.hl7.org/CodeSystem/consentaction"
    own = _own(consent, path)
    if own is not None:
        listed = [{"coding": [_coding(one) for one in concept]} for concept in own.actions]
        wanted = {"coding": [{"system": system, "code": case.exchange.action}]}
        yield _put([*listed, wanted], *_steps(consent, path), "action")


def _labelled(case: Case, consent: Consent, path: str) -> Iterator[Mapping[str, Any]]:
    labels = case.target.labels
    wanted = [Coding(ACT_CODE, code) for code in sorted({*labels.sensitivities, *labels.policies})]
    wanted.append(Coding(CONFIDENTIALITY, labels.confidentiality.name))
    own = _own(consent, path)
    if own is not None:
        listed = [*own.labels, *(one for one in wanted if one not in own.labels)]
        yield _put([_coding(one) for one in listed], *_steps(consent, path), "securityLabel")


def _classed(case: Case, consent: Consent, path: str) -> Iterator[Mapping[str, Any]]:
    own = _own(consent, path)
    if own is None:
        return
    mine = {"system": _TYPES, "code": case.target.view.type}
    if consent.fhir_version.startswith("4"):
        yield _put([*(_coding(one) for one in own.classes), mine], *_steps(consent, path), "class")
    else:
        kept = [_coding(one) for one in own.classes if one.system in (_TYPES, _FHIR_TYPES)]
        yield _put([*kept, {**mine, "system": _FHIR_TYPES}], *_steps(consent, path), "resourceType")


def _coded(case: Case, consent: Consent, path: str) -> Iterator[Mapping[str, Any]]:
    mine = next((one.coding for one in case.target.view.codings if one.coding.system and one.coding.code), None)
    own = _own(consent, path)
    if own is not None and mine is not None:
        listed = [{"coding": [_coding(one) for one in concept]} for concept in own.codes]
        yield _put([*listed, {"coding": [_coding(mine)]}], *_steps(consent, path), "code")


def _dated(_case: Case, consent: Consent, path: str) -> Iterator[Mapping[str, Any]]:
    if _own(consent, path) is not None:
        yield {"op": "remove", "path": at_path(*_steps(consent, path), "dataPeriod")}


def _listed(case: Case, consent: Consent, path: str) -> Iterator[Mapping[str, Any]]:
    view = case.target.container or case.target.view
    own = _own(consent, path)
    if own is not None and own.data and view.id:
        wanted = {"meaning": "instance", "reference": {"reference": f"{view.type}/{view.id}"}}
        yield {"op": "add", "path": at_path(*_steps(consent, path), "data", "-"), "value": wanted}


_WRITERS: Final = {
    Lack.NOT_ACTIVE: _active,
    Lack.VERIFICATION: _verified,
    Lack.EXPIRED: _renewed,
    Lack.NOT_YET: _renewed,
    Lack.PERIOD: _renewed,
    Lack.PURPOSE: _purposed,
    Lack.RECIPIENT: _named,
    Lack.CUSTODIAN: _addressed,
    Lack.ACTION: _acting,
    Lack.LABELS: _labelled,
    Lack.CLASS: _classed,
    Lack.CODES: _coded,
    Lack.DATES: _dated,
    Lack.DATA: _listed,
}


def _own(consent: Consent, path: str) -> Any:  # noqa: ANN401  a Provision or None
    found = provisions_on(consent, path)
    return found[-1][1] if found else None


def _steps(consent: Consent, path: str) -> tuple[str | int, ...]:
    """Give the place of a provision in the Consent's text: in R4 the root provision is one object, in R5 a list."""
    steps: list[str | int] = []
    for step in path.split(".") if path else ():
        number = int(step.partition("[")[2].rstrip("]"))
        root_of_r4 = not steps and consent.fhir_version.startswith("4")
        steps += ["provision"] if root_of_r4 else ["provision", number]
    return tuple(steps)


def _put(value: Any, *steps: str | int) -> Mapping[str, Any]:  # noqa: ANN401  JSON
    return {"op": "add", "path": at_path(*steps), "value": value}


def _coding(coding: Coding) -> dict[str, str]:
    said: Iterable[tuple[str, str | None]] = (("system", coding.system), ("code", coding.code))
    return {name: value for name, value in said if value is not None}


def _written(reference: str | None, identifier: Identifier | None) -> dict[str, Any]:
    told: dict[str, Any] = {"reference": reference} if reference is not None else {}
    if identifier is not None:
        told["identifier"] = {"value": identifier.value} | ({"system": identifier.system} if identifier.system else {})
    return told
