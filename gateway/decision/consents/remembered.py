"""What was worked out once is kept, up to a limit: the same question has the same answer.

Rules of this file
1. Only what depends on nothing but its key is kept.
2. A full memory is emptied, not grown: whoever asks always anew costs time, not space.
"""

from collections.abc import Hashable
from typing import Final, TypeVar

MOST: Final = 4096
"""Entries of one memory."""

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


def kept(memory: dict[_Key, _Value], key: _Key, value: _Value) -> _Value:
    """Keep `value` in `memory` under `key`, and give it."""
    if len(memory) >= MOST:
        memory.clear()
    memory[key] = value
    return value
