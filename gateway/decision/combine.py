"""One subject's ruling on one record: every layer is asked, a deny trumps, and without a permit nothing passes.

Rules of this file
1. Release = no deny that still stands, and at least one permit (consent-semantics section 7).
2. A patient's deny and an indeterminate consent are denies of class `patient`; so are those of a linked record.
3. A permit whose rule suspends a class lifts the denies of that class, never `federal_law` (law 2).
4. Every deny, every permit and every unmet need is named (law 7).
"""

import msgspec

from gateway.decision.case import agreed_on
from gateway.decision.conditions import Case, hold, relied_on, why_not_part2
from gateway.decision.consent_scope import SCOPE, scope_of
from gateway.decision.consents import Permit
from gateway.decision.model import Answer, Cause
from gateway.policy.model import Condition, DenyClass, Rule, RuleEffect


class Ruling(msgspec.Struct, frozen=True):
    """What one subject's layers say together of one record."""

    permitted: bool
    categories: frozenset[str]
    causes: tuple[Cause, ...]
    erring: tuple[str, ...] = ()
    unmet: tuple[str, ...] = ()
    obligations: tuple[str, ...] = ()
    refrains: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()  # of the consents relied on, where they have to accompany the record


def rule_on(case: Case, rules: tuple[Rule, ...]) -> Ruling:
    """Combine the layers for one record and one subject (None: a record about no patient).

    `rules` are those in force for the exchange; the case's target carries the labels the ruling is to be made on.
    """
    categories = case.categories
    spoken = [
        rule
        for rule in rules
        if rule.no_patient is (case.subject is None)
        and (rule.data is None or rule.data & categories)
        and (rule.agreements is None or agreed_on(case, rule.agreements))
    ]
    unmet: list[str] = []
    permits = [rule for rule in spoken if rule.effect is RuleEffect.PERMIT and _met(rule, case, unmet)]
    suspended = frozenset().union(*(rule.suspends for rule in permits)) - {DenyClass.FEDERAL_LAW}
    denies = _rule_denies(spoken, case, unmet, suspended)
    if DenyClass.PATIENT not in suspended:
        said = [one for one in (case.consents, *case.linked) if one.answer in (Answer.DENY, Answer.INDETERMINATE)]
        denies += [cause for one in said for cause in one.causes if cause.effect == "deny"]
    permitted = bool(permits) and not denies
    if not permits and not denies:
        denies = [_default_deny(case)]
    causes = tuple(denies) if not permitted else tuple(c for rule in permits for c in _permit_causes(rule, case))
    obliging = [r for r in spoken if r.effect is RuleEffect.OBLIGE and _met(r, case, None)] if permitted else []
    carried = [*permits, *obliging] if permitted else []
    return Ruling(
        permitted=permitted,
        categories=categories,
        causes=causes,
        erring=case.consents.erring,
        unmet=() if permitted else tuple(dict.fromkeys(unmet)),
        obligations=tuple(dict.fromkeys(word for rule in carried for word in rule.obligations)),
        refrains=tuple(dict.fromkeys(code for rule in carried for code in rule.refrains)),
        scopes=tuple(sorted({text for rule in carried if SCOPE in rule.obligations for text in _scopes(rule, case)})),
    )


def _scopes(rule: Rule, case: Case) -> list[str]:
    return [scope_of(permit) for permit in relied_on(rule.needs, case)]


def _met(rule: Rule, case: Case, unmet: list[str] | None) -> bool:
    missing = [need.value for need in rule.needs if hold(need, case) is not True]
    missing += [guard.value for guard in rule.unless_false if hold(guard, case) is False]
    if unmet is not None:
        unmet.extend(missing)
    return not missing


def _rule_denies(rules: list[Rule], case: Case, unmet: list[str], suspended: frozenset[DenyClass]) -> list[Cause]:
    denies = []
    for rule in rules:
        if rule.effect is not RuleEffect.DENY or rule.deny_class in suspended:
            continue
        if any(hold(lift, case) is True for lift in rule.unless) or any(hold(n, case) is False for n in rule.needs):
            continue
        if rule.when_false and not any(hold(one, case) is False for one in rule.when_false):
            continue
        unmet.extend(one.value for one in (*rule.unless, *rule.when_false))
        if Condition.PART2_COMPLIANT_CONSENT in rule.unless:
            unmet.extend(f"{Condition.PART2_COMPLIANT_CONSENT}: {lack}" for lack in why_not_part2(case))
        denies.append(_cause(rule, "deny"))
    return denies


def _permit_causes(rule: Rule, case: Case) -> list[Cause]:
    """Name the rule once for each consent it relies on, in the order of their names; once where it relies on none."""
    named = sorted({_named(permit) for permit in relied_on(rule.needs, case)})
    return [_cause(rule, "permit", consent) for consent in named or [""]]


def _named(permit: Permit) -> str:
    version = f"/_history/{permit.consent.version}" if permit.consent.version else ""
    return f"Consent/{permit.consent.id}{version}#{permit.path}"


def _cause(rule: Rule, effect: str, consent: str = "") -> Cause:
    return Cause(
        layer=rule.layer.value,
        effect=effect,
        rule=rule.id,
        deny_class=rule.deny_class.value if effect == "deny" and rule.deny_class else "",
        cite=rule.cite,
        consent=consent,
        say=rule.says,
        reason=rule.reason if effect == "deny" else "",
        obligations=rule.obligations if effect == "deny" else (),
    )


def _default_deny(case: Case) -> Cause:
    default = case.policy.default_deny
    return Cause(
        layer="implicit",
        effect="deny",
        rule="default-deny",
        deny_class=DenyClass.DISCRETIONARY.value,
        cite=default.cite,
        say=default.says,
        reason=default.reason,
    )
