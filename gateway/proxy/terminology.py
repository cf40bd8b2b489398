"""Operations on terminology, where the route opens them: asked of the upstream, answered through decision and release.

Rules of this file
1. Only the plain parameters that operations.py lists are sent on; never a resource, never a word of a patient's record.
2. What comes has to be what the operation gives (a ValueSet, a Parameters); it is decided like any record.
3. An upstream that refuses or lacks one is at fault (502), the same for every caller.
"""

from gateway.decision.model import Exchange
from gateway.errors import UpstreamFault
from gateway.fhir.interaction import Interaction
from gateway.fhir.query import build_query
from gateway.fhir.strict import MalformedJson
from gateway.fhir.view import read_resource
from gateway.proxy.asked import Asked, Prepared
from gateway.proxy.reading import absent, judged_alone, not_visible
from gateway.release.compose import compose_resource

_GIVES = {"$expand": "ValueSet"}


async def terminology(asked: Asked, interaction: Interaction, exchange: Exchange) -> Prepared:
    """Prepare the answer to an operation on terminology. Raises UpstreamFault, Unavailable."""
    operation = interaction.operation
    if operation is None:
        raise ValueError("not an operation")
    place = "/".join(part for part in (interaction.type, interaction.id, operation.name) if part)
    query = build_query(interaction.parameters).decode("ascii")
    held = await asked.door.upstream.look(f"/{place}" + (f"?{query}" if query else ""))
    if held is None:
        return await absent(asked, exchange)
    try:
        view = read_resource(held.body, limits=asked.json_limits)
    except MalformedJson as error:
        raise UpstreamFault from error
    if view.type != _GIVES.get(operation.name, "Parameters"):
        raise UpstreamFault
    judged = await judged_alone(asked, (view,), exchange)
    released = compose_resource(view, judged.judgement, headers={}, manifest=judged.manifest)
    return Prepared(released or not_visible(judged.manifest), judged.facts.revisions)
