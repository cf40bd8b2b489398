"""Who is of age, as far as the birth date tells (L093)."""

from datetime import datetime, timedelta, tzinfo

from consent_store.dates import FhirDate
from gateway.decision.case import Truth


def adult(birth: FhirDate, at: datetime, zone: tzinfo | None) -> Truth:
    """Say whether who was born on `birth` is 18 at `at`, counted in `zone` from the first minute of the birthday; None
    where a partial date or no zone leaves it open (L093)."""
    last = birth.end if birth.zoned else birth.end - timedelta(days=1)
    coming = FhirDate(birth.text, _eighteen_years_after(birth.start), _eighteen_years_after(last), birth.zoned)
    if coming.after(zone, wide=True) <= at:
        return True
    return False if coming.first(zone, wide=True) > at else None


def _eighteen_years_after(moment: datetime) -> datetime:
    try:
        return moment.replace(year=moment.year + 18)
    except ValueError:  # 29 February, or the end of the calendar
        return moment.replace(year=min(moment.year + 18, 9999), day=28) + timedelta(days=1)
