"""A twin run: for each pair the world without W is made, scripts are asked in every arm, answers compared.

Rules of this file
1. A run that touches too little says so and fails: at least four in five answers are 2xx, and half differ once the
   filter is off.
2. A difference is shrunk (steps, then parameters), told as commands and a diff, and kept as a case.
"""

import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import msgspec

from gateway import clock
from gateway.demo.cast import Cast
from gateway.demo.serving import serve
from tests.twin.absent import Oracle, Without, name_of
from tests.twin.arms import Arm, Behind, World, arm
from tests.twin.asking import Pair, Script, Seen, Step, curl
from tests.twin.comparing import difference, normal
from tests.twin.grammar import Grammar, Offered
from tests.twin.grammar import World as Known
from tests.twin.mannered import Manner, Mannered
from tests.twin.versions import Versions

FOUND = Path(__file__).parent / "found"
ANSWERED, TOUCHING = 0.8, 0.5


class Holding(Protocol):
    """The server of the second arm: it can be made to hold other records, as if nothing had been there before."""

    def hold(self, records: Sequence[bytes]) -> None:
        """Hold these records and no others."""
        ...


class Server(Holding, Protocol):
    """A FHIR server that asks for a password."""

    base: str
    password: str


class Stage(msgspec.Struct, frozen=True):
    """Three arms that are up, and the server whose world changes with the pair. `whole` is that of the others, where it
    is one that can be given earlier versions."""

    full: Arm
    absent: Arm
    unfiltered: Arm
    other: Holding
    whole: Holding | None = None
    behind: str | None = None
    stamped: bool = False


class Case(msgspec.Struct, frozen=True):
    """A difference that was found, as it is kept: of which records, under which seed, which script."""

    data: str
    seed: int
    script: Script
    differs: str = ""


class Told(msgspec.Struct):
    """What a run came to."""

    requests: int = 0
    answered: int = 0
    touching: int = 0
    statuses: Counter[int] = msgspec.field(default_factory=Counter)
    cases: list[Case] = msgspec.field(default_factory=list)

    def share(self, count: int) -> float:
        """Give a count as a share of the requests."""
        return count / max(self.requests, 1)

    @property
    def enough(self) -> bool:
        """Whether the run asked enough that was answered, and enough that touched W."""
        return self.share(self.answered) >= ANSWERED and self.share(self.touching) >= TOUCHING


@asynccontextmanager
async def embedded(records: Sequence[bytes], parts: Cast, manner: Manner | None = None) -> AsyncIterator[Stage]:
    """Put three arms up before embedded servers while the block lasts; of another `manner`, where it is given."""
    async with AsyncExitStack() as held:
        folder = Path(held.enter_context(TemporaryDirectory(prefix="twin-")))
        whole, other = (World(), World()) if manner is None else (Mannered(World(), manner), Mannered(World(), manner))
        whole.hold(records)
        bases = [await held.enter_async_context(serve(one)) for one in (whole, other)]
        arms = [
            await held.enter_async_context(arm(folder / name, Behind(f"{base}/fhir"), parts, off=off))
            for name, base, off in (
                ("full", bases[0], False),
                ("absent", bases[1], False),
                ("unfiltered", bases[0], True),
            )
        ]
        yield Stage(*arms, other, whole, behind=f"{bases[0]}/fhir" if manner is None or manner.stated else None)


@asynccontextmanager
async def before(whole: Server, other: Server, records: Sequence[bytes], parts: Cast) -> AsyncIterator[Stage]:
    """Put three arms up before two servers of somebody else's while the block lasts."""
    whole.hold(records)
    async with AsyncExitStack() as held:
        folder = Path(held.enter_context(TemporaryDirectory(prefix="twin-")))
        arms = [
            await held.enter_async_context(arm(folder / name, Behind(one.base, one.password), parts, off=off))
            for name, one, off in (("full", whole, False), ("absent", other, False), ("unfiltered", whole, True))
        ]
        yield Stage(*arms, other, stamped=True)


def pairs_of(parts: Cast) -> list[Pair]:
    """Give every pair of the cast that is let in: eight, over three profiles."""
    return [
        Pair(line.client, line.purpose, line.route)
        for line in parts.lines
        if line.purpose and (line.client, line.purpose) != ("housing", "TREAT")
    ]


async def run(
    on: Stage,
    records: Sequence[bytes],
    parts: Cast,
    *,
    requests: int,
    seed: int,
    data: str = "",
    tell: Callable[[str], None] = lambda line: None,
) -> Told:
    """Ask so many requests over all pairs. Gives what came of them."""
    told, known = Told(), Known(records, parts.patients)
    oracle = Oracle(records, parts, signed(parts), clock.now())
    versions = Versions(records, seed, lambda held: Oracle(held, parts, signed(parts), clock.now()))
    pairs, behind = pairs_of(parts), await on.full.fetch(f"{on.behind}/metadata") if on.behind else None
    for number, pair in enumerate(pairs):
        world = oracle.without(pair)
        hold(on, versions, pair, records, world)
        offered = {pair.route: Offered(await _statement(on.full, pair), behind)}
        grammar = Grammar(known, offered, f"{seed} {pair}")
        touched = sorted(world.withheld | world.masked)
        until = requests * (number + 1) // len(pairs)
        while told.requests < until:
            script = grammar.script(pair, touched)
            differs = await compare(on, script, told)
            if differs:
                script, differs = await shrunk(on, script, differs)
                case = Case(data, seed, script, differs)
                told.cases.append(case)
                tell(as_text(case))
        tell(_line(pair, world, told))
    return told


def hold(on: Stage, versions: Versions, pair: Pair, records: Sequence[bytes], world: Without) -> None:
    """Put the two worlds of a pair behind the arms, with earlier versions where both servers can be given them."""
    if on.whole is None:
        on.other.hold(world.records)
        return
    whole, rest = versions.of(pair, world)
    on.whole.hold(each_after(whole, records))
    on.other.hold(each_after(rest, world.records))


def each_after(earlier: Sequence[bytes], records: Sequence[bytes]) -> list[bytes]:
    """Give records each after its earlier version: when a record first came, which orders what a server finds, is the
    same in both worlds."""
    before = {name_of(one): one for one in earlier}
    return [text for one in records for text in (before.get(name_of(one)), one) if text is not None]


def signed(parts: Cast) -> list[bytes]:
    """Give the cast's consents as they are once they are stored, each with an id."""
    return [
        json.dumps(json.loads(one.text) | {"id": f"c{number}"}).encode() for number, one in enumerate(parts.consents)
    ]


async def _statement(arm_: Arm, pair: Pair) -> bytes:
    seen = await arm_.ask(Step("metadata"), pair, None)
    assert seen is not None
    assert 200 == seen.status, seen.body
    return seen.body


async def compare(on: Stage, script: Script, told: Told | None = None) -> str:
    """Ask a script in the arms. Gives the first difference, "" for none."""
    full: Seen | None = None
    absent: Seen | None = None
    off: Seen | None = None
    for step in script.steps:
        full, absent = await on.full.ask(step, script.pair, full), await on.absent.ask(step, script.pair, absent)
        if full is None and absent is None:
            break
        if full is None or absent is None:
            return f"the {step.follow} link is there in one answer only"
        differs = difference(full, absent, stamped=on.stamped)
        if told is not None:
            off = await on.unfiltered.ask(step, script.pair, off)
            told.requests += 1
            told.statuses[full.status] += 1
            told.answered += full.status // 100 == 2
            told.touching += off is None or normal(full, stamped=on.stamped) != normal(off, stamped=on.stamped)
        if differs:
            return differs
    return ""


async def shrunk(on: Stage, script: Script, differs: str) -> tuple[Script, str]:
    """Give the smallest script found that still differs, and how."""
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(script):
            found = await compare(on, candidate)
            if found:
                script, differs, smaller = candidate, found, True
                break
    return script, differs


def _smaller(script: Script) -> Iterator[Script]:
    steps = script.steps
    for number in range(1, len(steps)):
        yield Script(script.pair, steps[:number])
    for number, step in enumerate(steps):
        if len(steps) > 1:
            yield Script(script.pair, steps[:number] + steps[number + 1 :])
        for less in _less(step):
            yield Script(script.pair, (*steps[:number], less, *steps[number + 1 :]))


def _less(step: Step) -> Iterator[Step]:
    for place in range(len(step.query)):
        yield msgspec.structs.replace(step, query=step.query[:place] + step.query[place + 1 :])
    if isinstance(step.body, dict) and len(step.body.get("entry", ())) > 1:
        for place in range(len(step.body["entry"])):
            entries = step.body["entry"][:place] + step.body["entry"][place + 1 :]
            yield msgspec.structs.replace(step, body=step.body | {"entry": entries})


def as_text(case: Case) -> str:
    """Give a case as commands to repeat it and what differs."""
    lines = [curl(step, case.script.pair) for step in case.script.steps]
    return "\n".join(["difference:", *(f"  {line}" for line in lines), case.differs])


def keep(case: Case) -> Path:
    """Write a case where it is replayed from. Gives the file."""
    FOUND.mkdir(exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(case), indent=1)
    path = FOUND / f"{hashlib.sha256(msgspec.json.encode(case.script)).hexdigest()[:12]}.json"
    path.write_bytes(text + b"\n")
    return path


def _line(pair: Pair, world: Without, told: Told) -> str:
    return (
        f"{pair.client} for {pair.purpose} at {pair.route}: {len(world.withheld)} withheld, {len(world.masked)} masked;"
        f" {told.requests} requests so far, {told.share(told.answered):.0%} answered,"
        f" {told.share(told.touching):.0%} touch what is withheld"
    )
