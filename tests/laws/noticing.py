"""Where engine and oracle differ, and the pairs that show that a matcher is missing.

    python -m tests.laws.noticing [examples]

writes noticed.json anew: for each way to switch a matcher off, the shortest pair found in so many examples (5000) on
which the engine without it errs, and the whole engine does not.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from random import Random

import msgspec
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider

from tests.laws import oracle
from tests.laws.cases import Case, engine, to_text
from tests.laws.made_cases import cases
from tests.laws.switches import SWITCHES, switched_off

NOTICED = Path(__file__).with_name("noticed.json")
DRAWING = Random(1)  # noqa: S311  no secret
"""What draws the examples: `seed` says which."""


class Drawn(HypothesisProvider):
    """Nearly every example is a new one, by the seed of DRAWING; Hypothesis's own provider repeats and varies."""

    def __init__(self, conjecturedata, /):
        super().__init__(conjecturedata)
        self._random = DRAWING


AVAILABLE_PROVIDERS["drawn"] = f"{__name__}.{Drawn.__name__}"
EVER_NEW = settings(
    backend="drawn", derandomize=False, suppress_health_check=[HealthCheck.too_slow], deadline=None, database=None
)


def differs(case: Case) -> bool:
    """Whether engine and oracle differ in the answer, in the consents that give it, or in whose permit stands."""
    return unlike(case, oracle.answer(case))


def unlike(case: Case, expected: oracle.Said) -> bool:
    """Whether the engine says something else than `expected`, or by other consents."""
    found = engine(case)
    named = {cause.consent.split("/")[1] for cause in found.causes}
    standing = {permit.consent.id for permit in found.permitting}
    return (expected.answer, expected.by, expected.permitting) != (found.answer.value, named, standing)


def made(examples: int, seed: int = 1) -> list[Case]:
    """So many examples of two pairs each; the same for the same seed."""
    DRAWING.seed(seed)
    pairs: list[Case] = []

    @settings(EVER_NEW, max_examples=examples, phases=[Phase.generate])
    @given(cases(each=2))
    def gather(drawn: list[Case]) -> None:
        pairs.extend(drawn)

    gather()
    return pairs


def answers_differ(case: Case) -> bool:
    """Whether engine and oracle differ in the answer alone."""
    return oracle.answer(case).answer != engine(case).answer.value


def unnoticed(pairs: Iterable[Case]) -> set[str]:
    """The matchers without which the engine gives the right answer to every pair."""
    pairs = list(pairs)
    missed = set()
    for name in SWITCHES:
        with switched_off(name):
            if not any(map(answers_differ, pairs)):
                missed.add(name)
    return missed


def read_noticed() -> dict[str, Case]:
    """The kept pairs by the name of the matcher they show."""
    return msgspec.json.decode(NOTICED.read_bytes(), type=dict[str, Case])


def main(examples: int = 5000) -> None:
    """Look for a short pair for every matcher and keep them."""
    pairs = sorted(made(examples), key=lambda case: len(to_text(case)))
    shortest: dict[str, Case] = {}
    for name in SWITCHES:
        with switched_off(name):
            found = next(filter(answers_differ, pairs), None)
        if found is not None:
            shortest[name] = found
    lines = b",\n".join(msgspec.json.encode(name) + b":" + msgspec.json.encode(case) for name, case in shortest.items())
    NOTICED.write_bytes(b"{\n" + lines + b"\n}\n")
    sys.stdout.write(f"not noticed: {', '.join(sorted(SWITCHES.keys() - shortest.keys())) or 'none'}\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
