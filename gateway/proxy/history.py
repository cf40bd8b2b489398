"""Versions of records: vread and history, where the route opens them for a type (leaks.md L046, L047).

Rules of this file
1. A version is shown only where the present one is visible, and as restricted as the stricter of the two says. A
   hidden, absent or deleted record has no versions: 404 for all. Deletions are not told.
2. The history of a type or of all types is that of the records which a search by patient (or ids) shows now; the
   upstream is never asked for the history of more than one record.
3. Version ids are ours (release/seen.py): the server's would count versions that are withheld.
4. Every entry is told as an update: which version was the first is not told.
"""

import asyncio
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from consent_store.store import Revision, Subject
from gateway.decision.model import Exchange
from gateway.errors import BadRequest, NotSupported, UpstreamFault
from gateway.fhir.bundle import Bundle, scan
from gateway.fhir.interaction import Interaction, Kind
from gateway.fhir.query import Parameter, build_query, unsupported
from gateway.fhir.references import Local
from gateway.fhir.strict import MalformedJson
from gateway.fhir.view import ResourceView
from gateway.proxy.asked import Asked, Prepared
from gateway.proxy.capability import NOT_SERVED
from gateway.proxy.context import next_of
from gateway.proxy.cursor import PARAMETER, Binding, Place, take
from gateway.proxy.everything import owned_by, possible
from gateway.proxy.reading import absent, fetched, judged_alone, not_visible
from gateway.proxy.searching import admitted
from gateway.proxy.uniting import Part, every, page_size, unite
from gateway.release.compose import compose_resource, released_text
from gateway.release.released import Manifest, Released
from gateway.release.seen import version_of, with_version
from gateway.release.uniting import compose_bundle, entry_text, manifest_of_shown, name_of

MOST_VERSIONS: Final = 500  # of one record; a server that has more is not asked to the end
MOST_RECORDS: Final = 200  # whose histories one request puts together; counts released ones alone
USUAL: Final = 50
MOST: Final = 200

_AT_ONCE: Final = 8
_BY_KIND: Final = {
    Kind.HISTORY_INSTANCE: frozenset({"_count", "_since", PARAMETER}),
    Kind.HISTORY_TYPE: frozenset({"_count", "_since", "patient", "_id", PARAMETER}),
    Kind.HISTORY_SYSTEM: frozenset({"_count", "_since", "patient", "_type", PARAMETER}),
}


class History(msgspec.Struct, frozen=True):
    """A history that is asked for, by form. `parts`: the searches that find whose (none: the one record's)."""

    path: str
    parts: tuple[Part, ...]
    said: tuple[Parameter, ...]
    count: int
    since: datetime | None
    start: int
    cursor: str | None
    binding: Binding


class _Meta(msgspec.Struct, frozen=True):
    lastUpdated: datetime | None = None  # noqa: N815  FHIR's name


class _Dated(msgspec.Struct, frozen=True):
    meta: _Meta = _Meta()


class _Version(msgspec.Struct, frozen=True):
    """One released version: its text with our version id, when it was written, and the answer it stands for."""

    name: str
    text: bytes
    at: datetime | None
    released: Released


def history_of(asked: Asked, interaction: Interaction) -> History:
    """Give the history a request asks for. Raises NotSupported and BadRequest by form alone."""
    for one in interaction.parameters:
        if one.name not in _BY_KIND[interaction.kind]:
            raise unsupported(one)
    cursor, said = take(interaction.parameters)
    count, rest = page_size((Parameter(*each) for each in said), USUAL, MOST)
    path = "/".join(part for part in (interaction.type, interaction.id, "_history") if part)
    plain = admitted(asked, Interaction(Kind.SEARCH, "Patient", parameters=(Parameter("_id", "x"),))).binding
    binding = msgspec.structs.replace(plain, query=((f"/{path}", ""), *said))
    place = Place("", 0) if cursor is None else asked.services.cursors.open(cursor, binding)
    parts = () if interaction.kind is Kind.HISTORY_INSTANCE else _anchored(asked, interaction, rest)
    words = tuple(Parameter(*each) for each in said)
    return History(path, parts, words, count, _since(rest), place.skip, cursor, binding)


async def vread(asked: Asked, interaction: Interaction, exchange: Exchange) -> Prepared:
    """Prepare the answer to a vread. Raises UpstreamFault, Unavailable."""
    type_, id_ = interaction.type or "", interaction.id or ""
    found, revisions, hidden = await _versions(asked, type_, id_, exchange)
    for one in found:
        if version_of(one.text) == interaction.version:
            return Prepared(msgspec.structs.replace(one.released, body=one.text), revisions)
    return Prepared(not_visible(hidden), revisions) if found or revisions else await absent(asked, exchange)


async def history(asked: Asked, wanted: History, interaction: Interaction, exchange: Exchange) -> Prepared:
    """Prepare a page of a history. Raises BadRequest over the limit, UpstreamFault, Unavailable, ChangedMeanwhile."""
    revisions: dict[Subject, Revision] = {}
    if interaction.kind is Kind.HISTORY_INSTANCE:
        names = [Local(interaction.type or "", interaction.id or "")]
    else:
        names = await _visible(asked, wanted.parts, exchange, revisions)
    found: list[_Version] = []
    hidden: list[Manifest] = []
    for versions, seen, withheld in await _all(asked, names, exchange):
        unite(revisions, seen)
        hidden.append(withheld)
        found += versions
    if interaction.kind is Kind.HISTORY_INSTANCE and not found:
        return Prepared(not_visible(hidden[0]), revisions)
    kept = [one for one in found if wanted.since is None or (one.at is not None and one.at >= wanted.since)]
    if interaction.kind is not Kind.HISTORY_INSTANCE:  # one record's versions come newest first
        kept.sort(key=lambda one: (-one.at.timestamp() if one.at else 0.0, one.name))
    return Prepared(_composed(asked, wanted, kept, hidden), revisions)


def _composed(asked: Asked, wanted: History, kept: Sequence[_Version], hidden: Sequence[Manifest]) -> Released:
    end = wanted.start + wanted.count
    base = asked.door.route.public_url
    shown = kept[wanted.start : end]
    own = [Parameter(PARAMETER, wanted.cursor)] if wanted.cursor is not None else []
    links = [("self", [*wanted.said, *own])]
    if end < len(kept):
        sealed = asked.services.cursors.seal(Place("", end), wanted.binding)
        links.append(("next", [*wanted.said, Parameter(PARAMETER, sealed)]))
    head: dict[str, object] = {"id": str(uuid.uuid4()), "type": "history"}
    if wanted.cursor is None and end >= len(kept):
        head["total"] = len(kept)
    head["link"] = [{"relation": name, "url": _url(f"{base}/{wanted.path}", said)} for name, said in links]
    texts = [entry_text(f"{base}/{one.name}", one.text, _done(one)) for one in shown]
    pages = [*(one.released.manifest for one in shown), *hidden]
    return compose_bundle(head, texts, manifest_of_shown(pages, (one.name for one in shown)))


def _url(address: str, said: Sequence[Parameter]) -> str:
    return address + (f"?{build_query(said).decode('ascii')}" if said else "")


def _done(one: _Version) -> dict[str, object]:
    response: dict[str, object] = {"status": "200 OK", "etag": f'W/"{version_of(one.text)}"'}
    if one.at is not None:
        response["lastModified"] = one.at.isoformat()
    return {"request": {"method": "PUT", "url": one.name}, "response": response}


async def _all(
    asked: Asked, names: Sequence[Local], exchange: Exchange
) -> list[tuple[list[_Version], dict[Subject, Revision], Manifest]]:
    found = []
    for start in range(0, len(names), _AT_ONCE):
        calls = (_versions(asked, name.type, name.id, exchange) for name in names[start : start + _AT_ONCE])
        answers = await asyncio.gather(*calls, return_exceptions=True)
        for one in answers:
            if isinstance(one, BaseException):
                raise one
            found.append(one)
    return found


async def _versions(
    asked: Asked, type_: str, id_: str, exchange: Exchange
) -> tuple[list[_Version], dict[Subject, Revision], Manifest]:
    """Give a record's released versions, newest first, what they were decided on, and what was withheld."""
    revisions: dict[Subject, Revision] = {}
    current = await fetched(asked, type_, id_)
    if current is None:
        return [], revisions, Manifest()
    judged = await judged_alone(asked, (current,), exchange)
    unite(revisions, judged.facts.revisions)
    if released_text(current, judged.judgement) is None:
        return [], revisions, judged.manifest
    found: list[_Version] = []
    withheld: list[Manifest] = []
    for view in await _held(asked, type_, id_):
        one = await judged_alone(asked, (view,), exchange, copies=(current,))
        unite(revisions, one.facts.revisions)
        released = compose_resource(view, one.judgement, headers={}, manifest=one.manifest)
        if released is None:
            withheld.append(one.manifest)
            continue
        text = with_version(released.body)
        at = msgspec.json.decode(text, type=_Dated).meta.lastUpdated
        found.append(_Version(name_of(text), text, at, released))
    return found, revisions, manifest_of_shown(withheld, ())


async def _held(asked: Asked, type_: str, id_: str) -> list[ResourceView]:
    """Give all versions the upstream has of a record, as it lists them. Raises UpstreamFault."""
    views: list[ResourceView] = []
    position: str | None = f"/{type_}/{id_}/_history"
    while position is not None:
        held = await asked.door.upstream.look(position)
        if held is None:
            break
        try:
            bundle = scan(held.body, limits=asked.json_limits)
        except MalformedJson as error:
            raise UpstreamFault from error
        views += _of_record(bundle, type_, id_)
        if bundle.type != "history" or len(views) > MOST_VERSIONS:
            raise UpstreamFault
        position = next_of(bundle, asked.door, position)
    return views


def _of_record(bundle: Bundle, type_: str, id_: str) -> Iterable[ResourceView]:
    for entry in bundle.entries:
        if entry.view is not None and not entry.unread:
            if (entry.view.type, entry.view.id) != (type_, id_):
                raise UpstreamFault
            yield msgspec.structs.replace(entry.view, at="", inner=_at_top(entry.view))


def _at_top(view: ResourceView) -> tuple[ResourceView, ...]:
    """Give the resources inside a view with pointers as if it stood alone."""

    def moved(one: ResourceView) -> ResourceView:
        return msgspec.structs.replace(
            one, at=one.at.removeprefix(view.at), inner=tuple(moved(each) for each in one.inner)
        )

    return tuple(moved(one) for one in view.inner)


async def _visible(
    asked: Asked, parts: Sequence[Part], exchange: Exchange, revisions: dict[Subject, Revision]
) -> list[Local]:
    walked = await every(asked, await possible(asked, parts), exchange)
    unite(revisions, walked.revisions)
    names = dict.fromkeys(name_of(entry.resource) for entry, _ in walked.matches)
    if len(names) > MOST_RECORDS:
        raise BadRequest(f"this is the history of more than {MOST_RECORDS} records; ask for less at once")
    return [Local(*name.split("/")) for name in names]


def _anchored(asked: Asked, interaction: Interaction, rest: Sequence[Parameter]) -> tuple[Part, ...]:
    """Give the searches that find whose history is asked for: one patient's, or that of ids of one type."""
    said = {each.name: each.value for each in rest}
    if len(said) < len(rest) or ("patient" in said) == ("_id" in said):
        named = "`patient` or `_id`" if interaction.type else "`patient`"
        raise NotSupported(f"a history of more than one record needs {named}, once", status=400)
    types = asked.door.surface.versioned(asked.door.policy, asked.caller.participant.type) - NOT_SERVED
    if "_id" in said:
        parts = [Part(interaction.type or "", (Parameter("_id", said["_id"]),))]
    else:
        wanted = [interaction.type] if interaction.type else said.get("_type", "").split(",") if "_type" in said else []
        listed = sorted(types if not wanted else types & set(wanted))
        parts = [part for type_ in listed for part in owned_by(asked, said["patient"], type_)]
    for part in parts:
        admitted(asked, Interaction(Kind.SEARCH, part.type, parameters=part.parameters))
    if not parts:
        raise NotSupported("the history of these types is not offered", status=400)
    return tuple(parts)


def _since(rest: Sequence[Parameter]) -> datetime | None:
    given = [each.value for each in rest if each.name == "_since"]
    if not given:
        return None
    try:
        found = datetime.fromisoformat(given[0])
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadRequest("the value of `_since` is not of a form the gateway reads")
    return found
