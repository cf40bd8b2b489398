"""A compiled profile: the rules, categories, parts and defaults that decide. Frozen, pure.

Rules of this file
1. Everything a profile says is here as a value; nothing of it is read again (law 10).
2. A rule is one sentence: who to whom, for what, which data, needing what; effect, citation, obligations.
3. Denies have a class; `federal_law` is never suspended (law 2).
4. `digest` names the exact text of the whole chain of profiles and the switches that were set.
"""

from collections.abc import Mapping
from datetime import tzinfo
from enum import StrEnum
from types import MappingProxyType

import msgspec

from consent_store.model import Coding
from gateway.fhir.confidentiality import Confidentiality
from gateway.policy.matching import Category, IdentifierMatch, PartyMatch


class RuleEffect(StrEnum):
    """What a rule does when it matches."""

    PERMIT = "permit"
    DENY = "deny"
    OBLIGE = "oblige"  # adds obligations to what is disclosed


class Layer(StrEnum):
    """Which part of the law or of the parties' will a rule speaks for."""

    LAW = "law"
    PATIENT = "patient"
    FLOW = "flow"
    IMPLICIT = "implicit"


class DenyClass(StrEnum):
    """What kind of ground a deny stands on; a flow may suspend all but the first."""

    FEDERAL_LAW = "federal_law"
    OTHER_LAW = "other_law"
    PATIENT = "patient"
    AGREEMENT = "agreement"
    DISCRETIONARY = "discretionary"


class Condition(StrEnum):
    """The named predicates a rule may need or yield to. How each is found true: gateway/decision/conditions.py."""

    CONSENT_PERMITS = "consent_permits"
    CONSENT_NAMES_RECIPIENT = "consent_names_recipient"
    PART2_COMPLIANT_CONSENT = "part2_compliant_consent"
    PART2_EMERGENCY = "part2_emergency"
    PART2_REDISCLOSURE = "part2_redisclosure"
    PART2_SAME_PROGRAM = "part2_same_program"
    PART2_QUALIFIED_SERVICE_ORGANISATION = "part2_qualified_service_organisation"
    RECIPIENT_IS_SUBJECT = "recipient_is_subject"
    BOTH_HAVE_RELATIONSHIP = "both_have_relationship_with_enrollee"
    SPECIFIC_PSYCHOTHERAPY_AUTHORISATION = "specific_psychotherapy_authorisation"
    ADULT_ONLY = "adult_only"
    AGE_KNOWN = "age_known"
    # Of the exchange, derived from agreements, participants and purpose.
    ACTS_AS_BUSINESS_ASSOCIATE_OF_PLAN = "acts_as_business_associate_of_plan"
    BAA_BETWEEN_BH_MANAGER_AND_CMA = "baa_between_bh_manager_and_cma"
    BAA_PERMITS_CARE_COORDINATION = "baa_permits_care_coordination_disclosure"
    COUNTY_AGENCY_OR_DHCS_ONLY = "county_agency_or_dhcs_only"
    DISCLOSER_IS_HEALTH_CARE_PROVIDER = "discloser_is_health_care_provider"
    LEGAL_ASSURANCE = "legal_assurance_between_parties"
    MEDI_CAL_ADMINISTRATION = "medi_cal_administration_purpose"
    NO_USDA_FUNDING = "no_usda_funding"
    PURPOSE_CARE_COORDINATION = "purpose_care_coordination"
    RECIPIENT_IS_BUSINESS_ASSOCIATE_OF_MCP = "recipient_is_business_associate_of_mcp"
    REQUESTER_WITHOUT_CJIS_ACCESS = "requester_without_cjis_access"
    WRITTEN_SCOPE_OF_WORK = "written_scope_of_work"
    # Of the subject's consents and of the item, derived.
    BAA_OR_CONSENT = "baa_or_consent"
    CONSENT_LETS_CMA_CONTACT_SUD_PROVIDER = "consent_lets_cma_contact_sud_provider"
    ITEM_WITHIN_CONSENT_DESCRIPTION = "item_within_consent_description"
    ITEM_WITHIN_SCOPE_OF_WORK = "item_within_scope_of_work"
    NO_INDIVIDUAL_OBJECTION = "no_individual_objection"
    NO_LOCAL_POLICY_BAR = "no_local_policy_bar"
    NO_SELF_PAY_RESTRICTION = "no_self_pay_restriction"
    NOT_PUBLIC_HEALTH_AGENCY_HIV_DATA = "not_public_health_agency_hiv_data"
    RECIPIENT_ON_CONSENT_FORM = "recipient_on_consent_form"
    REPRESENTATIVE_HAS_LEGAL_AUTHORITY = "representative_has_legal_authority"
    SENDER_OWN_RELEASE_ON_FILE = "sender_own_release_on_file"
    # Stated of the exchange.
    BONA_FIDE_MEDICAL_EMERGENCY = "bona_fide_medical_emergency"
    CALAIM_PURPOSE = "calaim_purpose"
    DISCLOSER_ATTESTS_ADVANCES_TREATMENT = "discloser_attests_advances_treatment"
    FEDERAL_PROGRAMME_RULES_MET = "federal_programme_rules_met"
    HMIS_PRIVACY_NOTICE_COVERS_DISCLOSURE = "hmis_privacy_notice_covers_disclosure"
    NECESSARY_TO_SUSPEND_OR_UNSUSPEND = "necessary_to_suspend_or_unsuspend_coverage"
    NO_OTHER_HOUSING_PRIVACY_LAW = "no_other_housing_privacy_law"
    OUTREACH_DELEGATED_TO_BH_MANAGER = "outreach_delegated_to_bh_manager"
    NECESSARY_FOR_ENROLMENT = "reasonably_necessary_for_insurance_affordability_enrolment"
    NECESSARY_FOR_POST_RELEASE_TREATMENT = "reasonably_necessary_post_release_bh_treatment"
    RECIPIENT_INVOLVED_IN_BH_TREATMENT = "recipient_involved_in_bh_treatment"
    RECIPIENT_IS_CALAIM_PARTICIPANT = "recipient_is_calaim_participant"
    REQUIRED_BY_LAW = "required_by_law"
    SECURITY_REQUIREMENTS_MET = "security_requirements_met"
    # Stated of the subject.
    CMA_AWARE_PROVIDER_IS_TREATING = "cma_aware_provider_is_treating"
    CONSENT_MEETS_VAWA_FORM = "consent_meets_vawa_form"
    ELECTRONIC_SIGNATURE_MEETS_FEDERAL_LAW = "electronic_signature_meets_federal_law"
    ENROLLED_AND_CONSENTED = "enrolled_and_consented"
    SUBJECT_HAS_CAPACITY = "subject_has_capacity"
    # Stated of the item, or shown by a Provenance.
    HH_RECEIVED_SAME_ITEM_FROM_MCO = "hh_received_same_item_from_mco"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """See the module. `no_patient` rules speak of records about no patient, all others of records about one.
    `when_false`: a deny that applies only where one of these is known to be false. `unless_false`: a permit that lapses
    where one of these is known to be false. `switch`: in force only where it is on. A deny's `obligations` are told
    when it held something back and the rest went."""

    id: str
    layer: Layer
    effect: RuleEffect
    deny_class: DenyClass | None = None
    reason: str = ""
    says: str
    cite: str
    discloser: PartyMatch = PartyMatch()
    recipient: PartyMatch = PartyMatch()
    purposes: tuple[Coding, ...] = ()
    data: frozenset[str] | None = None
    agreements: frozenset[str] | None = None
    needs: tuple[Condition, ...] = ()
    unless: tuple[Condition, ...] = ()
    when_false: tuple[Condition, ...] = ()
    unless_false: tuple[Condition, ...] = ()
    switch: str = ""
    suspends: frozenset[DenyClass] = frozenset()
    obligations: tuple[str, ...] = ()
    refrains: tuple[str, ...] = ()
    no_patient: bool = False


class PartRule(msgspec.Struct, frozen=True):
    """For one resource type: elements whose members may be removed alone, and those that every copy loses."""

    remove: frozenset[str]
    always: tuple[str, ...]


class Parts(msgspec.Struct, frozen=True):
    """What may be cut out of a record instead of withholding it whole, and for whom nothing is cut. `extensions`: the
    beginnings of the URLs of extensions that stay; None where all do."""

    whole_for: frozenset[str]
    narrative_cut: bool
    types: Mapping[str, PartRule]
    extensions: tuple[str, ...] | None = None


class Unlabelled(msgspec.Struct, frozen=True):
    """The confidentiality a record has where nothing labelled it (leaks.md L003)."""

    default: Confidentiality
    free_text: Confidentiality
    types: Mapping[str, Confidentiality]


class Labelling(msgspec.Struct, frozen=True):
    """How sure a code list must be (docs/labels.md): `threshold` for every list, `lists` for one by name; and the level
    of a record whose own codes are of systems nobody here knows."""

    threshold: float = 0.5
    lists: Mapping[str, float] = MappingProxyType({})
    unclassified: Confidentiality = Confidentiality.R


class DefaultDeny(msgspec.Struct, frozen=True):
    """What is told of a refusal that no rule names: nothing permits it."""

    reason: str
    says: str
    cite: str


class Strip(msgspec.Struct, frozen=True):
    """Identifiers that are cut out of every record, whoever asks but the patient; why, and what is told of it."""

    id: str
    says: str
    cite: str
    identifiers: IdentifierMatch
    obligations: tuple[str, ...]


class MinimumNecessary(msgspec.Struct, frozen=True):
    """Of the types it names, the elements that a class of recipients gets for these purposes (empty: any), where the
    rule that permits carries the duty. With `rules`: where these alone permit, whatever they oblige to. With `data`:
    of records of these categories, whoever permits. A path may lead into a structure (`contact.name`) or name a choice
    (`x[x]`)."""

    id: str
    says: str
    cite: str
    recipient: PartyMatch
    purposes: tuple[Coding, ...]
    elements: Mapping[str, frozenset[str]]
    rules: frozenset[str] = frozenset()
    discloser: PartyMatch = PartyMatch()
    data: frozenset[str] = frozenset()


class Switch(msgspec.Struct, frozen=True):
    """A choice the profile leaves to the operator."""

    id: str
    says: str
    value: bool


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """One profile with all it extends, ready to decide with."""

    name: str
    version: str
    title: str
    says: str
    chain: tuple[str, ...]
    zone: tzinfo | None
    types: frozenset[str]
    kinds: Mapping[str, frozenset[str]]
    no_patient_types: frozenset[str]
    categories: Mapping[str, Category]
    files: Mapping[str, frozenset[str]] = {}
    rules: tuple[Rule, ...]
    parts: Parts
    strips: tuple[Strip, ...] = ()
    minimum_necessary: tuple[MinimumNecessary, ...] = ()
    unlabelled: Unlabelled
    labelling: Labelling = Labelling()
    switches: Mapping[str, Switch]
    default_deny: DefaultDeny
    digest: str

    @property
    def data_words(self) -> Mapping[str, frozenset[str]]:
        """Give the words by which an agreement may list data, with the categories each stands for."""
        return {**{name: frozenset({name}) for name in self.categories}, **self.files}

    def on(self, switch: str) -> bool:
        """Say whether a switch of that name exists and is on."""
        found = self.switches.get(switch)
        return found is not None and found.value

    def switched(self, choices: Mapping[str, bool]) -> "Policy":
        """Give the policy with other choices at some of its switches; names it does not have are passed over."""
        told = {key: msgspec.structs.replace(s, value=choices.get(key, s.value)) for key, s in self.switches.items()}
        return msgspec.structs.replace(self, switches=told) if choices else self

    def kinds_of(self, participant_type: str) -> frozenset[str]:
        """Give a participant type with every kind it belongs to."""
        return frozenset({participant_type}).union(
            kind for kind, members in self.kinds.items() if participant_type in members
        )
