"""The one place that reads the wall clock. Everything else is told the instant `at`."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    """Give the present instant in UTC."""
    return datetime.now(UTC)
