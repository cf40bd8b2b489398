"""What becomes of each reference and address in a released resource: it stays, or goes with what it leads to.

Rules of this file (leaks.md L032, L052; trade-offs "references to withheld resources")
1. A reference to what is withheld goes. So does one whose target could be withheld and is not known.
2. Types that policy never withholds keep their references; so does the subject, whom the recipient asked about.
3. An address (uri, url, canonical) of a record is a reference, and so is its name in a text. A Binary is as releasable
   as its owners; one beside the document is there for its labels alone: whoever else owns it may be hidden (L012).
4. A name of a Part 2 program that is not this record's source goes, unless the record could go with the program's tag.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Final

import msgspec

from gateway.decision.bench import Bench
from gateway.decision.model import Cause, Verdict
from gateway.decision.opinion import Opinion
from gateway.decision.restated import summed_up
from gateway.decision.sources import type_named
from gateway.fhir.identifiers import NAMES as IDENTIFIERS
from gateway.fhir.origins import encounter_references, source_references
from gateway.fhir.patients import NO_PATIENT_TYPES
from gateway.fhir.pointer import element_path
from gateway.fhir.references import Local, Logical, names_in, uuids_in
from gateway.fhir.resolver import Resolved
from gateway.fhir.view import ResourceView
from gateway.fhir.walk import ReferenceAt, TextAt

CONTEXT: Final = "/context/"
# What tells where a record comes from.
_TELLING: Final = frozenset({"Encounter", "EpisodeOfCare", "Organization", "PractitionerRole"})
_PLACES_OF_WORK: Final = frozenset({"Organization", "PractitionerRole"})
# What a logical reference may name without telling of a record: people, places, and the plan that pays.
_NAMES_NO_RECORD: Final = frozenset(
    {"CareTeam", "Coverage", "Device", "Group", "Location", "Organization", "Patient", "Practitioner"}
    | {"PractitionerRole", "RelatedPerson"}
)


class Kind(Enum):
    """What becomes of one reference."""

    KEEP = "keep"
    CUT = "cut"  # what it leads to is withheld
    UNKNOWN = "unknown"  # its target could be withheld and is not known
    UNNAMED = "unnamed"  # it stays, its display and identifier go


class Fate(msgspec.Struct, frozen=True):
    """What becomes of one reference, and the deny behind it where there is one. `of` is the type of what it leads to,
    as far as that is said; `targets` are the withheld records themselves, where they are known."""

    kind: Kind
    cause: Cause | None = None
    of: str | None = None
    targets: tuple[ResourceView, ...] = ()


POINTS_AT_WITHHELD: Final = Cause(
    layer="residue",
    effect="deny",
    rule="points-at-withheld",
    deny_class="discretionary",
    cite="leaks.md L032",
    say="The element points at a record that is withheld.",
    reason="law_other",
)
_KEEP: Final = Fate(Kind.KEEP)
_UNKNOWN: Final = Fate(Kind.UNKNOWN)
_CUT: Final = Fate(Kind.CUT, POINTS_AT_WITHHELD)
_UNNAMED: Final = Fate(Kind.UNNAMED)


class Fates:
    """Answers for one document; `opinion_of` gives what is thought of a resource now."""

    def __init__(self, bench: Bench, opinion_of: Callable[[ResourceView], Opinion]) -> None:
        self.bench, self.opinion_of = bench, opinion_of
        self.policy = bench.facts.policy
        self._unknown_is_sensitive = self.policy.on("unknown_source_is_sensitive")
        self._no_patient = self.policy.no_patient_types | NO_PATIENT_TYPES
        self._told: dict[int, tuple[tuple[str, tuple[ResourceView, ...]], ...]] = {}  # records named in texts
        self._known_origin: dict[int, bool] = {}  # of records of the context, by identity

    def of_reference(self, view: ResourceView, found: ReferenceAt) -> Fate:
        """Say what becomes of one reference of a released resource. What has only a display, where R4 knows no
        Reference, is none."""
        if found.reference is None and found.identifier is None and found.at not in self.opinion_of(view).hidden:
            element = self.bench.tools.elements.at(view.type, found.at)
            if element is not None and "Reference" not in element.types:
                return _KEEP
        resolved = self.bench.sources.resolve(view, found)
        if (cause := self.opinion_of(view).hidden.get(found.at)) is not None:
            kind = type_named(resolved)
            return Fate(Kind.CUT, cause, kind, () if summed_up(kind) else resolved.views)
        fate = _UNKNOWN if self._hides(found.reference) else self._of_named(view, found)
        return fate if fate.kind is Kind.KEEP else msgspec.structs.replace(fate, of=type_named(resolved))

    def _of_named(self, view: ResourceView, found: ReferenceAt) -> Fate:
        resolved = self.bench.sources.resolve(view, found)
        if not all(map(_for_its_labels, resolved.views)):
            return self._of_seen(resolved)
        if self.bench.sources.registered(view, found):
            return _KEEP
        if isinstance(resolved.target, Local):
            return self._of_unseen(resolved.target.type)
        if isinstance(resolved.target, Logical):
            return self._of_logical(view, found)
        return _KEEP if type_named(resolved) in self.policy.no_patient_types and not self._place(resolved) else _UNKNOWN

    def of_address(self, view: ResourceView, link: TextAt) -> Fate:
        """Say what becomes of one address in a released resource; a Binary that is not here is its owner's content."""
        if self._hides(link.text):
            return _UNKNOWN
        resolved = self.bench.resolver.resolve_text(view, link.text)
        if withheld := self._withheld(resolved.views):
            return msgspec.structs.replace(_CUT, targets=withheld)
        if resolved.views or not isinstance(resolved.target, Local):
            return _KEEP
        kind = resolved.target.type
        known = kind in self._no_patient | {"Binary", "Patient"} or not self.bench.tools.elements.is_resource(kind)
        return _KEEP if known else _UNKNOWN

    def of_texts(self, view: ResourceView) -> Iterator[tuple[str, Fate]]:
        """Give the texts of a resource that name a withheld record by type and id: what quotes it is of it."""
        if id(view) not in self._told:
            self._told[id(view)] = tuple(self._named_in_texts(view))
        for at, targets in self._told[id(view)]:
            if withheld := self._withheld(targets):
                yield at, msgspec.structs.replace(_CUT, targets=withheld)

    def _named_in_texts(self, view: ResourceView) -> Iterator[tuple[str, tuple[ResourceView, ...]]]:
        for text in view.texts:
            resolver = self.bench.resolver
            found = tuple(one for name in names_in(text.text) for one in resolver.resolve_text(view, name).views)
            found += tuple(one for uuid in uuids_in(text.text) for one in resolver.identified(uuid))
            if found:
                yield _whole(text.at), found

    def _withheld(self, targets: Iterable[ResourceView]) -> tuple[ResourceView, ...]:
        return tuple(one for one in targets if not self.opinion_of(one).released and not _for_its_labels(one))

    def _hides(self, address: str | None) -> bool:
        """Say whether an address names the upstream in a way that cannot be told as ours (L025)."""
        outward = self.bench.facts.outward
        return outward is not None and address is not None and outward.hides(address)

    def companion_lost(self, view: ResourceView) -> bool:
        """Say whether a resource stands or falls with another that is not wholly disclosed: a Binary with its owners,
        the answer to a claim (its sums and lines are the claim's) with the claim."""
        if view.type == "ClaimResponse":
            claims = (self.bench.sources.resolve(view, f) for f in view.references if f.at == "/request")
            return any(self.opinion_of(one).verdict is not Verdict.DISCLOSED for found in claims for one in found.views)
        if view.type == "Binary":
            return any(not self.opinion_of(owner).released for owner in self.bench.owners_of(view))
        return False

    def _of_seen(self, resolved: Resolved) -> Fate:
        if withheld := self._withheld(resolved.views):
            return _UNNAMED if type_named(resolved) == "Patient" else msgspec.structs.replace(_CUT, targets=withheld)
        if any(not target.at.startswith(CONTEXT) for target in resolved.views):
            return _KEEP  # it is in the document, and was decided on there
        return _KEEP if all(self._traceable(target) for target in resolved.views) else _UNKNOWN

    def _traceable(self, view: ResourceView) -> bool:
        """Say whether it is known where a record of the context comes from. One that could be a Part 2 program's, for
        all that was gathered, is not known to be releasable."""
        if not view.at.startswith(CONTEXT) or not self._unknown_is_sensitive:
            return True
        if id(view) not in self._known_origin:
            self._known_origin[id(view)] = self._has_known_origin(view)
        return self._known_origin[id(view)]

    def _has_known_origin(self, view: ResourceView) -> bool:
        sources = ((f, self.bench.sources.resolve(view, f)) for f in _telling(view))
        return all(
            resolved.views or type_named(resolved) not in _TELLING or self.bench.sources.registered(view, found)
            for found, resolved in sources
        )

    def _of_unseen(self, resource_type: str) -> Fate:
        if resource_type == "Patient":
            return _KEEP
        if resource_type in _PLACES_OF_WORK and self._unknown_is_sensitive:
            return _UNKNOWN
        if self.bench.names_receivers_records:
            return _KEEP
        return _KEEP if resource_type in self.policy.no_patient_types else _UNKNOWN

    def _of_logical(self, view: ResourceView, found: ReferenceAt) -> Fate:
        never = _NAMES_NO_RECORD | self.policy.no_patient_types
        targets = self.bench.tools.elements.reference_targets(view.type, found.at)
        if found.type is not None:
            targets = frozenset({found.type}) if targets is None or found.type in targets else frozenset()
        return _KEEP if targets is not None and targets & never else _UNKNOWN

    def _place(self, resolved: Resolved) -> bool:
        return type_named(resolved) in _PLACES_OF_WORK and self._unknown_is_sensitive


def _for_its_labels(view: ResourceView) -> bool:
    return view.type == "Binary" and view.at.startswith(CONTEXT)


def _whole(at: str) -> str:
    """Give the Identifier of which a text is the value, which says nothing without it; any other pointer as it is."""
    outer, _, name = at.rpartition("/")
    return outer if name == "value" and element_path(outer).rpartition(".")[2] in IDENTIFIERS else at


def _telling(view: ResourceView) -> Iterable[ReferenceAt]:
    return (*source_references(view), *encounter_references(view))
