"""The named conditions of a profile, and how each is found true.

Rules of this file
1. Three values: True, False, and None for "cannot be told"; only True ever helps a permit (law 2).
2. What can be derived from directory, consents, patient or purpose is derived; the rest is a stated fact
   (ARCHITECTURE.md section 6). A client's word is never enough.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Final

import msgspec

from consent_store.dates import FhirDate
from consent_store.model import ACT_REASON, Coding, Expiry
from gateway.decision.case import (
    REDISCLOSURE_NEEDS_CONSENT,
    SINGLE_TPO_CONSENT,
    Case,
    Truth,
    agreed_on,
    standing,
    stated,
)
from gateway.decision.consents import Permit, part2_compliant
from gateway.decision.derived import DERIVED
from gateway.decision.model import Answer
from gateway.directory.lookups import related
from gateway.directory.model import Participant
from gateway.fhir.terminology import purpose_is_a
from gateway.labels.assign import PART2
from gateway.labels.model import Basis, Labels
from gateway.policy.model import Condition

__all__ = ["OF_THE_RECORD", "Case", "Truth", "adult", "derived_of", "hold", "programs_of", "relied_on", "why_not_part2"]
TPO: Final = tuple(Coding(ACT_REASON, code) for code in ("TREAT", "HPAYMT", "HOPERAT"))
"""Treatment, payment and health care operations (42 CFR 2.33(a)(2); 45 CFR 164.506)."""


def hold(condition: Condition, case: Case) -> Truth:
    """Say whether `condition` holds in `case`; None where it cannot be told."""
    memory = _memory(condition, case)
    if memory is None:
        return _TESTS[condition](case)
    if condition not in memory:
        memory[condition] = _TESTS[condition](case)
    return memory[condition]


def of_exchange(condition: Condition) -> bool:
    """Say whether `condition` turns on the exchange alone: the same for every record of a document."""
    return condition in _OF_EXCHANGE_ALONE


def of_subject(condition: Condition) -> bool:
    """Say whether `condition` turns on exchange and subject: the same for all of whose record nothing is stated."""
    return condition in _OF_EXCHANGE_ALONE or condition in _OF_SUBJECT_ALONE


def _memory(condition: Condition, case: Case) -> dict[Condition, Truth] | None:
    told = case.told
    if told is None or not told.fits(case):
        return None
    if condition in _OF_EXCHANGE_ALONE:
        return told.of_exchange
    return told.of_subject if condition in _OF_SUBJECT_ALONE and not case.stated else None


def derived_of(case: Case, said: Mapping[str, bool]) -> dict[str, bool]:
    """Give, of the conditions among `said` that are never stated but derived, what is derived here."""
    found = {name: hold(_NEVER_STATED[name], case) for name in said if name in _NEVER_STATED}
    return {name: truth for name, truth in found.items() if truth is not None}


def why_not_part2(case: Case) -> tuple[str, ...]:
    """Name what each permitting consent lacks to meet 42 CFR 2.31; empty where one meets it or none permits."""
    lacks: list[str] = []
    if case.subject is None:
        return ()
    for permit in standing(case):
        met, missing = part2_compliant(permit, case.exchange, case.subject, case.target, case.relations)
        if met:
            return ()
        lacks.extend(missing)
    return tuple(dict.fromkeys(lacks))


def relied_on(needs: tuple[Condition, ...], case: Case) -> tuple[Permit, ...]:
    """Give every consent's permit that a rule with these needs relies on; none where it relies on none."""
    permits = standing(case) if case.consents.answer is Answer.PERMIT else ()
    if Condition.PART2_COMPLIANT_CONSENT in needs:
        return tuple(permit for permit in permits if _meets_part2(permit, case))
    if Condition.CONSENT_NAMES_RECIPIENT in needs:
        return tuple(permit for permit in permits if permit.names_recipient)
    return tuple(permits) if Condition.CONSENT_PERMITS in needs else ()


def _meets_part2(permit: Permit, case: Case) -> bool:
    if case.subject is None or _only_since_2024(permit, case):
        return False
    return part2_compliant(permit, case.exchange, case.subject, case.target, case.relations)[0]


def _only_since_2024(permit: Permit, case: Case) -> bool:
    """Say whether a consent for all of TPO names no end, where the operator does not take such a one (2.31(a)(7))."""
    switched_off = SINGLE_TPO_CONSENT in case.policy.switches and not case.policy.on(SINGLE_TPO_CONSENT)
    return switched_off and permit.consent.expiry is not Expiry.DATE and _for_all_tpo(permit)


def _consent_permits(case: Case) -> Truth:
    if case.consents.answer is not Answer.PERMIT:
        return False
    return bool(standing(case)) or not case.consents.permitting


def _consent_names_recipient(case: Case) -> Truth:
    return any(permit.names_recipient for permit in standing(case))


def _part2_compliant_consent(case: Case) -> Truth:
    return any(_meets_part2(permit, case) for permit in standing(case))


def _part2_emergency(case: Case) -> Truth:
    # 42 CFR 2.51(a): a bona fide medical emergency, and consent cannot be obtained beforehand.
    return all_of(stated(case, fact) for fact in ("bona_fide_medical_emergency", "consent_cannot_be_obtained"))


def _part2_redisclosure(case: Case) -> Truth:
    # 42 CFR 2.33(b)(1): a covered entity or business associate that got the record under a consent for all treatment,
    # payment and operations may pass it on as the HIPAA rules permit. Shown by that consent, from every program the
    # record is of to this discloser.
    subject, exchange = case.subject, case.exchange
    if case.policy.on(REDISCLOSURE_NEEDS_CONSENT) or subject is None or case.consents_in is None:
        return False
    programs = programs_of(case.target.labels)
    parties = [case.directory.participants.get(one) for one in sorted(programs)]
    bound = exchange.discloser.hipaa_covered or _is_associate(case)
    if not bound or exchange.discloser.part2_program or not parties or not _is_tpo(exchange.purpose):
        return False
    return all(party is not None and _received_under_tpo(case, party) for party in parties)


def _received_under_tpo(case: Case, program: Participant) -> bool:
    """Say whether a consent that meets 2.31 let this program give the record to the discloser, for all of TPO."""
    asked = msgspec.structs.replace(
        case.exchange, discloser=program, recipient=case.exchange.discloser, initiator=None, purpose=TPO[0]
    )
    answer = case.consents_in(asked) if case.consents_in is not None else None
    if answer is None or answer.answer is not Answer.PERMIT:
        return False
    then = msgspec.structs.replace(case, exchange=asked, consents=answer)
    return any(_for_all_tpo(permit) and _meets_part2(permit, then) for permit in standing(then))


def _for_all_tpo(permit: Permit) -> bool:
    return all(any(purpose_is_a(purpose, one) for one in permit.purposes) for purpose in TPO)


def _is_tpo(purpose: Coding) -> bool:
    return any(purpose_is_a(purpose, one) for one in TPO)


def _is_associate(case: Case) -> bool:
    who = case.exchange.discloser.id
    return any(
        one.type == "BAA" and who in one.between and one.period.covers(case.exchange.at, case.policy.zone, wide=False)
        for one in case.directory.agreements
    )


def programs_of(labels: Labels) -> frozenset[str]:
    """Give the participants because of whom labels say that a record is a Part 2 program's."""
    return frozenset(one.source for one in labels.labels if one.code == PART2 and one.basis is Basis.SOURCE)


def _part2_same_program(case: Case) -> Truth:
    # 42 CFR 2.12(c)(3): communication within a program.
    return case.exchange.discloser.part2_program and case.exchange.discloser.id == case.exchange.recipient.id


def _part2_qso(case: Case) -> Truth:
    # 42 CFR 2.12(c)(4): a program and its qualified service organisation, under their agreement.
    if not case.exchange.discloser.part2_program:
        return False
    return agreed_on(case, frozenset({"QSOA"}))


def _recipient_is_subject(case: Case) -> Truth:
    subject = case.subject
    if subject is None or "patient" not in case.policy.kinds_of(case.exchange.recipient.type):
        return False
    recipient = case.exchange.recipient
    by_reference = bool(subject.key.id) and f"Patient/{subject.key.id}" in recipient.references
    return by_reference or bool(subject.identifiers & recipient.identifiers)


def _both_have_relationship(case: Case) -> Truth:
    subject, exchange = case.subject, case.exchange
    if subject is None:
        return None
    both = all(
        related(case.directory, side.id, subject.key, subject.identifiers, exchange.at, case.policy.zone)
        for side in (exchange.discloser, exchange.recipient)
    )
    return True if both else stated(case, Condition.BOTH_HAVE_RELATIONSHIP)


def _age_known(case: Case) -> Truth:
    return _adult_only(case) is not None


def _adult_only(case: Case) -> Truth:
    if case.subject is None or case.subject.birth_date is None:
        return None
    return adult(case.subject.birth_date, case.exchange.at, case.policy.zone)


def adult(birth: FhirDate, at: datetime, zone: tzinfo | None) -> Truth:
    """Say whether who was born on `birth` is 18 at `at`, counted in `zone` from the first minute of the birthday; None
    where a partial date or no zone leaves it open (L093)."""
    last = birth.end if birth.zoned else birth.end - timedelta(days=1)
    coming = FhirDate(birth.text, _eighteen_years_after(birth.start), _eighteen_years_after(last), birth.zoned)
    if coming.after(zone, wide=True) <= at:
        return True
    return False if coming.first(zone, wide=True) > at else None


def _eighteen_years_after(moment: datetime) -> datetime:
    try:
        return moment.replace(year=moment.year + 18)
    except ValueError:  # 29 February, or the end of the calendar
        return moment.replace(year=min(moment.year + 18, 9999), day=28) + timedelta(days=1)


def all_of(truths: Iterable[Truth]) -> Truth:
    """Combine truths with three-valued AND."""
    values = list(truths)
    if any(value is False for value in values):
        return False
    return True if all(value is True for value in values) else None


def _stated(condition: Condition) -> Callable[[Case], Truth]:
    return lambda case: stated(case, condition)


# Stated: of the exchange, of the subject.
_STATED: Final = (
    Condition.BONA_FIDE_MEDICAL_EMERGENCY,
    Condition.CALAIM_PURPOSE,
    Condition.DISCLOSER_ATTESTS_ADVANCES_TREATMENT,
    Condition.FEDERAL_PROGRAMME_RULES_MET,
    Condition.HMIS_PRIVACY_NOTICE_COVERS_DISCLOSURE,
    Condition.NECESSARY_FOR_ENROLMENT,
    Condition.NECESSARY_FOR_POST_RELEASE_TREATMENT,
    Condition.NECESSARY_TO_SUSPEND_OR_UNSUSPEND,
    Condition.NO_OTHER_HOUSING_PRIVACY_LAW,
    Condition.OUTREACH_DELEGATED_TO_BH_MANAGER,
    Condition.RECIPIENT_INVOLVED_IN_BH_TREATMENT,
    Condition.RECIPIENT_IS_CALAIM_PARTICIPANT,
    Condition.REQUIRED_BY_LAW,
    Condition.SECURITY_REQUIREMENTS_MET,
    Condition.CMA_AWARE_PROVIDER_IS_TREATING,
    Condition.ELECTRONIC_SIGNATURE_MEETS_FEDERAL_LAW,
    Condition.ENROLLED_AND_CONSENTED,
    Condition.SPECIFIC_PSYCHOTHERAPY_AUTHORISATION,
    Condition.SUBJECT_HAS_CAPACITY,
)
_TESTS: Final[Mapping[Condition, Callable[[Case], Truth]]] = {
    **DERIVED,
    **{one: _stated(one) for one in _STATED},
    Condition.CONSENT_PERMITS: _consent_permits,
    Condition.CONSENT_NAMES_RECIPIENT: _consent_names_recipient,
    Condition.PART2_COMPLIANT_CONSENT: _part2_compliant_consent,
    Condition.PART2_EMERGENCY: _part2_emergency,
    Condition.PART2_REDISCLOSURE: _part2_redisclosure,
    Condition.PART2_SAME_PROGRAM: _part2_same_program,
    Condition.PART2_QUALIFIED_SERVICE_ORGANISATION: _part2_qso,
    Condition.RECIPIENT_IS_SUBJECT: _recipient_is_subject,
    Condition.BOTH_HAVE_RELATIONSHIP: _both_have_relationship,
    Condition.ADULT_ONLY: _adult_only,
    Condition.AGE_KNOWN: _age_known,
}

# These turn on more of a record than its labels and categories.
OF_THE_RECORD: Final = frozenset(
    {Condition.HH_RECEIVED_SAME_ITEM_FROM_MCO, Condition.CONSENT_LETS_CMA_CONTACT_SUD_PROVIDER}
)
# What may be said of these is held against what is derived, and never used.
_NEVER_STATED: Final[Mapping[str, Condition]] = {
    one.value: one
    for one in (*DERIVED, Condition.ADULT_ONLY, Condition.AGE_KNOWN)
    if one not in {Condition.CONSENT_MEETS_VAWA_FORM, Condition.HH_RECEIVED_SAME_ITEM_FROM_MCO}
}

# What turns on the exchange alone is found once for all records of a document; what turns on the subject too, once for
# all records of the subject about which nothing is stated.
_OF_EXCHANGE_ALONE: Final = frozenset(
    {
        Condition.ACTS_AS_BUSINESS_ASSOCIATE_OF_PLAN,
        Condition.BAA_BETWEEN_BH_MANAGER_AND_CMA,
        Condition.BAA_PERMITS_CARE_COORDINATION,
        Condition.COUNTY_AGENCY_OR_DHCS_ONLY,
        Condition.DISCLOSER_IS_HEALTH_CARE_PROVIDER,
        Condition.LEGAL_ASSURANCE,
        Condition.MEDI_CAL_ADMINISTRATION,
        Condition.NO_USDA_FUNDING,
        Condition.PART2_SAME_PROGRAM,
        Condition.PURPOSE_CARE_COORDINATION,
        Condition.RECIPIENT_IS_BUSINESS_ASSOCIATE_OF_MCP,
        Condition.REQUESTER_WITHOUT_CJIS_ACCESS,
        Condition.WRITTEN_SCOPE_OF_WORK,
    }
)
_OF_SUBJECT_ALONE: Final = frozenset(
    {
        *_STATED,
        Condition.ADULT_ONLY,
        Condition.AGE_KNOWN,
        Condition.BOTH_HAVE_RELATIONSHIP,
        Condition.PART2_EMERGENCY,
        Condition.RECIPIENT_IS_SUBJECT,
        Condition.SPECIFIC_PSYCHOTHERAPY_AUTHORISATION,
    }
)
