"""Listed edits applied to a resource's exact text. The only place where text inside a resource changes.

Rules of this file (law 5)
1. Every value that is on no edited path keeps its own text, white space and all; without edits the text is the same.
2. A cut that leaves an array or object empty takes that away too: FHIR knows neither (R4 json.html).
3. A primitive goes with its `_sibling`. In arrays of primitives the two stay aligned: what is cut from the sibling
   alone leaves a null, and a sibling of nothing but nulls goes.
4. An edit inside what is cut or replaced has nothing left to change; where two name one place, a cut wins.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.decision.model import Edit, Op
from gateway.fhir.pointer import index, items_of, members_of, segments

_NULL: Final = b"null"
_APPEND: Final = "-"


class _Place:
    """The edits at one place of the text, and the places below it that have any."""

    __slots__ = ("below", "cut", "fresh", "inserted", "may_be_missing")

    def __init__(self) -> None:
        self.cut = False
        self.fresh: bytes | None = None  # what replaces it
        self.inserted: list[bytes] = []  # what comes in here: a new member, or before this index
        self.may_be_missing = True
        self.below: dict[str, _Place] = {}

    def at(self, path: Iterable[str], *, needed: bool = True) -> "_Place":
        place = self
        for segment in path:
            place = place.below.setdefault(segment, _Place())
            place.may_be_missing = place.may_be_missing and not needed
        return place


def apply(raw: bytes, edits: Iterable[Edit]) -> bytes:
    """Give `raw` (JSON text that was checked) with all edits made, by the pointers of the text as it came.

    Raises ValueError for a pointer that leads nowhere, and where nothing of the text would be left.
    """
    root = _Place()
    for edit in edits:
        _enter(root, edit)
    if not root.below:
        return raw
    text = _edited(raw, root)
    if text is None:
        raise ValueError("nothing is left of the text")
    return text


def _enter(root: _Place, edit: Edit) -> None:
    path = segments(edit.path)
    if not path:
        raise ValueError("an edit of the whole text")
    if edit.op is Op.INSERT:
        root.at(path[:-1]).below.setdefault(path[-1], _Place()).inserted.append(edit.value)
        return
    place = root.at(path)
    if edit.op is Op.REPLACE:
        place.fresh = edit.value
        return
    place.cut = True
    sibling = _sibling(path)
    if sibling is not None:
        root.at(sibling, needed=False).cut = True


def _sibling(path: tuple[str, ...]) -> tuple[str, ...] | None:
    """Give the path of a primitive's `_sibling`, for a member or for an element of an array of primitives."""
    if index(path[-1]) is None:
        return None if path[-1].startswith("_") else (*path[:-1], f"_{path[-1]}")
    if len(path) > 1 and not path[-2].startswith("_") and index(path[-2]) is None:
        return (*path[:-2], f"_{path[-2]}", path[-1])
    return None


def _edited(text: bytes, place: _Place, name: str = "") -> bytes | None:
    """Give the text of one value after the edits at it and below it; None where it goes."""
    if place.cut:
        return None
    if place.fresh is not None:
        return place.fresh
    if not place.below:
        return text
    start = text.lstrip()[:1]
    if start == b"{":
        return _object(text, place)
    if start == b"[":
        return _array(text, place, name)
    if all(below.may_be_missing for below in place.below.values()):
        return text
    raise ValueError("a pointer leads into a value that holds nothing")


def _object(text: bytes, place: _Place) -> bytes | None:
    members = {name: bytes(value) for name, value in members_of(text).items()}
    kept = []
    for name, value in members.items():
        below = place.below.get(name)
        new = value if below is None else _edited(value, below, name)
        if new is not None:
            kept.append((name, new))
    for name, below in place.below.items():
        if name in members:
            continue
        if below.inserted:
            kept.append((name, below.inserted[0]))
        elif not below.may_be_missing:
            raise ValueError("a pointer leads nowhere")
    return b"{" + b",".join(msgspec.json.encode(name) + b":" + value for name, value in kept) + b"}" if kept else None


def _array(text: bytes, place: _Place, name: str) -> bytes | None:
    items = [bytes(item) for item in items_of(text)]
    known = {str(number) for number in range(len(items))}
    if any(key not in known and not (below.inserted or below.may_be_missing) for key, below in place.below.items()):
        raise ValueError("a pointer leads nowhere")
    kept: list[bytes] = []
    for number, item in enumerate(items):
        below = place.below.get(str(number))
        if below is None:
            kept.append(item)
            continue
        kept += below.inserted
        new = _edited(item, below)
        if new is not None:
            kept.append(new)
        elif name.startswith("_") and not below.may_be_missing:
            kept.append(_NULL)
    for end in (_APPEND, str(len(items))):
        kept += place.below[end].inserted if end in place.below else []
    if not kept or (name.startswith("_") and all(item.strip() == _NULL for item in kept)):
        return None
    return b"[" + b",".join(kept) + b"]"
