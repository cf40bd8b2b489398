"""The table on anybody's patients: parts made up, lines asked over HTTP, each cell checked against `decide`.

Rules of this file
1. Nobody wrote down what should come of these records: `decide`, asked by itself, is what the gateway is held to.
2. What is made up (parts, consents) is said before the table.
"""

import time

import aiohttp
import msgspec
from rich.console import Console

from gateway import clock
from gateway.demo.asking import Asker, Seen
from gateway.demo.cast import Cast
from gateway.demo.lines import Line
from gateway.demo.second_opinion import Decide, Examiner, differences
from gateway.demo.signing import Pen
from gateway.demo.stage import Stage
from gateway.demo.table import Shown, meanings, table
from gateway.directory.reading import parse_directory


async def check_patients(on: Stage, session: aiohttp.ClientSession, parts: Cast, decide: Decide, out: Console) -> int:
    """Show the table on a cast's patients. Gives how many differences from `decide` there were."""
    began = time.monotonic()
    pen = Pen(session, on.control)
    signed = [await pen.sign(one.text, on.officer) for one in parts.consents]
    _introduce(parts, out)
    asker = Asker(session, data=on.data, control=on.control, token=on.token, officer=on.officer)
    examiner = _examiner(on, session, parts, decide)
    rows: list[tuple[Line, Seen, list[str]]] = []
    with out.status("") as status:
        for line in parts.lines:
            status.update(f"{line.who} asks for {line.purpose or 'no purpose'}")
            seen = await asker.ask(line)
            said = await examiner.verdicts(line, on.routes[line.route], [one.text for one in signed], clock.now())
            rows.append((line, seen, differences(seen, said)))
    names = {one.reference: made_up.name for one, made_up in zip(signed, parts.consents, strict=True)}
    out.print(table(rows, _names(on, parts, names)))
    for meaning in meanings(seen for _, seen, _ in rows):
        out.print(f"  {meaning}", style="dim", highlight=False, markup=False)
    wrong = [f"{line.id}: {difference}" for line, _, found in rows for difference in found]
    for one in wrong:
        out.print(f"✗ {one}", style="red", highlight=False, markup=False)
    records = sum(len(seen.told) for _, seen, _ in rows)
    took = f"{len(rows)} lines, {records} verdicts compared with decide in {time.monotonic() - began:.1f} s"
    if wrong:
        out.print(f"{took}: {len(wrong)} differences.", style="bold red")
    else:
        out.print(f"{took}: no difference.", style="bold green")
    return len(wrong)


def _examiner(on: Stage, session: aiohttp.ClientSession, parts: Cast, decide: Decide) -> Examiner:
    types = {one["type"] for one in msgspec.json.decode(parts.directory)["participants"]}
    return Examiner(
        session,
        decide,
        upstream=on.upstream_url,
        behind=on.behind,
        store=on.upstream.store,
        directory=parse_directory(parts.directory, "directory.yaml", types),
    )


def _introduce(parts: Cast, out: Console) -> None:
    def named(reference: str) -> str:
        return parts.names.get(reference, reference or "nobody")

    out.print(
        f"{named(parts.hospital)} discloses. {named(parts.program)} is taken to be a Part 2 program.", highlight=False
    )
    if parts.registered:
        known = ", ".join(named(one) for one in parts.registered)
        out.print(
            f"The directory knows these too: {known}. Of every other organisation nothing is known.", highlight=False
        )
    for number, patient in enumerate(parts.patients, 1):
        told = [one.does for one in parts.consents if f'"Patient/{patient}"'.encode() in one.text]
        out.print(f"Patient {number} ({patient}) {' and '.join(told) or 'has signed nothing'}.", highlight=False)


def _names(on: Stage, parts: Cast, consents: dict[str, str]) -> Shown:
    owners = {"hospital": parts.names.get(parts.hospital, "the hospital"), "plan": "the health plan"}
    return Shown(
        patients={patient: f"patient {number}" for number, patient in enumerate(parts.patients, 1)},
        owners={route.name: owners[route.owner] for route in on.routes.values()},
        profiles={route.name: route.profile for route in on.routes.values()},
        consents=consents,
    )
