"""Builder of ledger intents for tests: a read that the hospital answers to the plan; every part can be replaced. And a
recorded answer, for tests of what sends one."""

from datetime import UTC, datetime
from typing import Any, Final, cast

from consent_store.model import ACT_REASON, Coding
from gateway.ledger.model import Intent, Ledger, Recorded, Story, new_request_id, record
from gateway.release.released import Released

AT: Final = datetime(2025, 3, 1, 12, tzinfo=UTC)


def an_intent(**said: Any) -> Intent:
    """The intent of one read for treatment, with an id of its own."""
    read: dict[str, Any] = {
        "request_id": new_request_id(),
        "at": AT,
        "tenant": "ny",
        "route": "h",
        "interaction": "read",
        "direction": "read",
        "issuer": "i",
        "client": "c",
        "discloser": "hospital",
        "recipient": "plan",
        "purpose": Coding(ACT_REASON, "TREAT"),
        "profile": "us-part2",
        "profile_digest": "d",
    }
    return Intent(**(read | said))


class FakeLedger:
    """Takes every intent, and keeps none."""

    async def intent(self, intent: Intent, story: Story) -> int:
        """Give the first sequence."""
        return 1


async def recorded(body: bytes) -> Recorded[Released]:
    """A body as the ledger gives it to be sent."""
    return await record(cast("Ledger", FakeLedger()), an_intent(), Story(), Released(200, {}, body))
