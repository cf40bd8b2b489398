"""`make twin N=… SEED=… UPSTREAM=embedded|hapi DATA=dir WRITES=1`: whether the gateway tells of what it withholds.

The last line says `N requests, M differences`; the status is 0 where there is none, and enough was asked.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.demo.cast import Cast, cast
from tests.conftest import REPOSITORY
from tests.e2e.hapi.server import hapi as server
from tests.twin.mannered import MANNERS
from tests.twin.records import records
from tests.twin.running import Case, Stage, as_text, before, embedded, keep, run
from tests.twin.writing import both, run_mixed


def main() -> int:
    """Run as the arguments say. Gives the exit status: 0, 1 for differences, 3 where too little was touched."""
    asked = argparse.ArgumentParser(prog="twin")
    asked.add_argument("--requests", type=int, default=2000)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--data", type=Path)
    asked.add_argument("--upstream", choices=("embedded", "hapi"), default="embedded")
    asked.add_argument("--manners", action="store_true")
    asked.add_argument("--writes", action="store_true")
    given = asked.parse_args()
    if given.writes:
        return asyncio.run(_mixed(given.requests, given.seed, given.data))
    if given.manners:
        return asyncio.run(_mannered(given.requests, given.seed, given.data))
    return asyncio.run(_run(given.requests, given.seed, given.data, hapi=given.upstream == "hapi"))


def tell(line: str) -> None:
    """Print one line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@asynccontextmanager
async def _stage(held: Sequence[bytes], parts: Cast, *, hapi: bool) -> AsyncIterator[Stage]:
    if not hapi:
        async with embedded(held, parts) as on:
            yield on
        return
    with TemporaryDirectory() as folder:
        places = [Path(folder) / name for name in ("whole", "other")]
        for place in places:
            place.mkdir()
        with server(REPOSITORY, places[0]) as whole, server(REPOSITORY, places[1]) as other:
            async with before(whole, other, held, parts) as on:
                yield on


async def _run(requests: int, seed: int, data: Path | None, *, hapi: bool) -> int:
    held = records(data, seed)
    parts = cast(held)
    began = time.monotonic()
    async with _stage(held, parts, hapi=hapi) as on:
        told = await run(on, held, parts, requests=requests, seed=seed, data=str(data or ""), tell=tell)
    for case in told.cases:
        tell(f"kept as {keep(case).name}")
    statuses = ", ".join(f"{count} times {status}" for status, count in sorted(told.statuses.items()))
    tell(f"seed {seed}, {len(held)} records, {time.monotonic() - began:.0f} s: {statuses}")
    tell(f"{told.share(told.answered):.1%} answered, {told.share(told.touching):.1%} touch what is withheld")
    tell(f"{told.requests} requests, {len(told.cases)} differences")
    return 1 if told.cases else (0 if told.enough else 3)


async def _mannered(requests: int, seed: int, data: Path | None) -> int:
    """Ask as many in each manner. What a server cannot do may be told by an error: too few answers are no fault."""
    held = records(data, seed)
    parts = cast(held)
    made, cases = 0, list[Case]()
    for name, manner in MANNERS.items():
        async with embedded(held, parts, manner) as on:
            told = await run(on, held, parts, requests=requests, seed=seed, data=str(data or ""))
        for case in told.cases:
            tell(as_text(case))
        tell(
            f"a server that {name}: {told.requests} requests, {told.share(told.answered):.0%} answered,"
            f" {told.share(told.touching):.0%} touch what is withheld, {len(told.cases)} differences"
        )
        made, cases = made + told.requests, [*cases, *told.cases]
    tell(f"{made} requests, {len(cases)} differences")
    return 1 if cases else 0


async def _mixed(requests: int, seed: int, data: Path | None) -> int:
    held = records(data, seed)
    parts = cast(held)
    async with both(parts) as on:
        made, answers, cases = await run_mixed(on, held, parts, requests=requests, seed=seed, tell=tell)
    for case in cases:
        tell(as_text(case))
    tell("writes: " + ", ".join(f"{count} times {name}" for name, count in sorted(answers.items())))
    tell(f"{made} requests, {len(cases)} differences")
    return 1 if cases else 0


raise SystemExit(main())
