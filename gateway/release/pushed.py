"""A sender's Bundle and its decisions → what may be forwarded of it, and what the sender is told of the rest.

Rules of this file
1. A transaction or message goes whole or not at all; a batch, collection, document or single record may go in part.
2. What is pushed of people, places and groups is marked: it is data, never proof (L080). A signed Bundle is not edited.
3. A sender is told of its own entries: which one, its labels, the rule and its citation. Never of a consent.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.decision.judge import Judgement
from gateway.decision.model import Decision, Edit, Op, Verdict
from gateway.decision.pushed import MARKED, PUSHED
from gateway.fhir.bundle import Document, read_document
from gateway.fhir.pointer import items_of, members_of
from gateway.fhir.strict import Limits
from gateway.fhir.view import ResourceView
from gateway.release.compose import held_back, manifest_of, released_document, released_text
from gateway.release.edits import apply
from gateway.release.released import Released

_DEEPEST: Final = 256  # what settings allow at most; the text was read before


def compose_push(raw: bytes, document: Document, judgement: Judgement) -> Released | None:
    """Give what may be forwarded of a posted Bundle; None where nothing of it may."""
    text = released_document(raw, document, judgement)
    whole = document.bundle is not None and document.bundle.signed
    return None if text is None else _marked(text, judgement, signed=whole)


def compose_create(_: bytes, document: Document, judgement: Judgement) -> Released | None:
    """Give what may be forwarded of a single resource that is to be created; None where nothing of it may."""
    text = released_text(document.views[0], judgement)
    return None if text is None else _marked(text, judgement)


class Replacing(msgspec.Struct, frozen=True):
    """What an entry of a transaction writes over a stored record: the text, and the version it replaces ("": whichever
    there is)."""

    text: bytes
    version: str


def compose_transaction(
    raw: bytes, document: Document, judgement: Judgement, over: Mapping[int, Replacing]
) -> Released | None:
    """Give a transaction some entries of which write over stored records, by their index; None where it may not go.

    A record that is changed is never one that is marked: such types are not updated.
    """
    released = compose_push(raw, document, judgement)
    if released is None:
        return None
    top = members_of(released.body)
    entries = [dict(members_of(each)) for each in items_of(top["entry"])]
    for index, one in over.items():
        request = msgspec.json.decode(entries[index]["request"])
        condition = {"ifMatch": f'W/"{one.version}"'} if one.version else {}
        entries[index] |= {
            "resource": msgspec.Raw(one.text),
            "request": msgspec.Raw(msgspec.json.encode(request | {"method": "PUT"} | condition)),
        }
    return Released(200, {}, msgspec.json.encode({**top, "entry": entries}), released.manifest)


def _marked(text: bytes, judgement: Judgement, *, signed: bool = False) -> Released:
    """Give a body with the mark on what has to have it, and its manifest, which lists that too."""
    manifest = manifest_of([judgement])
    any_ = any(one.resource.partition("/")[0] in MARKED for one in manifest.decisions)
    views = read_document(text, limits=Limits(size=len(text), depth=_DEEPEST)).views if any_ and not signed else ()
    edits = [_mark(view) for view in views if view.type in MARKED]
    if not edits:
        return Released(200, {}, text, manifest)
    decisions = tuple(
        msgspec.structs.replace(one, edits=(*one.edits, Edit(Op.INSERT, "/meta/tag")))
        if one.resource.partition("/")[0] in MARKED
        and "/contained/" not in one.at
        and one.verdict is not Verdict.WITHHELD
        else one
        for one in manifest.decisions
    )
    return Released(200, {}, apply(text, edits), msgspec.structs.replace(manifest, decisions=decisions))


def _mark(view: ResourceView) -> Edit:
    meta = view.tree.get("meta")
    if not isinstance(meta, dict):
        return Edit(Op.INSERT, f"{view.at}/meta", msgspec.json.encode({"tag": [PUSHED]}))
    if not isinstance(meta.get("tag"), list):
        return Edit(Op.REPLACE if "tag" in meta else Op.INSERT, f"{view.at}/meta/tag", msgspec.json.encode([PUSHED]))
    return Edit(Op.INSERT, f"{view.at}/meta/tag/-", msgspec.json.encode(PUSHED))


def told_of(judgement: Judgement) -> tuple[str, ...]:
    """Give a line for each of the sender's resources that was held back, whole or in part."""
    return tuple(_line(decision) for decision in held_back(judgement))


def _line(decision: Decision) -> str:
    type_ = decision.resource.partition("/")[0]
    labels = ", ".join(dict.fromkeys(coding.code for coding in decision.labels_in if coding.code))
    denies = [cause for cause in decision.because if cause.effect == "deny"]
    rules = "; ".join(dict.fromkeys(f"{cause.rule} ({cause.cite})" if cause.cite else cause.rule for cause in denies))
    held = "withheld" if decision.verdict is Verdict.WITHHELD else "only in part"
    return f"{decision.at or '/'} {type_}: {held}; labels: {labels or 'none'}; rules: {rules or 'nothing permits it'}"
