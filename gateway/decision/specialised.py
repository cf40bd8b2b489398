"""The rules in force in an exchange, specialised to it and to a subject: what no record changes is asked once.

Rules of this file
1. A condition that turns on the exchange alone is asked beforehand, one that turns on the subject from the second
   record on. What is met is not asked again, what is not is named as missing; a deny that can stand no more is dropped.
2. Agreements come to the categories they cover, which is all that a record decides of them.
3. The order of the profile stays, so that what is told of a record stays: rules, and the needs of each.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

import msgspec

from gateway.decision.case import Case, Told, in_force_between
from gateway.decision.conditions import hold, of_exchange, of_subject
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


class About(msgspec.Struct, frozen=True):
    """The rules that speak of records of the same categories, by what they do."""

    permits: tuple[Giving, ...]
    denies: tuple[Denying, ...]
    obliging: tuple[Giving, ...]


class Lines(msgspec.Struct, frozen=True):
    """The rules for one subject, or for records of no patient, by what they do. Which of them speak of records of some
    categories is found once for all such records."""

    permits: tuple[Giving, ...]
    denies: tuple[Denying, ...]
    obliging: tuple[Giving, ...]
    found: dict[frozenset[str], About] = {}  # msgspec: each its own

    def about(self, categories: frozenset[str]) -> About:
        """Give the rules that speak of records of these categories."""
        known = self.found.get(categories)
        if known is None:
            known = self.found[categories] = About(
                permits=_about(self.permits, categories),
                denies=_about(self.denies, categories),
                obliging=_about(self.obliging, categories),
            )
        return known


def _about(lines: tuple[_Line, ...], categories: frozenset[str]) -> tuple[_Line, ...]:
    return tuple(
        [
            one
            for one in lines
            if (one.data is None or not one.data.isdisjoint(categories))
            and (one.agreed is None or not one.agreed.isdisjoint(categories))
        ]
    )


class Rules:
    """The rules in force in an exchange, each with the cause it would be told as; specialised once to the exchange, and
    to each subject that has more than one record."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        listed = tuple(rules)
        self._of = {flag: [(one, cause_of(one)) for one in listed if one.no_patient is flag] for flag in (True, False)}
        self._here: dict[bool, tuple[Told, Lines]] = {}
        self._kept: dict[int, tuple[Told, Lines | None]] = {}

    def lines(self, case: Case) -> Lines:
        """Give the rules as they stand for a case, specialised as far as it goes by what was told before."""
        told, bare = case.told, case.subject is None
        if told is None or not told.fits(case):
            return _lines(self._of[bare], case, _never)
        kept = self._kept.get(id(told))
        if kept is None or case.stated:
            self._kept.setdefault(id(told), (told, None))  # held, so that no other can be taken for it
            return self._in_exchange(case, told, bare=bare)
        if kept[1] is not None:
            return kept[1]
        lines = _lines(self._of[bare], case, of_subject)
        self._kept[id(told)] = (told, lines)
        return lines

    def _in_exchange(self, case: Case, told: Told, *, bare: bool) -> Lines:
        here = self._here.get(bare)
        if here is None or here[0].exchange is not told.exchange or here[0].directory is not told.directory:
            here = self._here[bare] = (told, _lines(self._of[bare], case, of_exchange))
        return here[1]


_Known = Callable[[Condition], bool]


def _never(_: Condition) -> bool:
    return False


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


def _lines(rules: Sequence[tuple[Rule, Cause]], case: Case, known: _Known) -> Lines:
    """Specialise rules to a case as far as conditions are `known`: the same for all cases that they are to serve."""
    by_effect = {effect: [one for one in rules if one[0].effect is effect] for effect in RuleEffect}
    return Lines(
        permits=_present(_giving(rule, cause, case, known) for rule, cause in by_effect[RuleEffect.PERMIT]),
        denies=_present(_denying(rule, cause, case, known) for rule, cause in by_effect[RuleEffect.DENY]),
        obliging=_present(_giving(rule, cause, case, known) for rule, cause in by_effect[RuleEffect.OBLIGE]),
    )


def _present(found: Iterable[_Line | None]) -> tuple[_Line, ...]:
    return tuple(one for one in found if one is not None)


def _agreed(rule: Rule, case: Case) -> frozenset[str] | None:
    """Give the categories that agreements of the rule's types cover; None where one covers all, or none is asked."""
    if rule.agreements is None:
        return None
    covered = [one.data for one in in_force_between(case, rule.agreements)]
    return None if None in covered else _NOTHING.union(*(data for data in covered if data is not None))


def _giving(rule: Rule, cause: Cause, case: Case, known: _Known) -> Giving | None:
    agreed = _agreed(rule, case)
    if agreed == _NOTHING:
        return None
    steps = [_step(need, case, known, guard=False) for need in rule.needs]
    steps += [_step(guard, case, known, guard=True) for guard in rule.unless_false]
    return Giving(rule, cause, rule.data, agreed, tuple(step for step in steps if step is not None))


def _step(condition: Condition, case: Case, known: _Known, *, guard: bool) -> Step | None:
    if not known(condition):
        return condition, condition.value, guard
    truth = hold(condition, case)
    met = truth is not False if guard else truth is True
    return None if met else (None, condition.value, guard)


def _denying(rule: Rule, cause: Cause, case: Case, asked: _Known) -> Denying | None:
    """Give what is left of a deny; None where it cannot stand."""
    agreed = _agreed(rule, case)
    known = {one: hold(one, case) for one in (*rule.unless, *rule.needs, *rule.when_false) if asked(one)}
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
