"""One subject's consents, read into rules, without anything yet of who asks, for what or when.

Rules of this file (consent-semantics section 2)
1. Only an active Consent speaks (L085). What cannot be evaluated is kept, and denies in its group (law 2).
2. Three dialects: R5 starts from Consent.decision, typed R4 from the root's type, untyped R4 from policyRule.
3. An untyped R4 root may be limited by period and custodian alone; anything else there is not evaluable.
4. A signed general authorisation without provisions (SDOHCC) says nothing that can be evaluated, and no deny either.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from typing import Final

import msgspec

from consent_store.dates import FhirDate
from consent_store.model import Coding, Consent, Dialect, Effect, Provision, Reference, Status, Unreadable
from gateway.decision.consents.causes import unevaluable
from gateway.decision.consents.roles import Kind, kind_of
from gateway.decision.consents.rules import Node, rules_of
from gateway.decision.consents.terms import Interned, Terms
from gateway.decision.consents.truth import Match, any_of, needed
from gateway.fhir.code_systems import CONSENT_POLICY, CONSENT_SCOPE, canonical_system
from gateway.fhir.terminology import canonical

MAX_DEPTH: Final = 60
"""Deeper provisions are not evaluable; PCF allows two levels."""
# policyRule codes that are the base decision of an R4 Consent, not a policy (v3-ActConsentDirective).
_BASE_DECISIONS: Final = frozenset({"OPTIN", "OPTINR", "OPTOUT", "OPTOUTE"})
_AUTHORISATION: Final = Coding(CONSENT_POLICY, "hipaa-auth")
_OTHER_SCOPES: Final = frozenset({"adr", "treatment"})
_OLDEST: Final = datetime.min.replace(tzinfo=UTC)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One Consent that speaks. `why`: it cannot be evaluated and denies, and why. `notes` are what inside it could not
    be read. `in_scope`: whether it is about privacy, to an exchange for research and to any other. Its date is told as
    the span `first` to `after`."""

    consent: Consent | Unreadable
    name: str
    root: Node
    why: str
    notes: tuple[str, ...]
    in_scope: tuple[Match, Match]
    first: datetime
    after: datetime


class Batch(msgspec.Struct, frozen=True):
    """Consents that name the same custodians, in the same words, and the same policies; in the order of their names."""

    custodians: tuple[Reference, ...]
    policies: frozenset[str]
    entries: tuple[Entry, ...]


class Compiled(msgspec.Struct, frozen=True):
    """The consents of one subject, ready to be specialised to exchanges; `zone` reads dates without offset."""

    batches: tuple[Batch, ...]
    zone: tzinfo | None


def compile_consents(consents: Iterable[Consent | Unreadable], zone: tzinfo | None) -> Compiled:
    """Read a subject's consents, of any status, into rules. Never raises, whatever a Consent holds."""
    interned = Interned(zone)
    batches = defaultdict[tuple[tuple[Reference, ...], frozenset[str]], list[Entry]](list)
    for one in consents:
        active = isinstance(one, Unreadable) or one.status is Status.ACTIVE
        entry = _entry(one, zone, interned) if active else None
        if entry is not None:
            batches[one.custodians, _policies(one)].append(entry)
    found = (
        Batch(custodians, policies, tuple(sorted(entries, key=lambda entry: entry.name)))
        for (custodians, policies), entries in batches.items()
    )
    return Compiled(tuple(found), zone)


def _entry(consent: Consent | Unreadable, zone: tzinfo | None, interned: Interned) -> Entry | None:
    """Read one Consent; None where it says nothing."""
    name = _name(consent)
    scope = (Match.YES, Match.YES)
    notes: tuple[str, ...] = ()
    if isinstance(consent, Unreadable):
        why = consent.why or "it cannot be read"
        root = _unevaluable(consent, name, interned)
    else:
        base, why = _base(consent)
        if base is None and not why:
            return None
        root = _unevaluable(consent, name, interned) if base is None else rules_of(consent, name, base, interned)
        notes = tuple(f"{name}{note}" for note in _notes(consent.provisions))
        scope = (_in_scope(consent, research=False), _in_scope(consent, research=True))
    first, after = _span(consent.date, zone)
    return Entry(consent=consent, name=name, root=root, why=why, notes=notes, in_scope=scope, first=first, after=after)


def _unevaluable(consent: Consent | Unreadable, name: str, interned: Interned) -> Node:
    cause = unevaluable(consent, name)
    return Node(cause=cause, permit=None, needs=needed(Effect.DENY), unreadable=True, terms=interned.terms(Terms()))


def _span(date: FhirDate | None, zone: tzinfo | None) -> tuple[datetime, datetime]:
    return (_OLDEST, _OLDEST) if date is None else (date.first(zone, wide=True), date.after(zone, wide=True))


def _in_scope(consent: Consent, *, research: bool) -> Match:
    """Say whether the Consent is about privacy: patient-privacy, or research for research; the code may also stand in
    category, and without any the Consent is taken to be (R5 has none)."""
    stated = consent.scopes or tuple(one for one in consent.categories if canonical_system(one.system) == CONSENT_SCOPE)
    return any_of(_scope(one, research=research) for one in stated) if stated else Match.YES


def _scope(coding: Coding, *, research: bool) -> Match:
    if canonical_system(coding.system) != CONSENT_SCOPE:
        return Match.UNSURE
    if coding.code == "patient-privacy":
        return Match.YES
    if coding.code == "research":
        return Match.YES if research else Match.NO
    return Match.NO if coding.code in _OTHER_SCOPES else Match.UNSURE


def _name(consent: Consent | Unreadable) -> str:
    return f"Consent/{consent.id}/_history/{consent.version}" if consent.version else f"Consent/{consent.id}"


def _policies(consent: Consent | Unreadable) -> frozenset[str]:
    rules = (canonical(rule) for rule in consent.policy_rules)
    named = {f"{rule.system}|{rule.code}" for rule in rules if rule.code not in _BASE_DECISIONS}
    return frozenset(named | set(consent.policies))


def _notes(provisions: tuple[Provision, ...]) -> tuple[str, ...]:
    """Tell what inside the provisions could not be read, by path."""
    notes: list[str] = []
    waiting = [(f"provision[{index}]", one) for index, one in enumerate(provisions)]
    while waiting:
        path, one = waiting.pop()
        notes.extend(f"#{path}: {why}" for why in one.unreadable)
        waiting.extend((f"{path}.provision[{index}]", inner) for index, inner in enumerate(one.nested))
    return tuple(sorted(notes))


def _base(consent: Consent) -> tuple[Effect | None, str]:
    """Give the base decision; (None, why) where the Consent cannot be evaluated, (None, "") where it says nothing."""
    why = _why_not(consent)
    if why:
        return None, why
    root = consent.provisions[0] if consent.provisions else Provision()
    base = root.type or consent.base if consent.dialect is Dialect.TYPED else consent.base
    if base is not None:
        return base, ""
    if not consent.provisions and _AUTHORISATION in map(canonical, consent.policy_rules):
        return None, ""
    return None, "it states no base decision that can be evaluated"


def _why_not(consent: Consent) -> str:
    """Say why the shape of the provisions cannot be evaluated, "" where it can."""
    if _deeper_than(MAX_DEPTH, consent.provisions):
        return f"its provisions are nested more than {MAX_DEPTH} deep"
    if consent.dialect is Dialect.R5 or not consent.provisions:
        return ""
    if len(consent.provisions) > 1:
        return "it has several root provisions"
    root = consent.provisions[0]
    limit = _limit_of_untyped(root) if consent.dialect is Dialect.UNTYPED else ""
    return f"its root provision has no type and is limited by {limit}" if limit else ""


def _limit_of_untyped(root: Provision) -> str:
    """Name the first condition that may not stand on an untyped root, "" where there is none."""
    if root.unreadable:
        return "what cannot be read"
    if any(kind_of(actor, Dialect.UNTYPED) is not Kind.CUSTODIAN for actor in root.actors):
        return "actor"
    conditions = {
        "action": root.actions,
        "securityLabel": root.labels,
        "purpose": root.purposes,
        "class": root.classes,
        "code": root.codes,
        "dataPeriod": root.data_period,
        "data": root.data,
    }
    return next((name for name, stated in conditions.items() if stated), "")


def _deeper_than(depth: int, provisions: tuple[Provision, ...]) -> bool:
    level = list(provisions)
    for _ in range(depth):
        level = [inner for one in level for inner in one.nested]
        if not level:
            return False
    return True
