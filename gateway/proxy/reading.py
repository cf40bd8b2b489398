"""A read: one resource, judged whole, or the answer that an absent one has.

Rules of this file
1. Hidden and absent are answered alike, and recorded alike (leaks.md L023, L069).
2. What came must be what was asked for; a server that answers otherwise is at fault.
"""

from collections.abc import Sequence

import msgspec

from gateway.decision.facts import Facts
from gateway.decision.judge import Judgement, judge
from gateway.decision.model import Exchange
from gateway.fhir.bundle import Bundle, Document, Entry
from gateway.fhir.view import ResourceView
from gateway.proxy.asked import Asked, Prepared
from gateway.proxy.context import Context, read_alone
from gateway.proxy.gathering import gather
from gateway.proxy.outcomes import NOT_VISIBLE
from gateway.release.compose import compose_own, compose_resource, manifest_of
from gateway.release.released import Manifest, Released


class Judged(msgspec.Struct, frozen=True):
    """Records that were fetched, with the facts and the judgement on them."""

    document: Document
    facts: Facts
    judgement: Judgement

    @property
    def manifest(self) -> Manifest:
        """What an answer made of them discloses and withholds."""
        return manifest_of([self.judgement])


async def read(asked: Asked, type_: str, id_: str, exchange: Exchange) -> Prepared:
    """Prepare the answer to a read. Raises UpstreamFault, Unavailable."""
    view = await fetched(asked, type_, id_)
    if view is None:
        return await absent(asked, exchange)
    judged = await judged_alone(asked, (view,), exchange)
    released = compose_resource(view, judged.judgement, headers={}, manifest=judged.manifest)
    return Prepared(released or not_visible(judged.manifest), judged.facts.revisions)


async def fetched(asked: Asked, type_: str, id_: str) -> ResourceView | None:
    """Give what the upstream holds under a type and id, None where it holds nothing. Raises UpstreamFault."""
    return await read_alone(asked.door, type_, id_, asked.json_limits)


async def judged_alone(
    asked: Asked,
    views: Sequence[ResourceView],
    exchange: Exchange,
    *,
    bundle: Bundle | None = None,
    copies: Sequence[ResourceView] = (),
    found: bool = False,
) -> Judged:
    """Gather what records need and judge them as one document. `copies` are other versions of them: whatever either
    says of itself counts (L002, L046); `found` as for `gather`. Raises UpstreamFault, Unavailable."""
    document = Document(tuple(views), bundle)
    context = Context(asked.door, asked.json_limits)
    services = asked.services
    facts = await gather(document, exchange, context, asked.door, asked.directory, services.consents, found=found)
    if copies:
        facts = msgspec.structs.replace(facts, context=(*facts.context, *copies))
    return Judged(document, facts, judge(document, facts, asked.door.tools))


def entries_of(views: Sequence[ResourceView]) -> tuple[Entry, ...]:
    """Give records that came one by one as the entries of a Bundle."""
    return tuple(
        Entry(at=f"/entry/{number}", view=_at(f"/entry/{number}/resource", view)) for number, view in enumerate(views)
    )


def _at(place: str, view: ResourceView) -> ResourceView:
    inner = tuple(_at(place + one.at.removeprefix(view.at), one) for one in view.inner)
    return msgspec.structs.replace(view, at=place, inner=inner)


async def absent(asked: Asked, exchange: Exchange) -> Prepared:
    """Give the answer for what is not there. The consents are looked up all the same: where they cannot be, absent is
    no other answer than hidden."""
    context = Context(asked.door, asked.json_limits)
    await gather(Document(()), exchange, context, asked.door, asked.directory, asked.services.consents)
    return Prepared(not_visible(Manifest()))


def not_visible(manifest: Manifest) -> Released:
    """Give the one answer for what is not visible, with what was withheld for the record."""
    return compose_own(NOT_VISIBLE.status, NOT_VISIBLE.headers, NOT_VISIBLE.body, manifest)
