"""The house rules that a machine can check: sizes, names, purity, docstrings, links, tests that mirror the rooms."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGES = ("gateway", "consent_store")
ROOT = Path(__file__).resolve().parent.parent.parent

# Law 4: no input or output, clock, environment, logging or chance in these rooms and files.
PURE = (
    "gateway/fhir",
    "gateway/directory",
    "gateway/policy",
    "gateway/decision",
    "gateway/labels",
    "gateway/release",
    "gateway/errors.py",
    "consent_store/model.py",
    "consent_store/dates.py",
    "consent_store/r4.py",
    "consent_store/r5.py",
    "consent_store/lifecycle.py",
)
# What a pure file may import: msgspec, the rooms, and these modules of the standard library, none of which reaches out.
# One module of a package that is otherwise not pure: expat parses bytes it is handed and opens nothing.
PURE_MODULES = frozenset({"xml.parsers", "xml.parsers.expat"})
PURE_IMPORTS = frozenset(
    {
        "__future__",
        "abc",
        "base64",
        "binascii",
        "bisect",
        "calendar",
        "collections",
        "consent_store",
        "copy",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "functools",
        "gateway",
        "hashlib",
        "hmac",
        "html",
        "itertools",
        "json",
        "math",
        "msgspec",
        "operator",
        "re",
        "string",
        "struct",
        "types",
        "typing",
        "unicodedata",
        "urllib",
        "zoneinfo",
    }
)
# Built-in functions that reach out of a pure file, or run what nobody reviewed.
IMPURE_CALLS = frozenset({"open", "print", "input", "exec", "eval", "__import__", "breakpoint"})

# Who alone may import what: drivers are chosen in one place, and the demo is no part of a running gateway. The other
# arrows are import contracts in pyproject.toml.
RESERVED = {
    re.compile(r"(consent_store|gateway\.ledger)\.(memory|sqlite|redis|upstream)(\.|$)"): (
        "gateway/bootstrap/stores.py",
        "gateway/bootstrap/planes.py",
    ),
    re.compile(r"gateway\.demo(\.|$)"): ("gateway/cli.py",),
}

VAGUE = re.compile(r"manager|helper|utils?(?![a-z])|common(?![a-z])|processor")
MACHINE_PATH = re.compile(r"(?<![\w.>])/(?:work|root|home|Users|farm)/[\w.-]+")
MARKDOWN_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@cache
def tracked(pattern: str = "") -> list[Path]:
    """The files of the repository, as git lists them, new ones included, what is made and ignored left out."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (ROOT / line for line in listing.stdout.splitlines())
    return sorted(path for path in paths if path.is_file() and path.name.endswith(pattern))


def inside(path: Path) -> str:
    """A path as the repository names it."""
    return path.relative_to(ROOT).as_posix()


def modules() -> list[str]:
    """Every Python file of the packages, as the repository names it."""
    return [inside(path) for path in tracked(".py") if inside(path).startswith(tuple(f"{name}/" for name in PACKAGES))]


def stories() -> list[str]:
    """Every file of tests."""
    return [name for name in map(inside, tracked(".py")) if name.startswith("tests/")]


def is_pure(name: str) -> bool:
    """Whether law 4 binds this file."""
    return any(name == room or name.startswith(f"{room}/") for room in PURE)


def imported(tree: ast.Module) -> Iterator[str]:
    """The modules a file imports, anywhere in it; of `from a import b` both `a` and `a.b`, which may be one too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def parse(name: str) -> ast.Module:
    """A file of the repository as a syntax tree."""
    return ast.parse((ROOT / name).read_text("utf-8"), filename=name)


def test_the_rooms_are_found() -> None:
    """The checks below look at real files: every pure room has at least one."""
    assert [] == [room for room in PURE if "." not in room and not any(is_pure(m) for m in modules() if room in m)]
    assert len(modules()) > 20


@pytest.mark.parametrize("name", [*modules(), *stories()])
def test_a_module_fits_in_the_head(name: str) -> None:
    """No module of the product, and no file of tests, is longer than 500 lines."""
    assert 500 >= len((ROOT / name).read_text("utf-8").splitlines())


def test_names_say_what_a_file_is() -> None:
    """No file or folder is called manager, helper, utils, common or processor."""
    assert [] == [name for name in map(inside, tracked()) if VAGUE.search(name.lower())]


@pytest.mark.parametrize("name", [name for name in modules() if is_pure(name)])
def test_a_pure_file_imports_nothing_that_reaches_out(name: str) -> None:
    """A pure file imports msgspec, other rooms and the harmless part of the standard library, nothing else (law 4)."""
    wanted = {module for module in imported(parse(name)) if module.split(".")[0] not in PURE_IMPORTS} - PURE_MODULES
    assert set() == wanted | {module for module in imported(parse(name)) if module.startswith("urllib.request")}


@pytest.mark.parametrize("name", [name for name in modules() if is_pure(name)])
def test_a_pure_file_opens_and_prints_nothing(name: str) -> None:
    """A pure file calls no built-in function that reads, writes, or runs text as code (law 4)."""
    calls = (node.func for node in ast.walk(parse(name)) if isinstance(node, ast.Call))
    assert set() == {called.id for called in calls if isinstance(called, ast.Name)} & IMPURE_CALLS


@pytest.mark.parametrize("name", modules())
def test_drivers_and_demo_are_imported_in_one_place(name: str) -> None:
    """Drivers are imported by bootstrap alone and the demo by the command line alone; each may import its own files."""
    wrong = []
    for pattern, allowed in RESERVED.items():
        own = pattern.match(name.removesuffix(".py").replace("/", "."))
        wrong += [m for m in imported(parse(name)) if pattern.match(m) and name not in allowed and not own]
    assert [] == wrong


@pytest.mark.parametrize("name", modules())
def test_a_module_says_what_it_is_for(name: str) -> None:
    """Every module opens with a docstring."""
    assert ast.get_docstring(parse(name))


@pytest.mark.parametrize("name", stories())
def test_every_test_says_what_it_shows(name: str) -> None:
    """Every test function has a docstring of at least one sentence."""
    functions = [node for node in ast.walk(parse(name)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    silent = [node.name for node in functions if node.name.startswith("test_") and not ast.get_docstring(node)]
    assert [] == silent


@pytest.mark.parametrize("name", [inside(path) for path in tracked(".md")])
def test_links_of_the_documents_resolve(name: str) -> None:
    """A link in a document that names a file of the repository finds it."""
    targets = MARKDOWN_LINK.findall((ROOT / name).read_text("utf-8"))
    local = [target.split("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
    assert [] == [target for target in local if not ((ROOT / name).parent / target).exists()]


def test_the_repository_names_no_path_of_a_machine() -> None:
    """Nothing in the repository depends on, or tells of, the machine it was written on."""
    told = []
    for path in tracked():
        text = path.read_text("utf-8", errors="replace")
        told += [f"{inside(path)}: {hit}" for hit in MACHINE_PATH.findall(text)]
    assert [] == told


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_pins_by_hash_and_names_no_index(lock: str) -> None:
    """Every locked package has a version and a hash, and no line names the index it came from."""
    lines = (ROOT / lock).read_text("utf-8").splitlines()
    assert [] == [line for line in lines if "://" in line or line.lstrip().startswith(("--index", "--extra-index"))]
    assert [] == [line for line in lines if line[:1].isalnum() and not re.match(r"[\w.-]+==\S+ .*\\$", line)]
    assert sum(line[:1].isalnum() for line in lines) <= sum("--hash=sha256:" in line for line in lines)


def test_every_dependency_has_its_reason() -> None:
    """Each package that pyproject.toml names stands in the decision on dependencies."""
    wanted = re.findall(r'^    "([\w.-]+)>=', (ROOT / "pyproject.toml").read_text("utf-8"), flags=re.MULTILINE)
    reasons = (ROOT / "docs/decisions/0001-dependencies.md").read_text("utf-8").lower()
    assert len(wanted) > 20
    assert [] == [name for name in wanted if f"| {name.lower()} |" not in reasons]
