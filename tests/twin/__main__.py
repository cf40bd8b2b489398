"""`make twin N=… SEED=… DATA=dir`: how often the gateway tells of what it withholds, asked at random.

The last line says `N requests, M differences`; the status is 0 where there is none, and enough was asked.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path

from gateway.demo.cast import cast
from tests.twin.records import records
from tests.twin.running import embedded, keep, run


def main() -> int:
    """Run as the arguments say. Gives the exit status: 0, 1 for differences, 3 where too little was touched."""
    asked = argparse.ArgumentParser(prog="twin")
    asked.add_argument("--requests", type=int, default=2000)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--data", type=Path)
    given = asked.parse_args()
    return asyncio.run(_run(given.requests, given.seed, given.data))


def tell(line: str) -> None:
    """Print one line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def _run(requests: int, seed: int, data: Path | None) -> int:
    held = records(data, seed)
    parts = cast(held)
    began = time.monotonic()
    async with embedded(held, parts) as on:
        told = await run(on, held, parts, requests=requests, seed=seed, data=str(data or ""), tell=tell)
    for case in told.cases:
        tell(f"kept as {keep(case).name}")
    statuses = ", ".join(f"{count} times {status}" for status, count in sorted(told.statuses.items()))
    tell(f"seed {seed}, {len(held)} records, {time.monotonic() - began:.0f} s: {statuses}")
    tell(f"{told.share(told.answered):.1%} answered, {told.share(told.touching):.1%} touch what is withheld")
    tell(f"{told.requests} requests, {len(told.cases)} differences")
    return 1 if told.cases else (0 if told.enough else 3)


raise SystemExit(main())
