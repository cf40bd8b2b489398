"""What R4 says of reading: which elements make a summary, which change a record's meaning, which types belong to a
patient's or an encounter's compartment and by which parameters (profiles/fhir/reading.json, parsed).

Rules of this file
1. What the table does not know is in no summary and in no compartment.
2. A choice is known by its JSON name: `valueQuantity` is `value[x]`.
"""

from collections.abc import Mapping
from typing import Final

import msgspec


class _File(msgspec.Struct, frozen=True):
    source: dict[str, str]
    compartments: dict[str, dict[str, dict[str, tuple[str, ...]]]]
    modifiers: dict[str, frozenset[str]]
    summary: dict[str, frozenset[str]]


_FILE: Final = msgspec.json.Decoder(_File)
_CHOICE: Final = "[x]"


class Reading:
    """The table. Immutable; loaded once at start-up."""

    def __init__(self, facts: _File) -> None:
        """Take the decoded table; see `from_json`."""
        self._facts = facts

    @classmethod
    def from_json(cls, raw: bytes) -> "Reading":
        """Give the table that the text of reading.json says. Raises msgspec.DecodeError for any other text."""
        return cls(_FILE.decode(raw))

    def compartment(self, owner: str) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """Give the types of a compartment (`Patient`, `Encounter`) with the search parameters that name its owner and
        the elements these read (R4 compartmentdefinition.html); nothing for another."""
        return self._facts.compartments.get(owner, {})

    def in_summary(self, kind: str, path: str) -> bool:
        """Say whether the element at `path` below a resource of type `kind` is of its summary (R4 isSummary)."""
        return named(path, self._facts.summary.get(kind, frozenset()))

    def has_summary_beneath(self, kind: str, path: str) -> bool:
        """Say whether R4 marks elements inside the one at `path`: then the others in it are not of the summary."""
        return any(each.startswith(f"{path}.") for each in self._facts.summary.get(kind, ()))

    def modifies(self, kind: str, name: str) -> bool:
        """Say whether a resource's own element changes the meaning of the others (R4 isModifier)."""
        return named(name, self._facts.modifiers.get(kind, frozenset()))


def named(path: str, names: frozenset[str]) -> bool:
    """Say whether an element path, its last name as in JSON, is among names whose choices are written `value[x]`."""
    if path in names:
        return True
    outer, dot, last = path.rpartition(".")
    ends = [at for at, letter in enumerate(last) if letter.isupper()]
    return any(f"{outer}{dot}{last[:at]}{_CHOICE}" in names for at in ends)
