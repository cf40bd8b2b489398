"""The paths of a FHIRPath Patch: a closed part of FHIRPath, and what of a record they lead to. Pure.

Rules of this file
1. Read are: element names, `[n]`, `first()`, `last()`, `where(a.b = literal and ...)`, `extension('url')`,
   `ofType(Type)`. Anything else is refused, `resolve()` among it: a patch stays in its record (R4 fhirpatch.html).
2. Elements are those of R4; a choice goes by its name without type (`value`), as FHIRPath has it.
3. Nothing is guessed: a path that cannot be read is the client's fault, one that leads nowhere leads to nothing.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from gateway.errors import BadRequest
from gateway.fhir.elements import Element, Elements
from gateway.fhir.exact import read as read_value
from gateway.fhir.exact import same

Key = str | int
_TOKEN: Final = re.compile(r"\s*(?:([A-Za-z][A-Za-z0-9]*)|(-?\d+(?:\.\d+)?)|'((?:[^'\\]|\\.)*)'|([.\[\]()=]))")
_LONGEST: Final = 500
_UNREAD: Final = "a path of the patch is not of a form the gateway reads"


class Condition(msgspec.Struct, frozen=True):
    """What a `where` asks: that one of what the names lead to is this value."""

    names: tuple[str, ...]
    value: Any


class Step(msgspec.Struct, frozen=True):
    """One step: an element by `name`; or a `function` (`[]` for an index) with what it is given."""

    name: str = ""
    function: str = ""
    index: int = 0
    text: str = ""
    conditions: tuple[Condition, ...] = ()


class Path(msgspec.Struct, frozen=True):
    """The steps from a record of type `kind`."""

    steps: tuple[Step, ...]
    kind: str


class Node(msgspec.Struct, frozen=True):
    """An element of a record: where it stands, its value and type; `choice` is the name it has without its type."""

    keys: tuple[Key, ...]
    value: Any
    kind: str
    element: Element | None = None
    choice: str = ""


def read_path(text: str, kind: str) -> Path:
    """Read a path into a record of a type. Raises BadRequest by rule 1."""
    if len(text) > _LONGEST:
        raise BadRequest(_UNREAD)
    reader = _Reader(text)
    steps = list(reader.steps())
    if steps and steps[0].name == kind:
        steps = steps[1:]
    elif steps and steps[0].name[:1].isupper():
        raise BadRequest(_UNREAD)
    if not steps and not text.strip():
        raise BadRequest(_UNREAD)
    return Path(tuple(steps), kind)


def nodes_at(root: Any, path: Path, elements: Elements) -> list[Node]:  # noqa: ANN401  any JSON value
    """Give what a path leads to in a record, in order. Raises LookupError for an element that R4 does not know."""
    found = [Node((), root, path.kind)]
    for step in path.steps:
        found = _taken(found, step, elements)
    return found


class _Reader:
    """Reads the tokens of one path."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        at, whole = 0, text.rstrip()
        while at < len(whole):
            match = _TOKEN.match(whole, at)
            if match is None:
                raise BadRequest(_UNREAD)
            kinds = ("name", "number", "string", "sign")
            self.tokens.append(next((k, g) for k, g in zip(kinds, match.groups(), strict=True) if g is not None))
            at = match.end()
        self.at = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def take(self, kind: str, text: str | None = None) -> str:
        found = self.peek()
        if found[0] != kind or (text is not None and found[1] != text):
            raise BadRequest(_UNREAD)
        self.at += 1
        return found[1]

    def steps(self) -> Iterator[Step]:
        yield self.step()
        while self.peek()[0] != "end":
            if self.peek() == ("sign", "["):
                self.take("sign")
                number = self.take("number")
                self.take("sign", "]")
                if not number.isdigit():
                    raise BadRequest(_UNREAD)
                yield Step(function="[]", index=int(number))
            else:
                self.take("sign", ".")
                yield self.step()

    def step(self) -> Step:
        name = self.take("name")
        if self.peek() != ("sign", "("):
            return Step(name=name)
        self.take("sign")
        step = self.function(name)
        self.take("sign", ")")
        return step

    def function(self, name: str) -> Step:
        if name in {"first", "last"}:
            return Step(function=name)
        if name == "extension":
            return Step(function=name, text=_plain(self.take("string")))
        if name == "ofType":
            return Step(function=name, text=self.take("name"))
        if name == "where":
            return Step(function=name, conditions=tuple(self.conditions()))
        raise BadRequest(_UNREAD)

    def conditions(self) -> Iterator[Condition]:
        yield self.condition()
        while self.peek() == ("name", "and"):
            self.take("name")
            yield self.condition()

    def condition(self) -> Condition:
        names = [self.take("name")]
        while self.peek() == ("sign", "."):
            self.take("sign")
            names.append(self.take("name"))
        self.take("sign", "=")
        return Condition(tuple(names), self.literal())

    def literal(self) -> Any:  # noqa: ANN401  any JSON value
        kind, text = self.peek()
        self.at += 1
        if kind == "string":
            return _plain(text)
        if kind == "number":
            return read_value(text.encode())
        if kind == "name" and text in {"true", "false"}:
            return text == "true"
        raise BadRequest(_UNREAD)


def _plain(text: str) -> str:
    """Give a string without its escapes; of those FHIRPath has, quotes and backslashes are read."""
    if re.search(r"\\[^'\"\\`/]", text):
        raise BadRequest(_UNREAD)
    return re.sub(r"\\(.)", r"\1", text)


def _taken(found: list[Node], step: Step, elements: Elements) -> list[Node]:
    if step.name:
        return [child for node in found for child in _children(node, step.name, elements)]
    match step.function:
        case "[]":
            found = found[step.index : step.index + 1]
        case "first":
            found = found[:1]
        case "last":
            found = found[-1:]
        case "extension":
            listed = [child for node in found for child in _children(node, "extension", elements)]
            found = [node for node in listed if isinstance(node.value, dict) and node.value.get("url") == step.text]
        case "ofType":
            found = [node for node in found if node.kind == step.text]
        case _:
            found = [node for node in found if all(_holds(node, one, elements) for one in step.conditions)]
    return found


def _holds(node: Node, condition: Condition, elements: Elements) -> bool:
    found = [node]
    for name in condition.names:
        found = [child for one in found for child in _children(one, name, elements)]
    return any(same(one.value, condition.value) for one in found)


def _children(node: Node, name: str, elements: Elements) -> Iterator[Node]:
    """Give what an element of a node is: one, many or nothing. Raises LookupError by rule 2."""
    if not isinstance(node.value, dict):
        return
    children = elements.children(node.kind)
    if name in children:
        element = children[name]
        yield from _values((*node.keys, name), node.value.get(name), element, element.types[0])
        return
    element = children[f"{name}[x]"]
    for kind in element.types:
        json_name = f"{name}{kind[0].upper()}{kind[1:]}"
        if json_name in node.value:
            yield Node((*node.keys, json_name), node.value[json_name], kind, element, name)


def _values(keys: tuple[Key, ...], value: object, element: Element, kind: str) -> Iterator[Node]:
    if isinstance(value, list):
        yield from (Node((*keys, number), one, kind, element) for number, one in enumerate(value))
    elif value is not None:
        yield Node(keys, value, kind, element)
