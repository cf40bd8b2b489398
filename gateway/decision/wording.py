"""Whether a profile's words stand in a text. Pure.

Rules of this file
1. Whole words and phrases, in any letter case; markup, entities, punctuation and invisible characters are set aside.
2. `nnn` in a phrase is a number of at least so many digits, with or without a space before or after it: `pc nnn` is
   said by `PC 459` and by `PC459(b)`.
"""

import html
import re
from functools import lru_cache
from itertools import pairwise
from typing import Final

from gateway.labels.terms import untagged, words_of
from gateway.policy.matching import Words

_WORD: Final = re.compile(r"[^\W_]+")


def plain(text: str) -> str:
    """Give a text as small words with a space on either side of each."""
    return f" {' '.join(_WORD.findall(words_of(html.unescape(untagged(text)))))} "


def is_said(words: Words, text: str) -> bool:
    """Say whether a text, as `plain` gives it, has one of the words beside what is set aside."""
    said = _pattern(words.said)
    if said.search(text) is None:
        return False
    return not words.aside or said.search(_pattern(words.aside).sub(" ", text)) is not None


@lru_cache(maxsize=64)
def _pattern(phrases: frozenset[str]) -> re.Pattern[str]:
    return re.compile(f"(?<= )(?:{'|'.join(map(_phrase, sorted(phrases)))})(?= )")


def _phrase(phrase: str) -> str:
    parts = phrase.split(" ")
    numbers = [len(part) > 2 and set(part) == {"n"} for part in parts]
    told = [f"[0-9]{{{len(part)},}}[a-z]*" if number else part for part, number in zip(parts, numbers, strict=True)]
    gaps = [" ?" if any(pair) else " " for pair in pairwise(numbers)]
    return "".join(piece for pair in zip(told, [*gaps, ""], strict=True) for piece in pair)
