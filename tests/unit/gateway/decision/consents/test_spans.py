"""Periods as instants: what surely runs, what may run, and what lies inside what."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.decision.consents.spans import span_of
from gateway.decision.consents.truth import Match, all_of, any_of
from tests.consent_questions import period

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


def test_with_a_zone_there_is_no_doubt():
    """Every instant is inside or outside."""
    span = span_of(period("2025-03-01", "2025-03-01"), UTC)
    assert (Match.YES, Match.NO) == (span.holds(NOON), span.holds(NOON + timedelta(days=1)))


def test_without_a_zone_the_edges_are_in_doubt():
    """A date lasts somewhere on earth for fifty hours, everywhere at once for none."""
    span = span_of(period("2025-03-01", "2025-03-01"), None)
    assert Match.UNSURE is span.holds(NOON)
    assert Match.NO is span.holds(NOON + timedelta(days=2))
    long = span_of(period("2025-02-01", "2025-04-01"), None)
    assert Match.YES is long.holds(NOON)


def test_an_offset_settles_it():
    """A bound with its own offset needs no zone."""
    span = span_of(period("2025-03-01T00:00:00Z", "2025-03-01T13:00:00Z"), None)
    assert Match.YES is span.holds(NOON)


@pytest.mark.parametrize(
    ("start", "end"), [("2026", "2024"), ("2025-03-02", "2025-03-01"), ("2025-03-01T12:00:01Z", "2025-03-01T11:00:00Z")]
)
def test_a_period_that_ends_before_it_starts_is_in_doubt(start, end):
    """It is an error: nothing follows from it for certain, at any instant."""
    span = span_of(period(start, end), UTC)
    assert (Match.UNSURE, ()) == (span.holds(NOON), span.instants())


def test_instants_are_where_the_answer_can_change():
    """The bounds, open ones left out."""
    span = span_of(period("2025-01-01", None), UTC)
    assert {datetime(2025, 1, 1, tzinfo=UTC)} == set(span.instants())


def test_the_end_of_the_calendar_raises_nothing():
    """Year 9999 has no year after it."""
    assert Match.YES is span_of(period("0001", "9999"), None).holds(NOON)
    assert Match.YES is span_of(period("9999-12-31", None), UTC).holds_all_of(span_of(period("9999-12-31", None), UTC))


def test_alternatives_and_requirements():
    """Best of alternatives, worst of requirements; none at all does not limit."""
    assert (Match.YES, Match.NO) == (any_of([Match.NO, Match.YES]), any_of([]))
    assert (Match.UNSURE, Match.YES) == (all_of([Match.YES, Match.UNSURE]), all_of([]))
