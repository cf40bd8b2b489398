"""What one subject's ruling on one resource turns on, and what is asked of it by more than one condition.

Rules of this file
1. A Case is complete: nothing is looked up anywhere else while conditions are asked.
2. A consent known to be void permits nothing: of one without capacity, with a signature that does not meet federal law,
   or of a representative without proven authority.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from consent_store.model import Consent, Reference
from gateway.decision.consents import ConsentAnswer, Permit, Relations, Target
from gateway.decision.consents.signing import is_signed
from gateway.decision.model import Exchange, SubjectFacts
from gateway.directory.lookups import agreements_between
from gateway.directory.model import Agreement, Directory
from gateway.policy.model import Condition, Policy


class Told(msgspec.Struct, frozen=True):
    """What was found true of an exchange, and of one subject in it: the same for every record of a document. A case in
    another exchange, or of another subject, does not go by it."""

    exchange: Exchange
    directory: Directory
    subject: SubjectFacts | None
    of_exchange: dict[Condition, bool | None]
    of_subject: dict[Condition, bool | None]

    def fits(self, case: "Case") -> bool:
        """Say whether a case may go by it."""
        return case.exchange is self.exchange and case.directory is self.directory and case.subject is self.subject


class Case(msgspec.Struct, frozen=True):
    """Everything that one subject's ruling on one resource turns on. `linked` is what the consents say of records that
    may be of the same person: only their refusals count. `stated` are the facts stated of the resource; `came_from`
    gives the participants from whom a Provenance shows that it came, `consents_as_part2` what the consents would say if
    the record told of a Part 2 program, as a contact with one does, `consents_in` what they say of the record in
    another exchange than this. `told` keeps what was found true before; `source` is the server of the document's
    patients."""

    policy: Policy
    directory: Directory
    exchange: Exchange
    relations: Relations
    subject: SubjectFacts | None
    target: Target
    consents: ConsentAnswer
    linked: tuple[ConsentAnswer, ...] = ()
    categories: frozenset[str] = frozenset()
    stated: Mapping[str, bool] = {}
    came_from: Callable[[], frozenset[str]] = frozenset
    consents_as_part2: Callable[[], ConsentAnswer] | None = None
    consents_in: Callable[[Exchange], ConsentAnswer] | None = None
    told: "Told | None" = None
    source: str = ""


Truth = bool | None


def all_of(truths: Iterable[Truth]) -> Truth:
    """Combine truths with three-valued AND."""
    values = list(truths)
    if any(value is False for value in values):
        return False
    return True if all(value is True for value in values) else None


_RELATED: Final = "RelatedPerson"
REPRESENTATIVES: Final = "representatives_prove_authority"
"""The switch by which a consent that somebody else gave counts only where the authority was verified."""


def stated(case: Case, fact: str) -> Truth:
    """Give what is stated of the record, of its patient, or of the whole exchange; False where any of them says so."""
    scopes = (case.stated, case.subject.stated if case.subject else {}, case.exchange.attested)
    said = [scope[fact] for scope in scopes if fact in scope]
    return all(said) if said else None


REDISCLOSURE_NEEDS_CONSENT: Final = "redisclosure_needs_consent"
"""The switch by which a recipient of Part 2 records passes them on only with another consent (42 CFR 2.33(b))."""
SINGLE_TPO_CONSENT: Final = "single_tpo_consent"
"""The switch by which one consent for all treatment, payment and operations counts though it names no end (2024)."""


def standing(case: Case) -> tuple[Permit, ...]:
    """Give the permits of consents that are not known to be void: of one without capacity, with a signature that does
    not meet federal law, or of a representative without proven authority (seed of the profile `us-programs`)."""
    permits = case.consents.permitting
    if not permits or case.subject is None:
        return permits
    if stated(case, Condition.ELECTRONIC_SIGNATURE_MEETS_FEDERAL_LAW) is False:
        return ()
    if stated(case, Condition.SUBJECT_HAS_CAPACITY) is False:
        permits = tuple(one for one in permits if _by_representative(one) and one.consent.verified is True)
    if case.policy.on(REPRESENTATIVES):
        permits = tuple(one for one in permits if not _by_representative(one) or one.consent.verified is True)
    return permits


def authorises(permit: Permit, case: Case) -> bool:
    """Say whether a consent that permits names the recipient and is signed (45 CFR 164.508(c)(1)(iii), (vi))."""
    subject = case.subject
    return permit.names_recipient and subject is not None and is_signed(permit.consent, subject, case.relations)


def _by_representative(permit: Permit) -> bool:
    """Say whether nobody but a related person gave the consent."""
    givers = permit.consent.performers
    return bool(givers) and all(by_related_person(one, permit.consent) for one in givers)


def by_related_person(giver: Reference, consent: Consent) -> bool:
    """Say whether one of those who gave a consent is a related person."""
    return _type_of(giver, consent) == _RELATED


def _type_of(giver: Reference, consent: Consent) -> str:
    """Give the type of who gave a consent, "" where it is not told; whoever is described inside it and is not shown to
    be a Patient counts as another person."""
    text = giver.reference
    if text is None:
        return (giver.type or "").rpartition("/")[2]
    if text.startswith("#"):
        return _RELATED if text[1:] not in _patients_inside(consent) else "Patient"
    return "/".join(text.partition("/_history/")[0].split("/")[-2:-1])


class _Inside(msgspec.Struct):
    contained: tuple[dict[str, Any], ...] = ()


def _patients_inside(consent: Consent) -> set[object]:
    try:
        inside = msgspec.json.decode(consent.raw, type=_Inside).contained
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return set()
    return {one.get("id") for one in inside if one.get("resourceType") == "Patient"}


def in_force_between(case: Case, types: frozenset[str]) -> tuple[Agreement, ...]:
    """Give the agreements of one of `types` between the two sides that are in force and cover the purpose."""
    exchange = case.exchange
    found = agreements_between(
        case.directory, exchange.discloser.id, exchange.recipient.id, exchange.at, case.policy.zone, exchange.purpose
    )
    return tuple(agreement for agreement in found if agreement.type in types)


def agreements_with(case: Case, types: frozenset[str]) -> bool:
    """Say whether an agreement of one of `types` between the two sides is in force and covers the purpose; one that
    lists no data is about nothing."""
    return any(agreement.data != frozenset() for agreement in in_force_between(case, types))


def agreed_on(case: Case, types: frozenset[str]) -> bool:
    """Say whether such an agreement covers this record: it lists no data at all, or a category the record is of."""
    agreements = in_force_between(case, types)
    return any(one.data is None or not one.data.isdisjoint(case.categories) for one in agreements)
