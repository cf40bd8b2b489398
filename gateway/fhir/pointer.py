"""JSON Pointers (RFC 6901), and the exact text that stands at one.

Rules of this file
1. A pointer is text: "" the whole, else "/" before every segment, `~1` for "/" and `~0` for "~".
2. Text is cut from text that was already checked (gateway.fhir.strict): nothing is parsed that a decision reads.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

import msgspec

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
_SHORT: Final = 128


def escape(segment: str) -> str:
    """Give a member's name as a pointer segment."""
    if "~" in segment or "/" in segment:
        return segment.replace("~", "~0").replace("/", "~1")
    return segment


def segments(pointer: str) -> tuple[str, ...]:
    """Give the unescaped segments of a pointer. Raises ValueError for text that is not one."""
    if pointer == "":
        return ()
    if pointer[0] != "/" or "~" in pointer.replace("~0", "").replace("~1", ""):
        raise ValueError("not a JSON pointer")
    parts = pointer[1:].split("/")
    if "~" not in pointer:
        return tuple(parts)
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in parts)


def index(segment: str) -> int | None:
    """Give the array index a segment says, None when it is not one (RFC 6901: no sign, no leading zero)."""
    if segment.isascii() and segment.isdigit() and (segment == "0" or segment[0] != "0") and len(segment) < 10:
        return int(segment)
    return None


def element_path(pointer: str) -> str:
    """Give the element path that a pointer stands for, without array indexes: `/item/0/detail/1` is `item.detail`."""
    return _element_path(pointer) if len(pointer) < _SHORT else _element_path.__wrapped__(pointer)


@lru_cache(maxsize=4096)  # of where things stand, never of what stands there; the same few hundred again and again
def _element_path(pointer: str) -> str:
    return ".".join(segment for segment in segments(pointer) if index(segment) is None)


def members_of(text: msgspec.Raw | bytes) -> dict[str, msgspec.Raw]:
    """Give the members of an object with the exact text of each. Raises msgspec.DecodeError when it is no object."""
    return _OBJECT.decode(text)


def items_of(text: msgspec.Raw | bytes) -> list[msgspec.Raw]:
    """Give the exact text of each element of an array. Raises msgspec.DecodeError when it is no array."""
    return _ARRAY.decode(text)


def texts_at(raw: bytes, pointers: Iterable[str]) -> Mapping[str, bytes]:
    """Give the exact text at each pointer, going over every container on the way once.

    Raises ValueError where a pointer leads nowhere.
    """
    found: dict[str, bytes] = {}
    wanted = [(pointer, segments(pointer)) for pointer in pointers]
    if wanted:
        _collect(msgspec.json.decode(raw, type=msgspec.Raw), wanted, 0, found)
    return found


def _collect(text: msgspec.Raw, wanted: list[tuple[str, tuple[str, ...]]], depth: int, found: dict[str, bytes]) -> None:
    below: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for pointer, path in wanted:
        if len(path) == depth:
            found[pointer] = bytes(text)
        else:
            below.setdefault(path[depth], []).append((pointer, path))
    if not below:
        return
    here: Mapping[str, msgspec.Raw]
    try:
        here = members_of(text) if bytes(memoryview(text)[:1]) == b"{" else dict(_numbered(items_of(text)))
    except msgspec.DecodeError as error:
        raise ValueError("a pointer leads into a value that is not a container") from error
    for segment, longer in below.items():
        if segment not in here:
            raise ValueError("a pointer leads nowhere")
        _collect(here[segment], longer, depth + 1, found)


def _numbered(items: list[msgspec.Raw]) -> Iterable[tuple[str, msgspec.Raw]]:
    return ((str(number), item) for number, item in enumerate(items))
