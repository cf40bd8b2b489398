"""Cases as exchanges at the real door: one gateway for many stages, each asked as its client would, all judged by what
came out: what lay in the answers, or reached the receiver's server, and what the ledger tells of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from gateway import clock
from gateway.identity.dev_issuer import ALGORITHM, new_key, public_keys, sign
from gateway.settings import DEVELOPMENT_ISSUER
from tests.cases.servers import Servers
from tests.cases.stage import Stage, stages
from tests.served_planes import served_planes
from tests.stub_upstream import stub_upstream

AUDIENCE = "urn:example:gateway"
OFFICER = "officer"
BY_ID = frozenset({"Patient", "Group"})
"""Types that are not searched by a patient here."""


class Came(NamedTuple):
    """What came out of one stage. `released` are texts by `Type/id`, `told` the ledger's decisions by `Type/id`."""

    released: dict[str, bytes]
    told: dict[str, dict[str, Any]]
    attested: list[dict[str, Any]]
    raw: bytes
    wrong: list[str]


class Door(NamedTuple):
    """A gateway that is up."""

    data: str
    control: str
    key: str
    session: aiohttp.ClientSession
    servers: Servers

    def bearer(self, claims: dict[str, Any]) -> dict[str, str]:
        """The headers of a caller with a token of these claims."""
        token = sign(self.key, {"aud": AUDIENCE, **claims}, clock.now())
        return {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}

    async def send(
        self, method: str, url: str, headers: dict[str, str], body: Any = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request; header names come back in lower case."""
        data = None if body is None else json.dumps(body).encode()
        said = headers if data is not None else {"Authorization": headers["Authorization"]}
        async with self.session.request(method, url, headers=said, data=data) as response:
            return response.status, {k.lower(): v for k, v in response.headers.items()}, await response.read()

    @property
    def officer(self) -> dict[str, str]:
        """The headers of a privacy officer."""
        return self.bearer({"client_id": OFFICER, "sub": OFFICER, "roles": ["privacy_officer"]})

    async def story(self, request: str) -> dict[str, Any]:
        """What the ledger tells of a request, once it is complete."""
        for _ in range(200):
            status, _, body = await self.send("GET", f"{self.control}/control/explain/{request}", self.officer)
            found = json.loads(body) if status == 200 else None
            if found is not None and all(attempt["completion"] for attempt in found["attempts"]):
                return found["attempts"][-1]
            await asyncio.sleep(0.02)
        raise AssertionError("the ledger has no complete story of a request")

    async def file(self, consent: dict[str, Any]) -> None:
        """File a Consent; one that is not active is filed first and ended then, as it is in life."""
        url = f"{self.control}/fhir/Consent"
        status, headers, body = await self.send("POST", url, self.officer, {**consent, "status": "active"})
        assert status == 201, body
        if consent["status"] != "active":
            ended = json.loads(body) | {"status": consent["status"]}
            said = self.officer | {"If-Match": headers["etag"]}
            status, _, body = await self.send("PUT", f"{url}/{ended['id']}", said, ended)
            assert status == 200, body


@asynccontextmanager
async def gateway(
    cases: list[dict[str, Any]], vocabulary: dict[str, Any], folder: Path
) -> AsyncIterator[tuple[Door, list[Stage]]]:
    """Set one gateway up for all cases while the block lasts."""
    servers = Servers()
    key = new_key()
    async with stub_upstream(servers) as stub:
        staged = stages(cases, vocabulary, f"http://127.0.0.1:{stub.port}")
        for stage in staged:
            servers.hold(stage.name, stage.held)
        async with (
            served_planes(lambda data, control: _files(staged, data, control, key, folder), folder) as served,
            aiohttp.ClientSession() as session,
        ):
            yield Door(served.data, served.control, key, session, servers), staged


def _files(staged: Iterable[Stage], data: str, control: str, key: str, folder: Path) -> str:
    """Write the files of the gateway, where `key` is the tokens' issuer's; gives the settings (JSON is YAML)."""
    several = list(staged)
    directory = {
        "participants": [one for stage in several for one in stage.participants()],
        "clients": [stage.client() for stage in several],
        "agreements": [one for stage in several for one in stage.agreements()],
        "relationships": [one for stage in several for one in stage.relationships()],
        "attestations": [one for stage in several for one in stage.attestations()],
    }
    issuer = {"iss": DEVELOPMENT_ISSUER, "audience": AUDIENCE, "algorithms": [ALGORITHM], "jwks_file": "jwks.json"}
    settings = {
        "data_plane": {"host": "127.0.0.1", "port": int(data.rpartition(":")[2])},
        "control_plane": {"host": "127.0.0.1", "port": int(control.rpartition(":")[2])},
        "development": True,
        "directory": "directory.yaml",
        "consents": {"driver": "sqlite", "path": "consents.sqlite"},
        "ledger": "ledger.sqlite",
        "issuers": [issuer],
        "tenants": {"t": {"routes": {stage.name: stage.route(data) for stage in several}}},
    }
    texts = {"gateway.yaml": json.dumps(settings), "directory.yaml": json.dumps(directory)}
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "jwks.json").write_text(public_keys(key))
    (folder / "password").write_text("a secret of the test")
    return texts["gateway.yaml"]


async def play(stage: Stage, door: Door) -> Came:
    """File the consents of a stage and ask as its client does."""
    for consent in stage.consents():
        await door.file(consent)
    said = door.bearer(stage.claims())
    return await (_push(stage, door, said) if stage.push else _read(stage, door, said))


async def _read(stage: Stage, door: Door, said: dict[str, str]) -> Came:
    """Search every type there is, then read each record of the case by its address."""
    base, came = f"{door.data}/t/{stage.name}", Came({}, {}, [], b"", [])
    kinds: dict[str, list[str]] = {}
    for one in [*stage.records, *stage.among]:
        kinds.setdefault(one["resourceType"], []).append(one["id"])
    raw = b""
    for kind, ids in kinds.items():
        asked = f"_id={','.join(ids)}" if kind in BY_ID else "patient=Patient/p1"
        status, headers, body = await door.send("GET", f"{base}/{kind}?{asked}", said)
        if status != 200:
            came.wrong.append(f"GET {kind}: {status} {body.decode()[:300]}")
            continue
        raw += body
        for entry in json.loads(body).get("entry", ()):
            _put(came.released, entry["resource"])
        _hear(came, await door.story(headers["x-request-id"]), f"GET {kind}")
    for one in stage.records:
        name = f"{one['resourceType']}/{one['id']}"
        status, _, body = await door.send("GET", f"{base}/{name}", said)
        raw += body
        if status != (200 if name in came.released else 404):
            came.wrong.append(f"GET {name}: {status}, though the search says otherwise")
    return came._replace(raw=raw)


async def _push(stage: Stage, door: Door, said: dict[str, str]) -> Came:
    """Post everything as a batch, and look at what reached the receiver's server."""
    came = Came({}, {}, [], b"", [])
    status, headers, body = await door.send("POST", f"{door.data}/t/{stage.name}/", said, stage.pushed())
    taken = door.servers.taken.get(stage.name, [])
    for one in taken:
        _put(came.released, one)
    if status != (200 if taken else 403):
        came.wrong.append(f"POST: {status} {body.decode()[:300]}")
        return came
    _hear(came, await door.story(headers["x-request-id"]), "POST")
    return came._replace(raw=json.dumps(taken).encode())


def _put(released: dict[str, bytes], resource: dict[str, Any]) -> None:
    released[f"{resource['resourceType']}/{resource['id']}"] = json.dumps(resource).encode()


def _hear(came: Came, attempt: dict[str, Any], what: str) -> None:
    """Take in what the ledger tells: its decisions must be what was seen."""
    intent, story = attempt["intent"], attempt["story"]
    came.attested.extend([*intent["attested"], *(one for several in story["attested"].values() for one in several)])
    left = {name for one in intent["account"]["disclosed"] for name in one["resources"]}
    for decision in story["decisions"]:
        if "/contained/" in decision["at"] or not decision["subjects"]:
            continue
        came.told[decision["resource"]] = decision
        went = decision["verdict"] != "withheld"
        if went is not (decision["resource"] in left):
            came.wrong.append(f"{what}: the account of disclosures and the decision on {decision['resource']} differ")
    outcome = attempt["completion"]["outcome"]
    if outcome != "sent" and (left or outcome != "void"):
        came.wrong.append(f"{what}: completed as {outcome}")


__all__ = ["Came", "Door", "gateway", "play"]
