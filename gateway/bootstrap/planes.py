"""A gateway put together: both planes, their store and ledger, opened and put away.

Rules of this file
1. What is missing or wrong stops the start; nothing is served on defaults nobody stated.
2. An upstream that answers without credentials is not served unless its route says so (L074).
3. File names in the settings are read from the folder of the settings file.
"""

import gc
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import msgspec

from consent_store.store import ConsentStore, StoreUnavailable
from gateway import clock
from gateway.bootstrap.consults import ConsultedRoute
from gateway.bootstrap.files import known_codes, text_of
from gateway.bootstrap.house import House
from gateway.bootstrap.stores import open_consents
from gateway.control.app import Deps, control_app
from gateway.errors import ProfileError, Unavailable
from gateway.facts.answer import answer
from gateway.facts.explain import explain
from gateway.facts.label_writing import label_answer
from gateway.identity.tokens import FetchedKeys, FixedKeys, Keys, Verifier
from gateway.ledger.model import Ledger
from gateway.ledger.sqlite import SqliteLedger
from gateway.proxy.alerts import Purposes
from gateway.proxy.app import DataPlane
from gateway.proxy.cursor import KEY_BYTES, Cursors
from gateway.proxy.gate import Gate, GatedConsentStore
from gateway.proxy.live import Services
from gateway.proxy.outcomes import outcome
from gateway.proxy.telemetry import Telemetry
from gateway.proxy.upstream import Openness, new_session, whole
from gateway.settings import Issuer, Settings
from gateway.settings_reading import parse_settings

T = TypeVar("T")
_KEY_SET_BYTES = 1 << 20


class Planes(msgspec.Struct, frozen=True):
    """A gateway that is set up: the two ASGI applications."""

    data: DataPlane
    control: Any  # FastAPI


@asynccontextmanager
async def build(settings: Settings, folder: Path = Path()) -> AsyncIterator[Planes]:
    """Set a gateway up by its settings, whose file names are read from `folder`, and put it away at the end.

    Raises ProfileError for what is wrong with what the operator wrote, or an upstream that is open to everybody;
    StoreUnavailable and LedgerUnavailable where a file cannot be opened.
    """
    if settings.workers > 1:
        raise ProfileError("`workers`: this version serves by one process; set it to 1")
    async with AsyncExitStack() as held:
        limits = settings.limits
        upstreams = await held.enter_async_context(
            new_session(limits.upstream_connections, limits.upstream_connect_s, limits.upstream_answer_s)
        )
        house = House(settings, folder, upstreams)
        for openness in [await proof.ask() for proof in house.proofs.values() if not proof.proven]:
            if openness is Openness.OPEN:
                raise ProfileError("an upstream answers without credentials; close it, or allow it on its routes")
        consents = await open_consents(settings, folder, house.bases, upstreams)
        held.push_async_callback(consents.close)
        ledger = await SqliteLedger.open(folder / settings.ledger)
        held.push_async_callback(ledger.close)
        await ledger.recover(clock.now())
        keys = await held.enter_async_context(new_session(4, limits.upstream_connect_s, limits.upstream_answer_s))
        verifier = Verifier(
            [(issuer, _keys(issuer, folder, keys)) for issuer in settings.issuers], clock.now, limits.clock_skew_s
        )
        gate, telemetry = Gate(), Telemetry()
        services = Services(
            verifier=verifier,
            consents=consents,
            ledger=ledger,
            cursors=Cursors(secrets.token_bytes(KEY_BYTES), clock.now),
            gate=gate,
            telemetry=telemetry,
            purposes=Purposes(),
            clock=clock.now,
            limits=limits,
            ready=lambda: _ready(consents, ledger, house),
        )
        control = control_app(
            Deps(
                verifier=verifier,
                directory=lambda: house.live.directory,
                consents=GatedConsentStore(consents, gate),
                sources=house.bases,
                known=known_codes(),
                ledger=ledger,
                clock=clock.now,
                outcome=outcome,
                decide=lambda question: answer(question, house.shelf),
                explain=lambda question, records: explain(question, house.shelf, records),
                label=lambda raw, profile, lines: label_answer(
                    raw, house.shelf, profile, house.live.directory, lines=lines
                ),
                reload=house.reload,
                ready=services.ready,
                metrics=telemetry.registry,
                base_url=f"http://{settings.control_plane.host}:{settings.control_plane.port}",
                consulted=_consulted(settings, house, services),
                question_bytes=limits.body_bytes,
            )
        )
        gc.collect()
        gc.freeze()
        yield Planes(DataPlane(lambda: house.live, services), control)


def _consulted(settings: Settings, house: House, services: Services) -> ConsultedRoute | None:
    """Give the route that consent consults are about, None where none is set."""
    if not settings.consults:
        return None
    tenant, _, name = settings.consults.partition("/")
    return ConsultedRoute(lambda: house.live.doors[tenant, name], services)


def _keys(issuer: Issuer, folder: Path, session: aiohttp.ClientSession) -> Keys:
    if issuer.jwks_file:
        try:
            return FixedKeys(text_of(folder / issuer.jwks_file))
        except ValueError:
            raise ProfileError(f"`{issuer.jwks_file}` holds no usable key") from None

    async def fetch(url: str) -> bytes:
        async with session.get(url, allow_redirects=False, headers={"Accept": "application/json"}) as response:
            if response.status != 200:
                raise ValueError("no key set")
            return await whole(response, _KEY_SET_BYTES)

    return FetchedKeys(issuer.jwks_url, fetch, clock.now)


async def _ready(consents: ConsentStore, ledger: Ledger, house: House) -> Mapping[str, bool]:
    """Tell what works: the consent store, the ledger, and that every upstream is closed to strangers."""
    return {
        "consents": await _works(consents.snapshot(())),
        "ledger": await _works(ledger.attempts(0, 1)),
        "upstreams": all(proof.proven for proof in house.proofs.values()),
    }


async def _works(call: Awaitable[object]) -> bool:
    try:
        await call
    except (StoreUnavailable, Unavailable):
        return False
    return True


def ledger_file(config: Path) -> Path:
    """Give the ledger that a settings file names. Raises ProfileError where there is none."""
    path = config.resolve().parent / parse_settings(text_of(config), config.name).ledger
    if not path.exists():
        raise ProfileError("the ledger that the settings name is not there")
    return path


async def with_ledger(path: Path, ask: Callable[[Ledger], Awaitable[T]]) -> T:
    """Open a ledger, ask it, and close it. Raises LedgerUnavailable."""
    ledger = await SqliteLedger.open(path)
    try:
        return await ask(ledger)
    finally:
        await ledger.close()
