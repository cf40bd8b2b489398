"""What a Consent is, once read: the same values for R4, R4B and R5. Frozen, pure.

Rules of this file
1. Values hold what the Consent says, canonical where a table exists, never what it might mean.
2. What could not be read is kept and named (`unreadable`, `Unreadable`): it can only deny (law 2).
3. References stay as written; the gateway's reference parser gives them meaning.
4. Display text is never read.
"""

from enum import StrEnum
from typing import Final

import msgspec

from consent_store.dates import FhirDate, Period
from consent_store.identifier_systems import canonical_identifier_system

ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


class Coding(msgspec.Struct, frozen=True):
    """One code of one system, `None` where the text had none."""

    system: str | None
    code: str | None


class Identifier(msgspec.Struct, frozen=True):
    """A business identifier: system and value, both needed to match. The system is held in its one spelling, so that
    equal identifiers are equal however they were written."""

    system: str | None
    value: str

    def __post_init__(self) -> None:
        """Hold the system in its one spelling."""
        if self.system is not None and (known := canonical_identifier_system(self.system)) != self.system:
            msgspec.structs.force_setattr(self, "system", known)


class PatientKey(msgspec.Struct, frozen=True):
    """One patient record: `source` names whose ids these are (an upstream; "" in a question), `id` the record."""

    source: str
    id: str


class Reference(msgspec.Struct, frozen=True):
    """A FHIR Reference as written: its `reference` text, `type` and `identifier`."""

    reference: str | None = None
    type: str | None = None
    identifier: Identifier | None = None


class Effect(StrEnum):
    """What a rule or a provision says."""

    PERMIT = "permit"
    DENY = "deny"


class Status(StrEnum):
    """Consent.status over R4 and R5; anything else makes the Consent Unreadable (L085)."""

    DRAFT = "draft"
    PROPOSED = "proposed"
    ACTIVE = "active"
    REJECTED = "rejected"
    INACTIVE = "inactive"
    NOT_DONE = "not-done"
    ENTERED_IN_ERROR = "entered-in-error"


class Dialect(StrEnum):
    """How the provision tree is to be read (consent-semantics section 2)."""

    R5 = "r5"  # decision on the Consent, exceptions alternate
    TYPED = "typed"  # R4, the root provision has a type
    UNTYPED = "untyped"  # R4, the base is in policyRule


class Meaning(StrEnum):
    """provision.data.meaning (http://hl7.org/fhir/consent-data-meaning)."""

    INSTANCE = "instance"
    RELATED = "related"
    DEPENDENTS = "dependents"
    AUTHORED_BY = "authoredby"


class Actor(msgspec.Struct, frozen=True):
    """provision.actor: the codes of its role, and who; `reference` None where R5 leaves it out."""

    role: tuple[Coding, ...]
    reference: Reference | None


class Data(msgspec.Struct, frozen=True):
    """provision.data: which resources, by relation to one that is named."""

    meaning: Meaning
    reference: Reference


class Provision(msgspec.Struct, frozen=True):
    """One rule of the tree. An empty tuple or None is "not limited". `unreadable` says why it cannot be evaluated:
    a permit with it never matches, a deny with it always does (consent-semantics section 2, rule 7)."""

    type: Effect | None = None
    period: Period | None = None
    actors: tuple[Actor, ...] = ()
    actions: tuple[tuple[Coding, ...], ...] = ()
    labels: tuple[Coding, ...] = ()
    purposes: tuple[Coding, ...] = ()
    classes: tuple[Coding, ...] = ()  # R4 class; R5 documentType and resourceType
    codes: tuple[tuple[Coding, ...], ...] = ()
    data_period: Period | None = None
    data: tuple[Data, ...] = ()
    nested: tuple["Provision", ...] = ()
    unreadable: tuple[str, ...] = ()


class Expiry(StrEnum):
    """How the Consent says it ends (42 CFR 2.31(a)(7))."""

    UNSTATED = "unstated"
    DATE = "date"
    EVENT = "event"  # no date, `_end` with data-absent-reason not-applicable: told in the source


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """A Consent that was read whole. `dialect` and `base` say how to start; None base = not evaluable.

    `custodians` are organization (R4) or manager and controller (R5). `performers` are who signed (R4 performer, R5
    grantor) and `disclosers` the actors that a data-holder role names. `revision` is the store's number for this text.
    """

    id: str
    version: str
    patient: PatientKey
    patient_identifiers: tuple[Identifier, ...] = ()
    status: Status
    fhir_version: str  # "4.0" or "5.0"
    dialect: Dialect
    base: Effect | None
    scopes: tuple[Coding, ...] = ()
    categories: tuple[Coding, ...] = ()
    date: FhirDate | None = None
    period: Period | None = None  # Consent.period of R5; in R4 the root provision carries it
    custodians: tuple[Reference, ...] = ()
    performers: tuple[Reference, ...] = ()
    grantees: tuple[Reference, ...] = ()
    policies: tuple[str, ...] = ()  # policy uris, policyBasis
    policy_rules: tuple[Coding, ...] = ()  # policyRule, regulatoryBasis
    source_attached: bool = False  # an attachment with data, or a url
    source_references: tuple[Reference, ...] = ()
    verified: bool | None = None  # any verification says so; False where one denies it
    expiry: Expiry = Expiry.UNSTATED
    provisions: tuple[Provision, ...] = ()  # one root in R4, the list in R5
    raw: bytes = b""  # the text it was read from


class Unreadable(msgspec.Struct, frozen=True, kw_only=True):
    """A Consent that could not be read: kept, and while active it denies in its group until a newer readable one
    of that group speaks (law 2). Group fields hold what could still be read."""

    id: str
    version: str
    patient: PatientKey
    patient_identifiers: tuple[Identifier, ...] = ()
    why: str
    date: FhirDate | None = None
    custodians: tuple[Reference, ...] = ()
    policies: tuple[str, ...] = ()
    policy_rules: tuple[Coding, ...] = ()
    raw: bytes = b""
