"""A defence is switched off by changing one place of the program that runs: a text of a function, or a constant.

Rules of this file
1. `cut` takes a text out of a function's source and puts another in its place; whoever has the function runs the new
   one. `put` gives a constant another value, wherever it was imported.
2. What is not there any more is an error: a table that speaks of nothing switches nothing off.
3. Afterwards everything is as it was, and what was remembered meanwhile is forgotten.
"""

import ast
import functools
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from gateway.decision.consents.memory import Memory

_OURS = ("gateway", "consent_store")


class Gone(Exception):
    """What is to be switched off is not there."""


class Cut(NamedTuple):
    """In the function at `place` (`module:name` or `module:Class.name`) `new` stands instead of `old`."""

    place: str
    old: str
    new: str

    def missing(self) -> str:
        """Say what is not there, "" where all is."""
        try:
            found = _source(_function(self.place)).count(self.old)
        except Gone as gone:
            return str(gone)
        return "" if found == 1 else f"{self.place}: {found} times `{self.old}`"


class Put(NamedTuple):
    """The constant at `place` has another value."""

    place: str
    value: Any

    def missing(self) -> str:
        """Say what is not there, "" where all is."""
        module, _, name = self.place.partition(":")
        return "" if hasattr(importlib.import_module(module), name) else self.place

    @contextmanager
    def off(self) -> Iterator[None]:
        """Have the other value while the block lasts, in every module that took it from there."""
        module, _, name = self.place.partition(":")
        was = getattr(importlib.import_module(module), name)
        holding = [
            one
            for key, one in list(sys.modules.items())
            if key.partition(".")[0] in _OURS and getattr(one, name, None) is was
        ]
        for one in holding:
            setattr(one, name, self.value)
        try:
            yield
        finally:
            for one in holding:
                setattr(one, name, was)


Switch = Cut | Put


@contextmanager
def all_off(switches: tuple[Switch, ...]) -> Iterator[None]:
    """Have them all off while the block lasts. Raises Gone."""
    if missing := [one.missing() for one in switches if one.missing()]:
        raise Gone(missing[0])
    places = dict.fromkeys(one.place for one in switches if isinstance(one, Cut))
    with ExitStack() as held:
        held.callback(forget)
        for place in places:
            held.enter_context(_changed(place, [one for one in switches if one.place == place]))
        for one in switches:
            if isinstance(one, Put):
                held.enter_context(one.off())
        forget()
        yield


@contextmanager
def _changed(place: str, cuts: list[Any]) -> Iterator[None]:
    function = _function(place)
    source, was = _source(function), function.__code__
    for one in cuts:
        source = source.replace(one.old, one.new)
    function.__code__ = _code(source, function)
    try:
        yield
    finally:
        function.__code__ = was


def forget() -> None:
    """Empty what the gateway's modules keep of earlier answers."""
    for key, module in list(sys.modules.items()):
        if key.partition(".")[0] in _OURS:
            for value in list(vars(module).values()):
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()


@contextmanager
def remembering_nothing() -> Iterator[None]:
    """Have consents compiled anew for every request: what a switch made of them is not met again."""
    known = Memory.program

    def program(self: Memory, *given: Any) -> Any:
        self._kept.clear()
        return known(self, *given)

    setattr(Memory, known.__name__, program)
    try:
        yield
    finally:
        setattr(Memory, known.__name__, known)


def _function(place: str) -> FunctionType:
    module, _, path = place.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = inspect.getattr_static(found, name, None)
    found = getattr(found, "__func__", found)  # a class or static method's
    found = getattr(found, "fget", found)  # a property's
    found = inspect.unwrap(found) if callable(found) else found
    if not isinstance(found, FunctionType):
        raise Gone(place)
    return found


def _source(function: FunctionType) -> str:
    return textwrap.dedent(inspect.getsource(function))


def _code(source: str, function: FunctionType) -> CodeType:
    """Give the code of a function's changed source, which closes over the same names."""
    was = function.__code__
    tree: ast.Module = ast.parse(source)
    ast.increment_lineno(tree, was.co_firstlineno - 1)
    if was.co_freevars:  # `super()` alone is allowed for
        inner = ast.parse(f"def outer({', '.join(was.co_freevars)}):\n pass").body[0]
        assert isinstance(inner, ast.FunctionDef)
        inner.body, tree.body = list(tree.body), [inner]
    found = [one for one in _codes(compile(tree, was.co_filename, "exec")) if one.co_name == was.co_name]
    return found[0]


def _codes(code: CodeType) -> Iterator[CodeType]:
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield one
            yield from _codes(one)
