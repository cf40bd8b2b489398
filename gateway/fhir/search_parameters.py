"""R4's search parameters: what kind each is, which elements it reads, what it may point at (profiles/fhir/search.json).

Rules of this file
1. Paths are JSON names with dots; a choice is there by its JSON names, `telecom[system=phone]` are the members that say
   so. A parameter without paths reads what the table cannot tell.
2. What the table does not know is answered with None, never with a guess.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.fhir.elements import Elements

_BASES: Final = ("DomainResource", "Resource")


class SearchParameter(msgspec.Struct, frozen=True, array_like=True):
    """One search parameter: its kind (token, reference, date …), the paths it reads, its targets (empty: any)."""

    kind: str
    paths: tuple[str, ...]
    targets: tuple[str, ...]

    @property
    def elements(self) -> frozenset[str]:
        """The type's own elements that its paths begin with."""
        return frozenset(path.partition(".")[0].partition("[")[0] for path in self.paths)


class _File(msgspec.Struct, frozen=True):
    source: dict[str, str]
    parameters: dict[str, dict[str, SearchParameter]]


_DECODER: Final = msgspec.json.Decoder(_File)


class SearchParameters:
    """The table. Immutable; loaded once at start-up. `elements` is R4's table of elements, of the same version."""

    def __init__(self, facts: _File, elements: Elements) -> None:
        """Take the decoded table; see `from_json`."""
        self._named, self.elements = facts.parameters, elements

    @classmethod
    def from_json(cls, raw: bytes, elements: Elements) -> "SearchParameters":
        """Give the table that the text of search.json says. Raises msgspec.DecodeError for any other text."""
        return cls(_DECODER.decode(raw), elements)

    def of(self, type_: str) -> Mapping[str, SearchParameter]:
        """Give every search parameter of a resource type by name, those of all types included."""
        found: dict[str, SearchParameter] = {}
        for base in (*reversed(_BASES), type_):
            found |= self._named.get(base, {})
        return found

    def get(self, type_: str, name: str) -> SearchParameter | None:
        """Give one search parameter of a resource type, None where R4 has none of that name."""
        for base in (type_, *_BASES):
            if (found := self._named.get(base, {}).get(name)) is not None:
                return found
        return None

    def targets(self, type_: str, found: SearchParameter) -> frozenset[str]:
        """Give the types a reference parameter may point at, none for any: by R4's parameter and by its element
        together, because R4's parameter says by mistake that Condition.subject is an Organization."""
        if not found.targets:
            return frozenset()
        pointed = [self.elements.reference_targets(type_, pointer(path)) for path in found.paths]
        return frozenset(found.targets).union(*(types for types in pointed if types))

    def namesakes(self, type_: str, name: str, pointed: str) -> tuple[str, ...]:
        """Give the other reference parameters that read the same elements and may point at records of a type: servers
        are seen to know a patient's records by `patient` alone, or by `subject`."""
        table = self.of(type_)
        own = table.get(name)
        return tuple(
            other
            for other, found in sorted(table.items())
            if own is not None and other != name and (found.kind, found.paths) == (own.kind, own.paths)
            if pointed in (self.targets(type_, found) or {pointed})
        )

    def only_references(self, type_: str, found: SearchParameter) -> bool:
        """Say whether every path of a parameter is a Reference: then it can be followed (`_include`, chains)."""
        at = [self.elements.at(type_, pointer(path)) for path in found.paths]
        return found.kind == "reference" and bool(at) and all(one and one.types == ("Reference",) for one in at)


def pointer(path: str) -> str:
    """Give the place of a path as a pointer, without the members' conditions."""
    return "".join(f"/{step.partition('[')[0]}" for step in path.split("."))
