"""Removing a diagnosis or a line from a Claim or ExplanationOfBenefit, with all that hangs on it.

Rules of this file (leaks.md L037)
1. A line whose every diagnosis (procedure, performer) is removed goes with them; what only removed lines used goes too.
2. Numbers that point at what was removed go, and what remains is numbered 1, 2, 3 in its order, removed or not:
   a gap would tell that something was there.
3. Where no line remains, nothing of the record remains.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from gateway.decision.model import Edit, Op

# R4 Claim.item and ExplanationOfBenefit.item: which list each number of a line points into.
POINTERS: Final[Mapping[str, str]] = {
    "careTeamSequence": "careTeam",
    "diagnosisSequence": "diagnosis",
    "procedureSequence": "procedure",
    "informationSequence": "supportingInfo",
}
_NUMBERED: Final = (*POINTERS.values(), "item")
NUMBERED_TYPES: Final = frozenset({"Claim", "ExplanationOfBenefit"})


class _Claim:
    """The numbered lists of one claim, and which of their members are to go."""

    def __init__(self, tree: Mapping[str, Any]) -> None:
        self.lists = {name: _members(tree.get(name)) for name in (*_NUMBERED, "addItem")}
        self.gone: dict[str, set[int]] = {name: set() for name in self.lists}

    def sequence(self, name: str, index: int) -> object:
        return self.lists[name][index].get("sequence")

    def numbers(self, line: Mapping[str, Any], key: str) -> list[object]:
        found = line.get(key)
        return [n for n in found if isinstance(n, int)] if isinstance(found, list) else []

    def gone_numbers(self, name: str) -> list[object]:
        return [self.sequence(name, index) for index in self.gone[name]]

    def remains(self, name: str) -> list[int]:
        return [index for index in range(len(self.lists[name])) if index not in self.gone[name]]

    def spread(self) -> bool:
        """Remove what follows from what is removed; say whether anything more went."""
        before = sum(map(len, self.gone.values()))
        for index in self.remains("item"):
            line = self.lists["item"][index]
            for key in ("careTeamSequence", "diagnosisSequence", "procedureSequence"):
                numbers = self.numbers(line, key)
                if numbers and all(n in self.gone_numbers(POINTERS[key]) for n in numbers):
                    self.gone["item"].add(index)
        for key, name in POINTERS.items():
            self.gone[name].update(i for i in self.remains(name) if self._only_gone_lines_use(key, name, i))
        for index in self.remains("addItem"):
            numbers = self.numbers(self.lists["addItem"][index], "itemSequence")
            if numbers and all(n in self.gone_numbers("item") for n in numbers):
                self.gone["addItem"].add(index)
        return sum(map(len, self.gone.values())) > before

    def _only_gone_lines_use(self, key: str, name: str, index: int) -> bool:
        number = self.sequence(name, index)
        users = [i for i, line in enumerate(self.lists["item"]) if number in self.numbers(line, key)]
        return bool(users) and self.gone["item"].issuperset(users)


def numbered_soundly(tree: Mapping[str, Any]) -> bool:
    """Say whether every numbered list has whole, distinct sequence numbers; if not, nothing can be taken out of it."""
    claim = _Claim(tree)
    for name in _NUMBERED:
        numbers = [claim.sequence(name, index) for index in range(len(claim.lists[name]))]
        if any(not isinstance(n, int) or isinstance(n, bool) for n in numbers) or len(set(numbers)) < len(numbers):
            return False
    return True


def numbered_member(pointer: str) -> str | None:
    """Give the pointer where it is that of a member of a numbered list, else None."""
    steps = pointer.split("/")
    whole = len(steps) == 3 and steps[1] in (*_NUMBERED, "addItem") and steps[2].isdigit()
    return pointer if whole else None


def removal_edits(tree: Mapping[str, Any], removed: Mapping[str, int]) -> tuple[Edit, ...] | None:
    """Give the edits that remove the members at the pointers in `removed` (with the index of the cause) from a claim.

    Removed members, what follows from them, and the renumbering that every claim gets. None: no line is left.
    """
    claim = _Claim(tree)
    for pointer in removed:
        _, name, index = pointer.split("/")
        claim.gone[name].add(int(index))
    while claim.spread():
        pass
    if claim.lists["item"] and not claim.remains("item"):
        return None
    because = min(removed.values(), default=None)
    cuts = [
        Edit(Op.CUT, f"/{name}/{index}", because=removed.get(f"/{name}/{index}", because))
        for name, indexes in claim.gone.items()
        for index in sorted(indexes)
    ]
    return (*cuts, *_renumbering(claim, because))


def _renumbering(claim: _Claim, because: int | None) -> Iterator[Edit]:
    fresh = {
        name: {claim.sequence(name, index): at for at, index in enumerate(claim.remains(name), 1)} for name in _NUMBERED
    }
    for name in _NUMBERED:
        for index in claim.remains(name):
            number = claim.sequence(name, index)
            if fresh[name][number] != number:
                yield Edit(Op.REPLACE, f"/{name}/{index}/sequence", msgspec.json.encode(fresh[name][number]), because)
    for index in claim.remains("item"):
        for key, name in POINTERS.items():
            yield from _pointer_edit(
                claim, f"/item/{index}/{key}", claim.lists["item"][index], key, fresh[name], because
            )
    for index in claim.remains("addItem"):
        line = claim.lists["addItem"][index]
        yield from _pointer_edit(claim, f"/addItem/{index}/itemSequence", line, "itemSequence", fresh["item"], because)


def _pointer_edit(
    claim: _Claim, path: str, line: Mapping[str, Any], key: str, fresh: Mapping[object, int], because: int | None
) -> Iterable[Edit]:
    if key not in line:
        return ()
    new = [fresh[number] for number in claim.numbers(line, key) if number in fresh]
    if new == line[key]:
        return ()
    return (Edit(Op.REPLACE, path, msgspec.json.encode(new), because) if new else Edit(Op.CUT, path, because=because),)


def note_numbers(tree: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the pointers of every `noteNumber`: where processNote always goes, so do the numbers that point at it."""
    return tuple(
        f"/{name}/{index}/noteNumber"
        for name in ("item", "addItem")
        for index, line in enumerate(_members(tree.get(name)))
        if "noteNumber" in line
    )


def _members(value: object) -> list[Mapping[str, Any]]:
    return [m if isinstance(m, dict) else {} for m in value] if isinstance(value, list) else []
