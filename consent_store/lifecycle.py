"""How a Consent lives: the one table of what its status may become, and what it stands as at an instant.

Rules of this file
1. Only an active Consent permits or denies (L085).
2. What was withdrawn stays withdrawn: a patient who consents again signs a new Consent.
3. `superseded` and `expired` are derived, from newer Consents and from the clock, and never stored.
4. Nothing leaves entered-in-error (R4 Consent.status: modifier).
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from consent_store.model import Status

_OPEN: Final = frozenset({Status.DRAFT, Status.PROPOSED})
_EVERY: Final = frozenset(Status)

R4_STATUSES: Final = _EVERY - {Status.NOT_DONE}  # http://hl7.org/fhir/consent-state-codes, R4 and R4B
# R5's `unknown` is no status to us: it makes the Consent Unreadable (L085).
R5_STATUSES: Final = _EVERY - {Status.PROPOSED, Status.REJECTED}

# draft -> active -> superseded | revoked | expired; the last three are `inactive`, or derived.
MOVES: Final[Mapping[Status | None, frozenset[Status]]] = MappingProxyType(
    {
        None: _EVERY - {Status.ENTERED_IN_ERROR},  # a record may arrive with its history behind it
        Status.DRAFT: _EVERY,
        Status.PROPOSED: _EVERY,
        Status.ACTIVE: frozenset({Status.ACTIVE, Status.INACTIVE, Status.ENTERED_IN_ERROR}),
        Status.REJECTED: frozenset({Status.REJECTED, Status.ENTERED_IN_ERROR}),
        Status.NOT_DONE: frozenset({Status.NOT_DONE, Status.ENTERED_IN_ERROR}),
        Status.INACTIVE: frozenset({Status.INACTIVE, Status.ENTERED_IN_ERROR}),
        Status.ENTERED_IN_ERROR: frozenset({Status.ENTERED_IN_ERROR}),
    }
)


class Standing(StrEnum):
    """What a Consent is at an instant."""

    PENDING = "pending"  # draft, proposed
    ACTIVE = "active"
    SUPERSEDED = "superseded"  # active, and a newer one of its group speaks
    EXPIRED = "expired"  # active, and its period has ended
    REVOKED = "revoked"  # inactive
    REFUSED = "refused"  # rejected, not-done
    VOID = "void"  # entered-in-error


def may_move(old: Status | None, new: Status) -> bool:
    """Say whether a Consent of status `old` (None: not yet stored) may become `new`."""
    return new in MOVES[old]


def standing(status: Status, *, expired: bool, superseded: bool) -> Standing:
    """Give what a Consent stands as; `expired` and `superseded` are what the asker derived for one instant."""
    if status is Status.ACTIVE:
        if superseded:
            return Standing.SUPERSEDED
        return Standing.EXPIRED if expired else Standing.ACTIVE
    if status in _OPEN:
        return Standing.PENDING
    if status is Status.INACTIVE:
        return Standing.REVOKED
    return Standing.VOID if status is Status.ENTERED_IN_ERROR else Standing.REFUSED
