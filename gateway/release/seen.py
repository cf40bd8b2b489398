"""The last shape of a released answer: projected as the client asked, versions told by our own ids, a validator, 304.

Rules of this file
1. A function of what was released and of the request alone (leaks.md L001, L068).
2. Our version id is a digest of the released record without its own version and date: it moves when what this client
   may see moves, and not otherwise (leaks.md trade-offs, `versionId`).
3. A version id in a record that becomes ours is an edit that its decision lists (law 5).
"""

import base64
import hashlib
from collections.abc import Callable
from typing import Any, Final

import msgspec

from gateway.decision.model import Edit, Op
from gateway.fhir.projection import Projection
from gateway.release.edits import apply
from gateway.release.projection import Projector
from gateway.release.released import Manifest, Released
from gateway.release.uniting import compose_bundle, name_of

_OWN: Final = ("versionId", "lastUpdated")
_PLACE: Final = "/meta/versionId"


class _Meta(msgspec.Struct, frozen=True):
    versionId: Any = None  # noqa: N815  FHIR's names
    lastUpdated: Any = None  # noqa: N815


class _Record(msgspec.Struct, frozen=True, rename={"type": "resourceType"}):
    type: str = ""
    meta: _Meta = _Meta()


def version_of(text: bytes) -> str:
    """Give our version id of a released record, by rule 2; of the grammar of a FHIR id."""
    meta = msgspec.json.decode(text, type=_Record).meta
    cuts = [Edit(Op.CUT, f"/meta/{name}") for name in _OWN if getattr(meta, name) is not None]
    digest = hashlib.sha256(apply(text, cuts)).digest()
    return base64.b32encode(digest).decode("ascii").rstrip("=").lower()[:40]


def with_version(text: bytes) -> bytes:
    """Give a released record with our version id in place of the server's; one without a version id stays as it is."""
    meta = msgspec.json.decode(text, type=_Record).meta
    if meta.versionId is None:
        return text
    return apply(text, [Edit(Op.REPLACE, _PLACE, msgspec.json.encode(version_of(text)))])


def etag_of(text: bytes) -> str:
    """Give the weak entity tag of a released record (RFC 9110 section 8.8.3; R4 http.html 3.1.0.4)."""
    return f'W/"{version_of(text)}"'


def with_own_versions(released: Released, types: frozenset[str], *, searchset: bool) -> Released:
    """Give an answer in which records of these types carry our version ids, told in their decisions."""
    told: dict[str, bytes] = {}

    def change(text: bytes) -> bytes:
        if msgspec.json.decode(text, type=_Record).type not in types:
            return text
        fresh = with_version(text)
        if fresh is not text:
            told[name_of(text)] = msgspec.json.encode(version_of(text))
        return fresh

    changed = reshaped(released, change, searchset=searchset)
    return msgspec.structs.replace(changed, manifest=_listing(released.manifest, told)) if told else released


def projected(released: Released, projector: Projector, projection: Projection, *, searchset: bool) -> Released:
    """Give an answer whose every record is projected."""
    return reshaped(released, lambda text: projector.project(text, projection), searchset=searchset)


def relinked(released: Released, relink: Callable[[str], str]) -> Released:
    """Give a searchset whose links are written anew."""
    head, entries = _parts(released.body)
    links = msgspec.json.decode(head.get("link", msgspec.Raw(b"[]")), type=list[dict[str, str]])
    fresh = [link | {"url": relink(link["url"])} for link in links]
    return _again(released, head | {"link": msgspec.Raw(msgspec.json.encode(fresh))}, entries)


def reshaped(released: Released, change: Callable[[bytes], bytes], *, searchset: bool) -> Released:
    """Give an answer whose record, or with `searchset` whose every entry's record, is changed."""
    if not searchset:
        return msgspec.structs.replace(released, body=change(released.body))
    head, entries = _parts(released.body)
    fresh = []
    for entry in entries:
        members = dict(entry)
        if "resource" in members:
            members["resource"] = msgspec.Raw(change(bytes(members["resource"])))
        fresh.append(members)
    return _again(released, head, fresh)


def with_headers(released: Released, headers: dict[str, str]) -> Released:
    """Give an answer with further headers."""
    return msgspec.structs.replace(released, headers={**released.headers, **headers})


def not_modified(released: Released) -> Released:
    """Give the 304 of an answer that the client has already; it is recorded like the answer (RFC 9110 15.4.5)."""
    return Released(304, released.headers, b"", released.manifest)


def _parts(body: bytes) -> tuple[dict[str, msgspec.Raw], list[dict[str, msgspec.Raw]]]:
    head = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    listed = head.pop("entry", None)
    entries = msgspec.json.decode(listed, type=list[dict[str, msgspec.Raw]]) if listed is not None else []
    return head, entries


def _again(released: Released, head: dict[str, msgspec.Raw], entries: list[dict[str, msgspec.Raw]]) -> Released:
    rest = {name: value for name, value in head.items() if name != "resourceType"}
    texts = (msgspec.json.encode(entry) for entry in entries)
    bundle = compose_bundle(rest, texts, released.manifest)
    return msgspec.structs.replace(released, body=bundle.body)


def _listing(manifest: Manifest, told: dict[str, bytes]) -> Manifest:
    decisions = tuple(
        msgspec.structs.replace(one, edits=(*one.edits, Edit(Op.REPLACE, _PLACE, told[one.resource])))
        if one.resource in told and "/contained/" not in one.at
        else one
        for one in manifest.decisions
    )
    return msgspec.structs.replace(manifest, decisions=decisions)
