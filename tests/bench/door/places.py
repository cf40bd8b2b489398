"""Where everything listens, and the gateway's files: as an operator would write them, with nothing turned off."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from gateway import clock
from gateway.demo.serving import listen
from gateway.identity.dev_issuer import ALGORITHM, development_token, new_key, public_keys
from gateway.settings import DEVELOPMENT_ISSUER
from tests.bench.door.fixture import Fixture

USER, PASSWORD = "gateway", "a-password-of-the-measurement"
AUDIENCE = "urn:consent-gateway:measurement"


class Places(NamedTuple):
    """Ports on this machine: the upstream, the gateway's two planes, and the doors it is compared with."""

    upstream: int
    data: int
    control: int
    nginx: int
    plain: int


def free_places() -> Places:
    """Give ports that are free now."""
    with ExitStack() as held:
        taken = [held.enter_context(listen()) for _ in Places._fields]
        return Places(*(one.getsockname()[1] for one in taken))


def write_files(folder: Path, fixture: Fixture) -> str:
    """Write the files that the settings name; gives the development issuer's private key."""
    key = new_key()
    folder.mkdir(parents=True)
    (folder / "jwks.json").write_text(public_keys(key))
    (folder / "directory.yaml").write_text(fixture.directory)
    (folder / "password").write_text(PASSWORD)
    return key


def token(key: str, client: str, roles: Sequence[str] = ()) -> str:
    """Give a token that outlasts the measurement."""
    lifetime = timedelta(hours=6)
    return development_token(key, client_id=client, audience=AUDIENCE, at=clock.now(), roles=roles, lifetime=lifetime)


def headers(bearer: str, purpose: str) -> dict[str, str]:
    """Give the headers of a client's request."""
    return {"Authorization": f"Bearer {bearer}", "X-Purpose-Of-Use": purpose, "Accept": "application/fhir+json"}


def settings_text(places: Places) -> str:
    """Give the gateway's settings file: one route, `t/hospital`."""
    return f"""\
data_plane: {{host: 127.0.0.1, port: {places.data}}}
control_plane: {{host: 127.0.0.1, port: {places.control}}}
development: true
zone: America/New_York
directory: directory.yaml
consents: {{driver: sqlite, path: consents.sqlite}}
ledger: ledger.sqlite
issuers:
  - {{iss: "{DEVELOPMENT_ISSUER}", audience: "{AUDIENCE}", algorithms: [{ALGORITHM}], jwks_file: jwks.json}}
tenants:
  t:
    routes:
      hospital:
        owner: hospital
        upstream: http://127.0.0.1:{places.upstream}/fhir
        source: bench
        credentials: {{kind: basic, username: {USER}, password: {{file: password}}}}
        public_url: http://127.0.0.1:{places.data}/t/hospital
        profile: us-part2
"""
