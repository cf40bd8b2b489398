"""What a request is carried out with: the value it starts and ends with (Live), and what lasts over reloads (Services).

Rules of this file
1. A request takes one Live and keeps it; a reload swaps the whole value, never a part (leaks.md L100).
2. An upstream is used only once it was seen to refuse those without credentials, or the operator said it need not
   (L074).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol

import msgspec

from consent_store.store import ConsentStore
from gateway.clock import Clock
from gateway.decision.bench import Tools
from gateway.directory.model import Directory, Participant
from gateway.errors import UpstreamFault
from gateway.fhir.references import Base
from gateway.fhir.search_offers import Offers
from gateway.identity.tokens import Claims
from gateway.ledger.model import Ledger
from gateway.policy.model import Policy
from gateway.proxy.alerts import Purposes
from gateway.proxy.cursor import Cursors
from gateway.proxy.gate import Gate
from gateway.proxy.surface import Surface
from gateway.proxy.telemetry import LOGGER, Telemetry
from gateway.proxy.upstream import Openness, Upstream
from gateway.settings import Limits, Route

_BETWEEN_PROBES: Final = timedelta(seconds=1)


class Verifier(Protocol):
    """Turns a token's text into verified claims (`gateway.identity.tokens.Verifier`)."""

    async def verify(self, token: str) -> Claims:
        """Raises Unauthenticated, Unavailable."""
        ...


class Proof:
    """Whether one upstream was seen to be closed to everyone without credentials. `allowed` = it may be open."""

    def __init__(self, upstream: Upstream, clock: Clock, *, allowed: bool) -> None:
        self._upstream, self._clock = upstream, clock
        self.proven = allowed
        self._tried: datetime | None = None
        self._one = asyncio.Lock()

    async def ask(self) -> Openness:
        """Ask the upstream now and keep what is proven."""
        openness = await self._upstream.openness()
        self.proven = self.proven or openness is Openness.CLOSED
        if openness is Openness.OPEN and not self.proven:
            LOGGER.error("an upstream answers without credentials; its routes are not served")
        return openness

    async def require(self) -> None:
        """Return once the upstream is proven closed. Raises UpstreamFault as long as it is not."""
        if self.proven:
            return
        async with self._one:
            if self._due():
                await self.ask()
        if not self.proven:
            raise UpstreamFault

    def _due(self) -> bool:
        now = self._clock()
        if self.proven or (self._tried is not None and now - self._tried < _BETWEEN_PROBES):
            return False
        self._tried = now
        return True


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """One route, ready to serve: whose data, under which policy, where they are."""

    route: Route
    owner: Participant
    directory: Directory  # as this policy sees it: which types are Part 2 programs
    policy: Policy
    tools: Tools
    upstream: Upstream
    proof: Proof
    own: frozenset[Base]  # whose absolute references are this server's: the upstream's base and ours
    bases: Mapping[str, frozenset[str]]  # the base URLs of every server that is served, by source
    whole_offers: Offers  # searches of callers that get a record whole or not at all
    part_offers: Offers  # searches of all others: none that rests on an element that may be withheld alone (L016)
    surface: Surface  # what is offered besides searches
    capability: bytes

    @property
    def name(self) -> str:
        """The route as logs and cursors name it."""
        return f"{self.route.tenant}/{self.route.name}"

    def offers(self, participant_type: str) -> Offers:
        """Give the searches offered to callers of a type."""
        whole = self.policy.kinds_of(participant_type) & self.policy.parts.whole_for
        return self.whole_offers if whole else self.part_offers


class Live(msgspec.Struct, frozen=True):
    """See rule 1. `doors` by tenant and route."""

    directory: Directory
    doors: Mapping[tuple[str, str], Door]


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What lasts as long as the process. `ready` tells by name what works."""

    verifier: Verifier
    consents: ConsentStore
    ledger: Ledger
    cursors: Cursors
    gate: Gate
    telemetry: Telemetry
    purposes: Purposes
    clock: Clock
    limits: Limits
    ready: Callable[[], Awaitable[Mapping[str, bool]]]
