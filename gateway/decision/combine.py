"""One subject's ruling on one record: every layer is asked, a deny trumps, and without a permit nothing passes.

Rules of this file
1. Release = no deny that still stands, and at least one permit (consent-semantics section 7).
2. A patient's deny and an indeterminate consent are denies of class `patient`; so are those of a linked record.
3. A permit whose rule suspends a class lifts the denies of that class, never `federal_law` (law 2).
4. Every deny, every permit and every unmet need is named (law 7).
"""

from collections.abc import Iterable, Sequence
from typing import Final

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


class Rules:
    """The rules in force in an exchange, sorted by what they do, each with the cause it would be told as: made once for
    all records of a document."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        listed = tuple(rules)
        self._of = {flag: _Sorted([rule for rule in listed if rule.no_patient is flag]) for flag in (True, False)}

    def of(self, *, no_patient: bool) -> "_Sorted":
        """Give the rules about records of no patient, or of one."""
        return self._of[no_patient]


class _Sorted:
    def __init__(self, rules: Sequence[Rule]) -> None:
        self.permits = [(rule, _cause(rule, "permit")) for rule in rules if rule.effect is RuleEffect.PERMIT]
        self.denies = [(rule, _cause(rule, "deny")) for rule in rules if rule.effect is RuleEffect.DENY]
        self.obliging = [rule for rule in rules if rule.effect is RuleEffect.OBLIGE]


def rule_on(case: Case, rules: "Rules | tuple[Rule, ...]") -> Ruling:
    """Combine the layers for one record and one subject (None: a record about no patient).

    `rules` are those in force for the exchange; the case's target carries the labels the ruling is to be made on.
    """
    ready = (rules if isinstance(rules, Rules) else Rules(rules)).of(no_patient=case.subject is None)
    unmet: list[str] = []
    permits = [one for one in ready.permits if _about(one[0], case) and _met(one[0], case, unmet)]
    suspended = frozenset[DenyClass]()
    for rule, _ in permits:
        suspended |= rule.suspends
    suspended -= _NEVER_SUSPENDED
    denies = [cause for rule, cause in ready.denies if _about(rule, case) and _stands(rule, case, unmet, suspended)]
    if DenyClass.PATIENT not in suspended:
        for said in (case.consents, *case.linked):
            if said.answer is Answer.DENY or said.answer is Answer.INDETERMINATE:
                denies += [cause for cause in said.causes if cause.effect == "deny"]
    if denies or not permits:
        return Ruling(
            permitted=False,
            categories=case.categories,
            causes=tuple(denies or [_default_deny(case)]),
            erring=case.consents.erring,
            unmet=tuple(dict.fromkeys(unmet)),
        )
    carried = [rule for rule, _ in permits]
    carried += [rule for rule in ready.obliging if _about(rule, case) and _met(rule, case, None)]
    return Ruling(
        permitted=True,
        categories=case.categories,
        causes=tuple(cause for rule, plain in permits for cause in _permit_causes(rule, plain, case)),
        erring=case.consents.erring,
        obligations=tuple(dict.fromkeys(word for rule in carried for word in rule.obligations)),
        refrains=tuple(dict.fromkeys(code for rule in carried for code in rule.refrains)),
        scopes=tuple(sorted({text for rule in carried if SCOPE in rule.obligations for text in _scopes(rule, case)})),
    )


_NEVER_SUSPENDED: Final = frozenset({DenyClass.FEDERAL_LAW})


def _about(rule: Rule, case: Case) -> bool:
    """Say whether a rule in force speaks of this record."""
    if rule.data is not None and rule.data.isdisjoint(case.categories):
        return False
    return rule.agreements is None or agreed_on(case, rule.agreements)


def _scopes(rule: Rule, case: Case) -> list[str]:
    return [scope_of(permit) for permit in relied_on(rule.needs, case)]


def _met(rule: Rule, case: Case, unmet: list[str] | None) -> bool:
    if not rule.needs and not rule.unless_false:
        return True
    missing = [need.value for need in rule.needs if hold(need, case) is not True]
    missing += [guard.value for guard in rule.unless_false if hold(guard, case) is False]
    if unmet is not None:
        unmet.extend(missing)
    return not missing


def _stands(rule: Rule, case: Case, unmet: list[str], suspended: frozenset[DenyClass]) -> bool:
    """Say whether a deny stands: its class is not suspended, nothing lifts it, and its guard is known to be broken."""
    if rule.deny_class in suspended:
        return False
    if any(hold(lift, case) is True for lift in rule.unless) or any(hold(n, case) is False for n in rule.needs):
        return False
    if rule.when_false and not any(hold(one, case) is False for one in rule.when_false):
        return False
    unmet.extend(one.value for one in (*rule.unless, *rule.when_false))
    if Condition.PART2_COMPLIANT_CONSENT in rule.unless:
        unmet.extend(f"{Condition.PART2_COMPLIANT_CONSENT}: {lack}" for lack in why_not_part2(case))
    return True


def _permit_causes(rule: Rule, plain: Cause, case: Case) -> list[Cause]:
    """Name the rule once for each consent it relies on, in the order of their names; once where it relies on none."""
    if _ON_CONSENT.isdisjoint(rule.needs):
        return [plain]
    named = sorted({_named(permit) for permit in relied_on(rule.needs, case)})
    return [_cause(rule, "permit", consent) for consent in named or [""]]


# The needs by which a rule relies on a consent.
_ON_CONSENT: Final = frozenset(
    {Condition.PART2_COMPLIANT_CONSENT, Condition.CONSENT_NAMES_RECIPIENT, Condition.CONSENT_PERMITS}
)


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
