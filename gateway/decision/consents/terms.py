"""What provisions ask of an exchange and of the data, each once for all the consents of one subject.

Rules of this file
1. Equal terms are one object, and so are equal conditions: what is asked once is answered for every provision.
2. Nothing here depends on the exchange, the context or the resource.
"""

from collections.abc import Callable, Hashable
from datetime import tzinfo
from enum import IntEnum

import msgspec

from consent_store.dates import Period
from consent_store.model import Coding, Data, Reference
from gateway.decision.consents.matching import Test
from gateway.decision.consents.spans import Span, span_of


class Terms(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """What a provision asks of the exchange, with what it inherits. `recipients` must hold choice by choice, each a
    list of alternatives; so must `disclosers` (as custodian?, who) and `spans`. `doubtful`: what it inherits could not
    be read."""

    doubtful: bool = False
    purposes: tuple[Coding, ...] = ()
    actions: tuple[tuple[Coding, ...], ...] = ()
    recipients: tuple[tuple[Reference, ...], ...] = ()
    disclosers: tuple[tuple[bool, Reference], ...] = ()
    unknown_role: bool = False
    spans: tuple[Span, ...] = ()


class Facet(IntEnum):
    """What of a resource a condition reads."""

    LABELS = 0
    CLASS = 1
    CODES = 2
    DATES = 3
    DATA = 4
    AUTHORS = 5


class Doubt(msgspec.Struct, frozen=True, eq=False):
    """A condition on the data, and what to say where it cannot be told. Of CODES and DATA it keeps what it names; of
    LABELS `whole`, whether it reads every label and not their sets alone; of DATES the `span`."""

    facet: Facet
    test: Test
    what: str
    codes: frozenset[str | None] = frozenset()
    data: tuple[Data, ...] = ()
    whole: bool = False
    span: Span | None = None


class Interned:
    """Keeps terms, conditions and spans, each once."""

    def __init__(self, zone: tzinfo | None) -> None:
        self._zone = zone
        self._terms: dict[tuple[object, ...], Terms] = {}
        self._doubts: dict[Hashable, Doubt] = {}
        self._spans: dict[tuple[str | None, str | None], Span] = {}

    def terms(self, made: Terms) -> Terms:
        """Give the one object that these terms are."""
        return self._terms.setdefault(msgspec.structs.astuple(made), made)

    def doubt(self, facet: Facet, stated: Hashable, make: Callable[[Facet], Doubt]) -> Doubt:
        """Give the one condition that `stated` is; where it is new, `make` makes it of its facet."""
        key = (facet, stated)
        if key not in self._doubts:
            self._doubts[key] = make(facet)
        return self._doubts[key]

    def span(self, period: Period) -> Span:
        """Give a Period as instants; the text of its dates says all of them."""
        start, end = period.start, period.end
        key = (start.text if start else None, end.text if end else None)
        if key not in self._spans:
            self._spans[key] = span_of(period, self._zone)
        return self._spans[key]
