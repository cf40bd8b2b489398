"""What came along only for the sake of what is withheld: included records, contained ones, those of no patient.

Rules of this file (leaks.md L015, L034)
1. A reference that is cut leads nowhere.
2. What a search included must be reached from a released match, or point at one.
3. In a Bundle that is no search answer, a record of no patient that withheld records or cut references name goes unless
   a released record names it; so does one of no patient that names such a one (the role that makes a doctor theirs).
4. A contained resource that only cut references named goes with them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from gateway.decision.model import Cause
from gateway.decision.opinion import Opinion
from gateway.decision.parts import within
from gateway.fhir.bundle import Document
from gateway.fhir.resolver import Resolved, Resolver
from gateway.fhir.view import ResourceView, every_view
from gateway.fhir.walk import ReferenceAt

UNREACHED: Final = Cause(
    layer="residue",
    effect="deny",
    rule="unreached-include",
    deny_class="discretionary",
    cite="leaks.md L015",
    say="It is there only for the sake of a record that is withheld.",
    reason="law_other",
)


class Reach:
    """Finds the unreached in one document; `opinion_of` gives what is thought of a resource now, `resolve` what a
    reference of it leads to."""

    def __init__(
        self,
        document: Document,
        resolver: Resolver,
        resolve: Callable[[ResourceView, ReferenceAt], Resolved],
        opinion_of: Callable[[ResourceView], Opinion],
    ) -> None:
        self.resolver, self.resolve, self.opinion_of = resolver, resolve, opinion_of
        self.everything = [view for top in document.views for view in every_view(top)]
        entries = document.bundle.entries if document.bundle else ()
        search = document.bundle is not None and document.bundle.type == "searchset"
        self.included = frozenset(id(entry.view) for entry in entries if entry.mode == "include")
        self.worlds = [] if search or self.included else [document.views]
        self.worlds += [view.inner for view in self.everything if view.type == "Bundle"]
        self.document = document
        self.definitions: dict[str, list[ResourceView]] = {}
        for view in document.views:
            if isinstance(url := view.tree.get("url"), str):
                self.definitions.setdefault(url, []).append(view)

    def unreached(self) -> Iterator[ResourceView]:
        """Give the released resources that nothing released leads to any more."""
        for view in self.everything:
            if self.opinion_of(view).released:
                yield from self._orphans(view)
        if self.included:
            yield from self._not_reached(self.document.views, self.included)
        for views in self.worlds:
            if suspects := self._suspects(views):
                yield from self._not_reached(views, suspects)

    def _orphans(self, view: ResourceView) -> Iterator[ResourceView]:
        """Give the contained resources that were named, and are no longer."""
        contained = {id(inner): inner for inner in view.inner if self.resolver.is_contained(inner)}
        if not contained:
            return
        within_it = (view, *(deeper for inner in contained.values() for deeper in every_view(inner)))
        kept = {id(target) for one in within_it for target in self._standing(one)}
        lost = {id(target) for one in within_it for target in self._lost(one)}
        for key, inner in contained.items():
            if key in lost - kept and self.opinion_of(inner).released:
                yield inner

    def _suspects(self, views: Sequence[ResourceView]) -> frozenset[int]:
        """Give the records of no patient that withheld records and cut references name, and those that name these."""
        plain = {id(view): view for view in views if not self.opinion_of(view).patient_bearing}
        if not plain:
            return frozenset()
        inside = _tops(views)
        lost = (inside.get(id(target)) for top in views for view in every_view(top) for target in self._lost(view))
        found = {key for key in lost if key in plain}
        links = {key: self._links_of(view, inside) for key, view in plain.items()} if found else {}
        grown = bool(found)
        while grown:
            forward = set().union(*(links[key] for key in found)) & plain.keys()
            back = {key for key, ahead in links.items() if not ahead.isdisjoint(found)}
            grown = not (forward | back) <= found
            found |= forward | back
        return frozenset(found)

    def _not_reached(self, views: Sequence[ResourceView], candidates: frozenset[int]) -> Iterator[ResourceView]:
        inside = _tops(views)
        released = {id(view): view for view in views if self.opinion_of(view).released}
        links = {key: self._links_of(view, inside) for key, view in released.items()}
        reached = released.keys() - candidates
        waiting = released.keys() & candidates
        grown = True
        while grown:
            forward = set().union(*(links[key] for key in reached))
            new = {key for key in waiting if key in forward or self._leads_back(released[key], links[key], reached)}
            grown = bool(new)
            reached, waiting = reached | new, waiting - new
        yield from (view for key, view in released.items() if key in waiting)

    def _leads_back(self, view: ResourceView, links: set[int], reached: AbstractSet[int]) -> bool:
        """Say whether a record points at what is reached: with one of its references, or, of no patient, with all."""
        if self.opinion_of(view).patient_bearing:
            return not links.isdisjoint(reached)
        return bool(links) and links <= reached

    def _links_of(self, view: ResourceView, inside: Mapping[int, int]) -> set[int]:
        """Give the siblings that a resource names and still may."""
        tops = (inside.get(id(target)) for one in every_view(view) for target in self._standing(one))
        return {top for top in tops if top is not None} - {id(view)}

    def _lost(self, view: ResourceView) -> Iterator[ResourceView]:
        """Give what a resource named before it was withheld or edited."""
        opinion = self.opinion_of(view)
        cut = opinion.cut
        return (target for at, target in self._named(view) if not opinion.released or within(at, cut))

    def _standing(self, view: ResourceView) -> Iterator[ResourceView]:
        """Give what a released resource still names; a withheld one names nothing."""
        opinion = self.opinion_of(view)
        cut = opinion.cut
        return (target for at, target in self._named(view) if opinion.released and not within(at, cut))

    def _named(self, view: ResourceView) -> Iterator[tuple[str, ResourceView]]:
        for found in view.references:
            yield from ((found.at, target) for target in self.resolve(view, found).views)
        for link in view.links:
            known = self.definitions.get(link.text.partition("|")[0], ())
            yield from ((link.at, target) for target in (*self.resolver.resolve_text(view, link.text).views, *known))


def _tops(views: Sequence[ResourceView]) -> dict[int, int]:
    return {id(inner): id(top) for top in views for inner in every_view(top)}
