"""Synthea's patients before HAPI: every verdict and every released byte is compared with what `decide` says.

Nobody wrote down what should come of these records. `decide` gets HAPI's own answers and the same participants and
consents, and never anything the gateway sent; the comparison is the demonstration's (`gateway/demo/second_opinion.py`).
"""

import asyncio
import io
import json
from typing import NamedTuple

import pytest
from rich.console import Console

from gateway.bootstrap import read_shelf
from gateway.demo.asking import session
from gateway.demo.cast import ROUTES, cast
from gateway.demo.folder import load_folder
from gateway.demo.own_patients import check_patients
from gateway.demo.stage import Stage
from gateway.facts.answer import answer
from tests.e2e.hapi.gateway import gateway
from tests.e2e.hapi.server import Hapi

# The smaller ones of the folder, with what they refer to: overdoses, HIV tests, contraception, and nothing of note.
PATIENTS = ("Barrett_Goldner", "Bethany_Hauck", "Chet_Thompson", "Clemente_Kreiger", "Joie_Morissette", "Ned_Hintz")
SHARED = ("hospitalInformation", "practitionerInformation")


class _Stored(NamedTuple):
    raw: bytes


class _Records:
    """HAPI as what the second opinion reads records from."""

    def __init__(self, server: Hapi) -> None:
        self._server, self._read = server, dict[tuple[str, str], bytes | None]()

    def read(self, type_: str, id_: str) -> _Stored | None:
        name = (type_, id_)
        if name not in self._read:
            self._read[name] = self._server.text(*name)
        text = self._read[name]
        return None if text is None else _Stored(text)


class _Behind(NamedTuple):
    store: _Records


@pytest.fixture(scope="module")
def synthea(server, shared, measured, tmp_path_factory):
    """The chosen patients in HAPI, and their resources."""
    folder = tmp_path_factory.mktemp("synthea")
    for file in sorted((shared / "data" / "synthea-r4").iterdir()):
        if file.name.startswith((*PATIENTS, *SHARED)):
            (folder / file.name).symlink_to(file)
    resources = load_folder(folder)
    took = server.load(resources)
    measured.append(
        f"Synthea: {took.resources} resources loaded in {took.seconds:.1f} s, then {server.memory >> 20} MiB"
    )
    return server, resources


def test_every_cell_is_what_decide_says(synthea, tmp_path):
    """Ten askers, four patients, every type, four routes under three profiles: no difference, and not all the same."""
    server, resources = synthea
    parts = cast(resources)
    shelf = read_shelf()
    with gateway(tmp_path, server, parts.directory, ROUTES) as one:
        on = Stage(
            data=one.data,
            control=one.control,
            upstream=_Behind(_Records(server)),
            upstream_url=server.base,
            behind=server.authorization,
            folder=one.folder,
            key=one.key,
            routes=one.routes,
        )
        shown = io.StringIO()

        async def check() -> int:
            async with session() as opened:
                out = Console(file=shown, width=180)
                return await check_patients(on, opened, parts, lambda text: answer(text, shelf), out)

        wrong = asyncio.run(check())
        counted = _counted(one.folder / "log")
    if wrong:
        pytest.fail("\n".join(line for line in shown.getvalue().splitlines() if line.startswith("✗"))[:5000])
    assert "no difference" in shown.getvalue()
    assert {200, 403} == counted


def _counted(log) -> set[int]:
    """The statuses the gateway gave: answers, and refusals for their purpose."""
    told = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return {one["status"] for one in told if one.get("say") == "request" and "/story/" not in one["template"]} - {0}
