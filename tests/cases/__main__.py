"""`python -m tests.cases FILE [--all]`: ask every case of a file, tell the failures, and count."""

import json
import sys
from pathlib import Path
from typing import Any

from gateway import bootstrap
from gateway.errors import QuestionError
from gateway.facts.answer import Shelf, answer
from tests.cases.judging import plain, wrong
from tests.cases.realise import question


def failures(case: dict[str, Any], vocabulary: dict[str, Any], shelf: Shelf) -> list[str]:
    """Ask one case; give what is wrong in its answer."""
    try:
        return list(wrong(case, plain(answer(json.dumps(question(case, vocabulary)).encode(), shelf))))
    except QuestionError as refused:
        return [f"cannot be asked: {refused}"]


def main(path: str) -> int:
    """Ask the cases of one file; 1 where a scored one fails."""
    file = Path(path)
    cases = json.loads(file.read_text())["cases"]
    vocabulary = json.loads((file.parent / "vocabulary.json").read_text())
    shelf = bootstrap.read_shelf()
    count = {True: 0, False: 0}
    for case in cases:
        found = failures(case, vocabulary, shelf)
        scored = case.get("scored", True)
        if found:
            _say(f"{'FAIL' if scored else 'not scored:'} {case['id']} ({case['cite']})", *(f"    {f}" for f in found))
        if scored:
            count[not found] += 1
    _say(f"{count[True]} passed, {count[False]} failed")
    return 1 if count[False] else 0


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
