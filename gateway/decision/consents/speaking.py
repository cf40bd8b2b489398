"""What one consent says of a resource, and what a group of consents says together.

Rules of this file (consent-semantics sections 2 and 7)
1. Deepest match per branch; across sibling branches a deny wins.
2. Within a group the newest consent that applies speaks; nothing that applies is no answer.
3. Older permits of a group add up, as far back as the newest deny: 42 CFR Part 2 looks for one that meets its form.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import accumulate

import msgspec

from gateway.decision.consents.answer import Permit
from gateway.decision.consents.rules import Node
from gateway.decision.consents.terms import Doubt
from gateway.decision.consents.truth import NO, UNSURE
from gateway.decision.model import Cause

Said = Mapping[Doubt, int]
"""The `Match` that conditions say; one that is not there says no."""


class Line(msgspec.Struct, frozen=True):
    """One consent of a group, with the span of its date; spans of one group are told alike, so that they compare."""

    first: datetime
    after: datetime
    root: Node

    def older_than(self, first: datetime) -> bool:
        """Say whether this consent is surely older than one whose date begins at `first`."""
        return self.after <= first and self.first < first

    def conditions(self) -> tuple[Doubt, ...]:
        """Give every condition on which turns what it says, each once."""
        return tuple(dict.fromkeys(_conditions(self.root)))

    def rule(self, said: Said, erring: list[str]) -> Node | None:
        """Give the provision that speaks, None where none does; tell in `erring` what could not be told."""
        return _outcome(self.root, said, erring)


class Spoken:
    """What the groups say together, as far as they were asked."""

    def __init__(self) -> None:
        self.denies: list[Cause] = []
        self.permits: list[Cause] = []
        self.permitting: list[Permit] = []

    def by(self, rule: Node) -> None:
        """Add what a provision says."""
        if rule.permit is None:
            self.denies.append(rule.cause)
        else:
            self.permits.append(rule.cause)
            self.permitting.append(rule.permit)


class Group:
    """The consents of one custodian and policy, newest first, the first of them number `first` of the program."""

    def __init__(self, lines: Sequence[Line], first: int) -> None:
        self.lines = lines
        self.first = first
        self.end = first + len(lines)
        # When the last of a line and all older ones ends: before that, one of them may be as new as another.
        self._ends = list(accumulate(reversed([line.after for line in lines]), max))[::-1]

        later = zip(lines, self._ends[1:], lines[1:], strict=False)
        self._outdates = [end <= one.first and after.older_than(one.first) for one, end, after in later]

    def outdates(self, number: int) -> bool:
        """Say whether a consent that others follow is surely newer than all of them."""
        return self._outdates[number - self.first]

    def speak(self, asked: Iterable[int], rule_of: Callable[[int], Node | None], spoken: Spoken) -> None:
        """Add to `spoken` what the group says, where each of its consents says what `rule_of` gives for its number, and
        whoever is not among `asked` (by number, newest first) says nothing.

        `newest` is where the date of the newest consent that applies begins: who is surely older does not speak. Its
        permit is still counted while no deny stands between (rule 3).
        """
        newest: datetime | None = None
        denies: list[Node] = []
        permits: list[Node] = []
        earlier: list[tuple[datetime, Permit]] = []
        blocked = False
        for number in asked:
            line = self.lines[number - self.first]
            older = newest is not None and line.older_than(newest)
            if older and blocked:
                if newest is not None and self._ends[number - self.first] <= newest:
                    break
                continue
            rule = rule_of(number)
            if rule is None:
                continue
            newest = newest or line.first
            if rule.permit is None:
                blocked = True
                earlier = [one for one in earlier if line.older_than(one[0])]
                denies += () if older else (rule,)
            elif older:
                earlier.append((line.first, rule.permit))
            else:
                permits.append(rule)
        for rule in denies or permits:
            spoken.by(rule)
        if not denies:
            spoken.permitting.extend(permit for _, permit in earlier)


def _conditions(rule: Node) -> Iterator[Doubt]:
    if rule.live:
        yield from rule.doubts
    for child in rule.children:
        yield from _conditions(child)


def _outcome(rule: Node, said: Said, erring: list[str]) -> Node | None:
    """Give the deepest provision that matches, a deny before a permit; None where none does."""
    matched = rule.live and _holds(rule, said, erring)
    best: Node | None = None
    for child in rule.children:
        if child.within and not matched:
            continue
        if child.children:
            found = _outcome(child, said, erring)
        else:
            found = child if child.live and _holds(child, said, erring) else None
        if found is not None and (best is None or found.permit is None):
            best = found
        if best is not None and best.permit is None:
            break
    return best or (rule if matched else None)


def _holds(rule: Node, said: Said, erring: list[str]) -> bool:
    for doubt in rule.doubts:
        match = said.get(doubt, NO)
        if match == UNSURE:
            erring.append(f"{rule.cause.consent}: {doubt.what}")
        if match < rule.needs:
            return False
    return True
