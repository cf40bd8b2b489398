"""The data plane before a lying server: what was found before, and a little that is new."""

import random
from pathlib import Path

import pytest
import pytest_asyncio

from tests.fuzz import door as fuzzed
from tests.fuzz.requests import HELD, SECRET, Case, made

FOUND = sorted((Path(__file__).parent / "found" / "door").glob("*.json"))
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(tmp_path_factory):
    """One door for all."""
    async with fuzzed.door(tmp_path_factory.mktemp("door")) as one:
        yield one


@pytest.mark.parametrize("file", FOUND, ids=lambda file: file.stem)
async def test_what_was_found_stays_mended(door, file):
    """Each request that once had a wrong answer."""
    assert "" == await door.wrong(fuzzed.kept(file.read_text()))


async def test_any_request_is_answered_without_a_fault(door):
    """Seeded requests of every form: no 500, no hang, nothing of what is withheld, and it is as if it never was."""
    rand = random.Random(7)  # noqa: S311  a seed, so that the same is tried every time
    cases = [made(rand) for _ in range(150)]
    assert [] == [(case, wrong) for case in cases if (wrong := await door.wrong(case))]
    assert {200, 400, 403, 404} <= door.asked.keys()
    assert all(SECRET.encode() not in case.request for case in cases)


READ = (
    b"GET /t/hospital/Observation/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    b"Authorization: Bearer {sunrise-platform}\r\nX-Purpose-Of-Use: HPAYMT\r\n\r\n"
)


async def test_the_fuzzer_sees_what_leaves_and_what_is_told(door, monkeypatch):
    """With the word on what may be seen, with an oracle of existence, and with a hang, there is something wrong."""
    assert "" == await door.wrong(Case(READ % b"plain"))
    monkeypatch.setattr(fuzzed, "_SECRETS", (b"8867-4",))
    assert "an answer tells of what is withheld" == await door.wrong(Case(READ % b"plain"))
    monkeypatch.undo()
    monkeypatch.setattr(fuzzed, "MARK", "plain")
    assert "what is withheld is answered otherwise than what never was" == await door.wrong(Case(READ % b"plain"))
    monkeypatch.undo()
    monkeypatch.setattr(fuzzed, "HANGS_S", 0.05)
    assert "the gateway hangs" == await door.wrong(Case(READ % b"plain", "stalls"))


async def test_all_that_is_withheld_has_the_word():
    """Or what leaves of them would not be seen; the record that may be seen has it not."""
    assert [True, True, True, False, True] == [SECRET in repr(one) for one in HELD]
