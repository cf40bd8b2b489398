"""From verified claims to the registered participant that calls, and the person it says it calls for.

Rules of this file
1. The client's registration decides who calls; what the token says of its organisation can only contradict it (403).
2. Purposes are read wherever a token may carry them (plain claim, UDAP hl7-b2b, IHE IUA); carriers that differ, an
   unknown code or a value of another shape are refused (purpose-of-use.md section 1).
3. A patient's app calls for one patient: the one registered, or the one its token names; where several servers are
   served, with the server (L092).
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import msgspec

from consent_store.identifier_systems import US_NPI
from consent_store.model import Coding, Identifier, PatientKey
from gateway.decision.model import Initiator
from gateway.directory.lookups import client_of
from gateway.directory.model import Attestation, Directory, Participant
from gateway.errors import Forbidden, ProfileError
from gateway.fhir.terminology import purpose_of
from gateway.identity.attesting import attestations_of, is_emergency
from gateway.identity.tokens import Claims
from gateway.settings import Issuer

PATIENT: Final = "patient"
"""The participant type of a patient's own app."""

_REFERENCE: Final = re.compile(
    r"(?:https?://[^\s|?#]+/)?(?:Practitioner|PractitionerRole|Patient|RelatedPerson|Person)/[A-Za-z0-9\-.]{1,64}"
)
_PATIENT_ID: Final = re.compile(r"((?:https?://[^\s|?#]+/)?Patient/)?([A-Za-z0-9\-.]{1,64})")


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls. `purposes` are the token's: None where it states none at all, () where it states an empty list;
    `attestations` are the token's too."""

    participant: Participant
    client_id: str
    issuer: str
    token_id: str = ""
    subject: str = ""
    purposes: tuple[Coding, ...] | None = None
    initiator: Initiator | None = None
    may_break_glass: bool = False
    attestations: tuple[Attestation, ...] = ()

    @property
    def attests_emergency(self) -> bool:
        """Whether the token says that there is an emergency."""
        return any(map(is_emergency, self.attestations))

    def attested_at(self, source: str) -> tuple[Attestation, ...]:
        """Give what the token attests at a route whose patients are `source`'s: it names them by their ids there."""
        return tuple(
            one if one.patient is None else msgspec.structs.replace(one, patient=PatientKey(source, one.patient.id))
            for one in self.attestations
        )


def caller_of(claims: Claims, directory: Directory) -> Caller:
    """Give the registered caller behind verified claims. Raises Forbidden by the rules above."""
    client = client_of(directory, claims.issuer, claims.client_id)
    if client is None:
        raise Forbidden("this client is not registered")
    participant = directory.participants[client.participant]
    b2b, iua = _extension(claims.all, "hl7-b2b"), _extension(claims.all, "ihe_iua")
    for organisation in (b2b.get("organization_id"), iua.get("subject_organization_id")):
        if organisation is not None and not _is_of(organisation, participant):
            raise Forbidden("the token names another organisation than the one registered")
    return Caller(
        participant=_for_patient(participant, claims.all) if participant.type == PATIENT else participant,
        client_id=claims.client_id,
        issuer=claims.issuer,
        token_id=claims.token_id,
        subject=claims.subject,
        purposes=_purposes(claims.all, b2b, iua),
        initiator=_initiator(claims.all, b2b, iua),
        may_break_glass=client.may_break_glass,
        attestations=attestations_of(claims.all, client),
    )


def check_patient(party: Participant, sources: Collection[str]) -> None:
    """Raise Forbidden where a patient is named as `Patient/id` and several servers are served: which of those that have
    this id is then open, for a permit and for a refusal alike (L092)."""
    if len(sources) > 1 and any(one.startswith("Patient/") for one in party.references):
        raise Forbidden("the app's patient must be named with the server that her record is of")


def check_clients(directory: Directory, issuers: Iterable[Issuer]) -> None:
    """Raise ProfileError where it is open which issuer's client a registration means."""
    known = {issuer.iss for issuer in issuers}
    for client in directory.clients:
        if client.issuer and client.issuer not in known:
            raise ProfileError(f"client `{client.client_id}` is of an issuer that the settings do not list")
        if not client.issuer and len(known) > 1:
            raise ProfileError(f"client `{client.client_id}` must name its issuer: the settings list several")


def _extension(claims: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Give one object of the `extensions` claim (UDAP Security STU1 section 5.2.1.1, IHE ITI IUA), {} without it."""
    extensions = claims.get("extensions", {})
    found = extensions.get(name, {}) if isinstance(extensions, dict) else None
    if not isinstance(found, dict):
        raise Forbidden("the token's extensions cannot be read")
    return found


def _purposes(claims: Mapping[str, Any], b2b: Mapping[str, Any], iua: Mapping[str, Any]) -> tuple[Coding, ...] | None:
    stated = [_listed(place["purpose_of_use"]) for place in (claims, b2b, iua) if "purpose_of_use" in place]
    if not stated:
        return None
    if any(set(one) != set(stated[0]) for one in stated):
        raise Forbidden("the token states its purpose of use twice, differently")
    return stated[0]


def _listed(value: object) -> tuple[Coding, ...]:
    """Read a purpose claim: one text, or a list of texts or Codings. null and "" are an empty list."""
    if value is None or value == "":
        return ()
    found = [_purpose(one) for one in (value if isinstance(value, list) else [value])]
    return tuple(dict.fromkeys(found))


def _purpose(value: object) -> Coding:
    try:
        if isinstance(value, dict):
            system, code = value.get("system"), value.get("code")
            if isinstance(code, str) and (system is None or isinstance(system, str)):
                return purpose_of(Coding(system, code))
        elif isinstance(value, str):
            return purpose_of(value)
    except ValueError:
        pass
    raise Forbidden("the token states a purpose of use that is not known here")


def _is_of(organisation: object, participant: Participant) -> bool:
    """Say whether an organisation's URI is a reference or an identifier (`system#value`, a URL, a URN) of a party."""
    if not isinstance(organisation, str):
        return False
    if organisation in participant.references:
        return True
    system, _, value = organisation.rpartition("#")
    whole = {Identifier("urn:ietf:rfc:3986", organisation)}
    return not participant.identifiers.isdisjoint(whole | ({Identifier(system, value)} if system else set()))


def _for_patient(participant: Participant, claims: Mapping[str, Any]) -> Participant:
    """Give the app's participant with the one patient it acts for (SMART App Launch 2, launch context `patient`)."""
    said = claims.get("patient")
    if said is None:
        if len(participant.references) == 1:
            return participant
        raise Forbidden("the token names no patient")
    match = _PATIENT_ID.fullmatch(said) if isinstance(said, str) else None
    reference = f"{match[1] or 'Patient/'}{match[2]}" if match else ""
    if not match or (participant.references and reference not in participant.references):
        raise Forbidden("the token names another patient than the one registered")
    if participant.references == {reference}:
        return participant
    # The registered identifiers are those of nobody in particular: an app for many patients has none of its own.
    return msgspec.structs.replace(participant, references=frozenset({reference}), identifiers=frozenset())


def _initiator(claims: Mapping[str, Any], b2b: Mapping[str, Any], iua: Mapping[str, Any]) -> Initiator | None:
    """Give the person the token names: `fhirUser`, UDAP `subject_id` and `subject_role`, IUA NPI and roles."""
    reference = claims.get("fhirUser")
    identifiers = set()
    subject, npi = b2b.get("subject_id"), iua.get("national_provider_identifier")
    if isinstance(subject, str) and "#" in subject:
        system, _, value = subject.rpartition("#")
        identifiers.add(Identifier(system, value))
    if isinstance(npi, str):
        identifiers.add(Identifier(US_NPI, npi))
    if not (isinstance(reference, str) and _REFERENCE.fullmatch(reference)):
        reference = None
    if reference is None and not identifiers:
        return None
    return Initiator(reference, frozenset(identifiers), tuple(_roles(b2b, iua)), _reason(claims))


def _roles(b2b: Mapping[str, Any], iua: Mapping[str, Any]) -> Iterable[Coding]:
    one = b2b.get("subject_role")
    if isinstance(one, str) and "#" in one:
        system, _, code = one.rpartition("#")
        yield Coding(system, code)
    many = iua.get("subject_role")
    for role in many if isinstance(many, list) else ():
        if isinstance(role, dict) and isinstance(role.get("system"), str) and isinstance(role.get("code"), str):
            yield Coding(role["system"], role["code"])


def _reason(claims: Mapping[str, Any]) -> str | None:
    """Give the reason of a break-glass claim `{"reason": ".."}` (the question's `initiator.break_glass`)."""
    said = claims.get("break_glass")
    reason = said.get("reason") if isinstance(said, dict) else None
    return reason.strip() or None if isinstance(reason, str) else None
