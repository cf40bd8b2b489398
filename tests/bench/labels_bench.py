"""What labelling costs on top of the scan: one Synthea resource, clean and sensitive; and NDJSON by the command.

Run: python -m tests.bench.labels_bench FOLDER_OF_SYNTHEA_BUNDLES [MEGABYTES_OF_NDJSON]
"""

import io
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from gateway import bootstrap
from gateway.facts.labelling import Labeller
from gateway.fhir.bundle import read_document
from gateway.fhir.view import ResourceView
from gateway.label_command import Run
from gateway.labels.assign import assign
from gateway.labels.context import LabelContext
from gateway.labels.model import Kind
from gateway.labels.rules import LabelRules

_ROUNDS = 5


def main(folder: Path, megabytes: int) -> None:
    """Measure and print."""
    shelf = bootstrap.read_shelf()
    views = [view for path in sorted(folder.glob("*.json")) for view in read_document(path.read_bytes()).views]
    for name in ("us-hipaa", "us-part2"):
        clean, sensitive = _costs(views, shelf.tools[name].label_rules)
        for what, found in (("clean", clean), ("sensitive", sensitive)):
            tenths = statistics.quantiles(found, n=10)
            told = f"median {statistics.median(found):.1f} µs, 90th percentile {tenths[8]:.1f} µs"
            sys.stdout.write(f"{name}: {len(found)} {what} resources: {told}\n")
    if megabytes:
        _lines(views, Labeller(shelf.policies["us-part2"], shelf.tools["us-part2"]), megabytes)


def _costs(views: list[ResourceView], rules: LabelRules) -> tuple[list[float], list[float]]:
    """The least time of several that each resource takes, in microseconds, clean and sensitive apart."""
    nowhere = LabelContext()
    clean, sensitive = [], []
    for view in views:
        least = float("inf")
        for _ in range(_ROUNDS):
            began = time.perf_counter_ns()
            found = assign(view, nowhere, rules)
            least = min(least, time.perf_counter_ns() - began)
        is_sensitive = any(label.kind in (Kind.SENSITIVITY, Kind.POLICY) for label in found.labels)
        (sensitive if is_sensitive else clean).append(least / 1000)
    return clean, sensitive


class _Source(io.RawIOBase):
    """Lines without end, up to a number of bytes."""

    def __init__(self, views: list[ResourceView], most: int) -> None:
        self._views, self._most = views, most
        self._lines = self._written()

    def __iter__(self) -> Iterator[bytes]:  # type: ignore[override]
        return self._lines  # read in pieces: it goes on where it was

    def _written(self) -> Iterator[bytes]:
        given = 0
        while given < self._most:
            for view in self._views:
                line = view.raw.replace(b"\n", b" ") + b"\n"
                given += len(line)
                yield line


class _Nowhere(io.RawIOBase):
    """Takes everything and keeps nothing."""

    def write(self, text: object) -> int:
        return len(text)  # type: ignore[arg-type]


def _lines(views: list[ResourceView], labeller: Labeller, megabytes: int) -> None:
    run = Run(labeller, None, Console(stderr=True, quiet=True))
    few = views[:2000]
    run.lines(_Source(few, 1 << 20), _Nowhere(), lambda _: None)
    before, began = _peak(), time.perf_counter()
    run.lines(_Source(few, megabytes << 20), _Nowhere(), lambda _: None)
    seconds = time.perf_counter() - began
    grown = _peak() - before
    told = f"{megabytes / seconds:.1f} MiB/s, peak memory grew by {grown:.1f} MiB"
    sys.stdout.write(f"NDJSON: {megabytes} MiB in {seconds:.0f} s, {told}\n")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
