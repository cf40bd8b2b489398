"""What the gateway costs: nginx, the gateway with everything on, and a plain proxy, in turn before one fixed upstream.

    make bench                                             (ROUNDS=5 SECONDS_EACH=2, the defaults)
    python -m tests.bench.door FOLDER [--rounds N] [--seconds S] [--only QUESTION]

Rules of this measurement
1. Every round goes through all doors one after the other, in an order that turns, so that whatever else the machine
   does falls on all of them; a figure is the median of the rounds, with the least and the greatest beside it.
2. What is compared answers the same: the plain proxy has to give the very records that the gateway gives.
3. Nothing of the gateway is turned off: tokens, us-part2, consents and ledger in SQLite (synced), log, metrics.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.bench.door import doors, load, stages
from tests.bench.door.doors import Door
from tests.bench.door.fixture import KIB, Question, fixture
from tests.bench.door.places import free_places
from tests.bench.door.recorded import Taped, record, write_answers

CONNECTIONS = (1, 16)
_WARM_UP_S = 1


def main() -> None:
    """Measure, and write the tables."""
    asked = _arguments()
    doors.install()
    with ExitStack() as held:
        folder = Path(
            held.enter_context(tempfile.TemporaryDirectory(prefix="consent-gateway-bench-", dir=asked.scratch))
        )
        made, places = fixture(asked.folder), free_places()
        questions = [one for one in made.questions if asked.only in (None, one.name)]
        taped, key = asyncio.run(record(made._replace(questions=tuple(questions)), places, folder / "gateway"))
        held.enter_context(doors.upstream(folder, places, write_answers(taped, folder / "answers")))
        _say(f"load average at the start: {os.getloadavg()[0]:.2f} of {os.cpu_count()} cores; ")
        _say(f"a page synced to the ledger's disk: {stages.sync_ms(folder):.2f} ms\n")
        with ExitStack() as open_doors:
            opened = [
                open_doors.enter_context(doors.nginx(folder, places)),
                open_doors.enter_context(doors.gateway(folder / "gateway", places, key)),
                open_doors.enter_context(doors.plain(folder, places, made.program | taped.withheld)),
            ]
            _say(_told(questions, taped, opened))
            for line in _table(questions, opened, asked.rounds, asked.seconds):
                _say(line)
        _say("\nwhere the gateway's time goes, one request at a time\n\n")
        _say(asyncio.run(stages.measured(folder / "gateway", places, key, questions)))
        _say(f"\nload average at the end: {os.getloadavg()[0]:.2f}\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.door")
    parser.add_argument("folder", type=Path, help="a folder of R4 Bundles (Synthea)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of load on each door in each round")
    parser.add_argument("--only", help="one question, by its name")
    parser.add_argument("--scratch", type=Path, help="where ledger and consents are kept while it runs")
    return parser.parse_args()


def _told(questions: Sequence[Question], taped: Taped, opened: Sequence[Door]) -> str:
    """Give what is asked and answered. Raises SystemExit where the doors do not withhold the same."""
    lines = ["\n| question | upstream KiB | gateway KiB | upstream calls | KiB of context | verdicts |\n"]
    lines.append("| --- | ---: | ---: | ---: | ---: | --- |\n")
    for question in questions:
        calls = taped.calls[question.name]
        whole, *context = (len(taped.answers[call]) / KIB for call in calls)
        released = {door.name: _released(doors.fetch(door, question.path)) for door in opened}
        # Of a longer search the gateway asks for one record more than it gives.
        count = len(released["gateway"])
        if released["plain"][:count] != released["gateway"] or (len(released["plain"]) > count) != question.more:
            raise SystemExit(f"{question.name}: the plain proxy does not withhold what the gateway withholds")
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in taped.verdicts[question.name].items())
        kept = f"{len(released['gateway'])} of {len(released['nginx'])} records; {verdicts}"
        given = len(taped.given[question.name]) / KIB
        lines.append(f"| {question.name} | {whole:.1f} | {given:.1f} | {len(calls)} | {sum(context):.0f} | {kept} |\n")
    return "".join(lines)


def _released(body: bytes) -> list[str]:
    """The records of an answer, by name."""
    tree = json.loads(body)
    found = [entry["resource"] for entry in tree.get("entry", ())] if tree["resourceType"] == "Bundle" else [tree]
    return [f"{one['resourceType']}/{one['id']}" for one in found]


def _table(questions: Sequence[Question], opened: Sequence[Door], rounds: int, seconds: float) -> Iterator[str]:
    yield "\n| question | connections | door | requests/s | of nginx | p50 ms | added ms | p99 ms | CPU µs |\n"
    yield "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    for question in questions:
        for connections in CONNECTIONS:
            found: dict[str, list[load.Measure]] = {door.name: [] for door in opened}
            for door in opened:
                load.run(door, question.path, 1, _WARM_UP_S)
            lasting = {door.name: load.long_enough(door, question.path, connections, seconds) for door in opened}
            for number in range(rounds):
                turn = number % len(opened)
                for door in (*opened[turn:], *opened[:turn]):
                    found[door.name].append(load.run(door, question.path, connections, lasting[door.name]))
            yield from (_row(question, connections, name, found) for name in found)


def _row(question: Question, connections: int, name: str, found: dict[str, list[load.Measure]]) -> str:
    """One line; shares and differences are taken within each round."""
    pairs = list(zip(found[name], found["nginx"], strict=True))
    rate = _spread([one.rate for one, _ in pairs], 0)
    share = "" if name == "nginx" else f"{statistics.median(one.rate / ref.rate for one, ref in pairs):.2%}"
    added = "" if name == "nginx" else _spread([(one.p50 - ref.p50) / 1000 for one, ref in pairs], 2)
    p50 = _spread([one.p50 / 1000 for one, _ in pairs], 2)
    p99 = f"{statistics.median(one.p99 for one, _ in pairs) / 1000:.2f}"
    cpu = _spread([one.cpu for one, _ in pairs], 0)
    return f"| {question.name} | {connections} | {name} | {rate} | {share} | {p50} | {added} | {p99} | {cpu} |\n"


def _spread(values: Sequence[float], digits: int) -> str:
    """The median, and the least and greatest in brackets."""
    low, middle, high = (f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low} to {high})"


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
