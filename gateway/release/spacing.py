"""White space in a text out of which something was cut: as in a text that never held it.

Servers print JSON in their own way, with spaces or line by line. A record that was told closer than its neighbours
would say that something was cut out of it, so what stays keeps its places: the first what stood before the first, the
last what stood after the last, and each its own name as it was written (leaks.md, the twin test: length of the body).
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

_WHITE: Final = re.compile(rb"[ \t\r\n]*")
_NAME: Final = re.compile(rb'("(?:[^"\\]|\\.)*")([ \t\r\n]*:[ \t\r\n]*)')


class Slot(msgspec.Struct, frozen=True):
    """What stood around one value: white space before, the name of a member and its colon, white space after."""

    before: bytes
    name: bytes
    colon: bytes
    after: bytes


_BARE: Final = Slot(b"", b"", b":", b"")  # what comes into a text that held nothing


class Slots:
    """The slots of an object or array. `texts` are the exact texts of its values, in order; the text was checked."""

    def __init__(self, text: bytes, texts: Sequence[bytes]) -> None:
        self._ends = text[:1], text[-1:]
        self._slots: list[Slot] = []
        named = text[:1] == b"{"
        place = 1
        for value in texts:
            before = _white(text, place)
            place += len(before)
            found = _NAME.match(text, place) if named else None
            name, colon = found.groups() if found else (b"", b"")
            place += len(name) + len(colon) + len(value)
            after = _white(text, place)
            place += len(after) + 1
            self._slots.append(Slot(before, name, colon, after))
        self._slots = self._slots or [_BARE]

    def joined(self, kept: Iterable[tuple[int | None, str, bytes]]) -> bytes:
        """Give the text of what is left: of each the place it had (None: it is new), its name and its text."""
        values = list(kept)
        parts = []
        for number, (place, name, value) in enumerate(values):
            if place is None:
                label = msgspec.json.encode(name) + self._slots[0].colon if self._ends[0] == b"{" else b""
            else:
                label = self._slots[place].name + self._slots[place].colon
            last = number == len(values) - 1
            parts.append(self._before(place, first=number == 0) + label + value + self._after(place, last=last))
        return self._ends[0] + b",".join(parts) + self._ends[1]

    def _before(self, place: int | None, *, first: bool) -> bytes:
        if first:
            return self._slots[0].before
        return self._slots[place or min(1, len(self._slots) - 1)].before

    def _after(self, place: int | None, *, last: bool) -> bytes:
        if last:
            return self._slots[-1].after
        end = len(self._slots) - 1
        return self._slots[max(end - 1, 0)].after if place is None or place == end else self._slots[place].after


def _white(text: bytes, place: int) -> bytes:
    found = _WHITE.match(text, place)
    return found[0] if found else b""
