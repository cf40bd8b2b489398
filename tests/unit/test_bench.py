"""What the measurements stand on, so that `make bench` does not rot unseen."""

import pytest

from tests.bench.door.stages import STEPS


@pytest.mark.parametrize("step", STEPS)
def test_every_timed_step_names_functions_that_are_there(step):
    """A step is timed by wrapping functions by their names; each of them is where the step looks it up."""
    assert [] == [name for owner, name in STEPS[step] if not callable(getattr(owner, name, None))]
