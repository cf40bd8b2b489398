"""docs/leaks.md is held to the tests: every leak has a row, every test it names is there and carries the leak's id."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.attack.defences.all_rows import DEFENCES

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs/leaks.md").read_text(encoding="utf-8")
ROWS = [(one[1], one[2], one[3]) for one in re.finditer(r"^\| (L\d{3}) \| (.*?) \| (.*) \|$", PAGE, re.MULTILINE)]
OPEN = 0
"""How many rows say that something of them is open. This number may only fall."""
SECTIONS = {"A": 1, "B": 12, "C": 24, "D": 31, "E": 43, "F": 61, "G": 75, "H": 83}


@cache
def functions(file: str) -> set[str]:
    """The names of the tests of a file."""
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_leak_has_one_row_in_its_section():
    """L001 to L100, in order, each once, beneath the heading of its section."""
    assert [f"L{number:03}" for number in range(1, 101)] == [id_ for id_, *_ in ROWS]
    firsts = re.findall(r"^## ([A-H])\..*?^\| L(\d{3})", PAGE, re.MULTILINE | re.DOTALL)
    assert SECTIONS == {heading: int(first) for heading, first in firsts}


@pytest.mark.parametrize(("id_", "tests", "how"), ROWS, ids=[one[0] for one in ROWS])
def test_a_row_names_tests_that_carry_its_id(id_, tests, how):
    """Each test stands in a file that goes through HTTP, exists, and has the id in its name; and there is a reason."""
    named = re.findall(r"`((?:attack|e2e)/test_\w+\.py)::(test_\w+)`", tests)
    assert named
    assert len(named) == tests.count("`") // 2
    for file, name in named:
        assert name in functions(file)
        assert f"_{id_}_" in name
    assert how.endswith(".")


def test_what_is_open_gets_less():
    """A row that says "Open:" is counted; who closes one lowers the number."""
    assert OPEN == sum("Open:" in how for *_, how in ROWS)


def test_every_leak_has_a_defence_to_switch_off():
    """The table of `make defences` has each of the hundred, and the tests it names are there."""
    assert {f"L{number:03}" for number in range(1, 101)} == {one.id for one in DEFENCES}
    named = [name for one in DEFENCES for name in one.tests]
    files = [name.partition("::") for name in named]
    assert [] == [file for file, _, name in files if name and name.partition("[")[0] not in functions(file)]


def test_every_defence_is_where_the_table_says():
    """Each place in the code is there: whoever moves or renames one writes it down in `tests/attack/defences`."""
    assert [] == [wrong for one in DEFENCES for each in one.off if (wrong := each.missing())]


def test_a_defence_that_is_off_is_noticed():
    """A sample of `make defences`: one row, with and without."""
    command = [sys.executable, "-m", "tests.attack.defences", "L046"]
    done = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, timeout=300, check=False)
    assert (0, "1 defences, 0 unnoticed") == (done.returncode, done.stdout.splitlines()[-1]), done.stdout + done.stderr
