"""One subject's consents, read into rules, without anything yet of who asks, for what or when.

Rules of this file (consent-semantics section 2)
1. Only an active Consent speaks (L085). What cannot be evaluated is kept, and denies in its group (law 2).
2. Three dialects: R5 starts from Consent.decision, typed R4 from the root's type, untyped R4 from policyRule.
3. An untyped R4 root may be limited by period and custodian alone; anything else there is not evaluable.
4. A signed general authorisation without provisions (SDOHCC) says nothing that can be evaluated, and no deny either.
"""

from collections.abc import Iterable
from datetime import tzinfo
from typing import Final

import msgspec

from consent_store.model import Coding, Consent, Dialect, Effect, Provision, Status, Unreadable
from gateway.decision.consents.roles import Kind, kind_of
from gateway.decision.consents.rules import Node, rules_of
from gateway.fhir.code_systems import CONSENT_POLICY
from gateway.fhir.terminology import canonical

MAX_DEPTH: Final = 60
"""Deeper provisions are not evaluable; PCF allows two levels."""
# policyRule codes that are the base decision of an R4 Consent, not a policy (v3-ActConsentDirective).
_BASE_DECISIONS: Final = frozenset({"OPTIN", "OPTINR", "OPTOUT", "OPTOUTE"})
_AUTHORISATION: Final = Coding(CONSENT_POLICY, "hipaa-auth")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One Consent that speaks. `root` None: it cannot be evaluated and denies, and `why`. `notes` are what inside it
    could not be read. `policies` are those that, with the custodians, make its group."""

    consent: Consent | Unreadable
    name: str
    root: Node | None
    why: str = ""
    notes: tuple[str, ...] = ()
    policies: frozenset[str]


class Compiled(msgspec.Struct, frozen=True):
    """The consents of one subject, ready to be specialised to exchanges; `zone` reads dates without offset."""

    entries: tuple[Entry, ...]
    zone: tzinfo | None


def compile_consents(consents: Iterable[Consent | Unreadable], zone: tzinfo | None) -> Compiled:
    """Read a subject's consents, of any status, into rules. Never raises, whatever a Consent holds."""
    active = [one for one in consents if isinstance(one, Unreadable) or one.status is Status.ACTIVE]
    return Compiled(tuple(entry for one in active if (entry := _entry(one, zone)) is not None), zone)


def _entry(consent: Consent | Unreadable, zone: tzinfo | None) -> Entry | None:
    """Read one Consent; None where it says nothing."""
    root: Node | None = None
    notes: tuple[str, ...] = ()
    if isinstance(consent, Unreadable):
        why = consent.why or "it cannot be read"
    else:
        base, why = _base(consent)
        if base is None and not why:
            return None
        root = rules_of(consent, base, zone) if base is not None else None
        notes = _notes(consent.provisions)
    return Entry(consent=consent, name=_name(consent), root=root, why=why, notes=notes, policies=_policies(consent))


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
