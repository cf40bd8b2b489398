"""HAPI FHIR JPA (R4, H2 in memory) as a process of its own: started, filled in phases, asked directly, stopped.

What Maven brought is in build/hapi (`make e2e` sees to it); how it runs and what it takes: docs/decisions/0004-hapi.md.
"""

import json
import os
import secrets
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

FHIR_JSON = "application/fhir+json"
USER = "gateway"
# One instance starts in 512 MiB of heap with room for several thousand resources; see the decision.
JAVA = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error")
STARTS_WITHIN = 300
_MOST = 100  # entries of one transaction
# A reference to what is not there yet is stored and never found again by a search, so what is named comes first.
PHASES = (
    ("Organization", "Location", "Practitioner", "PractitionerRole", "Medication", "Device"),
    ("Patient", "RelatedPerson", "Group"),
    ("Encounter", "Coverage", "CareTeam"),
)


class Loaded(NamedTuple):
    """How many resources a load brought, and the seconds it took."""

    resources: int
    seconds: float


class Hapi:
    """A server that is up. `base` is its FHIR base; who knows `authorization` is let in; `started` took so many s."""

    def __init__(self, base: str, password: str, requests: Path, process: subprocess.Popen[str]) -> None:
        self.base, self.password, self.started = base, password, 0.0
        self.authorization = "Basic " + b64encode(f"{USER}:{password}".encode()).decode()
        self._requests, self._process = requests, process
        self.client = httpx2.Client(
            headers={"Authorization": self.authorization, "Accept": FHIR_JSON}, timeout=120, trust_env=False
        )

    @property
    def requests(self) -> list[str]:
        """Every request that was let in so far, as `METHOD path?query`, the tests' own among them."""
        return self._requests.read_text().splitlines() if self._requests.exists() else []

    @property
    def memory(self) -> int:
        """Bytes of memory the process has in use now (Linux)."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))

    def get(self, path: str) -> Any:
        """Give what stands at a path beneath the base, or at a URL of this server. Raises HTTPStatusError."""
        url = path if path.startswith("http") else f"{self.base}/{path}"
        return self.client.get(url).raise_for_status().json()

    def text(self, type_: str, id_: str) -> bytes | None:
        """Give the exact text of one resource, None where it is not there."""
        answer = self.client.get(f"{self.base}/{type_}/{id_}")
        return None if answer.status_code in {404, 410} else answer.raise_for_status().content

    def ids(self, search: str) -> set[str]:
        """Give `Type/id` of every match of a search, all its pages."""
        found: set[str] = set()
        url = search
        while url:
            page = self.get(url)
            found |= {f"{one['resource']['resourceType']}/{one['resource']['id']}" for one in page.get("entry", ())}
            url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
        return found

    def load(self, resources: Iterable[bytes]) -> Loaded:
        """Store resources under their own ids, in phases, as transactions of PUTs; each one's text goes as it is.

        Raises RuntimeError where HAPI does not take one.
        """
        began = time.monotonic()
        texts = {(head["resourceType"], head["id"]): text for text in resources for head in [json.loads(text)]}
        for phase in _phases(texts):
            for start in range(0, len(phase), _MOST):
                self._put(phase[start : start + _MOST])
        return Loaded(len(texts), time.monotonic() - began)

    def hold(self, resources: Iterable[bytes]) -> None:
        """Hold these resources and no others, as if nothing had been there before. Raises HTTPStatusError."""
        everything = {"resourceType": "Parameters", "parameter": [{"name": "expungeEverything", "valueBoolean": True}]}
        headers = {"Content-Type": FHIR_JSON}
        self.client.post(f"{self.base}/$expunge", content=json.dumps(everything), headers=headers).raise_for_status()
        self.load(resources)

    def put_xml(self, place: str, text: bytes) -> None:
        """Store a resource that is given as XML; from then on HAPI gives it as JSON. Raises HTTPStatusError."""
        headers = {"Content-Type": "application/fhir+xml"}
        self.client.put(f"{self.base}/{place}", content=text, headers=headers).raise_for_status()

    def _put(self, named: list[tuple[str, bytes]]) -> None:
        entries = [
            b'{"fullUrl":"%s/%s","resource":%s,"request":{"method":"PUT","url":"%s"}}'
            % (self.base.encode(), place.encode(), text, place.encode())
            for place, text in named
        ]
        bundle = b'{"resourceType":"Bundle","type":"transaction","entry":[%s]}' % b",".join(entries)
        answer = self.client.post(self.base, content=bundle, headers={"Content-Type": FHIR_JSON})
        if answer.status_code != 200:
            raise RuntimeError(f"HAPI answered {answer.status_code} to {named[0][0]} and more: {answer.text[:500]}")


def _phases(texts: Mapping[tuple[str, str], bytes]) -> Iterator[list[tuple[str, bytes]]]:
    """Part resources into phases, each as `Type/id` and its text."""
    left = dict(texts)
    for types in PHASES:
        yield [("/".join(name), left.pop(name)) for name in list(left) if name[0] in types]
    yield [("/".join(name), text) for name, text in left.items()]


@contextmanager
def hapi(repository: Path, folder: Path) -> Iterator[Hapi]:
    """Run one instance while the block lasts; `folder` takes its log. Raises RuntimeError where it does not start."""
    made = repository / "build" / "hapi"
    if not (made / "classpath").exists():
        raise RuntimeError("HAPI is not there yet: `make e2e` has Maven bring it")
    password, requests = secrets.token_urlsafe(24), folder / "hapi-requests"
    command = ["java", *JAVA, f"-De2e.requests={requests}", "-cp", _classpath(made), "e2e.Hapi"]
    began = time.monotonic()
    with (folder / "hapi-errors").open("w") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | {"E2E_CREDENTIALS": f"{USER}:{password}"},
        )
    watch = threading.Timer(STARTS_WITHIN, process.kill)
    watch.start()
    try:
        port = _port(process, folder / "hapi-errors")
        server = Hapi(f"http://127.0.0.1:{port}/fhir", password, requests, process)
        with server.client:
            server.get("metadata")
            server.started = time.monotonic() - began
            watch.cancel()
            yield server
    finally:
        watch.cancel()
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _classpath(made: Path) -> str:
    return f"{made / 'classes'}{os.pathsep}{(made / 'classpath').read_text().strip()}"


def _port(process: subprocess.Popen[str], errors: Path) -> int:
    for line in process.stdout or ():
        if line.startswith("listening "):
            return int(line.split()[1])
    raise RuntimeError(f"HAPI does not start: {errors.read_text()[-2000:]}")
