"""A process that writes to one store together with others: `DRIVER PLACE NAME TIMES`, and for Redis its `PREFIX`."""

import asyncio
import sys

from consent_store.redis import RedisConsentStore
from consent_store.sqlite import SqliteConsentStore
from consent_store.store import ConsentStore, VersionConflict
from tests.consents import r4, text


async def written(store: ConsentStore, name: str, times: int) -> None:
    """Each time a Consent of its own, and a new version of the one that all of them write."""
    for number in range(times):
        await store.put("ehr", text(r4(id=f"{name}{number}")), fhir_version="4.0", at="2025", expect=None)
        while True:
            current = await store.get("both")
            expect = current.version if current else None
            try:
                await store.put("ehr", text(r4(id="both")), fhir_version="4.0", at="2025", expect=expect)
            except VersionConflict:
                continue
            break


async def main(driver: str, place: str, name: str, times: str, *prefix: str) -> None:
    """Open the store, write, close it."""
    opened = SqliteConsentStore.open(place) if driver == "sqlite" else RedisConsentStore.open(place, prefix=prefix[0])
    store = await opened
    await written(store, name, int(times))
    await store.close()


async def together(folder, times: int, driver: str, place: str, *prefix: str) -> list[int]:
    """Start three of these processes at once, `x`, `y` and `z`, and give how each ended."""
    command = [sys.executable, "-m", "tests.contract.writing_process", driver, place]
    running = [await asyncio.create_subprocess_exec(*command, name, str(times), *prefix, cwd=folder) for name in "xyz"]
    return await asyncio.gather(*(one.wait() for one in running))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
