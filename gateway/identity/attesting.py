"""Attestations in a signed token: facts that its participant vouches for, in a claim of our own. Never from a header.

Rules of this file
1. A client attests what its registration lists (`may_attest`); another fact, an unknown one, and a claim that cannot be
   read are refused (403): a statement is not passed over.
2. What is attested is the word of the client's participant. What only the discloser can attest counts only where that
   participant is the discloser.
3. An attestation lasts as long as it says, and no longer than its token.
4. An emergency is one patient's (leaks.md L063, L097).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from consent_store.dates import FhirDate, Period, parse_date
from consent_store.model import Identifier, PatientKey
from gateway.directory.model import Attestation, Client
from gateway.directory.vocabulary import DISCLOSERS_WORD, EMERGENCY, STATED
from gateway.errors import Forbidden
from gateway.fhir.references import is_id

CLAIM: Final = "urn:consent-gateway:attestations"
"""The claim (a collision-resistant name, RFC 7519 section 4.2): a list of attestations."""

_MOST: Final = 50


class _Identifier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    system: str
    value: str


class _Attested(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    fact: str
    holds: bool = True
    patient: str | _Identifier | None = None
    iat: int | None = None
    exp: int | None = None


def attestations_of(claims: Mapping[str, Any], client: Client) -> tuple[Attestation, ...]:
    """Give what a verified token of `client` attests; a patient's key has no source yet. Raises Forbidden by rule 1."""
    if CLAIM not in claims:
        return ()
    try:
        listed = msgspec.convert(claims[CLAIM], tuple[_Attested, ...])
        found = tuple(_attestation(one, client, number) for number, one in enumerate(listed))
    except (msgspec.ValidationError, ValueError, OverflowError, OSError):
        raise Forbidden("the token's attestations cannot be read") from None
    if len(found) > _MOST:
        raise Forbidden("the token attests too much at once")
    emergencies = {(one.patient, one.identifier) for one in found if is_emergency(one)}
    if len(emergencies) > 1 or (None, None) in emergencies:
        raise Forbidden("an emergency is attested of one patient")
    return found


def is_emergency(one: Attestation) -> bool:
    """Say whether an attestation is of an emergency."""
    return one.fact in EMERGENCY and one.holds


def _attestation(one: _Attested, client: Client, number: int) -> Attestation:
    if one.fact not in STATED:
        raise Forbidden("the token attests something that is not known here")
    if one.fact not in client.may_attest:
        raise Forbidden("this client is not registered to attest this")
    patient, identifier = None, None
    if isinstance(one.patient, _Identifier):
        identifier = Identifier(one.patient.system, one.patient.value)
    elif one.patient is not None:
        kind, _, id_ = one.patient.partition("/")
        if kind != "Patient" or not is_id(id_):
            raise ValueError("not a patient")
        patient = PatientKey("", id_)
    return Attestation(
        fact=one.fact,
        by=client.participant,
        name=f"claim {number}",
        holds=one.holds,
        standing=False,
        discloser=client.participant if one.fact in DISCLOSERS_WORD else "",
        patient=patient,
        identifier=identifier,
        period=Period(_second(one.iat), None if one.exp is None else _second(one.exp - 1)),
    )


def _second(moment: int | None) -> FhirDate | None:
    """Read a NumericDate (RFC 7519 section 2) of whole seconds."""
    if moment is None:
        return None
    return parse_date(datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
