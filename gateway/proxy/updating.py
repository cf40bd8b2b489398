"""An update: a client changes a record that it may see. The change is a disclosure from the client, judged as a push.

Rules of this file
1. What is refused by form or by who asks is refused before the record is looked for (leaks.md L078, L080).
2. Hidden and absent are one answer, and no condition is looked at before the record is known to be visible (L068,
   L069). No update makes a record: ids are the server's.
3. What is compared, patched and matched is what the client was shown; what it could not see stays (L075, L076, L079).
4. Recorded before it is forwarded; the server's answer is not passed on (L077).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from consent_store.store import Revision, Subject
from gateway.decision.judge import Judgement, judge
from gateway.decision.model import Direction, Exchange, Verdict
from gateway.errors import (
    BadRequest,
    Forbidden,
    GatewayError,
    NotVisible,
    PreconditionFailed,
    PushRefused,
    Unavailable,
    Unprocessable,
)
from gateway.fhir.bundle import Bundle, Document, Entry
from gateway.fhir.exact import read, write
from gateway.fhir.interaction import Interaction
from gateway.fhir.json_patch import patched, read_patch
from gateway.fhir.path_patch import path_patched, read_path_patch
from gateway.fhir.strict import MalformedJson
from gateway.fhir.view import ResourceView, read_resource
from gateway.ledger.model import Outcome, record
from gateway.proxy.alerts import Alert
from gateway.proxy.asked import Asked, ChangedMeanwhile, united
from gateway.proxy.context import Context
from gateway.proxy.gathering import gather
from gateway.proxy.outcomes import Own, told
from gateway.proxy.posted import check_written, read_one, refuse_conditional_references
from gateway.proxy.pushing import NOT_ALL, forward
from gateway.proxy.reading import Judged, fetched, judged_alone
from gateway.proxy.sending import complete
from gateway.proxy.validators import has_tag
from gateway.release.compose import released_text
from gateway.release.pushed import told_of
from gateway.release.released import Manifest
from gateway.release.seen import etag_of
from gateway.release.updated import (
    compose_update,
    is_marked_partial,
    lowers,
    merged,
    raises,
    sums_up_more,
    touches_closed,
)

ATTEMPTS: Final = 3
_CLOSED: Final = "an update does not change identity, links, extensions, contained records or what labels rest on"
_WORDS: Final = "an update adds no summary, note or value where none was shown"
_LABELS: Final = "an update neither adds labels nor raises them"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked: of which record, from what was shown to what is to be, and the lines of If-Match."""

    type: str
    id: str
    proposed: Callable[[bytes], ResourceView]
    matches: tuple[str, ...] = ()


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """A change that may be made: over which stored record, the text to write in its place, what the client proposes,
    what it discloses by that, and the revisions all of it was decided on."""

    stored: ResourceView
    text: bytes
    proposed: ResourceView
    judgement: Judgement
    exchange: Exchange
    revisions: Mapping[Subject, Revision]

    @property
    def version(self) -> str:
        """The version of the stored record, "" where it has none."""
        return _version(self.stored)


class _LabelRaised(Forbidden):
    """A client proposed labels that are not its to give: somebody is to look at them (L082)."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        super().__init__(_LABELS)
        self.labels = labels


class ChangeRefused(Exception):
    """Nothing is written: what was looked at, on which revisions, and what the client is told."""

    def __init__(self, error: GatewayError, exchange: Exchange, manifest: Manifest, judged: Judged | None) -> None:
        super().__init__()
        self.error, self.exchange, self.manifest = error, exchange, manifest
        self.revisions: Mapping[Subject, Revision] = judged.facts.revisions if judged else {}


def check_type(interaction: Interaction, asked: Asked) -> None:
    """Raise Forbidden for a type whose records this class of callers does not update."""
    door = asked.door
    if not door.surface.updatable(door.policy, asked.caller.participant.type)(interaction.type or ""):
        raise Forbidden("a record of this type cannot be updated by this client")


def read_update(interaction: Interaction, body: bytes, matches: tuple[str, ...], asked: Asked) -> Change:
    """Read the body of a PUT. Raises BadRequest, Forbidden, Unprocessable by form."""
    type_, id_ = interaction.type or "", interaction.id or ""
    view = read_one(body, type_, own=asked.door.own, limits=asked.json_limits)
    if view.id != id_:
        raise BadRequest("the id of the body has to be that of the address")
    if is_marked_partial(view):
        raise Unprocessable("the body says that it is not the whole record")
    return Change(type=type_, id=id_, proposed=lambda _: view, matches=matches)


def read_patched(interaction: Interaction, body: bytes, matches: tuple[str, ...], asked: Asked) -> Change:
    """Read the body of a PATCH, JSON Patch or FHIRPath Patch. Raises BadRequest, Unprocessable by form."""
    made = _patch(body, interaction, asked)

    def proposed(shown: bytes) -> ResourceView:
        text = write(made(read(shown)))
        try:
            view = read_resource(text, limits=asked.json_limits)
        except MalformedJson:
            raise Unprocessable("what the patch makes cannot be read") from None
        refuse_conditional_references((view,), asked.door.own)
        check_written(view, "the patch")
        return view

    return Change(type=interaction.type or "", id=interaction.id or "", proposed=proposed, matches=matches)


def _patch(body: bytes, interaction: Interaction, asked: Asked) -> Callable[[Any], Any]:
    """Give what makes a patch to a record."""
    if not interaction.body:
        operations = read_patch(body, asked.json_limits)
        return lambda shown: patched(shown, operations)
    changes = read_path_patch(body, interaction.type or "", asked.json_limits)
    return lambda shown: path_patched(shown, changes, asked.door.tools.elements)


async def update(asked: Asked, change: Change) -> Own:
    """Decide a change and forward it. Raises NotVisible, PreconditionFailed, PushRefused, Unprocessable, Forbidden,
    UpstreamFault, Unavailable."""
    services, place = asked.services, f"/{change.type}/{change.id}"
    for _ in range(ATTEMPTS):
        try:
            decided = await decided_change(asked, change)
        except ChangedMeanwhile:
            continue
        except ChangeRefused as refusal:
            await write_refusal(asked, refusal)
            raise refusal.error from None
        released = compose_update(decided.text, decided.judgement)
        services.telemetry.decided(asked.door.name, released.manifest.decisions)
        written = asked.intent(decided.exchange, released.manifest, decided.revisions)
        recorded = await record(services.ledger, *written, released)
        if await forward(recorded, decided.revisions, asked, place, decided.version) is not None:
            return told(200, f"the {change.type} was updated", (), {})
        services.telemetry.decided_again(asked.door.name)
    raise Unavailable("consents changed while this was decided; ask again")


async def write_refusal(asked: Asked, refusal: ChangeRefused) -> None:
    """Write down that a change was refused, and what was looked at for it."""
    if isinstance(refusal.error, _LabelRaised):
        asked = msgspec.structs.replace(asked.alerted(Alert.LABEL), proposed=refusal.error.labels)
    written = asked.intent(refusal.exchange, refusal.manifest, refusal.revisions)
    refused = await record(asked.services.ledger, *written, None)
    await complete(refused.sequence, asked.services, Outcome.VOID, "refused")


async def decided_change(asked: Asked, change: Change) -> Decided:
    """Decide a change. Raises ChangeRefused, ChangedMeanwhile, UpstreamFault, Unavailable."""
    reading = asked.exchange(Direction.READ)
    stored = await fetched(asked, change.type, change.id)
    views = (stored,) if stored is not None else ()
    before = await judged_alone(asked, views, reading)
    shown = released_text(stored, before.judgement) if stored is not None else None
    if stored is None or shown is None:
        raise ChangeRefused(NotVisible(), reading, before.manifest, before)
    try:
        proposed = _proposed(change, shown, asked)
    except GatewayError as error:
        raise ChangeRefused(error, reading, before.manifest, before) from None
    pushing = asked.exchange(Direction.PUSH)
    said = await _judged_push(asked, proposed, pushing)
    if any(decision.verdict is not Verdict.DISCLOSED for decision in said.judgement.decisions):
        raise ChangeRefused(PushRefused(NOT_ALL, told_of(said.judgement)), pushing, said.manifest, said)
    text = merged(stored.raw, shown, proposed.raw)
    if text is None:
        raise ChangeRefused(Unprocessable(_CLOSED), reading, before.manifest, before)
    after = await judged_alone(asked, (read_resource(text, limits=asked.json_limits),), reading)
    if lowers(before.judgement.decision(""), after.judgement.decision("")):
        raise ChangeRefused(Unprocessable(_CLOSED), reading, before.manifest, before)
    return Decided(
        stored=stored,
        text=text,
        proposed=proposed,
        judgement=said.judgement,
        exchange=pushing,
        revisions=united((before.facts, said.facts, after.facts)),
    )


def _proposed(change: Change, shown: bytes, asked: Asked) -> ResourceView:
    """Give what the record is to be as far as the client sees it. Raises what is refused of it."""
    view = read_resource(shown)
    tags = (etag_of(shown), f'W/"{_version(view)}"')  # R4 http.html 3.1.0.4 makes a tag of the version id
    if change.matches and not any(has_tag(change.matches, tag) for tag in tags):
        raise PreconditionFailed("what this client may see is not what it holds; read it again")
    proposed = change.proposed(shown)
    if touches_closed(view, proposed):
        raise Unprocessable(_CLOSED)
    policy = asked.door.policy
    whole = policy.kinds_of(asked.caller.participant.type) & policy.parts.whole_for
    if not whole and sums_up_more(view, proposed, asked.door.tools.elements):
        raise Unprocessable(_WORDS)
    if raised := raises(view, proposed):
        raise _LabelRaised(raised)
    return proposed


async def _judged_push(asked: Asked, view: ResourceView, exchange: Exchange) -> Judged:
    """Judge what the client says, as the one entry of a batch (see `posted.read_single`)."""
    document = Document((view,), Bundle(type="batch", entries=(Entry(at="", view=view),)))
    context = Context(asked.door, asked.json_limits)
    facts = await gather(document, exchange, context, asked.door, asked.directory, asked.services.consents)
    return Judged(document, facts, judge(document, facts, asked.door.tools))


def _version(stored: ResourceView) -> str:
    """Give the version id of a record, "" where it has none."""
    meta = stored.tree.get("meta")
    found = meta.get("versionId") if isinstance(meta, dict) else None
    return found if isinstance(found, str) else ""
