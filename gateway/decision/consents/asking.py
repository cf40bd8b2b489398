"""The data conditions of one program, asked of a resource all together.

Rules of this file
1. Resources alike in a facet get the same answers there, which are kept.
2. Codes and data are looked up from the resource's side: a condition that names nothing of it says what it says to a
   stranger.
3. What is answered depends on the conditions alone, never on which consents they came from.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final

from consent_store.model import Data, Meaning
from gateway.decision.consents.answer import Target
from gateway.decision.consents.label_index import LabelIndex
from gateway.decision.consents.matching import OnLabels, Seen, Shown, Test
from gateway.decision.consents.relations import Relations
from gateway.decision.consents.remembered import kept
from gateway.decision.consents.spans import Span
from gateway.decision.consents.terms import Doubt, Facet
from gateway.fhir.view import ResourceView
from gateway.labels.model import Confidentiality, Labels

Told = bytes
"""What the conditions say of a resource: the `Match` of each, in their order."""

_Question = tuple[int, Test]
_Say = Callable[[Seen], bytes]
_Key = Callable[[Seen], Hashable]
_NO_LABELS: Final = Labels((), Confidentiality.N, frozenset(), frozenset(), unknown=False)
_STRANGER: Final = Target(ResourceView("", b"", {}, "", None), _NO_LABELS)


class Asking:
    """Asks conditions of resources, in what the context shows. They come facet by facet."""

    def __init__(self, conditions: Iterable[Doubt], shown: Shown) -> None:
        self._shown = shown
        self._says = tuple([_facet(facet, [*some], shown) for facet, some in groupby(conditions, attrgetter("facet"))])

    def __call__(self, target: Target) -> Told:
        """Give what every condition says of one resource."""
        seen = Seen(target, self._shown)
        return b"".join([say(seen) for say in self._says])


def _facet(facet: Facet, doubts: Sequence[Doubt], shown: Shown) -> _Say:
    if facet is Facet.CODES:
        return _Sought([one.codes for one in doubts], _questions(doubts), shown, _codes).say
    if facet is Facet.DATA:
        return _Sought([_named(one.data, shown.relations) for one in doubts], _questions(doubts), shown, _places).say
    if facet is Facet.LABELS:
        return _Alike(_label_by_label(doubts), _all_labels if any(one.whole for one in doubts) else _labels).say
    if facet is Facet.DATES:
        return _Alike(_one_by_one(doubts), _positions([one.span for one in doubts if one.span is not None])).say
    return _Alike(_one_by_one(doubts), _KEYS[facet]).say


def _ask(questions: Iterable[_Question], said: bytearray, seen: Seen) -> bytes:
    for number, test in questions:
        said[number] = test(seen)
    return bytes(said)


def _questions(doubts: Iterable[Doubt]) -> list[_Question]:
    return [(number, one.test) for number, one in enumerate(doubts)]


class _Alike:
    """A facet in which many resources are alike: what is said of one is kept for the others."""

    def __init__(self, ask: _Say, key: _Key) -> None:
        self._ask = ask
        self._key = key
        self._said: dict[Hashable, bytes] = {}

    def say(self, seen: Seen) -> bytes:
        key = self._key(seen)
        said = self._said.get(key)
        return kept(self._said, key, self._ask(seen)) if said is None else said


def _one_by_one(doubts: Iterable[Doubt]) -> _Say:
    questions = _questions(doubts)
    return lambda seen: _ask(questions, bytearray(len(questions)), seen)


def _label_by_label(doubts: Iterable[Doubt]) -> _Say:
    questions = _questions(doubts)
    by_label = [(number, test.test) for number, test in questions if isinstance(test, OnLabels)]
    others = [(number, test) for number, test in questions if not isinstance(test, OnLabels)]
    index = LabelIndex(by_label) if by_label else None

    def ask(seen: Seen) -> bytes:
        said = index.say(seen.labels) if index is not None else b""
        return _ask(others, bytearray(said.ljust(len(questions), b"\0")), seen)

    return ask


class _Sought:
    """A facet in which each condition names what it looks for; None: it has to be asked of every resource."""

    def __init__(
        self,
        named: Sequence[frozenset[str | None] | None],
        questions: Sequence[_Question],
        shown: Shown,
        keys: Callable[[Seen], Iterable[str | None]],
    ) -> None:
        self._keys = keys
        self._by_name = defaultdict[str | None, list[_Question]](list)
        for question, names in zip(questions, named, strict=True):
            for name in names or ():
                self._by_name[name].append(question)
        self._always = [question for question, names in zip(questions, named, strict=True) if names is None]
        self._rest = _ask(questions, bytearray(len(questions)), Seen(_STRANGER, shown))

    def say(self, seen: Seen) -> bytes:
        touched = [*self._always]
        for key in self._keys(seen):
            touched += self._by_name.get(key, ())
        return _ask(touched, bytearray(self._rest), seen) if touched else self._rest


def _codes(seen: Seen) -> Iterable[str | None]:
    return [one.code for one in seen.codes]


def _places(seen: Seen) -> Iterable[str | None]:
    return (seen.key, *seen.links)


def _named(data: Iterable[Data], relations: Relations) -> frozenset[str | None] | None:
    """Give every reference that provision.data names, resolved, with and without base, and what the named resources
    refer to; None where an author or an identifier has to be looked for."""
    found = set[str | None]()
    for one in data:
        if one.meaning is Meaning.AUTHORED_BY or one.reference.identifier is not None:
            return None
        key = relations.key(one.reference.reference)
        if key is None:
            continue
        found |= {key, "/".join(key.rsplit("/", 2)[-2:])}
        if one.meaning is Meaning.RELATED:
            found.update(relations.pointing_from(key) or ())
    return frozenset(found)


def _labels(seen: Seen) -> Hashable:
    labels = seen.labels
    return labels.confidentiality, labels.sensitivities, labels.policies, labels.unknown


def _all_labels(seen: Seen) -> Hashable:
    return _labels(seen), frozenset((one.system, one.code) for one in seen.labels.labels)


def _class(seen: Seen) -> Hashable:
    return seen.view.type, seen.profiles, seen.document_types


def _positions(spans: Iterable[Span]) -> _Key:
    """Give a key of resources whose dates stand alike to every bound of these spans: how many of them lie at or before
    where the resource begins, and how many before where it ends (see `Span.holds_all_of`)."""
    bounds = sorted({bound for span in spans for bound in span.bounds()})

    def key(seen: Seen) -> Hashable:
        span = seen.span
        if span is None:
            return None
        begin, until = span.maybe_from, span.maybe_until
        begun = None if begin is None else bisect_right(bounds, begin)
        return begun, None if until is None else bisect_left(bounds, until), span.void

    return key


def _authors(seen: Seen) -> Hashable:
    return tuple((one.reference, one.identifier) for one in seen.authors)


_KEYS: Final[dict[Facet, _Key]] = {
    Facet.CLASS: _class,
    Facet.AUTHORS: _authors,
}
