"""The arms of a twin run: the same gateway before the whole world, before the world without W, and with its filter off.

Rules of this file
1. Same build, settings, directory, consents and public address; each arm has its own store, ledger and upstream.
2. The third arm releases everything. It is no gateway: it shows which requests touch what is withheld, and that the
   comparison would notice.
"""

import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from gateway import clock
from gateway.decision.bench import Tools
from gateway.decision.facts import Facts
from gateway.decision.judge import Judgement, judge
from gateway.decision.model import Verdict
from gateway.demo.cast import ROUTES, Cast
from gateway.demo.signing import Pen
from gateway.demo.upstream import EmbeddedUpstream
from gateway.fhir.bundle import Document
from gateway.identity.dev_issuer import ALGORITHM, development_token, new_key, public_keys
from gateway.settings import DEVELOPMENT_ISSUER
from tests.served_planes import served_planes
from tests.twin.asking import VERSION, Pair, Seen, Step
from tests.twin.versions import VERSIONED

TENANT, SOURCE, AUDIENCE = "twin", "story", "urn:twin"
PUBLIC = "http://gateway.twin.example"
USER, PASSWORD = "gateway", "a password of the test"


class Behind(msgspec.Struct):
    """The server behind an arm: its base URL, and what it asks for."""

    base: str
    password: str = PASSWORD


class Arm:
    """One gateway that is up."""

    def __init__(self, data: str, control: str, key: str, session: aiohttp.ClientSession) -> None:
        self.control = control
        self._data, self._key, self._session = data, key, session
        self._tokens: dict[str, str] = {}

    async def ask(self, step: Step, pair: Pair, before: Seen | None) -> Seen | None:
        """Ask one step of a script; None where it follows a link that the answer before does not have."""
        headers = [("Authorization", f"Bearer {self._token(pair.client)}"), ("X-Purpose-Of-Use", pair.purpose)]
        headers += step.headers
        url, body = f"{self._data}/{TENANT}/{pair.route}/{step.target()}", None
        if step.follow:
            link = _link(before, step.follow)
            if link is None:
                return None
            url = self._data + link.removeprefix(PUBLIC)
        elif step.form:
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
            body = step.text.encode()
        elif step.body is not None:
            if not any(name == "Content-Type" for name, _ in step.headers):
                headers.append(("Content-Type", "application/fhir+json"))
            body = msgspec.json.encode(step.body)
        async with self._session.request(
            step.method, URL(url, encoded=True), headers=headers, data=body, allow_redirects=False
        ) as response:
            found: dict[str, tuple[str, ...]] = {}
            for name, value in response.headers.items():
                found[name.lower()] = (*found.get(name.lower(), ()), value)
            return Seen(response.status, found, await response.read())

    async def fetch(self, url: str) -> bytes:
        """Give what stands at a URL for everybody."""
        async with self._session.get(url) as response:
            response.raise_for_status()
            return await response.read()

    def _token(self, client: str) -> str:
        if client not in self._tokens:
            self._tokens[client] = development_token(self._key, client_id=client, audience=AUDIENCE, at=clock.now())
        return self._tokens[client]


def _link(seen: Seen | None, relation: str) -> str | None:
    if seen is None or seen.status != 200:
        return None
    tree = msgspec.json.decode(seen.body)
    if relation == VERSION:
        last = (tree.get("entry") or [None])[-1]
        return last and f"{last['fullUrl']}/_history/{last['response']['etag'].removeprefix('W/').strip(chr(34))}"
    links = tree.get("link", ())
    return next((one["url"] for one in links if one["relation"] == relation), None)


@asynccontextmanager
async def arm(folder: Path, behind: Behind, parts: Cast, *, off: bool = False) -> AsyncIterator[Arm]:
    """Set one gateway up while the block lasts, the cast's consents signed. `off`: its filter is switched off."""
    key = _files(folder, behind, parts)
    async with (
        served_planes(lambda data, control: _settings(data, control, behind), folder) as served,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True),  # no connection that the server is just closing
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=["Content-Type"],
        ) as session,
    ):
        pen = Pen(session, served.control)
        officer = development_token(
            key, client_id="officer", audience=AUDIENCE, at=clock.now(), roles=["privacy_officer"]
        )
        for one in parts.consents:
            await pen.sign(one.text, officer)
        with _unfiltered(served.planes.data._live().doors.values()) if off else _as_is():
            yield Arm(served.data, served.control, key, session)


def _files(folder: Path, behind: Behind, parts: Cast) -> str:
    """Write the files that the settings name. Gives the development issuer's key."""
    folder.mkdir(parents=True)
    key = new_key()
    (folder / "jwks.json").write_text(public_keys(key))
    (folder / "directory.yaml").write_text(parts.directory)
    (folder / "password").write_text(behind.password)
    return key


class World:
    """An embedded server whose records can be changed for others, its address kept."""

    def __init__(self) -> None:
        self._app: EmbeddedUpstream = EmbeddedUpstream((), credentials=(USER, PASSWORD))

    def hold(self, records: Sequence[bytes]) -> None:
        """Hold these records and no others, as if nothing else had ever been there."""
        self._app = EmbeddedUpstream(records, credentials=(USER, PASSWORD))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI 3)."""
        await self._app(scope, receive, send)


@contextmanager
def _as_is() -> Iterator[None]:
    yield


@contextmanager
def _unfiltered(doors: Any) -> Iterator[None]:
    """Let the gateways of these doors release everything. Every module that asks the judge asks this one meanwhile."""
    tools = {id(door.tools) for door in doors}

    def open_judge(document: Document, facts: Facts, with_tools: Tools) -> Judgement:
        said = judge(document, facts, with_tools)
        if id(with_tools) not in tools:
            return said
        decisions = tuple(msgspec.structs.replace(one, verdict=Verdict.DISCLOSED, edits=()) for one in said.decisions)
        return msgspec.structs.replace(said, decisions=decisions, edits=dict.fromkeys(said.edits, ()))

    asking = [
        module
        for name, module in sys.modules.items()
        if name.startswith("gateway.proxy") and getattr(module, "judge", None) is judge
    ]
    for module in asking:
        module.judge = open_judge  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module in asking:
            module.judge = judge  # type: ignore[attr-defined]


def _settings(data: str, control: str, behind: Behind) -> str:
    routes = "".join(
        f"""
      {route.name}:
        owner: {route.owner}
        upstream: {behind.base}
        source: {SOURCE}
        credentials: {{kind: basic, username: {USER}, password: {{file: password}}}}
        public_url: {PUBLIC}/{TENANT}/{route.name}
        profile: {route.profile}
        history: [{", ".join(VERSIONED)}]
        writes: [create, update, patch]"""
        for route in ROUTES
    )
    return f"""\
data_plane: {{host: 127.0.0.1, port: {data.rpartition(":")[2]}}}
control_plane: {{host: 127.0.0.1, port: {control.rpartition(":")[2]}}}
development: true
zone: America/New_York
directory: directory.yaml
consents: {{driver: memory}}
ledger: ledger.sqlite
issuers:
  - {{iss: "{DEVELOPMENT_ISSUER}", audience: "{AUDIENCE}", algorithms: [{ALGORITHM}], jwks_file: jwks.json}}
tenants:
  {TENANT}:
    routes:{routes}
"""
