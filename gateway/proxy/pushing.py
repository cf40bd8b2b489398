"""A push: the caller discloses to the route's owner. Decided and recorded before a byte of it is forwarded.

Rules of this file
1. A transaction or message with anything held back is refused whole; its sender is told of its own entries (403).
2. The upstream's answer is not passed on: status and place of each entry are told in our own words and links (L077).
3. A forwarded body whose receipt is not known is completed as `unknown`: it counts as disclosed (law 8). Its sender is
   told that it may be there: who sent it again would have it twice. What was stored is told as stored, place or not.
"""

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from consent_store.store import Revision, Subject
from gateway.decision.judge import Judgement, judge
from gateway.decision.model import Direction, Verdict
from gateway.errors import PreconditionFailed, PushRefused, Unavailable, Unprocessable, UpstreamFault
from gateway.fhir.bundle import Entry, scan
from gateway.fhir.references import Local
from gateway.fhir.references import parse as parse_reference
from gateway.fhir.strict import MalformedJson
from gateway.fhir.view import read_resource
from gateway.ledger.model import Outcome, Recorded, record
from gateway.proxy.asked import Asked
from gateway.proxy.context import Context
from gateway.proxy.gathering import gather
from gateway.proxy.outcomes import Own, told
from gateway.proxy.posted import Posted
from gateway.proxy.sending import complete, unchanged
from gateway.proxy.upstream import Refused, Written
from gateway.release.compose import manifest_of
from gateway.release.pushed import compose_create, compose_push, told_of
from gateway.release.released import Released

ATTEMPTS: Final = 3
NOT_ALL: Final = "not all of this may be disclosed to the receiver for this purpose"
_PERHAPS: Final = f"{UpstreamFault().message}; it may have stored this: look before you send it again"
_NOWHERE: Final = "the server behind the gateway did not say where"
_RESPONSES: Final[Mapping[str, str]] = {"transaction": "transaction-response", "batch": "batch-response"}


async def push(asked: Asked, posted: Posted) -> Own:
    """Decide a posted Bundle and forward what may go. Raises PushRefused, Unprocessable, UpstreamFault, Unavailable."""
    services, door = asked.services, asked.door
    for _ in range(ATTEMPTS):
        exchange = asked.exchange(Direction.PUSH)
        context = Context(door, asked.json_limits)
        facts = await gather(posted.document, exchange, context, door, asked.directory, services.consents)
        judgement = judge(posted.document, facts, door.tools)
        single = bool(posted.makes) and posted.makes != "Bundle"
        released = (compose_create if single else compose_push)(posted.raw, posted.document, judgement)
        manifest = manifest_of([judgement])
        services.telemetry.decided(door.name, manifest.decisions)
        written = asked.intent(exchange, manifest, facts.revisions)
        if released is None:
            refused = await record(services.ledger, *written, None)
            await complete(refused.sequence, services, Outcome.VOID, "refused")
            raise PushRefused(NOT_ALL, told_of(judgement))
        recorded = await record(services.ledger, *written, released)
        done = await forward(recorded, facts.revisions, asked, posted.path)
        if done is not None:
            return answer(asked, posted, judgement, done)
        services.telemetry.decided_again(door.name)
    raise Unavailable("consents changed while this was decided; ask again")


async def forward(
    recorded: Recorded[Released],
    revisions: Mapping[Subject, Revision],
    asked: Asked,
    path: str,
    replaces: str | None = None,
    *,
    changes: bool = False,
) -> Written | None:
    """Forward a recorded body, by PUT where it `replaces` a version; None where consents changed and nothing was sent.
    `changes`: records are to be changed by it that may be others by now.

    Raises Unprocessable, PreconditionFailed and UpstreamFault.
    """
    services = asked.services
    outcome, detail, status = Outcome.VOID, "changed", 0
    sending: asyncio.Task[Written] | None = None
    begun, handed = asyncio.Event(), asyncio.Event()

    def begin() -> None:
        handed.set()
        begun.set()

    try:
        with services.gate.passing():
            if not await unchanged(revisions, services):
                return None
            outcome, detail = Outcome.UNKNOWN, "no answer"
            sending = asyncio.ensure_future(asked.door.upstream.forward(recorded, path, begin, replaces))
            sending.add_done_callback(lambda _: begun.set())
            await begun.wait()
        done = await sending
        outcome, detail, status = Outcome.SENT, "", done.status
    except Refused as refused:
        outcome, detail = Outcome.SENT, "not accepted"
        if refused.changed and (changes or replaces is not None):
            raise PreconditionFailed("what was to be changed is not what it was; read it again") from None
        raise Unprocessable("the server behind the gateway did not accept it") from None
    except UpstreamFault as fault:
        raise (UpstreamFault(_PERHAPS, why=fault.why) if handed.is_set() else fault) from None
    finally:
        if sending is not None:
            sending.cancel()
        await complete(recorded.sequence, services, outcome, detail, status, len(recorded.released.body))
    return done


def answer(asked: Asked, posted: Posted, judgement: Judgement, done: Written) -> Own:
    """Tell the sender what became of its entries. Raises UpstreamFault where the upstream's answer cannot be read."""
    if posted.makes:
        text, place = f"the {posted.makes} was stored", _place(asked, _location(asked, posted, done), posted.makes)
        if place is None:  # RFC 9110 section 15.3.2 lets a 201 go without
            return told(201, f"{text}; {_NOWHERE}", told_of(judgement), {})
        return told(201, text, told_of(judgement), {"Location": place})
    if posted.interaction == "operation":
        return told(200, "the message was taken", (), {})
    forwarded = [entry for entry in posted.bundle.entries if _goes(entry, judgement)]
    results = dict(zip((entry.at for entry in forwarded), _results(asked, posted, forwarded, done), strict=True))
    lines = {line.partition(" ")[0].removesuffix("/resource"): line for line in told_of(judgement)}
    entries = [{"response": _response(entry, results.get(entry.at), lines)} for entry in posted.bundle.entries]
    head: dict[str, Any] = {"resourceType": "Bundle", "id": str(uuid.uuid4()), "type": _RESPONSES[posted.interaction]}
    return Own(200, msgspec.json.encode(head | {"entry": entries}))


def _location(asked: Asked, posted: Posted, done: Written) -> str:
    """Give where the upstream says it stored a record: by its header, else by the record itself where it sends that."""
    if done.location or not done.held.body:
        return done.location
    try:
        stored = read_resource(done.held.body, limits=asked.json_limits)
    except MalformedJson:
        return ""
    return f"{stored.type}/{stored.id}" if stored.type == posted.makes and stored.id else ""


def _goes(entry: Entry, judgement: Judgement) -> bool:
    return entry.view is not None and judgement.decision(entry.view.at).verdict is not Verdict.WITHHELD


def _results(asked: Asked, posted: Posted, forwarded: list[Entry], done: Written) -> list[dict[str, Any]]:
    """Give our words for what the upstream says of each forwarded entry."""
    try:
        bundle = scan(done.held.body, limits=asked.json_limits)
    except MalformedJson as error:
        raise UpstreamFault(_PERHAPS, why="its answer to a push is not one strict JSON Bundle") from error
    if bundle.type != _RESPONSES[posted.interaction] or len(bundle.entries) != len(forwarded):
        raise UpstreamFault(_PERHAPS, why="its answer to a push does not answer entry for entry")
    return [_result(asked, sent, found) for sent, found in zip(forwarded, bundle.entries, strict=True)]


def _result(asked: Asked, sent: Entry, found: Entry) -> dict[str, Any]:
    said = found.response
    if said is None or sent.view is None:
        raise UpstreamFault(_PERHAPS, why="its answer to a push has an entry without an answer")
    if not said.status.startswith("2"):
        return {"status": "422 Unprocessable Entity" if said.status.startswith("4") else "502 Bad Gateway"}
    if sent.request is not None and sent.request.method != "POST":
        return {"status": "200 OK"}
    place = _place(asked, said.location or "", sent.view.type)
    return {"status": "201 Created"} | ({"location": place} if place else {})


def _response(entry: Entry, result: dict[str, Any] | None, lines: Mapping[str, str]) -> dict[str, Any]:
    line = lines.get(entry.at)
    response = result or {"status": "403 Forbidden"}
    return response | ({"outcome": msgspec.Raw(told(200, "", (line,), {}).body)} if line else {})


def _place(asked: Asked, location: str, type_: str) -> str | None:
    """Give our own URL of what the upstream says it made, None where it does not say it plainly."""
    base = asked.door.upstream.base.text
    at_host = location.startswith("/") and not location.startswith("//")
    position = asked.door.upstream.position(location, "") if at_host else None
    target = parse_reference(location if position is None else base + position, asked.door.own)
    if isinstance(target, Local) and target.type == type_:
        return f"{asked.door.route.public_url}/{target.type}/{target.id}"
    return None
