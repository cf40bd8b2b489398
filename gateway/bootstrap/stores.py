"""Which consent store the settings name, opened. A driver's own library is imported only where it is chosen."""

from collections.abc import Mapping
from pathlib import Path

import aiohttp

from consent_store.fetching import AiohttpFetch
from consent_store.memory import MemoryConsentStore
from consent_store.sqlite import SqliteConsentStore
from consent_store.store import ConsentStore
from consent_store.upstream import FhirServer, UpstreamConsentStore
from gateway.bootstrap.files import text_of
from gateway.bootstrap.house import authorization
from gateway.proxy.telemetry import LOGGER
from gateway.settings import Settings, secret


async def open_consents(
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
                told.url if isinstance(told.url, str) else secret(told.url, lambda name: text_of(folder / name)),
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
            authorization=authorization(route.credentials, folder),
            most=limits.body_bytes,
            answer_s=limits.upstream_answer_s,
        )
        server = FhirServer(
            base=route.upstream,
            fetch=fetch,
            own_bases=bases[route.source],
            aliases=route.upstream_aliases,
            by_identifier=settings.consents.by_identifier,
        )
        servers.setdefault(route.source, server)
    return servers
