"""A batch that reads: every entry through the same steps as a request of its own, then put together in order.

Rules of this file
1. An entry's answer is what it would be alone (leaks.md L044); a refusal by form is that entry's answer.
2. A failure of ours or the upstream's fails the whole: an entry never tells that another one failed.
"""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from consent_store.store import Revision, Subject
from gateway.decision.model import Exchange
from gateway.errors import GatewayError
from gateway.fhir.interaction import Interaction
from gateway.proxy.asked import Asked, ChangedMeanwhile, Prepared
from gateway.proxy.outcomes import outcome
from gateway.proxy.posted import Get
from gateway.release.batch import compose_batch
from gateway.release.compose import compose_own

_SERVER_ERROR: Final = 500

PrepareFor = Callable[[Asked, Interaction], Callable[[Exchange], Awaitable[Prepared]]]


async def batch(asked: Asked, gets: tuple[Get, ...], prepare_for: PrepareFor, exchange: Exchange) -> Prepared:
    """Prepare the batch-response. Raises UpstreamFault, Unavailable, ChangedMeanwhile."""
    answers = [await _one(asked, get, prepare_for, exchange) for get in gets]
    revisions: dict[Subject, Revision] = {}
    for answer in answers:
        _unite(revisions, answer.revisions)
    return Prepared(compose_batch([answer.released for answer in answers], str(uuid.uuid4())), revisions)


async def _one(asked: Asked, get: Get, prepare_for: PrepareFor, exchange: Exchange) -> Prepared:
    try:
        if isinstance(get, GatewayError):
            raise get
        return await prepare_for(asked, get)(exchange)
    except GatewayError as refused:
        if refused.status >= _SERVER_ERROR and refused.status != 501:
            raise
        own = outcome(refused)
        return Prepared(compose_own(own.status, {}, own.body))


def _unite(into: dict[Subject, Revision], more: Mapping[Subject, Revision]) -> None:
    for subject, revision in more.items():
        if into.setdefault(subject, revision) != revision:
            raise ChangedMeanwhile
