"""What is written of an exchange: the intent before its first byte, the story behind it, what became of it.

Rules of this file
1. An intent names who, for what, under which rules and consents, and what leaves; never resource content (audit.md 3).
2. What was withheld, and every Decision, stands in the story, kept apart and restricted: the ledger must not become a
   list of who has something to hide.
3. An intent without a completion counts as disclosed (law 8). `void` is the only outcome in which nothing left.
4. Only `record` makes a `Recorded`, after the intent is durable; only a `Recorded` may be written to a client (law 6).
"""

import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from consent_store.model import Coding, PatientKey
from gateway.decision.model import Decision
from gateway.errors import Unavailable

REQUEST_ID: Final = re.compile(r"[0-9a-f]{32}")
"""The form of every request id."""


class LedgerUnavailable(Unavailable):
    """The ledger cannot be written or read: nothing is disclosed (503, law 8)."""

    def __init__(self) -> None:
        super().__init__("the disclosure ledger is out of reach")


class AlreadyCompleted(Exception):
    """The intent has a completion already; the ledger keeps the first."""


class Outcome(StrEnum):
    """What became of an intent."""

    SENT = "sent"  # the whole answer was handed to the client's connection
    ABORTED = "aborted"  # it broke off: some of it may have left
    VOID = "void"  # nothing left: the consents changed and it was decided again, or it was given up before sending
    UNKNOWN = "unknown"  # written by recovery: counts as disclosed


class RuleHit(msgspec.Struct, frozen=True, order=True):
    """A rule that determined what left, and its citation."""

    rule: str
    cite: str = ""


class Attested(msgspec.Struct, frozen=True, order=True):
    """A fact that was stated for the exchange: by which participant, standing in the directory or in the token, and
    which of its attestations it was (`name`, at the intent's directory revision or in the token of its id)."""

    fact: str
    holds: bool
    by: str
    how: str  # standing | token
    name: str


class Disclosed(msgspec.Struct, frozen=True):
    """What leaves about one patient: `Type/id` of each record, and the consents relied on (with version)."""

    patient: PatientKey
    resources: tuple[str, ...]
    consents: tuple[str, ...] = ()


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What leaves, by patient; counts by resource type, rules, obligations. `others` are records about no patient."""

    disclosed: tuple[Disclosed, ...] = ()
    others: tuple[str, ...] = ()
    released: Mapping[str, int] = {}
    withheld: Mapping[str, int] = {}
    rules: tuple[RuleHit, ...] = ()
    obligations: tuple[str, ...] = ()
    refrains: tuple[str, ...] = ()


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """The restricted part: every Decision (edits without their values), what was withheld, the consent revisions of
    everyone asked about, also of whom nothing leaves, what was attested of each alone and of each record (`Type/id`).
    `emergency` is the reason given for an emergency (42 CFR 2.51(c)), `proposed` are labels that a client would have
    raised. `nonce` keeps the chain's digest of it from being guessed."""

    decisions: tuple[Decision, ...] = ()
    withheld: tuple[str, ...] = ()
    consent_revisions: Mapping[str, str] = {}
    attested: Mapping[str, tuple[Attested, ...]] = {}
    emergency: str = ""
    proposed: tuple[str, ...] = ()
    nonce: str = ""


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """What is about to leave. `interaction` is a FHIR restful-interaction code (`read`, `search-type`, `batch` …);
    `attested` is what was stated of the exchange, and of patients and records of whom something leaves; `alerts` what a
    privacy officer is to look at, in words of a closed set."""

    request_id: str
    at: datetime
    tenant: str
    route: str
    interaction: str
    direction: str  # read | push
    issuer: str
    client: str  # client_id
    client_address: str = ""
    token_id: str = ""
    initiator: str = ""  # the person, where the token names one
    discloser: str  # participant ids
    recipient: str
    claimed: tuple[Coding, ...] = ()  # purposes as the token and header stated them
    purpose: Coding  # the effective one
    profile: str
    profile_digest: str
    directory_revision: str = ""
    consent_revisions: Mapping[str, str] = {}  # `source|id` of each patient in the account
    public_url: str = ""
    attested: tuple[Attested, ...] = ()
    alerts: tuple[str, ...] = ()
    account: Account = Account()


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an intent. `body_bytes` is what was handed over; `detail` one of a closed set of words."""

    at: datetime
    outcome: Outcome
    status: int = 0  # HTTP status that was sent
    body_bytes: int = 0
    detail: str = ""


class Attempt(msgspec.Struct, frozen=True):
    """One intent of a request with its story and completion (None: still open); `completed` is that one's sequence."""

    sequence: int
    intent: Intent
    story: Story
    completion: Completion | None = None
    completed: int = 0


class Verification(msgspec.Struct, frozen=True):
    """What checking the chain found: how many records fit, the last one's hash, the first that does not (None: all do).

    A tail that was cut off shows only against a `head` that was kept elsewhere."""

    records: int
    head: str
    broken: int | None = None


class Ledger(Protocol):
    """What the gateway asks of a disclosure ledger. All methods raise `LedgerUnavailable` when it is out of reach."""

    async def intent(self, intent: Intent, story: Story) -> int:
        """Append an intent; give its sequence once it is durable. Called by `record` alone."""
        ...

    async def complete(self, sequence: int, completion: Completion) -> None:
        """Append the completion of an intent. Raises AlreadyCompleted, also for an intent that never was."""
        ...

    async def recover(self, at: datetime) -> int:
        """Complete as `unknown` every open intent whose writer is gone; give how many. Called once at start-up."""
        ...

    async def explain(self, request_id: str) -> tuple[Attempt, ...]:
        """Give every attempt of a request with its story, oldest first; none for a request that is not recorded."""
        ...

    async def attempts(self, after: int, limit: int) -> tuple[Attempt, ...]:
        """Give completed attempts, without stories, whose completion was appended after sequence `after`, in order.

        The AuditEvents are projected from these."""
        ...

    async def alerts(self, after: int, limit: int) -> tuple[Attempt, ...]:
        """Give attempts with alerts, without stories, whose intent was appended after sequence `after`, in order."""
        ...

    async def spend(self, token: str) -> bool:
        """Mark a digest of a token as used; False where it was used before. Durable when it returns."""
        ...

    async def verify(self) -> Verification:
        """Check the whole chain."""
        ...

    async def close(self) -> None:
        """Release what the driver holds; its open intents become recoverable."""
        ...


T = TypeVar("T")
_SEAL: Final = object()


class Recorded(Generic[T]):
    """A released answer whose intent is durable. Made by `record` alone (law 6)."""

    __slots__ = ("released", "request_id", "sequence")

    def __init__(self, seal: object, released: T, sequence: int, request_id: str) -> None:
        if seal is not _SEAL:
            raise TypeError("only the ledger makes a Recorded")
        self.released, self.sequence, self.request_id = released, sequence, request_id


async def record(ledger: Ledger, intent: Intent, story: Story, released: T) -> Recorded[T]:
    """Write the intent and give the answer that may now be sent. Raises LedgerUnavailable: then nothing may be sent."""
    return Recorded(_SEAL, released, await ledger.intent(intent, story), intent.request_id)


def new_request_id() -> str:
    """Give a fresh request id: random, of fixed length, telling nothing (leaks.md L021)."""
    return secrets.token_hex(16)
