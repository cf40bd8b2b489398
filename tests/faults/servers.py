"""The two servers of a run of faults: one behind the gateway that fails on order, and the gateway as a process.

`Upstream` keeps what it took before it says so, as a server does whose answer is lost; `Gateway` is started by
`consent-gateway serve`, killed without warning, and started again on the same files.
"""

import asyncio
import json
import random
import sys
from pathlib import Path

import aiohttp

from tests.attack.records import observation
from tests.attack.scene import LIMITS, PLAN_ROUTE, Server
from tests.attack.worlds import person
from tests.e2e.world import USER, settings_text, write_files
from tests.faults.ports import free_port
from tests.fuzz.requests import HELD, LIES
from tests.stub_upstream import Raw, Seen, StubUpstream

STARTS_S = 600.0
"""How long a start may take, and an answer after it: on a machine whose cores are all taken, minutes."""

WAYS = ("well", "killed", "stalled", "slowed", "garbage")
REFUSERS = 200
"""Patients f0, f1 … who may refuse in the course of a run."""


class Upstream:
    """The FHIR server behind the gateway. `way` is how it behaves; `received`, `stored`: ids of what was pushed."""

    def __init__(self, seed: int) -> None:
        self.port, self.way = free_port(), "well"
        self.received: set[str] = set()
        self.stored: set[str] = set()
        self._truth, self._stub = Server(), StubUpstream(self._script)
        self._truth.hold(*HELD)
        for number in range(REFUSERS):
            name = f"f{number}"
            note = [{"text": f"told by {name} alone"}]
            self._truth.hold(person(name), observation(f"{name}-o", f"Patient/{name}", note=note))
        self._rand = random.Random(seed)  # noqa: S311  a seed, so that a run can be had again
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @property
    def base(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}/fhir"

    async def become(self, way: str) -> None:
        """Behave in this way from now on."""
        self.way = way
        if way == "killed" and self._server is not None:
            self._server.close()
            self._server = None
            for writer in self._open:
                writer.transport.abort()
        if way != "killed" and self._server is None:
            self._server = await asyncio.start_server(self._talk, "127.0.0.1", self.port)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._stub._talk(reader, writer)
        except asyncio.CancelledError:
            pass  # the run is over
        finally:
            self._open.discard(writer)

    def _script(self, seen: Seen) -> Raw:
        if "authorization" not in seen.headers:
            return self._truth(seen)
        ids = self._ids(seen)
        self.received |= ids
        if self.way == "garbage":
            return LIES[self._rand.choice(tuple(LIES))](seen)
        self.stored |= ids
        said = self._truth(seen)
        if self.way == "well" or not isinstance(said, bytes):
            return said
        return [30.0, b""] if self.way == "stalled" else [0.2, said[: len(said) // 2], 0.2, said[len(said) // 2 :]]

    @staticmethod
    def _ids(seen: Seen) -> set[str]:
        if seen.method != "POST":
            return set()
        return {one["resource"]["id"] for one in json.loads(seen.body)["entry"]}


class Gateway:
    """The gateway as a process on the files of `folder`. `log` holds what it printed, of all its lives."""

    def __init__(self, folder: Path, upstream: str) -> None:
        self.data, self.control = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        self.key = write_files(folder)
        credentials = f"{{kind: basic, username: {USER}, password: {{file: password}}}}"
        text = settings_text(
            folder, self.data, self.control, upstream, profile="us-part2", more=PLAN_ROUTE.format(base=upstream),
            limits=LIMITS, credentials=credentials,
        )  # fmt: skip
        self._config, self.log = folder / "gateway.yaml", folder / "gateway.log"
        self._config.write_text(text)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process and wait until it answers at all. Raises RuntimeError where it ends, TimeoutError."""
        with self.log.open("ab") as log:
            command = Path(sys.executable).with_name("consent-gateway")
            self._process = await asyncio.create_subprocess_exec(
                command, "serve", "--config", self._config, stdout=log, stderr=log
            )
        async with asyncio.timeout(STARTS_S), aiohttp.ClientSession() as session:
            while not await self._lives(session):
                if self._process.returncode is not None:
                    raise RuntimeError(self.log.read_text()[-2000:])
                await asyncio.sleep(0.02)

    async def _lives(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self.data}/livez") as found:
                return found.status == 200
        except aiohttp.ClientError:
            return False

    async def stop(self, *, kill: bool = False) -> None:
        """End the process: by SIGTERM, or by SIGKILL; wait until it is gone."""
        if self._process is not None:
            self._process.kill() if kill else self._process.terminate()
            await self._process.wait()
            self._process = None
