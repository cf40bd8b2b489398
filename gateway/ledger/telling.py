"""One request's attempts, told in words: what a privacy officer reads to answer "why was this withheld?".

Rules of this file
1. Values in, lines out; nothing is looked up, nothing of a record's content is known here.
2. The withheld part is restricted: who may read it is the caller's to check.
"""

from collections.abc import Iterable, Iterator, Mapping

from gateway.decision.model import Cause, Decision, Verdict
from gateway.ledger.model import Attempt, Attested

_OUTCOMES: Mapping[str, str] = {
    "sent": "the whole answer was sent",
    "aborted": "the answer broke off; some of it may have left",
    "void": "nothing left: it was decided again, or given up before sending",
    "unknown": "the gateway stopped before it could tell; it counts as disclosed",
}
_VERDICTS: Mapping[Verdict, str] = {
    Verdict.DISCLOSED: "came through",
    Verdict.MASKED: "came through in part",
    Verdict.WITHHELD: "was withheld",
}


def tell(attempts: Iterable[Attempt]) -> Iterator[str]:
    """Tell the attempts of one request, oldest first, one line after another."""
    for number, attempt in enumerate(attempts, 1):
        intent = attempt.intent
        completion = attempt.completion
        became = _OUTCOMES[completion.outcome.value] if completion else "still open; it counts as disclosed"
        yield f"attempt {number}, {intent.at.isoformat()}: {became}"
        yield f"  {intent.discloser} → {intent.recipient}, for {intent.purpose.code}, by client {intent.client}"
        where = f"{intent.interaction} at {intent.tenant}/{intent.route}"
        yield f"  {where}, under {intent.profile} ({intent.profile_digest})"
        if intent.initiator:
            yield f"  on behalf of {intent.initiator}"
        yield from _attestations(attempt)
        if intent.account.obligations:
            yield f"  with {', '.join(intent.account.obligations)}"
        for decision in attempt.story.decisions:
            yield from _decision(decision)


def _attestations(attempt: Attempt) -> Iterator[str]:
    of_each = attempt.story.attested
    told = {one for several in of_each.values() for one in several}
    yield from (f"  {_attested(one)}" for one in attempt.intent.attested if one not in told)
    for who, several in of_each.items():
        yield from (f"  {_attested(one)}, of {who}" for one in several)


def _attested(one: Attested) -> str:
    where = "in the directory" if one.how == "standing" else "in the token"
    return f"attested {where} by {one.by}: {one.fact}{'' if one.holds else ' does not hold'} ({one.name})"


def _decision(decision: Decision) -> Iterator[str]:
    whose = ", ".join(f"Patient/{key.id}" for key in decision.subjects) or "nobody"
    yield f"  {decision.resource} (about {whose}) {_VERDICTS[decision.verdict]}"
    labels = ", ".join(coding.code or "" for coding in decision.labels_in)
    yield f"    labels: {labels or 'none'}"
    for number, cause in enumerate(decision.because):
        cut = [edit.path for edit in decision.edits if edit.because == number]
        yield f"    {_cause(cause)}" + (f" Edited: {', '.join(cut)}." if cut else "")
    for need in decision.unmet:
        yield f"    not met: {need}"
    for erring in decision.erring:
        yield f"    could not be evaluated: {erring}"


def _cause(cause: Cause) -> str:
    consent = f", {cause.consent}" if cause.consent else ""
    return f"{cause.effect} by {cause.rule} ({cause.cite}{consent}): {cause.say}"
