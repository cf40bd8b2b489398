"""The rules in force in an exchange, specialised to one subject: what no record changes is asked once, not of each.

Rules of this file
1. A condition that turns on the exchange or the subject alone is asked beforehand (`conditions.beforehand`). One that
   is met is not asked again, one that is not is named as missing; a deny that can no longer stand is dropped.
2. Agreements come to the categories they cover, which is all that a record decides of them.
3. The order of the profile stays, so that what is told of a record stays: rules, and the needs of each.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

import msgspec

from gateway.decision.case import Case, Told, in_force_between
from gateway.decision.conditions import beforehand, hold
from gateway.decision.model import Cause
from gateway.policy.model import Condition, DenyClass, Rule, RuleEffect

Step = tuple[Condition | None, str, bool]
"""One need of a rule: what to ask of the record (None: it is known to be missing), its name where it is missing, and
whether it is a guard, which is missing only where it is known to be false."""


class Giving(msgspec.Struct, frozen=True):
    """A rule that gives something: a permit, or obligations. It speaks of records of the categories `data` that are
    also among the `agreed` (None: any)."""

    rule: Rule
    cause: Cause
    data: frozenset[str] | None
    agreed: frozenset[str] | None
    steps: tuple[Step, ...]


class Denying(msgspec.Struct, frozen=True):
    """A deny, about the same: it yields where one of `unless` is true or one of `needs` false; `breaks`: and where none
    of these is false (None: there is no such condition left). `words` name what could lift it."""

    cause: Cause
    deny_class: DenyClass | None
    data: frozenset[str] | None
    agreed: frozenset[str] | None
    unless: tuple[Condition, ...]
    needs: tuple[Condition, ...]
    breaks: tuple[Condition, ...] | None
    words: tuple[str, ...]
    on_part2: bool


_NOTHING: Final = frozenset[str]()
_Line = TypeVar("_Line", Giving, Denying)


class Lines(msgspec.Struct, frozen=True):
    """The rules for one subject, or for records of no patient, by what they do."""

    permits: tuple[Giving, ...]
    denies: tuple[Denying, ...]
    obliging: tuple[Giving, ...]


class Rules:
    """The rules in force in an exchange, each with the cause it would be told as; specialised once to each subject."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        listed = tuple(rules)
        self._of = {flag: [(one, cause_of(one)) for one in listed if one.no_patient is flag] for flag in (True, False)}
        self._kept: dict[tuple[int, bool], tuple[Told, Lines]] = {}

    def lines(self, case: Case) -> Lines:
        """Give the rules as they stand for a case: for all records of its subject of which nothing is stated, where the
        case goes by what was told before."""
        told, rules = case.told, self._of[case.subject is None]
        if told is None or not told.fits(case):
            return _lines(rules, case)
        key = (id(told), bool(case.stated))
        if key not in self._kept:
            self._kept[key] = (told, _lines(rules, case))  # holds it, so that no other can be taken for it
        return self._kept[key][1]


def cause_of(rule: Rule, consent: str = "") -> Cause:
    """Give the cause that a rule is told as; of a permit with the consent that it relies on."""
    deny = rule.effect is RuleEffect.DENY
    return Cause(
        layer=rule.layer.value,
        effect="deny" if deny else "permit",
        rule=rule.id,
        deny_class=rule.deny_class.value if deny and rule.deny_class else "",
        cite=rule.cite,
        consent=consent,
        say=rule.says,
        reason=rule.reason if deny else "",
        obligations=rule.obligations if deny else (),
    )


def _lines(rules: Sequence[tuple[Rule, Cause]], case: Case) -> Lines:
    by_effect = {effect: [one for one in rules if one[0].effect is effect] for effect in RuleEffect}
    return Lines(
        permits=_present(_giving(rule, cause, case) for rule, cause in by_effect[RuleEffect.PERMIT]),
        denies=_present(_denying(rule, cause, case) for rule, cause in by_effect[RuleEffect.DENY]),
        obliging=_present(_giving(rule, cause, case) for rule, cause in by_effect[RuleEffect.OBLIGE]),
    )


def _present(found: Iterable[_Line | None]) -> tuple[_Line, ...]:
    return tuple(one for one in found if one is not None)


def _agreed(rule: Rule, case: Case) -> frozenset[str] | None:
    """Give the categories that agreements of the rule's types cover; None where one covers all, or none is asked."""
    if rule.agreements is None:
        return None
    covered = [one.data for one in in_force_between(case, rule.agreements)]
    return None if None in covered else _NOTHING.union(*(data for data in covered if data is not None))


def _giving(rule: Rule, cause: Cause, case: Case) -> Giving | None:
    agreed = _agreed(rule, case)
    if agreed == _NOTHING:
        return None
    steps = [_step(need, case, guard=False) for need in rule.needs]
    steps += [_step(guard, case, guard=True) for guard in rule.unless_false]
    return Giving(rule, cause, rule.data, agreed, tuple(step for step in steps if step is not None))


def _step(condition: Condition, case: Case, *, guard: bool) -> Step | None:
    if not beforehand(condition, case):
        return condition, condition.value, guard
    truth = hold(condition, case)
    met = truth is not False if guard else truth is True
    return None if met else (None, condition.value, guard)


def _denying(rule: Rule, cause: Cause, case: Case) -> Denying | None:
    """Give what is left of a deny; None where it cannot stand."""
    agreed = _agreed(rule, case)
    known = {one: hold(one, case) for one in (*rule.unless, *rule.needs, *rule.when_false) if beforehand(one, case)}
    if agreed == _NOTHING or any(known.get(one) is True for one in rule.unless):
        return None
    if any(one in known and known[one] is False for one in rule.needs):
        return None
    breaks: tuple[Condition, ...] | None = None
    if rule.when_false and not any(one in known and known[one] is False for one in rule.when_false):
        breaks = tuple(one for one in rule.when_false if one not in known)
        if not breaks:
            return None
    return Denying(
        cause=cause,
        deny_class=rule.deny_class,
        data=rule.data,
        agreed=agreed,
        unless=tuple(one for one in rule.unless if one not in known),
        needs=tuple(one for one in rule.needs if one not in known),
        breaks=breaks,
        words=tuple(one.value for one in (*rule.unless, *rule.when_false)),
        on_part2=Condition.PART2_COMPLIANT_CONSENT in rule.unless,
    )
