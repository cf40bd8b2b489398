"""Cases of the two guidance documents as exchanges at the real door: every ninth here, all by `make cases`."""

import json

import pytest
import pytest_asyncio

from gateway import bootstrap
from tests.cases.__main__ import asked
from tests.cases.exchange import gateway, play
from tests.cases.judging import wrong_at_the_door

pytestmark = pytest.mark.asyncio(loop_scope="module")

TURNED = {"permit": "deny", "deny": "permit", "permit_redacted": "permit"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played(shared, tmp_path_factory):
    """What came out of each stage, and what was sent for it."""
    vocabulary = json.loads((shared / "cases" / "vocabulary.json").read_text())
    cases = json.loads((shared / "cases" / "seed-flows.json").read_text())["cases"]
    some = [case for case in cases if case.get("scored", True)][::9]
    folder = tmp_path_factory.mktemp("cases")
    async with gateway(some, vocabulary, folder) as (door, staged):
        return vocabulary, staged, [await play(stage, door) for stage in staged], folder


async def test_cases_come_out_at_the_door_as_the_documents_say(played):
    """Read and pushed, each gives what it must, the ledger tells it so, and `decide` says the same."""
    vocabulary, staged, came, _ = played
    shelf = bootstrap.read_shelf()
    told = {
        (stage.case["id"], stage.push): found
        for stage, out in zip(staged, came, strict=True)
        if (found := list(wrong_at_the_door(stage, out, asked(stage.case, vocabulary, shelf))))
    }

    assert {} == told
    assert {True, False} == {stage.push for stage in staged}
    assert {"permit", "deny"} <= {stage.case["expected"] for stage in staged}


async def test_a_case_turned_round_fails_at_the_door(played):
    """Every case that is made to expect another effect is told as a failure, whichever way it went."""
    _, staged, came, _ = played
    turned = [stage._replace(case=stage.case | {"expected": TURNED[stage.case["expected"]]}) for stage in staged]

    passed = [
        stage.case["id"] for stage, out in zip(turned, came, strict=True) if not [*wrong_at_the_door(stage, out, None)]
    ]
    assert [] == passed


async def test_nothing_that_is_sent_gives_a_case_away(played):
    """No case's name, no word for its data, nothing that can be derived: not in a file, token, Consent or record."""
    vocabulary, staged, _, folder = played
    files = "".join((folder / name).read_text() for name in ("gateway.yaml", "directory.yaml"))
    # A scope of work lists categories: that is the agreement's own word.
    words = {word for word in vocabulary["data_category"] if "_" in word} - {"contact_info"}
    derived = set(vocabulary["facts"]["derived"])
    for stage in staged:
        sent = [stage.claims(), stage.held, stage.pushed(), stage.consents()]
        text = files + json.dumps(sent)
        assert stage.case["id"] not in text
        assert set() == {word for word in words | derived if f'"{word}"' in text}
