"""A grid of time on which answers begin, where the operator sets a step: how long it took to withhold is rounded off.

Rules of this file
1. An answer begins at the next multiple of the step after its request came, whatever it is (leaks.md L023).
2. What takes longer than one step begins at a later multiple: work that differs by more than a step still shows. The
   checks after the wait, and the body's own time on the wire, are not rounded.
"""

import asyncio
import math
import time

import msgspec


class Grid(msgspec.Struct, frozen=True):
    """The grid of one request: it came at `started` (of time.perf_counter); `step` in seconds, 0 for none."""

    started: float
    step: float

    async def reached(self) -> None:
        """Return at the next multiple of the step."""
        if self.step > 0:
            await asyncio.sleep(self.left(time.perf_counter()))

    def left(self, now: float) -> float:
        """Give the seconds from `now` to the next multiple."""
        taken = now - self.started
        return math.ceil(taken / self.step) * self.step - taken
