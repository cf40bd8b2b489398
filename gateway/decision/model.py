"""The words of a decision: the exchange asked about, what is known of a subject, and the answer with its causes.

Rules of this file
1. Four effects inside, two at the door: what could not be told never becomes a permit.
2. A Decision names its causes: rules with citation, consents, unmet conditions, what erred (law 7).
3. `at` is part of the exchange; nothing here reads a clock.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from consent_store.dates import FhirDate
from consent_store.model import Coding, Consent, Identifier, PatientKey, Unreadable
from gateway.directory.model import Attestation, Participant


class Direction(StrEnum):
    """Which way the data go: out of the route's owner, or to it."""

    READ = "read"
    PUSH = "push"


class Initiator(msgspec.Struct, frozen=True):
    """The person on whose behalf the recipient asks, where one is named."""

    reference: str | None = None
    identifiers: frozenset[Identifier] = frozenset()
    roles: tuple[Coding, ...] = ()
    break_glass: str | None = None  # the reason given


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange: who discloses to whom, for what, when. `attested` are the facts stated for the exchange as a whole;
    at the door they come from `attestations`, of which some are about one patient or record."""

    discloser: Participant
    recipient: Participant
    initiator: Initiator | None = None
    purpose: Coding
    at: datetime
    direction: Direction = Direction.READ
    action: str = "disclose"
    attested: Mapping[str, bool] = {}
    attestations: tuple[Attestation, ...] = ()


class SubjectFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one subject. `stated` are the facts stated of the subject; None birth date = unknown."""

    key: PatientKey
    identifiers: frozenset[Identifier] = frozenset()
    consents: tuple[Consent | Unreadable, ...] = ()
    birth_date: FhirDate | None = None
    deceased: bool = False
    stated: Mapping[str, bool] = {}


class Answer(StrEnum):
    """What one layer says."""

    PERMIT = "permit"
    DENY = "deny"
    NOT_APPLICABLE = "not_applicable"
    INDETERMINATE = "indeterminate"


class Verdict(StrEnum):
    """What becomes of one resource."""

    DISCLOSED = "disclosed"
    MASKED = "masked"
    WITHHELD = "withheld"


class Cause(msgspec.Struct, frozen=True, order=True):
    """One reason. `layer`: law, patient, flow, implicit or residue; `deny_class` a DenyClass for denies, else "".
    `consent` is `Consent/id` with `/_history/version`, plus `#` and the provision path where one decided."""

    layer: str
    effect: str
    rule: str
    deny_class: str = ""
    cite: str = ""
    consent: str = ""
    say: str = ""
    reason: str = ""  # reason class of a refusal (law.md section (d)), "" for permits
    obligations: tuple[str, ...] = ()  # told when this deny held something back and the rest went


class Op(StrEnum):
    """What an edit does to the element at its path."""

    CUT = "cut"
    REPLACE = "replace"
    INSERT = "insert"


class Edit(msgspec.Struct, frozen=True):
    """One listed change to a resource's text. `path` is a JSON Pointer inside the resource as upstream sent it;
    `value` is JSON text for replace and insert (insert: a new member at `path`, or before that array index, `-` = end).
    `because` is an index into the Decision's causes, None for an edit that every resource of this type and caller
    class gets."""

    op: Op
    path: str
    value: bytes = b""
    because: int | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What is decided of one resource, keyed by its pointer `at` in the document."""

    at: str
    resource: str  # "Type/id", or "Type" without id
    subjects: tuple[PatientKey, ...]
    categories: tuple[str, ...] = ()
    verdict: Verdict
    edits: tuple[Edit, ...] = ()
    labels_in: tuple[Coding, ...] = ()
    labels_out: tuple[Coding, ...] = ()
    because: tuple[Cause, ...] = ()
    erring: tuple[str, ...] = ()
    unmet: tuple[str, ...] = ()
    obligations: tuple[str, ...] = ()
    refrains: tuple[str, ...] = ()
