"""`Composition/1/$document`: a Composition and what it names, as one document (R4 composition-operation-document).

Rules of this file
1. Composed of the Composition and what it names itself, judged together: what is withheld is neither there nor named
   (leaks.md L032, L035).
2. One that was attested goes whole or not at all. A Composition that is not visible answers as one that never was.
3. Nothing is kept: `persist` is refused.
"""

import uuid
from collections.abc import Iterable, Mapping

import msgspec

from gateway.decision.judge import Judgement
from gateway.decision.model import Exchange, Verdict
from gateway.errors import NotSupported
from gateway.fhir.bundle import Bundle
from gateway.fhir.interaction import Interaction
from gateway.fhir.references import Local, parse
from gateway.fhir.view import ResourceView, read_resource
from gateway.proxy.asked import Asked, Prepared
from gateway.proxy.context import Context
from gateway.proxy.reading import Judged, absent, entries_of, fetched, judged_alone, not_visible
from gateway.release.compose import manifest_of, refused_whole, released_text
from gateway.release.released import Manifest
from gateway.release.uniting import compose_bundle, entry_text, manifest_of_shown

_NOT_IN_DOCUMENTS = frozenset({"AuditEvent", "Binary", "Consent", "Subscription"})


def check(interaction: Interaction) -> None:
    """Raise NotSupported where the document is to be kept."""
    if any(each.name == "persist" and each.value != "false" for each in interaction.parameters):
        raise NotSupported("the value of `persist` is not supported here", 400)


async def document(asked: Asked, interaction: Interaction, exchange: Exchange) -> Prepared:
    """Prepare a document. Raises UpstreamFault, Unavailable."""
    composition = await fetched(asked, "Composition", interaction.id or "")
    if composition is None:
        return await absent(asked, exchange)
    named = _named(asked, composition)
    context = Context(asked.door, asked.json_limits)
    records = await context.take(_by_type(named))
    views = [composition, *(records[name] for name in named if name in records)]
    entries = entries_of(views)
    bundle = Bundle(type="document", entries=entries)
    judged = await judged_alone(
        asked, [entry.view for entry in entries if entry.view], exchange, bundle=bundle, found=True
    )
    released = released_text(judged.document.views[0], judged.judgement)
    attested = "attester" in composition.tree
    if released is None or (attested and refused_whole(judged.document, judged.judgement)):
        return Prepared(not_visible(_all_withheld(judged)), judged.facts.revisions)
    return _composed(asked, judged, released, exchange)


def _composed(asked: Asked, judged: Judged, composition: bytes, exchange: Exchange) -> Prepared:
    base = asked.door.route.public_url
    still = set(_named(asked, read_resource(composition)))
    shown: list[tuple[str, bytes]] = []
    for view in judged.document.views:
        text = released_text(view, judged.judgement)
        first = view is judged.document.views[0]
        if text is not None and (first or (view.type, view.id) in still):
            shown.append((f"{view.type}/{view.id}", text))
    own = str(uuid.uuid4())
    head = {
        "id": own,
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{own}"},
        "type": "document",
        "timestamp": exchange.at.isoformat(timespec="seconds"),
    }
    manifest = manifest_of_shown([judged.manifest], (name for name, _ in shown))
    texts = (entry_text(f"{base}/{name}", text, {}) for name, text in shown)
    return Prepared(compose_bundle(head, texts, manifest), judged.facts.revisions)


def _named(asked: Asked, composition: ResourceView) -> list[tuple[str, str]]:
    """Give the records of this server that a Composition names, in its order, each once."""
    found = (parse(each.reference, asked.door.own) for each in composition.references if each.reference)
    names = ((one.type, one.id) for one in found if isinstance(one, Local) and one.type not in _NOT_IN_DOCUMENTS)
    return [name for name in dict.fromkeys(names) if name != (composition.type, composition.id)]


def _by_type(names: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    wanted: dict[str, list[str]] = {}
    for type_, id_ in names:
        wanted.setdefault(type_, []).append(id_)
    return wanted


def _all_withheld(judged: Judged) -> Manifest:
    decisions = (msgspec.structs.replace(one, verdict=Verdict.WITHHELD, edits=()) for one in judged.manifest.decisions)
    return manifest_of([Judgement(tuple(decisions), frozenset(), {})])
