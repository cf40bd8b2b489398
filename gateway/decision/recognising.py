"""Which categories of a policy a record has.

Rules of this file
1. A category is recognised from content, labels and source: type, published codes, words, labels, who discloses, who
   wrote it, kinds of identifiers. Never from a name that a client sends.
2. What type and labels settle is settled once for all records alike, and so is what follows from their codes;
   identifiers, words and writers are looked at in each record, and only for the categories that they may still decide.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from gateway.decision.identifier_kinds import is_of_kind, written_as
from gateway.decision.model import Exchange
from gateway.decision.rules import party_matches
from gateway.decision.wording import is_said, plain
from gateway.fhir.terminology import sensitivity_is_a
from gateway.fhir.view import ResourceView
from gateway.labels.model import Labels
from gateway.policy.matching import CategoryMatch, Codes, IdentifierMatch, Words
from gateway.policy.model import Policy

_Label = tuple[str, frozenset[str], frozenset[str], int, bool, bool]
_Codes = frozenset[tuple[str, str]]


class _Way(msgspec.Struct, frozen=True):
    """What is left of a way of recognising where its type and labels are met."""

    codes: Codes | None
    identifiers: IdentifierMatch | None
    own: bool | None
    without: tuple["_Way", ...]
    words: Words | None = None
    code_words: Words | None = None
    named: frozenset[str] | None = None

    @property
    def certain(self) -> bool:
        """Whether every record alike is recognised."""
        return not self.without and self.codes is None and not self._looks

    @property
    def _looks(self) -> bool:
        asked = (self.identifiers, self.own, self.words, self.code_words, self.named)
        return any(one is not None for one in asked)

    @property
    def looks(self) -> bool:
        """Whether more is asked of a record than its codes: its identifiers, its words, or who wrote it."""
        return self._looks or any(one.looks for one in self.without)


_Asked = tuple[tuple[str, tuple[_Way, ...]], ...]


class _Settled(msgspec.Struct, frozen=True):
    """Of records of one type and alike labels: the categories that they have, and those that they may have by their
    codes alone (`coded`), by an identifier (`identified`) or by more (`looked`)."""

    certain: frozenset[str]
    coded: _Asked
    identified: tuple[tuple[str, tuple[IdentifierMatch, ...]], ...]
    looked: _Asked
    by_codes: dict[_Codes, frozenset[str]] = {}  # msgspec: each its own


class Recogniser:
    """Recognises the categories of a policy in one exchange. `own` says whether the discloser wrote a record."""

    def __init__(self, policy: Policy, exchange: Exchange, own: Callable[[ResourceView], bool]) -> None:
        self._own = own
        self._categories = [
            (category.id, matches)
            for category in policy.categories.values()
            if (matches := tuple(_specialised(category.any, policy, exchange)))
        ]
        self._settled: dict[_Label, _Settled] = {}
        self._read: tuple[ResourceView | None, str] = (None, "")
        asked = [one.codes for _, ways in self._categories for way in ways for one in _every(way) if one.codes]
        self._exact = frozenset().union(*(codes.exact for codes in asked))
        self._beginnings: dict[str, tuple[str, ...]] = {}
        for system, start in sorted(frozenset(beginning for codes in asked for beginning in codes.beginnings)):
            self._beginnings[system] = (*self._beginnings.get(system, ()), start)

    def categories(self, view: ResourceView, labels: Labels) -> frozenset[str]:
        """Give the ids of the categories that a record with these labels belongs to."""
        key = (view.type, labels.sensitivities, labels.policies, labels.confidentiality, labels.unknown, labels.unread)
        known = self._settled.get(key)
        if known is None:
            known = self._settled[key] = self._settle(view.type, labels)
        found = known.certain
        codes: _Codes | None = None
        if known.coded or known.looked:
            codes = self._codes_of(view)
            plain = known.by_codes.get(codes)
            if plain is None:
                plain = known.by_codes[codes] = found.union(self._are(known.coded, view, codes))
            found = plain
        more = (
            [name for name, kinds in known.identified if self._has_identifier(view, kinds)] if view.identifiers else []
        )
        if known.looked and codes is not None:
            more += self._are(known.looked, view, codes)
        return found.union(more) if more else found

    def _codes_of(self, view: ResourceView) -> _Codes:
        """Give, of a record's codes, those that any category asks for, and the beginnings that they have."""
        found = {(one.coding.system, one.coding.code) for one in view.codings}
        exact = self._exact & found
        begun = [
            (system, f"{start}*")
            for system, code in found
            if system is not None and code is not None and system in self._beginnings
            for start in self._beginnings[system]
            if code.startswith(start)
        ]
        return exact.union(begun) if begun else exact

    @staticmethod
    def identifiers_at(view: ResourceView, wanted: IdentifierMatch) -> Iterator[str]:
        """Give the pointers of the identifiers of a kind, wherever they stand in a record: its own, in references,
        extensions and values; and of texts that hold one by its form. What stands in an inner resource is that
        one's."""
        yield from (one.own for one in view.identifiers if is_of_kind(one.node, wanted))
        if wanted.forms:
            yield from written_as(view, wanted)

    def _has_identifier(self, view: ResourceView, kinds: Iterable[IdentifierMatch]) -> bool:
        for kind in kinds:
            for _ in self.identifiers_at(view, kind):
                return True
        return False

    def _are(self, asked: _Asked, view: ResourceView, codes: _Codes) -> list[str]:
        return [name for name, ways in asked if any(self._in(one, view, codes) for one in ways)]

    def _in(self, way: _Way, view: ResourceView, codes: _Codes) -> bool:
        if way.codes is not None and not _has_code(codes, way.codes):
            return False
        if way.identifiers is not None and not self._has_identifier(view, (way.identifiers,)):
            return False
        if way.own is not None and way.own is not self._own(view):
            return False
        return self._worded(way, view) and not any(self._in(one, view, codes) for one in way.without)

    def _worded(self, way: _Way, view: ResourceView) -> bool:
        if way.named is not None and not self._is_named(view, way.named):
            return False
        if way.words is not None and not is_said(way.words, self._texts(view)):
            return False
        return way.code_words is None or is_said(way.code_words, _codes_as_words(view))

    def _texts(self, view: ResourceView) -> str:
        """Give all texts and displays of a record as plain words; of the same record they are read once."""
        if self._read[0] is not view:
            self._read = (view, "|".join([plain(one.text) for one in view.texts]))
        return self._read[1]

    @staticmethod
    def _is_named(view: ResourceView, names: frozenset[str]) -> bool:
        texts = (one for one in view.texts if one.at.startswith("/code/") and one.at.endswith(("/text", "/display")))
        said = {plain(one.text).strip() for one in texts}
        return bool(said) and said <= names

    def _settle(self, resource_type: str, labels: Labels) -> _Settled:
        certain = set[str]()
        coded: list[tuple[str, tuple[_Way, ...]]] = []
        identified: list[tuple[str, tuple[IdentifierMatch, ...]]] = []
        looked: list[tuple[str, tuple[_Way, ...]]] = []
        for name, matches in self._categories:
            ways = tuple(way for match in matches if (way := _left(match, resource_type, labels)) is not None)
            kinds = tuple(way.identifiers for way in ways if way.identifiers is not None)
            if any(way.certain for way in ways):
                certain.add(name)
            elif ways and all(way == _Way(None, way.identifiers, None, ()) for way in ways):
                identified.append((name, kinds))
            elif ways:
                (looked if any(way.looks for way in ways) else coded).append((name, ways))
        return _Settled(frozenset(certain), tuple(coded), tuple(identified), tuple(looked))


def _left(match: CategoryMatch, resource_type: str, labels: Labels) -> _Way | None:
    """Give what is left to ask of records of a type and labels; None where they cannot be recognised this way."""
    if match.types is not None and resource_type not in match.types:
        return None
    if not _labelled(match, labels):
        return None
    without = tuple(way for one in match.without if (way := _left(one, resource_type, labels)) is not None)
    if any(way.certain for way in without):
        return None
    return _Way(match.codes, match.identifiers, match.own, without, match.words, match.code_words, match.named)


def _every(match: CategoryMatch) -> Iterator[CategoryMatch]:
    yield match
    for one in match.without:
        yield from _every(one)


def _codes_as_words(view: ResourceView) -> str:
    return "|".join([plain(f"{one.coding.system} {one.coding.code}") for one in view.codings])


def _specialised(matches: tuple[CategoryMatch, ...], policy: Policy, exchange: Exchange) -> Iterator[CategoryMatch]:
    for match in matches:
        if match.source is None or party_matches(match.source, exchange.discloser, policy):
            yield msgspec.structs.replace(match, without=tuple(_specialised(match.without, policy, exchange)))


def _labelled(match: CategoryMatch, labels: Labels) -> bool:
    if match.policies is not None and not match.policies & labels.policies:
        return False
    if match.sensitivities is not None and not any(
        sensitivity_is_a(found, wanted) for found in labels.sensitivities for wanted in match.sensitivities
    ):
        return False
    if match.at_least is not None and labels.confidentiality < match.at_least:
        return False
    if match.unread_label is not None and match.unread_label is not labels.unread:
        return False
    return match.unknown is None or match.unknown is labels.unknown


def _has_code(found: _Codes, codes: Codes) -> bool:
    return not codes.exact.isdisjoint(found) or any(
        (system, f"{start}*") in found for system, start in codes.beginnings
    )
