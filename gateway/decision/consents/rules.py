"""A Consent's provisions as rules: what each inherits, which conditions it sets, what it stands in.

Rules of this file (consent-semantics section 2)
1. R4: a nested provision's own type wins, a missing one flips its parent; R5 alternates from Consent.decision.
2. A provision inherits purpose, recipients, disclosers and period, never conditions on the data (author included).
3. Periods add up: Consent.period, the root's and the provision's own must all run.
4. An exception to an exception needs what it excepts: R5 below the first level, an R4 permit inside a nested deny.
5. An R5 permit needs the grantee beside its own recipient; a deny that names somebody reaches that one alone.
"""

from collections.abc import Iterable
from datetime import tzinfo
from typing import Any, Final

import msgspec

from consent_store.model import Coding, Consent, Dialect, Effect, Meaning, Provision, Reference
from gateway.decision.consents.label_tests import LabelTest, deny_labels, nothing_special, permit_labels
from gateway.decision.consents.matching import Seen, Test, author_test, class_test, code_test, data_test, period_test
from gateway.decision.consents.roles import Kind, kind_of
from gateway.decision.consents.spans import Span, span_of
from gateway.decision.consents.truth import Match
from gateway.fhir.terminology import canonical

HREX_REGULAR: Final = "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition-hrex-consent.html#regular"
"""Policy of an HRex Consent that withholds everything sensitive under US law (Da Vinci HRex)."""
_PCF: Final = "https://profiles.ihe.net/ITI/PCF/StructureDefinition/"


class Doubt(msgspec.Struct, frozen=True):
    """A condition on the data, and what to say where it cannot be told."""

    test: Test
    what: str


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One provision, or a Consent's own base, with what it inherits. `recipients` must hold choice by choice, each a
    list of alternatives; so must `disclosers` (as custodian?, who) and `spans`. `within`: counts only where the parent
    matches. `doubtful`: what it inherits could not be read."""

    path: str
    effect: Effect
    unreadable: bool
    doubtful: bool
    purposes: tuple[Coding, ...]
    actions: tuple[tuple[Coding, ...], ...]
    recipients: tuple[tuple[Reference, ...], ...]
    disclosers: tuple[tuple[bool, Reference], ...]
    unknown_role: bool
    spans: tuple[Span, ...]
    labels: tuple[Coding, ...]
    doubts: tuple[Doubt, ...]
    authors: tuple[Reference, ...]
    within: bool
    children: tuple["Node", ...] = ()


class _Inherited(msgspec.Struct, frozen=True):
    """What a provision hands down to those inside it."""

    purposes: tuple[Coding, ...] = ()
    recipients: tuple[Reference, ...] = ()
    disclosers: tuple[tuple[bool, Reference], ...] = ()
    unknown_role: bool = False
    doubtful: bool = False
    spans: tuple[Span, ...] = ()


def rules_of(consent: Consent, base: Effect, zone: tzinfo | None) -> Node:
    """Give the tree of a Consent whose base decision is `base` and which nests no deeper than recursion goes."""
    return _Builder(consent, zone).tree(base)


class _Builder:
    """Builds the nodes of one Consent."""

    def __init__(self, consent: Consent, zone: tzinfo | None) -> None:
        self.consent = consent
        self.zone = zone
        self.r5 = consent.dialect is Dialect.R5
        self.pcf = _declares_pcf(consent)
        self.regular = HREX_REGULAR in consent.policies

    def tree(self, base: Effect) -> Node:
        spans = (span_of(self.consent.period, self.zone),) if self.consent.period is not None else ()
        above = _Inherited(recipients=self.consent.grantees, spans=spans)
        if not self.r5 and self.consent.provisions:
            return self.node(self.consent.provisions[0], base, "provision[0]", above)
        root = self.node(Provision(), base, "", above)
        exceptions = tuple(
            self.node(one, _other(base), f"provision[{index}]", above)
            for index, one in enumerate(self.consent.provisions)
        )
        return msgspec.structs.replace(root, children=exceptions)

    def node(self, one: Provision, effect: Effect, path: str, above: _Inherited, *, within: bool = False) -> Node:
        own = self.who(one, Kind.RECIPIENT)
        below = self.handed_down(one, above, own)
        choices = (below.recipients,) if below.recipients else ()
        if own and self.consent.grantees and effect is Effect.PERMIT:
            choices = (*choices, self.consent.grantees)
        return Node(
            path=path,
            effect=effect,
            unreadable=bool(one.unreadable),
            doubtful=above.doubtful,
            purposes=below.purposes,
            actions=one.actions,
            recipients=choices,
            disclosers=below.disclosers,
            unknown_role=below.unknown_role,
            spans=below.spans,
            labels=tuple(map(canonical, one.labels)),
            doubts=tuple(self.doubts(one, effect)),
            authors=(*self.who(one, Kind.AUTHOR), *_authored_by(one)),
            within=within,
            children=tuple(self.children(one, effect, path, below)),
        )

    def children(self, one: Provision, effect: Effect, path: str, below: _Inherited) -> Iterable[Node]:
        exception = path.count("provision[") > 1 and effect is Effect.DENY
        for index, inner in enumerate(one.nested):
            own = _other(effect) if self.r5 or inner.type is None else inner.type
            within = self.r5 or (exception and own is Effect.PERMIT)
            yield self.node(inner, own, f"{path}.provision[{index}]", below, within=within)

    def handed_down(self, one: Provision, above: _Inherited, recipients: tuple[Reference, ...]) -> _Inherited:
        disclosers = (
            *((True, who) for who in self.who(one, Kind.CUSTODIAN)),
            *((False, who) for who in self.who(one, Kind.DISCLOSER)),
        )
        unknown = any(kind_of(actor, self.consent.dialect) is Kind.UNKNOWN for actor in one.actors)
        own_span = (span_of(one.period, self.zone),) if one.period is not None else ()
        return _Inherited(
            purposes=tuple(map(canonical, one.purposes)) or above.purposes,
            recipients=recipients or above.recipients,
            disclosers=disclosers or above.disclosers,
            unknown_role=unknown or (above.unknown_role and not recipients),
            doubtful=above.doubtful or bool(one.unreadable),
            spans=(*above.spans, *own_span),
        )

    def who(self, one: Provision, kind: Kind) -> tuple[Reference, ...]:
        """Give the references of the actors of one kind; one without reference names nobody."""
        found = (actor for actor in one.actors if kind_of(actor, self.consent.dialect) is kind)
        return tuple(actor.reference or Reference() for actor in found)

    def doubts(self, one: Provision, effect: Effect) -> Iterable[Doubt]:
        if one.labels:
            labels = permit_labels(one.labels) if effect is Effect.PERMIT else deny_labels(one.labels)
            yield Doubt(_on_labels(labels), "the labels of the record are not all known")
        if self.regular and effect is Effect.PERMIT:
            yield Doubt(_on_labels(nothing_special), "the labels of the record are not all known")
        if one.classes:
            yield Doubt(class_test(one.classes), "the class has no system")
        if one.codes:
            yield Doubt(code_test(one.codes), "a code has no system")
        if one.data_period is not None:
            span = span_of(one.data_period, self.zone)
            yield Doubt(period_test(span), "the record is not surely inside or outside the data period")
        if one.data:
            yield Doubt(data_test(one.data, effect, pcf=self.pcf), "whether the record is among the data is not known")
        authors = self.who(one, Kind.AUTHOR)
        if authors:
            yield Doubt(author_test(authors), "the author of the record is not known")


def _authored_by(one: Provision) -> tuple[Reference, ...]:
    return tuple(data.reference for data in one.data if data.meaning is Meaning.AUTHORED_BY)


def _on_labels(test: LabelTest) -> Test:
    def on(seen: Seen) -> Match:
        return test(seen.labels)

    return on


def _other(effect: Effect) -> Effect:
    return Effect.DENY if effect is Effect.PERMIT else Effect.PERMIT


class _Meta(msgspec.Struct):
    profile: Any = None


class _Profiled(msgspec.Struct):
    meta: _Meta = msgspec.field(default_factory=_Meta)


def _declares_pcf(consent: Consent) -> bool:
    """Say whether the Consent's own text claims a profile of IHE PCF (consent-semantics section 4)."""
    try:
        claimed = msgspec.json.decode(consent.raw, type=_Profiled).meta.profile if consent.raw else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(claimed, list) and any(isinstance(one, str) and one.startswith(_PCF) for one in claimed)
