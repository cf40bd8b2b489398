"""Held + decisions → Released. The only place where bytes of an upstream or a sender become bytes that may be sent.

Rules of this file
1. What is withheld leaves no trace: no entry, no stub, no count, no link (leaks.md L031).
2. Inside a resource only listed edits change text; everything else is the very text that came (law 5).
3. What is said of the whole (total, container label) is computed from what is released (leaks.md point 8).
4. Links, fullUrl and search are ours.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.decision.envelope import REQUESTS, envelope_edits
from gateway.decision.judge import Judgement
from gateway.decision.model import Decision, Edit, Op, Verdict
from gateway.decision.outbound import container_labels
from gateway.decision.parts import prefixed
from gateway.fhir.bundle import Bundle, Document, Entry
from gateway.fhir.view import ResourceView
from gateway.release.edits import apply
from gateway.release.released import Manifest, Released

_FIRST: Final = "/entry/0/resource"


class ReleasedEntry(msgspec.Struct, frozen=True):
    """One entry of a searchset as it leaves: its address at our door, its text, and why it is there."""

    full_url: str
    resource: bytes
    mode: str  # match or include


def released_text(view: ResourceView, judgement: Judgement) -> bytes | None:
    """Give the text of one top-level resource as released, or None where it is withheld."""
    if judgement.decision(view.at).verdict is Verdict.WITHHELD:
        return None
    return apply(view.raw, judgement.edits[view.at])


def release_entries(document: Document, judgement: Judgement, base: str) -> tuple[ReleasedEntry, ...]:
    """Give the released entries of a searchset page in order; `base` is the route's public URL without a final slash.

    An entry without id, or of mode outcome, is never released (L022, L029).
    """
    if document.bundle is None:
        return ()
    found = []
    for entry in document.bundle.entries:
        view = entry.view
        known = not entry.unread and entry.mode in ("match", "include", None)
        if view is None or not view.id or view.type == "OperationOutcome" or not known:
            continue
        text = released_text(view, judgement)
        if text is not None:
            found.append(ReleasedEntry(f"{base}/{view.type}/{view.id}", text, entry.mode or "match"))
    return tuple(found)


def compose_searchset(
    entries: Iterable[ReleasedEntry],
    *,
    bundle_id: str,
    links: Sequence[tuple[str, str]],
    total: int | None,
    headers: Mapping[str, str],
    manifest: Manifest,
) -> Released:
    """Compose a searchset of released entries. `links` are (relation, url) at our door; no total where it is None."""
    head: dict[str, Any] = {"resourceType": "Bundle", "id": bundle_id, "type": "searchset"}
    if total is not None:
        head["total"] = total
    head["link"] = [{"relation": relation, "url": url} for relation, url in links]
    body = msgspec.json.encode(head)
    texts = [
        b'{"fullUrl":%b,"resource":%b,"search":{"mode":%b}}'
        % (msgspec.json.encode(entry.full_url), entry.resource, msgspec.json.encode(entry.mode))
        for entry in entries
    ]
    if texts:
        body = body[:-1] + b',"entry":[' + b",".join(texts) + b"]}"
    return Released(200, dict(headers), body, manifest)


def compose_resource(
    view: ResourceView, judgement: Judgement, *, headers: Mapping[str, str], manifest: Manifest
) -> Released | None:
    """Compose the answer to a read, or None where the resource is not visible."""
    text = released_text(view, judgement)
    return None if text is None else Released(200, dict(headers), text, manifest)


def compose_own(status: int, headers: Mapping[str, str], body: bytes, manifest: Manifest | None = None) -> Released:
    """Release a body that is ours alone (an outcome, a capability statement, a transaction-response of our making)."""
    return Released(status, dict(headers), body, manifest or Manifest())


def held_back(judgement: Judgement) -> tuple[Decision, ...]:
    """Give the decisions that keep something back by a rule: withheld and masked resources."""
    return tuple(decision for decision in judgement.decisions if decision.verdict is not Verdict.DISCLOSED)


def refused_whole(document: Document, judgement: Judgement) -> bool:
    """Say whether the document may only go whole and may not: a transaction or message with anything held back, a
    signed or attested Bundle that would lose something, a document without its Composition, anything of which nothing
    about a patient is left."""
    bundle = document.bundle
    if judgement.effect == "deny":
        return True
    if bundle is None:
        return False
    held = held_back(judgement)
    if bundle.type == "document" and any(d.at == _FIRST and d.verdict is Verdict.WITHHELD for d in held):
        return True
    attested = bundle.type == "document" and any(v.at == _FIRST and "attester" in v.tree for v in document.views)
    return (bundle.type in ("transaction", "message") or bundle.signed or attested) and bool(held)


def released_document(raw: bytes, document: Document, judgement: Judgement) -> bytes | None:
    """Give a whole document as released: one resource, or a Bundle without what is withheld. None: nothing of it goes.

    For a push the result is what may be forwarded; for `decide` it is what the recipient would get.
    """
    if refused_whole(document, judgement):
        return None
    bundle = document.bundle
    if bundle is None:
        return released_text(document.views[0], judgement)
    edits: list[Edit] = []
    left = 0
    for entry in bundle.entries:
        if not _goes(entry, bundle.type, judgement):
            edits.append(Edit(Op.CUT, entry.at))
            continue
        left += entry.mode in ("match", None)
        for view in (entry.view, entry.outcome):
            if view is not None and judgement.decision(view.at).verdict is Verdict.WITHHELD:
                edits.append(Edit(Op.CUT, view.at))
            elif view is not None:
                edits += prefixed(judgement.edits[view.at], view.at)
    edits += _bundle_edits(bundle, judgement, left)
    return apply(raw, [*edits, Edit(Op.CUT, "/signature")] if bundle.signed and edits else edits)


def _goes(entry: Entry, bundle_type: str, judgement: Judgement) -> bool:
    """Say whether anything of an entry is released. One without a resource is a sender's request, or tells of a
    resource that nobody decided on (L031, L047)."""
    if entry.unread:
        return False
    if entry.view is None:
        return bundle_type in REQUESTS
    return judgement.decision(entry.view.at).verdict is not Verdict.WITHHELD


def _bundle_edits(bundle: Bundle, judgement: Judgement, left: int) -> list[Edit]:
    """Give the edits of the Bundle's own elements: its total, links, container label and what it says besides."""
    edits = list(envelope_edits(msgspec.json.decode(bundle.raw), inner=False)) if judgement.trimmed else []
    if bundle.total is not None:
        paged = any(relation == "next" for relation, _ in bundle.links)
        edits.append(Edit(Op.CUT, "/total") if paged else Edit(Op.REPLACE, "/total", str(left).encode()))
    if bundle.security:
        labels = (code for d in judgement.decisions if d.verdict is not Verdict.WITHHELD for code in d.labels_out)
        out = [{"system": code.system, "code": code.code} for code in container_labels(labels)]
        edits.append(Edit(Op.REPLACE, "/meta/security", msgspec.json.encode(out)))
    return edits


def manifest_of(judgements: Iterable[Judgement]) -> Manifest:
    """Give what a released answer discloses and withholds, over all the judgements it was made from."""
    decisions = tuple(decision for judgement in judgements for decision in judgement.decisions)
    released = [d for d in decisions if d.verdict is not Verdict.WITHHELD]
    return Manifest(
        decisions=decisions,
        subjects=tuple(dict.fromkeys(key for d in released for key in d.subjects)),
        disclosed=tuple(dict.fromkeys(d.resource for d in released)),
        withheld=tuple(dict.fromkeys(d.resource for d in decisions if d.verdict is Verdict.WITHHELD)),
        obligations=tuple(dict.fromkeys([*(word for d in released for word in d.obligations), *_kept(decisions)])),
    )


def _kept(decisions: Iterable[Decision]) -> Iterable[str]:
    """Give what was carried out by holding something back: the words of the denies behind it."""
    held = (d for d in decisions if d.verdict is not Verdict.DISCLOSED)
    return (word for d in held for cause in d.because if cause.effect == "deny" for word in cause.obligations)
