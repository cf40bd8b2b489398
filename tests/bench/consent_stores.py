"""How long a page's consents take from each driver, paired in one run: `python -m tests.bench.consent_stores`.

Every round asks each driver in turn, so that all see the same machine; medians of the rounds are printed, in
milliseconds. The server is a real one on this machine, over TCP, fsync at every write.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from consent_store.memory import MemoryConsentStore
from consent_store.model import PatientKey
from consent_store.redis import RedisConsentStore
from consent_store.sqlite import SqliteConsentStore
from consent_store.store import ConsentStore, Subject
from tests.consents import permit, r4, text
from tests.redis_server import running

PATIENTS, EACH = 200, 4
PAGES = (1, 10, 50)
# A Consent of some two kilobytes, as a form with three exceptions makes it.
BODY = permit(provision=[permit(type="deny") for _ in range(12)])


async def fill(store: ConsentStore) -> float:
    """Store every patient's consents, and give the milliseconds of one write."""
    began = time.perf_counter()
    for patient in range(PATIENTS):
        for number in range(EACH):
            tree = r4(id=f"c{patient}-{number}", patient={"reference": f"Patient/{patient}"}, provision=BODY)
            await store.put("ehr", text(tree), fhir_version="4.0", at="2025-03-01T09:00:00Z", expect=None)
    return (time.perf_counter() - began) * 1000 / PATIENTS / EACH


async def spent(ask: Callable[[], Awaitable[object]]) -> float:
    """The milliseconds of one question."""
    began = time.perf_counter()
    await ask()
    return (time.perf_counter() - began) * 1000


async def measure(stores: dict[str, ConsentStore], rounds: int) -> None:
    """Print the table."""
    for name, store in stores.items():
        sys.stdout.write(f"{name:>8}  put {await fill(store):8.3f}\n")
    for page in PAGES:
        times: dict[tuple[str, str], list[float]] = {}
        for turn in range(rounds):
            who = [Subject(PatientKey("ehr", str((turn * 7 + one) % PATIENTS))) for one in range(page)]
            for name, store in stores.items():
                times.setdefault((name, "snapshot"), []).append(await spent(lambda s=store, w=who: s.snapshot(w)))
                times.setdefault((name, "revisions"), []).append(await spent(lambda s=store, w=who: s.revisions(w)))
        for (name, what), taken in times.items():
            high = statistics.quantiles(taken, n=20)[-1]
            line = f"{name:>8}  {what:9} {page:3} patients  p50 {statistics.median(taken):7.3f}  p95 {high:7.3f}"
            sys.stdout.write(f"{line}\n")


async def main(rounds: int) -> None:
    """Open the stores and measure them."""
    with tempfile.TemporaryDirectory() as name, running(Path(name) / "redis") as server:
        stores: dict[str, ConsentStore] = {
            "memory": MemoryConsentStore(),
            "sqlite": await SqliteConsentStore.open(Path(name) / "consents.sqlite"),
            "redis": await RedisConsentStore.open(server.url),
        }
        await measure(stores, rounds)
        for store in stores.values():
            await store.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 300))
