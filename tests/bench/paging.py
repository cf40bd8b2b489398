"""What filled pages cost: upstream's requests for a walk of which half is withheld, beside a walk without a gateway.

python -m tests.bench.paging [--records 10000] [--count 50]
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import aiohttp

from gateway.demo.upstream import EmbeddedUpstream
from gateway.proxy.upstream import basic
from tests.e2e.test_pages import observation
from tests.e2e.world import PASSWORD, USER, World, embedded, world

SEARCH = "Observation?patient=rosa&code=http://loinc.org|8867-4"


class Walked(NamedTuple):
    """One walk: pages, matches, requests that the upstream got, seconds; whether a page but the last was short."""

    pages: int
    matches: int
    requests: int
    seconds: float
    short: bool


async def directly(upstream: EmbeddedUpstream, base: str, count: int) -> Walked:
    """Walk the upstream itself."""
    upstream.requests.clear()
    began, pages, matches = time.perf_counter(), 0, 0
    async with aiohttp.ClientSession(headers={"Authorization": basic(USER, PASSWORD)}) as session:
        url = f"{base}/{SEARCH}&_count={count}"
        while url:
            async with session.get(url) as answer:
                page = await answer.json(content_type=None)
            pages, matches = pages + 1, matches + len(page["entry"])
            url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    return Walked(pages, matches, len(upstream.requests), time.perf_counter() - began, short=False)


async def through(upstream: EmbeddedUpstream, gate: World, count: int) -> Walked:
    """Walk through the gateway, as one who may see half of it."""
    upstream.requests.clear()
    began, sizes = time.perf_counter(), list[int]()
    path: str | None = f"{SEARCH}&_count={count}"
    while path:
        page = await gate.ask(path)
        if page.status != 200:
            raise RuntimeError(page.body.decode())
        sizes.append(len(page.ids))
        path = page.next
    short = any(size != count for size in sizes[:-1])
    return Walked(len(sizes), sum(sizes), len(upstream.requests), time.perf_counter() - began, short)


async def measure(records: int, count: int, folder: Path) -> tuple[Walked, Walked, Walked]:
    """Give three walks over so many records: without a gateway, through it by one who may see all of them, and by one
    from whom every other one is withheld."""
    held = [one for number in range(records) for one in (dated(number), made(number))]
    async with embedded(held) as (upstream, base), world(folder, base) as gate:
        plain = await directly(upstream, base, count)
        consent = await gate.consent("rosa-part2.json")
        whole = await through(upstream, gate, count)
        await gate.revoke(consent)
        return plain, whole, await through(upstream, gate, count)


def dated(number: int) -> dict[str, object]:
    """One of many observations; the odd ones are withheld from the plan."""
    return observation(1, number % 2 == 1) | {"id": f"many-{number:05}"}


def made(number: int) -> dict[str, object]:
    """Who made one of them, as the server tells it: asked for with every page, for a Part 2 program may have."""
    who = "harbor" if number % 2 else "mercy"
    return {
        "resourceType": "Provenance",
        "id": f"made-{number:05}",
        "target": [{"reference": f"Observation/many-{number:05}"}],
        "recorded": "2026-02-01T09:00:00Z",
        "agent": [{"who": {"reference": f"Organization/{who}"}}],
    }


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--records", type=int, default=10_000)
    asked.add_argument("--count", type=int, default=50)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plain, whole, half = asyncio.run(measure(given.records, given.count, Path(folder)))
    sys.stdout.write(
        f"without a gateway:         {plain}\nthrough it, nothing withheld: {whole}\nhalf withheld: {half}\n"
    )
    unfiltered, bare = half.requests / whole.requests, half.requests / plain.requests
    sys.stdout.write(f"upstream requests: {unfiltered:.2f} times an unfiltered walk, {bare:.2f} a bare one\n")


if __name__ == "__main__":
    main()
