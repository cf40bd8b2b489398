"""What the attacks are pointed at: base URLs, and hooks for set-up, start-up and logs. Ours, unless another is named.

ATTACK_TARGET=package.module:function names what starts another: an async context manager that is given a `Setup` and
gives a `Target`. The tests ask it over HTTP alone; the few that look inside the process are skipped there.

    ATTACK_TARGET=tests.attack.target:process pytest tests/attack      # ours, as a process of its own
"""

import asyncio
import importlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp

from tests.faults.ports import free_port

NAMED = "ATTACK_TARGET"
STARTS_S = 120.0


class Setup(NamedTuple):
    """What a target is set up with. `folder` holds `directory.yaml`, `jwks.json` (whose tokens it trusts), `password`
    (what the FHIR server wants); `settings` gives the text of gateway.yaml for the URLs of its two planes: a target of
    another make reads from it whose data lie where, under which rules."""

    folder: Path
    settings: Callable[[str, str], str]


class Target(NamedTuple):
    """A gateway that is up: where its data plane is, where Consents are filed and metrics read, what it has logged."""

    data: str
    control: str
    log: Callable[[], bytes] = bytes


Start = Callable[[Setup], AbstractAsyncContextManager[Target]]


def named() -> Start | None:
    """What starts the target that the environment names; None: ours, in this process."""
    module, _, function = os.environ.get(NAMED, "").partition(":")
    start: Start | None = getattr(importlib.import_module(module), function) if module else None
    return start


@asynccontextmanager
async def process(setup: Setup) -> AsyncIterator[Target]:
    """Start `consent-gateway serve` and wait until it lives; what it logs is kept in a file."""
    data, control = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    config, log = setup.folder / "gateway.yaml", setup.folder / "gateway.log"
    config.write_text(setup.settings(data, control))
    command = Path(sys.executable).with_name("consent-gateway")
    with log.open("ab") as written:
        running = await asyncio.create_subprocess_exec(
            command, "serve", "--config", config, stdout=written, stderr=written
        )
    try:
        async with asyncio.timeout(STARTS_S), aiohttp.ClientSession() as session:
            while not await _lives(session, data):
                if running.returncode is not None:
                    raise RuntimeError(log.read_text()[-2000:])
                await asyncio.sleep(0.05)
        yield Target(data, control, log.read_bytes)
    finally:
        if running.returncode is None:
            running.terminate()
        await running.wait()


async def _lives(session: aiohttp.ClientSession, data: str) -> bool:
    try:
        async with session.get(f"{data}/livez") as found:
            return found.status == 200
    except aiohttp.ClientError:
        return False
