"""Conditions that are derived from agreements, participants, consents, purpose and labels. Each names its source.

Rules of this file
1. A Truth of three values; None where it cannot be told. What is derived here is never read from `facts`
   (ARCHITECTURE.md section 6).
2. Agreements count while in force and for what they list: absent `data` or `purposes` is not limited.
3. Attributes are conditions of a party; one that is absent is unknown.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from consent_store.model import ACT_REASON, Coding
from gateway.decision.case import (
    Case,
    Truth,
    agreements_with,
    authorises,
    by_related_person,
    in_force_between,
    standing,
    stated,
)
from gateway.decision.consents import Permit, part2_compliant
from gateway.decision.model import Answer
from gateway.directory.lookups import covers_purpose
from gateway.directory.model import Participant
from gateway.fhir.terminology import purpose_is_a, sensitivity_is_a
from gateway.policy.model import Condition

_BAA: Final = frozenset({"BAA"})
_SOW: Final = frozenset({"SOW"})
# The four forms of legal assurance of the New York guidance (seed0 L4-10).
_ASSURANCES: Final = frozenset({"BAA", "CNDA", "DEAA", "QSOA"})
_CARE: Final = tuple(Coding(ACT_REASON, code) for code in ("TREAT", "CAREMGT"))
# Directly connected with the administration of a plan (42 CFR 431.302).
_ADMINISTRATION: Final = tuple(Coding(ACT_REASON, code) for code in ("HOPERAT", "HPAYMT", "ENROLLM", "HPRGRP"))


def _kinds(case: Case, party: Participant) -> frozenset[str]:
    return case.policy.kinds_of(party.type)


def _legal_assurance(case: Case) -> Truth:
    return agreements_with(case, _ASSURANCES)


def _scope_of_work(case: Case) -> Truth:
    return agreements_with(case, _SOW)


def _within_scope_of_work(case: Case) -> Truth:
    # A scope of work is an allow-list of categories (seed0 L68-70).
    scopes = in_force_between(case, _SOW)
    if not scopes:
        return None
    return any(one.data is None or not one.data.isdisjoint(case.categories) for one in scopes)


def _business_associates(case: Case) -> Truth:
    return agreements_with(case, _BAA)


def _associate_of_plan(case: Case) -> Truth:
    return "health_plan" in _kinds(case, case.exchange.recipient) and agreements_with(case, _BAA)


def _recipient_associate_of_plan(case: Case) -> Truth:
    exchange = case.exchange
    plans = {p.id for p in case.directory.participants.values() if "health_plan" in _kinds(case, p)}
    return any(
        agreement.type == "BAA"
        and exchange.recipient.id in agreement.between
        and not plans.isdisjoint(agreement.between - {exchange.recipient.id})
        and agreement.period.covers(exchange.at, case.policy.zone, wide=False)
        for agreement in case.directory.agreements
    )


def _baa_permits(case: Case) -> Truth:
    # Who holds data for another covered entity discloses what that agreement covers (seed1 L438-441).
    exchange = case.exchange
    sides = {exchange.discloser.id, exchange.recipient.id}
    held_for_others = [
        agreement
        for agreement in case.directory.agreements
        if agreement.type == "BAA"
        and exchange.discloser.id in agreement.between
        and not agreement.between <= sides
        and agreement.period.covers(exchange.at, case.policy.zone, wide=True)
    ]
    return all(covers_purpose(agreement.purposes, exchange.purpose) for agreement in held_for_others)


def _baa_or_consent(case: Case) -> Truth:
    return agreements_with(case, _BAA) or _recipient_on_form(case)


def _county_or_medicaid_agency(case: Case) -> Truth:
    both = (case.exchange.discloser, case.exchange.recipient)
    return all(not _kinds(case, side).isdisjoint({"county_agency", "medicaid_agency"}) for side in both)


def _discloser_provides_care(case: Case) -> Truth:
    return "health_care_provider" in _kinds(case, case.exchange.discloser)


def _flag(party: Participant, name: str) -> Truth:
    value = party.attributes.get(name)
    return value if isinstance(value, bool) else None


def _no_usda_funding(case: Case) -> Truth:
    funded = _flag(case.exchange.discloser, "usda_funding")
    return None if funded is None else not funded


def _without_cjis(case: Case) -> Truth:
    has_access = _flag(case.exchange.recipient, "requester_has_cjis_access")
    return None if has_access is None else not has_access


def _care_coordination(case: Case) -> Truth:
    return any(purpose_is_a(case.exchange.purpose, purpose) for purpose in _CARE)


def _administration(case: Case) -> Truth:
    return any(purpose_is_a(case.exchange.purpose, purpose) for purpose in _ADMINISTRATION)


def _recipient_on_form(case: Case) -> Truth:
    return any(authorises(permit, case) for permit in standing(case))


def _within_consent(case: Case) -> Truth:
    return case.consents.answer is Answer.PERMIT and bool(standing(case))


def _no_objection(case: Case) -> Truth:
    return case.consents.answer is not Answer.DENY


def _no_local_bar(case: Case) -> Truth:
    # A policy that wants consent is met by one (seed1 L363-373).
    return _flag(case.exchange.discloser, "local_policy_requires_consent") is not True or _recipient_on_form(case)


def _own_release(case: Case) -> Truth:
    # A release that the sender itself holds, for this recipient (seed0 L101-103).
    return any(authorises(permit, case) and _is_custodian(case, permit) for permit in standing(case))


def _is_custodian(case: Case, permit: Permit) -> bool:
    discloser = case.exchange.discloser
    keys = {case.relations.key(text) for text in discloser.references}
    for one in permit.consent.custodians:
        if one.reference is not None and case.relations.key(one.reference) in keys:
            return True
        if one.identifier is not None and one.identifier in discloser.identifiers:
            return True
    return False


def _representative(case: Case) -> Truth:
    # None where nobody but the patient gave a consent.
    verified = [
        permit.consent.verified is True
        for permit in case.consents.permitting
        if any(by_related_person(one, permit.consent) for one in permit.consent.performers)
    ]
    return all(verified) if verified else None


def _consent_lets_contact(case: Case) -> Truth:
    # To be written to tells that the person has to do with the program (seed0 L54-58): asked as of its own records.
    subject = case.subject
    if subject is None or case.consents_as_part2 is None:
        return False
    asked = msgspec.structs.replace(case, consents=case.consents_as_part2())
    return asked.consents.answer is Answer.PERMIT and any(
        part2_compliant(permit, case.exchange, subject, case.target, case.relations)[0] for permit in standing(asked)
    )


def _no_self_pay(case: Case) -> Truth:
    return "HIPAASelfPay" not in case.target.labels.policies


def _not_public_health_hiv(case: Case) -> Truth:
    hiv = any(sensitivity_is_a(found, "HIV") for found in case.target.labels.sensitivities)
    return not (hiv and "public_health_agency" in _kinds(case, case.exchange.discloser))


def _same_item(case: Case) -> Truth:
    # Shown by a Provenance of the item, or stated of it (law.md section (c)).
    plans = (case.directory.participants[one] for one in case.came_from())
    if any("health_plan" in _kinds(case, one) for one in plans):
        return True
    return stated(case, Condition.HH_RECEIVED_SAME_ITEM_FROM_MCO)


def _vawa_form(case: Case) -> Truth:
    said = stated(case, Condition.CONSENT_MEETS_VAWA_FORM)
    return _recipient_on_form(case) if said is True else said


DERIVED: Final[Mapping[Condition, Callable[[Case], Truth]]] = {
    Condition.ACTS_AS_BUSINESS_ASSOCIATE_OF_PLAN: _associate_of_plan,
    Condition.BAA_BETWEEN_BH_MANAGER_AND_CMA: _business_associates,
    Condition.BAA_OR_CONSENT: _baa_or_consent,
    Condition.BAA_PERMITS_CARE_COORDINATION: _baa_permits,
    Condition.CONSENT_LETS_CMA_CONTACT_SUD_PROVIDER: _consent_lets_contact,
    Condition.CONSENT_MEETS_VAWA_FORM: _vawa_form,
    Condition.COUNTY_AGENCY_OR_DHCS_ONLY: _county_or_medicaid_agency,
    Condition.DISCLOSER_IS_HEALTH_CARE_PROVIDER: _discloser_provides_care,
    Condition.HH_RECEIVED_SAME_ITEM_FROM_MCO: _same_item,
    Condition.ITEM_WITHIN_CONSENT_DESCRIPTION: _within_consent,
    Condition.ITEM_WITHIN_SCOPE_OF_WORK: _within_scope_of_work,
    Condition.LEGAL_ASSURANCE: _legal_assurance,
    Condition.MEDI_CAL_ADMINISTRATION: _administration,
    Condition.NOT_PUBLIC_HEALTH_AGENCY_HIV_DATA: _not_public_health_hiv,
    Condition.NO_INDIVIDUAL_OBJECTION: _no_objection,
    Condition.NO_LOCAL_POLICY_BAR: _no_local_bar,
    Condition.NO_SELF_PAY_RESTRICTION: _no_self_pay,
    Condition.NO_USDA_FUNDING: _no_usda_funding,
    Condition.PURPOSE_CARE_COORDINATION: _care_coordination,
    Condition.RECIPIENT_IS_BUSINESS_ASSOCIATE_OF_MCP: _recipient_associate_of_plan,
    Condition.RECIPIENT_ON_CONSENT_FORM: _recipient_on_form,
    Condition.REPRESENTATIVE_HAS_LEGAL_AUTHORITY: _representative,
    Condition.REQUESTER_WITHOUT_CJIS_ACCESS: _without_cjis,
    Condition.SENDER_OWN_RELEASE_ON_FILE: _own_release,
    Condition.WRITTEN_SCOPE_OF_WORK: _scope_of_work,
}
