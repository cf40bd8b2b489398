"""The one table of what a Consent's status may become."""

import pytest

from consent_store.lifecycle import MOVES, R4_STATUSES, R5_STATUSES, Standing, may_move, standing
from consent_store.model import Status

S = Status


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        (None, S.ACTIVE, True),
        (None, S.DRAFT, True),
        (None, S.ENTERED_IN_ERROR, False),
        (S.DRAFT, S.ACTIVE, True),
        (S.PROPOSED, S.REJECTED, True),
        (S.ACTIVE, S.INACTIVE, True),
        (S.ACTIVE, S.ENTERED_IN_ERROR, True),
        (S.ACTIVE, S.DRAFT, False),
        (S.ACTIVE, S.REJECTED, False),
        (S.INACTIVE, S.ACTIVE, False),
        (S.REJECTED, S.ACTIVE, False),
        (S.NOT_DONE, S.ACTIVE, False),
        (S.ENTERED_IN_ERROR, S.ACTIVE, False),
        (S.ENTERED_IN_ERROR, S.INACTIVE, False),
    ],
)
def test_what_a_status_may_become(old, new, allowed):
    """What was withdrawn or refused never becomes active again; that takes a new Consent."""
    assert allowed is may_move(old, new)


def test_every_status_has_its_line_and_may_stay_what_it_is():
    """The table is whole, and a new text of the same status is an update."""
    assert {None, *Status} == set(MOVES)
    assert all(may_move(status, status) for status in Status)


def test_only_pending_ones_become_active():
    """Draft and proposed alone lead to active, besides active itself and what is new."""
    assert {None, S.DRAFT, S.PROPOSED, S.ACTIVE} == {old for old in MOVES if may_move(old, S.ACTIVE)}


def test_the_versions_have_their_own_statuses():
    """R5 dropped proposed and rejected and brought not-done; its `unknown` is none of ours (L085)."""
    assert {"draft", "proposed", "active", "rejected", "inactive", "entered-in-error"} == R4_STATUSES
    assert {"draft", "active", "inactive", "not-done", "entered-in-error"} == R5_STATUSES


@pytest.mark.parametrize(
    ("status", "expired", "superseded", "stands"),
    [
        (S.DRAFT, False, False, Standing.PENDING),
        (S.PROPOSED, True, True, Standing.PENDING),
        (S.ACTIVE, False, False, Standing.ACTIVE),
        (S.ACTIVE, True, False, Standing.EXPIRED),
        (S.ACTIVE, True, True, Standing.SUPERSEDED),
        (S.INACTIVE, True, True, Standing.REVOKED),
        (S.REJECTED, False, False, Standing.REFUSED),
        (S.NOT_DONE, False, False, Standing.REFUSED),
        (S.ENTERED_IN_ERROR, False, False, Standing.VOID),
    ],
)
def test_what_a_consent_stands_as(status, expired, superseded, stands):
    """Superseded and expired are derived for one instant, and only of what is active."""
    assert stands is standing(status, expired=expired, superseded=superseded)
