"""What it costs to gather a page's context: by `_include`, by `_id=a,b,c` per type, by single reads.

    python tests/bench/context_experiment.py ../shared/data/synthea-r4

The embedded upstream runs in its own process, once answering at once and once with a pause before each answer that
stands for a network and a real database. For every page the three ways run one after the other in turn, so that
whatever else the machine does falls on all three. A way gathers the same thing: what the page refers to (depth 1), and
the organisations and patients that those refer to (depth 2). Written up in docs/decisions/0002-context.md.
"""

import asyncio
import contextlib
import multiprocessing
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any, NamedTuple

import aiohttp
import msgspec

from gateway.demo.upstream import EmbeddedUpstream, load_folder, serve

TYPES = ("Condition", "Observation", "Claim", "ExplanationOfBenefit", "Encounter", "DiagnosticReport")
INCLUDES = {
    "Condition": ("subject", "encounter"),
    "Observation": ("subject", "encounter", "performer"),
    "Claim": ("patient", "encounter", "insurer", "provider", "facility", "care-team"),
    "ExplanationOfBenefit": ("patient", "encounter", "provider", "care-team", "claim", "coverage", "facility"),
    "Encounter": ("subject", "service-provider", "participant", "location"),
    "DiagnosticReport": ("subject", "encounter", "performer", "result"),
}
DEEPER = frozenset({"Organization", "Patient"})
PAGE = 20
PAGES = 8  # of each type, at most
ROUNDS = 5
TOGETHER = 8  # single reads under way at a time
IDS = 50  # ids in one `_id`
PAUSES_MS = (0, 5)


class Cost(NamedTuple):
    """What one way took for one page."""

    calls: int
    size: int
    seconds: float
    found: frozenset[str]


class Client:
    """Counts calls and bytes."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session, self.base = session, base
        self.calls = self.size = 0

    async def get(self, position: str) -> dict[str, Any]:
        async with self.session.get(self.base + position) as response:
            body = await response.read()
        self.calls += 1
        self.size += len(body)
        return msgspec.json.decode(body) if response.status == 200 else {}


Known = dict[str, dict[str, Any]]
Fetch = Callable[[Client, set[str]], Awaitable[Known]]


def references(tree: object) -> Iterator[str]:
    """Every relative literal reference in a tree."""
    if isinstance(tree, dict):
        target = tree.get("reference")
        if isinstance(target, str) and target.count("/") == 1 and "?" not in target and ":" not in target:
            yield target
        for value in tree.values():
            yield from references(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from references(value)


def resources(bundle: dict[str, Any]) -> Known:
    """The resources of a searchset by name."""
    found = [entry["resource"] for entry in bundle.get("entry", ())]
    return {f"{one['resourceType']}/{one['id']}": one for one in found}


def wanted(frontier: Iterable[dict[str, Any]], known: Known, types: frozenset[str] | None = None) -> set[str]:
    """What the frontier refers to and nobody has yet."""
    targets = {target for tree in frontier for target in references(tree)}
    return {t for t in targets if t not in known and (types is None or t.partition("/")[0] in types)}


async def by_id(client: Client, targets: set[str]) -> Known:
    """One search a type and up to IDS ids."""
    groups: dict[str, list[str]] = {}
    for target in sorted(targets):
        type_, _, id_ = target.partition("/")
        groups.setdefault(type_, []).append(id_)
    asks = [
        f"/{type_}?_id={','.join(ids[start : start + IDS])}&_count={IDS}"
        for type_, ids in groups.items()
        for start in range(0, len(ids), IDS)
    ]
    answers = await asyncio.gather(*(client.get(ask) for ask in asks))
    return {name: tree for answer in answers for name, tree in resources(answer).items()}


async def single(client: Client, targets: set[str]) -> Known:
    """One read a target, a few at a time."""
    one_of_few = asyncio.Semaphore(TOGETHER)

    async def read(target: str) -> tuple[str, dict[str, Any]]:
        async with one_of_few:
            return target, await client.get("/" + target)

    return {name: tree for name, tree in await asyncio.gather(*map(read, sorted(targets))) if tree}


async def gathered(client: Client, page: str, fetch: Fetch, *, include: bool) -> Known:
    """The page and its context; with `include` the first depth comes along as far as search parameters reach."""
    type_ = page[1:].partition("?")[0]
    extra = "".join(f"&_include={type_}:{name}" for name in INCLUDES[type_]) if include else ""
    known = resources(await client.get(page + extra))
    matches = [tree for tree in known.values() if tree["resourceType"] == type_][:PAGE]
    first = await fetch(client, wanted(matches, known))
    around = [tree for name, tree in (known | first).items() if tree not in matches]
    known |= first
    return known | await fetch(client, wanted(around, known, DEEPER))


WAYS: dict[str, Callable[[Client, str], Awaitable[Known]]] = {
    "_include": lambda client, page: gathered(client, page, by_id, include=True),
    "_id=a,b,c": lambda client, page: gathered(client, page, by_id, include=False),
    "single reads": lambda client, page: gathered(client, page, single, include=False),
}


async def measure(session: aiohttp.ClientSession, base: str, way: str, page: str) -> Cost:
    """Gather one page one way."""
    client = Client(session, base)
    start = time.perf_counter()
    known = await WAYS[way](client, page)
    return Cost(client.calls, client.size, time.perf_counter() - start, frozenset(known))


async def full_pages(session: aiohttp.ClientSession, base: str, type_: str) -> list[str]:
    """First pages that are full, as a client would ask for them: of one patient, then of rosters of four."""
    known = resources(await Client(session, base).get("/Patient?_count=1000"))
    ids = sorted(name.partition("/")[2] for name in known)
    rosters = [*ids, *(",".join(ids[start : start + 4]) for start in range(0, len(ids), 4))]
    asks = [f"/{type_}?patient={roster}&_count={PAGE}" for roster in rosters]
    answers = [await Client(session, base).get(ask) for ask in asks]
    full = [ask for ask, answer in zip(asks, answers, strict=True) if len(answer.get("entry", ())) == PAGE]
    return full[:PAGES]


def row(type_: str, way: str, costs: list[Cost], base: float) -> str:
    """One line of the table; `base` is what the ratio is taken to."""
    calls, size = statistics.mean(c.calls for c in costs), statistics.mean(c.size for c in costs)
    took = statistics.median(c.seconds for c in costs)
    return f"| {type_} | {way} | {calls:.1f} | {size / 1024:.0f} | {took * 1000:.1f} | {took / base:.2f} |\n"


async def experiment(base: str, pause: int) -> None:
    """Measure every type against one upstream and write the table."""
    write = sys.stdout.write
    write(f"\npause before each answer: {pause} ms\n\n| page of {PAGE} | way | calls | KiB | median ms | ratio |\n")
    write("| --- | --- | ---: | ---: | ---: | ---: |\n")
    async with aiohttp.ClientSession() as session:
        for type_ in TYPES:
            pages = await full_pages(session, base, type_)
            costs: dict[str, list[Cost]] = {way: [] for way in WAYS}
            for turn in range(ROUNDS + 1):
                for page in pages:
                    order = list(WAYS)[turn % len(WAYS) :] + list(WAYS)[: turn % len(WAYS)]
                    found = {way: await measure(session, base, way, page) for way in order}
                    if found["_id=a,b,c"].found != found["single reads"].found:
                        raise SystemExit(f"{page}: the ways did not find the same")
                    for way, cost in found.items():
                        costs[way] += [cost] if turn else []  # the first turn warms up
            middle = statistics.median(c.seconds for c in costs["_id=a,b,c"])
            for way, taken in costs.items():
                write(row(f"{type_} ({len(pages)} pages)", way, taken, middle))


class Paused:
    """The embedded upstream with a pause before each answer."""

    def __init__(self, app: EmbeddedUpstream, pause: float) -> None:
        self.app, self.pause, self.base_path = app, pause, app.base_path

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(self.pause)
        await self.app(scope, receive, send)


def run_upstreams(folder: str, told: Any) -> None:
    """The other process: one upstream for each pause; tells their bases."""

    async def up() -> None:
        app = EmbeddedUpstream(load_folder(folder))
        async with contextlib.AsyncExitStack() as stack:
            bases = [await stack.enter_async_context(serve(Paused(app, pause / 1000))) for pause in PAUSES_MS]
            told.send(bases)
            await asyncio.Event().wait()

    asyncio.run(up())


@contextlib.asynccontextmanager
async def upstreams(folder: str) -> AsyncIterator[list[str]]:
    """Run the upstreams while the block lasts and give their bases."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=run_upstreams, args=(folder, theirs), daemon=True)
    process.start()
    try:
        yield await asyncio.to_thread(ours.recv)
    finally:
        process.terminate()


async def main(folder: str) -> None:
    """Run the experiment on a folder of R4 Bundles."""
    async with upstreams(folder) as bases:
        for base, pause in zip(bases, PAUSES_MS, strict=True):
            await experiment(base, pause)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
