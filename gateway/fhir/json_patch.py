"""JSON Patch (RFC 6902), as R4 http.html 3.1.0.7 uses it. Pure.

Rules of this file
1. A patch is read whole before anything is changed; an operation of another form refuses it whole.
2. No operation reads, writes or takes away what a decision rests on: the whole, `id`, `resourceType`, `meta`,
   `contained`, `implicitRules` (leaks.md L076). What else is closed is told by comparing what came out.
3. What it is applied to is what the client may see, never what is stored: a test tells nothing else.
"""

from copy import deepcopy
from typing import Any, Final

import msgspec

from gateway.errors import BadRequest, Unprocessable
from gateway.fhir.exact import read, same
from gateway.fhir.pointer import index, segments
from gateway.fhir.strict import Limits, MalformedJson, decode

MOST: Final = 100
UNFIT: Final = "the patch does not fit what this client may see"
CLOSED: Final = frozenset({"contained", "id", "implicitRules", "meta", "resourceType"})
_WITH_VALUE: Final = frozenset({"add", "replace", "test"})
_WITH_FROM: Final = frozenset({"copy", "move"})


class Operation(msgspec.Struct, frozen=True):
    """One operation: `path` and `source` in segments."""

    op: str
    path: tuple[str, ...]
    source: tuple[str, ...] = ()
    value: Any = None


def read_patch(raw: bytes, limits: Limits) -> tuple[Operation, ...]:
    """Read a patch document. Raises BadRequest for what is none, Unprocessable by rule 2."""
    try:
        decode(raw, limits=limits)
        said = read(raw)
    except (MalformedJson, msgspec.DecodeError):
        raise BadRequest("the body cannot be read as a patch") from None
    if not isinstance(said, list) or not 0 < len(said) <= MOST:
        raise BadRequest(f"a patch has to have 1 to {MOST} operations")
    return tuple(_operation(one) for one in said)


def patched(value: Any, operations: tuple[Operation, ...]) -> Any:  # noqa: ANN401  any JSON value
    """Give a value with a patch applied. Raises Unprocessable where an operation cannot be made, or a test fails."""
    fresh = deepcopy(value)
    for one in operations:
        try:
            _apply(fresh, one)
        except (LookupError, TypeError):
            raise Unprocessable(UNFIT) from None
    return fresh


def _operation(said: object) -> Operation:
    if not isinstance(said, dict):
        raise BadRequest("an operation of the patch is not an object")
    op = said.get("op")
    if not isinstance(op, str) or op not in _WITH_VALUE | _WITH_FROM | {"remove"}:
        raise BadRequest("an operation of the patch is not one of RFC 6902")
    if op in _WITH_VALUE and "value" not in said:
        raise BadRequest("an operation of the patch has no value")
    source = _place(said.get("from")) if op in _WITH_FROM else ()
    return Operation(op, _place(said.get("path")), source, said.get("value"))


def _place(pointer: object) -> tuple[str, ...]:
    try:
        path = segments(pointer) if isinstance(pointer, str) else None
    except ValueError:
        path = None
    if path is None:
        raise BadRequest("a path of the patch is not a JSON pointer")
    if not path or path[0] in CLOSED:
        raise Unprocessable("the patch touches what is not changed by a patch")
    return path


def _apply(root: Any, one: Operation) -> None:  # noqa: ANN401  any JSON value
    if one.op == "test":
        if not same(_at(root, one.path), one.value):
            raise LookupError
    elif one.op == "add":
        _add(root, one.path, one.value)
    elif one.op == "remove":
        _remove(root, one.path)
    elif one.op == "replace":
        _at(root, one.path)
        _set(_at(root, one.path[:-1]), one.path[-1], one.value)
    else:
        if one.op == "move" and one.path[: len(one.source)] == one.source and one.path != one.source:
            raise LookupError
        taken = deepcopy(_at(root, one.source))
        if one.op == "move":
            _remove(root, one.source)
        _add(root, one.path, taken)


def _at(node: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401  any JSON value
    for segment in path:
        node = node[_key(node, segment)]
    return node


def _key(node: Any, segment: str) -> Any:  # noqa: ANN401  any JSON value
    if isinstance(node, dict):
        return segment
    found = index(segment) if isinstance(node, list) else None
    if found is None:
        raise LookupError
    return found


def _set(node: Any, segment: str, value: Any) -> None:  # noqa: ANN401  any JSON value
    node[_key(node, segment)] = deepcopy(value)


def _add(root: Any, path: tuple[str, ...], value: Any) -> None:  # noqa: ANN401  any JSON value
    node, last = _at(root, path[:-1]), path[-1]
    if isinstance(node, list):
        at = len(node) if last == "-" else _key(node, last)
        if at > len(node):
            raise LookupError
        node.insert(at, deepcopy(value))
    else:
        _set(node, last, value)


def _remove(root: Any, path: tuple[str, ...]) -> None:  # noqa: ANN401  any JSON value
    node = _at(root, path[:-1])
    del node[_key(node, path[-1])]
