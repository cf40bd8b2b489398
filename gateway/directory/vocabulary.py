"""The words that may be stated and not derived: facts of an exchange, a subject or a record; attributes of a party.

Rules of this file
1. Source: the decision vocabulary of the two guidance documents (docs/decide.md lists every word with its meaning).
2. A name outside these lists is an error, never ignored (L089). What is derived is nowhere stated.
"""

from collections.abc import Mapping
from typing import Final

EXCHANGE_FACTS: Final = frozenset(
    {
        "bona_fide_medical_emergency",
        "calaim_purpose",
        "consent_cannot_be_obtained",
        "discloser_attests_advances_treatment",
        "federal_programme_rules_met",
        "hmis_privacy_notice_covers_disclosure",
        "necessary_to_suspend_or_unsuspend_coverage",
        "no_other_housing_privacy_law",
        "outreach_delegated_to_bh_manager",
        "reasonably_necessary_for_insurance_affordability_enrolment",
        "reasonably_necessary_post_release_bh_treatment",
        "recipient_involved_in_bh_treatment",
        "recipient_is_calaim_participant",
        "required_by_law",
        "security_requirements_met",
    }
)
SUBJECT_FACTS: Final = frozenset(
    {
        "both_have_relationship_with_enrollee",
        "cma_aware_provider_is_treating",
        "consent_meets_vawa_form",
        "electronic_signature_meets_federal_law",
        "enrolled_and_consented",
        "specific_psychotherapy_authorisation",
        "subject_has_capacity",
    }
)
RESOURCE_FACTS: Final = frozenset({"hh_received_same_item_from_mco"})
# What is derived from agreements, consents, participants, context or `at`: stating it is allowed, contradicting it not.
DERIVED: Final = frozenset(
    {
        "acts_as_business_associate_of_plan",
        "adult_only",
        "age_known",
        "baa_between_bh_manager_and_cma",
        "baa_or_consent",
        "baa_permits_care_coordination_disclosure",
        "complies_with_federal_law",
        "consent_lets_cma_contact_sud_provider",
        "county_agency_or_dhcs_only",
        "discloser_is_health_care_provider",
        "item_within_consent_description",
        "item_within_scope_of_work",
        "legal_assurance_between_parties",
        "medi_cal_administration_purpose",
        "minimum_necessary",
        "no_individual_objection",
        "no_local_policy_bar",
        "no_self_pay_restriction",
        "no_usda_funding",
        "not_public_health_agency_hiv_data",
        "purpose_care_coordination",
        "recipient_is_business_associate_of_mcp",
        "recipient_on_consent_form",
        "representative_has_legal_authority",
        "requester_without_cjis_access",
        "sender_own_release_on_file",
        "written_scope_of_work",
    }
)
STATED: Final = EXCHANGE_FACTS | SUBJECT_FACTS | RESOURCE_FACTS
"""Every fact that can be attested."""
EMERGENCY: Final = frozenset({"bona_fide_medical_emergency", "consent_cannot_be_obtained"})
"""Facts of one emergency of one patient: attested in a token alone, by a person who says why (42 CFR 2.51(c))."""
DISCLOSERS_WORD: Final = frozenset({"discloser_attests_advances_treatment"})
"""Facts that nobody but the discloser can attest."""
ATTRIBUTES: Final[Mapping[str, type]] = {
    "consent_custodians": list,
    "local_policy_requires_consent": bool,
    "requester_has_cjis_access": bool,
    "sender_requires_own_release": bool,
    "usda_funding": bool,
}
"""Conditions of a party (ARCHITECTURE.md section 6) and the kind of their value."""
