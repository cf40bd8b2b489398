"""The table: one row a line, with what its client got and what only the privacy officer is told.

Rules of this file
1. "Came through" is counted from the client's own bytes; the other columns are the officer's view.
2. Records are named as the story names them, by type and id; long lists are counted.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich import box
from rich.markup import escape
from rich.table import Table

from gateway.demo.asking import Reason, Seen, Told
from gateway.demo.lines import Line

_EFFECTS: Final = (("permit", "[green]permits[/]"), ("deny", "[yellow]denies[/]"))
# Duties of every disclosure, and labels: the records carry those themselves.
_ROUTINE: Final = frozenset({"audit_disclosure", "minimum_necessary_profile", "label_42CFRPart2", "label_NORDSCLCD"})
_LISTED: Final = 4  # records of one type that are named; more are counted
_LONG: Final = 30  # as are those whose ids say nothing to a reader


class Shown:
    """What the table needs to know beside what was seen: names of patients, consents and routes' owners."""

    def __init__(
        self,
        *,
        patients: Mapping[str, str],
        owners: Mapping[str, str],
        profiles: Mapping[str, str],
        consents: Mapping[str, str],
    ) -> None:
        self.patients, self.owners, self.profiles, self.consents = patients, owners, profiles, consents


def table(rows: Iterable[tuple[Line, Seen, Sequence[str]]], shown: Shown) -> Table:
    """Give the table of some lines, each with what was seen and the differences found."""
    drawn = Table(box=box.SQUARE, show_lines=True, expand=True, pad_edge=False)
    for heading, ratio in (("who asks", 24), ("came through", 24), ("withheld", 28), ("masked", 24), ("why", 32)):
        drawn.add_column(heading, ratio=ratio, overflow="fold")
    for line, seen, wrong in rows:
        cells = (
            _asked(line, shown),
            _through(seen),
            _withheld(line, seen),
            _masked(line, seen),
            _why(seen, shown.consents),
        )
        drawn.add_row(*cells, style="bold red" if wrong else None)
    return drawn


def meanings(rows: Iterable[Seen]) -> list[str]:
    """Give, once each, what the rules that spoke say, for a legend under the table."""
    said = {reason.rule: reason for seen in rows for told in seen.told for reason in told.reasons if reason.say}
    return [f"{rule}: {reason.say}" for rule, reason in sorted(said.items())]


def _asked(line: Line, shown: Shown) -> str:
    purpose = f"for {line.purpose}" if line.purpose else "for no purpose"
    about = ", ".join(shown.patients.get(patient, patient) for patient in line.patients)
    lines = [
        f"[bold]{escape(line.who)}[/bold]",
        purpose,
        f"about {escape(about)}",
        f"from {escape(shown.owners[line.route])}",
        f"under {shown.profiles[line.route]}",
    ]
    return "\n".join(lines)


def _through(seen: Seen) -> str:
    if seen.status != 200:
        return f"nothing: {seen.status}"
    held = Counter(told.resource.partition("/")[0] for told in seen.told)
    got = Counter(name.partition("/")[0] for name in seen.resources)
    if not got:
        return f"nothing of {held.total()}"
    if got == held and not seen.verdicts("masked"):
        return f"all {held.total()}"
    counts = ", ".join(f"{type_} {got[type_]}/{number}" for type_, number in held.items() if got[type_])
    parts = len(seen.verdicts("masked"))
    return f"{got.total()} of {held.total()}{f', {parts} in part' if parts else ''}: {counts}"


def _withheld(line: Line, seen: Seen) -> str:
    return _named(line, [told.resource for told in seen.told if told.verdict == "withheld"])


def _masked(line: Line, seen: Seen) -> str:
    masked = [told for told in seen.told if told.verdict == "masked"]
    if len(masked) > _LISTED:
        return _named(line, [told.resource for told in masked])
    return "; ".join(f"{_short(told.resource, line)} without {', '.join(_elements(told))}" for told in masked)


def _elements(told: Told) -> list[str]:
    """Write the lost elements as FHIRPath does: `item/2` is item[2]."""
    return [
        escape("".join(f"[{p}]" if p.isdigit() else f".{p}" for p in lost.split("/"))[1:]) for lost in sorted(told.lost)
    ]


def _named(line: Line, names: Iterable[str]) -> str:
    by_type: dict[str, list[str]] = {}
    for name in names:
        by_type.setdefault(name.partition("/")[0], []).append(_short(name, line).partition(" ")[2])
    return "; ".join(
        f"{type_} {', '.join(ids) if len(ids) <= _LISTED and max(map(len, ids)) < _LONG else len(ids)}"
        for type_, ids in by_type.items()
    )


def _short(name: str, line: Line) -> str:
    type_, _, id_ = name.partition("/")
    for patient in line.patients:
        id_ = id_.removeprefix(f"{patient}-")
    return f"{type_} {id_}"


def _why(seen: Seen, consents: Mapping[str, str]) -> str:
    if seen.status != 200:
        return escape(seen.refusal)
    reasons = {reason for told in seen.told for reason in told.reasons}
    rows = [
        f"{word} {_reason(reason, consents)}"
        for effect, word in _EFFECTS
        for reason in sorted(reasons, key=lambda one: (one.rule, one.consent))
        if reason.effect == effect
    ]
    duties = dict.fromkeys(word for told in seen.told for word in told.obligations if word not in _ROUTINE)
    return "\n".join([*rows, *(["obliges " + "\n  ".join(duties)] if duties else [])])


def _reason(reason: Reason, consents: Mapping[str, str]) -> str:
    relied = f"consent {consents.get(reason.consent, reason.consent)}" if reason.consent else ""
    return escape("\n  ".join(ground for ground in (reason.rule, reason.cite, relied) if ground))
