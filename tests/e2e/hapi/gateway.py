"""The gateway as an operator runs it, `consent-gateway serve` with a settings file, before a FHIR server."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from gateway import clock
from gateway.demo.stage import AUDIENCE, SOURCE, TENANT, RouteOf
from gateway.identity.dev_issuer import ALGORITHM, development_token, new_key, public_keys
from gateway.settings import DEVELOPMENT_ISSUER
from tests.e2e.hapi.server import FHIR_JSON, USER, Hapi

SERVES_WITHIN = 60


class Gateway(NamedTuple):
    """A gateway that is up. `folder` holds its settings, directory, consents and ledger."""

    data: str
    control: str
    key: str
    folder: Path
    routes: Mapping[str, RouteOf]
    client: httpx2.Client

    def base(self, route: str) -> str:
        """The FHIR base that clients of a route use."""
        return f"{self.data}/{TENANT}/{route}"

    def token(
        self, client: str, purposes: Iterable[str] | None = None, roles: Iterable[str] = (), patient: str = ""
    ) -> str:
        """A token of a registered client, or of someone with roles on the control plane."""
        listed = None if purposes is None else list(purposes)
        return development_token(
            self.key,
            client_id=client,
            audience=AUDIENCE,
            at=clock.now(),
            purposes=listed,
            roles=list(roles),
            patient=patient,
        )

    def ask(
        self, url: str, client: str, purpose: str, *, method: str = "GET", body: Any = None, form: str | None = None
    ) -> httpx2.Response:
        """Ask the data plane: `url` is absolute, or `route/...` beneath the tenant. "" = no purpose."""
        headers = {"Authorization": f"Bearer {self.token(client)}", "Accept": FHIR_JSON}
        if purpose:
            headers["X-Purpose-Of-Use"] = purpose
        content = form if form is not None else None if body is None else json.dumps(body)
        if content is not None:
            headers["Content-Type"] = FHIR_JSON if form is None else "application/x-www-form-urlencoded"
        where = url if url.startswith("http") else f"{self.data}/{TENANT}/{url}"
        return self.client.request(method, where, headers=headers, content=content)

    def sign(self, consent: bytes | Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
        """Store a consent by the Consent API, as the privacy officer; gives id, version and tree."""
        text = consent if isinstance(consent, bytes) else json.dumps(consent).encode()
        answer = self._write("POST", f"{self.control}/fhir/Consent", text, {})
        assert 201 == answer.status_code, answer.text
        return answer.json()["id"], answer.headers["etag"], answer.json()

    def revoke(self, signed: tuple[str, str, dict[str, Any]]) -> None:
        """Make a consent inactive."""
        id_, etag, tree = signed
        text = json.dumps(tree | {"status": "inactive"}).encode()
        answer = self._write("PUT", f"{self.control}/fhir/Consent/{id_}", text, {"If-Match": etag})
        assert 200 == answer.status_code, answer.text

    def _write(self, method: str, url: str, text: bytes, headers: Mapping[str, str]) -> httpx2.Response:
        officer = {"Authorization": f"Bearer {self.token('privacy-office', roles=['privacy_officer'])}"}
        said = {"Content-Type": FHIR_JSON, **officer, **headers}
        return self.client.request(method, url, headers=said, content=text)


@contextmanager
def gateway(
    folder: Path, behind: Hapi, directory: str, routes: Sequence[RouteOf], further: Sequence[str] = ()
) -> Iterator[Gateway]:
    """Serve before a HAPI while the block lasts; `further` are more settings of each route. Raises RuntimeError where
    it does not start."""
    key, ports = new_key(), _free_ports(2)
    data, control = (f"http://127.0.0.1:{port}" for port in ports)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jwks.json").write_text(public_keys(key))
    (folder / "directory.yaml").write_text(directory)
    (folder / "upstream-password").write_text(behind.password)
    (folder / "settings.yaml").write_text(_settings(ports, behind.base, data, routes, further))
    command = [Path(sys.executable).parent / "consent-gateway", "serve", "--config", folder / "settings.yaml"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=os.environ | {"NO_COLOR": "1"})
    try:
        with httpx2.Client(timeout=60, trust_env=False, follow_redirects=False) as client:
            _wait(client, f"{data}/readyz", process, folder / "log")
            yield Gateway(data, control, key, folder, {route.name: route for route in routes}, client)
    finally:
        process.terminate()
        process.wait(40)


def _wait(client: httpx2.Client, url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + SERVES_WITHIN
    while process.poll() is None and time.monotonic() < until:
        try:
            if client.get(url).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"the gateway does not start: {log.read_text()[-2000:]}")


def _free_ports(count: int) -> list[int]:
    """Give ports that are free now. A public URL has to be known before the gateway listens."""
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports


def _settings(ports: Sequence[int], upstream: str, data: str, routes: Sequence[RouteOf], further: Sequence[str]) -> str:
    more = "".join(f"\n        {line}" for line in further)
    listed = "".join(
        f"""
      {route.name}:
        owner: {route.owner}
        upstream: {upstream}
        source: {SOURCE}
        credentials: {{kind: basic, username: {USER}, password: {{file: upstream-password}}}}
        public_url: {data}/{TENANT}/{route.name}
        profile: {route.profile}{more}"""
        for route in routes
    )
    return f"""\
data_plane: {{host: 127.0.0.1, port: {ports[0]}}}
control_plane: {{host: 127.0.0.1, port: {ports[1]}}}
zone: America/New_York
development: true
directory: directory.yaml
consents: {{driver: sqlite, path: consents.sqlite}}
ledger: ledger.sqlite
issuers:
  - iss: {DEVELOPMENT_ISSUER}
    audience: {AUDIENCE}
    algorithms: [{ALGORITHM}]
    jwks_file: jwks.json
tenants:
  {TENANT}:
    routes:{listed}
"""
