"""Consents compiled and settled once, for all requests to which they apply.

Rules of this file (issue: compile, specialise, decide; law 9)
1. Compiled: kept by the consents themselves, which never change, and the zone. A new version is another consent.
2. Settled: kept by what is compiled, who discloses to whom, for what, and the directory; it serves while its instants
   last and while the context shows the same of everyone it was asked about when settling.
3. What the context shows of the data is never kept: each request asks its own.
4. Full memories are emptied, not grown.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import tzinfo
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from consent_store.model import Consent, Unreadable
from gateway.decision.consents.compile import Compiled, compile_consents
from gateway.decision.consents.matching import Shown
from gateway.decision.consents.program import ConsentProgram, Settled
from gateway.decision.consents.relations import Relations
from gateway.decision.consents.settling import settle
from gateway.decision.model import Exchange
from gateway.fhir.view import ResourceView

MOST_SUBJECTS: Final = 512
MOST_SETTLED: Final = 16
"""Exchanges kept of one subject."""

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class _Kept(NamedTuple):
    """One subject's consents: held here, so that no other object can be taken for one of them."""

    consents: tuple[Consent | Unreadable, ...]
    compiled: Compiled
    settled: dict[tuple[object, ...], "_Known"]


class _Known(NamedTuple):
    """What was settled, of whom (held, as above), and what the context was asked meanwhile and showed."""

    settled: Settled
    parties: tuple[object, ...]
    asked: "_Asked"


class _Asked(NamedTuple):
    """What of the context was looked at, and what was there."""

    resources: dict[str, object]
    ambiguous: dict[str, object]
    identified: dict[Any, object]
    part_of: dict[str, object]

    def same_in(self, relations: Relations) -> bool:
        """Say whether another context shows the same."""
        return (
            all(_text(relations.resources.get(key)) == there for key, there in self.resources.items())
            and all((key in relations.ambiguous) == there for key, there in self.ambiguous.items())
            and all(relations.identified.get(key) == there for key, there in self.identified.items())
            and all(relations.part_of.get(key) == there for key, there in self.part_of.items())
        )


class Memory:
    """Remembers compiled and settled consents. An answer from it is the one that compiling anew gives."""

    def __init__(self) -> None:
        self._kept: dict[tuple[object, ...], _Kept] = {}

    def program(
        self,
        consents: tuple[Consent | Unreadable, ...],
        exchange: Exchange,
        relations: Relations,
        zone: tzinfo | None,
    ) -> ConsentProgram:
        """Give a subject's consents, specialised to an exchange (see `specialise`)."""
        kept = self._compiled(consents, zone)
        shown = Shown(relations, exchange.at, zone)
        # Participants, kinds and the directory last as long as they are loaded: the same object says the same.
        parties = (exchange.discloser, exchange.recipient, relations.kinds, relations.directory)
        key = (*map(id, parties), exchange.initiator, exchange.purpose, exchange.action, relations.own)
        known = kept.settled.get(key)
        if known is None or not known.settled.holds_at(exchange.at) or not known.asked.same_in(relations):
            asked, watched = _watched(relations)
            known = _Known(settle(kept.compiled, exchange, watched, zone), parties, asked)
            if len(kept.settled) >= MOST_SETTLED:
                kept.settled.clear()
            kept.settled[key] = known
        known.settled.forget()
        return ConsentProgram(known.settled, shown)

    def _compiled(self, consents: tuple[Consent | Unreadable, ...], zone: tzinfo | None) -> _Kept:
        key = (zone, *map(id, consents))
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= MOST_SUBJECTS:
                self._kept.clear()
            found = self._kept[key] = _Kept(consents, compile_consents(consents, zone), {})
        return found


def _watched(relations: Relations) -> tuple[_Asked, Relations]:
    """Give the same relations, which note what is asked of the context."""
    asked = _Asked({}, {}, {}, {})
    return asked, msgspec.structs.replace(
        relations,
        resources=_Watched(relations.resources, asked.resources, _text),
        ambiguous=_WatchedSet(relations.ambiguous, asked.ambiguous),
        identified=_Watched(relations.identified, asked.identified, _itself),
        part_of=_Watched(relations.part_of, asked.part_of, _itself),
    )


def _text(view: ResourceView | None) -> bytes | None:
    return None if view is None else view.raw


def _itself(value: object) -> object:
    return value


class _Watched(Generic[_Key, _Value]):
    """A mapping that notes what is looked up in it; it can be asked in no other way."""

    def __init__(self, held: Mapping[_Key, _Value], asked: dict[_Key, object], told: Callable[[Any], object]) -> None:
        self._held, self._asked, self._told = held, asked, told

    def get(self, key: _Key, default: _Value | None = None) -> _Value | None:
        """Look up a key."""
        self._asked[key] = self._told(self._held.get(key))
        return self._held.get(key, default)


class _WatchedSet:
    """A set that notes what is looked for in it; it can be asked in no other way."""

    def __init__(self, held: AbstractSet[str], asked: dict[str, object]) -> None:
        self._held, self._asked = held, asked

    def __contains__(self, key: str) -> bool:
        self._asked[key] = key in self._held
        return key in self._held
