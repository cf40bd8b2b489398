"""A Consent's provisions as rules: what each inherits, which conditions it sets, what it stands in.

Rules of this file (consent-semantics section 2)
1. R4: a nested provision's own type wins, a missing one flips its parent; R5 alternates from Consent.decision.
2. A provision inherits purpose, recipients, disclosers and period, never conditions on the data (author included).
3. Periods add up: Consent.period, the root's and the provision's own must all run.
4. An exception to an exception needs what it excepts: R5 below the first level, an R4 permit inside a nested deny.
5. An R5 permit needs the grantee beside its own recipient; a deny that names somebody reaches that one alone.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final

import msgspec

from consent_store.model import Coding, Consent, Dialect, Effect, Meaning, Provision, Reference
from gateway.decision.consents.answer import Permit
from gateway.decision.consents.causes import cause_of
from gateway.decision.consents.doubts import (
    author_doubt,
    class_doubt,
    code_doubt,
    data_doubt,
    date_doubt,
    label_doubt,
    regular_doubt,
)
from gateway.decision.consents.roles import Kind, kind_of
from gateway.decision.consents.spans import Span
from gateway.decision.consents.terms import Doubt, Interned, Terms
from gateway.decision.consents.truth import Match, needed
from gateway.decision.model import Cause
from gateway.fhir.terminology import canonical

HREX_REGULAR: Final = "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition-hrex-consent.html#regular"
"""Policy of an HRex Consent that withholds everything sensitive under US law (Da Vinci HRex)."""
_PCF: Final = "https://profiles.ihe.net/ITI/PCF/StructureDefinition/"


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One provision, or a Consent's own base; `cause` is what it says where it speaks, `permit` what it then gives,
    None for a deny. `doubts` are its conditions on the data, none where it cannot be read; each must say at least
    `needs`. `within`: counts only where the parent matches. Once settled, `live` says whether it may match at all."""

    cause: Cause
    permit: Permit | None
    needs: Match
    unreadable: bool
    terms: Terms
    doubts: tuple[Doubt, ...] = ()
    authors: tuple[Reference, ...] = ()
    within: bool = False
    children: tuple["Node", ...] = ()
    live: bool = True


class _Inherited(msgspec.Struct, frozen=True):
    """What a provision hands down to those inside it."""

    purposes: tuple[Coding, ...] = ()
    recipients: tuple[Reference, ...] = ()
    disclosers: tuple[tuple[bool, Reference], ...] = ()
    unknown_role: bool = False
    doubtful: bool = False
    spans: tuple[Span, ...] = ()


class _Actors(msgspec.Struct, frozen=True):
    """The actors of one provision; `disclosers` with whether as custodian, `unknown`: one has a role we do not know."""

    recipients: tuple[Reference, ...] = ()
    disclosers: tuple[tuple[bool, Reference], ...] = ()
    authors: tuple[Reference, ...] = ()
    unknown: bool = False


_NOBODY: Final = _Actors()


def rules_of(consent: Consent, name: str, base: Effect, interned: Interned) -> Node:
    """Give the tree of a Consent whose base decision is `base` and which nests no deeper than recursion goes. `name` is
    how causes name it; what its provisions ask is kept in `interned`."""
    return _Builder(consent, name, interned).tree(base)


class _Builder:
    """Builds the nodes of one Consent."""

    def __init__(self, consent: Consent, name: str, interned: Interned) -> None:
        self.consent = consent
        self.name = name
        self.interned = interned
        self.r5 = consent.dialect is Dialect.R5
        self.regular = HREX_REGULAR in consent.policies

    def tree(self, base: Effect) -> Node:
        spans = (self.interned.span(self.consent.period),) if self.consent.period is not None else ()
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
        who = self.actors(one)
        below = self.handed_down(one, above, who)
        unreadable = bool(one.unreadable)
        place = f"{self.name}#{path}" if path else self.name
        terms = self.terms(one, effect, below, whose=who.recipients, doubtful=above.doubtful)
        return Node(
            cause=cause_of(self.consent, place, effect, unreadable=unreadable),
            permit=self.permit(one, path, terms) if effect is Effect.PERMIT else None,
            needs=needed(effect),
            unreadable=unreadable,
            terms=terms,
            doubts=() if unreadable else tuple(self.doubts(one, effect, who.authors)),
            authors=(*who.authors, *_authored_by(one)),
            within=within,
            children=tuple(self.children(one, effect, path, below)),
        )

    def permit(self, one: Provision, path: str, terms: Terms) -> Permit:
        """Give the permit that a provision is where it counts: for a discloser it names, or that holds the Consent."""
        return Permit(
            consent=self.consent,
            path=path,
            purposes=terms.purposes,
            labels=tuple(map(canonical, one.labels)),
            names_recipient=bool(terms.recipients),
            names_discloser=bool(terms.disclosers) or bool(self.consent.custodians),
        )

    def terms(
        self, one: Provision, effect: Effect, stated: _Inherited, *, whose: tuple[Reference, ...], doubtful: bool
    ) -> Terms:
        """Give the terms of a provision that itself names the recipients `whose`."""
        choices = (stated.recipients,) if stated.recipients else ()
        if whose and self.consent.grantees and effect is Effect.PERMIT:
            choices = (*choices, self.consent.grantees)
        return self.interned.terms(
            Terms(
                doubtful=doubtful,
                purposes=stated.purposes,
                actions=one.actions,
                recipients=choices,
                disclosers=stated.disclosers,
                unknown_role=stated.unknown_role,
                spans=stated.spans,
            )
        )

    def children(self, one: Provision, effect: Effect, path: str, below: _Inherited) -> Iterable[Node]:
        exception = path.count("provision[") > 1 and effect is Effect.DENY
        for index, inner in enumerate(one.nested):
            own = _other(effect) if self.r5 or inner.type is None else inner.type
            within = self.r5 or (exception and own is Effect.PERMIT)
            yield self.node(inner, own, f"{path}.provision[{index}]", below, within=within)

    def handed_down(self, one: Provision, above: _Inherited, who: _Actors) -> _Inherited:
        own_span = (self.interned.span(one.period),) if one.period is not None else ()
        return _Inherited(
            purposes=tuple(map(canonical, one.purposes)) or above.purposes,
            recipients=who.recipients or above.recipients,
            disclosers=who.disclosers or above.disclosers,
            unknown_role=who.unknown or (above.unknown_role and not who.recipients),
            doubtful=above.doubtful or bool(one.unreadable),
            spans=(*above.spans, *own_span),
        )

    def actors(self, one: Provision) -> _Actors:
        """Sort the references of the actors by kind; an actor without reference names nobody."""
        if not one.actors:
            return _NOBODY
        by_kind: dict[Kind, list[Reference]] = {kind: [] for kind in Kind}
        for actor in one.actors:
            by_kind[kind_of(actor, self.consent.dialect)].append(actor.reference or Reference())
        return _Actors(
            recipients=tuple(by_kind[Kind.RECIPIENT]),
            disclosers=(
                *((True, who) for who in by_kind[Kind.CUSTODIAN]),
                *((False, who) for who in by_kind[Kind.DISCLOSER]),
            ),
            authors=tuple(by_kind[Kind.AUTHOR]),
            unknown=bool(by_kind[Kind.UNKNOWN]),
        )

    def doubts(self, one: Provision, effect: Effect, authors: tuple[Reference, ...]) -> Iterable[Doubt]:
        if one.labels:
            yield label_doubt(one.labels, effect, self.interned)
        if self.regular and effect is Effect.PERMIT:
            yield regular_doubt(self.interned)
        if one.classes:
            yield class_doubt(one.classes, self.interned)
        if one.codes:
            yield code_doubt(one.codes, self.interned)
        if one.data_period is not None:
            yield date_doubt(one.data_period, self.interned)
        if one.data:
            yield data_doubt(one.data, effect, self.interned, pcf=self.pcf)
        if authors:
            yield author_doubt(authors, self.interned)

    @cached_property
    def pcf(self) -> bool:
        """Whether the Consent declares a profile of IHE PCF; only provision.data reads it."""
        return _declares_pcf(self.consent)


def _authored_by(one: Provision) -> tuple[Reference, ...]:
    return tuple(data.reference for data in one.data if data.meaning is Meaning.AUTHORED_BY)


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
