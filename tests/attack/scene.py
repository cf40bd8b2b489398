"""What the attacks are played on: a gateway before a FHIR server that lies on request, and a trap for what slips out.

`MARK` stands in every id, name, value, token and query that is nobody's business. It is never to be released, and never
to be told in an error, a log, a metric or the unrestricted part of the ledger: the trap looks there after each test.
"""

import base64
import json
import logging
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from gateway.demo.story import story_resources
from gateway.proxy.telemetry import JsonLines
from tests.attack import target
from tests.e2e.world import (
    HOSPITAL,
    PLAN,
    USER,
    Answer,
    World,
    client_session,
    settings_text,
    world,
    write_files,
)
from tests.stub_upstream import Raw, Seen, StubUpstream, answer, stub_upstream

MARK = "quokka"
LIMITS = "{body_bytes: 1048576, upstream_answer_s: 1.0, client_idle_s: 1.0}"
TOLD = "the server behind the gateway did not give a usable answer"
"""All that is said of an upstream's faults, whatever they are."""
PERHAPS = f"{TOLD}; it may have stored this: look before you send it again"
"""The same of a fault after something was forwarded."""

Reply = Raw | Callable[[Seen], Raw]


def spellings(word: bytes) -> tuple[bytes, ...]:
    """A word in plain letters (so also in JSON and percent-encoding) and in base64, at each of its three places."""
    found = [word]
    for before in range(3):
        text = base64.b64encode(b"\0" * before + word + b"\0" * (-(before + len(word)) % 3))
        found.append(text[-(-8 * before // 6) : 8 * (before + len(word)) // 6])
    return tuple(found)


MARKS = spellings(MARK.encode())
TOKEN = re.compile(rb"eyJ[A-Za-z0-9_-]{8,}\.|eyJ(?:hbGciOi|0eXAiOi|raWQiOi)")
"""The head of a JSON web token, with its dot or its first key. Three letters alone stand in random ids too."""


class Server:
    """The FHIR server behind the gateway: the story's records and what a test adds, and lies by place."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.lies: dict[str, Reply] = {}
        self.reset()

    def reset(self) -> None:
        """Hold the story's records alone, and tell the truth."""
        self.held = {}
        self.lies = {}
        self.taken: Reply = lambda seen: _stored(self._place(seen), json.loads(seen.body))
        self.hold(*story_resources())

    def hold(self, *resources: bytes | dict[str, Any]) -> None:
        """Hold more records."""
        for one in resources:
            text = one if isinstance(one, bytes) else json.dumps(one).encode()
            tree = json.loads(text)
            self.held[f"{tree['resourceType']}/{tree['id']}"] = text

    def lie(self, place: str, reply: Reply) -> None:
        """Answer what begins with `place` (`Condition/x`, `Patient?_id`) by these bytes, or hang up by None."""
        self.lies[place] = reply

    def take(self, reply: Reply) -> None:
        """Answer whatever is pushed by these bytes."""
        self.taken = reply

    def _place(self, seen: Seen) -> str:
        return seen.target.removeprefix("/fhir").removeprefix("/")

    def __call__(self, seen: Seen) -> Raw:
        if "authorization" not in seen.headers:
            return answer({"resourceType": "OperationOutcome"}, 401)
        place = self._place(seen)
        if seen.method == "POST":
            return self.taken(seen) if callable(self.taken) else self.taken
        for start, reply in self.lies.items():
            if place.startswith(start):
                return reply(seen) if callable(reply) else reply
        if place in self.held:
            return answer(self.held[place])
        path = urlsplit(place)
        if "/" in path.path:
            return answer({"resourceType": "OperationOutcome"}, 404)
        return searchset(*self._found(path.path, parse_qs(path.query)))

    def _found(self, kind: str, asked: dict[str, list[str]]) -> Iterator[bytes]:
        """The records of a type with these ids, or about the patient asked for."""
        ids = {id_ for value in asked.get("_id", ()) for id_ in value.split(",")}
        patient = asked.get("patient", [""])[0].removeprefix("Patient/")
        for name, text in self.held.items():
            about = bool(patient) and f'Patient/{patient}"'.encode() in text
            if name.startswith(f"{kind}/") and (about or name.partition("/")[2] in ids):
                yield text


def searchset(*resources: bytes | dict[str, Any], **more: Any) -> bytes:
    """The answer to a search: each record as its exact text; `more` are other members of the Bundle."""
    texts = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in resources]
    return entries(*(b'{"search":{"mode":"match"},"resource":' + text + b"}" for text in texts), **more)


def entries(*texts: bytes, **more: Any) -> bytes:
    """The answer to a search whose entries have these exact texts."""
    head = json.dumps({"resourceType": "Bundle", "type": "searchset"} | more).encode()[:-1]
    return answer(head + b',"entry":[' + b",".join(texts) + b"]}")


def _stored(place: str, bundle: dict[str, Any]) -> bytes:
    """The answer to a push: everything was made."""
    if place == "Bundle":
        return answer(b"", 201, Location="Bundle/made/_history/1")
    made = [
        {"response": {"status": "201", "location": f"{entry['resource']['resourceType']}/made-{number}/_history/1"}}
        for number, entry in enumerate(bundle["entry"])
    ]
    return answer({"resourceType": "Bundle", "type": f"{bundle['type']}-response", "entry": made})


class Trap:
    """Hears every log of the process from DEBUG on, in full, and keeps every error that a client got."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.log: Callable[[], bytes] = bytes  # what the target logged, where that is another process
        self.skipped = 0  # of that, what was looked at
        self.errors: list[bytes] = []
        self.seen = 0  # records of the ledger that were looked at

    def forget(self) -> None:
        """Begin anew."""
        self.heard.clear()
        self.errors.clear()
        self.skipped = len(self.log())

    @contextmanager
    def listening(self) -> Iterator["Trap"]:
        """Listen to the root logger and to every logger that exists, whatever their levels."""
        root, lines = logging.getLogger(), JsonLines()

        class Ear(logging.Handler):
            def emit(ear, record: logging.LogRecord) -> None:  # noqa: N805  `self` is the trap
                told = getattr(record, "told", "")
                trouble = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
                self.heard.append(
                    f"{record.levelname} {record.name}: {record.getMessage()} {told} {trouble} {lines.format(record)}"
                )

        ear = Ear(logging.DEBUG)
        known = [root, *(logging.getLogger(name) for name in list(root.manager.loggerDict))]
        levels = [(logger, logger.level) for logger in known]
        for logger in known:
            logger.setLevel(logging.DEBUG)
        root.addHandler(ear)
        try:
            yield self
        finally:
            root.removeHandler(ear)
            for logger, level in levels:
                logger.setLevel(level)


class Scene(NamedTuple):
    """Everything a test needs. `folder` holds the gateway's files."""

    gate: World
    server: Server
    stub: StubUpstream
    trap: Trap
    folder: Path

    def begin(self, *held: bytes | dict[str, Any]) -> None:
        """Set the scene anew: a server of the story's records and these, that tells the truth at once; nothing told."""
        self.server.reset()
        self.server.hold(*held)
        self.stub.delay = 0.0
        self.stub.seen.clear()
        self.trap.forget()

    async def ask(self, path: str, client: str | None = PLAN, purpose: str | None = "HPAYMT", **more: Any) -> Answer:
        """Ask the gateway (see World.ask); what goes wrong is looked at after the test."""
        found = await self.gate.ask(path, client, purpose, **more)
        if found.status >= 400:
            self.trap.errors.append(found.body + repr(dict(found.headers)).encode())
        return found

    async def push(self, body: bytes | dict, path: str = "/t/plan/", **more: Any) -> Answer:
        """Push a body from the hospital to the plan."""
        return await self.ask(path, HOSPITAL, method="POST", body=body, **more)

    async def sign(self, consent: dict[str, Any]) -> None:
        """Have the privacy officer file a consent."""
        said = {"Authorization": f"Bearer {self.gate.token('officer', roles=['privacy_officer'])}"}
        said["Content-Type"] = "application/fhir+json"
        found = await self.gate.send("POST", f"{self.gate.control}/fhir/Consent", said, json.dumps(consent).encode())
        assert 201 == found.status, found.body

    def logged(self, words: str) -> bool:
        """Say whether a line of the gateway's log since the test began has these words."""
        return any(words in line for line in self.trap.heard) or words.encode() in self.trap.log()[self.trap.skipped :]

    async def reload(self) -> None:
        """Have an operator make the gateway read its files, and what the server says of itself, anew."""
        said = {"Authorization": f"Bearer {self.gate.token('operator', roles=['operator'])}"}
        found = await self.gate.send("POST", f"{self.gate.control}/control/reload", said)
        assert 200 == found.status, found.body

    async def metrics(self) -> bytes:
        """The metrics, as an operator gets them."""
        said = {"Authorization": f"Bearer {self.gate.token('operator', roles=['operator'])}"}
        found = await self.gate.send("GET", f"{self.gate.control}/metrics", said)
        assert 200 == found.status, found.body
        return found.body

    def recorded(self) -> bytes:
        """The ledger's unrestricted part, every byte of every row since the last time."""
        file = self.folder / "ledger.sqlite"
        if not file.exists():
            return b""
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as ledger:
            rows = ledger.execute("SELECT * FROM records WHERE sequence > ?", (self.trap.seen,)).fetchall()
        self.trap.seen += len(rows)
        return repr(rows).encode()

    async def told(self) -> dict[str, bytes]:
        """Everything that is told beside the answers, by where."""
        return {
            "a log": "\n".join(self.trap.heard).encode() + self.trap.log()[self.trap.skipped :],
            "an error": b"\n".join(self.trap.errors),
            "a metric": await self.metrics(),
            "the ledger": self.recorded(),
        }

    async def check(self) -> None:
        """Nothing that is told holds a mark or a token, and nothing was forgotten by the way."""
        for where, text in (await self.told()).items():
            for spelling in MARKS:
                assert spelling not in text, f"{where} tells of a patient: {_around(text, spelling)}"
            token = TOKEN.search(text)
            assert token is None, f"{where} holds a token: {_around(text, token[0])}"
            assert b"Traceback" not in text, f"{where} holds a stack trace: {_around(text, b'Traceback')}"
        dropped = [line for line in self.trap.heard if "never retrieved" in line or "unforeseen" in line]
        assert [] == dropped


def _around(text: bytes, word: bytes) -> bytes:
    at = text.index(word)
    return text[max(at - 300, 0) : at + 100]


def further_route(name: str, more: str = "", *, owner: str = "mercy", profile: str = "us-part2") -> str:
    """A further route `t/NAME` to the hospital's server, with more settings, for `staged`, which tells the server."""
    route = f"""\
      {name}:
        owner: {owner}
        upstream: {{base}}
        source: story
        credentials: {{{{kind: basic, username: gateway, password: {{{{file: password}}}}}}}}
        public_url: http://{name}.example/t/{name}
        profile: {profile}"""
    return f"{route}\n        {more}" if more else route


PLAN_ROUTE = further_route("plan", owner="sunrise")


def open_route(more: str) -> str:
    """A further route `t/open` to the hospital's server, with more settings, for `staged`."""
    return further_route("open", more)


@asynccontextmanager
async def staged(folder: Path, *, limits: str = LIMITS, more: str = "") -> AsyncIterator[Scene]:
    """Put a scene up while the block lasts: the routes `t/hospital`, for pushes `t/plan`, and `more`; before the target
    that `target.named` names, else before ours in this process."""
    server, trap = Server(), Trap()
    async with stub_upstream(server) as stub:
        with trap.listening():
            more = "\n".join(one.format(base=stub.base) for one in (PLAN_ROUTE, more) if one)
            start = target.named()
            if start is not None:
                async with _elsewhere(start, folder, stub.base, more, limits, trap) as gate:
                    yield Scene(gate, server, stub, trap, folder)
                return
            async with world(folder, stub.base, more=more, limits=limits) as gate:
                yield Scene(gate, server, stub, trap, folder)


@asynccontextmanager
async def _elsewhere(
    start: target.Start, folder: Path, upstream: str, more: str, limits: str, trap: Trap
) -> AsyncIterator[World]:
    """A target that is not ours in this process: it is asked over HTTP, and its log is looked through."""
    key = write_files(folder)
    credentials = f"{{kind: basic, username: {USER}, password: {{file: password}}}}"

    def settings(data: str, control: str) -> str:
        return settings_text(
            folder, data, control, upstream, profile="us-part2", more=more, limits=limits, credentials=credentials
        )

    async with start(target.Setup(folder, settings)) as up, client_session() as session:
        trap.log = up.log
        yield World(up.data, up.control, key, None, session)
