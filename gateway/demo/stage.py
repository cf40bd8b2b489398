"""The stage: a folder with the gateway's files, the embedded upstream and the gateway before it, on real sockets.

Rules of this file
1. Everything is as an operator would set it up: a settings file, a directory, an upstream that wants a password.
2. The gateway is handed in: what a demonstration may know of it is what stands on the wire.
3. What is kept while the demonstration runs is gone with its folder.
"""

import base64
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol

import msgspec

from gateway import clock
from gateway.demo.serving import listen, listen_near, serve, url_of
from gateway.demo.upstream import EmbeddedUpstream
from gateway.identity.dev_issuer import ALGORITHM, development_token, new_key, public_keys
from gateway.settings import DEVELOPMENT_ISSUER, Settings
from gateway.settings_reading import parse_settings

TENANT: Final = "story"
SOURCE: Final = "story"  # the upstream's name: whose patient ids these are
AUDIENCE: Final = "urn:consent-gateway:demonstration"
OFFICER: Final = "privacy-office"
_USER: Final = "gateway"
_PORTS: Final = (8080, 8081, 8082)  # data plane, control plane, upstream: where they are free
_LIFETIME: Final = timedelta(hours=12)


class Planes(Protocol):
    """A gateway that is set up and not yet listening: two ASGI applications."""

    @property
    def data(self) -> Any:  # noqa: ANN401  ASGI
        """The data plane."""
        ...

    @property
    def control(self) -> Any:  # noqa: ANN401  ASGI
        """The control plane."""
        ...


Build = Callable[[Settings], AbstractAsyncContextManager[Planes]]
"""Sets a gateway up from its settings, and puts it away."""


class RouteOf(msgspec.Struct, frozen=True):
    """One route of the demonstration: whose data, under which profile."""

    name: str
    owner: str
    profile: str


class Stage(msgspec.Struct, frozen=True):
    """What a demonstration stands on. `upstream` is the server itself, at `upstream_url`; `behind` is the Authorization
    it asks for."""

    data: str
    control: str
    upstream: EmbeddedUpstream
    upstream_url: str
    behind: str
    folder: Path
    key: str
    routes: Mapping[str, RouteOf]

    def token(self, client: str, roles: Sequence[str] = ()) -> str:
        """Give a token of a registered client, or of someone with roles on the control plane."""
        return development_token(
            self.key, client_id=client, audience=AUDIENCE, at=clock.now(), roles=roles, lifetime=_LIFETIME
        )

    @property
    def officer(self) -> str:
        """A token of the privacy officer."""
        return self.token(OFFICER, ["privacy_officer"])


@asynccontextmanager
async def stage(
    build: Build, resources: Sequence[bytes], directory: str, routes: Sequence[RouteOf], *, lasting: bool
) -> AsyncIterator[Stage]:
    """Set everything up, and take it down at the end. `directory` is the directory file's text; `lasting` asks for the
    same ports every time, where they are free. Raises ProfileError for what the gateway refuses to start with."""
    async with AsyncExitStack() as held:
        folder = Path(held.enter_context(TemporaryDirectory(prefix="consent-gateway-")))
        data, control, behind = (held.enter_context(_taken(port, lasting=lasting)) for port in _PORTS)
        password, key = secrets.token_urlsafe(24), new_key()
        upstream = EmbeddedUpstream(resources, credentials=(_USER, password))
        upstream_url = await held.enter_async_context(serve(upstream, listener=behind))
        (folder / "upstream-password").write_text(password)
        (folder / "jwks.json").write_text(public_keys(key))
        (folder / "directory.yaml").write_text(directory)
        text = _settings(folder, data, control, upstream_url, routes)
        (folder / "settings.yaml").write_text(text)
        planes = await held.enter_async_context(build(parse_settings(text, "settings.yaml")))
        await held.enter_async_context(serve(planes.control, listener=control, lifespan=True))
        await held.enter_async_context(serve(planes.data, listener=data, lifespan=True))
        yield Stage(
            data=url_of(data),
            control=url_of(control),
            upstream=upstream,
            upstream_url=upstream_url,
            behind="Basic " + base64.b64encode(f"{_USER}:{password}".encode()).decode(),
            folder=folder,
            key=key,
            routes={route.name: route for route in routes},
        )


def _taken(port: int, *, lasting: bool) -> socket:
    return listen_near(port) if lasting else listen()


def _settings(folder: Path, data: socket, control: socket, upstream: str, routes: Sequence[RouteOf]) -> str:
    """Write the settings file."""
    planes = "".join(
        f"{plane}_plane: {{host: 127.0.0.1, port: {listener.getsockname()[1]}}}\n"
        for plane, listener in (("data", data), ("control", control))
    )
    listed = "".join(
        f"""
      {route.name}:
        owner: {route.owner}
        upstream: {upstream}
        source: {SOURCE}
        credentials: {{kind: basic, username: {_USER}, password: {{file: {folder}/upstream-password}}}}
        public_url: {url_of(data)}/{TENANT}/{route.name}
        profile: {route.profile}"""
        for route in routes
    )
    return f"""# Written by the demonstration.
{planes}zone: America/New_York
development: true
directory: {folder}/directory.yaml
consents: {{driver: sqlite, path: {folder}/consents.sqlite}}
ledger: {folder}/ledger.sqlite
issuers:
  - iss: {DEVELOPMENT_ISSUER}
    audience: {AUDIENCE}
    algorithms: [{ALGORITHM}]
    jwks_file: {folder}/jwks.json
tenants:
  {TENANT}:
    routes:{listed}
"""
