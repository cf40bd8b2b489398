"""What is read at the start and again at a reload: directory and profiles become one Live.

Rules of this file
1. Everything is compiled whole, then swapped as one value (L100); an error leaves what was.
2. The control plane answers from the policies that the routes serve by.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from zoneinfo import ZoneInfo

import aiohttp
import msgspec

from gateway import clock
from gateway.bootstrap.files import Toolmaker, offers_of, read_profiles, read_reading, read_shelf, text_of
from gateway.decision.bench import Tools
from gateway.directory.lookups import classified, sources_of
from gateway.directory.model import Directory
from gateway.directory.reading import parse_directory
from gateway.errors import ProfileError
from gateway.facts.answer import Shelf
from gateway.fhir.references import parse_base
from gateway.fhir.search_offers import Offers
from gateway.fhir.strict import Limits
from gateway.identity.caller import check_clients
from gateway.policy.model import Policy
from gateway.policy.reading import ProfileText, read_policy
from gateway.proxy.abilities import Abilities
from gateway.proxy.capability import capability_statement
from gateway.proxy.live import Door, Live, Proof
from gateway.proxy.surface import surface_of
from gateway.proxy.upstream import Upstream, basic
from gateway.release.projection import Projector
from gateway.settings import Credentials, Route, Settings, secret


class House:
    """What is read from files, and read again at a reload: directory and profiles become one Live (L100). What the
    servers say that they can is asked for again too."""

    def __init__(self, settings: Settings, folder: Path, session: aiohttp.ClientSession) -> None:
        self.settings, self.folder = settings, folder
        self.bases = {
            source: frozenset(
                url
                for route in settings.routes
                if route.source == source
                for url in (route.upstream, *route.upstream_aliases, route.public_url)
            )
            for source in {route.source for route in settings.routes}
        }
        most = settings.limits.body_bytes
        self.upstreams = {
            (route.tenant, route.name): Upstream(
                session,
                route.upstream,
                authorization=authorization(route.credentials, folder),
                most=most,
                aliases=route.upstream_aliases,
            )
            for route in settings.routes
        }
        self.proofs = {
            (route.tenant, route.name): Proof(
                self.upstreams[route.tenant, route.name], clock.now, allowed=route.allow_open_upstream
            )
            for route in settings.routes
        }
        self._limits = Limits(size=most, depth=settings.limits.json_depth)
        self._reloading = asyncio.Lock()
        self.live, self.shelf = self._read()

    async def reload(self) -> str:
        """Read directory and profiles again, beside what is being served, and serve by them from the next request on.

        Gives the directory's revision. Raises ProfileError: then everything stays as it was. One reload at a time.
        """
        async with self._reloading:
            self.live, self.shelf = await asyncio.to_thread(self._read)
        return self.live.directory.revision

    def _read(self) -> tuple[Live, Shelf]:
        settings, make = self.settings, Toolmaker()
        folders = [self.folder / name for name in settings.profiles]
        texts = read_profiles(folders)
        policies = _policies(settings, texts)
        types = frozenset().union(*(policy.types for policy in policies.values()))
        words = {word: held for policy in policies.values() for word, held in policy.data_words.items()}
        directory = parse_directory(text_of(self.folder / settings.directory), settings.directory, types, words=words)
        check_clients(directory, settings.issuers)
        if strange := sources_of(directory) - set(self.bases):
            raise ProfileError(f"{settings.directory}: no route has the source `{min(strange)}`")
        different = {policy.digest: policy for policy in policies.values()}
        tools = {digest: make(policy) for digest, policy in different.items()}
        offers = {digest: offers_of(policy, tools[digest].elements) for digest, policy in different.items()}
        known = {digest: classified(directory, policy.kinds_of) for digest, policy in different.items()}
        doors = {}
        for route in settings.routes:
            name, policy = (route.tenant, route.name), policies[route.tenant, route.name]
            doors[name] = self._door(route, known[policy.digest], policy, tools[policy.digest], offers[policy.digest])
        return Live(directory, doors), _as_served(read_shelf(folders), policies.values(), settings.zone, make)

    def _door(
        self, route: Route, directory: Directory, policy: Policy, tools: Tools, offers: tuple[Offers, Offers]
    ) -> Door:
        owner = directory.participants.get(route.owner)
        if owner is None:
            raise ProfileError(f"route `{route.tenant}/{route.name}`: no participant `{route.owner}` in the directory")
        if unknown := route.history - tools.elements.resources:
            raise ProfileError(f"route `{route.tenant}/{route.name}`: history names no type of R4: {min(unknown)}")
        whole_offers, part_offers = offers
        upstream = self.upstreams[route.tenant, route.name]
        abilities = Abilities(upstream, self._limits)
        surface = surface_of(route, owner, policy, Projector(tools.elements, read_reading()), abilities)
        return Door(
            route=route,
            owner=owner,
            directory=directory,
            policy=policy,
            tools=tools,
            upstream=upstream,
            proof=self.proofs[route.tenant, route.name],
            own=frozenset(map(parse_base, (route.upstream, *route.upstream_aliases, route.public_url))),
            bases=self.bases,
            whole_offers=whole_offers,
            part_offers=part_offers,
            surface=surface,
            capability=capability_statement(route.public_url, part_offers, surface, version("consent-gateway")),
        )


def _policies(settings: Settings, texts: Mapping[str, ProfileText]) -> dict[tuple[str, str], Policy]:
    """Give the policy of each route; routes that choose alike share one."""
    compiled: dict[tuple[str, frozenset[tuple[str, bool]]], Policy] = {}
    for route in settings.routes:
        chosen = (route.profile, frozenset(route.switches.items()))
        if chosen not in compiled:
            compiled[chosen] = _zoned(read_policy(route.profile, texts, ZoneInfo, route.switches), settings.zone)
    return {
        (route.tenant, route.name): compiled[route.profile, frozenset(route.switches.items())]
        for route in settings.routes
    }


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


def authorization(credentials: Credentials, folder: Path) -> str:
    """Give the Authorization header that an upstream is asked with, or none. Raises ProfileError: empty secret."""
    if credentials.secret is None:
        return ""
    text = secret(credentials.secret, lambda name: text_of(folder / name))
    return basic(credentials.username, text) if credentials.kind == "basic" else f"Bearer {text}"
