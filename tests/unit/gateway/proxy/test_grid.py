"""The grid of time: every answer at the next multiple of the step."""

import pytest

from gateway.proxy.grid import Grid


@pytest.mark.parametrize(("now", "left"), [(10.0, 0.0), (10.01, 0.24), (10.25, 0.0), (10.26, 0.24), (11.1, 0.15)])
def test_L023_what_is_left_to_the_next_multiple(now, left):
    """Counted from when the request came."""
    assert pytest.approx(left, abs=1e-9) == Grid(10.0, 0.25).left(now)


@pytest.mark.asyncio
async def test_without_a_step_nothing_waits():
    """The default."""
    await Grid(0.0, 0.0).reached()
