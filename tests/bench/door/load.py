"""The load on one door: wrk in a process of its own, for a bounded time, and what the door spent meanwhile."""

import math
import re
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from tests.bench.door.doors import Door, cpu_seconds, fetch

_SCRIPT = Path(__file__).with_name("load.lua")
_ANSWERS = 5
_LONGEST_S = 15.0
_MEASURED = re.compile(r"measured (\d+) (\d+) (\d+) ([\d.]+) ([\d.]+)")


class Measure(NamedTuple):
    """One run: requests, requests a second, latencies and CPU of the door in microseconds (CPU for each request)."""

    requests: int
    rate: float
    p50: float
    p99: float
    cpu: float


def long_enough(door: Door, path: str, connections: int, seconds: float) -> float:
    """Give how long a run has to be so that every connection is answered a few times, within bounds."""
    began = time.perf_counter()
    fetch(door, path)
    return max(seconds, min(_LONGEST_S, _ANSWERS * connections * (time.perf_counter() - began)))


def run(door: Door, path: str, connections: int, seconds: float) -> Measure:
    """Load one door, and wait until it is at rest again. Raises RuntimeError where anything but 200s came back.

    What is under way when the time is over was worked on and is not counted: the CPU of a request is a little high.
    """
    said = [part for name, value in door.headers.items() for part in ("-H", f"{name}: {value}")]
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{math.ceil(seconds)}s",
        "--timeout",
        "30s",
        "-s",
        str(_SCRIPT),
        *said,
    ]
    before = cpu_seconds(door.process)
    output = subprocess.run([*command, door.base + path], check=True, capture_output=True, text=True).stdout
    spent = cpu_seconds(door.process) - before
    _rest(door)
    match = _MEASURED.search(output)
    if match is None or int(match[3]) or not int(match[1]):
        raise RuntimeError(f"{door.name} {path[:60]}: {output[-400:]}")
    requests = int(match[1])
    return Measure(requests, requests / int(match[2]) * 1e6, float(match[4]), float(match[5]), spent / requests * 1e6)


def _rest(door: Door) -> None:
    end = time.monotonic() + _LONGEST_S
    while time.monotonic() < end:
        before = cpu_seconds(door.process)
        time.sleep(0.1)
        if cpu_seconds(door.process) == before:
            return
