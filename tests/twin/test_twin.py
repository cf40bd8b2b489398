"""The twin at the HTTP door: the same requests before the whole world and before one without what is withheld.

W is computed by `decide` (leaks.md, The twin test, point 1: the second kind): this tests release, search, paging and
headers, not decisions. `make twin N=…` asks more, of other data.
"""

from pathlib import Path

import msgspec
import pytest

from gateway import clock
from gateway.demo.cast import cast
from tests.twin.absent import Oracle
from tests.twin.records import records
from tests.twin.running import FOUND, Case, as_text, compare, embedded, hold, run, signed
from tests.twin.versions import Versions
from tests.twin.writing import both, run_mixed

pytestmark = pytest.mark.asyncio

SEED = 1


async def test_the_gateway_tells_nothing_of_what_it_withholds():
    """Random requests of eight callers under three profiles: equal answers in both worlds, and enough was asked."""
    held = records(None, SEED)
    parts = cast(held)
    async with embedded(held, parts) as on:
        told = await run(on, held, parts, requests=160, seed=SEED)
    assert [] == [as_text(case) for case in told.cases]
    assert told.enough, (told.share(told.answered), told.share(told.touching))


async def test_writes_tell_nothing_of_what_is_withheld():
    """Creates, Bundles, messages, updates and patches among the reads: equal answers in both worlds after each."""
    held = records(None, SEED)
    parts = cast(held)
    async with both(parts) as on:
        asked, answers, cases = await run_mixed(on, held, parts, requests=120, seed=SEED)
    assert [] == [as_text(case) for case in cases]
    assert asked >= 120
    assert 8 < sum(count for name, count in answers.items() if name.endswith(("200", "201"))), answers
    assert 8 < sum(count for name, count in answers.items() if name.endswith("404")), answers


async def test_without_its_filter_the_gateway_is_found_out():
    """The comparison notices: an arm that releases everything differs from the world without W at once."""
    held = records(None, SEED)
    parts = cast(held)
    async with embedded(held, parts) as on:
        told = await run(msgspec.structs.replace(on, full=on.unfiltered), held, parts, requests=40, seed=SEED)
    assert len(told.cases) > 4


async def test_what_was_found_once_is_no_difference_any_more(repository):
    """Every difference that a run found is asked again, where the data it was found on is at hand."""
    for file in sorted(FOUND.glob("*.json")):
        case = msgspec.json.decode(file.read_bytes(), type=Case)
        folder = repository / case.data if case.data else None
        if folder is None or folder.is_dir():
            assert "" == await _again(case, folder), file.name


async def _again(case: Case, folder: Path | None) -> str:
    held = records(folder, case.seed)
    parts = cast(held)
    oracle = Oracle(held, parts, signed(parts), clock.now())
    async with embedded(held, parts) as on:
        versions = Versions(held, case.seed, lambda listed: Oracle(listed, parts, signed(parts), clock.now()))
        hold(on, versions, case.script.pair, held, oracle.without(case.script.pair))
        return await compare(on, case.script)
