"""The engine beside the naive oracle; what was found once; and whether the oracle notices a matcher that is missing.

`make laws N=...` tries N examples of two pairs each, and keeps a pair on which they differ in tests/laws/found/, where
it is tried ever after. tests/laws/noticing.py says where noticed.json comes from.
"""

import os
import secrets
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings

from tests.conftest import EXAMPLES
from tests.laws import oracle
from tests.laws.cases import FOUND, Case, from_text, to_text
from tests.laws.made_cases import cases
from tests.laws.noticing import DRAWING, EVER_NEW, answers_differ, differs, made, read_noticed, unnoticed
from tests.laws.switches import SWITCHES, switched_off

ENOUGH = 5000
"""Examples within which a missing matcher has to be noticed."""
DEEP = EXAMPLES in os.environ
SEED = secrets.randbits(64) if DEEP else 1
"""`make test` tries the same pairs every time, `make laws` new ones."""


def keep(case: Case, folder: Path) -> None:
    """Keep a pair on which engine and oracle differ."""
    text = to_text(case)
    folder.mkdir(exist_ok=True)
    (folder / f"{sha256(text).hexdigest()[:12]}.json").write_bytes(text + b"\n")


def wrong_in(folder: Path) -> list[str]:
    """The kept pairs on which they differ still, by name."""
    return [path.name for path in sorted(folder.glob("*.json")) if differs(from_text(path.read_bytes()))]


def search(seed: int, folder: Path | None, trying: settings = EVER_NEW) -> None:
    """Look for a pair on which they differ; one that is found is made shorter, kept in `folder`, and fails."""
    DRAWING.seed(seed)
    latest: list[Case] = []

    @trying
    @given(cases(each=2))
    def agree(pairs):
        for case in pairs:
            latest[:] = [case]
            assert not differs(case)

    try:
        agree()
    except BaseException:
        if folder is not None and latest:
            keep(latest[0], folder)
        raise


def test_engine_and_oracle_agree():
    """The engine says what the rules, read as naively as possible, say, and names the consents that say it."""
    search(SEED, FOUND if DEEP else None)


def test_what_was_found_once_is_right():
    """Every pair on which they differed once is answered as the rules say."""
    assert [] == wrong_in(FOUND)


def test_a_pair_on_which_they_differ_is_kept_and_tried_again(tmp_path):
    """An engine without a matcher fails, a pair that shows it becomes a file, and the whole engine passes that."""
    with switched_off("type"):
        with pytest.raises(AssertionError):
            search(1, tmp_path, settings(EVER_NEW, phases=[Phase.generate]))
        assert 1 == len(wrong_in(tmp_path))
    assert [] == wrong_in(tmp_path)


def test_a_pair_can_be_kept():
    """A case is the same when it was written to a file and read again."""
    for case in made(20):
        assert case == from_text(to_text(case))


def test_the_made_pairs_are_of_every_kind():
    """A quarter of the pairs at least are permits, a quarter denies by a provision, a tenth cannot be evaluated."""
    said = [oracle.answer(case) for case in made(ENOUGH if DEEP else 800, SEED)]
    shares = Counter(one.answer if one.evaluable else "not evaluable" for one in said)
    assert 0.25 <= shares["permit"] / len(said)
    assert 0.25 <= shares["deny"] / len(said)
    assert 0.10 <= shares["not evaluable"] / len(said)


@pytest.mark.parametrize("name", sorted(SWITCHES))
def test_a_missing_matcher_is_noticed(name):
    """On the pair kept for it the engine is right, and without the matcher it is not."""
    case = read_noticed()[name]
    assert not differs(case)
    with switched_off(name):
        assert answers_differ(case)
    assert not differs(case)


def test_a_missing_matcher_is_noticed_among_new_pairs():
    """Without any one matcher the engine errs on one of 5,000 new examples; without most of them on one of a few."""
    missed = unnoticed(made(ENOUGH if DEEP else 100, SEED))
    assert (0 if DEEP else len(SWITCHES) // 2) >= len(missed), missed
