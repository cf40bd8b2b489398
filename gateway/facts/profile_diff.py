"""What changes between two profiles: which rules, and which of the cases of either.

Rules of this file
1. Rules are compared part by part, by id; what only one of the two has is told as such.
2. Every case of either is asked under both; told are those that come out otherwise. What a case expects plays no part.
3. A case that one of the two cannot be asked (a type it does not have) is told as such.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from gateway.errors import QuestionError
from gateway.facts.answer import Shelf, answer
from gateway.facts.cases import ProfileCase, switched
from gateway.policy.model import Policy, Rule


class Difference(msgspec.Struct, frozen=True, order=True):
    """One line of the table: what it is about, and how it is in the first and in the second."""

    what: str
    first: str
    second: str


def rule_differences(first: Policy, second: Policy) -> Iterator[Difference]:
    """Tell the rules that only one has, and every part in which a rule of both differs."""
    mine, theirs = ({rule.id: rule for rule in policy.rules} for policy in (first, second))
    for name in sorted(mine.keys() | theirs.keys()):
        if name not in mine or name not in theirs:
            there = ["there" if name in rules else "not there" for rules in (mine, theirs)]
            yield Difference(name, *there)
        else:
            yield from _parts(mine[name], theirs[name])
    for name in sorted(first.switches.keys() & second.switches.keys()):
        values = ["on" if policy.on(name) else "off" for policy in (first, second)]
        if values[0] != values[1]:
            yield Difference(f"switch {name}", *values)


def _parts(first: Rule, second: Rule) -> Iterator[Difference]:
    for field in msgspec.structs.fields(Rule):
        values = [getattr(rule, field.name) for rule in (first, second)]
        if values[0] != values[1]:
            yield Difference(f"{first.id}: {field.name}", *map(_told, values))


def _told(value: object) -> str:
    plain = msgspec.to_builtins(value)
    if isinstance(value, frozenset):
        plain = sorted(plain)
    return msgspec.json.encode(plain).decode()


def case_differences(
    cases: Iterable[ProfileCase], first: str, second: str, shelf: Shelf, choices: Mapping[str, bool]
) -> Iterator[Difference]:
    """Ask each case under both profiles, the second with the operator's `choices` at its switches."""
    for case in cases:
        outcomes = [
            _outcome({**case.question, "profile": name}, switched(shelf, name, {**case.switches, **more}))
            for name, more in ((first, {}), (second, choices))
        ]
        if outcomes[0] != outcomes[1]:
            yield Difference(f"{case.where}: {case.says}", *outcomes)


def _outcome(question: Mapping[str, Any], shelf: Shelf) -> str:
    try:
        found = answer(msgspec.json.encode(question), shelf)
    except QuestionError as wrong:
        return f"cannot be asked: {wrong.message}"
    left = [f"{d['resource']} {d['verdict']}" for d in found["decisions"] if d["verdict"] != "withheld"]
    rules = sorted({cause["rule"] for d in found["decisions"] for cause in d["because"]})
    return f"{found['effect']} ({', '.join([*left, 'by ' + ', '.join(rules)])})"
