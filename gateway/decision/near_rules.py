"""Which rules of a profile decided on a record, which came near, and what kept them.

Rules of this file
1. Each part of a rule is put to the engine alone (`in_force`, `rule_on`, `hold`): nothing is matched here.
2. A rule came near where it is about this record between these parties, and something else kept it.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from gateway.decision.case import Case
from gateway.decision.combine import rule_on
from gateway.decision.conditions import hold
from gateway.decision.consents import ConsentAnswer
from gateway.decision.model import Answer
from gateway.decision.rules import in_force
from gateway.policy.matching import PartyMatch
from gateway.policy.model import Condition, Policy, Rule, RuleEffect


class Kept(StrEnum):
    """What kept a rule from speaking."""

    PURPOSE = "other_purpose"
    AGREEMENT = "no_agreement"
    NEED = "need_not_met"
    LIFTED = "lifted"
    SWITCH = "switched_off"


class Because(msgspec.Struct, frozen=True):
    """One reason; `condition` names the one that is not met or lifted a deny, `known` whether it is known to be so."""

    kept: Kept
    say: str
    condition: str = ""
    known: bool = True


class NearRule(msgspec.Struct, frozen=True):
    """One rule that came near, in the profile's own words, and what kept it."""

    rule: str
    effect: str
    layer: str
    cite: str
    says: str
    because: tuple[Because, ...]


_WORDS: Final[Mapping[str, str]] = {
    Condition.CONSENT_PERMITS: "a consent of the patient permits it",
    Condition.CONSENT_NAMES_RECIPIENT: "a consent that permits it is signed and names the recipient",
    Condition.PART2_COMPLIANT_CONSENT: "a consent that permits it meets 42 CFR 2.31",
    Condition.PART2_EMERGENCY: "there is a bona fide medical emergency and consent cannot be obtained",
    Condition.PART2_SAME_PROGRAM: "it stays within one Part 2 program",
    Condition.PART2_QUALIFIED_SERVICE_ORGANISATION: "the recipient is the program's qualified service organisation",
    Condition.RECIPIENT_IS_SUBJECT: "the recipient is the patient",
    Condition.BOTH_HAVE_RELATIONSHIP: "both parties have or had a relationship with the patient",
    Condition.SPECIFIC_PSYCHOTHERAPY_AUTHORISATION: "the patient authorised psychotherapy notes specifically",
    Condition.ADULT_ONLY: "the patient is an adult",
    Condition.AGE_KNOWN: "the patient's age is known",
    Condition.REQUIRED_BY_LAW: "a law requires it",
    Condition.NO_INDIVIDUAL_OBJECTION: "the patient has not objected",
}
_SILENT: Final = ConsentAnswer(Answer.NOT_APPLICABLE)


def about(rule: Rule, case: Case) -> bool:
    """Say whether a rule is about such a record between these parties, whatever its other terms."""
    asked = msgspec.structs.replace(rule, purposes=(), agreements=None, switch="")
    if not in_force(_alone(asked, case.policy), case.directory, case.exchange):
        return False
    permit = msgspec.structs.replace(
        asked,
        effect=RuleEffect.PERMIT,
        deny_class=None,
        needs=(),
        unless=(),
        when_false=(),
        unless_false=(),
        agreements=None,
    )
    return rule_on(msgspec.structs.replace(case, consents=_SILENT, linked=()), (permit,)).permitted


def near_rules(case: Case) -> tuple[NearRule, ...]:
    """Tell of each rule that came near, in the profile's order, without those that spoke."""
    rules = (rule for rule in case.policy.rules if about(rule, case))
    told = ((rule, tuple(_kept(rule, case))) for rule in rules)
    return tuple(
        NearRule(rule.id, rule.effect.value, rule.layer.value, rule.cite, rule.says, because)
        for rule, because in told
        if because
    )


def conditions_of(rule: Rule) -> tuple[Condition, ...]:
    """Give every condition that a rule turns on."""
    return (*rule.needs, *rule.unless, *rule.when_false, *rule.unless_false)


def _kept(rule: Rule, case: Case) -> Iterator[Because]:
    if rule.switch and not case.policy.on(rule.switch):
        yield Because(Kept.SWITCH, f"the switch {rule.switch} is off")
    if rule.purposes and not _speaks(case, purposes=rule.purposes):
        listed = ", ".join(one.code or "" for one in rule.purposes)
        yield Because(Kept.PURPOSE, f"it is for {listed}, not for {case.exchange.purpose.code}")
    if rule.agreements is not None and not _agreed(rule, case):
        listed = " or ".join(sorted(rule.agreements))
        yield Because(Kept.AGREEMENT, f"no {listed} between the parties is in force that covers this")
    for need in rule.needs:
        truth = hold(need, case)
        if truth is False or (truth is None and rule.effect is not RuleEffect.DENY):
            known = "it is not so" if truth is False else "it is not known"
            yield Because(Kept.NEED, f"{known} that {words(need)}", need.value, truth is not None)
    for guard in rule.unless_false:
        if hold(guard, case) is False:
            yield Because(Kept.NEED, f"it lapses, because it is not so that {words(guard)}", guard.value)
    if rule.effect is RuleEffect.DENY:
        yield from _lifts(rule, case)


def _lifts(rule: Rule, case: Case) -> Iterator[Because]:
    for lift in rule.unless:
        if hold(lift, case) is True:
            yield Because(Kept.LIFTED, f"it yields, because {words(lift)}", lift.value)
    if rule.when_false and not any(hold(one, case) is False for one in rule.when_false):
        listed = " or ".join(map(words, rule.when_false))
        yield Because(Kept.NEED, f"it denies only where it is known not to be so that {listed}")


def _agreed(rule: Rule, case: Case) -> bool:
    """Ask the engine of a rule with these agreements and nothing else."""
    asked = Rule(
        id=rule.id,
        layer=rule.layer,
        effect=RuleEffect.PERMIT,
        says="",
        cite="",
        agreements=rule.agreements,
        no_patient=rule.no_patient,
    )
    if not in_force(_alone(asked, case.policy), case.directory, case.exchange):
        return False
    return rule_on(msgspec.structs.replace(case, consents=_SILENT, linked=()), (asked,)).permitted


def _speaks(case: Case, **part: object) -> bool:
    bare = msgspec.structs.replace(
        case.policy.rules[0], discloser=PartyMatch(), recipient=PartyMatch(), purposes=(), agreements=None, switch=""
    )
    return bool(in_force(_alone(msgspec.structs.replace(bare, **part), case.policy), case.directory, case.exchange))


def _alone(rule: Rule, policy: Policy) -> Policy:
    return msgspec.structs.replace(policy, rules=(rule,))


def words(condition: Condition | str) -> str:
    """Give a condition as words that can follow "that"."""
    name = str(getattr(condition, "value", condition))
    return _WORDS.get(name) or f"`{name.replace('_', ' ')}`"
