"""Held, Released, Recorded: no other path leads out of the data plane (law 6, leaks.md L043)."""

import ast
from functools import cache
from pathlib import Path

import pytest

GATEWAY = Path(__file__).resolve().parents[4] / "gateway"
FILES = sorted(GATEWAY.rglob("*.py"))


def named(path):
    """A file as the repository names it."""
    return path.relative_to(GATEWAY).as_posix()


@cache
def called(path):
    """The names that a file calls anything by."""
    tree = ast.parse(path.read_text("utf-8"))
    functions = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return frozenset(getattr(one, "id", getattr(one, "attr", "")) for one in functions)


def makers(name, files=FILES):
    """The files that make a value of this type."""
    return {named(path) for path in files if name in called(path)}


def test_only_release_makes_a_released():
    """What may be recorded is made where edits are applied and nowhere else."""
    assert makers("Released")
    assert set() == {name for name in makers("Released") if not name.startswith("release/")}


def test_only_the_ledger_makes_a_recorded():
    """What may be sent is made where it was written down."""
    assert {"ledger/model.py"} == makers("Recorded")


def test_only_the_upstream_client_makes_a_held():
    """What was not judged comes in by one door."""
    assert {"proxy/upstream.py"} == makers("Held")


def test_the_gateway_s_own_words_are_made_in_few_places():
    """An answer that is not recorded holds constants and the gateway's own words; each maker of one is known here."""
    known = {"proxy/app.py", "proxy/changing.py", "proxy/exchange.py", "proxy/outcomes.py", "proxy/pushing.py"}
    assert known == makers("Own")


@pytest.mark.parametrize("word", ["http.response.start", "http.response.body"])
def test_one_file_of_the_data_plane_writes_to_a_client(word):
    """The bytes of every answer go through the Writer."""
    proxy = [path for path in FILES if named(path).startswith("proxy/")]
    assert {"proxy/answering.py"} == {named(path) for path in proxy if word in path.read_text("utf-8")}


def test_the_writer_takes_nothing_but_what_is_recorded_or_our_own():
    """Its parameters say so, and the type checker holds every caller to it."""
    tree = ast.parse((GATEWAY / "proxy/answering.py").read_text("utf-8"))
    writer = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Writer")
    taken = {
        method.name: ast.unparse(method.args.args[1].annotation)
        for method in writer.body
        if isinstance(method, ast.AsyncFunctionDef) and not method.name.startswith("_")
    }
    assert {"own": "Own", "begin": "Recorded[Released]", "finish": "Recorded[Released]"} == taken
