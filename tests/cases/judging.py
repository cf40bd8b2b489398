"""What came out of a case, held against what it expects: effect, what is absent, obligations. In words."""

from collections.abc import Iterator
from typing import Any

import msgspec

from tests.cases.records import RECORDS

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
