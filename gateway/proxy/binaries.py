"""A Binary: content that does not say whom it is about. It goes where every record that holds it goes (leaks.md L052).

Rules of this file
1. Its owners are its `securityContext`, every DocumentReference that points at it, and what else of the same patients
   attaches it. It is visible only where one of the first two is there, all are visible, and each still points at it in
   its released form. What is a Consent's goes to nobody. No owner: 404.
2. As a record in FHIR JSON, or as its own content: always whole (no ranges), always as a download, and never in a type
   that a browser would run.
3. A HEAD, a range, a validator change nothing of what is looked up and decided.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.decision.model import Exchange, Verdict
from gateway.errors import NotSupported, Unacceptable, UpstreamFault
from gateway.fhir.bundle import Bundle
from gateway.fhir.formats import takes
from gateway.fhir.interaction import Interaction
from gateway.fhir.query import build_query
from gateway.fhir.references import Base, Local, parse, target_of
from gateway.fhir.view import ResourceView, read_resource
from gateway.proxy.asked import Asked, Prepared
from gateway.proxy.capability import NOT_SERVED
from gateway.proxy.context import next_of, searchset
from gateway.proxy.reading import Judged, absent, entries_of, fetched, judged_alone, not_visible
from gateway.release.compose import compose_resource, released_text
from gateway.release.released import Released
from gateway.release.uniting import as_content

_MOST_OWNERS: Final = 100
_MOST_LOOKED_AT: Final = 2000
"""Records of a patient and type that are looked through for one that attaches the content."""
_LOCATION: Final = "location"
_ATTACHING: Final = ("Consent", "DiagnosticReport", "Media")
_MEDIA: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
_PLAIN: Final = "application/octet-stream"
# What a browser would run, or show as a page of ours (L052): sent as bytes of no type.
_RUN: Final = re.compile(r".*(?:html|xml|svg|script|ecmascript).*")


async def binary(asked: Asked, interaction: Interaction, exchange: Exchange) -> tuple[Prepared, bytes]:
    """Prepare a Binary's answer, and give the released record behind it. Raises UpstreamFault, Unavailable, and
    Unacceptable where the content, visible to this client, is of a type that it does not take."""
    view = await fetched(asked, "Binary", interaction.id or "")
    if view is None:
        return await absent(asked, exchange), b""
    owners = await _owners(asked, view)
    entries = entries_of([view, *owners])
    views = tuple(entry.view for entry in entries if entry.view is not None)
    bundle = Bundle(type="collection", entries=entries)
    judged = await judged_alone(asked, views, exchange, bundle=bundle, found=True)
    manifest = judged.manifest
    record = compose_resource(views[0], judged.judgement, headers={}, manifest=manifest)
    if record is None or not owners or not all(_holds(asked, judged, one, view) for one in views[1:]):
        hidden = tuple(msgspec.structs.replace(one, verdict=Verdict.WITHHELD, edits=()) for one in manifest.decisions)
        return Prepared(not_visible(msgspec.structs.replace(manifest, decisions=hidden)), judged.facts.revisions), b""
    released = record if interaction.native is None else _content(record, interaction.native)
    return Prepared(released, judged.facts.revisions), record.body


async def _owners(asked: Asked, view: ResourceView) -> list[ResourceView]:
    """Give every record that holds a Binary; none where one of them is not here, or they cannot be told."""
    found: dict[tuple[str, str | None], ResourceView] = {}
    for reference in view.references:
        target = target_of(reference, asked.door.own)
        if not isinstance(target, Local):
            return []
        owner = await fetched(asked, target.type, target.id)
        if owner is None:
            return []
        found[owner.type, owner.id] = owner
    abilities, name = asked.door.surface.abilities, f"Binary/{view.id}"
    named = await abilities.takes("DocumentReference", _LOCATION, name)
    located = await _located(asked, name) if named else []
    if located is None:
        return []  # nobody can tell whether all of them are visible: as if it had no owner
    found |= {(one.type, one.id): one for one in located}
    for type_ in (*_ATTACHING, *([] if named else ["DocumentReference"])):
        for patient in _patients(asked, found.values()):
            if not await abilities.takes(type_, "patient", f"Patient/{patient}"):
                continue
            attaching = await _attaching(asked, view, type_, patient)
            if attaching is None or (attaching and type_ in NOT_SERVED):
                return []
            found |= {(one.type, one.id): one for one in attaching}
    return list(found.values())


async def _located(asked: Asked, name: str) -> list[ResourceView] | None:
    """Give the DocumentReferences that point at a Binary by its URL, by whatever name of the server; None where they
    are too many to look at."""
    bases = (*(base.text for base in asked.door.upstream.names), asked.door.route.public_url)
    values = [name, *(f"{base}/{name}" for base in bases)]
    found: list[ResourceView] = []
    for value in [",".join(values)] if asked.door.surface.abilities.lists else values:
        first = f"/DocumentReference?{build_query([(_LOCATION, value)]).decode('ascii')}"
        listed = await _listed(asked, first, "DocumentReference", _MOST_OWNERS)
        if listed is None or len(found) + len(listed) > _MOST_OWNERS:
            return None
        found += listed
    return found


def _patients(asked: Asked, owners: Iterable[ResourceView]) -> list[str]:
    """Give the ids of the patients of this server whom owners are, or name."""
    found = {one.id or "" for one in owners if one.type == "Patient"}
    for owner in owners:
        targets = (target_of(reference, asked.door.own) for reference in owner.references)
        found |= {one.id for one in targets if isinstance(one, Local) and one.type == "Patient"}
    return sorted(found)


async def _attaching(asked: Asked, binary: ResourceView, type_: str, patient: str) -> list[ResourceView] | None:
    """Give a patient's records of a type that attach a Binary; None where the patient has too many of them to tell."""
    query = build_query([("patient", f"Patient/{patient}"), ("_count", "200")]).decode("ascii")
    listed = await _listed(asked, f"/{type_}?{query}", type_, _MOST_LOOKED_AT)
    return None if listed is None else [one for one in listed if _leads(one, binary, asked.door.own)]


async def _listed(asked: Asked, position: str | None, type_: str, most: int) -> list[ResourceView] | None:
    """Give the records that a search of the server finds, all pages; None where they are more than so many."""
    found: list[ResourceView] = []
    while position is not None:
        bundle = searchset(await asked.door.upstream.page(position), asked.json_limits)
        views = (entry.view for entry in bundle.entries)
        found += [read_resource(one.raw) for one in views if one is not None and one.type == type_]
        if len(found) > most:
            return None
        position = next_of(bundle, asked.door, position)
    return found


def _holds(asked: Asked, judged: Judged, owner: ResourceView, binary: ResourceView) -> bool:
    """Say whether an owner is released, and still leads to the Binary where it did."""
    text = released_text(owner, judged.judgement)
    if text is None:
        return False
    own = asked.door.own
    return _leads(read_resource(text), binary, own) or not _leads(owner, binary, own)


def _leads(owner: ResourceView, binary: ResourceView, own: frozenset[Base]) -> bool:
    targets = (parse(link.text, own) for link in owner.links)
    return any(isinstance(one, Local) and (one.type, one.id) == ("Binary", binary.id) for one in targets)


class _Content(msgspec.Struct, frozen=True):
    contentType: str = ""  # noqa: N815  FHIR's name
    data: str = ""


def _content(record: Released, accept: str) -> Released:
    """Give a Binary's own content (R4 binary.html). Raises Unacceptable, UpstreamFault."""
    try:
        said = msgspec.json.decode(record.body, type=_Content)
        data = base64.b64decode("".join(said.data.split()), validate=True)
    except (msgspec.DecodeError, binascii.Error, ValueError):
        raise UpstreamFault from None
    media = said.contentType.partition(";")[0].strip().lower()
    if not _MEDIA.fullmatch(media) or _RUN.fullmatch(media):
        media = _PLAIN
    if not takes(accept, media):
        raise Unacceptable("the content is not of a type that was asked for")
    return as_content(record, data, media)


def check(interaction: Interaction) -> None:
    """Raise NotSupported where a Binary's content is asked for in part: a projection has no meaning for bytes."""
    if interaction.native is not None and interaction.parameters:
        raise NotSupported("the content of a Binary is given whole", 400)
