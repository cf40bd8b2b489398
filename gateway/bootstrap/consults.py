"""The route that consent consults are about, put together from what its door serves by.

Rules of this file
1. What a consult is decided by is the door's: owner, profile, directory, upstream, consent store, gate.
2. An upstream that was not proven closed is not asked (L074).
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import msgspec

from consent_store.model import Identifier
from consent_store.store import Revision, Subject
from gateway.control.access import Access
from gateway.decision.bench import Tools
from gateway.decision.facts import Facts
from gateway.decision.model import Direction, Exchange
from gateway.directory.lookups import attestations_of, attested
from gateway.directory.model import Directory
from gateway.errors import UpstreamFault
from gateway.facts.attested import of_exchange
from gateway.facts.consult import Consult
from gateway.facts.consult_card import Card
from gateway.fhir import strict
from gateway.fhir.bundle import Document
from gateway.fhir.query import build_query
from gateway.fhir.view import ResourceView
from gateway.identity.caller import check_patient
from gateway.ledger.account import account_of
from gateway.ledger.attested import attested_of
from gateway.ledger.model import Intent, Outcome, Story, new_request_id
from gateway.proxy.context import Context, next_of, searchset
from gateway.proxy.gathering import gather
from gateway.proxy.live import Door, Services
from gateway.proxy.sending import complete, unchanged

_PAGES = 20  # of patients with one identifier


class ConsultedRoute:
    """See `gateway.control.consults.Consulted`. `door` gives the route's door as it is served now."""

    def __init__(self, door: Callable[[], Door], services: Services) -> None:
        self._door, self._services = door, services

    @property
    def tools(self) -> Tools:
        """The tables of its profile."""
        return self._door().tools

    @property
    def directory(self) -> Directory:
        """Who is registered."""
        return self._door().directory

    @property
    def _limits(self) -> strict.Limits:
        limits = self._services.limits
        return strict.Limits(size=limits.body_bytes, depth=limits.json_depth)

    def exchange(self, consult: Consult) -> Exchange:
        """Give the exchange as it is to be decided now. Raises Forbidden for a patient of no certain server."""
        door, at = self._door(), self._services.clock()
        check_patient(consult.recipient, door.bases)
        sides = (door.owner.id, consult.recipient.id)
        given = attested(attestations_of(door.directory, sides), sides, consult.purpose, at, door.policy.zone)
        return Exchange(
            discloser=door.owner,
            recipient=consult.recipient,
            initiator=consult.initiator,
            purpose=consult.purpose,
            at=at,
            direction=Direction.READ,
            attested=of_exchange(given),
            attestations=given,
        )

    async def patients(self, identifiers: tuple[Identifier, ...], ids: tuple[str, ...]) -> tuple[ResourceView, ...]:
        """Give the Patient resources of the server with one of these identifiers or ids. Raises UpstreamFault."""
        door = self._door()
        await door.proof.require()
        found = await Context(door, self._limits).take({"Patient": ids}) if ids else {}
        views = list(found.values())
        for one in identifiers:
            views += [view for view in await self._with(one, door) if _has(view, one)]
        return tuple({view.id: view for view in views if view.id}.values())

    async def _with(self, identifier: Identifier, door: Door) -> list[ResourceView]:
        """Give all pages of the patients that the server finds by an identifier."""
        token = "|".join(_escaped(text) for text in (identifier.system or "", identifier.value))
        position: str | None = f"/Patient?{build_query([('identifier', token)]).decode('ascii')}"
        views: list[ResourceView] = []
        for _ in range(_PAGES):
            held = await door.upstream.look(position) if position else None
            if held is None or position is None:
                return views
            bundle = searchset(held, self._limits)
            views += [one.view for one in bundle.entries if one.view is not None and one.view.type == "Patient"]
            position = next_of(bundle, door, position)
        raise UpstreamFault(why="the pages of a search have no end")

    async def gather(self, document: Document, exchange: Exchange) -> Facts:
        """Give the facts on which a document is judged. Raises Unavailable, UpstreamFault."""
        door, context = self._door(), Context(self._door(), self._limits)
        return await gather(document, exchange, context, door, door.directory, self._services.consents)

    def intent(self, exchange: Exchange, access: Access, card: Card, facts: Facts) -> tuple[Intent, Story]:
        """Give what the ledger writes of content that is given back."""
        door = self._door()
        account, story = account_of(card.judgement.decisions if card.judgement is not None else ())
        marks = {f"{one.key.source}|{one.key.id}": revision.mark for one, revision in facts.revisions.items()}
        named = {f"{one.patient.source}|{one.patient.id}" for one in account.disclosed}
        stated, of_each = attested_of(exchange.attestations, facts.revisions, account, story)
        person = exchange.initiator.reference if exchange.initiator is not None else None
        intent = Intent(
            request_id=new_request_id(),
            at=exchange.at,
            tenant=door.route.tenant,
            route=door.route.name,
            interaction="consent-consult",
            direction=exchange.direction.value,
            issuer=access.issuer,
            client=access.client_id,
            token_id=access.token_id,
            initiator=person or "",
            discloser=exchange.discloser.id,
            recipient=exchange.recipient.id,
            purpose=exchange.purpose,
            profile=door.policy.name,
            profile_digest=door.policy.digest,
            directory_revision=door.directory.revision,
            consent_revisions={name: mark for name, mark in marks.items() if name in named},
            public_url=door.route.public_url,
            attested=stated,
            account=account,
        )
        return intent, msgspec.structs.replace(story, consent_revisions=marks, attested=of_each)

    async def unchanged(self, revisions: Mapping[Subject, Revision]) -> bool:
        """Say whether these consents are still current. Raises Unavailable."""
        return await unchanged(revisions, self._services)

    def passing(self) -> AbstractContextManager[None]:
        """Hold writes of consents back while an answer begins."""
        return self._services.gate.passing()

    async def complete(self, sequence: int, outcome: Outcome, status: int, size: int) -> None:
        """Write what became of an intent, whatever happens to the request."""
        await complete(sequence, self._services, outcome, "", status, size)


def _has(view: ResourceView, identifier: Identifier) -> bool:
    """Say whether a Patient has an identifier: what a server finds by other rules is not the patient (L092)."""
    listed = view.tree.get("identifier")
    wanted = {"system": identifier.system, "value": identifier.value}
    items = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return any({name: one.get(name) for name in wanted} == wanted for one in items)


def _escaped(text: str) -> str:
    """Escape what separates values in a search parameter (FHIR R4 search.html 3.1.1.3)."""
    for character in "\\,$|":
        text = text.replace(character, "\\" + character)
    return text
