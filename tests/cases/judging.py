"""What came out of a case, held against what it expects: effect, what is absent, obligations. In words."""

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.policy.reading_rules import REASONS
from tests.cases.exchange import Came
from tests.cases.records import RECORDS
from tests.cases.stage import Stage

# Words that assert that something was taken out or is Part 2; where nothing was, they must not be said.
ASSERTING = ("strip_", "part2_", "label_42CFRPart2")


def wrong(case: dict[str, Any], answer: dict[str, Any]) -> Iterator[str]:
    """Say each thing that is not as the case wants it. Nothing: it passes."""
    if case["expected"] != answer["effect"]:
        yield f"effect: expected {case['expected']}, found {answer['effect']}: {why(answer)}"
        return
    found, wanted = set(answer["obligations"]), set(case["obligations"])
    if missing := wanted - set(case["obligations_optional"]) - found:
        yield f"obligations missing: {', '.join(sorted(missing))}"
    extra = {one for one in found - wanted if one.startswith(ASSERTING)}
    if extra and case["expected"] == "permit":
        yield f"obligations that nothing calls for: {', '.join(sorted(extra))}"
    yield from _absent(case, answer)


def _absent(case: dict[str, Any], answer: dict[str, Any]) -> Iterator[str]:
    sent = RECORDS[case["data_category"]]()
    text = bytes(answer["released"]).decode() if answer["released"] is not None else ""
    for value in sent.gone:
        if value in text:
            yield f"{value} is in what was released"
    if case["expected"] != "permit_redacted":
        return
    first = len(sent.keep) + 1
    numbers = range(first, first + len(sent.hold))
    names = {f"r{number}" for number in numbers}
    held = {d["resource"].split("/")[-1] for d in answer["decisions"] if d["verdict"] == "withheld"}
    if names - held:
        yield f"released though it must be held back: {', '.join(sorted(names - held))}"
    if held - names:
        yield f"held back though it may go: {', '.join(sorted(held - names))}"


# What came out at the door --------------------------------------------------------------------------------------------
BORNE = {
    "label_42CFRPart2": b'"42CFRPart2"',
    "label_NORDSCLCD": b'"NORDSCLCD"',
    "part2_notice_2.32": b"42 CFR part 2",
    "part2_consent_copy_or_scope_2.32b": b"written consent of",
}
"""What a released record bears by which it can be told, by obligation (docs/release.md)."""


def as_answer(stage: Stage, came: Came) -> dict[str, Any]:
    """Give what came out at the door in the form of an answer to a question, about the records of the case alone."""
    names = [f"{one['resourceType']}/{one['id']}" for one in stage.records]
    decisions = [came.told[name] for name in names if name in came.told]
    verdicts = {decision["verdict"] for decision in decisions}
    effect = {frozenset({"disclosed"}): "permit", frozenset({"withheld"}): "deny"}.get(frozenset(verdicts))
    words = [word for one in decisions if one["verdict"] != "withheld" for word in one["obligations"]]
    words += [
        word
        for one in decisions
        if one["verdict"] != "disclosed"
        for cause in one["because"]
        if cause["effect"] == "deny"
        for word in cause["obligations"]
    ]
    return {
        "effect": effect or "permit_redacted",
        "obligations": [] if effect == "deny" else words,
        "decisions": decisions,
        "released": b"".join(came.released[name] for name in names if name in came.released),
    }


def wrong_at_the_door(stage: Stage, came: Came, asked: dict[str, Any] | None) -> Iterator[str]:
    """Say each thing that is not as the case wants it, or not as the gateway itself tells it: what is in the bytes,
    in the ledger, and in the answer to the same question (`asked`)."""
    found = as_answer(stage, came)
    yield from came.wrong
    yield from wrong(stage.case, found)
    for decision in found["decisions"]:
        yield from _borne(decision, came.released.get(decision["resource"]))
    for name in (f"{one['resourceType']}/{one['id']}" for one in stage.records):
        if name not in came.told:
            yield f"the ledger has no decision on {name}"
    if "Condition/d5" in came.released:
        yield "another patient's record came with it"
    given = {(one["fact"], one["holds"], one["how"]) for one in came.attested}
    how = "token" if stage.push else "standing"
    for one in (*stage.attestations(), *stage.claimed()):
        if (one["fact"], one["holds"], how) not in given:
            yield f"the ledger does not tell that {one['fact']} was attested"
    if asked is not None:
        told = {one["resource"]: one["verdict"] for one in asked["decisions"] if one["subjects"]}
        here = {one["resource"]: one["verdict"] for one in found["decisions"]}
        if told != here:
            yield f"`decide` says otherwise: {told}, here {here}"


def _borne(decision: dict[str, Any], text: bytes | None) -> Iterator[str]:
    name = decision["resource"]
    if decision["verdict"] == "withheld":
        if text is not None:
            yield f"{name} came out though it was withheld"
        if not any(cause["reason"] in REASONS for cause in decision["because"]):
            yield f"{name} was withheld without a reason class"
    elif text is None:
        yield f"{name} did not come out though it was released"
    else:
        for obligation, bears in BORNE.items():
            if obligation in decision["obligations"] and bears not in text:
                yield f"{name} does not bear {obligation}"


def why(answer: dict[str, Any]) -> str:
    """Tell the causes in short."""
    told = (
        f"{d['resource']} {d['verdict']} by {', '.join(b['rule'] for b in d['because'])}"
        + (f" (unmet: {', '.join(d['unmet'])})" if d["unmet"] else "")
        for d in answer["decisions"]
    )
    return "; ".join(told)


def plain(answer: dict[str, Any]) -> dict[str, Any]:
    """Give an answer with its released text as bytes."""
    released = answer["released"]
    return {**answer, "released": bytes(released) if isinstance(released, msgspec.Raw) else released}
