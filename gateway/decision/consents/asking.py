"""The data conditions of one program, asked of a resource all together.

Rules of this file
1. Resources alike in a facet get the same answers there, which are kept.
2. Codes and data are looked up from the resource's side: a condition that names nothing of it says what it says to a
   stranger.
3. What is answered depends on the conditions alone, never on which consents they came from.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Final

from consent_store.model import Data, Meaning
from gateway.decision.consents.answer import Target
from gateway.decision.consents.label_index import LabelIndex
from gateway.decision.consents.matching import OnLabels, Seen, Shown, Test
from gateway.decision.consents.relations import Relations
from gateway.decision.consents.remembered import kept
from gateway.decision.consents.terms import Doubt, Facet
from gateway.fhir.view import ResourceView
from gateway.labels.model import Confidentiality, Labels

Told = tuple[bytes, ...]
"""What the conditions say of a resource: for each facet their `Match` by number; empty where nothing is asked."""

_Question = tuple[int, Test]
_Say = Callable[[Seen], bytes]
_Key = Callable[[Seen], Hashable]
_NO_LABELS: Final = Labels((), Confidentiality.N, frozenset(), frozenset(), unknown=False)
_STRANGER: Final = Target(ResourceView("", b"", {}, "", None), _NO_LABELS)


class Asking:
    """Asks `doubts` of resources, in what the context shows."""

    def __init__(self, doubts: Iterable[Doubt], shown: Shown) -> None:
        by_facet = defaultdict[Facet, list[Doubt]](list)
        for one in doubts:
            by_facet[one.facet].append(one)
        self._shown = shown
        self._facets = tuple(_facet(facet, by_facet[facet], shown) for facet in Facet)

    def __call__(self, target: Target) -> Told:
        """Give what every condition says of one resource."""
        seen = Seen(target, self._shown)
        return tuple([say(seen) for say in self._facets])


def _facet(facet: Facet, doubts: Sequence[Doubt], shown: Shown) -> _Say:
    if not doubts:
        return _nothing
    if facet is Facet.CODES:
        return _Sought([(one, one.codes) for one in doubts], shown, _codes).say
    if facet is Facet.DATA:
        return _Sought([(one, _named(one.data, shown.relations)) for one in doubts], shown, _places).say
    if facet is Facet.LABELS:
        return _OnLabels(doubts).say
    return _Alike(doubts, _KEYS[facet]).say


def _nothing(_: Seen) -> bytes:
    return b""


def _ask(questions: Iterable[_Question], said: bytearray, seen: Seen) -> bytes:
    for number, test in questions:
        said[number] = test(seen)
    return bytes(said)


def _questions(doubts: Iterable[Doubt]) -> list[_Question]:
    return [(one.number, one.test) for one in doubts]


def _blank(questions: Iterable[_Question]) -> bytearray:
    return bytearray(1 + max(number for number, _ in questions))


class _Alike:
    """A facet in which many resources are alike: what is said of one is kept for the others."""

    def __init__(self, doubts: Sequence[Doubt], key: _Key) -> None:
        self._questions = _questions(doubts)
        self._key = key
        self._said: dict[Hashable, bytes] = {}

    def say(self, seen: Seen) -> bytes:
        key = self._key(seen)
        said = self._said.get(key)
        if said is None:
            said = kept(self._said, key, _ask(self._questions, _blank(self._questions), seen))
        return said


class _OnLabels:
    """Labels: alike in many resources too, and told by label where a resource is like none before."""

    def __init__(self, doubts: Sequence[Doubt]) -> None:
        self._key = _all_labels if any(one.whole for one in doubts) else _labels
        self._said: dict[Hashable, bytes] = {}
        by_label = [(one.number, one.test.test) for one in doubts if isinstance(one.test, OnLabels)]
        self._index = LabelIndex(by_label) if by_label else None
        self._others = _questions(one for one in doubts if not isinstance(one.test, OnLabels))
        self._size = 1 + max(one.number for one in doubts)

    def say(self, seen: Seen) -> bytes:
        key = self._key(seen)
        said = self._said.get(key)
        return kept(self._said, key, self._ask(seen)) if said is None else said

    def _ask(self, seen: Seen) -> bytes:
        said = self._index.say(seen.labels) if self._index is not None else b""
        return _ask(self._others, bytearray(said.ljust(self._size, b"\0")), seen) if self._others else said


class _Sought:
    """A facet in which each condition names what it looks for; None: it has to be asked of every resource."""

    def __init__(
        self,
        named: Sequence[tuple[Doubt, frozenset[str | None] | None]],
        shown: Shown,
        keys: Callable[[Seen], Iterable[str | None]],
    ) -> None:
        self._keys = keys
        self._by_name = defaultdict[str | None, list[_Question]](list)
        for one, names in named:
            for name in names or ():
                self._by_name[name].append((one.number, one.test))
        self._always = _questions(one for one, names in named if names is None)
        questions = _questions(one for one, _ in named)
        self._rest = _ask(questions, _blank(questions), Seen(_STRANGER, shown))

    def say(self, seen: Seen) -> bytes:
        touched = [*self._always]
        for key in self._keys(seen):
            touched += self._by_name.get(key, ())
        return _ask(touched, bytearray(self._rest), seen) if touched else self._rest


def _codes(seen: Seen) -> Iterable[str | None]:
    return seen.bare_codes


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


def _dates(seen: Seen) -> Hashable:
    period = seen.period
    return period and tuple(date and date.text for date in (period.start, period.end))


def _authors(seen: Seen) -> Hashable:
    return tuple((one.reference, one.identifier) for one in seen.authors)


_KEYS: Final[dict[Facet, _Key]] = {
    Facet.CLASS: _class,
    Facet.DATES: _dates,
    Facet.AUTHORS: _authors,
}
