"""`python -m tests.cases FILE`: every case of a file at the door and as a question; failures, then a count.

Rules of this file
1. Each case goes both ways that it can: read at the discloser's route, pushed to the recipient's.
2. It passes when all of them and the answer to the question are as the file says, and say the same.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway import bootstrap
from gateway.directory.vocabulary import EXCHANGE_FACTS, RESOURCE_FACTS, SUBJECT_FACTS
from gateway.errors import GatewayError, QuestionError
from gateway.facts.answer import Shelf, answer
from tests.cases.exchange import gateway, play
from tests.cases.judging import plain, wrong, wrong_at_the_door
from tests.cases.realise import PROFILES, question
from tests.cases.records import RECORDS

Case = dict[str, Any]


def asked(case: Case, vocabulary: Case, shelf: Shelf) -> dict[str, Any] | None:
    """Ask one case as a question; None where it cannot be asked."""
    try:
        return plain(answer(json.dumps(question(case, vocabulary)).encode(), shelf))
    except QuestionError:
        return None


def failures(case: Case, vocabulary: Case, shelf: Shelf) -> list[str]:
    """Ask one case as a question; give what is wrong in its answer."""
    try:
        return list(wrong(case, plain(answer(json.dumps(question(case, vocabulary)).encode(), shelf))))
    except QuestionError as refused:
        return [f"cannot be asked: {refused}"]


async def failures_at_the_door(cases: list[Case], vocabulary: Case, shelf: Shelf, folder: Path) -> list[list[str]]:
    """Play all cases at one gateway's door; give what is wrong in each, in order."""
    found: list[list[str]] = [[] for _ in cases]
    order = {id(case): number for number, case in enumerate(cases)}
    async with gateway(cases, vocabulary, folder) as (door, staged):
        for stage in staged:
            number = order[id(stage.case)]
            way = "push" if stage.push else "read"
            came = await play(stage, door)
            said = wrong_at_the_door(stage, came, asked(stage.case, vocabulary, shelf))
            found[number] += [f"{way}: {one}" for one in said]
    return found


def main(path: str) -> int:
    """Ask the cases of one file; 1 where a scored one fails."""
    cases, strange = _known(json.loads(Path(path).read_text())["cases"])
    vocabulary = {"facts": {"exchange": EXCHANGE_FACTS, "subjects": SUBJECT_FACTS, "resources": RESOURCE_FACTS}}
    shelf = bootstrap.read_shelf()
    try:
        with tempfile.TemporaryDirectory() as folder:
            at_the_door = asyncio.run(failures_at_the_door(cases, vocabulary, shelf, Path(folder)))
    except GatewayError as refused:
        _say(f"the gateway cannot be set up: {refused}")
        return 1
    count = {True: 0, False: sum(case.get("scored", True) for case in strange)}
    for case in strange:
        _say(*_told(case, ["no record is known for its data, or no profile for its flow"], scored=True))
    for case, wrongs in zip(cases, at_the_door, strict=True):
        found = [*(f"question: {one}" for one in failures(case, vocabulary, shelf)), *wrongs]
        scored = case.get("scored", True)
        if found:
            _say(*_told(case, found, scored=scored))
        if scored:
            count[not found] += 1
    _say(f"{count[True]} passed, {count[False]} failed")
    return 1 if count[False] else 0


def _known(cases: list[Case]) -> tuple[list[Case], list[Case]]:
    """Part the cases that can be realised from those whose words are not known."""
    can = [case for case in cases if case["data_category"] in RECORDS and case["seed"] in PROFILES]
    return can, [case for case in cases if case not in can]


def _told(case: Case, found: list[str], *, scored: bool) -> Iterator[str]:
    yield f"{'FAIL' if scored else 'not scored:'} {case['id']} ({case['cite']})"
    yield from (f"    {one}" for one in found)


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
