"""Dates for the oracle: what a date covers, read in a zone, or in doubt by a day's offset where none is known."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo

from consent_store.dates import FhirDate, Period, parse_date

EARLY, LATE = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def read(local: datetime, date: FhirDate, zone: tzinfo) -> datetime:
    """A bound of a date, in a zone where it has none of its own."""
    return local if date.zoned else local.replace(tzinfo=zone)


def widest(date: FhirDate | None, zone: tzinfo | None) -> tuple[datetime, datetime]:
    """The first instant a date can cover, and the first that it surely does not; none is the oldest."""
    if date is None:
        return FIRST, FIRST
    return read(date.start, date, zone or EARLY), read(date.end, date, zone or LATE)


def outer(period: Period, zone: tzinfo | None) -> tuple[datetime, datetime]:
    """All that a period can cover."""
    begin = read(period.start.start, period.start, zone or EARLY) if period.start else FIRST
    return begin, read(period.end.end, period.end, zone or LATE) if period.end else LAST


def inner(period: Period, zone: tzinfo | None) -> tuple[datetime, datetime]:
    """What a period surely covers."""
    begin = read(period.start.start, period.start, zone or LATE) if period.start else FIRST
    return begin, read(period.end.end, period.end, zone or EARLY) if period.end else LAST


def backwards(period: Period, zone: tzinfo | None) -> bool:
    """Whether a period ends before it starts."""
    start, end = period.start, period.end
    if start is None or end is None:
        return False
    if start.zoned == end.zoned:
        return end.end <= start.start
    return read(end.end, end, zone or LATE) <= read(start.start, start, zone or EARLY)


def runs(period: Period, at: datetime, zone: tzinfo | None) -> str:
    """Whether a period runs; one that ends before it starts cannot be told."""
    if backwards(period, zone):
        return "?"
    if inner(period, zone)[0] <= at < inner(period, zone)[1]:
        return "yes"
    return "?" if outer(period, zone)[0] <= at < outer(period, zone)[1] else "no"


def within(period: Period | None, limit: Period, zone: tzinfo | None) -> str:
    """yes: whole inside; ?: overlapping, or no date; no: outside."""
    if period is None or (period.start is None and period.end is None):
        return "?"
    if backwards(period, zone) or backwards(limit, zone):
        return "?"
    begin, end = outer(period, zone)
    if inner(limit, zone)[0] <= begin and end <= inner(limit, zone)[1]:
        return "yes"
    return "no" if end <= outer(limit, zone)[0] or outer(limit, zone)[1] <= begin else "?"


def moment(text: str | None) -> Period | None:
    """The period that one date is."""
    return Period(parse_date(text), parse_date(text)) if text else None
