"""Does a test notice when one thing in the decision changes? Mutants of gateway/decision and of the Consent readers.

    python -m tests.laws.mutants [--sample 1000] [--seed 1] [--only 'gateway/decision/consents/*'] [--again FILE]
        [--within 10]

Each mutant changes one thing in the body of one function, or in a module's constant, in a process of its own made by
fork. It is dead when a pair of engine and oracle differs, a test fails, or nothing is answered in time. Only the tests
that reach the changed statement run: first those that noticed another mutant of the function or file, then the
quickest; with --within only those that take so many seconds together, and what survives is to be tried --again.
Wording (strings with a space) is left alone. Survivors are told as `path:line function: change  # tests run of those
that reach it`; docs/decisions/0005-mutants.md says why each of them lives.
"""

import argparse
import ast
import copy
import functools
import gc
import os
import random
import re
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

import pytest
from hypothesis import settings

from tests.laws import oracle
from tests.laws.noticing import made, read_noticed, unlike

ROOT = Path(__file__).resolve().parent.parent.parent
READERS = ("dates", "elements", "lifecycle", "outline", "patients", "provisions", "r4", "r5", "reading", "validate")
TARGETS = (*sorted((ROOT / "gateway/decision").rglob("*.py")), *(ROOT / f"consent_store/{one}.py" for one in READERS))
TESTS = (
    *(f"tests/unit/{one}" for one in ("consent_store", "gateway/decision", "gateway/facts", "profiles")),
    *("tests/laws", "tests/policy", "tests/unit/gateway/policy"),
)
# What looks for examples of its own, or runs the switches: the pairs below stand for them.
LEFT_OUT = ("test_oracle.py::test_engine_and", "test_oracle.py::test_the_made", "among_new_pairs")
PAIRS, EXAMPLES, SECONDS = 1500, 25, 60


class Mutant(NamedTuple):
    """One change: where, what, the code it makes of its function or of the module's constant, and the lines of the
    statement it is in."""

    path: Path
    line: int
    function: str
    what: str
    code: CodeType
    lines: range

    @property
    def module(self) -> ModuleType:
        """The module it stands in."""
        return sys.modules[".".join(self.path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")]

    def told(self) -> str:
        """The mutant in one line."""
        return f"{self.path.relative_to(ROOT)}:{self.line} {self.function}: {self.what}"


# --- changes: a field of a node and what stands there instead

Change = tuple[str, str, object]
_OPERATORS: dict[type, type] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
_CALLS = {"any": "all", "all": "any", "min": "max", "max": "min"}


def _not(node: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), node)


def _without(items: list, index: int) -> list:
    return [*items[:index], *items[index + 1 :]]


def changes(node: ast.AST) -> Iterator[Change]:  # noqa: C901, PLR0912  one case a kind of node
    """What may be changed in one node."""
    match node:
        case ast.Compare(ops=ops):
            for index, op in enumerate(ops):
                other = [*ops[:index], _OPERATORS[type(op)](), *ops[index + 1 :]]
                yield f"{type(op).__name__} is {type(other[index]).__name__}", "ops", other
        case ast.BoolOp(op=op, values=values):
            yield f"{type(op).__name__} is {_OPERATORS[type(op)].__name__}", "op", _OPERATORS[type(op)]()
            for index, value in enumerate(values):
                left = _without(values, index)
                yield f"without `{ast.unparse(value)}`", "values", left if len(left) > 1 else [left[0], left[0]]
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in _OPERATORS:
            yield f"{type(op).__name__} is {_OPERATORS[type(op)].__name__}", "op", _OPERATORS[type(op)]()
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield f"`{ast.unparse(operand)}` not negated", "operand", _not(operand)
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) if not isinstance(test, ast.Compare):
            yield f"negated: `{ast.unparse(test)}`", "test", _not(test)
        case ast.comprehension(ifs=ifs):
            for index, one in enumerate(ifs):
                yield f"without if `{ast.unparse(one)}`", "ifs", _without(ifs, index)
        case ast.Constant(value=bool(value)):
            yield f"{value} is {not value}", "value", not value
        case ast.Constant(value=int(value)):
            yield f"{value} is {value + 1}", "value", value + 1
        case ast.Constant(value=str(value)) if value and " " not in value:
            yield f"{value!r} is another", "value", f"{value}X"
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield "returns None", "value", ast.Constant(None)
        case ast.Expr(value=ast.Call() | ast.Yield() | ast.YieldFrom() as value):
            yield f"without `{ast.unparse(value)}`", "value", ast.Constant(None)
        case ast.Call(func=ast.Name(id=name)) if name in _CALLS:
            yield f"{name} is {_CALLS[name]}", "func", ast.Name(_CALLS[name], ast.Load())
        case ast.Tuple(elts=elts, ctx=ast.Load()) | ast.List(elts=elts, ctx=ast.Load()) | ast.Set(elts=elts):
            for index, one in enumerate(elts if len(elts) > 1 else ()):
                yield f"without `{ast.unparse(one)}`", "elts", _without(elts, index)
        case ast.Dict(keys=keys) if len(keys) > 1:
            yield f"without the key `{ast.unparse(keys[0]) if keys[0] else '**'}`", "keys", None
        case ast.For(body=body) | ast.While(body=body) | ast.If(body=body):
            for index, one in enumerate(body):
                if isinstance(one, ast.Continue):
                    yield "continue is break", "body", [*body[:index], ast.Break(), *body[index + 1 :]]


def nodes(top: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when a function is called: no annotations, defaults, decorators, wording or docstrings."""
    waiting: list[ast.AST] = [top]
    while waiting:
        node = waiting.pop()
        yield node
        skipped = {"annotation", "returns", "decorator_list", "args", "type_comment"}
        body = getattr(node, "body", None)
        for name, value in ast.iter_fields(node):
            if isinstance(node, ast.Call) and isinstance(
                value, ast.Subscript
            ):  # dict[str, int](): what it is a dict of
                continue
            if (name in skipped and not isinstance(node, ast.Call)) or isinstance(value, ast.JoinedStr):
                continue
            for one in value if isinstance(value, list) else [value]:
                doc = name == "body" and isinstance(body, list) and one is body[0] and isinstance(one, ast.Expr)
                wording = doc and isinstance(one.value, ast.Constant)
                if isinstance(one, ast.AST) and not isinstance(one, ast.JoinedStr) and not wording:
                    waiting.append(one)


def mutants(path: Path) -> Iterator[Mutant]:
    """Every mutant of one file."""
    tree = ast.parse(path.read_text())
    for function, top in _tops(tree):
        lines = _lines(top)
        for node in nodes(top):
            for what, field, value in list(changes(node)):
                kept = getattr(node, field)
                code = _compiled(tree, path, function, top, (node, field, value))
                setattr(node, field, kept)
                if code is not None:
                    line = getattr(node, "lineno", top.lineno)
                    yield Mutant(path, line, function, what, code, lines.get(line, range(line, line + 1)))


def _lines(top: ast.AST) -> dict[int, range]:
    """The lines of the innermost statement that each line is of; of one that holds others, those before its body."""
    found: dict[int, range] = {}
    for node in ast.walk(top):  # outer ones first
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            end = body[0].lineno - 1 if body else node.end_lineno or node.lineno
            found.update(dict.fromkeys(range(node.lineno, end + 1), range(node.lineno, max(end, node.lineno) + 1)))
    return found


def _tops(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Functions and methods by qualified name, and the constants of the module as `NAME =`."""
    for one in tree.body:
        if isinstance(one, ast.FunctionDef):
            yield one.name, one
        elif isinstance(one, ast.ClassDef):
            yield from ((f"{one.name}.{inner.name}", inner) for inner in one.body if isinstance(inner, ast.FunctionDef))
        elif isinstance(one, ast.Assign | ast.AnnAssign) and one.value is not None:
            target = one.targets[0] if isinstance(one, ast.Assign) else one.target
            if isinstance(target, ast.Name) and not target.id.startswith("__"):
                yield f"{target.id} =", one.value


def _compiled(
    tree: ast.Module, path: Path, function: str, top: ast.AST, change: tuple[ast.AST, str, object]
) -> CodeType | None:
    node, field, value = change
    if isinstance(node, ast.Dict):
        kept = node.values
        node.values, value = node.values[1:], node.keys[1:]
    setattr(node, field, value)
    if function.endswith(" ="):
        made: ast.AST = ast.Expression(copy.deepcopy(top))
        code = compile(ast.fix_missing_locations(made), str(path), "eval")
    else:
        whole = compile(ast.fix_missing_locations(tree), str(path), "exec")
        code = _find(whole, function)
    if isinstance(node, ast.Dict):
        node.values = kept
    return code


def _find(code: CodeType, function: str) -> CodeType | None:
    for one in code.co_consts:
        if isinstance(one, CodeType):
            found = one if one.co_qualname == function else _find(one, function)
            if found is not None:
                return found
    return None


# --- making a mutant of the running program


def function_of(mutant: Mutant) -> FunctionType | None:
    """The function that the mutant is to replace, whatever it is wrapped in."""
    held: Any = mutant.module.__dict__
    for name in mutant.function.split("."):
        held = held.get(name) if isinstance(held, dict) else vars(held).get(name)
    for wrapper in ("__func__", "fget", "func", "__wrapped__"):
        held = getattr(held, wrapper, held)
    return held if isinstance(held, FunctionType) else None


def become(mutant: Mutant) -> bool:
    """Change this process into the mutant; False where that cannot be done."""
    if mutant.function.endswith(" ="):
        old = mutant.module.__dict__[mutant.function.removesuffix(" =")]
        new = eval(mutant.code, mutant.module.__dict__)  # noqa: S307  our own code
        for module in list(sys.modules.values()):
            for name, value in list(getattr(module, "__dict__", {}).items()):
                if value is old and value is not None and not isinstance(value, bool | int):
                    module.__dict__[name] = new
        return True
    function = function_of(mutant)
    if function is None or len(function.__code__.co_freevars) != len(mutant.code.co_freevars):
        return False
    function.__code__ = mutant.code
    return True


def caches() -> list[Any]:
    """Everything that keeps results between calls."""
    kinds = [one for one in gc.get_objects() if isinstance(one, functools._lru_cache_wrapper)]
    return [one for one in kinds if (one.__module__ or "").split(".")[0] in ("gateway", "consent_store")]


def say(line: str) -> None:
    """Tell it at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Mutating:
    """A pytest plugin that runs the tests once, and then for every mutant those that call its function."""

    def __init__(self, chosen: list[Mutant], within: float) -> None:
        self.chosen = chosen
        self.within = within
        self.reached: dict[tuple[str, int], set[str]] = defaultdict(set)
        self.noticed: dict[str, set[str]] = defaultdict(set)
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []
        self.told: Counter[str] = Counter()

    def pytest_collection(self) -> None:
        """Try few examples of each law."""
        settings.register_profile("mutants", max_examples=EXAMPLES, deadline=None, derandomize=True)
        settings.load_profile("mutants")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember what failed."""
        if report.failed:
            self.failed.append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests, then the mutants."""
        items = [one for one in session.items if not any(part in one.nodeid for part in LEFT_OUT)]
        self.caches = caches()
        self.pairs = _pairs()
        self.paired = _reached(lambda: _differs(self.pairs))
        for item in items:
            self._watched(item, items)
        if self.failed:
            say(f"# left out, for they fail without any mutant: {self.failed}")
            items = [one for one in items if one.nodeid not in self.failed]
            self.failed.clear()
        say(f"{len(items)} tests, {sum(self.seconds.values()):.0f} s; {len(self.chosen)} mutants")
        started = time.monotonic()
        gc.collect()
        gc.freeze()  # the children share what is there
        for number, mutant in enumerate(self.chosen, 1):
            telling = self._telling(mutant, items)
            fate, run = self._fate(mutant, telling)
            self.told[fate] += 1
            if fate == "survived":
                say(f"{mutant.told()}  # {run} of {len(telling)}")
            elif fate == "killed" and run:
                for place in (str(mutant.path), f"{mutant.path} {mutant.function}"):
                    self.noticed[place].add(telling[run - 1].nodeid)
            if not number % 50:
                say(f"# {number} after {time.monotonic() - started:.0f} s: {dict(self.told)}")
        say(f"# {dict(self.told)}")
        return True

    def _watched(self, item: pytest.Item, items: list[pytest.Item]) -> None:
        """Run one test and note which lines it reaches."""
        for one in self.caches:
            one.cache_clear()
        start = time.monotonic()
        following = next(iter(items[items.index(item) + 1 :]), None)
        reached = _reached(lambda: item.config.hook.pytest_runtest_protocol(item=item, nextitem=following))
        self.seconds[item.nodeid] = time.monotonic() - start
        for one in reached:
            self.reached[one].add(item.nodeid)

    def _fate(self, mutant: Mutant, telling: list[pytest.Item]) -> tuple[str, int]:
        """What becomes of a mutant, and how many tests were run."""
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os._exit(self._try(mutant, telling, writing))
        os.close(writing)
        with os.fdopen(reading, "rb") as told:
            run = len(told.read())
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            return "killed by time", run
        fates = {0: "survived", 1: "killed", 2: "killed by a pair", 3: "not made"}
        return fates[os.waitstatus_to_exitcode(status)], run

    def _try(self, mutant: Mutant, telling: list[pytest.Item], writing: int) -> int:
        """Be the mutant, in a process of its own, until a test notices it; write a byte for each test that is run."""
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        gc.disable()
        for one in self.caches:  # tables and lists of other rooms do not turn on what is changed
            if one.__module__.startswith(("gateway.decision", "gateway.facts", "consent_store")):
                one.cache_clear()
        try:
            if not become(mutant):
                return 3
            signal.alarm(SECONDS)
            if any((str(mutant.path), line) in self.paired for line in mutant.lines) and _differs(self.pairs):
                return 2
            left = self.within
            for item in telling:
                left -= self.seconds[item.nodeid]
                if left < 0:
                    break
                os.write(writing, b".")
                signal.alarm(SECONDS)
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
                if self.failed:
                    return 1
        except BaseException:  # noqa: BLE001  whatever a mutant raises, it was noticed
            return 1
        return 0

    def _telling(self, mutant: Mutant, items: list[pytest.Item]) -> list[pytest.Item]:
        """The tests that reach the statement, or where a constant of the module is used."""
        places = {(str(mutant.path), line) for line in mutant.lines}
        if mutant.function.endswith(" ="):
            places = _uses(mutant.path, mutant.function.removesuffix(" ="))
        names = set[str]().union(*(self.reached[place] for place in places & self.reached.keys()))
        if mutant.function.endswith(" ="):  # tests that look at the constant itself
            named = re.compile(rf"\b{re.escape(mutant.function.removesuffix(' ='))}\b")
            names |= {one.nodeid for one in items if named.search(_text(one.path))}
        here, near = self.noticed[f"{mutant.path} {mutant.function}"], self.noticed[str(mutant.path)]
        found = [one for one in items if one.nodeid in names]
        return sorted(found, key=lambda one: (one.nodeid not in here, one.nodeid not in near, self.seconds[one.nodeid]))


@functools.cache
def _text(path: Path) -> str:
    return path.read_text()


@functools.cache
def _uses(path: Path, name: str) -> set[tuple[str, int]]:
    """The lines of the targets that use a module's constant, or another constant made of it."""
    found = set[tuple[str, int]]()
    for other in TARGETS:
        tree = ast.parse(other.read_text())
        imported = any(
            isinstance(one, ast.ImportFrom) and any(alias.name == name for alias in one.names) for one in tree.body
        )
        if other != path and not imported:
            continue
        for top_name, top in _tops(tree):
            used = [one.lineno for one in ast.walk(top) if isinstance(one, ast.Name) and one.id == name]
            if top_name.endswith(" =") and used and top_name != f"{name} =":
                found |= _uses(other, top_name.removesuffix(" ="))
            elif not top_name.endswith(" ="):
                lines = _lines(top)
                found |= {(str(other), line) for at in used for line in lines.get(at, range(at, at + 1))}
    return found


def _reached(work: Callable[[], object]) -> set[tuple[str, int]]:
    """Do the work, and give the lines of the targets that it reaches, by file; the head of a function when it is
    called."""
    places = {str(path) for path in TARGETS}
    reached = set[tuple[str, int]]()

    def note(frame: Any, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in places:
            return None
        if event in {"call", "line"}:
            reached.add((frame.f_code.co_filename, frame.f_lineno))
        return note

    sys.settrace(note)
    try:
        work()
    finally:
        sys.settrace(None)
    return reached


def _pairs() -> list[tuple[Any, Any]]:
    """Pairs with what the oracle says of them."""
    found = sorted([*read_noticed().values(), *made(PAIRS)], key=lambda case: len(case.whole))
    return [(case, oracle.answer(case)) for case in found]


def _differs(pairs: list[tuple[Any, Any]]) -> bool:
    return any(unlike(case, expected) for case, expected in pairs)


def main() -> int:
    """Make mutants and tell which live."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, help="so many, chosen by the seed; all without")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tests", action="append", help="run these tests instead of those that may tell")
    parser.add_argument("--again", type=Path, help="only those that this file, a former output, tells of")
    parser.add_argument("--within", type=float, default=float("inf"), help="seconds of tests for each")
    parser.add_argument("--only", action="append", help="files, as a pattern")
    options = parser.parse_args()
    wanted = [path for path in TARGETS if any(path.match(one) for one in options.only or ["*"])]
    found = [one for path in wanted for one in mutants(path)]
    if options.again:
        before = {
            line.split(":", 1)[0] + line.split(" ", 1)[1].split("  # ")[0]
            for line in options.again.read_text().splitlines()
            if ".py:" in line
        }
        found = [one for one in found if f"{one.path.relative_to(ROOT)}{one.told().split(' ', 1)[1]}" in before]
    chosen = random.Random(options.seed).sample(found, min(options.sample or len(found), len(found)))  # noqa: S311
    say(f"{len(found)} mutants in {len({one.path for one in found})} files")
    quiet = [
        "-s",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-m",
        "not slow",
        "-W",
        "ignore::pytest.PytestWarning",
    ]
    where = [one for one in options.tests or TESTS if (ROOT / one).exists()]
    return int(pytest.main([*quiet, *where], plugins=[Mutating(chosen, options.within)]))


if __name__ == "__main__":
    raise SystemExit(main())
