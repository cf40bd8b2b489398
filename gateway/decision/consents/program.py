"""What is left of one subject's consents for one exchange, asked about one resource after another.

Rules of this file (consent-semantics sections 2 and 7)
1. Across groups a deny wins; nothing that applies is no answer. What one group says: `speaking`.
2. The program holds from its instant until before `valid_until`; the same resource gets the same answer.
3. An answer depends on what the conditions say alone, so it is kept for all resources of which they say the same; and
   so is what one consent says, for all of which its own conditions say the same.
4. A consent that says nothing where its conditions say no is asked only where one of them says more.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import accumulate, chain, compress
from operator import attrgetter, itemgetter
from typing import Final, NamedTuple

from gateway.decision.consents.answer import ConsentAnswer, Target
from gateway.decision.consents.asking import Asking, Told
from gateway.decision.consents.matching import Shown
from gateway.decision.consents.remembered import MOST, kept
from gateway.decision.consents.rules import Node
from gateway.decision.consents.speaking import Group, Line, Spoken
from gateway.decision.consents.terms import Doubt
from gateway.decision.model import Answer

_ANSWERS_KEPT: Final = 256
"""Answers of one subject and exchange kept from request to request, and answers of one consent."""
_WIDE: Final = 64
"""What a consent with more conditions says is not kept."""

_Said = int | Sequence[int]
_Pick = Callable[[Told], _Said]
_Rule = tuple[Node | None, tuple[str, ...]]
"""The provision of one consent that speaks, and what could not be told."""


class _Voice(NamedTuple):
    """One consent's conditions, what picks what they say from all that is told, and what the consent said before."""

    conditions: tuple[Doubt, ...]
    pick: _Pick
    memory: dict[_Said, _Rule]


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
        self._opening = opening
        self._groups_of_lines = tuple(groups)
        self._lines = tuple(chain.from_iterable(self._groups_of_lines))
        self._answers: dict[Told, ConsentAnswer] = {}
        self._rules_kept = 0

    def holds_at(self, at: datetime) -> bool:
        """Say whether what is settled holds at an instant."""
        return self.since <= at and (self.valid_until is None or at < self.valid_until)

    @cached_property
    def conditions(self) -> tuple[Doubt, ...]:
        """Every condition that is left, facet by facet: what they say of a resource is told in this order."""
        return tuple(sorted(self._opening, key=attrgetter("facet")))

    def answer(self, told: Told) -> ConsentAnswer:
        """Answer for a resource of which the conditions say this: any deny that speaks is DENY, else any permit PERMIT,
        else NOT_APPLICABLE."""
        answer = self._answers.get(told)
        return kept(self._answers, told, self._answer(told)) if answer is None else answer

    def forget(self) -> None:
        """Forget answers beyond so many: what serves many requests must not grow with each."""
        if len(self._answers) > _ANSWERS_KEPT:
            self._answers.clear()
        if self._rules_kept > _ANSWERS_KEPT:
            self._forget_rules()

    def _forget_rules(self) -> None:
        for voice in self._voices:
            voice.memory.clear()
        self._rules_kept = 0

    @cached_property
    def _groups(self) -> tuple[Group, ...]:
        """The group of each consent, by number."""
        firsts = accumulate(map(len, self._groups_of_lines), initial=0)
        groups = [Group(lines, first) for lines, first in zip(self._groups_of_lines, firsts, strict=False)]
        return tuple(group for group in groups for _ in group.lines)

    @cached_property
    def _voices(self) -> tuple[_Voice, ...]:
        places = {doubt: place for place, doubt in enumerate(self.conditions)}
        asked = [line.conditions() for line in self._lines]
        return tuple(_Voice(doubts, _pick([places[one] for one in doubts]), {}) for doubts in asked)

    @cached_property
    def _loud(self) -> tuple[int, ...]:
        """The consents that say something whatever the conditions say."""
        return tuple(number for number, line in enumerate(self._lines) if line.rule({}, []) is not None)

    @cached_property
    def _openings(self) -> tuple[Sequence[int], ...]:
        """For each condition the consents that it opens, of those which else say nothing; () where there are none."""
        loud = frozenset(self._loud)
        opened = tuple([[line for line in self._opening[doubt] if line not in loud] for doubt in self.conditions])
        return opened if any(opened) else ()

    def _asked(self, told: Told) -> Sequence[int]:
        """Give the consents that may speak."""
        if not self._openings:
            return self._loud
        return sorted({*chain.from_iterable(compress(self._openings, told)), *self._loud})

    def _rule(self, number: int, told: Told) -> _Rule:
        """Give what one consent says where the conditions say this."""
        _, pick, memory = self._voices[number]
        said = pick(told)
        return memory.get(said) or self._worked_out(number, said)

    def _worked_out(self, number: int, said: _Said) -> _Rule:
        conditions, _, memory = self._voices[number]
        each = (said,) if isinstance(said, int) else said
        untold: list[str] = []
        rule = self._lines[number].rule(dict(zip(conditions, each, strict=True)), untold)
        found = rule, tuple(untold)
        if len(conditions) <= _WIDE:
            if self._rules_kept >= MOST:
                self._forget_rules()
            self._rules_kept += 1
            memory[said] = found
        return found

    def _answer(self, told: Told) -> ConsentAnswer:
        erring: list[str] = []

        def rule_of(number: int) -> Node | None:
            rule, untold = self._rule(number, told)
            if untold:
                erring.extend(untold)
            return rule

        spoken = Spoken()
        asked, groups = self._asked(told), self._groups
        place, last = 0, len(asked) - 1
        while place <= last:
            number = asked[place]
            rule = rule_of(number)
            if rule is None:
                place += 1
                continue
            group, others = groups[number], place + 1
            if place < last and asked[others] < group.end:
                others = bisect_left(asked, group.end, others)
            if others == place + 1 or (rule.permit is None and group.outdates(number)):
                spoken.by(rule)  # no other of its group can speak beside it
            else:
                group.speak(asked[place:others], rule_of, spoken)
            place = others
        return ConsentAnswer(
            answer=Answer.DENY if spoken.denies else Answer.PERMIT if spoken.permits else Answer.NOT_APPLICABLE,
            causes=tuple(spoken.denies or spoken.permits),
            permitting=tuple(spoken.permitting),
            erring=tuple(dict.fromkeys((*self.erring, *erring))) if erring else self.erring,
        )


def _pick(places: Sequence[int]) -> _Pick:
    """Give what picks what stands at these places: the value of one, a tuple of several."""
    return itemgetter(*places) if places else itemgetter(slice(0))


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
        return Asking(self.settled.conditions, self._shown)
