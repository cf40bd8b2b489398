"""Where the gateway's time goes: one request at a time through a gateway in this process, its steps timed by the clock.

Rules of this file
1. A step's time is its own: what steps inside it take is theirs. What no step accounts for is told as the rest.
   Beside what the clock says stands the CPU of the event loop's thread: the difference is waiting.
2. The steps are timed from outside, by wrapping the functions that do them; nothing in the gateway knows.
"""

import asyncio
import functools
import inspect
import logging
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

from consent_store.sqlite import SqliteConsentStore
from gateway import bootstrap
from gateway.decision import bench
from gateway.demo.serving import listen, serve
from gateway.ledger.sqlite import SqliteLedger
from gateway.proxy import app, asked, context, exchange, matches, reading, searching, walking
from gateway.proxy.answering import Writer
from gateway.proxy.telemetry import LOGGER, Telemetry
from gateway.proxy.upstream import Upstream
from gateway.settings_reading import parse_settings
from tests.bench.door.doors import Door
from tests.bench.door.fixture import PLAN, PURPOSE, Question
from tests.bench.door.load import run
from tests.bench.door.places import Places, headers, settings_text, token

SECONDS: Final = 4
_REST: Final = "the rest: form, routing, tasks"
# While this is waited for the next request is under way already, so it is told but not added up.
_AFTER: Final = "after the answer: the ledger's completion"

# What each step is made of: where the name of a function is looked up, and that name (tests/unit/test_bench.py).
STEPS: Final[dict[str, tuple[tuple[Any, str], ...]]] = {
    "identity: token, caller, purpose": ((exchange, "identify"),),
    "upstream: the body": ((Upstream, "search"), (Upstream, "page"), (Upstream, "read")),
    "scan: the body": ((walking, "searchset"), (context, "read_resource")),
    "upstream: the context": ((context.Context, "take"),),
    "scan: the context": ((context, "searchset"),),
    "gather: what is referred to, who is named": ((walking, "gather"), (reading, "gather")),
    "consents: look-up": ((SqliteConsentStore, "snapshot"),),
    "judge: whom a record names": ((bench, "patients_named"),),
    "judge: labels": ((bench, "assign"), (bench.Sources, "label_context")),
    "judge: rules and consents": ((bench._Rulings, "__call__"),),
    "judge: parts": ((bench, "mask"), (bench, "uniform_edits")),
    "judge: residue and the rest": ((walking, "judge"), (reading, "judge")),
    "release": (
        (matches, "released_text"),
        (searching, "release_entries"),
        (searching, "compose_searchset"),
        (searching, "manifest_of"),
        (reading, "compose_resource"),
        (reading, "manifest_of"),
    ),
    "ledger: what is written": ((asked.Asked, "intent"),),
    "ledger: intent, synced": ((SqliteLedger, "intent"),),
    "consents: revisions again": ((SqliteConsentStore, "revisions"),),
    "send": ((Writer, "begin"), (Writer, "finish")),
    _AFTER: ((SqliteLedger, "complete"),),
    "log and metrics": ((Telemetry, "answered"), (Telemetry, "decided")),
    _REST: ((app.DataPlane, "_answer"),),
}

Spent = dict[str, tuple[float, float]]
"""Seconds by the clock and of CPU, by step."""

# What the present request spent so far, and for each step under way what the steps inside it took.
_request: ContextVar[tuple[Spent, list[list[float]]]] = ContextVar("request")


class Clocks:
    """Times by step, request by request."""

    def __init__(self) -> None:
        self.requests: list[Spent] = []

    def timed(self, step: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Give `work` with its own time noted."""
        if inspect.iscoroutinefunction(work):

            @functools.wraps(work)
            async def waits(*args: Any, **named: Any) -> Any:
                with self._noted(step):
                    return await work(*args, **named)

            return waits

        @functools.wraps(work)
        def runs(*args: Any, **named: Any) -> Any:
            with self._noted(step):
                return work(*args, **named)

        return runs

    @contextmanager
    def _noted(self, step: str) -> Iterator[None]:
        if step == _REST:  # a request begins
            self.requests.append({})
            _request.set((self.requests[-1], []))
        request = _request.get(None)
        if request is None:
            yield
            return
        spent, under_way = request
        under_way.append([0.0, 0.0])
        began = (time.perf_counter(), time.thread_time())
        try:
            yield
        finally:
            took = (time.perf_counter() - began[0], time.thread_time() - began[1])
            inside = under_way.pop()
            before = spent.get(step, (0.0, 0.0))
            spent[step] = (before[0] + took[0] - inside[0], before[1] + took[1] - inside[1])
            if under_way:
                under_way[-1][0] += took[0]
                under_way[-1][1] += took[1]


def sync_ms(folder: Path) -> float:
    """Give what it takes to write a page to this disk and have it stay, the median of fifty."""
    took = []
    with (folder / "sync").open("wb") as file:
        for _ in range(50):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


async def measured(folder: Path, places: Places, key: str, questions: Sequence[Question]) -> str:
    """Give the table of steps: for each question the median milliseconds of every step."""
    clocks = Clocks()
    for step, parts in STEPS.items():
        for owner, name in parts:
            setattr(owner, name, clocks.timed(step, getattr(owner, name)))
    LOGGER.addHandler(logging.StreamHandler((folder / "stages.log").open("w")))
    LOGGER.setLevel(logging.INFO)
    door = Door(
        "gateway", f"http://127.0.0.1:{places.data}/t/hospital", headers(token(key, PLAN), PURPOSE), os.getpid()
    )
    settings = parse_settings(settings_text(places), "gateway.yaml")
    found: dict[str, list[Spent]] = {}
    async with bootstrap.build(settings, folder) as planes, serve(planes.data, listener=listen(places.data)):
        for question in questions:
            await asyncio.to_thread(run, door, question.path, 1, 1)
            clocks.requests.clear()
            await asyncio.to_thread(run, door, question.path, 1, SECONDS)
            found[question.name] = clocks.requests[:-1]
    return _table(found)


def _table(found: dict[str, list[Spent]]) -> str:
    lines = [
        "| step: ms by the clock / of CPU | " + " | ".join(found) + " |\n",
        "| --- |" + " ---: |" * len(found) + "\n",
    ]
    for step in STEPS:
        cells = [_cell([one.get(step, (0.0, 0.0)) for one in requests]) for requests in found.values()]
        lines.append(f"| {step} | {' | '.join(cells)} |\n")
    wholes = [_cell([_whole(one) for one in requests]) for requests in found.values()]
    lines.append(f"| **until the answer is sent** | {' | '.join(wholes)} |\n")
    return "".join(lines)


def _whole(spent: Spent) -> tuple[float, float]:
    """What was spent until the answer was sent."""
    counted = [times for step, times in spent.items() if step != _AFTER]
    return sum(clock for clock, _ in counted), sum(cpu for _, cpu in counted)


def _cell(times: Sequence[tuple[float, ...]]) -> str:
    clock, cpu = (statistics.median(one[which] for one in times) * 1000 for which in (0, 1))
    return f"{clock:.2f} / {cpu:.2f}"
