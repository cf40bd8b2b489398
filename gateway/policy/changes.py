"""Every small change of a rule that could be made by mistake: what the cases beside a profile must notice.

Rules of this file
1. One change at a time: the rule dropped, its effect turned, one condition, purpose, category, party, agreement,
   suspended class, obligation or refrain taken away, or one of its limits lifted.
2. A change has a name that is the same from run to run: `RULE: what changed`.
"""

from collections.abc import Iterator

import msgspec

from gateway.policy.matching import PartyMatch
from gateway.policy.model import DenyClass, Policy, Rule, RuleEffect


class Change(msgspec.Struct, frozen=True):
    """One change of one rule: its name, and what the rule becomes (None: dropped)."""

    name: str
    rule: Rule | None


def changes(rule: Rule) -> Iterator[Change]:
    """Give every small change of a rule."""
    yield Change(f"{rule.id}: dropped", None)
    yield _turned(rule)
    for part in ("needs", "unless", "when_false", "unless_false", "purposes", "obligations", "refrains"):
        yield from _less(rule, part)
    yield from _fewer(rule, "data")
    yield from _fewer(rule, "agreements")
    yield from _fewer(rule, "suspends")
    for side, word in (("discloser", "from"), ("recipient", "to")):
        yield from _parties(rule, side, word)
    for part, nothing, says in (
        ("purposes", (), "any purpose"),
        ("data", None, "any data"),
        ("agreements", None, "no agreement"),
        ("switch", "", "no switch"),
    ):
        if getattr(rule, part):
            yield _with(rule, says, part, nothing)


def own_rules(policy: Policy, below: Iterator[Policy]) -> tuple[Rule, ...]:
    """Give the rules that a profile adds to those it extends."""
    inherited = {rule.id for one in below for rule in one.rules}
    return tuple(rule for rule in policy.rules if rule.id not in inherited)


def changed(policy: Policy, rule: Rule, change: Change) -> Policy:
    """Give a policy in which one rule is changed."""
    rules = (change.rule if one.id == rule.id else one for one in policy.rules)
    return msgspec.structs.replace(policy, rules=tuple(one for one in rules if one is not None))


def _turned(rule: Rule) -> Change:
    if rule.effect is RuleEffect.PERMIT:
        turned = msgspec.structs.replace(
            rule, effect=RuleEffect.DENY, deny_class=DenyClass.FEDERAL_LAW, reason="law_other"
        )
    else:
        turned = msgspec.structs.replace(rule, effect=RuleEffect.PERMIT, deny_class=None)
    return Change(f"{rule.id}: {turned.effect.value} instead of {rule.effect.value}", turned)


def _with(rule: Rule, says: str, part: str, value: object) -> Change:
    return Change(f"{rule.id}: {says}", msgspec.structs.replace(rule, **{part: value}))


def _less(rule: Rule, part: str) -> Iterator[Change]:
    """Take one member of an ordered part away. The last purpose is not: that is `any purpose`."""
    members: tuple[object, ...] = getattr(rule, part)
    if part == "purposes" and len(members) == 1:
        return
    for member in members:
        rest = tuple(one for one in members if one != member)
        yield _with(rule, f"{part} without {getattr(member, 'code', member)}", part, rest)


def _fewer(rule: Rule, part: str) -> Iterator[Change]:
    members: frozenset[str] | None = getattr(rule, part)
    for member in sorted(members or ()):
        if part == "suspends" or len(members or ()) > 1:
            yield _with(rule, f"{part} without {member}", part, (members or frozenset()) - {member})


def _parties(rule: Rule, side: str, word: str) -> Iterator[Change]:
    match: PartyMatch = getattr(rule, side)
    if match == PartyMatch():
        return
    yield _with(rule, f"{word} anyone", side, PartyMatch())
    for says, narrower in _narrower(match):
        yield _with(rule, f"{word} {says}", side, narrower)
    if match.hipaa_covered is not None and match != PartyMatch(hipaa_covered=match.hipaa_covered):
        yield _with(rule, f"{word} whether covered or not", side, msgspec.structs.replace(match, hipaa_covered=None))


def _narrower(match: PartyMatch) -> Iterator[tuple[str, PartyMatch]]:
    """Take one type or kind away, here or in an alternative; or a whole alternative."""
    for member in sorted(match.types or ()):
        if len(match.types or ()) > 1:
            yield f"without {member}", msgspec.structs.replace(match, types=(match.types or frozenset()) - {member})
    for number, one in enumerate(match.any):
        rest = tuple(other for other in match.any if other is not one)
        if rest:
            yield f"without alternative {number + 1}", msgspec.structs.replace(match, any=rest)
        for says, narrower in _narrower(one):
            swapped = tuple(narrower if other is one else other for other in match.any)
            yield says, msgspec.structs.replace(match, any=swapped)
