"""What a record carries of the records it belongs to or stands for: propagation of labels along references.

Rules of this file (labels.md sections 2 and 6; docs/labels.md says why)
1. Only along references the record makes itself: what a record is never depends on what lies beside it in an answer.
2. A part carries what its whole is about: visit, episode, larger event, request; never a whole what one part is about.
3. A visit is about what it was for: its own codes, its reasons and principal diagnoses; other diagnoses do not count.
4. A drug, substance or service means what it is, and so does the place where something was done (labels.places), but
   for one that is registered. Attachment and Binary, and section and entries, are one document.
5. Sensitivities, policies, unknown codes and received levels above N are carried; handling codes and defaults are not.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from gateway.fhir.bundle import Bundle
from gateway.fhir.origins import encounter_references
from gateway.fhir.pointer import element_path, index, segments
from gateway.fhir.resolver import Resolver
from gateway.fhir.view import ResourceView
from gateway.fhir.walk import ReferenceAt
from gateway.labels.assign import IMPLIED, UNCLASSIFIED
from gateway.labels.model import Basis, Confidentiality, Kind, Label, Labels
from gateway.labels.places import PLACES, of_place, places, wider

Resolve = Callable[[ResourceView, ReferenceAt], tuple[ResourceView, ...]]

# Beside encounters and episodes: the larger event a record is part of, or the one request it answers.
_WHOLES: Final[Mapping[str, frozenset[str]]] = {
    "AppointmentResponse": frozenset({"appointment"}),
    "Binary": frozenset({"securityContext"}),
    "ClaimResponse": frozenset({"request"}),
    "CoverageEligibilityResponse": frozenset({"request"}),
    "Encounter": frozenset({"appointment", "partOf"}),
    "EnrollmentResponse": frozenset({"request"}),
    "ExplanationOfBenefit": frozenset({"claim", "claimResponse"}),
    "ImmunizationEvaluation": frozenset({"immunizationEvent"}),
    "Media": frozenset({"partOf"}),
    "MedicationAdministration": frozenset({"partOf"}),
    "MedicationDispense": frozenset({"partOf"}),
    "MedicationStatement": frozenset({"partOf"}),
    "Observation": frozenset({"partOf"}),
    "PaymentNotice": frozenset({"request", "response"}),
    "Procedure": frozenset({"partOf"}),
}
# What has lines of its own says by them what it is about: the claim's other lines are no matter of it.
_ITEMISED: Final = frozenset({"ExplanationOfBenefit"})
_LINES: Final = frozenset({"item", "addItem"})
_VISITS: Final = frozenset({"Appointment", "Encounter", "EpisodeOfCare"})
# R4 Encounter.diagnosis.use (diagnosis-role): admission, discharge and chief complaint say what the visit was for.
_PRINCIPAL: Final = frozenset({"AD", "CC", "DD"})
_BY_WHAT_THEY_ARE: Final = frozenset({"HealthcareService", "Medication", "Substance"})
_NEVER: Final = frozenset({"Patient"})  # membership of a person in something is the membership's matter
_CARRIED: Final = frozenset({Kind.SENSITIVITY, Kind.POLICY, Kind.UNKNOWN})
_DEPTH: Final = 4  # wholes of wholes


def wholes(view: ResourceView) -> tuple[ReferenceAt, ...]:
    """Give the references of a record to what it belongs to, at any depth (a claim's lines)."""
    itemised = view.type in _ITEMISED and not _LINES.isdisjoint(view.tree)
    paths = frozenset[str]() if itemised else _WHOLES.get(view.type, frozenset())
    more = tuple(found for found in view.references if element_path(found.at) in paths) if paths else ()
    return (*encounter_references(view), *more)


def matters(view: ResourceView) -> tuple[ReferenceAt, ...]:
    """Give the references of a visit to what it was for: its reasons and principal diagnoses."""
    if view.type not in _VISITS:
        return ()
    return tuple(found for found in view.references if _says_what_for(view, found.at))


def carrying(view: ResourceView) -> tuple[ReferenceAt, ...]:
    """Give the references whose targets a record carries labels of: what must be gathered to label it."""
    return (*wholes(view), *matters(view))


def addresses(view: ResourceView) -> Iterator[tuple[str, str]]:
    """Give the addresses that the attachments of a record have in place of content, each with its attachment."""
    if not view.attachments or not view.links:
        return
    by_place = {link.at: link.text for link in view.links}
    for at in view.attachments:
        if (address := by_place.get(f"{at}/url")) is not None:
            yield at, address


def _says_what_for(view: ResourceView, at: str) -> bool:
    path = element_path(at)
    return path == "reasonReference" or (path == "diagnosis.condition" and _principal(view.tree, at))


def _principal(tree: Mapping[str, Any], at: str) -> bool:
    """Whether the diagnosis at or around a pointer says that the visit was for it: by rank or by role."""
    number = index(segments(at)[1])
    listed = tree.get("diagnosis")
    one = listed[number] if isinstance(listed, list) and number is not None and number < len(listed) else None
    if not isinstance(one, dict):
        return False
    role = one.get("use") if "use" in one else one.get("role")
    codings = role.get("coding") if isinstance(role, dict) else None
    codes = {str(c.get("code")) for c in codings if isinstance(c, dict)} if isinstance(codings, list) else set()
    return one.get("rank") == 1 or not _PRINCIPAL.isdisjoint(codes)


class Propagation:
    """Finds what the records of one document and its context carry of each other."""

    def __init__(
        self,
        resolver: Resolver,
        own: Callable[[ResourceView], Labels],
        documents: Iterable[Iterable[ResourceView]] = (),
        resolve: Resolve | None = None,
        registered: Callable[[ResourceView, ReferenceAt], bool] = lambda _view, _found: False,
    ) -> None:
        """`own` labels a record without propagation; `documents` are the entries of each document Bundle; `resolve`
        is the reader of references where the resolver's alone is not enough; `registered` says whether one names
        somebody whom the directory knows."""
        self._resolver, self._own, self._registered = resolver, own, registered
        self._resolve: Resolve = resolve or (lambda view, found: resolver.resolve(view, found).views)
        self._known: dict[int, tuple[ResourceView, tuple[Label, ...]]] = {}
        self._wholes: dict[int, tuple[ResourceView, tuple[Label, ...]]] = {}
        self._places: dict[int, tuple[ResourceView, tuple[Label, ...]]] = {}
        self._held: dict[int, list[tuple[ResourceView, str]]] = {}
        for views in documents:
            self._enter(views)

    def _enter(self, views: Iterable[ResourceView]) -> None:
        for view in views:
            if view.type == "Composition":
                for found in view.references:
                    if section_of(found.at) and element_path(found.at).endswith("section.entry"):
                        for target in self._resolve(view, found):
                            self._held.setdefault(id(target), []).append((view, found.at))

    def enter_attachments(self, views: Iterable[ResourceView]) -> None:
        """Take notice of the Binaries that attachments of these records name: they are the record's content."""
        for view in views:
            for _, binary in self._binaries(view):
                self._held.setdefault(id(binary), []).append((view, ""))

    def labels(self, view: ResourceView) -> tuple[Label, ...]:
        """Give what one record carries, each at the reference that brings it ("" for what holds it)."""
        if view.type in _NEVER:
            return ()
        found = list(self._carried(view, frozenset({id(view)}), _DEPTH))
        for at, binary in self._binaries(view):
            found += self._moved(self._about(binary, frozenset({id(view), id(binary)}), _DEPTH), binary, at)
        for holder, entry in self._held.get(id(view), ()):
            labels = self._told(holder)
            found += self._moved((one for one in labels if _speaks_of(one, entry)) if entry else labels, holder, "")
        return tuple(dict.fromkeys(found))

    def _carried(self, view: ResourceView, seen: frozenset[int], depth: int) -> Iterator[Label]:
        for found in view.references:
            for target in self._resolve(view, found) if _may_mean(found) else ():
                if target.type in _BY_WHAT_THEY_ARE and target is not view:
                    yield from self._moved(self._told(target), target, found.at)
        yield from self._where(view, places(view), _DEPTH)
        if view.type in _VISITS:
            yield from self._for(view)
        for found in wholes(view) if depth else ():
            for target in self._resolve(view, found):
                if id(target) not in seen and target.type not in _NEVER:
                    yield from self._moved(self._about(target, seen, depth - 1), target, found.at)

    def _where(self, view: ResourceView, named: Iterable[ReferenceAt], depth: int) -> Iterator[Label]:
        """Give what the places are that a record names, or what the place is that one is a part of."""
        for found in named:
            targets = [one for one in self._resolve(view, found) if one.type in PLACES and one is not view]
            if targets and not self._registered(view, found):
                for target in targets:
                    yield from self._moved(self._place(target, depth), target, found.at)

    def _place(self, place: ResourceView, depth: int) -> tuple[Label, ...]:
        """Give what a place is; worked out once for one that is part of nothing, as nearly all are."""
        key = id(place)
        if key in self._places:
            return self._places[key][1]
        above = wider(place) if depth else ()
        own = () if place.type in _BY_WHAT_THEY_ARE else of_place(place, self._told(place))
        found = (*own, *self._where(place, above, depth - 1))
        if not above:
            self._places[key] = (place, found)
        return found

    def _about(self, whole: ResourceView, seen: frozenset[int], depth: int) -> tuple[Label, ...]:
        """Give what a whole is about; worked out once for one that belongs to nothing further, as nearly all do."""
        key = id(whole)
        if key in self._wholes:
            return self._wholes[key][1]
        about = (*self._told(whole), *self._carried(whole, seen | {key}, depth))
        if not wholes(whole):
            self._wholes[key] = (whole, about)
        return about

    def _for(self, view: ResourceView) -> Iterator[Label]:
        """Give what all the known reasons of a visit share: where one of several is another matter, the visit is not
        only about this one, and its reference to it goes instead."""
        known = [(found.at, target) for found in matters(view) for target in self._resolve(view, found)]
        kept = [(at, target, self._told(target)) for at, target in known if target is not view]
        shared = (
            frozenset.intersection(*(frozenset((one.kind, one.code) for one in told) for _, _, told in kept))
            if kept
            else frozenset()
        )
        for at, target, told in kept:
            yield from self._moved((one for one in told if (one.kind, one.code) in shared), target, at)

    def _binaries(self, view: ResourceView) -> Iterator[tuple[str, ResourceView]]:
        for at, address in addresses(view):
            targets = self._resolver.resolve_text(view, address).views
            yield from ((at, one) for one in targets if one.type == "Binary")

    def _told(self, view: ResourceView) -> tuple[Label, ...]:
        """Give the labels of a record's own that others carry: those that speak of what it is about."""
        key = id(view)
        if key not in self._known:
            told = (one for one in self._own(view).labels if _is_carried(one) and not _aside(view, one.at))
            self._known[key] = (view, tuple(told))
        return self._known[key][1]

    def _moved(self, labels: Iterable[Label], target: ResourceView, at: str) -> Iterator[Label]:
        whose = f"{target.type}/{target.id}" if target.id else target.type
        for one in labels:
            yield Label(one.kind, one.system, one.code, Basis.CONTEXT, at, f"{whose}: {one.source or one.basis}")


def document_entries(bundle: Bundle | None, views: Iterable[ResourceView]) -> Iterator[tuple[ResourceView, ...]]:
    """Give the entries of every document Bundle: the outermost, and those nested among `views`."""
    if bundle is not None and bundle.type == "document":
        yield tuple(entry.view for entry in bundle.entries if entry.view is not None)
    yield from (view.inner for view in views if view.type == "Bundle" and view.tree.get("type") == "document")


def _may_mean(found: ReferenceAt) -> bool:
    """Whether a reference may lead to a drug, substance or service: not where it says that it leads elsewhere."""
    kind, slash, _ = (found.reference or "").partition("/")
    return not (slash and kind.isalpha()) or kind in _BY_WHAT_THEY_ARE


def _is_carried(label: Label) -> bool:
    if label.basis is Basis.DEFAULT or label.source == UNCLASSIFIED:
        return False
    if label.kind is Kind.CONFIDENTIALITY:
        stated = label.basis is Basis.RECEIVED and label.at == "" and not label.source.startswith(IMPLIED)
        return stated and Confidentiality[label.code] > Confidentiality.N
    return label.kind in _CARRIED


def _aside(view: ResourceView, at: str) -> bool:
    """Whether a label of a visit stands at a diagnosis that the visit was not for."""
    return view.type in _VISITS and at.startswith("/diagnosis/") and not _principal(view.tree, at)


def section_of(at: str) -> str:
    """Give the innermost section that a pointer of a Composition lies in, "" for none."""
    steps = at.split("/")
    last = 0
    while steps[last + 1 : last + 2] == ["section"] and last + 2 < len(steps):
        last += 2
    return "/".join(steps[: last + 1])


def _speaks_of(label: Label, entry: str) -> bool:
    """Whether a Composition's label says what the section of an entry is: by code, title or a label of the section."""
    section = section_of(label.at)
    if not section or not f"{entry}/".startswith(f"{section}/"):
        return False
    where = label.at.removeprefix(section).split("/")[1:2]
    return (label.basis is Basis.RECEIVED and not where) or where in (["code"], ["title"])
