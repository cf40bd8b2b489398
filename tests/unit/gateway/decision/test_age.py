"""Who is an adult, and who may be one (leaks.md L093)."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from consent_store.dates import parse_date
from gateway.decision.age import adult

ZONE = ZoneInfo("America/Los_Angeles")


@pytest.mark.parametrize(
    ("born", "at", "of_age"),
    [
        ("2008-03-01", "2026-03-01T07:59:59+00:00", False),  # 17 years and 364 days in the zone
        ("2008-03-01", "2026-03-01T08:00:00+00:00", True),
        ("2008-07-01", "2026-07-01T06:59:59+00:00", False),
        ("2008-07-01", "2026-07-01T07:00:00+00:00", True),
        ("2008-02-29", "2026-02-28T20:00:00+00:00", False),
        ("2008-02-29", "2026-03-01T08:00:00+00:00", True),
        ("2008", "2025-12-31T20:00:00+00:00", False),
        ("2008", "2026-06-01T00:00:00+00:00", None),
        ("2008", "2026-12-31T08:00:00+00:00", True),
        ("2008-03", "2026-03-15T00:00:00+00:00", None),
        ("9999-12-31", "2026-03-01T08:00:00+00:00", False),
    ],
)
def test_eighteen_is_reached_with_the_first_minute_of_the_birthday(born, at, of_age):
    """The day counts as it is counted in the zone whose law it is; a partial date leaves open what it leaves open."""
    assert of_age is adult(parse_date(born), datetime.fromisoformat(at), ZONE)


def test_without_a_zone_the_birthday_is_in_doubt():
    """While it is somewhere on earth another day, nobody can tell."""
    born = parse_date("2008-03-01")
    assert False is adult(born, datetime.fromisoformat("2026-02-28T09:59:59+00:00"), None)
    assert None is adult(born, datetime.fromisoformat("2026-03-01T08:00:00+00:00"), None)
    assert True is adult(born, datetime.fromisoformat("2026-03-02T12:00:00+00:00"), None)
