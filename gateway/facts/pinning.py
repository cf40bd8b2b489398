"""Do the cases beside a profile pin its rules? Each rule is changed in every small way; a case must fail.

Rules of this file
1. A change that no case notices is told, but where the case file lists it under `not_pinned` with the reason.
2. What is listed there and is noticed after all, or is no change of the profile, is told too: the list stays true.
3. Only the rules that the profile itself adds are changed; those it extends have cases of their own.
"""

import msgspec

from gateway.decision.model import Exchange
from gateway.decision.rules import in_force
from gateway.directory.model import Directory
from gateway.facts.answer import Shelf
from gateway.facts.cases import CaseFile, ProfileCase, failures
from gateway.facts.question import exchange_of, read_question
from gateway.policy.changes import Change, changed, changes, own_rules
from gateway.policy.model import Policy, Rule


class Pinning(msgspec.Struct, frozen=True):
    """How many changes were tried, which of them no case notices, and which exceptions are no longer true."""

    tried: int
    loose: tuple[str, ...]
    stale: tuple[str, ...]


class _Asked(msgspec.Struct, frozen=True):
    """One case with the exchange it asks about."""

    case: ProfileCase
    exchange: Exchange
    directory: Directory


def pinning(file: CaseFile, shelf: Shelf) -> Pinning:
    """Change every rule of a profile in every small way and see whether its cases notice. Raises QuestionError."""
    policy = shelf.policies[file.profile]
    asked = [_asked(case, policy) for case in file.cases]
    below = (shelf.policies[name] for name in policy.chain[:-1])
    tried, loose = set[str](), []
    for rule in own_rules(policy, below):
        near = sorted(asked, key=lambda one: rule.id not in (one.case.rules or ()))
        for change in changes(rule):
            tried.add(change.name)
            if not _noticed(change, rule, policy, near, shelf):
                loose.append(change.name)
    return Pinning(
        len(tried),
        tuple(name for name in loose if name not in file.not_pinned),
        tuple(name for name in file.not_pinned if name not in loose),
    )


def _asked(case: ProfileCase, policy: Policy) -> _Asked:
    exchange, directory = exchange_of(read_question(msgspec.json.encode(case.question)), policy)
    return _Asked(case, exchange, directory)


def _noticed(change: Change, rule: Rule, policy: Policy, asked: list[_Asked], shelf: Shelf) -> bool:
    """Say whether a case fails. Asked are only those in whose exchange the rule speaks, as it was or as it became."""
    either = tuple(one for one in (rule, change.rule) if one is not None)
    alone = msgspec.structs.replace(policy, rules=either)
    other = changed(policy, rule, change)
    changed_shelf = Shelf({**shelf.policies, policy.name: other}, shelf.tools)
    spoken: dict[object, bool] = {}
    return any(_speaks(alone, one, spoken) and any(True for _ in failures(one.case, changed_shelf)) for one in asked)


def _speaks(policy: Policy, asked: _Asked, known: dict[object, bool]) -> bool:
    """Say whether a rule is in force in a case's exchange; worked out once for cases of one exchange."""
    question, switches = asked.case.question, tuple(asked.case.switches.items())
    agreements = tuple(one.type for one in asked.directory.agreements)
    key = (question["discloser"], question["recipient"], question["purpose"], agreements, switches)
    if key not in known:
        known[key] = bool(in_force(policy.switched(asked.case.switches), asked.directory, asked.exchange))
    return known[key]
