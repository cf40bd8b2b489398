"""A read: one resource, judged whole, or the answer that an absent one has.

Rules of this file
1. Hidden and absent are answered alike, and recorded alike (leaks.md L023, L069).
2. What came must be what was asked for; a server that answers otherwise is at fault.
"""

from gateway.decision.judge import judge
from gateway.decision.model import Exchange
from gateway.errors import UpstreamFault
from gateway.fhir.bundle import Document
from gateway.fhir.strict import MalformedJson
from gateway.fhir.view import read_resource
from gateway.proxy.asked import Asked, Prepared
from gateway.proxy.context import Context, gather
from gateway.proxy.outcomes import NOT_VISIBLE
from gateway.release.compose import compose_own, compose_resource, manifest_of
from gateway.release.released import Manifest, Released


async def read(asked: Asked, type_: str, id_: str, exchange: Exchange) -> Prepared:
    """Prepare the answer to a read. Raises UpstreamFault, Unavailable."""
    door = asked.door
    context = Context(door, asked.json_limits)
    held = await door.upstream.read(type_, id_)
    if held is None:  # the consents are looked up all the same: where they cannot be, absent is no other answer
        await gather(Document(()), exchange, context, door, asked.directory, asked.services.consents)
        return Prepared(_not_visible(Manifest()))
    try:
        view = read_resource(held.body, limits=asked.json_limits)
    except MalformedJson as error:
        raise UpstreamFault from error
    if (view.type, view.id) != (type_, id_):
        raise UpstreamFault
    document = Document((view,))
    facts = await gather(document, exchange, context, door, asked.directory, asked.services.consents)
    judgement = judge(document, facts, door.tools)
    manifest = manifest_of([judgement])
    released = compose_resource(view, judgement, headers={}, manifest=manifest)
    return Prepared(released or _not_visible(manifest), facts.revisions)


def _not_visible(manifest: Manifest) -> Released:
    return compose_own(NOT_VISIBLE.status, NOT_VISIBLE.headers, NOT_VISIBLE.body, manifest)
