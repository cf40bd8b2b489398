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

import msgspec

from consent_store.model import Coding
from gateway.fhir.confidentiality import Confidentiality


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
    PART2_SAME_PROGRAM = "part2_same_program"
    PART2_QUALIFIED_SERVICE_ORGANISATION = "part2_qualified_service_organisation"
    RECIPIENT_IS_SUBJECT = "recipient_is_subject"
    BOTH_HAVE_RELATIONSHIP = "both_have_relationship_with_enrollee"
    SPECIFIC_PSYCHOTHERAPY_AUTHORISATION = "specific_psychotherapy_authorisation"
    ADULT_ONLY = "adult_only"
    AGE_KNOWN = "age_known"


class PartyMatch(msgspec.Struct, frozen=True):
    """Which participants a rule speaks of; None and () are "not limited", `any` needs one of its members."""

    types: frozenset[str] | None = None
    hipaa_covered: bool | None = None
    part2_program: bool | None = None
    any: tuple["PartyMatch", ...] = ()


class CategoryMatch(msgspec.Struct, frozen=True):
    """One way of recognising a category; every part that is given must hold."""

    types: frozenset[str] | None = None
    sensitivities: frozenset[str] | None = None  # one of them, or a code beneath one of them
    policies: frozenset[str] | None = None
    at_least: Confidentiality | None = None
    unknown: bool | None = None


class Category(msgspec.Struct, frozen=True):
    """A kind of data in policy's words, recognised from content and labels, never from a client's say-so."""

    id: str
    says: str
    any: tuple[CategoryMatch, ...]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """See the module. `no_patient` rules speak of records about no patient, all others of records about one."""

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


class DefaultDeny(msgspec.Struct, frozen=True):
    """What is told of a refusal that no rule names: nothing permits it."""

    reason: str
    says: str
    cite: str


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
    rules: tuple[Rule, ...]
    parts: Parts
    unlabelled: Unlabelled
    switches: Mapping[str, Switch]
    default_deny: DefaultDeny
    digest: str

    def on(self, switch: str) -> bool:
        """Say whether a switch of that name exists and is on."""
        found = self.switches.get(switch)
        return found is not None and found.value

    def kinds_of(self, participant_type: str) -> frozenset[str]:
        """Give a participant type with every kind it belongs to."""
        return frozenset({participant_type}).union(
            kind for kind, members in self.kinds.items() if participant_type in members
        )
