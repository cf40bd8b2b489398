"""One subject's ruling on one record: every layer is asked, a deny trumps, and without a permit nothing passes.

Rules of this file
1. Release = no deny that still stands, and at least one permit (consent-semantics section 7).
2. A patient's deny and an indeterminate consent are denies of class `patient`; so are those of a linked record.
3. A permit whose rule suspends a class lifts the denies of that class, never `federal_law` (law 2).
4. Every deny, every permit and every unmet need is named (law 7).
"""

from typing import Final

import msgspec

from gateway.decision.case import Truth
from gateway.decision.conditions import Case, hold, relied_on
from gateway.decision.consent_scope import SCOPE, scope_of
from gateway.decision.consents import Permit
from gateway.decision.model import Answer, Cause
from gateway.decision.part2_conditions import why_not_part2
from gateway.decision.specialised import Denying, Giving, Rules, cause_of
from gateway.policy.model import Condition, DenyClass, Rule


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


def rule_on(case: Case, rules: "Rules | tuple[Rule, ...]") -> Ruling:
    """Combine the layers for one record and one subject (None: a record about no patient).

    `rules` are those in force for the exchange; the case's target carries the labels the ruling is to be made on.
    """
    speaking = (rules if isinstance(rules, Rules) else Rules(rules)).lines(case).about(case.categories)
    said: dict[Condition, Truth] = {}
    unmet: list[str] = []
    permits = [one for one in speaking.permits if not one.steps or _met(one, case, said, unmet)]
    suspended = _NONE.union(*[one.rule.suspends for one in permits]) - _NEVER_SUSPENDED
    denies = [one.cause for one in speaking.denies if _stands(one, case, said, unmet, suspended)]
    if _PATIENT not in suspended:
        for answer in (case.consents, *case.linked):
            if answer.answer is _DENY or answer.answer is _INDETERMINATE:
                denies += [cause for cause in answer.causes if cause.effect == "deny"]
    if denies or not permits:
        return Ruling(
            permitted=False,
            categories=case.categories,
            causes=tuple(denies or [_default_deny(case)]),
            erring=case.consents.erring,
            unmet=tuple(dict.fromkeys(unmet)),
        )
    carried = [one.rule for one in permits]
    carried += [one.rule for one in speaking.obliging if _met(one, case, said, [])]
    duties = tuple(dict.fromkeys([word for rule in carried for word in rule.obligations]))
    return Ruling(
        permitted=True,
        categories=case.categories,
        causes=tuple([cause for one in permits for cause in _permit_causes(one, case)]),
        erring=case.consents.erring,
        obligations=duties,
        refrains=tuple(dict.fromkeys([code for rule in carried for code in rule.refrains])),
        scopes=_scopes(carried, case) if SCOPE in duties else (),
    )


_NONE: Final = frozenset[DenyClass]()
# Members of enums are looked up once: each costs as much as a rule that does not speak.
_PATIENT: Final = DenyClass.PATIENT
_DENY: Final = Answer.DENY
_INDETERMINATE: Final = Answer.INDETERMINATE
_NEVER_SUSPENDED: Final = frozenset({DenyClass.FEDERAL_LAW})


def _scopes(carried: list[Rule], case: Case) -> tuple[str, ...]:
    """Give the scopes of the consents relied on by the rules that let them accompany the record."""
    telling = (rule for rule in carried if SCOPE in rule.obligations)
    return tuple(sorted({scope_of(permit) for rule in telling for permit in relied_on(rule.needs, case)}))


def _holds(condition: Condition, case: Case, said: dict[Condition, Truth]) -> Truth:
    """Ask a condition of this record once, whichever rules turn on it."""
    if condition not in said:
        said[condition] = hold(condition, case)
    return said[condition]


def _met(line: Giving, case: Case, said: dict[Condition, Truth], unmet: list[str]) -> bool:
    met = True
    for condition, word, guard in line.steps:
        if condition is not None:
            truth = _holds(condition, case, said)
            if truth is True or (guard and truth is None):
                continue
        unmet.append(word)
        met = False
    return met


def _stands(
    line: Denying, case: Case, said: dict[Condition, Truth], unmet: list[str], suspended: frozenset[DenyClass]
) -> bool:
    """Say whether a deny stands: its class is not suspended, nothing lifts it, and its guard is known to be broken."""
    if line.deny_class in suspended:
        return False
    for lift in line.unless:
        if _holds(lift, case, said) is True:
            return False
    for need in line.needs:
        if _holds(need, case, said) is False:
            return False
    if line.breaks is not None and not any(_holds(one, case, said) is False for one in line.breaks):
        return False
    unmet += line.words
    if line.on_part2:
        unmet += [f"{Condition.PART2_COMPLIANT_CONSENT}: {lack}" for lack in why_not_part2(case)]
    return True


def _permit_causes(line: Giving, case: Case) -> list[Cause]:
    """Name the rule once for each consent it relies on, in the order of their names; once where it relies on none."""
    if _ON_CONSENT.isdisjoint(line.rule.needs):
        return [line.cause]
    named = sorted({_named(permit) for permit in relied_on(line.rule.needs, case)})
    return [cause_of(line.rule, consent) for consent in named or [""]]


# The needs by which a rule relies on a consent.
_ON_CONSENT: Final = frozenset(
    {Condition.PART2_COMPLIANT_CONSENT, Condition.CONSENT_NAMES_RECIPIENT, Condition.CONSENT_PERMITS}
)


def _named(permit: Permit) -> str:
    version = f"/_history/{permit.consent.version}" if permit.consent.version else ""
    return f"Consent/{permit.consent.id}{version}#{permit.path}"


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
