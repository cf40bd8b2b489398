"""`consent-gateway label`: records from a file, labelled, to stdout; a table, a comparison and the progress to stderr.

Rules of this file (docs/labels.md)
1. NDJSON is labelled line by line and nothing of a line is kept: memory does not grow with the file.
2. A line that cannot be read is told by number and left out; the run goes on and its end says so.
3. Of a record nothing is told on stderr but its type and id, and that only where a comparison was asked for.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TransferSpeedColumn
from rich.table import Table

from gateway.errors import QuestionError
from gateway.facts.label_comparing import Comparison, Tally, by_hand
from gateway.facts.label_writing import labelled_text
from gateway.facts.labelling import Labeller
from gateway.fhir.bundle import Document, read_document
from gateway.fhir.strict import MalformedJson
from gateway.fhir.view import ResourceView, every_view

LINES: Final = frozenset({".ndjson", ".jsonl"})
_MIB: Final = 1 << 20


class Run:
    """One run over one file."""

    def __init__(self, labeller: Labeller, comparison: Comparison | None, err: Console) -> None:
        self.labeller, self.comparison, self.err = labeller, comparison, err
        self.tally = Tally()
        self.unread = 0

    def lines(self, source: BinaryIO, out: BinaryIO, advance: Callable[[int], object]) -> None:
        """Label NDJSON: one resource or Bundle a line."""
        for number, line in enumerate(source, 1):
            advance(len(line))
            if not line.strip():
                continue
            try:
                out.write(self.label(line.strip()) + b"\n")
            except (MalformedJson, ValueError) as wrong:
                self.unread += 1
                self.err.print(f"line {number}: {wrong}", style="red", highlight=False, markup=False)
        out.flush()

    def label(self, raw: bytes) -> bytes:
        """Label one resource or Bundle. Raises MalformedJson or ValueError."""
        document = read_document(raw)
        found = self.labeller.label(document)
        text = labelled_text(raw, document, found)
        for one in found:
            self.tally.add(one)
        if self.comparison is not None:
            for one in self.labeller.label(document, received=False):
                self.comparison.add(one)
        return text


def records_in(path: Path) -> Iterator[ResourceView]:
    """Give every resource in a file of JSON or NDJSON, nested ones too. Raises QuestionError."""
    try:
        with path.open("rb") as file:
            texts: Iterable[bytes] = file if path.suffix in LINES else [file.read()]
            for text in texts:
                if text.strip():
                    yield from _records(read_document(text))
    except OSError:
        raise QuestionError(f"`{path}` cannot be read") from None
    except MalformedJson as wrong:
        raise QuestionError(f"`{path}`: {wrong}") from None


def _records(document: Document) -> Iterator[ResourceView]:
    return (inner for view in document.views for inner in every_view(view))


def compared_with(path: Path | None) -> Comparison | None:
    """Give the comparison with the labels that stand in a file. Raises QuestionError."""
    return None if path is None else Comparison(by_hand(records_in(path)))


def progress(err: Console) -> Progress:
    """Give the progress bar: bytes read, shown only on a terminal."""
    columns = (TaskProgressColumn(), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


def summary(run: Run, err: Console, size: int, began: float) -> None:
    """Print how much was labelled and what was found."""
    seconds = time.perf_counter() - began
    count = sum(run.tally.types.values())
    levels = ", ".join(f"{level} {number}" for level, number in sorted(run.tally.levels.items()))
    speed = f"{count / seconds:,.0f} resources/s, {size / seconds / _MIB:.1f} MiB/s" if seconds else ""
    err.print(f"{count} resources labelled in {seconds:.1f} s ({speed}); confidentiality: {levels}", highlight=False)
    if run.tally.codes:
        table = Table("label", "resources", "found by", box=None)
        for code in sorted(run.tally.codes):
            grounds = ", ".join(f"{basis.value} {number}" for basis, number in run.tally.codes[code].most_common())
            table.add_row(code, str(run.tally.resources[code]), grounds)
        err.print(table)
    if run.comparison is not None:
        _comparison(run.comparison, err)


def _comparison(comparison: Comparison, err: Console) -> None:
    table = Table("category", "precision", "recall", "both", "missed", "only the gateway", box=None)
    for name, score in sorted(comparison.scores.items()):
        shares = (_share(score.precision), _share(score.recall))
        table.add_row(name, *shares, str(score.both), str(score.missed), str(score.extra))
    err.print(table)
    for one in sorted(comparison.disagreements):
        what = "missed" if one.missed else f"only the gateway: {one.why}"
        err.print(f"{one.category}: {one.record}: {what}", highlight=False, markup=False, soft_wrap=True)
    if comparison.not_found or comparison.not_by_hand:
        told = (
            f"{comparison.not_by_hand} records without labels by hand, {comparison.not_found} by hand not in the file"
        )
        err.print(told, highlight=False)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
