"""A batch or transaction that changes records: each entry as by itself, or all of them, or none.

Rules of this file
1. In a batch each entry is carried out and answered as a request of its own would be (leaks.md L044): creates first,
   then changes (R4 http.html 3.1.0.11.2).
2. In a transaction every change is decided as by itself, then the whole is judged as one push; one that may not be made
   refuses all. It is forwarded once, each change over the version it was decided on (L076, L079).
3. What changes a record is forwarded as the record that it makes, never as a patch.
"""

import base64
import binascii
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from consent_store.store import Revision, Subject
from gateway.decision.judge import judge
from gateway.decision.model import Direction
from gateway.errors import BadRequest, GatewayError, PushRefused, Unavailable, Unprocessable
from gateway.fhir.bundle import Entry, read_document
from gateway.fhir.interaction import Interaction, Kind
from gateway.fhir.pointer import items_of, members_of
from gateway.ledger.model import Outcome, record
from gateway.proxy.asked import Asked, ChangedMeanwhile
from gateway.proxy.context import Context
from gateway.proxy.gathering import gather
from gateway.proxy.outcomes import Own, outcome
from gateway.proxy.posted import Get, Posted, read_single
from gateway.proxy.pushing import NOT_ALL, answer, forward, push
from gateway.proxy.sending import complete
from gateway.proxy.updating import (
    Change,
    ChangeRefused,
    Decided,
    check_type,
    decided_change,
    read_patched,
    read_update,
    update,
    write_refusal,
)
from gateway.release.compose import manifest_of
from gateway.release.pushed import Replacing, compose_transaction, told_of

ATTEMPTS: Final = 3


async def change_each(asked: Asked, posted: Posted) -> Own:
    """Carry out a batch that changes records, entry by entry, and tell of each in its place."""
    both = list(enumerate(zip(posted.bundle.entries, posted.writes, strict=True)))
    done: dict[int, Own] = {}
    for index, (entry, write) in sorted(both, key=lambda one: _changes(one[1][1])):
        try:
            done[index] = await _each(asked, entry, write)
        except GatewayError as error:
            done[index] = outcome(error)
    entries = [{"response": _told(done[index])} for index in range(len(both))]
    return Own(200, msgspec.json.encode({"resourceType": "Bundle", "type": "batch-response", "entry": entries}))


def _changes(write: Get) -> bool:
    return isinstance(write, Interaction) and write.kind is not Kind.CREATE


async def _each(asked: Asked, entry: Entry, write: Get) -> Own:
    if isinstance(write, GatewayError):
        raise write
    asked = msgspec.structs.replace(asked, interaction=write.kind.value)
    if write.kind is not Kind.CREATE:
        return await update(asked, _change(asked, entry, write))
    raw = entry.view.raw if entry.view is not None else b""
    return await push(asked, read_single(raw, write.type or "", own=asked.door.own, limits=asked.json_limits))


def _told(own: Own) -> dict[str, Any]:
    """Give an answer as what a batch says of one entry."""
    response: dict[str, Any] = {"status": f"{own.status} {HTTPStatus(own.status).phrase}"}
    response |= {"location": own.headers["Location"]} if "Location" in own.headers else {}
    return response | {"outcome": msgspec.Raw(own.body)}


async def change_all(asked: Asked, posted: Posted) -> Own:
    """Decide a transaction that changes records, and forward it. Raises NotVisible, PreconditionFailed, PushRefused,
    Unprocessable, Forbidden, UpstreamFault, Unavailable."""
    services, door = asked.services, asked.door
    changes = _read(asked, posted)
    for _ in range(ATTEMPTS):
        try:
            decided = {index: await decided_change(asked, change) for index, change in changes.items()}
            whole = _whole(posted, decided, asked)
            exchange = asked.exchange(Direction.PUSH)
            context = Context(door, asked.json_limits)
            facts = await gather(whole.document, exchange, context, door, asked.directory, services.consents)
            revisions = _revisions([facts.revisions, *(one.revisions for one in decided.values())])
        except ChangedMeanwhile:
            continue
        except ChangeRefused as refusal:
            await write_refusal(asked, refusal)
            raise refusal.error from None
        judgement = judge(whole.document, facts, door.tools)
        manifest = manifest_of([judgement])
        over = {index: Replacing(one.text, one.version) for index, one in decided.items()}
        released = compose_transaction(whole.raw, whole.document, judgement, over)
        services.telemetry.decided(door.name, manifest.decisions)
        written = asked.intent(exchange, manifest, revisions)
        if released is None:
            refused = await record(services.ledger, *written, None)
            await complete(refused.sequence, services, Outcome.VOID, "refused")
            raise PushRefused(NOT_ALL, told_of(judgement))
        recorded = await record(services.ledger, *written, released)
        done = await forward(recorded, revisions, asked, posted.path, changes=True)
        if done is not None:
            return answer(asked, whole, judgement, done)
        services.telemetry.decided_again(door.name)
    raise Unavailable("consents changed while this was decided; ask again")


def _read(asked: Asked, posted: Posted) -> dict[int, Change]:
    """Give the changes of a transaction by the index of their entry. Raises what is refused by form."""
    found: dict[int, Change] = {}
    for index, (entry, write) in enumerate(zip(posted.bundle.entries, posted.writes, strict=True)):
        if isinstance(write, Interaction) and write.kind is not Kind.CREATE:
            found[index] = _change(asked, entry, write)
    if len({(one.type, one.id) for one in found.values()}) < len(found):
        raise Unprocessable("a transaction changes a record once")
    return found


def _change(asked: Asked, entry: Entry, write: Interaction) -> Change:
    """Read what an entry asks to be changed. Raises what is refused by form."""
    check_type(write, asked)
    raw = entry.view.raw if entry.view is not None else b""
    matches = entry.request.conditions.get("ifMatch", "") if entry.request is not None else ""
    conditions = (matches,) if matches else ()
    if write.kind is Kind.UPDATE:
        return read_update(write, raw, conditions, asked)
    if not write.body:
        raw = _content(entry)
    return read_patched(write, raw, conditions, asked)


def _content(entry: Entry) -> bytes:
    """Give the JSON Patch that a Binary holds (R4 http.html 3.1.0.7). Raises BadRequest."""
    data = entry.view.tree.get("data") if entry.view is not None else None
    try:
        return base64.b64decode(data, validate=True) if isinstance(data, str) else b""
    except (binascii.Error, ValueError):
        raise BadRequest("the content of a patch cannot be read") from None


def _whole(posted: Posted, decided: Mapping[int, Decided], asked: Asked) -> Posted:
    """Give a transaction with every change as the record that the client proposes."""
    top = members_of(posted.raw)
    entries = [dict(members_of(each)) for each in items_of(top["entry"])]
    for index, one in decided.items():
        request = {"method": "PUT", "url": f"{one.stored.type}/{one.stored.id}"}
        entries[index] |= {
            "resource": msgspec.Raw(one.proposed.raw),
            "request": msgspec.Raw(msgspec.json.encode(request)),
        }
    raw = msgspec.json.encode({**top, "entry": entries})
    document = read_document(raw, limits=asked.json_limits)
    if document.bundle is None:
        raise Unprocessable("the body is not a Bundle")
    return msgspec.structs.replace(posted, raw=raw, document=document, bundle=document.bundle)


def _revisions(each: list[Mapping[Subject, Revision]]) -> Mapping[Subject, Revision]:
    """Unite what was seen of consents. Raises ChangedMeanwhile where they changed between."""
    found: dict[Subject, Revision] = {}
    for one in each:
        for subject, revision in one.items():
            if found.setdefault(subject, revision) != revision:
                raise ChangedMeanwhile
    return found
