"""Listed edits applied to a resource's exact text. The only place where text inside a resource changes.

Rules of this file (law 5)
1. Every value that is on no edited path keeps its own text, and what stays its white space (gateway.release.spacing);
   without edits the text is the same.
2. A cut that leaves an array or object empty takes that away too: FHIR knows neither (R4 json.html).
3. What is cut or replaced takes its `_sibling` along: extensions speak of the value that was there. Arrays of
   primitives stay aligned with theirs; what is cut from the sibling alone leaves a null, and nulls alone go.
4. An edit inside what is cut or replaced has nothing left to change; where a cut names the place of another, it wins.
5. An edit that cannot be made, and two that contradict each other, are errors: the caller withholds the resource.
"""

from collections.abc import Iterable
from typing import Final

from gateway.decision.model import Edit, Op
from gateway.fhir.pointer import index, items_of, members_of, segments
from gateway.fhir.strict import decode
from gateway.release.spacing import Slots

_NULL: Final = b"null"
_APPEND: Final = "-"
_Item = tuple[int | None, str, bytes]  # where it stood (None: it is new), a member's name, its text


class _Place:
    """The edits at one place of the text, and the places below it that have any."""

    __slots__ = ("below", "cut", "fresh", "inserted")

    def __init__(self) -> None:
        self.cut = False
        self.fresh: bytes | None = None  # what replaces it
        self.inserted: list[bytes] = []  # what comes in here: a new member, or before this index
        self.below: dict[str, _Place] = {}

    @property
    def gone(self) -> bool:
        """Whether the value that was here does not stay."""
        return self.cut or self.fresh is not None

    @property
    def only_inserts(self) -> bool:
        """Whether nothing is said of a value that would have to be here."""
        return not (self.gone or self.below)


_UNTOUCHED: Final = _Place()


def apply(raw: bytes, edits: Iterable[Edit]) -> bytes:
    """Give `raw` (JSON text that was checked) with all edits made, by the pointers of the text as it came.

    Raises ValueError by rule 5, for a new value that is not strict JSON, and where nothing of the text would be left.
    """
    root = _Place()
    for edit in edits:
        _enter(root, edit)
    if not root.below:
        return raw
    inner = raw.strip()
    text = _edited(inner, root)
    if text is None:
        raise ValueError("nothing is left of the text")
    before, _, after = raw.partition(inner)
    return before + text + after


def _enter(root: _Place, edit: Edit) -> None:
    path = segments(edit.path)
    if not path:
        raise ValueError("an edit of the whole text")
    place = root
    for segment in path:
        place = place.below.setdefault(segment, _Place())
    if edit.op is Op.CUT:
        place.cut = True
        return
    decode(edit.value)
    if edit.op is Op.INSERT:
        place.inserted.append(edit.value)
        return
    if place.fresh is not None and place.fresh != edit.value:
        raise ValueError("two values for one place")
    place.fresh = edit.value


def _edited(text: bytes, place: _Place) -> bytes | None:
    """Give the text of one value after the edits at it and below it; None where it goes."""
    if place.cut:
        return None
    if place.fresh is not None:
        return place.fresh
    if not place.below:
        return text
    match text[:1]:
        case b"{":
            return _object(text, place)
        case b"[":
            return _array(text, place)
        case _:
            raise ValueError("a pointer leads into a value that holds nothing")


def _object(text: bytes, place: _Place) -> bytes | None:
    members = {name: bytes(value) for name, value in members_of(text).items()}
    results: dict[str, bytes | None] = {}
    for name, value in members.items():
        below = place.below.get(name, _UNTOUCHED)
        if below.inserted:
            raise ValueError("an insert where there is a member already")
        base = name.removeprefix("_")
        sibling = f"_{base}"
        if base in members and sibling in members:
            if name == base or name not in results:
                pair = (place.below.get(base, _UNTOUCHED), place.below.get(sibling, _UNTOUCHED))
                results[base], results[sibling] = _pair(members[base], members[sibling], *pair)
        else:
            results[name] = _edited(value, below)
    for name, below in place.below.items():
        if name not in members:
            results[name] = _new_member(below)
    kept = [(name, results[name]) for name in (*members, *(name for name in results if name not in members))]
    places = {name: number for number, name in enumerate(members)}
    left = [(places.get(name), name, value) for name, value in kept if value is not None]
    return Slots(text, list(members.values())).joined(left) if left else None


def _new_member(place: _Place) -> bytes:
    if not place.inserted or not place.only_inserts:
        raise ValueError("a pointer leads nowhere")
    if len(set(place.inserted)) > 1:
        raise ValueError("two values for one place")
    return place.inserted[0]


def _array(text: bytes, place: _Place) -> bytes | None:
    items = [bytes(item) for item in items_of(text)]
    _check_places(place, len(items))
    kept: list[_Item] = []
    for number, item in enumerate(items):
        below = place.below.get(str(number), _UNTOUCHED)
        kept += _fresh(below.inserted)
        if (new := _edited(item, below)) is not None:
            kept.append((number, "", new))
    return _listed(text, items, kept + _fresh(_at_end(place, len(items))))


def _pair(value: bytes, sibling: bytes, place: _Place, beside: _Place) -> tuple[bytes | None, bytes | None]:
    """Give a member and its `_sibling` after their edits (rule 3)."""
    if place is beside:  # both untouched
        return value, sibling
    if place.gone:
        return _edited(value, place), None
    if value[:1] == b"[" and sibling[:1] == b"[" and not beside.gone:
        return _aligned(value, sibling, place, beside)
    return _edited(value, place), _edited(sibling, beside)


def _aligned(value: bytes, sibling: bytes, place: _Place, beside: _Place) -> tuple[bytes | None, bytes | None]:
    """Give an array of primitives and the array of their extensions, place by place; a missing place is a null."""
    values, besides = ([bytes(item) for item in items_of(text)] for text in (value, sibling))
    length = max(len(values), len(besides))
    _check_places(place, length)
    _check_places(beside, length)
    if any(below.inserted for below in beside.below.values()):
        raise ValueError("an insert among the extensions of an array")
    rows: list[tuple[int | None, bytes, bytes]] = []
    for number in range(length):
        here, there = place.below.get(str(number), _UNTOUCHED), beside.below.get(str(number), _UNTOUCHED)
        rows += [(None, new, _NULL) for new in here.inserted]
        if here.cut:
            continue
        item = values[number] if number < len(values) else _NULL
        extra = _NULL if here.gone or number >= len(besides) else besides[number]
        row = (_edited(item, here) or _NULL, extra if here.gone else _edited(extra, there) or _NULL)
        if row != (_NULL, _NULL) or (item, extra) == row:
            rows.append((number, *row))
    rows += [(None, new, _NULL) for new in _at_end(place, length)]
    first, second = [one for _, one, _ in rows], [other for *_, other in rows]
    return (
        value if first == values else _listed(value, values, _rows(rows, first, len(values))),
        sibling if second == besides else _listed(sibling, besides, _rows(rows, second, len(besides))),
    )


def _rows(rows: list[tuple[int | None, bytes, bytes]], texts: list[bytes], length: int) -> list[_Item]:
    """Give the items of one of two aligned arrays, which had `length`: beyond it a place is new."""
    places = [place if place is not None and place < length else None for place, *_ in rows]
    return [(place, "", text) for place, text in zip(places, texts, strict=True)]


def _check_places(place: _Place, length: int) -> None:
    """Hold the places named in an array against its length: an element, or an insert before one or at the end."""
    for segment, below in place.below.items():
        number = length if segment == _APPEND else index(segment)
        if number is None or number > length or (number == length and not below.only_inserts):
            raise ValueError("a pointer leads nowhere")


def _at_end(place: _Place, length: int) -> list[bytes]:
    return [value for end in (str(length), _APPEND) if end in place.below for value in place.below[end].inserted]


def _fresh(values: list[bytes]) -> list[_Item]:
    return [(None, "", value) for value in values]


def _listed(text: bytes, before: list[bytes], items: list[_Item]) -> bytes | None:
    """Give the text of an array that held `before`, None for one that is empty or holds nothing but nulls."""
    return None if all(item == _NULL for *_, item in items) else Slots(text, before).joined(items)
