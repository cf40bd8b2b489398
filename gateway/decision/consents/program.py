"""What is left of one subject's consents for one exchange, asked about one resource after another.

Rules of this file (consent-semantics sections 2 and 7)
1. Deepest match per branch; across sibling branches a deny wins.
2. Within a group the newest consent that applies speaks; across groups a deny wins; nothing that applies is no answer.
3. Older permits of a group add up, as far back as the newest deny: 42 CFR Part 2 looks for one that meets its form.
4. The program holds from its instant until before `valid_until`; the same resource gets the same answer.
5. An answer depends on what the conditions say alone, so it is kept for all resources of which they say the same.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import cached_property
from itertools import accumulate, compress
from typing import Final

import msgspec

from gateway.decision.consents.answer import ConsentAnswer, Permit, Target
from gateway.decision.consents.asking import Asking, Told
from gateway.decision.consents.matching import Shown
from gateway.decision.consents.remembered import kept
from gateway.decision.consents.rules import Node
from gateway.decision.consents.terms import Doubt
from gateway.decision.consents.truth import NO, UNSURE
from gateway.decision.model import Answer, Cause


class Line(msgspec.Struct, frozen=True):
    """One consent of a group, with the span of its date; spans of one group are told alike, so that they compare."""

    first: datetime
    after: datetime
    root: Node

    def older_than(self, first: datetime) -> bool:
        """Say whether this consent is surely older than one whose date begins at `first`."""
        return self.after <= first and self.first < first


class Spoken(msgspec.Struct, frozen=True):
    """What one group says."""

    denies: tuple[Cause, ...] = ()
    permits: tuple[Cause, ...] = ()
    permitting: tuple[Permit, ...] = ()


_SILENT: Final = Spoken()
_NOBODY: Final = frozenset[int]()
_ANSWERS_KEPT: Final = 256
"""Answers of one subject and exchange kept from request to request."""


class Group:
    """The consents of one custodian and policy, newest first, the first of them number `first` of the program.
    `silence` is what it says of a resource of which every condition says no."""

    def __init__(self, lines: Sequence[Line], first: int) -> None:
        self.lines = lines
        self.first = first
        self._quiet = [_outcome(line.root, None, []) for line in lines]
        # When the last of a line and all older ones ends: before that, one of them may be as new as another.
        self._ends = list(accumulate(reversed([line.after for line in lines]), max))[::-1]
        self._asked = list[int]()
        self.silence = self._spoken(self._heard)
        self._asked_quietly = frozenset(self._asked)
        alone = len(lines) == 1 and not lines[0].root.children
        self._only = _said(lines[0].root) if alone else None

    def says(self, told: Told, opened: AbstractSet[int], erring: list[str]) -> Spoken:
        """Say what the group says where a condition of the consents `opened`, by number, says more than no."""
        if self._only is not None:
            return self._only if _holds(self.lines[0].root, told, erring) else _SILENT
        found: dict[int, Node | None] = {}
        for number in range(len(self.lines)):
            # Whoever is not asked as long as all say what they say in silence cannot change it.
            if self.first + number in opened and number in self._asked_quietly:
                found[number] = _outcome(self.lines[number].root, told, erring)
                if found[number] is not self._quiet[number]:
                    break
        else:
            return self.silence

        def rule_of(number: int) -> Node | None:
            if number in found:
                return found[number]
            opens = self.first + number in opened
            return _outcome(self.lines[number].root, told, erring) if opens else self._quiet[number]

        return self._spoken(rule_of)

    def _heard(self, number: int) -> Node | None:
        self._asked.append(number)
        return self._quiet[number]

    def _spoken(self, rule_of: Callable[[int], Node | None]) -> Spoken:
        """Say what the group says, where each of its consents says what `rule_of` gives for its place.

        `newest` is where the date of the newest consent that applies begins: who is surely older does not speak. Its
        permit is still counted while no deny stands between (rule 3).
        """
        newest: datetime | None = None
        denies: list[Cause] = []
        permits: list[Cause] = []
        permitting: list[Permit] = []
        earlier: list[tuple[datetime, Permit]] = []
        blocked = False
        for number, line in enumerate(self.lines):
            older = newest is not None and line.older_than(newest)
            if older and blocked:
                if newest is not None and self._ends[number] <= newest:
                    break
                continue
            rule = rule_of(number)
            if rule is None:
                continue
            newest = newest or line.first
            if rule.permit is None:
                blocked = True
                earlier = [one for one in earlier if line.older_than(one[0])]
                denies.extend(() if older else (rule.cause,))
            elif older:
                earlier.append((line.first, rule.permit))
            else:
                permits.append(rule.cause)
                permitting.append(rule.permit)
        if denies:
            return Spoken(denies=tuple(denies))
        if not permits:
            return _SILENT
        return Spoken(permits=tuple(permits), permitting=(*permitting, *[permit for _, permit in earlier]))


class Settled:
    """One subject's consents for one exchange: groups of lines, each newest first. `opening`: every condition that is
    left, with the lines, by number over all groups, in which a provision asks it first. It holds from `since` until
    before `valid_until` (None: for ever), wherever the context shows of whom consents name what it showed here."""

    def __init__(
        self,
        groups: Iterable[Sequence[Line]],
        opening: Mapping[Doubt, Sequence[int]],
        erring: Iterable[str],
        since: datetime,
        valid_until: datetime | None,
    ) -> None:
        self.since = since
        self.valid_until = valid_until
        self.erring = tuple(sorted(set(erring)))
        self.opening = opening
        self._lines = tuple(groups)
        self._answers: dict[Told, ConsentAnswer] = {}
        self._opened: dict[tuple[int, bytes], tuple[frozenset[int], frozenset[int]]] = {}

    def holds_at(self, at: datetime) -> bool:
        """Say whether what is settled holds at an instant."""
        return self.since <= at and (self.valid_until is None or at < self.valid_until)

    def answer(self, told: Told) -> ConsentAnswer:
        """Answer for a resource of which the conditions say this: any deny that speaks is DENY, else any permit PERMIT,
        else NOT_APPLICABLE."""
        answer = self._answers.get(told)
        return kept(self._answers, told, self._answer(told)) if answer is None else answer

    def forget(self) -> None:
        """Forget answers beyond so many: what serves many requests must not grow with each."""
        if len(self._answers) > _ANSWERS_KEPT:
            self._answers.clear()
        if len(self._opened) > _ANSWERS_KEPT:
            self._opened.clear()

    @cached_property
    def _groups(self) -> tuple[Group, ...]:
        firsts = accumulate(map(len, self._lines), initial=0)
        return tuple(Group(lines, first) for lines, first in zip(self._lines, firsts, strict=False))

    @cached_property
    def _loud(self) -> frozenset[int]:
        """The groups that speak of every resource, by number."""
        return frozenset(number for number, group in enumerate(self._groups) if group.silence is not _SILENT)

    @cached_property
    def _holders(self) -> tuple[int, ...]:
        """The group of each consent, by number."""
        return tuple(number for number, lines in enumerate(self._lines) for _ in lines)

    @cached_property
    def _openings(self) -> dict[int, tuple[Sequence[int], ...]]:
        """For each facet of which a condition opens lines: by the number of the condition, which lines it opens."""
        found = dict[int, dict[int, Sequence[int]]]()
        for doubt, lines in self.opening.items():
            if lines:
                found.setdefault(int(doubt.facet), {})[doubt.number] = lines
        return {facet: tuple(by.get(number, ()) for number in range(1 + max(by))) for facet, by in found.items()}

    def _opened_by(self, facet: int, said: bytes) -> tuple[frozenset[int], frozenset[int]]:
        """Give the lines that the conditions of a facet open where they say this, and the groups of these."""
        found = self._opened.get((facet, said))
        if found is None:
            lines = frozenset[int]().union(*compress(self._openings[facet], said))
            found = kept(self._opened, (facet, said), (lines, frozenset([self._holders[line] for line in lines])))
        return found

    def _answer(self, told: Told) -> ConsentAnswer:
        found = [self._opened_by(facet, told[facet]) for facet in self._openings]
        opened = _NOBODY.union(*[lines for lines, _ in found])
        touched = _NOBODY.union(*[groups for _, groups in found])
        erring: list[str] = []
        spoken = [
            self._groups[number].says(told, opened, erring) if number in touched else self._groups[number].silence
            for number in sorted(touched | self._loud)
        ]
        denies = tuple([cause for one in spoken for cause in one.denies])
        permits = tuple([cause for one in spoken for cause in one.permits])
        return ConsentAnswer(
            answer=Answer.DENY if denies else Answer.PERMIT if permits else Answer.NOT_APPLICABLE,
            causes=denies or permits,
            permitting=tuple([permit for one in spoken for permit in one.permitting]),
            erring=tuple(dict.fromkeys((*self.erring, *erring))) if erring else self.erring,
        )


class ConsentProgram:
    """What is settled, and what the context shows of the data: asked about one resource after another."""

    def __init__(self, settled: Settled, shown: Shown) -> None:
        self.settled = settled
        self._shown = shown

    @property
    def valid_until(self) -> datetime | None:
        """The instant at which an answer could change; None: never."""
        return self.settled.valid_until

    def decide(self, target: Target) -> ConsentAnswer:
        """Answer for one resource."""
        return self.settled.answer(self._asking(target))

    @cached_property
    def _asking(self) -> Asking:
        return Asking(self.settled.opening, self._shown)


def _said(rule: Node) -> Spoken:
    """Give what a group says of which this provision is all."""
    if rule.permit is None:
        return Spoken(denies=(rule.cause,))
    return Spoken(permits=(rule.cause,), permitting=(rule.permit,))


def _outcome(rule: Node, told: Told | None, erring: list[str]) -> Node | None:
    """Give the deepest provision that matches, a deny before a permit; None where none does. `told` None: every
    condition says no."""
    matched = rule.live and _holds(rule, told, erring)
    best: Node | None = None
    for child in rule.children:
        if child.within and not matched:
            continue
        if child.children:
            found = _outcome(child, told, erring)
        else:
            found = child if child.live and _holds(child, told, erring) else None
        if found is not None and (best is None or found.permit is None):
            best = found
        if best is not None and best.permit is None:
            break
    return best or (rule if matched else None)


def _holds(rule: Node, told: Told | None, erring: list[str]) -> bool:
    for doubt in rule.doubts:
        said = NO if told is None else told[doubt.facet][doubt.number]
        if said == UNSURE:
            erring.append(f"{rule.cause.consent}: {doubt.what}")
        if said < rule.needs:
            return False
    return True
