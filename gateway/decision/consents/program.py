"""What is left of one subject's consents for one exchange, asked about one resource after another.

Rules of this file (consent-semantics sections 2 and 7)
1. Deepest match per branch; across sibling branches a deny wins.
2. Within a group the newest consent that applies speaks; across groups a deny wins; nothing that applies is no answer.
3. Older permits of a group add up, as far back as the newest deny: 42 CFR Part 2 looks for one that meets its form.
4. The program holds from its instant until before `valid_until`; the same resource gets the same answer.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo

import msgspec

from consent_store.model import Effect
from gateway.decision.consents.answer import ConsentAnswer, Permit, Target
from gateway.decision.consents.groups import Dated
from gateway.decision.consents.matching import Seen
from gateway.decision.consents.relations import Relations
from gateway.decision.consents.rules import Doubt
from gateway.decision.consents.truth import Match
from gateway.decision.model import Answer, Cause


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """A provision of which all but the data is settled. `live`: it may match, where each of `doubts` says at least
    `needs`. `within`: counts only where its parent matches."""

    cause: Cause
    effect: Effect
    needs: Match
    live: bool
    doubts: tuple[Doubt, ...] = ()
    within: bool = False
    children: tuple["Settled", ...] = ()
    permit: Permit | None = None


class Line(msgspec.Struct, frozen=True):
    """One consent of a group."""

    dated: Dated
    root: Settled


class Spoken(msgspec.Struct, frozen=True):
    """What one group says."""

    denies: tuple[Cause, ...] = ()
    permits: tuple[Cause, ...] = ()
    permitting: tuple[Permit, ...] = ()


class ConsentProgram(msgspec.Struct, frozen=True):
    """One subject's consents for one exchange. `settled` is what groups say of every resource alike."""

    settled: tuple[Spoken, ...]
    open_groups: tuple[tuple[Line, ...], ...]
    erring: tuple[str, ...]
    relations: Relations
    at: datetime
    zone: tzinfo | None
    valid_until: datetime | None

    def decide(self, target: Target) -> ConsentAnswer:
        """Answer for one resource: any deny that speaks is DENY, else any permit PERMIT, else NOT_APPLICABLE."""
        seen = Seen(target, self.relations, self.at, self.zone)
        spoken = (*self.settled, *(_speak(group, seen) for group in self.open_groups))
        denies = tuple(cause for one in spoken for cause in one.denies)
        permits = tuple(cause for one in spoken for cause in one.permits)
        return ConsentAnswer(
            answer=Answer.DENY if denies else Answer.PERMIT if permits else Answer.NOT_APPLICABLE,
            causes=denies or permits,
            permitting=tuple(permit for one in spoken for permit in one.permitting),
            erring=tuple(dict.fromkeys((*self.erring, *seen.erring))) if seen.erring else self.erring,
        )


def program_of(
    groups: Iterable[Sequence[Line]],
    erring: Iterable[str],
    relations: Relations,
    moment: tuple[datetime, tzinfo | None],
    valid_until: datetime | None,
) -> ConsentProgram:
    """Make the program of settled groups, each newest first; what no resource can change is answered now."""
    settled, waiting = [], []
    for group in groups:
        if any(_turns_on_data(line.root) for line in group):
            waiting.append(tuple(group))
        else:
            settled.append(_speak(group, None))
    return ConsentProgram(
        settled=tuple(settled),
        open_groups=tuple(waiting),
        erring=tuple(sorted(set(erring))),
        relations=relations,
        at=moment[0],
        zone=moment[1],
        valid_until=valid_until,
    )


def _turns_on_data(rule: Settled) -> bool:
    return bool(rule.live and rule.doubts) or any(_turns_on_data(child) for child in rule.children)


def _speak(group: Sequence[Line], seen: Seen | None) -> Spoken:
    """Say what a group, newest first, says of a resource (None: of any).

    `newest` is where the date of the newest consent that applies begins: who is surely older does not speak. Its permit
    is still counted while no deny stands between (rule 3).
    """
    newest: datetime | None = None
    denies: list[Cause] = []
    permits: list[Cause] = []
    permitting: list[Permit] = []
    earlier: list[tuple[datetime, Permit]] = []
    blocked = False
    for line in group:
        older = newest is not None and line.dated.older_than(newest)
        if older and blocked:
            continue
        rule = _outcome(line.root, seen)
        if rule is None:
            continue
        newest = newest or line.dated.first
        if rule.permit is None:
            blocked = True
            earlier = [one for one in earlier if line.dated.older_than(one[0])]
            denies.extend(() if older else (rule.cause,))
        elif older:
            earlier.append((line.dated.first, rule.permit))
        else:
            permits.append(rule.cause)
            permitting.append(rule.permit)
    if denies:
        return Spoken(denies=tuple(denies))
    return Spoken(permits=tuple(permits), permitting=(*permitting, *(permit for _, permit in earlier)))


def _outcome(rule: Settled, seen: Seen | None) -> Settled | None:
    """Give the deepest provision that matches, a deny before a permit; None where none does."""
    matched = rule.live and _holds(rule, seen)
    best: Settled | None = None
    for child in rule.children:
        if child.within and not matched:
            continue
        found = _outcome(child, seen)
        if found is not None and (best is None or found.effect is Effect.DENY):
            best = found
        if best is not None and best.effect is Effect.DENY:
            break
    return best or (rule if matched else None)


def _holds(rule: Settled, seen: Seen | None) -> bool:
    for doubt in rule.doubts:
        said = Match.UNSURE if seen is None else doubt.test(seen)
        if said is Match.UNSURE and seen is not None:
            seen.erring.append(f"{rule.cause.consent}: {doubt.what}")
        if said < rule.needs:
            return False
    return True
