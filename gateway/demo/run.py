"""`consent-gateway demo`: the story told by real requests, or the same table on anybody's patients.

Rules of this file
1. Nothing is shown that was not asked over HTTP in this run; every line is checked, and a difference is said and
   makes the exit status 1.
2. The gateway and `decide` are handed in: this room knows neither planes nor bootstrap.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
from rich.console import Console

from gateway.demo.asking import session
from gateway.demo.cast import ROUTES as CAST_ROUTES
from gateway.demo.cast import cast
from gateway.demo.folder import load_folder
from gateway.demo.lines import Line
from gateway.demo.own_patients import check_patients
from gateway.demo.second_opinion import Decide
from gateway.demo.signing import Unsigned
from gateway.demo.stage import Build, RouteOf, Stage, stage
from gateway.demo.story import DIRECTORY, story_resources
from gateway.demo.telling import ROUTES, story_lines, tell_story
from gateway.demo.trying import lines_to_try

_WIDTH: Final = 132
_INTERRUPTED: Final = 130  # as shells count an interrupted command

Show = Callable[[Stage, aiohttp.ClientSession], Awaitable[int]]
"""Asks and shows everything on a stage; gives how many differences there were."""


class _Play(msgspec.Struct, frozen=True):
    """What is put on the stage: records, the directory's text, routes, the lines, and how they are shown."""

    resources: Sequence[bytes]
    directory: str
    routes: tuple[RouteOf, ...]
    lines: tuple[Line, ...]
    show: Show


def run(*, once: bool, data: Path | None, out: Console, build: Build, decide: Decide) -> int:
    """Run the demonstration: the story, or with `data` the same table on the patients of a folder.

    `build` sets a gateway up from its settings, `decide` answers a question's text. Gives the exit status: 0, or 1
    where a line is not as it should be, 2 where `data` cannot be used. The story stays up until it is interrupted
    unless `once`; the table on a folder is a check, and ends by itself.
    Raises ProfileError for what the gateway refuses to start with.
    """
    if not out.is_terminal:
        out.width = _WIDTH
    try:
        play = _story(out) if data is None else _patients(load_folder(data), decide, out)
    except (OSError, ValueError) as wrong:
        out.print(f"{data}: {wrong}", style="red", markup=False, highlight=False)
        return 2
    return asyncio.run(_perform(play, build, out, once=once or data is not None))


def _story(out: Console) -> _Play:
    return _Play(
        story_resources(),
        DIRECTORY.read_text(encoding="utf-8"),
        ROUTES,
        story_lines().lines,
        lambda on, opened: tell_story(on, opened, out),
    )


def _patients(resources: Sequence[bytes], decide: Decide, out: Console) -> _Play:
    parts = cast(resources)
    return _Play(
        resources,
        parts.directory,
        CAST_ROUTES,
        parts.lines,
        lambda on, opened: check_patients(on, opened, parts, decide, out),
    )


async def _perform(play: _Play, build: Build, out: Console, *, once: bool) -> int:
    """Show a play, and stay up unless `once`. An interrupt takes everything down in order."""
    this, loop = asyncio.current_task(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, this.cancel if this else loop.stop)
    status = _INTERRUPTED
    try:
        async with stage(build, play.resources, play.directory, play.routes, lasting=not once) as on:
            try:
                async with session() as opened:
                    status = 1 if await play.show(on, opened) else 0
                if not once:
                    _invite(on, play.lines, out)
                    await asyncio.Event().wait()
            except Unsigned as wrong:
                status = 1
                out.print(str(wrong), style="red", markup=False, highlight=False)
            except asyncio.CancelledError:
                out.print("Taking everything down.")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return status


def _invite(on: Stage, lines: Sequence[Line], out: Console) -> None:
    out.rule("[bold]It stays up until Ctrl-C. To paste into another terminal:", align="left")
    for line in lines_to_try(on, tuple(lines)):
        out.print(line, soft_wrap=True, markup=False, highlight=False)
