"""The named conditions of a profile, and how each is found true.

Rules of this file
1. Three values: True, False, and None for "cannot be told"; only True ever helps a permit (law 2).
2. What can be derived from directory, consents, patient or purpose is derived; the rest is a stated fact
   (ARCHITECTURE.md section 6). A client's word is never enough.
"""

from collections.abc import Callable, Mapping
from typing import Final

from gateway.decision import part2_conditions
from gateway.decision.age import adult
from gateway.decision.case import (
    Case,
    Truth,
    authorises,
    standing,
    stated,
)
from gateway.decision.consents import Permit
from gateway.decision.consents.relations import references_of
from gateway.decision.derived import DERIVED
from gateway.decision.model import Answer
from gateway.decision.subjects import reference_of
from gateway.directory.lookups import related
from gateway.policy.model import Condition

__all__ = ["OF_THE_RECORD", "Case", "Truth", "derived_of", "hold", "relied_on"]


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


def relied_on(needs: tuple[Condition, ...], case: Case) -> tuple[Permit, ...]:
    """Give every consent's permit that a rule with these needs relies on; none where it relies on none."""
    permits = standing(case) if case.consents.answer is Answer.PERMIT else ()
    if Condition.PART2_COMPLIANT_CONSENT in needs:
        return tuple(permit for permit in permits if part2_conditions.meets_part2(permit, case))
    if Condition.CONSENT_NAMES_RECIPIENT in needs:
        return tuple(permit for permit in permits if authorises(permit, case))
    return tuple(permits) if Condition.CONSENT_PERMITS in needs else ()


def _consent_permits(case: Case) -> Truth:
    if case.consents.answer is not Answer.PERMIT:
        return False
    return bool(standing(case)) or not case.consents.permitting


def _consent_names_recipient(case: Case) -> Truth:
    return any(authorises(permit, case) for permit in standing(case))


def _recipient_is_subject(case: Case) -> Truth:
    subject = case.subject
    if subject is None or "patient" not in case.policy.kinds_of(case.exchange.recipient.type):
        return False
    recipient = case.exchange.recipient
    key = case.relations.key(reference_of(subject.key, case.source))  # of another server, or ours: never a bare id
    by_reference = key is not None and key in references_of(recipient, case.relations.own)
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
    Condition.PART2_COMPLIANT_CONSENT: part2_conditions.compliant_consent,
    Condition.PART2_EMERGENCY: part2_conditions.emergency,
    Condition.PART2_REDISCLOSURE: part2_conditions.redisclosure,
    Condition.PART2_SAME_PROGRAM: part2_conditions.same_program,
    Condition.PART2_QUALIFIED_SERVICE_ORGANISATION: part2_conditions.service_organisation,
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
