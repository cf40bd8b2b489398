"""A grid of time on which answers begin, where the operator sets a step: how long it took to withhold is rounded off.

Rules of this file
1. An answer begins at the next multiple of the step after its request came, whatever it is (leaks.md L023).
2. What takes longer than one step begins at a later multiple: work that differs by more than a step still shows. The
   checks after the wait, and the body's own time on the wire, are not rounded.
"""

import asyncio
import math
import time
from typing import Final

import msgspec

_TICK: Final = 0.001
"""The loop sleeps whole milliseconds, rounded up: how late it wakes would tell at what fraction of one it began."""


class Grid(msgspec.Struct, frozen=True):
    """The grid of one request: it came at `started` (of time.perf_counter); `step` in seconds, 0 for none."""

    started: float
    step: float

    async def reached(self) -> None:
        """Return at the next multiple of the step."""
        if self.step <= 0:
            return
        now = time.perf_counter()
        end = now + self.left(now)
        await asyncio.sleep(max(end - now - _TICK, 0.0))
        while time.perf_counter() < end:  # noqa: ASYNC110  finer than the loop's own clock
            await asyncio.sleep(0)

    def left(self, now: float) -> float:
        """Give the seconds from `now` to the next multiple."""
        taken = now - self.started
        return math.ceil(taken / self.step) * self.step - taken
