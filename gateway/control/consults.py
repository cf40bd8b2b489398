"""CDS Hooks consent consult: `GET /cds-services`, `POST /cds-services/patient-consent-consult` (CDS Hooks 2.0; LEAP).

Rules of this file
1. The discloser is the owner of the configured route, the recipient the actor: the same judge and release as its door.
2. Without a configured route there is no such service. A consult needs the role `consent_consult` or `privacy_officer`.
3. Content that is given back is a disclosure: recorded before its first byte, completed after its last (law 8), and
   sent only while the consents are those it was decided on (law 9).
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final, Protocol

import msgspec
from fastapi import Response
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from consent_store.model import Identifier
from consent_store.store import Revision, Subject
from gateway.control.access import Access
from gateway.decision.bench import Tools
from gateway.decision.facts import Facts
from gateway.decision.model import Exchange
from gateway.directory.model import Directory
from gateway.errors import NotSupported, QuestionError, Unavailable
from gateway.facts.answer import document_of
from gateway.facts.consult import HOOK, Consult, read_consult
from gateway.facts.consult_card import Card, card_json, card_of
from gateway.facts.consult_stand_ins import Said, StandIn, Told, narrowed, said_of, stand_in_document, stand_ins
from gateway.fhir.bundle import Document
from gateway.fhir.view import ResourceView
from gateway.ledger.model import Intent, Ledger, Outcome, Story, record
from gateway.release.compose import compose_own, manifest_of
from gateway.release.released import Released

ATTEMPTS: Final = 3
_NOBODY: Final = "urn:uuid:00000000-0000-4000-8000-000000000000"  # a patient whom consents know and the server does not
SERVICES: Final[Mapping[str, Any]] = {
    "services": [
        {
            "hook": HOOK,
            "id": HOOK,
            "title": "Patient consent consult",
            "description": "Whether the patient's consents let an actor have data for a purpose, and what to redact.",
        }
    ]
}


class Consulted(Protocol):
    """The route that consults are about, as bootstrap hands it in. All may raise Unavailable and UpstreamFault."""

    @property
    def tools(self) -> Tools:
        """The tables of its profile."""
        ...

    @property
    def directory(self) -> Directory:
        """Who is registered, as its profile sees them."""
        ...

    def exchange(self, consult: Consult) -> Exchange:
        """Give the exchange as it is to be decided now: its owner discloses to the actor."""
        ...

    async def patients(self, identifiers: tuple[Identifier, ...], ids: tuple[str, ...]) -> tuple[ResourceView, ...]:
        """Give the Patient resources of its server that have one of these identifiers or ids."""
        ...

    async def gather(self, document: Document, exchange: Exchange) -> Facts:
        """Give the facts on which a document is judged, as for a read."""
        ...

    def intent(self, exchange: Exchange, access: Access, card: Card, facts: Facts) -> tuple[Intent, Story]:
        """Give what the ledger writes of content that is given back."""
        ...

    async def unchanged(self, revisions: Mapping[Subject, Revision]) -> bool:
        """Say whether these consents are still current."""
        ...

    def passing(self) -> AbstractContextManager[None]:
        """Hold writes of consents back while an answer begins."""
        ...

    async def complete(self, sequence: int, outcome: Outcome, status: int, size: int) -> None:
        """Write what became of an intent, whatever happens to the request."""
        ...


class Consults:
    """Answers consults for one route (None: the service is not offered)."""

    def __init__(self, route: Consulted | None, ledger: Ledger, source: str) -> None:
        self._route, self._ledger, self._source = route, ledger, source

    def services(self) -> Mapping[str, Any]:
        """Give the services that are offered."""
        self._offered()
        return SERVICES

    async def consult(self, raw: bytes, access: Access) -> Response:
        """Answer one consult. Raises QuestionError, Forbidden, Unavailable, UpstreamFault."""
        route = self._offered()
        consult = await run_in_threadpool(read_consult, raw, route.directory, route.tools.elements)
        card, exchange, facts = await self._card(consult, route)
        if card.content is None:
            return Response(msgspec.json.encode(card_json(card, self._source)), media_type="application/json")
        return _Recording(self, consult, access, (card, exchange, facts))

    def _offered(self) -> Consulted:
        if self._route is None:
            raise NotSupported("there is nothing at this path", 404)
        return self._route

    async def _card(self, consult: Consult, route: Consulted) -> tuple[Card, Exchange, Facts]:
        """Decide: on the stand-ins, and on the content where some was sent."""
        exchange = route.exchange(consult)
        patients = await self._patients(consult, route)
        known = narrowed(await route.gather(_read(stand_in_document((), patients)), exchange), consult.categories)
        consents = [one for subject in known.subjects.values() for one in subject.consents]
        if not consents and patients[0][0] == _NOBODY:
            raise QuestionError("`context.patientId`: nobody of these identifiers is known here")
        asked = stand_ins(consult, consents)
        tools = route.tools
        sent, facts = None, known
        if consult.content is not None:
            content = document_of(consult.content, "context.content")
            if content.bundle is None and not tools.elements.is_resource(content.views[0].type):
                raise QuestionError("`context.content` is neither a Bundle nor resources")
            facts = narrowed(await route.gather(content, exchange), consult.categories)
            facts = _about_the_patient(facts, known)
            sent = await run_in_threadpool(lambda: Told(content, facts, tools))
        ask = partial(_ask, patients, known, tools)
        return await run_in_threadpool(card_of, consult, asked, ask, sent), exchange, facts

    async def _patients(self, consult: Consult, route: Consulted) -> list[tuple[str, bytes]]:
        """Give the patient's records on the server, each with its address; one of our making where there is none, so
        that consents that name the identifiers are found."""
        views = await route.patients(consult.identifiers, consult.ids)
        found = {f"Patient/{view.id}": bytes(view.raw) for view in views if view.id}
        if found:
            return sorted(found.items())
        listed = [{"system": one.system, "value": one.value} for one in consult.identifiers]
        return [(_NOBODY, msgspec.json.encode({"resourceType": "Patient", "identifier": listed}))]

    # Content that is given back --------------------------------------------------------------------------------------
    async def disclose(
        self, consult: Consult, access: Access, decided: tuple[Card, Exchange, Facts], send: "_Send"
    ) -> None:
        """Record, check, send, complete; again where consents changed before the first byte. Raises Unavailable."""
        route = self._offered()
        for attempt in range(ATTEMPTS):
            card, exchange, facts = decided if attempt == 0 else await self._card(consult, route)
            body = msgspec.json.encode(card_json(card, self._source))
            manifest = manifest_of([card.judgement] if card.judgement is not None else [])
            released = compose_own(200, {}, body, manifest)
            recorded = await record(self._ledger, *route.intent(exchange, access, card, facts), released)
            outcome, size = Outcome.VOID, 0
            try:
                with route.passing():
                    if not await route.unchanged(facts.revisions):
                        continue
                    outcome = Outcome.ABORTED
                    await send.begin(recorded.released)
                await send.finish(recorded.released)
                outcome, size = Outcome.SENT, len(body)
                return
            finally:
                status = 200 if outcome in {Outcome.SENT, Outcome.ABORTED} else 0
                await route.complete(recorded.sequence, outcome, status, size)
        raise Unavailable("consents changed while this was answered; ask again")


class _Send:
    """Sends one released answer to a client of the control plane."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def begin(self, released: Released) -> None:
        """Send status and headers."""
        size = str(len(released.body)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", size)]
        await self._send({"type": "http.response.start", "status": released.status, "headers": headers})

    async def finish(self, released: Released) -> None:
        """Send the body."""
        await self._send({"type": "http.response.body", "body": released.body})


class _Recording(Response):
    """An answer that is recorded when it is about to be sent, and completed when it was."""

    def __init__(
        self, consults: Consults, consult: Consult, access: Access, decided: tuple[Card, Exchange, Facts]
    ) -> None:
        super().__init__(media_type="application/json")
        self._about: Callable[[_Send], Awaitable[None]] = lambda send: consults.disclose(consult, access, decided, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[explicit-override]  # noqa: ARG002  typing's is 3.12
        """Send it."""
        await self._about(_Send(send))


def _ask(
    patients: list[tuple[str, bytes]], known: Facts, tools: Tools, asked: tuple[StandIn, ...]
) -> Mapping[StandIn, Said]:
    """Put stand-ins for each of the patient's records to the judge."""
    document = _read(stand_in_document(asked, patients))
    return said_of(asked, Told(document, known, tools, stands_in=True))


def _read(raw: bytes) -> Document:
    return document_of(raw, "context.patientId")


def _about_the_patient(facts: Facts, known: Facts) -> Facts:
    """Give the facts of the content, with the revisions of all that was asked.

    Raises QuestionError where it is about people of whom none was asked about, Unavailable where consents changed.
    """
    asked, named = set(known.subjects), set(facts.subjects)
    if named - asked and not asked & named:
        raise QuestionError("`context.content` is about another patient than `context.patientId`")
    if any(facts.revisions.get(one, revision) != revision for one, revision in known.revisions.items()):
        raise Unavailable("consents changed while this was answered; ask again")
    return msgspec.structs.replace(facts, revisions={**known.revisions, **facts.revisions})
