"""What came of a line against what the story says of it: every difference as a sentence.

Rules of this file
1. The client's bytes are checked first: what came through is what stands in them, whatever the explanation says.
2. No difference is forgiven; an answer that could not be explained is one.
"""

from collections.abc import Iterable, Iterator, Mapping

from gateway.demo.asking import Seen
from gateway.demo.lines import Line, Outcome, Said


def differences(line: Line, act: str, seen: Seen, cites: Mapping[str, str], names: Mapping[str, str]) -> list[str]:
    """Name every difference between a line's outcome in an act and what was seen.

    `cites` are the citations rules must carry, `names` the story's name of each consent by its `Consent/id`.
    """
    said = line.said[act]
    if said.outcome is None:
        if (seen.status, seen.resources) == (said.refused, {}):
            return []
        return [f"the story says {said.refused}, the answer is {seen.status} with {len(seen.resources)} records"]
    if seen.status != 200:
        return [f"the answer is {seen.status}: {seen.refusal}"]
    return [
        *_records(said.outcome, seen),
        *_texts(said.outcome, seen),
        *(f"wrong count: {one}" for one in seen.miscounted),
        *_reasons(said, seen, cites, names),
    ]


def _records(outcome: Outcome, seen: Seen) -> Iterator[str]:
    visible = outcome.through | outcome.masked.keys()
    yield from _sets("came through", visible, frozenset(seen.resources))
    yield from _sets("was explained as disclosed", outcome.through, seen.verdicts("disclosed"))
    yield from _sets("was explained as masked", frozenset(outcome.masked), seen.verdicts("masked"))
    yield from _sets("was explained as withheld", outcome.withheld, seen.verdicts("withheld"))
    for told in seen.told:
        if told.resource in outcome.masked:
            yield from _sets(f"was cut from {told.resource}", outcome.masked[told.resource], told.lost)


def _sets(what: str, said: frozenset[str], found: frozenset[str]) -> Iterator[str]:
    yield from (f"{one} {what}, against the story" for one in sorted(found - said))
    yield from (f"{one}: the story says it {what}, it was not so" for one in sorted(said - found))


def _texts(outcome: Outcome, seen: Seen) -> Iterator[str]:
    sent = b"\n".join(seen.bodies)
    yield from (f"`{text}` stands in the answer" for text in outcome.lacks if text.encode() in sent)
    yield from (f"`{text}` does not stand in the answer" for text in outcome.holds if text.encode() not in sent)


def _reasons(said: Said, seen: Seen, cites: Mapping[str, str], names: Mapping[str, str]) -> Iterator[str]:
    reasons = {reason for told in seen.told for reason in told.reasons}
    denying = {reason.rule for reason in reasons if reason.effect == "deny"}
    permitting = {reason.rule for reason in reasons if reason.effect == "permit"}
    relied = {names.get(reason.consent, reason.consent) for reason in reasons if reason.effect == "permit"}
    yield from _sets("denies", said.denies, frozenset(denying))
    yield from _missing("permits", said.permits, permitting)
    yield from _missing("is relied on", said.relies, relied)
    yield from _missing("obliges", said.obliges, (word for told in seen.told for word in told.obligations))
    for reason in sorted(reasons, key=lambda one: one.rule):
        if reason.rule in cites and reason.cite != cites[reason.rule]:
            yield f"{reason.rule} cites {reason.cite}, the story {cites[reason.rule]}"


def _missing(what: str, said: Iterable[str], found: Iterable[str]) -> Iterator[str]:
    yield from (f"{one}: the story says it {what}, it was not so" for one in sorted(set(said) - set(found)))
