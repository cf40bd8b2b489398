"""YAML text → a tree of nodes that know their line. Every file an operator or reviewer writes is read through here.

Rules of this file
1. Text in, values out: no files. Only plain YAML: no anchors, aliases, tags or merge keys, one document.
2. A key stands once; a key that no reader asked for is an error (`finish` names file, line and key of each).
3. A scalar means what the reader asks for: `text()` gives `no`, `4-2` and `2.10` as written. true and false are the
   only truth values, an empty value is an error: a key without meaning is left out.
"""

import re
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

import yaml

from gateway.errors import ProfileError

_KINDS: Final = {"map": "a mapping", "list": "a list", "scalar": "a single value"}
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,17}")
_NOTHING: Final = frozenset({"", "~", "null", "Null", "NULL"})
_DEPTH: Final = 32


class _Unset:
    """Stands for "no default was given"."""


_UNSET: Final = _Unset()


class Node:
    """One value of the file. `name`, `line` and `path` say where it stands; `present` is False for a key not written.

    Readers ask `node.at("key").text()` (required) or `.text("default")` (optional); what is of another kind than asked
    raises ProfileError. Keys nobody asked for are errors of `finish`, called once on the whole document.
    """

    __slots__ = ("_asked", "_children", "_items", "_plain", "_text", "kind", "line", "name", "path")

    def __init__(self, name: str, line: int, path: str, kind: str) -> None:
        self.name, self.line, self.path, self.kind = name, line, path, kind
        self._children: dict[str, Node] = {}
        self._asked: set[str] = set()
        self._items: list[Node] = []
        self._text = ""
        self._plain = True  # written without quotes: only then null, true and numbers are what they look like

    @property
    def present(self) -> bool:
        """Say whether the key was written."""
        return self.kind != "absent"

    def wrong(self, message: str) -> ProfileError:
        """Give the error that names file, line and path of this node: `raise node.wrong("unknown profile")`."""
        return ProfileError(f"{self.name}:{self.line}: {self.path or 'document'}: {message}")

    # Mappings and lists ----------------------------------------------------------------------------------------------
    def at(self, key: str) -> "Node":
        """Give the value of `key`, or a node that is not present. Raises ProfileError where this is no mapping."""
        self._expect("map")
        self._asked.add(key)
        return self._children.get(key) or Node(self.name, self.line, _below(self.path, key), "absent")

    def keys(self) -> tuple[str, ...]:
        """Give the keys as written, in order, without asking for any of them."""
        self._expect("map")
        return tuple(self._children)

    def entries(self) -> tuple[tuple[str, "Node"], ...]:
        """Give a mapping whose keys are free (names the author chose): all of them are asked for. Absent: none."""
        if not self.present:
            return ()
        self._expect("map")
        self._asked.update(self._children)
        return tuple(self._children.items())

    def items(self) -> tuple["Node", ...]:
        """Give the elements of a list. Absent: none."""
        if not self.present:
            return ()
        self._expect("list")
        return tuple(self._items)

    # Scalars ---------------------------------------------------------------------------------------------------------
    def text(self, default: str | _Unset = _UNSET) -> str:
        """Give the text exactly as written."""
        if not self.present and isinstance(default, str):
            return default
        self._expect("scalar")
        if self._plain and self._text in _NOTHING:
            raise self.wrong("has no value; leave the key out or quote the text")
        return self._text

    def one_of(self, allowed: Collection[str], default: str | _Unset = _UNSET) -> str:
        """Give text that is one of a closed set. Raises ProfileError that lists the set."""
        text = self.text(default)
        if text not in allowed:
            raise self.wrong(f"`{text}` is not one of {', '.join(sorted(allowed))}")
        return text

    def flag(self, default: bool | _Unset = _UNSET) -> bool:  # noqa: FBT001  the value's own kind
        """Give true or false; `yes`, `on` and quoted words are errors."""
        if not self.present and isinstance(default, bool):
            return default
        text = self.text()
        if not self._plain or text not in {"true", "false"}:
            raise self.wrong("must be true or false")
        return text == "true"

    def integer(self, default: int | _Unset = _UNSET, *, least: int | None = None, most: int | None = None) -> int:
        """Give a whole number within the bounds."""
        if not self.present and isinstance(default, int):
            return default
        text = self.text()
        if not self._plain or not _INTEGER.fullmatch(text):
            raise self.wrong("must be a whole number")
        value = int(text)
        if (least is not None and value < least) or (most is not None and value > most):
            raise self.wrong(f"must lie between {least} and {most}")
        return value

    def number(self, default: float | _Unset = _UNSET, *, least: float | None = None) -> float:
        """Give a number, whole or with decimals, not below `least`."""
        if not self.present and isinstance(default, int | float):
            return float(default)
        text = self.text()
        if not self._plain or not (_INTEGER.fullmatch(text) or _NUMBER.fullmatch(text)):
            raise self.wrong("must be a number")
        value = float(text)
        if least is not None and value < least:
            raise self.wrong(f"must not be below {least}")
        return value

    def texts(self) -> tuple[str, ...]:
        """Give a list of texts, in order; a text that stands twice is an error. Absent: none."""
        found: list[str] = []
        for item in self.items():
            if item.text() in found:
                raise item.wrong(f"`{item.text()}` stands twice")
            found.append(item.text())
        return tuple(found)

    def plain(self) -> object:
        """Give the whole subtree as Python values (JSON's kinds) and mark it all as read."""
        if self.kind == "map":
            return {key: child.plain() for key, child in self.entries()}
        if self.kind == "list":
            return [item.plain() for item in self._items]
        self._expect("scalar")
        return _scalar(self._text) if self._plain else self._text

    # The end ---------------------------------------------------------------------------------------------------------
    def finish(self) -> None:
        """Raise ProfileError naming every key below that no reader asked for, one a line."""
        unknown = list(self._unknown())
        if unknown:
            raise ProfileError("\n".join(unknown))

    def _unknown(self) -> Iterator[str]:
        for key, child in self._children.items():
            if key in self._asked:
                yield from child._unknown()  # noqa: SLF001  its own kind
            else:
                yield f"{self.name}:{child.line}: {child.path}: unknown key"
        for item in self._items:
            yield from item._unknown()  # noqa: SLF001  its own kind

    def _expect(self, kind: str) -> None:
        if not self.present:
            raise self.wrong("is missing")
        if self.kind != kind:
            raise self.wrong(f"must be {_KINDS[kind]}")


def _scalar(text: str) -> object:
    """Read an unquoted scalar as JSON would (YAML 1.2 core schema, without its spare spellings)."""
    if text in _NOTHING:
        return None
    if text in {"true", "false"}:
        return text == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


class Scanned(NamedTuple):
    """A text taken apart, not yet read: immutable, so that one may be read as often as it is needed."""

    name: str
    events: tuple[yaml.Event, ...]


def load(text: str, name: str) -> Node:
    """Read one YAML document; `name` is the file's name for messages. Raises ProfileError (file, line, what)."""
    return tree_of(scan(text, name))


def scan(text: str, name: str) -> Scanned:
    """Take a text apart, which is most of the work. Raises ProfileError for what is not YAML."""
    try:
        events = tuple(event for event in yaml.parse(text, Loader=yaml.SafeLoader) if not isinstance(event, _FRAME))
    except yaml.MarkedYAMLError as wrong:
        line = wrong.problem_mark.line + 1 if wrong.problem_mark else 1
        raise ProfileError(f"{name}:{line}: not YAML: {wrong.problem}") from None
    except yaml.YAMLError:
        raise ProfileError(f"{name}:1: not YAML: a character that YAML does not allow") from None
    return Scanned(name, events)


def tree_of(scanned: Scanned) -> Node:
    """Give the one document of a text as a tree of its own. Raises ProfileError (file, line, what)."""
    reader = _Reader(scanned.name, iter(scanned.events))
    node = reader.document()
    if next(reader.events, None) is not None:
        raise ProfileError(f"{scanned.name}:1: more than one document")
    return node


_FRAME: Final = (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentStartEvent, yaml.DocumentEndEvent)


class _Reader:
    """Builds the tree from PyYAML's events, which still know anchors and tags."""

    def __init__(self, name: str, events: Iterator[yaml.Event]) -> None:
        self.name, self.events = name, events

    def document(self) -> Node:
        event = next(self.events, None)
        if event is None:
            raise ProfileError(f"{self.name}:1: document: is empty")
        return self.value(event, "", 0)

    def value(self, event: yaml.Event, path: str, depth: int) -> Node:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise ProfileError(f"{self.name}:{line}: {path or 'document'}: anchors, aliases and tags are not allowed")
        if depth > _DEPTH:
            raise ProfileError(f"{self.name}:{line}: {path}: nested too deeply")
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(Node(self.name, line, path, "map"), depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(Node(self.name, line, path, "list"), depth)
        node = Node(self.name, line, path, "scalar")
        if isinstance(event, yaml.ScalarEvent):
            node._text, node._plain = event.value, event.style is None  # noqa: SLF001  its builder
        return node

    def mapping(self, node: Node, depth: int) -> Node:
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self.value(event, _below(node.path, "key"), depth).text()
            line = _line(event)
            if key in node._children:  # noqa: SLF001  its builder
                raise ProfileError(f"{self.name}:{line}: {_below(node.path, key)}: stands twice")
            child = self.value(next(self.events), _below(node.path, key), depth + 1)
            child.line = line
            node._children[key] = child  # noqa: SLF001  its builder
        return node

    def sequence(self, node: Node, depth: int) -> Node:
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            node._items.append(self.value(event, f"{node.path}[{len(node._items)}]", depth + 1))  # noqa: SLF001
        return node


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
