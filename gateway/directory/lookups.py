"""Questions to the directory: who is this, what did they agree, whose patient is it. Pure.

Rules of this file
1. A party is found by reference or identifier, system and value both; never by name (L092).
2. An agreement or relationship counts only while its period lasts for certain, and only for what it lists; an
   attestation too, and one that a fact does not hold counts as long as its period may last.
3. What is not found is not there: nothing here guesses.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime, tzinfo
from functools import lru_cache

import msgspec

from consent_store.model import Coding, Identifier, PatientKey
from gateway.directory.model import Agreement, Attestation, Client, Directory, Participant
from gateway.fhir.terminology import purpose_is_a, purpose_of


def by_reference(directory: Directory, reference: str, base: str = "") -> Participant | None:
    """Give the participant registered under `reference`, or under it at `base` where it is relative; or None.

    A reference registered as an absolute URL is found only at that base; one registered as `Type/id` at any.
    """
    spellings = {reference}
    if base and "://" not in reference:
        spellings.add(f"{base.rstrip('/')}/{reference}")
    elif base and reference.startswith(f"{base.rstrip('/')}/"):
        spellings.add(reference.removeprefix(f"{base.rstrip('/')}/"))
    for participant in directory.participants.values():
        if not participant.references.isdisjoint(spellings):
            return participant
    return None


def by_identifier(directory: Directory, identifier: Identifier) -> Participant | None:
    """Give the participant that has this identifier, or None; an identifier without system matches nobody."""
    if identifier.system is None:
        return None
    for participant in directory.participants.values():
        if identifier in participant.identifiers:
            return participant
    return None


def client_of(directory: Directory, issuer: str, client_id: str) -> Client | None:
    """Give the registration of this issuer's client, or None."""
    for client in directory.clients:
        if client.client_id == client_id and client.issuer in {"", issuer}:
            return client
    return None


def agreements_between(
    directory: Directory, a: str, b: str, at: datetime, zone: tzinfo | None, purpose: Coding | None = None
) -> tuple[Agreement, ...]:
    """Give the agreements between participants `a` and `b` that are in force at `at` and cover `purpose` if given.

    Purposes subsume (HOPERAT covers CAREMGT); absent purposes are not limited, an empty list covers nothing
    (ARCHITECTURE.md section 6).
    """
    if a == b:
        return ()
    return tuple(
        agreement
        for agreement in directory.agreements
        if {a, b} <= agreement.between
        and agreement.period.covers(at, zone, wide=False)
        and (purpose is None or covers_purpose(agreement.purposes, purpose))
    )


def covers_purpose(listed: Collection[str] | None, purpose: Coding) -> bool:
    """Say whether a list of purposes covers this one; None covers all, what is no purpose covers nothing."""
    if listed is None:
        return True
    return any((above := _purpose(text)) is not None and purpose_is_a(purpose, above) for text in listed)


def related(
    directory: Directory,
    participant: str,
    patient: PatientKey,
    identifiers: Collection[Identifier],
    at: datetime,
    zone: tzinfo | None,
) -> bool:
    """Say whether `participant` has a relationship with this patient at `at`, by record key or business identifier."""
    keys: tuple[PatientKey | Identifier, ...] = (patient, *identifiers)
    return any(
        relationship.participant == participant and relationship.period.covers(at, zone, wide=False)
        for who in keys
        for relationship in directory.related_to.get(who, ())
    )


def attestations_of(directory: Directory, sides: tuple[str, str]) -> tuple[Attestation, ...]:
    """Give the attestations that stand in the directory about exchanges between `sides` (discloser, recipient)."""
    discloser, recipient = sides
    names = ((discloser, recipient), (discloser, ""), ("", recipient), ("", ""))
    return tuple(one for pair in names for one in directory.between.get(pair, ()))


def sources_of(directory: Directory) -> frozenset[str]:
    """Give the sources whose patients and records relationships and attestations name."""
    related = frozenset(one.patient.source for one in directory.relationships if one.patient is not None)
    told = frozenset(one.patient.source for one in directory.attestations if one.patient is not None)
    return related | told | {one.source for one in directory.attestations if one.resource}


def attested(
    attestations: Iterable[Attestation], sides: tuple[str, str], purpose: Coding, at: datetime, zone: tzinfo | None
) -> tuple[Attestation, ...]:
    """Give the attestations that speak of an exchange for `purpose` between `sides` (discloser, recipient) at `at`."""
    discloser, recipient = sides
    return tuple(
        one
        for one in attestations
        if one.discloser in {"", discloser}
        and one.recipient in {"", recipient}
        and covers_purpose(one.purposes, purpose)
        and one.period.covers(at, zone, wide=not one.holds)
    )


def about(
    attestations: Iterable[Attestation], patient: PatientKey, identifiers: Collection[Identifier]
) -> tuple[Attestation, ...]:
    """Give the attestations about this one patient alone, by record key or business identifier."""
    return tuple(
        one
        for one in attestations
        if one.patient == patient or (one.identifier is not None and one.identifier in identifiers)
    )


def classified(directory: Directory, kinds_of: Callable[[str], Collection[str]]) -> Directory:
    """Give the directory with what the types of participants say of them, by `kinds_of`: `as_classified` of each."""
    told = {key: as_classified(party, kinds_of) for key, party in directory.participants.items()}
    return msgspec.structs.replace(directory, participants=told) if told != directory.participants else directory


def as_classified(party: Participant, kinds_of: Callable[[str], Collection[str]]) -> Participant:
    """Give a participant marked a Part 2 program where its type is a kind of one, and covered by HIPAA where its type
    is a kind of covered entity (45 CFR 160.103) and the directory does not say otherwise."""
    kinds = kinds_of(party.type)
    covered = "hipaa_covered" in kinds if party.hipaa_covered is None else party.hipaa_covered
    program = party.part2_program or "part2_program" in kinds
    if covered is party.hipaa_covered and program is party.part2_program:
        return party
    return msgspec.structs.replace(party, hipaa_covered=covered, part2_program=program)


@lru_cache(maxsize=1024)
def _purpose(text: str) -> Coding | None:
    try:
        return purpose_of(text)
    except ValueError:
        return None
