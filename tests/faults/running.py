"""Mixed reads, pushes and consents while the servers fail; what every client got is held against the ledger at the end.

Rules of this file
1. No answer holds a word of what is withheld, at no time; also none of a patient whose refusal was acknowledged before
   the request began.
2. What was acknowledged is there at the end: every pushed record at the server, every consent at the control plane.
3. Whatever left has its intent: each answer with records names them in one, each record the server received too; every
   intent has a completion after the last start, and the chain verifies.
"""

import asyncio
import json
import random
import sqlite3
import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from gateway import clock
from gateway.identity.dev_issuer import development_token
from gateway.ledger.model import Attempt
from gateway.ledger.sqlite import SqliteLedger
from tests.attack.records import ROSA, observation, refusal, transaction
from tests.attack.scene import spellings
from tests.attack.worlds import consent
from tests.e2e.world import AUDIENCE, HOSPITAL, PLAN
from tests.faults.servers import REFUSERS, STARTS_S, WAYS, Gateway, Upstream
from tests.fuzz.requests import SECRET

_SECRETS = spellings(SECRET.encode())
_READS = (
    "Observation/plain", "Observation?patient=rosa", "Observation?_id=plain,sealed", "Observation/sealed",
    "Patient/rosa", "Observation/quokka-o", "Observation?patient=quokka-p", "Condition?patient=rosa&_count=1",
)  # fmt: skip


class Run(msgspec.Struct):
    """What happened. `broken` are the promises that were not kept."""

    requests: Counter[str] = msgspec.field(default_factory=Counter)
    faults: Counter[str] = msgspec.field(default_factory=Counter)
    recovery: dict[str, list[float]] = {}
    broken: list[str] = []
    pushed: set[str] = set()
    consents: set[str] = set()
    refused: dict[int, float] = {}
    read: dict[str, set[str]] = {}
    intents: int = 0
    unknown: int = 0

    def told(self) -> list[str]:
        """Give the lines of the report."""
        said = ", ".join(f"{count} {what}" for what, count in sorted(self.requests.items()))
        lines = [f"answers: {said}"]
        for way, times in sorted(self.recovery.items()):
            worst, middle = max(times), statistics.median(times)
            lines.append(
                f"{way}: {self.faults[way]} times, good answers again after {middle:.2f} s (worst {worst:.2f} s)"
            )
        kept = f"{len(self.pushed)} pushes and {len(self.consents)} consents acknowledged, all there"
        lines.append(
            f"{kept if not self.broken else 'see below'}; {self.intents} intents, {self.unknown} closed by recovery"
        )
        lines += self.broken[:20]
        return [*lines, f"{self.requests.total()} requests, {self.faults.total()} faults, {len(self.broken)} broken"]


class Faults:
    """One run on the files of `folder`."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.run, self._rand, self._fate = Run(), random.Random(seed), random.Random(seed)  # noqa: S311  to be had again
        self.upstream = Upstream(seed)
        self.gateway = Gateway(folder, self.upstream.base)
        self._folder, self._number, self._over = folder, 0, False
        self._session: aiohttp.ClientSession

    async def carry_out(self, seconds: float, tell: Callable[[str], None]) -> Run:
        """Run for so long, then check; give what happened."""
        await self.upstream.become("well")
        await self.gateway.start()
        timeout = aiohttp.ClientTimeout(total=20)
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as self._session:
            if not await self._file(refusal()):
                raise RuntimeError("the first consent was not taken")
            clients = [
                asyncio.create_task(self._client(work)) for work in (*[self._read] * 3, self._push, self._refuse)
            ]
            until = time.monotonic() + seconds
            await self._good()
            while time.monotonic() < until:
                way = self._fate.choice((*WAYS[1:], "gateway killed", "both killed"))
                self.run.recovery.setdefault(way, []).append(await self._fail(way))
                self.run.faults[way] += 1
                tell(f"{way}: good answers again after {self.run.recovery[way][-1]:.2f} s")
                await asyncio.sleep(0.5)
            self._over = True
            for client in clients:
                await client
            await self._hold_consents()
        await self.gateway.stop()
        await self.gateway.start()
        await self.gateway.stop()
        await self._hold_ledger()
        self._hold_log()
        return self.run

    async def _fail(self, way: str) -> float:
        """Let something fail for a while and put it right; give the seconds until a read is answered well again."""
        lasts = self._fate.uniform(0.5, 2.5)
        if way in WAYS:
            await self.upstream.become(way)
            await asyncio.sleep(lasts)
            began = time.monotonic()
            await self.upstream.become("well")
        else:
            if way == "both killed":
                await self.upstream.become("killed")
            await self.gateway.stop(kill=True)
            await asyncio.sleep(lasts)
            began = time.monotonic()
            await self.upstream.become("well")
            await self.gateway.start()
        await self._good()
        return time.monotonic() - began

    async def _good(self) -> None:
        async with asyncio.timeout(STARTS_S):
            while await self._ask("GET", "/t/hospital/Observation/plain", PLAN) != 200:  # noqa: ASYNC110  asked, not told
                await asyncio.sleep(0.02)

    # Clients --------------------------------------------------------------------------------------------------------
    async def _client(self, work: Callable[[], Any]) -> None:
        while not self._over:
            await work()
            await asyncio.sleep(self._rand.uniform(0.005, 0.05))

    async def _read(self) -> None:
        path = self._rand.choice(_READS)
        if self._rand.random() < 0.4:
            path = f"Observation?patient=f{self._rand.randrange(min(len(self.run.refused) + 2, REFUSERS))}"
        await self._ask("GET", f"/t/hospital/{path}", PLAN)

    async def _push(self) -> None:
        self._number += 1
        names = [f"n{self._number}-{part}" for part in range(self._rand.randrange(1, 4))]
        body = transaction(*(observation(name, ROSA) for name in names))
        if await self._ask("POST", "/t/plan/", HOSPITAL, body) == 200:
            self.run.pushed |= set(names)

    async def _refuse(self) -> None:
        """File the refusal of the next patient; acknowledged, it holds from now on, whatever is killed."""
        await asyncio.sleep(0.3)
        number = len(self.run.refused)
        if number == REFUSERS:
            return
        if await self._file(consent(f"f{number}", refusal()["provision"])):
            self.run.refused[number] = time.monotonic()

    async def _file(self, tree: dict[str, Any]) -> bool:
        """File a consent and say whether it was acknowledged."""
        said = {"Authorization": f"Bearer {self._token('officer', 'privacy_officer')}"}
        said["Content-Type"] = "application/fhir+json"
        url = f"{self.gateway.control}/fhir/Consent"
        try:
            async with self._session.post(url, data=json.dumps(tree).encode(), headers=said) as found:
                self.run.requests[f"consent {found.status}"] += 1
                if found.status == 201:
                    self.run.consents.add((await found.json(content_type=None))["id"])
                return found.status == 201
        except (aiohttp.ClientError, TimeoutError):
            self.run.requests["consent without an answer"] += 1
            return False

    async def _ask(self, method: str, path: str, client: str, body: bytes | None = None) -> int:
        said = {"Authorization": f"Bearer {self._token(client)}", "X-Purpose-Of-Use": "HPAYMT"}
        if body is not None:
            said["Content-Type"] = "application/fhir+json"
        began, what = time.monotonic(), "read" if body is None else "push"
        raw, status, request = b"", 0, ""
        try:
            async with self._session.request(method, self.gateway.data + path, data=body, headers=said) as found:
                request = found.headers.get("X-Request-Id", "")
                async for part in found.content.iter_any():
                    raw += part
                status = found.status
        except (aiohttp.ClientError, TimeoutError):
            pass
        self.run.requests[f"{what} {status}" if status else f"{what} without an answer"] += 1
        self._hold(raw, status, request, began, path)
        return status

    def _token(self, client: str, *roles: str) -> str:
        at = clock.now()
        return development_token(
            self.gateway.key, client_id=client, audience=AUDIENCE, at=at, purposes=None, roles=list(roles)
        )

    # Promises -------------------------------------------------------------------------------------------------------
    def _hold(self, raw: bytes, status: int, request: str, began: float, path: str) -> None:
        """Rule 1, and keep for rule 3 which records an answer has; one that broke off has what can be seen of it."""
        if any(spelling in raw for spelling in _SECRETS):
            self.run.broken.append(f"{path}: {status} tells of what is withheld; the server: {self.upstream.way}")
        for number, since in self.run.refused.items():
            if since < began and f"told by f{number} alone".encode() in raw:
                self.run.broken.append(f"f{number} had refused before the request began")
        if status in {0, 200} and raw and b'"resourceType":"OperationOutcome"' not in raw[:60]:
            self.run.read.setdefault(request, set()).update(_records(raw))
        if status == 500:
            self.run.broken.append("an answer 500")

    async def _hold_consents(self) -> None:
        said = {"Authorization": f"Bearer {self._token('officer', 'privacy_officer')}"}
        for id_ in self.run.consents:
            async with self._session.get(f"{self.gateway.control}/fhir/Consent/{id_}", headers=said) as found:
                if found.status != 200:
                    self.run.broken.append("an acknowledged consent is gone")

    async def _hold_ledger(self) -> None:
        ledger = await SqliteLedger.open(self._folder / "ledger.sqlite")
        attempts: list[Attempt] = []
        while page := await ledger.attempts(attempts[-1].completed if attempts else 0, 500):
            attempts += page
        found = await ledger.verify()
        await ledger.close()
        self.run.intents = len(attempts)
        self.run.unknown = sum(one.completion is not None and one.completion.detail == "recovered" for one in attempts)
        if found.broken is not None:
            self.run.broken.append("the ledger's chain does not verify")
        with closing(sqlite3.connect(self._folder / "ledger.sqlite")) as file:
            left = file.execute("SELECT count(*) FROM open_intents").fetchone()[0]
        if left:
            self.run.broken.append(f"{left} intents were left open")
        named: dict[str, set[str]] = {}
        pushed: set[str] = set()
        for one in attempts:
            account = one.intent.account
            records = {name for each in account.disclosed for name in each.resources} | set(account.others)
            named.setdefault(one.intent.request_id, set()).update(records)
            pushed |= records if one.intent.direction == "push" else set()
        for request, records in self.run.read.items():
            if request not in named or records - named[request]:
                self.run.broken.append(f"an answer has records without their intent: {sorted(records)[:3]}")
        unnamed = {f"Observation/{name}" for name in self.upstream.received} - pushed
        self.run.broken += [f"{name} was forwarded without an intent" for name in sorted(unnamed)]
        self.run.broken += [
            f"{name} was acknowledged and is not there" for name in self.run.pushed - self.upstream.stored
        ]

    def _hold_log(self) -> None:
        log = self.gateway.log.read_bytes()
        if any(spelling in log for spelling in _SECRETS) or b"Traceback" in log or b"unforeseen" in log:
            self.run.broken.append("the log tells what it must not")


def _records(raw: bytes) -> set[str]:
    """Give `Type/id` of the records of an answer, those of a whole one alone."""
    try:
        tree = json.loads(raw)
    except ValueError:
        return set()
    if tree["resourceType"] != "Bundle":
        return {f"{tree['resourceType']}/{tree['id']}"}
    held = [one["resource"] for one in tree.get("entry", ()) if "resource" in one]
    return {f"{one['resourceType']}/{one['id']}" for one in held}
