"""`consent-gateway label`: records from a file, labelled, to stdout; a table, a comparison and the progress to stderr.

Rules of this file (docs/labels.md)
1. NDJSON is labelled line by line and nothing of a line is kept: memory does not grow with the file. Several processes
   take pieces of it in turn; no more pieces are under way than twice as many, and they are written in their order.
2. A line that cannot be read is told by number and left out; the run goes on and its end says so.
3. Of a record nothing is told on stderr but its type and id, and that only where a comparison was asked for.
"""

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
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
_PIECE: Final = _MIB  # bytes of NDJSON that a process takes at once


class Run:
    """One run over one file."""

    def __init__(self, labeller: Labeller, comparison: Comparison | None, err: Console) -> None:
        self.labeller, self.comparison, self.err = labeller, comparison, err
        self.tally = Tally()
        self.unread = 0

    def lines(self, source: BinaryIO, out: BinaryIO, advance: Callable[[int], object], processes: int = 1) -> None:
        """Label NDJSON: one resource or Bundle a line. A comparison is counted in one process."""
        before = 0
        for size, piece in _labelled(self, source, processes if self.comparison is None else 1):
            out.write(piece.text)
            self.tally.merge(piece.tally)
            for number, wrong in piece.unread:
                self.unread += 1
                self.err.print(f"line {before + number}: {wrong}", style="red", highlight=False, markup=False)
            before += piece.lines
            advance(size)
        out.flush()

    def piece(self, lines: list[bytes]) -> "Piece":
        """Label some lines of NDJSON."""
        alone, made = Run(self.labeller, self.comparison, self.err), Piece(lines=len(lines))
        texts = []
        for number, line in enumerate(map(bytes.strip, lines), 1):
            try:
                texts += [alone.label(line), b"\n"] if line else []
            except (MalformedJson, ValueError) as wrong:
                made.unread.append((number, str(wrong)))
        made.text, made.tally = b"".join(texts), alone.tally
        return made

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


class Piece:
    """Some lines of NDJSON, labelled: their text, what was counted, and which could not be read (their number, why)."""

    def __init__(self, lines: int) -> None:
        self.lines, self.text, self.tally = lines, b"", Tally()
        self.unread: list[tuple[int, str]] = []


def _labelled(run: Run, source: BinaryIO, processes: int) -> Iterator[tuple[int, Piece]]:
    """Give the pieces of a file in their order, each with how many bytes of the file it was."""
    pieces = iter(lambda: source.readlines(_PIECE), [])
    if processes < 2:
        yield from ((sum(map(len, lines)), run.piece(lines)) for lines in pieces)
        return
    # Forked, so that lists and directory are shared and not sent.
    context = multiprocessing.get_context("fork")
    waiting: deque[tuple[int, Future[Piece]]] = deque()
    with ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(run,)) as pool:
        for lines in pieces:
            waiting.append((sum(map(len, lines)), pool.submit(_piece, lines)))
            if len(waiting) > 2 * processes:
                size, oldest = waiting.popleft()
                yield size, oldest.result()
        yield from ((size, one.result()) for size, one in waiting)


_run: Run | None = None


def _begin(run: Run) -> None:
    global _run  # noqa: PLW0603  what a forked process works by
    _run = run


def _piece(lines: list[bytes]) -> Piece:
    if _run is None:
        raise RuntimeError("a process that was not begun")
    return _run.piece(lines)


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
