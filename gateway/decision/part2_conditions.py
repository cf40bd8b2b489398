"""The conditions of 42 CFR Part 2: the form of a consent, emergencies, redisclosure, within a program, its service
organisations.

Rules of this file (law.md section (a))
1. What meets 2.31 is told by `consents.part2`; here it is asked of the permits that stand.
2. Three values, as in `conditions`: what cannot be told permits nothing.
"""

from typing import Final

import msgspec

from consent_store.model import ACT_REASON, Coding, Expiry
from gateway.decision.case import (
    REDISCLOSURE_NEEDS_CONSENT,
    SINGLE_TPO_CONSENT,
    Case,
    Truth,
    agreed_on,
    all_of,
    standing,
    stated,
)
from gateway.decision.consents import Permit, part2_compliant
from gateway.decision.model import Answer
from gateway.directory.model import Participant
from gateway.fhir.terminology import purpose_is_a
from gateway.labels.assign import PART2
from gateway.labels.model import Basis, Labels

TPO: Final = tuple(Coding(ACT_REASON, code) for code in ("TREAT", "HPAYMT", "HOPERAT"))
"""Treatment, payment and health care operations (42 CFR 2.33(a)(2); 45 CFR 164.506)."""


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


def meets_part2(permit: Permit, case: Case) -> bool:
    """Say whether a permit meets 42 CFR 2.31 in this case."""
    if case.subject is None or _only_since_2024(permit, case):
        return False
    return part2_compliant(permit, case.exchange, case.subject, case.target, case.relations)[0]


def _only_since_2024(permit: Permit, case: Case) -> bool:
    """Say whether a consent for all of TPO names no end, where the operator does not take such a one (2.31(a)(7))."""
    switched_off = SINGLE_TPO_CONSENT in case.policy.switches and not case.policy.on(SINGLE_TPO_CONSENT)
    return switched_off and permit.consent.expiry is not Expiry.DATE and _for_all_tpo(permit)


def compliant_consent(case: Case) -> Truth:
    """Say whether a consent that permits meets 42 CFR 2.31."""
    return any(meets_part2(permit, case) for permit in standing(case))


def emergency(case: Case) -> Truth:
    """Say whether there is a bona fide medical emergency and consent cannot be obtained (42 CFR 2.51(a))."""
    return all_of(stated(case, fact) for fact in ("bona_fide_medical_emergency", "consent_cannot_be_obtained"))


def redisclosure(case: Case) -> Truth:
    """Say whether a covered entity or business associate got the record under a consent for all treatment, payment and
    operations, and so may pass it on as the HIPAA rules permit (42 CFR 2.33(b)(1)): shown by that consent, from every
    program the record is of to this discloser."""
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
    return any(_for_all_tpo(permit) and meets_part2(permit, then) for permit in standing(then))


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


def same_program(case: Case) -> Truth:
    """Say whether it is communication within a program (42 CFR 2.12(c)(3))."""
    return case.exchange.discloser.part2_program and case.exchange.discloser.id == case.exchange.recipient.id


def service_organisation(case: Case) -> Truth:
    """Say whether a program and its qualified service organisation have their agreement (42 CFR 2.12(c)(4))."""
    if not case.exchange.discloser.part2_program:
        return False
    return agreed_on(case, frozenset({"QSOA"}))
