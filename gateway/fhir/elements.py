"""What R4 says of every element: how often, of which types, pointing at what (profiles/fhir/elements.json, parsed).

Rules of this file
1. Array indexes in a pointer are ignored, `_x` speaks of `x`, and a choice is found by its JSON name (`valueString`).
2. What the table does not know is answered with None, never with a guess: unknown means any type, any target.
"""

from functools import lru_cache
from typing import Final

import msgspec

from gateway.fhir.pointer import index, segments


class Element(msgspec.Struct, frozen=True, array_like=True):
    """One element: `max` 0 is no limit; `types` are type names, or a path with a dot for a backbone; `targets` are
    the resource types that a Reference may point at, empty for any."""

    min: int
    max: int
    types: tuple[str, ...]
    targets: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        """Whether a resource, or the backbone it stands in, is not valid without it."""
        return self.min > 0

    @property
    def repeats(self) -> bool:
        """Whether it is an array in JSON."""
        return self.max != 1

    @property
    def backbone(self) -> bool:
        """Whether it is a structure of its own, defined in place."""
        return any("." in name for name in self.types)


class _Type(msgspec.Struct, frozen=True, array_like=True):
    base: str
    elements: dict[str, Element]


class _File(msgspec.Struct, frozen=True):
    source: dict[str, str]
    resources: frozenset[str]
    types: dict[str, _Type]


_SHORT: Final = 128
_FILE: Final = msgspec.json.Decoder(_File)


class Elements:
    """The element table. Immutable; loaded once at start-up."""

    def __init__(self, facts: _File) -> None:
        """Take the decoded table; see `from_json`."""
        self._types = facts.types
        self.resources = facts.resources
        self._named = {name: _by_json_name(kind.elements) for name, kind in facts.types.items()}
        # Where references stand, never what they say: the same few hundred places again and again.
        self._kept = lru_cache(maxsize=4096)(self._targets)

    @classmethod
    def from_json(cls, raw: bytes) -> "Elements":
        """Give the table that the text of elements.json says. Raises msgspec.DecodeError for any other text."""
        return cls(_FILE.decode(raw))

    def is_resource(self, name: str) -> bool:
        """Say whether R4 has a resource type of this name."""
        return name in self.resources

    def at(self, kind: str, pointer: str) -> Element | None:
        """Give what R4 says of the element at `pointer` in resource type `kind`, None where it says nothing."""
        here: str | None = kind
        found: Element | None = None
        for segment in segments(pointer):
            if index(segment) is not None:
                continue
            if here is None:
                return None
            found = self._child(here, segment)
            here = found.types[0] if found is not None and len(found.types) == 1 else None
        return found

    def is_required(self, kind: str, pointer: str) -> bool:
        """Say whether the element at `pointer` has a minimum above zero where it stands."""
        found = self.at(kind, pointer)
        return found is not None and found.required

    def reference_targets(self, kind: str, pointer: str) -> frozenset[str] | None:
        """Give the resource types that the Reference at `pointer` may point at, None for any or unknown."""
        kept = len(pointer) < _SHORT and kind in self.resources
        return self._kept(kind, pointer) if kept else self._targets(kind, pointer)

    def _targets(self, kind: str, pointer: str) -> frozenset[str] | None:
        found = self.at(kind, pointer)
        return frozenset(found.targets) if found is not None and found.targets else None

    def children(self, kind: str) -> dict[str, Element]:
        """Give the elements of a type or backbone by name (choices as `value[x]`), inherited ones included."""
        own = self._types.get(kind)
        return {} if own is None else self.children(own.base) | own.elements

    def required_children(self, kind: str) -> frozenset[str]:
        """Give the names of the elements that a type or backbone is not valid without (choices as `value[x]`)."""
        return frozenset(name for name, element in self.children(kind).items() if element.required)

    def types_named(self, name: str) -> frozenset[str]:
        """Give every type that an element of this JSON name has anywhere in R4 (used to hold other tables to this)."""
        return frozenset(kind for named in self._named.values() if name in named for kind in named[name].types)

    def names(self) -> frozenset[str]:
        """Give every JSON name that an element has anywhere in R4."""
        return frozenset(name for named in self._named.values() for name in named)

    def _child(self, kind: str, segment: str) -> Element | None:
        if segment.startswith("_"):
            value = self._child(kind, segment[1:])
            return msgspec.structs.replace(value, min=0, types=("Element",), targets=()) if value else None
        here = kind
        while here:
            if (found := self._named.get(here, {}).get(segment)) is not None:
                return found
            here = self._types[here].base if here in self._types else ""
        return None


def _by_json_name(elements: dict[str, Element]) -> dict[str, Element]:
    named = {}
    for name, element in elements.items():
        if not name.endswith("[x]"):
            named[name] = element
            continue
        for kind in element.types:
            targets = element.targets if kind == "Reference" else ()
            json_name = f"{name[:-3]}{kind[0].upper()}{kind[1:]}"
            named[json_name] = msgspec.structs.replace(element, types=(kind,), targets=targets)
    return named
