"""What was worked out once is kept, up to a limit: the same question has the same answer.

Rules of this file
1. Only what depends on nothing but its key is kept.
2. A full memory is emptied, not grown: whoever asks always anew costs time, not space.
"""

from collections.abc import Callable, Hashable
from typing import Any, Final, Generic, TypeVar, overload

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


class once(Generic[_Value]):  # noqa: N801  a decorator
    """A property that is worked out when first asked: `functools.cached_property` without its lock, which until Python
    3.12 costs more than most of what is asked of a resource."""

    def __init__(self, work: Callable[[Any], _Value]) -> None:
        self._work = work
        self.__doc__ = work.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> "once[_Value]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> _Value: ...
    def __get__(self, instance: object, owner: type) -> "_Value | once[_Value]":
        """Work it out, and leave it on the instance, where it is found before this is asked again."""
        if instance is None:
            return self
        value = self._work(instance)
        instance.__dict__[self._work.__name__] = value
        return value
