"""FHIR date, dateTime and instant text, read without losing its precision.

Rules of this file
1. A partial date is the whole of its year, month or day (FHIR R4 2.24.0.1, L086).
2. Bounds are half-open inside, so `2024-12-31` ends just before the next midnight.
3. Text without an offset is read in the zone that is given. With none there is doubt: narrow gives the reading that
   lasts least over all zones (for a permit), wide the one that lasts longest (for a deny).
4. Nothing here reads a clock.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

import msgspec

_FORM = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d))?)?)?")
# The zones in use on earth run from UTC-12 to UTC+14; a date begins first in the latter (IANA tz database).
_FIRST_ZONE = timezone(timedelta(hours=14))
_LAST_ZONE = timezone(timedelta(hours=-12))
# The ends of Python's calendar; what would lie past them stays there.
_FIRST = datetime(1, 1, 1)  # noqa: DTZ001  read later, in a zone
_LAST = datetime(9999, 12, 31, 23, 59, 59, 999999)  # noqa: DTZ001  read later, in a zone


class FhirDate(msgspec.Struct, frozen=True):
    """A date as written: `text`, and the local half-open span it covers; `zoned` where the text has its own offset."""

    text: str
    start: datetime
    end: datetime
    zoned: bool

    def first(self, zone: tzinfo | None, *, wide: bool) -> datetime:
        """Give the first instant (UTC) that the date covers, read in `zone`; with no zone, in doubt by `wide`."""
        return _in_utc(self.start, self.zoned, zone or (_FIRST_ZONE if wide else _LAST_ZONE))

    def after(self, zone: tzinfo | None, *, wide: bool) -> datetime:
        """Give the first instant (UTC) after the date, read in `zone`; with no zone, in doubt by `wide`."""
        return _in_utc(self.end, self.zoned, zone or (_LAST_ZONE if wide else _FIRST_ZONE))


SOME_DATE: Final = FhirDate("unknown date", _FIRST, _LAST, zoned=False)
"""Stands for a date that is stated and cannot be read: it may be any."""


class Period(msgspec.Struct, frozen=True):
    """A FHIR Period: inclusive bounds, None where open."""

    start: FhirDate | None = None
    end: FhirDate | None = None

    def covers(self, at: datetime, zone: tzinfo | None, *, wide: bool) -> bool:
        """Say whether instant `at` (with an offset) lies inside; an end before the start covers nothing (L086)."""
        if self.start and self.end and self.end.after(zone, wide=True) <= self.start.first(zone, wide=True):
            return False
        begun = self.start is None or self.start.first(zone, wide=wide) <= at
        return begun and (self.end is None or at < self.end.after(zone, wide=wide))


def parse_date(text: object) -> FhirDate:
    """Read FHIR date text. Raises ValueError for anything that is not of the FHIR grammar (R4 datatypes)."""
    match = _FORM.fullmatch(text) if isinstance(text, str) and text.isascii() else None
    if match is None or not isinstance(text, str):
        raise ValueError("not a FHIR date")
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    if hour is not None:
        return _instant(text, (year, month, day, hour, minute, second), fraction, offset)
    start = datetime(int(year), int(month or 1), int(day or 1))  # noqa: DTZ001  read later, in a zone
    if day:
        return FhirDate(text, start, _plus_day(start), zoned=False)
    return FhirDate(text, start, _next_month(start) if month else _next_year(start), zoned=False)


def _instant(text: str, parts: tuple[str, ...], fraction: str | None, offset: str) -> FhirDate:
    year, month, day, hour, minute, second = (int(part) for part in parts)
    micro = int(((fraction or "") + "000000")[:6])
    leap = second == 60
    zone = UTC if offset == "Z" else timezone(_offset(offset))
    start = datetime(year, month, day, hour, minute, 59 if leap else second, micro, tzinfo=zone)
    width = timedelta(microseconds=1) if fraction else timedelta(seconds=1)
    end = start + width if start.year < _LAST.year else start
    return FhirDate(text, start, end, zoned=True)


def _offset(text: str) -> timedelta:
    hours, minutes = int(text[1:3]), int(text[4:6])
    if minutes > 59 or hours * 60 + minutes > 14 * 60:
        raise ValueError("not a FHIR offset")
    size = timedelta(hours=hours, minutes=minutes)
    return -size if text[0] == "-" else size


def _plus_day(day: datetime) -> datetime:
    return day + timedelta(days=1) if day.date() < _LAST.date() else _LAST


def _next_month(day: datetime) -> datetime:
    return day.replace(month=day.month + 1) if day.month < 12 else _next_year(day.replace(month=1))


def _next_year(day: datetime) -> datetime:
    return day.replace(year=day.year + 1) if day.year < _LAST.year else _LAST


def _in_utc(local: datetime, zoned: bool, zone: tzinfo) -> datetime:  # noqa: FBT001  says itself in the name
    try:
        return (local if zoned else local.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:  # the first or last day of the calendar
        edge = _LAST if local.year > 1 else _FIRST
        return edge.replace(tzinfo=UTC)
