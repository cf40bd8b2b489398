"""The twin before two HAPI servers: what a real server does with pages and predicates does not tell either."""

import pytest

from gateway.demo.cast import cast
from tests.e2e.hapi.server import hapi
from tests.twin.records import records
from tests.twin.running import as_text, before, run

SEED = 1


@pytest.fixture(scope="module")
def two(repository, tmp_path_factory):
    """Two servers of their own: one holds the whole world, the other one world after another without W."""
    folders = [tmp_path_factory.mktemp(name) for name in ("whole", "other")]
    with hapi(repository, folders[0]) as whole, hapi(repository, folders[1]) as other:
        yield whole, other


@pytest.mark.asyncio
async def test_hapi_behind_the_gateway_tells_nothing_of_what_is_withheld(two):
    """Random requests of eight callers: equal answers in both worlds. `make twin UPSTREAM=hapi N=...` asks more."""
    held = records(None, SEED)
    parts = cast(held)
    async with before(*two, held, parts) as on:
        told = await run(on, held, parts, requests=240, seed=SEED)
    assert [] == [as_text(case) for case in told.cases]
    assert told.enough, (told.share(told.answered), told.share(told.touching))
