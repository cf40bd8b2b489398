"""The journey of one request, whole: its form, who asks for what, what is decided, recorded, and sent.

Rules of this file
1. Order: form, caller, purpose, then the upstream; a refusal by form or caller costs no call (leaks.md trade-offs).
2. Decide, record, check revisions, send, complete. Changed meanwhile: void and decide again, three times, then 503
   (law 9). What cannot be recorded is not disclosed (law 8).
3. A posted Bundle is decided before anything of it is forwarded; the gets of a batch are answered as by themselves.
"""

import hashlib
from functools import partial
from typing import Final

import msgspec

from gateway.decision.model import Direction
from gateway.directory.model import Directory
from gateway.directory.reading import purpose_text
from gateway.errors import Forbidden, NotSupported, Unavailable
from gateway.fhir.interaction import Interaction, Kind, with_form
from gateway.fhir.paths import allow, parse
from gateway.ledger.model import record
from gateway.proxy.alerts import Alert
from gateway.proxy.answering import Writer
from gateway.proxy.asked import Asked, ChangedMeanwhile, identify
from gateway.proxy.batching import batch
from gateway.proxy.changing import change_all, change_each
from gateway.proxy.cursor import PARAMETER
from gateway.proxy.dispatch import NO_VALIDATORS, NOTHING_GIVEN, Prepare, prepare_for, with_parameters
from gateway.proxy.incoming import Incoming
from gateway.proxy.live import Door, Services
from gateway.proxy.outcomes import Own
from gateway.proxy.posted import Posted, read_posted, read_single
from gateway.proxy.pushing import push
from gateway.proxy.sending import send
from gateway.proxy.telemetry import Trace
from gateway.proxy.updating import Change, check_type, read_patched, read_update, update
from gateway.proxy.validators import Validators

ATTEMPTS: Final = 3
_POSTED: Final = frozenset({Kind.BUNDLE, Kind.COLLECTION, Kind.MESSAGE, Kind.CREATE})


async def carry_out(
    incoming: Incoming, door: Door, directory: Directory, services: Services, writer: Writer, trace: Trace
) -> Own | None:
    """Carry out one request. Gives an answer of the gateway's own, or None where a recorded one was written.

    Raises GatewayErrors for what is refused or fails.
    """
    path = incoming.beneath
    if incoming.method == "OPTIONS":
        return Own(204, b"", {"Allow": allow(path, door.tools.elements.resources, door.surface.opened)})
    interaction = _form(incoming, door)
    trace.told(interaction)
    if interaction.kind is Kind.CAPABILITIES:
        await incoming.no_body()
        return Own(200, door.capability)
    asked = await identify(incoming, interaction.kind.value, door, directory, services, writer.request_id)
    if asked.emergency:
        asked = await _once(asked, interaction)
    if interaction.kind in _POSTED:
        posted = await _read_posted(incoming, interaction, door, asked)
        await door.proof.require()
        return await _posted(asked, posted, writer)
    if interaction.kind in {Kind.UPDATE, Kind.PATCH}:
        change = await _change(incoming, interaction, asked)
        await door.proof.require()
        return await update(asked, change)
    asked, prepare = await _asked_for(incoming, interaction, asked)
    await door.proof.require()
    await disclose(asked, prepare, writer)
    return None


async def disclose(asked: Asked, prepare: Prepare, writer: Writer) -> None:
    """Decide, record, check, send, complete; again where consents changed before the first byte."""
    services = asked.services
    for _ in range(ATTEMPTS):
        exchange = asked.exchange(Direction.READ)
        try:
            prepared = await prepare(exchange)
        except ChangedMeanwhile:
            services.telemetry.decided_again(asked.door.name)
            continue
        services.telemetry.decided(asked.door.name, prepared.released.manifest.decisions)
        written = asked.intent(exchange, prepared.released.manifest, prepared.revisions)
        recorded = await record(services.ledger, *written, prepared.released)
        await writer.grid.reached()
        if await send(recorded, prepared.revisions, services, writer):
            return
        services.telemetry.decided_again(asked.door.name)
    raise Unavailable("consents changed while this was answered; ask again")


def _form(incoming: Incoming, door: Door) -> Interaction:
    return parse(
        incoming.method,
        incoming.beneath,
        incoming.query,
        types=door.tools.elements.resources,
        accept=incoming.header("accept"),
        content_type=incoming.header("content-type"),
        opened=door.surface.opened,
    )


async def _once(asked: Asked, interaction: Interaction) -> Asked:
    """Take the token of an emergency, which is used for one request and the further pages of its answer (L097).

    Raises Forbidden where it was used before."""
    token = hashlib.sha256(f"{asked.caller.issuer}\n{asked.caller.token_id}".encode()).hexdigest()
    fresh = await asked.services.ledger.spend(token)
    if fresh is any(one.name == PARAMETER for one in interaction.parameters):
        raise Forbidden("a token for an emergency is used once")
    return asked.alerted(Alert.EMERGENCY)


async def _asked_for(incoming: Incoming, interaction: Interaction, asked: Asked) -> tuple[Asked, Prepare]:
    """Give what prepares the answer to whatever reads, and the request with what was noticed. Raises by form alone."""
    validators, given = NO_VALIDATORS, NOTHING_GIVEN
    if interaction.form:
        interaction = with_form(interaction, await incoming.body())
    elif interaction.body:
        interaction, given = with_parameters(asked, interaction, await incoming.body())
    else:
        await incoming.no_body()
        validators = Validators(tuple(incoming.values("if-none-match")), incoming.header("if-modified-since"))
    caller, services = asked.caller, asked.services
    client, purpose = f"{caller.issuer} {caller.client_id}", purpose_text(asked.purpose)
    if services.purposes.is_new(client, asked.door.name, interaction, purpose, services.clock()):
        asked = asked.alerted(Alert.PURPOSES)
    return asked, prepare_for(asked, interaction, given, validators)


async def _read_posted(incoming: Incoming, interaction: Interaction, door: Door, asked: Asked) -> Posted:
    conditional = [name for name in ("if-none-exist", "if-match") if incoming.values(name)]
    if conditional:
        raise NotSupported("conditional requests are not supported", 400)
    raw = await incoming.body()
    types = door.tools.elements.resources
    opened = door.surface.opened
    if interaction.kind is Kind.CREATE:
        return read_single(raw, interaction.type or "", own=door.own, limits=asked.json_limits)
    return read_posted(raw, interaction.kind, types=types, own=door.own, limits=asked.json_limits, opened=opened)


async def _change(incoming: Incoming, interaction: Interaction, asked: Asked) -> Change:
    if incoming.values("if-none-exist") or incoming.values("if-none-match"):
        raise NotSupported("this condition is not supported on an update", 400)
    check_type(interaction, asked)
    body, matches = await incoming.body(), tuple(incoming.values("if-match"))
    return (read_update if interaction.kind is Kind.UPDATE else read_patched)(interaction, body, matches, asked)


async def _posted(asked: Asked, posted: Posted, writer: Writer) -> Own | None:
    asked = msgspec.structs.replace(asked, interaction=posted.interaction)
    if posted.gets:
        await disclose(asked, partial(batch, asked, posted.gets, prepare_for), writer)
        return None
    if posted.writes:
        return await (change_each if posted.interaction == "batch" else change_all)(asked, posted)
    return await push(asked, posted)
