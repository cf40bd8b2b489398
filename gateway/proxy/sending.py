"""The last steps of an answer: check that the consents are still those it was decided on, send, complete.

Rules of this file
1. Check and first byte are one passage of the gate, of bounded time: no write of consents is acknowledged in between
   (law 9), and none waits for ever.
2. Every recorded intent gets its completion, whatever happens; where even that fails, recovery writes `unknown`.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from consent_store.model import Identifier, PatientKey
from consent_store.store import Failed, Revision, StoreUnavailable, Subject
from gateway.errors import Unavailable
from gateway.ledger.model import AlreadyCompleted, Completion, LedgerUnavailable, Outcome, Recorded
from gateway.proxy.answering import Gone, Writer
from gateway.proxy.live import Services
from gateway.proxy.telemetry import LOGGER
from gateway.release.released import Released

CHECK_S: Final = 10.0
"""How long a check of revisions may take; a store that does not answer is out of reach (503)."""

_NOBODY: Final = (
    Subject(PatientKey("", "nobody"), frozenset({Identifier("urn:nobody", "0"), Identifier("urn:none", "0")})),
)
"""Asked for where an answer is about nobody: what is absent costs the look-up that what is withheld costs (L023)."""
_COMPLETING: Final[set[asyncio.Task[None]]] = set()


async def send(
    recorded: Recorded[Released], revisions: Mapping[Subject, Revision], services: Services, writer: Writer
) -> bool:
    """Send a recorded answer; False where consents changed and nothing was sent. Raises Gone, Unavailable."""
    outcome, detail = Outcome.VOID, "changed"
    try:
        with services.gate.passing():
            if not await unchanged(revisions, services):
                return False
            await writer.begin(recorded)
        await writer.finish(recorded)
        outcome, detail = Outcome.SENT, ""
    except Gone:
        outcome, detail = (Outcome.ABORTED if writer.began else Outcome.VOID), "client gone"
        raise
    except BaseException:
        outcome, detail = (Outcome.ABORTED if writer.began else Outcome.VOID), "failed"
        raise
    finally:
        await complete(recorded.sequence, services, outcome, detail, writer.status, writer.written)
    return True


async def unchanged(revisions: Mapping[Subject, Revision], services: Services) -> bool:
    """Say whether every subject's consents are still those an answer was decided on. Raises Unavailable."""
    try:
        async with asyncio.timeout(CHECK_S):
            now = await services.consents.revisions(tuple(revisions) or _NOBODY)
    except (StoreUnavailable, TimeoutError):
        raise Unavailable("the consents that this needs cannot be read") from None
    if any(isinstance(now.get(subject), Failed | None) for subject in revisions):
        raise Unavailable("the consents that this needs cannot be read")
    return all(now[subject] == revision for subject, revision in revisions.items())


async def complete(
    sequence: int, services: Services, outcome: Outcome, detail: str, status: int = 0, written: int = 0
) -> None:
    """Write what became of an intent, also when the request is cancelled. Never raises for a ledger out of reach."""
    sent = outcome in {Outcome.SENT, Outcome.ABORTED}
    completion = Completion(
        at=services.clock(),
        outcome=outcome,
        status=status if sent else 0,
        body_bytes=written if sent else 0,
        detail=detail,
    )
    task = asyncio.ensure_future(_completed(sequence, services, completion))
    _COMPLETING.add(task)
    task.add_done_callback(_COMPLETING.discard)
    await asyncio.shield(task)


async def _completed(sequence: int, services: Services, completion: Completion) -> None:
    try:
        await services.ledger.complete(sequence, completion)
    except (LedgerUnavailable, AlreadyCompleted) as error:
        LOGGER.error("an intent was left without completion: %s", type(error).__name__)
