"""The data conditions of a provision against one resource: class, code, dataPeriod, data, author.

Rules of this file (consent-semantics sections 3 and 4)
1. Values of one element are alternatives. Labels have their own file, `label_tests`.
2. Codes are looked for among all codings of the resource, in their one spelling.
3. Permit: the whole clinical period inside; deny: any overlap. No date cannot be told.
4. `related` goes both ways for a deny; for a permit forward, and where the Consent declares an IHE PCF profile, to the
   target itself and to what points at it.
5. A resource that nobody is known to have authored cannot be told from one authored by anybody.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Final

import msgspec

from consent_store.dates import Period
from consent_store.model import Coding, Data, Effect, Identifier, Meaning, Reference
from gateway.decision.consents.answer import Target
from gateway.decision.consents.label_tests import LabelTest
from gateway.decision.consents.membership import Moment, names
from gateway.decision.consents.parties import Party, author_of
from gateway.decision.consents.relations import ReferenceLike, Relations, codings_of, identifiers_of, objects, spelled
from gateway.decision.consents.remembered import kept, once
from gateway.decision.consents.spans import Span, span_of
from gateway.decision.consents.truth import NO, UNSURE, YES, Match, any_of
from gateway.fhir.dates import clinical_period
from gateway.fhir.origins import authors
from gateway.fhir.references import Foreign
from gateway.fhir.terminology import canonical

# Code systems of resource types (R4: resource-types; R5: fhir-types), http or https.
_TYPE_SYSTEMS: Final = frozenset({"hl7.org/fhir/resource-types", "hl7.org/fhir/fhir-types"})
_DEFINITIONS: Final = "hl7.org/fhir/StructureDefinition"
_MEDIA_TYPES: Final = "urn:ietf:bcp:13"
_NOT_DOMAIN: Final = frozenset({"Binary", "Bundle", "Parameters"})
_DOCUMENTS: Final = frozenset({"DocumentReference", "Composition"})


class Shown:
    """What the context shows to one program: who is who at one moment; who wrote what is looked up once."""

    def __init__(self, relations: Relations, at: datetime, zone: tzinfo | None) -> None:
        self.relations = relations
        self.zone = zone
        self._at = at
        self._authors: dict[tuple[str | None, Identifier | None], Party] = {}
        self._wrote: dict[tuple[Reference, str | None, Identifier | None], Match] = {}

    def wrote(self, reference: Reference, author: ReferenceLike) -> Match:
        """Say whether `reference` names the author that a record names."""
        key = (reference, author.reference, author.identifier)
        found = self._wrote.get(key)
        if found is None:
            moment = Moment(self._at, self.zone, [])
            found = kept(self._wrote, key, names(reference, self._author(author), self.relations, moment))
        return found

    def _author(self, author: ReferenceLike) -> Party:
        key = (author.reference, author.identifier)
        found = self._authors.get(key)
        return kept(self._authors, key, author_of(author, self.relations)) if found is None else found


class Seen:
    """One resource while it is decided on: what several conditions ask of it is worked out once, when first asked."""

    def __init__(self, target: Target, shown: Shown) -> None:
        self.target = target
        self.labels = target.labels
        self.view = target.view
        self.shown = shown
        self.relations = shown.relations

    @once
    def codes(self) -> frozenset[Coding]:
        """Every coding of the resource, in its one spelling."""
        return frozenset([_canonical(one.coding) for one in self.view.codings])

    @once
    def bare_codes(self) -> frozenset[str | None]:
        """The codes alone, and those that stand without a system."""
        return frozenset([one.code for one in self.codes])

    @once
    def systemless(self) -> frozenset[str | None]:
        """The codes that stand without a system."""
        return frozenset(one.code for one in self.codes if one.system is None)

    @once
    def period(self) -> Period | None:
        """The clinical dates, of what contains it where it has none; None where none is known."""
        period, container = self.target.period, self.target.container
        if period is None and container is not None:
            period = clinical_period(container)
        return None if period is None or (period.start is None and period.end is None) else period

    @once
    def span(self) -> Span | None:
        """The clinical dates as instants."""
        return None if self.period is None else span_of(self.period, self.shown.zone)

    @once
    def key(self) -> str | None:
        """What a reference to this resource, or the one that contains it, resolves to."""
        if self.target.identity is not None:
            return spelled(self.target.identity)
        whole = self.target.container or self.view
        return None if whole.id is None or "/contained/" in whole.at else f"{whole.type}/{whole.id}"

    @once
    def links(self) -> frozenset[str]:
        """What the resource, and the one that contains it, refers to, resolved."""
        identity = self.target.identity
        context = identity.base if isinstance(identity, Foreign) else None
        links = self.relations.links(self.view, context)
        container = self.target.container
        return links if container is None else links | self.relations.links(container, context)

    @once
    def authors(self) -> tuple[ReferenceLike, ...]:
        """Who made the resource, as it says itself, or as what contains it says."""
        if not self.target.authors and self.target.container is not None:
            return authors(self.target.container)
        return self.target.authors

    @once
    def profiles(self) -> frozenset[str]:
        """The profiles it claims, without version or scheme."""
        meta = self.view.tree.get("meta")
        claimed = meta.get("profile") if isinstance(meta, dict) else None
        return frozenset([_plain(one) for one in claimed or () if isinstance(one, str)])

    @once
    def document_types(self) -> frozenset[Coding]:
        """The type of a DocumentReference or Composition, and the media types of its attachments or of a Binary."""
        tree = self.view.tree
        if self.view.type not in _DOCUMENTS and self.view.type != "Binary" and "content" not in tree:
            return frozenset()
        found = set[Coding]()
        if self.view.type in _DOCUMENTS:
            found |= {canonical(coding) for coding in codings_of(tree.get("type"))}
        media = [tree.get("contentType")] if self.view.type == "Binary" else []
        media += [a.get("contentType") for c in objects(tree.get("content")) for a in objects(c.get("attachment"))]
        return frozenset(found | {Coding(_MEDIA_TYPES, one) for one in media if isinstance(one, str)})


Test = Callable[[Seen], Match]


class OnLabels(msgspec.Struct, frozen=True, eq=False):
    """The test for provision.securityLabel, asked of a resource."""

    test: LabelTest

    def __call__(self, seen: Seen) -> Match:
        """Say what it says of the resource's labels."""
        return self.test(seen.labels)


# Resources of one patient say the same codes again and again.
_canonical: Final = lru_cache(maxsize=4096)(canonical)


def class_test(codings: Iterable[Coding]) -> Test:
    """Give the test for provision.class (R5: documentType, resourceType)."""
    wanted = tuple(codings)

    def test(seen: Seen) -> Match:
        return any_of([_class(coding, seen) for coding in wanted])

    return test


def _class(coding: Coding, seen: Seen) -> Match:
    code, kind = coding.code, seen.view.type
    if code is None:
        return UNSURE
    if coding.system is None:
        alike = code == kind or any(one.code == code for one in seen.document_types)
        return UNSURE if alike else NO
    system = _plain(coding.system)
    if system in _TYPE_SYSTEMS:
        abstract = code == "Resource" or (code == "DomainResource" and kind not in _NOT_DOMAIN)
        return YES if code == kind or abstract else NO
    profile = _plain(f"{coding.system}/{code}" if system == _DEFINITIONS and "/" not in code else code)
    if profile in seen.profiles or profile == f"{_DEFINITIONS}/{kind}":
        return YES
    return YES if canonical(coding) in seen.document_types else NO


def _plain(uri: str) -> str:
    """A URI without scheme, version and trailing slash: how canonicals are compared (L005)."""
    return uri.split("|", maxsplit=1)[0].removeprefix("https://").removeprefix("http://").rstrip("/")


def code_test(concepts: Iterable[Iterable[Coding]]) -> Test:
    """Give the test for provision.code: one of the concepts, by any of its codings, anywhere in the resource."""
    listed = [tuple(concept) for concept in concepts]
    codings = [canonical(coding) for concept in listed for coding in concept]
    whole = frozenset(one for one in codings if one.system is not None and one.code is not None)
    bare = frozenset(one.code for one in codings if one.system is None and one.code is not None)
    known = frozenset(one.code for one in whole)
    vague = any(not any(one.code for one in concept) for concept in listed)

    def test(seen: Seen) -> Match:
        if not whole.isdisjoint(seen.codes):
            return YES
        if vague or not bare.isdisjoint(seen.bare_codes) or not known.isdisjoint(seen.systemless):
            return UNSURE
        return NO

    return test


def period_test(span: Span) -> Test:
    """Give the test for provision.dataPeriod: YES whole inside, UNSURE overlapping or without date, NO outside."""

    def test(seen: Seen) -> Match:
        return UNSURE if seen.span is None else span.holds_all_of(seen.span)

    return test


def author_test(authors: Iterable[Reference]) -> Test:
    """Give the test for actors of role AUT: one of them made the resource."""
    wanted = tuple(authors)

    def test(seen: Seen) -> Match:
        return any_of([_authored(reference, seen) for reference in wanted])

    return test


def _authored(reference: Reference, seen: Seen) -> Match:
    wrote = seen.shown.wrote
    return any_of([wrote(reference, author) for author in seen.authors]) if seen.authors else UNSURE


def data_test(data: Iterable[Data], effect: Effect, *, pcf: bool) -> Test:
    """Give the test for provision.data. `pcf`: the Consent declares a profile of IHE PCF."""
    wanted = tuple(data)
    backward = pcf or effect is Effect.DENY
    forward = effect is Effect.DENY or not pcf

    def test(seen: Seen) -> Match:
        return any_of(_data(one, seen, backward=backward, forward=forward) for one in wanted)

    return test


def _data(data: Data, seen: Seen, *, backward: bool, forward: bool) -> Match:
    if data.meaning is Meaning.AUTHORED_BY:
        return _authored(data.reference, seen)
    itself = _instance(data.reference, seen)
    if data.meaning is Meaning.INSTANCE or itself is YES:
        return itself
    keys = seen.relations.keys(data.reference)
    if not keys:
        return UNSURE
    if (backward or data.meaning is Meaning.DEPENDENTS) and not keys.isdisjoint(seen.links):
        return YES
    if forward and data.meaning is Meaning.RELATED:
        return any_of([itself, *[_refers_to(key, seen) for key in sorted(keys)]])
    return itself


def _instance(reference: Reference, seen: Seen) -> Match:
    key = seen.relations.key(reference.reference)
    if key is not None and key == seen.key:
        return YES
    if reference.identifier is not None:
        return _identified(reference, seen)
    if key is None:
        return UNSURE
    # The same type and id under another base may be the original of a copy: not it for a permit, nor ruled out.
    copied = seen.key is not None and key.endswith(f"/{seen.key}")
    return UNSURE if copied else NO


def _identified(reference: Reference, seen: Seen) -> Match:
    """Match a resource by its business identifier."""
    who = reference.identifier
    if who is None or not who.system or (reference.type is not None and reference.type != seen.view.type):
        return UNSURE if who is None or not who.system else NO
    own = identifiers_of(seen.view)
    if who in own:
        return YES
    known = who in seen.relations.identified or any(one.system == who.system for one in own)
    return NO if known else UNSURE


def _refers_to(key: str, seen: Seen) -> Match:
    """Say whether the resource `key` refers to this one; what the context does not show cannot be told."""
    links = seen.relations.pointing_from(key)
    if links is None:
        return UNSURE
    return YES if seen.key is not None and seen.key in links else NO
