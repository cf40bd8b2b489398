"""The data plane under requests of any form before a server that lies: what must hold of every answer.

No 500, no hang, no word of what is withheld in an answer, log, metric or the ledger, and a record that is withheld is
answered as one that never was.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from gateway.bootstrap import serving
from gateway.settings_reading import parse_settings
from tests.attack.records import refusal
from tests.attack.scene import MARK, TOKEN, Scene, spellings, staged
from tests.attack.worlds import BY_CONSENT
from tests.e2e.world import CBO, CLINIC, HOSPITAL, PLAN, settings_text
from tests.fuzz.mutating import shrinking
from tests.fuzz.requests import HELD, LIES, SECRET, Case
from tests.stub_upstream import Raw, Seen, answer

LIMITS = "{body_bytes: 65536, upstream_answer_s: 0.4, client_idle_s: 0.2}"
HANGS_S = 30.0
_SECRETS = spellings(SECRET.encode())
_NEVER = b"quoxka"
"""What `MARK` is replaced by, of the same length: of this name there never was a record."""


class Told(NamedTuple):
    """An answer as it came: nothing of it where the connection was closed without one."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    raw: bytes


class Door:
    """A gateway before a lying server, and what is asked of it. `asked` counts requests by status."""

    def __init__(self, scene: Scene, port: int) -> None:
        self.scene, self._port = scene, port
        self.asked: dict[int, int] = {}
        self._tokens = {name: scene.gate.token(name).encode() for name in (PLAN, HOSPITAL, CLINIC, CBO)}
        self._lie = ""
        self._truth = scene.stub.script
        scene.stub.script = self._script

    def _script(self, seen: Seen) -> Raw:
        if self._lie and "authorization" in seen.headers:
            return LIES[self._lie](seen)
        if seen.method == "POST" and seen.target.endswith("/Observation"):
            return answer(b"", 201, Location="Observation/made/_history/1")
        return self._truth(seen)

    async def wrong(self, case: Case) -> str:
        """Ask, and give what is wrong with the answer or with what was told meanwhile, "" where nothing is."""
        self.scene.trap.forget()
        self._lie = case.lie
        told = await self._ask(case.request)
        if told is None:
            return "the gateway hangs"
        self.asked[told.status] = self.asked.get(told.status, 0) + 1
        owner = b"{%s}" % HOSPITAL.encode() in case.request  # the hospital may read what it holds itself
        return self._fault(told, owner=owner) or ("" if owner else await self._twin(case, told))

    def _fault(self, told: Told, *, owner: bool) -> str:
        if told.status == 500:
            return "500"
        heard = "\n".join(self.scene.trap.heard).encode()
        for where, text in (
            ("an answer", b"" if owner else told.raw),
            ("a log", heard),
            ("the ledger", self.scene.recorded()),
        ):
            if any(spelling in text for spelling in _SECRETS):
                return f"{where} tells of what is withheld"
            if b"Traceback" in text:
                return f"{where} holds a stack trace"
        if TOKEN.search(heard) or b"unforeseen" in heard or b"never retrieved" in heard:
            return "a log tells what it must not"
        return ""

    async def _twin(self, case: Case, told: Told) -> str:
        if case.lie or MARK.encode() not in case.request or not case.request.startswith((b"GET ", b"HEAD ")):
            return ""
        other = await self._ask(case.request.replace(MARK.encode(), _NEVER))
        if other is None or _constant(other) != _constant(told):
            return "what is withheld is answered otherwise than what never was"
        return ""

    async def _ask(self, request: bytes) -> Told | None:
        for name, token in self._tokens.items():
            request = request.replace(b"{%s}" % name.encode(), token)
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            async with asyncio.timeout(HANGS_S):
                with contextlib.suppress(ConnectionError):
                    writer.write(request)
                    return await _answer(reader, head=request.startswith(b"HEAD "))
                return Told(0, {}, b"", b"")
        except TimeoutError:
            return None
        finally:
            writer.close()

    async def small(self, case: Case, wrong: str) -> Case:
        """Give a smaller request that shows the same."""
        steps = shrinking(case.request, 150)
        try:
            smaller = next(steps)
            while True:
                smaller = steps.send(await self.wrong(Case(smaller, case.lie)) == wrong)
        except StopIteration as done:
            return Case(done.value, case.lie)


async def _answer(reader: asyncio.StreamReader, *, head: bool) -> Told:
    """Read one answer, those that only say "continue" left out, and no further than its length says."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
        while raw.startswith(b"HTTP/1.1 100"):
            raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as closed:
        return Told(0, {}, b"", closed.partial)
    first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = int(first.split(" ")[1])
    body = b""
    if not head and status not in {204, 304}:
        length = headers.get("content-length")
        try:
            body = await (reader.read(-1) if length is None else reader.readexactly(int(length)))
        except asyncio.IncompleteReadError as closed:
            body = closed.partial
    return Told(status, headers, body, raw + body)


def _constant(told: Told) -> tuple[int, dict[str, str], bytes]:
    kept = {name: value for name, value in told.headers.items() if name not in {"date", "x-request-id"}}
    body = re.sub(rb'"id":"[0-9a-f-]{36}"', b'"id":"?"', told.body)
    body = re.sub(rb"(?<=[?&]_cursor=)[\w-]+", lambda cursor: b"?" * len(cursor[0]), body)  # sealed by chance
    return told.status, kept, body.replace(_NEVER, MARK.encode())


@asynccontextmanager
async def door(folder: Path) -> AsyncIterator[Door]:
    """Put a gateway up before the lying server while the block lasts."""
    async with staged(folder, limits=LIMITS, more=BY_CONSENT) as scene:
        await scene.sign(refusal())
        scene.server.hold(*HELD)
        async with _served(scene) as port:
            yield Door(scene, port)


@asynccontextmanager
async def _served(scene: Scene) -> AsyncIterator[int]:
    """Put the gateway behind the server that `serve` puts before it, with its bounds on a client; gives the port."""
    gate, none = scene.gate, "{kind: none}"
    text = settings_text(
        scene.folder, gate.data, gate.control, scene.stub.base, profile="base", more="", limits=LIMITS, credentials=none
    )
    server = serving.server_of(gate.plane, parse_settings(text, "gateway.yaml"))
    with serving.listen("127.0.0.1", 0) as listener:
        running = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110  uvicorn tells it by a flag
            await asyncio.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = True
        await running


def written(case: Case) -> str:
    """Give a case as the text of a file that keeps it."""
    return json.dumps({"lie": case.lie, "request": case.request.decode("latin-1")}, indent=1) + "\n"


def kept(text: str) -> Case:
    """Give the case that a file keeps."""
    tree = json.loads(text)
    return Case(tree["request"].encode("latin-1"), tree["lie"])
