"""A whole gateway on real sockets before an upstream of the test's choice, and a client that asks it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec
import pytest
from multidict import CIMultiDict

from gateway import clock
from gateway.demo.story import DIRECTORY, story_resources
from gateway.demo.upstream import EmbeddedUpstream, serve
from gateway.identity.dev_issuer import ALGORITHM, development_token, new_key, public_keys
from gateway.proxy.app import DataPlane
from gateway.proxy.live import Services
from gateway.settings import DEVELOPMENT_ISSUER
from tests.served_planes import served_planes

AUDIENCE = "urn:test"
PLAN, HOSPITAL, CLINIC, CBO = "sunrise-platform", "mercy-ehr", "harbor-ehr", "hearth-intake"
DIRECTORY_TEXT = Path(DIRECTORY).read_text()
STORY = Path(DIRECTORY).parent / "story"
USER, PASSWORD = "gateway", "a password of the test"


class Answer(NamedTuple):
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def ids(self) -> list[str]:
        """The ids of the matches of a searchset."""
        return [one["resource"]["id"] for one in self.json.get("entry", ()) if one["search"]["mode"] == "match"]

    @property
    def next(self) -> str | None:
        """The next link."""
        return next((link["url"] for link in self.json["link"] if link["relation"] == "next"), None)

    @property
    def told(self) -> str:
        """The text of an OperationOutcome."""
        return " / ".join(issue["diagnostics"] for issue in self.json["issue"])

    @property
    def constant(self) -> tuple[int, dict[str, str], bytes]:
        """All that may be compared: without the date and our random request id."""
        kept = {name: value for name, value in self.headers.items() if name not in {"date", "x-request-id"}}
        return self.status, kept, self.body


class World(NamedTuple):
    """A gateway that is up; one in another process has no `plane`."""

    data: str
    control: str
    key: str
    own_plane: DataPlane | None
    session: aiohttp.ClientSession

    @property
    def plane(self) -> DataPlane:
        """The data plane itself; a test that needs it is skipped where the gateway is another process."""
        if self.own_plane is None:
            pytest.skip("this looks inside the gateway, which is another process here")
        return self.own_plane

    @property
    def services(self) -> Services:
        """What the gateway works with."""
        return self.plane._services

    def serve_with(self, **services: Any) -> None:
        """Put other services in their place, from the next request on."""
        self.plane._services = msgspec.structs.replace(self.services, **services)

    def token(self, client: str, purposes: Iterable[str] | None = None, roles: Iterable[str] = ()) -> str:
        listed = None if purposes is None else list(purposes)
        return development_token(
            self.key, client_id=client, audience=AUDIENCE, at=clock.now(), purposes=listed, roles=list(roles)
        )

    async def ask(
        self,
        path: str,
        client: str | None = PLAN,
        purpose: str | None = "HPAYMT",
        method: str = "GET",
        body: bytes | dict | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> Answer:
        """Ask the data plane; a path without a slash is beneath the hospital's route."""
        said: CIMultiDict[str] = CIMultiDict()
        if client is not None:
            said.add("Authorization", f"Bearer {self.token(client)}")
        if purpose is not None:
            said.add("X-Purpose-Of-Use", purpose)
        text = json.dumps(body).encode() if isinstance(body, dict) else body
        if text is not None and not any(name.lower() == "content-type" for name, _ in headers):
            said.add("Content-Type", "application/fhir+json")
        for name, value in headers:
            said.add(name, value)
        url = path if path.startswith("http") else self.data + (path if path.startswith("/") else f"/t/hospital/{path}")
        return await self.send(method, url, said, text)

    async def send(self, method: str, url: str, headers: Any, body: bytes | None = None) -> Answer:
        from yarl import URL  # noqa: PLC0415

        async with self.session.request(
            method, URL(url, encoded=True), headers=headers, data=body, allow_redirects=False
        ) as response:
            found = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, found, await response.read())

    async def raw(self, request: bytes) -> bytes:
        """Send bytes to the data plane and give all that comes back until the connection ends, or for two seconds."""
        reader, writer = await asyncio.open_connection("127.0.0.1", int(self.data.rpartition(":")[2]))
        writer.write(request)
        found = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                while part := await reader.read(65536):
                    found += part
        writer.close()
        return found

    async def consent(self, name: str, **changes: Any) -> tuple[str, str, dict]:
        """Sign one of the story's consents at the control plane; gives id, version and the text as a tree."""
        tree = json.loads((STORY / "consents" / name).read_bytes()) | changes
        answer = await self._write("POST", f"{self.control}/fhir/Consent", tree, {})
        assert 201 == answer.status, answer.body
        return answer.json["id"], answer.headers["etag"], answer.json

    async def revoke(self, consent: tuple[str, str, dict]) -> None:
        """Make a consent inactive."""
        id_, etag, tree = consent
        url = f"{self.control}/fhir/Consent/{id_}"
        answer = await self._write("PUT", url, tree | {"status": "inactive"}, {"If-Match": etag})
        assert 200 == answer.status, answer.body

    async def _write(self, method: str, url: str, tree: dict, headers: dict[str, str]) -> Answer:
        officer = self.token("officer", roles=["privacy_officer"])
        said = headers | {"Authorization": f"Bearer {officer}", "Content-Type": "application/fhir+json"}
        return await self.send(method, url, said, json.dumps(tree).encode())

    async def explain(self, answer: Answer) -> Any:
        """The story of a request, as a privacy officer gets it, once it is complete."""
        url = f"{self.control}/control/explain/{answer.headers['x-request-id']}"
        said = {"Authorization": f"Bearer {self.token('officer', roles=['privacy_officer'])}"}
        for _ in range(100):
            story = (await self.send("GET", url, said)).json
            if all(attempt["completion"] for attempt in story["attempts"]):
                return story
            await asyncio.sleep(0.02)
        raise AssertionError("an intent was left open")


SQLITE = "{driver: sqlite, path: consents.sqlite}"


def settings_text(
    folder: Path,
    data: str,
    control: str,
    upstream: str,
    *,
    profile: str,
    more: str,
    limits: str,
    credentials: str,
    consents: str = SQLITE,
    route: str = "",
) -> str:
    """The settings file of a gateway with one route, `t/hospital`."""
    return f"""\
data_plane: {{host: 127.0.0.1, port: {data.rpartition(":")[2]}}}
control_plane: {{host: 127.0.0.1, port: {control.rpartition(":")[2]}}}
development: true
zone: America/New_York
directory: directory.yaml
consents: {consents}
ledger: ledger.sqlite
issuers:
  - {{iss: "{DEVELOPMENT_ISSUER}", audience: "{AUDIENCE}", algorithms: [{ALGORITHM}], jwks_file: jwks.json}}
tenants:
  t:
    routes:
      hospital:
        owner: mercy
        upstream: {upstream}
        source: story
        credentials: {credentials}
        public_url: {data}/t/hospital
        profile: {profile}
        {route}
{more}
limits: {limits}
"""


@asynccontextmanager
async def world(
    folder: Path,
    upstream: str,
    *,
    profile: str = "us-part2",
    more: str = "",
    limits: str = "{}",
    credentials: str = f"{{kind: basic, username: {USER}, password: {{file: password}}}}",
    directory: str | None = None,
    consents: str = SQLITE,
    route: str = "",
) -> AsyncIterator[World]:
    """Set a gateway up before `upstream` while the block lasts; `route` is a further setting of its route.

    Raises what the gateway refuses to start with.
    """
    key = write_files(folder, directory)

    def settings(data: str, control: str) -> str:
        return settings_text(
            folder,
            data,
            control,
            upstream,
            profile=profile,
            more=more,
            limits=limits,
            credentials=credentials,
            consents=consents,
            route=route,
        )

    async with served_planes(settings, folder) as served, client_session() as session:
        yield World(served.data, served.control, key, served.planes.data, session)


def write_files(folder: Path, directory: str | None = None) -> str:
    """Write the files a settings file names; gives the development issuer's private key."""
    key = new_key()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jwks.json").write_text(public_keys(key))
    (folder / "directory.yaml").write_text(Path(DIRECTORY).read_text() if directory is None else directory)
    (folder / "password").write_text(PASSWORD)
    return key


def client_session() -> aiohttp.ClientSession:
    """A client that keeps no cookies and adds no content type of its own."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), skip_auto_headers=["Content-Type"])


@asynccontextmanager
async def embedded(
    resources: Iterable[Any] = (), *, closed: bool = True
) -> AsyncIterator[tuple[EmbeddedUpstream, str]]:
    """The embedded upstream with the story's records and more; gives it and its base URL."""
    app = EmbeddedUpstream([*story_resources(), *resources], credentials=(USER, PASSWORD) if closed else None)
    async with serve(app) as base:
        yield app, base
