"""What is known around a resource when it is labelled: who made it, and what the records above it were labelled.

Rules of this file
1. Values only; `facts` finds them, `assign` uses them.
2. Whoever is not known to be outside Part 2 is not outside it.
"""

from enum import StrEnum

import msgspec

from gateway.labels.model import Label


class SourceKind(StrEnum):
    """What the directory knows of an organisation or practitioner that a record names as its source."""

    PART2 = "part2"  # a Part 2 program, or someone of one
    NOT_PART2 = "not_part2"  # known to be outside Part 2
    UNREGISTERED = "unregistered"  # resolved, but not in the directory
    UNKNOWN = "unknown"  # not resolvable: nothing is known of it


class Source(msgspec.Struct, frozen=True):
    """One source a record names: the pointer of the reference, what it is, and the participant's id ("" unknown; of a
    program known by its name alone what no participant is called, so that nothing is permitted for its sake)."""

    at: str
    kind: SourceKind
    participant: str = ""


class LabelContext(msgspec.Struct, frozen=True):
    """`source_kinds`: every source the record names. `propagated`: labels of the Encounter, parent or document it
    belongs to, with Basis.CONTEXT and the pointer of the reference or ""."""

    source_kinds: tuple[Source, ...] = ()
    propagated: tuple[Label, ...] = ()

    @property
    def unresolved(self) -> bool:
        """Whether a source is named of which nothing is known."""
        return any(source.kind is SourceKind.UNKNOWN for source in self.source_kinds)

    @property
    def outside_part2(self) -> bool:
        """Whether a source is named and every one of them is known to be outside Part 2."""
        kinds = {source.kind for source in self.source_kinds}
        return kinds == {SourceKind.NOT_PART2}
