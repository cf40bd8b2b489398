"""Yes, no, or it cannot be told: what a single condition of a provision says.

Rules of this file
1. What cannot be told never helps a permit and never stops a deny (consent-semantics section 2, rule 7).
2. Alternatives are the best of them, requirements the worst; none at all is "not limited".
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from consent_store.model import Effect


class Match(IntEnum):
    """How a condition stands to a question. The order makes `max` an OR and `min` an AND (Kleene)."""

    NO = 0
    UNSURE = 1
    YES = 2


NO: Final = Match.NO
UNSURE: Final = Match.UNSURE
YES: Final = Match.YES
"""By themselves: asking the class costs ten times as much (Python 3.11)."""


def any_of(matches: Iterable[Match]) -> Match:
    """Give YES where one of the alternatives says YES, NO where all say NO (or there is none)."""
    return max(matches, default=NO)


def all_of(matches: Iterable[Match]) -> Match:
    """Give YES where every requirement says YES (or there is none), NO where one says NO."""
    return min(matches, default=YES)


def needed(effect: Effect) -> Match:
    """Give the least that a condition must say for a provision of this effect to match: a deny matches in doubt."""
    return YES if effect is Effect.PERMIT else UNSURE
