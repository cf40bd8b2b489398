"""Where everything is put together: the only file that knows every concrete class and reads configuration files.

Rules of this file
1. Profiles, code lists and tables are read once, compiled whole, then swapped as one value (L100).
2. What is missing or wrong stops the start; nothing is served on defaults nobody stated.
3. An upstream that answers without credentials is not served unless its route says so (L074).
4. File names in the settings are read from the folder of the settings file.
"""

import asyncio
import gc
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import aiohttp
import msgspec
import uvicorn
import uvloop

from consent_store.fetching import AiohttpFetch
from consent_store.memory import MemoryConsentStore
from consent_store.model import ACT_CODE, ACT_REASON
from consent_store.sqlite import SqliteConsentStore
from consent_store.store import ConsentStore, StoreUnavailable
from consent_store.upstream import FhirServer, UpstreamConsentStore
from consent_store.validate import KnownCodes
from gateway import clock
from gateway.control.app import Deps, control_app
from gateway.decision.bench import Tools
from gateway.directory.model import Directory
from gateway.directory.reading import parse_directory
from gateway.errors import ProfileError, Unavailable
from gateway.facts.answer import Shelf, answer
from gateway.facts.label_writing import label_answer
from gateway.fhir import v3_tables as v3
from gateway.fhir.elements import Elements
from gateway.fhir.references import parse_base
from gateway.fhir.search_offers import Offers, resting_on
from gateway.identity.caller import check_clients
from gateway.identity.tokens import FetchedKeys, FixedKeys, Keys, Verifier
from gateway.labels.lists import CodeIndex, CodeList, parse_code_list
from gateway.labels.rules import label_rules
from gateway.labels.terms import TermIndex, parse_term_list
from gateway.ledger.model import Ledger
from gateway.ledger.sqlite import SqliteLedger
from gateway.policy.model import Policy
from gateway.policy.reading import ProfileText, read_policy
from gateway.proxy.app import DataPlane
from gateway.proxy.capability import capability_statement
from gateway.proxy.connection import bounded
from gateway.proxy.cursor import KEY_BYTES, Cursors
from gateway.proxy.gate import Gate, GatedConsentStore
from gateway.proxy.live import Door, Live, Proof, Services
from gateway.proxy.outcomes import outcome
from gateway.proxy.telemetry import LOGGER, Telemetry, log_to
from gateway.proxy.upstream import Openness, Upstream, basic, new_session, whole
from gateway.settings import Credentials, Issuer, Route, Settings, parse_settings, secret

T = TypeVar("T")
TERMS = "terms.json"
_KEY_SET_BYTES = 1 << 20


def read_profiles(folders: Iterable[Path] = ()) -> dict[str, ProfileText]:
    """Read the texts of all profiles: those that come with the gateway, then those in the operator's folders.

    Raises ProfileError where an operator's profile takes a name that is taken.
    """
    found: dict[str, ProfileText] = {}
    for root in (files("profiles"), *folders):
        for folder in sorted(root.iterdir(), key=lambda entry: entry.name):
            if not (folder / "profile.yaml").is_file():
                continue
            if folder.name in found:
                raise ProfileError(f"profile `{folder.name}` is there twice")
            found[folder.name] = ProfileText(
                _text(folder / "profile.yaml"),
                _text(folder / "flows.yaml"),
                f"{folder.name}/profile.yaml",
                f"{folder.name}/flows.yaml",
            )
    return found


def read_shelf(folders: Iterable[Path] = (), switches: Mapping[str, Mapping[str, bool]] | None = None) -> Shelf:
    """Compile every profile with its tools. `switches` are the operator's choices by profile. Raises ProfileError."""
    texts = read_profiles(folders)
    chosen = switches or {}
    policies = {name: read_policy(name, texts, ZoneInfo, chosen.get(name)) for name in texts}
    make = _toolmaker()
    return Shelf(policies, {name: make(policy) for name, policy in policies.items()})


def read_directory(path: Path, policy: Policy) -> Directory:
    """Read a directory file on its own, with the participant types of a profile. Raises ProfileError."""
    return parse_directory(_text(path), path.name, policy.types)


def read_case_files(folders: Iterable[Path] = ()) -> list[tuple[str, str]]:
    """Read the case files beside the profiles: (name for messages, text)."""
    roots = (files("profiles"), *folders)
    found = [file for root in roots for folder in root.iterdir() if folder.is_dir() for file in folder.iterdir()]
    return [(file.name, _text(file)) for file in found if file.name.endswith("_test.yaml")]


def write_private(path: Path, text: str) -> None:
    """Write a secret where only its owner can read it. Raises FileExistsError rather than replacing one."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


# The gateway, put together -----------------------------------------------------------------------------------------
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
        house = _House(settings, folder, upstreams)
        for openness in [await proof.ask() for proof in house.proofs.values() if not proof.proven]:
            if openness is Openness.OPEN:
                raise ProfileError("an upstream answers without credentials; close it, or allow it on its routes")
        consents = await _consents(settings, folder, house.bases, upstreams)
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
                label=lambda raw, profile, lines: label_answer(
                    raw, house.shelf, profile, house.live.directory, lines=lines
                ),
                reload=house.reload,
                ready=services.ready,
                metrics=telemetry.registry,
                base_url=f"http://{settings.control_plane.host}:{settings.control_plane.port}",
                question_bytes=limits.body_bytes,
            )
        )
        gc.collect()
        gc.freeze()
        yield Planes(DataPlane(lambda: house.live, services), control)


class _House:
    """What is read from files, and read again at a reload: directory and profiles become one Live (L100)."""

    def __init__(self, settings: Settings, folder: Path, session: aiohttp.ClientSession) -> None:
        self.settings, self.folder = settings, folder
        self.bases = {
            source: frozenset(
                url for route in settings.routes if route.source == source for url in (route.upstream, route.public_url)
            )
            for source in {route.source for route in settings.routes}
        }
        most = settings.limits.body_bytes
        self.upstreams = {
            (route.tenant, route.name): Upstream(
                session, route.upstream, authorization=_authorization(route.credentials, folder), most=most
            )
            for route in settings.routes
        }
        self.proofs = {
            (route.tenant, route.name): Proof(
                self.upstreams[route.tenant, route.name], clock.now, allowed=route.allow_open_upstream
            )
            for route in settings.routes
        }
        self.live, self.shelf = self._read()

    async def reload(self) -> str:
        """Read directory and profiles again and serve by them from the next request on. Gives the directory's revision.

        Raises ProfileError: then everything stays as it was.
        """
        self.live, self.shelf = self._read()
        return self.live.directory.revision

    def _read(self) -> tuple[Live, Shelf]:
        settings, make = self.settings, _Toolmaker()
        folders = [self.folder / name for name in settings.profiles]
        texts = read_profiles(folders)
        policies = {
            (route.tenant, route.name): _zoned(
                read_policy(route.profile, texts, ZoneInfo, route.switches), settings.zone
            )
            for route in settings.routes
        }
        types = frozenset().union(*(policy.types for policy in policies.values()))
        directory = parse_directory(_text(self.folder / settings.directory), settings.directory, types)
        check_clients(directory, settings.issuers)
        tools = {policy.digest: make(policy) for policy in policies.values()}
        doors = {}
        for route in settings.routes:
            name, policy = (route.tenant, route.name), policies[route.tenant, route.name]
            doors[name] = self._door(route, directory, policy, tools[policy.digest])
        return Live(directory, doors), _as_served(read_shelf(folders), policies.values(), settings.zone, make)

    def _door(self, route: Route, directory: Directory, policy: Policy, tools: Tools) -> Door:
        owner = directory.participants.get(route.owner)
        if owner is None:
            raise ProfileError(f"route `{route.tenant}/{route.name}`: no participant `{route.owner}` in the directory")
        removable = {name: {*rule.remove, *rule.always} for name, rule in policy.parts.types.items()}
        part_offers = Offers(
            tools.elements,
            no_patient_types=policy.no_patient_types,
            refused=resting_on(removable, tools.elements),
        )
        return Door(
            route=route,
            owner=owner,
            policy=policy,
            tools=tools,
            upstream=self.upstreams[route.tenant, route.name],
            proof=self.proofs[route.tenant, route.name],
            own=frozenset({parse_base(route.upstream), parse_base(route.public_url)}),
            whole_offers=Offers(tools.elements, no_patient_types=policy.no_patient_types),
            part_offers=part_offers,
            capability=capability_statement(route.public_url, part_offers, version("consent-gateway")),
        )


def known_codes() -> KnownCodes:
    """Give the code systems in which the Consent API refuses a code that is not listed (L089)."""
    tables = (v3.COMPARTMENTS, v3.DIRECTIVES, v3.MARKS, v3.OBLIGATIONS, v3.POLICIES, v3.REFRAINS, v3.SENSITIVITIES)
    return KnownCodes({ACT_REASON: frozenset(v3.PURPOSES), ACT_CODE: frozenset().union(*tables)})


def _zoned(policy: Policy, zone: str) -> Policy:
    """Give the policy with the operator's zone, if any, where its profile names none."""
    return msgspec.structs.replace(policy, zone=ZoneInfo(zone)) if zone and policy.zone is None else policy


def _as_served(shelf: Shelf, routes: Iterable[Policy], zone: str, make: Callable[[Policy], Tools]) -> Shelf:
    """Give the shelf that the control plane answers from: each profile as its routes have it. Where routes set its
    switches differently, and for profiles no route has, it is as the profile itself says."""
    policies = {name: _zoned(policy, zone) for name, policy in shelf.policies.items()}
    served = list(routes)
    for policy in served:
        if len({one.digest for one in served if one.name == policy.name}) == 1:
            policies[policy.name] = policy
    return Shelf(policies, {name: make(policy) for name, policy in policies.items()})


async def _consents(
    settings: Settings, folder: Path, bases: Mapping[str, frozenset[str]], session: aiohttp.ClientSession
) -> ConsentStore:
    """Open the consent store that the settings name. Raises StoreUnavailable, ProfileError for an empty secret."""
    told = settings.consents
    match told.driver:
        case "memory":
            return MemoryConsentStore(bases)
        case "sqlite":
            return await SqliteConsentStore.open(folder / told.path, bases)
        case "redis":
            from consent_store.redis import RedisConsentStore  # noqa: PLC0415  half a second, for those who use it

            return await RedisConsentStore.open(
                told.url if isinstance(told.url, str) else secret(told.url, lambda name: _text(folder / name)),
                bases,
                prefix=told.prefix,
                replicas=told.replicas,
                durability_stated=told.durability_stated,
                ca_file=str(folder / told.ca_file) if told.ca_file else "",
            )
        case _:
            return UpstreamConsentStore(_fhir_servers(settings, folder, bases, session), alert=LOGGER.error)


def _fhir_servers(
    settings: Settings, folder: Path, bases: Mapping[str, frozenset[str]], session: aiohttp.ClientSession
) -> Mapping[str, FhirServer]:
    """Give where each source's consents are asked for: its server, with the credentials of its first route."""
    limits, servers = settings.limits, dict[str, FhirServer]()
    for route in settings.routes:
        fetch = AiohttpFetch(
            session,
            authorization=_authorization(route.credentials, folder),
            most=limits.body_bytes,
            answer_s=limits.upstream_answer_s,
        )
        server = FhirServer(
            base=route.upstream,
            fetch=fetch,
            own_bases=bases[route.source],
            by_identifier=settings.consents.by_identifier,
        )
        servers.setdefault(route.source, server)
    return servers


def _authorization(credentials: Credentials, folder: Path) -> str:
    if credentials.secret is None:
        return ""
    text = secret(credentials.secret, lambda name: _text(folder / name))
    return basic(credentials.username, text) if credentials.kind == "basic" else f"Bearer {text}"


def _keys(issuer: Issuer, folder: Path, session: aiohttp.ClientSession) -> Keys:
    if issuer.jwks_file:
        try:
            return FixedKeys(_text(folder / issuer.jwks_file))
        except ValueError:
            raise ProfileError(f"`{issuer.jwks_file}` holds no usable key") from None

    async def fetch(url: str) -> bytes:
        async with session.get(url, allow_redirects=False, headers={"Accept": "application/json"}) as response:
            if response.status != 200:
                raise ValueError("no key set")
            return await whole(response, _KEY_SET_BYTES)

    return FetchedKeys(issuer.jwks_url, fetch, clock.now)


async def _ready(consents: ConsentStore, ledger: Ledger, house: _House) -> Mapping[str, bool]:
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


# Serving ----------------------------------------------------------------------------------------------------
def serve(config: Path) -> None:
    """Serve by a settings file until SIGTERM or SIGINT, then let requests under way finish. Raises ProfileError for
    what is wrong with what the operator wrote, OSError for an address that cannot be taken."""
    log_to(logging.StreamHandler(sys.stdout))
    settings = parse_settings(_text(config), config.name)
    uvloop.run(_serve(settings, config.resolve().parent))


async def _serve(settings: Settings, folder: Path) -> None:
    async with build(settings, folder) as planes:
        servers = [_server(planes.data, settings), _server(planes.control, settings)]
        places = [(settings.data_plane.host, settings.data_plane.port)]
        places.append((settings.control_plane.host, settings.control_plane.port))
        sockets = [_listen(*place) for place in places]
        running = [
            asyncio.create_task(server.serve(sockets=[listener]))
            for server, listener in zip(servers, sockets, strict=True)
        ]
        while not all(  # noqa: ASYNC110  uvicorn tells it by a flag
            server.started or task.done() for server, task in zip(servers, running, strict=True)
        ):
            await asyncio.sleep(0.01)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        addresses = [listener.getsockname()[:2] for listener in sockets]
        LOGGER.info("serving data on %s:%d and control on %s:%d", *addresses[0], *addresses[1])
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([stopped, *running], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*running)


def ledger_file(config: Path) -> Path:
    """Give the ledger that a settings file names. Raises ProfileError where there is none."""
    path = config.resolve().parent / parse_settings(_text(config), config.name).ledger
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


class _Server(uvicorn.Server):
    """Leaves the signals to `_serve`, which stops both planes."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:  # type: ignore[explicit-override]  # typing's is 3.12
        yield


def _server(app: Any, settings: Settings) -> _Server:  # noqa: ANN401  ASGI
    return _Server(
        uvicorn.Config(
            app,
            http=bounded(settings.limits.client_idle_s),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=max(1, round(settings.limits.drain_s)),
        )
    )


def _listen(host: str, port: int) -> socket.socket:
    """Take an address. The protocol is named: without it asyncio leaves TCP_NODELAY unset on what is accepted."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


class _Toolmaker:
    """Makes the tools of a policy from tables that are the same for all of them."""

    def __init__(self) -> None:
        lists = files("profiles") / "codelists"
        self.elements = Elements.from_json((files("profiles") / "fhir" / "elements.json").read_bytes())
        self.codes = CodeIndex(_code_lists(lists))
        self.terms = TermIndex([parse_term_list((lists / TERMS).read_bytes(), TERMS)])

    def __call__(self, policy: Policy) -> Tools:
        return Tools(self.elements, label_rules(policy, self.codes, self.terms))


def _toolmaker() -> _Toolmaker:
    return _Toolmaker()


def _code_lists(folder: Traversable) -> list[CodeList]:
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".json") and entry.name != TERMS)
    return [parse_code_list((folder / name).read_bytes(), name) for name in names]


def _text(file: Traversable | Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ProfileError(f"`{file}` cannot be read") from None
