"""A FHIR Period as instants, with the doubt that a missing zone leaves.

Rules of this file
1. Bounds are inclusive as written and half-open here; partial dates are whole years, months, days (L086).
2. Without a zone a span has an inner reading (surely inside) and an outer one (maybe inside).
3. A period that ends before it starts is in doubt at every instant: it never permits, and a deny with it stands.
"""

from datetime import datetime, tzinfo

import msgspec

from consent_store.dates import FhirDate, Period
from gateway.decision.consents.truth import NO, UNSURE, YES, Match


class Span(msgspec.Struct, frozen=True):
    """Instants in UTC, None where open: `sure` bounds are the inner reading, `maybe` bounds the outer one."""

    sure_from: datetime | None
    sure_until: datetime | None
    maybe_from: datetime | None
    maybe_until: datetime | None
    void: bool = False

    def holds(self, at: datetime) -> Match:
        """Say whether `at` (with an offset) lies inside."""
        if self.void:
            return UNSURE
        if _inside(at, self.sure_from, self.sure_until):
            return YES
        return UNSURE if _inside(at, self.maybe_from, self.maybe_until) else NO

    def holds_all_of(self, other: "Span") -> Match:
        """Say YES where `other` lies inside for certain, UNSURE where it may overlap at all, NO where it cannot.

        So a permit needs the whole inside and a deny any overlap (consent-semantics section 3, dataPeriod).
        """
        if self.void or other.void:
            return UNSURE
        begins = self.sure_from is None or (other.maybe_from is not None and self.sure_from <= other.maybe_from)
        ends = self.sure_until is None or (other.maybe_until is not None and other.maybe_until <= self.sure_until)
        if begins and ends:
            return YES
        before = _ends_before(other.maybe_until, self.maybe_from)
        after = _ends_before(self.maybe_until, other.maybe_from)
        return NO if before or after else UNSURE

    def instants(self) -> tuple[datetime, ...]:
        """Give the instants at which `holds` can change."""
        return () if self.void else self.bounds()

    def bounds(self) -> tuple[datetime, ...]:
        """Give all its bounds."""
        bounds = (self.sure_from, self.sure_until, self.maybe_from, self.maybe_until)
        return tuple(bound for bound in bounds if bound is not None)


def span_of(period: Period, zone: tzinfo | None) -> Span:
    """Read a Period in `zone`; None leaves the doubt of a day's offset where its dates have none."""
    start, end = period.start, period.end
    sure_from = start.first(zone, wide=False) if start else None
    sure_until = end.after(zone, wide=False) if end else None
    return Span(
        sure_from=sure_from,
        sure_until=sure_until,
        # In a known zone, or with an offset, there is one reading.
        maybe_from=start.first(zone, wide=True) if start and zone is None and not start.zoned else sure_from,
        maybe_until=end.after(zone, wide=True) if end and zone is None and not end.zoned else sure_until,
        void=start is not None and end is not None and _backwards(start, end, zone),
    )


def _backwards(start: FhirDate, end: FhirDate, zone: tzinfo | None) -> bool:
    if start.zoned == end.zoned:
        return end.end <= start.start
    return end.after(zone, wide=True) <= start.first(zone, wide=True)


def _inside(at: datetime, begin: datetime | None, until: datetime | None) -> bool:
    return (begin is None or begin <= at) and (until is None or at < until)


def _ends_before(until: datetime | None, begin: datetime | None) -> bool:
    return until is not None and begin is not None and until <= begin
