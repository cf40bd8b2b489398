"""What references lead to inside their own document: fullUrls, ids, contained and nested resources (L007, L034, L035).

Rules of this file
1. An entry is found by its fullUrl and by its type and id on this server; a contained resource only from inside its
   container; an entry of another server only by its URL there.
2. Where several resources answer to one reference, all of them are given: the reader takes them together.
3. Every nested Bundle is a world of its own: its references do not lead out of it, nor others into it.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from gateway.fhir.bundle import Document
from gateway.fhir.references import Base, Contained, Foreign, Local, Target, Urn, is_id, parse, target_of
from gateway.fhir.view import ResourceView, every_view
from gateway.fhir.walk import ReferenceAt

MOST_ANSWERS: Final = 100
"""How many resources of a document may answer to one reference: its versions, its copies. With more, nobody can say
who is meant, and reading them all for each reference would cost the square of their number."""

Named = Local | Urn | Foreign


class Resolved(msgspec.Struct, frozen=True):
    """What a reference points at, and the resources of the document that answer to it (rule 2). `crowded`: more than
    anybody can mean answer to it, `views` are the first of them."""

    target: Target
    views: tuple[ResourceView, ...] = ()
    crowded: bool = False


class _Place(msgspec.Struct, frozen=True):
    """Where a view stands: its Bundle's (or the document's) index, its container, its server, who it is. `known` is
    what was resolved there already, the same for all views of one index and server."""

    scope: dict[Named, list[ResourceView]]
    known: dict[str, Resolved]
    container: ResourceView
    contained: bool
    context: Base | None
    identity: Named | None


class Resolver:
    """The index of one document."""

    def __init__(self, document: Document, own: frozenset[Base] = frozenset()) -> None:
        """Index a document once. `own` are the bases of the server that it speaks of."""
        self.own = own
        self._places: dict[str, _Place] = {}
        self._by_name: dict[Named, list[ResourceView]] = {}  # of all Bundles together
        self._by_id: dict[str, list[ResourceView]] = {}
        self._contained: dict[tuple[str, str | None], list[ResourceView]] = {}  # by container's pointer and own id
        entries = document.bundle.entries if document.bundle else ()
        self._enter(document.views, {f"{entry.at}/resource": entry.full_url for entry in entries if entry.full_url})

    def resolve(self, view: ResourceView, element: ReferenceAt) -> Resolved:
        """Give what a Reference of `view` (a view of this document, inner ones too) leads to."""
        if element.reference is None:
            return Resolved(target_of(element, self.own))
        return self.resolve_text(view, element.reference)

    def resolve_text(self, view: ResourceView, reference: str) -> Resolved:
        """Give what the literal `reference`, standing in `view`, leads to."""
        place = self._places[view.at]
        if (known := place.known.get(reference)) is not None:
            return known
        target = parse(reference, self.own, place.context)
        if isinstance(target, Contained):
            return _answered(target, self._inside(place, target))
        key = _key(target)
        found = _answered(target, place.scope.get(key, self._elsewhere(key)) if key is not None else ())
        place.known[reference] = found
        return found

    def identified(self, uuid: str) -> Sequence[ResourceView]:
        """Give the resources of the document, of whatever type, that a UUID in lower case is the id or fullUrl of."""
        return (*self._by_id.get(uuid, ()), *self._by_name.get(Urn(f"urn:uuid:{uuid}"), ()))

    def identity(self, view: ResourceView) -> Named | None:
        """Give who a resource of the document is: by its id on this server, else by its fullUrl; None for one that
        is contained or says neither. Foreign where its fullUrl is another server's."""
        return self._places[view.at].identity

    def is_contained(self, view: ResourceView) -> bool:
        """Say whether a resource of the document has no identity of its own, because it is contained."""
        return self._places[view.at].contained

    def container(self, view: ResourceView) -> ResourceView:
        """Give the resource that contains a contained one, else the resource itself."""
        return self._places[view.at].container

    def _enter(self, views: Iterable[ResourceView], full_urls: dict[str, str]) -> None:
        scope: dict[Named, list[ResourceView]] = {}
        known: dict[Base | None, dict[str, Resolved]] = {}
        for view in views:
            full_url = full_urls.get(view.at)
            target = _key(parse(full_url, self.own)) if full_url else None
            identity = _identity(view, target)
            context = target.base if isinstance(target, Foreign) else None
            place = _Place(
                scope, known.setdefault(context, {}), view, contained=False, context=context, identity=identity
            )
            self._places[view.at] = place
            for key in {identity, target}:
                if key is not None:
                    scope.setdefault(key, []).append(view)
                    self._by_name.setdefault(key, []).append(view)
                    if isinstance(key, Local):
                        self._by_id.setdefault(key.id.lower(), []).append(view)
            self._enter_inner(view, place)

    def _enter_inner(self, view: ResourceView, place: _Place) -> None:
        nested = []
        for inner in view.inner:
            if not inner.at[len(view.at) :].startswith("/contained/"):
                nested.append(inner)
                continue
            for deeper in every_view(inner):  # contained in contained is not FHIR; it is looked into all the same
                self._places[deeper.at] = msgspec.structs.replace(place, contained=True, identity=None)
                self._contained.setdefault((view.at, deeper.id), []).append(deeper)
        if nested:
            self._enter(nested, _full_urls(view))

    def _elsewhere(self, key: Named) -> Sequence[ResourceView]:
        """Give the resources of this server that stand in another Bundle of the document, around this one or in it."""
        return self._by_name.get(key, ()) if isinstance(key, Local) else ()

    def _inside(self, place: _Place, target: Contained) -> Sequence[ResourceView]:
        if target.id == "":
            return (place.container,)
        return self._contained.get((place.container.at, target.id), ())


def _answered(target: Target, views: Sequence[ResourceView]) -> Resolved:
    return Resolved(target, tuple(views[:MOST_ANSWERS]), len(views) > MOST_ANSWERS)


def bases_stated(document: Document) -> frozenset[Base]:
    """Give the bases that a Bundle's absolute fullUrls name for resources with their own type and id."""
    found = set()
    for entry in document.bundle.entries if document.bundle else ():
        target = parse(entry.full_url, frozenset()) if entry.full_url else None
        if not isinstance(target, Foreign) or target.base is None or entry.view is None:
            continue
        if (target.type, target.id) == (entry.view.type, entry.view.id):
            found.add(target.base)
    return frozenset(found)


def _key(target: Target) -> Named | None:
    """Give what a resource is found by: a target that names one, without its version."""
    if isinstance(target, Local):
        return Local(target.type, target.id)
    if isinstance(target, Foreign):
        return Foreign(target.base, target.type, target.id) if target.id is not None else None
    return target if isinstance(target, Urn) else None


def _identity(view: ResourceView, full_url: Named | None) -> Named | None:
    if isinstance(full_url, Foreign):
        return full_url
    if view.id is not None and is_id(view.id) and view.type:
        return Local(view.type, view.id)
    return full_url if isinstance(full_url, Urn) else None


def _full_urls(view: ResourceView) -> dict[str, str]:
    entries = view.tree.get("entry") if view.type == "Bundle" else None
    found = {}
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        url = entry.get("fullUrl") if isinstance(entry, dict) else None
        if isinstance(url, str):
            found[f"{view.at}/entry/{number}/resource"] = url
    return found
