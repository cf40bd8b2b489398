"""FHIRPath Patch (R4 fhirpatch.html): a Parameters resource of operations, made to what a client was shown. Pure.

Rules of this file
1. Exactly R4's operations: add, insert, delete, replace, move. A patch is read whole before anything is changed.
2. No operation reads, writes or takes away what a decision rests on (`json_patch.CLOSED`; leaks.md L076). What else is
   closed is told by comparing what came out.
3. A value has the type that R4 gives the element; an element that R4 does not know is not written.
"""

from copy import deepcopy
from typing import Any, Final

import msgspec

from gateway.errors import BadRequest, Unprocessable
from gateway.fhir.elements import Element, Elements
from gateway.fhir.exact import read
from gateway.fhir.json_patch import CLOSED, MOST, UNFIT
from gateway.fhir.patch_paths import Key, Node, Path, nodes_at, read_path
from gateway.fhir.strict import Limits, MalformedJson
from gateway.fhir.view import read_resource

_PARTS: Final = {
    "add": frozenset({"type", "path", "name", "value"}),
    "insert": frozenset({"type", "path", "value", "index"}),
    "delete": frozenset({"type", "path"}),
    "replace": frozenset({"type", "path", "value"}),
    "move": frozenset({"type", "path", "source", "destination"}),
}
_TEXTS: Final = {"type": "valueCode", "path": "valueString", "name": "valueString"}
_NUMBERS: Final = frozenset({"index", "source", "destination"})


class PathChange(msgspec.Struct, frozen=True):
    """One operation. `value` is the part that says it, as read; `numbers` are index, source and destination."""

    type: str
    path: Path
    name: str = ""
    value: Any = None
    numbers: dict[str, int] = {}


def read_path_patch(raw: bytes, kind: str, limits: Limits) -> tuple[PathChange, ...]:
    """Read a patch of a record of type `kind`. Raises BadRequest for what is none, Unprocessable by rule 2."""
    try:
        view = read_resource(raw, limits=limits)
    except MalformedJson:
        raise BadRequest("the body cannot be read as a patch") from None
    tree = read(raw)
    listed = tree.get("parameter")
    plain = view.type == "Parameters" and tree.keys() <= {"resourceType", "id", "meta", "parameter"}
    if not plain or not isinstance(listed, list) or not 0 < len(listed) <= MOST:
        raise BadRequest(f"a patch has to be a Parameters resource of 1 to {MOST} operations")
    return tuple(_operation(one, kind) for one in listed)


def path_patched(value: Any, changes: tuple[PathChange, ...], elements: Elements) -> Any:  # noqa: ANN401  any JSON value
    """Give a record with a patch made to it. Raises Unprocessable where an operation cannot be made."""
    fresh = deepcopy(value)
    for one in changes:
        try:
            _MADE[one.type](fresh, one, elements)
        except (LookupError, TypeError, ValueError):
            raise Unprocessable(UNFIT) from None
    return fresh


# Reading -------------------------------------------------------------------------------------------------------------
def _operation(said: object, kind: str) -> PathChange:
    if not isinstance(said, dict) or said.keys() != {"name", "part"} or said["name"] != "operation":
        raise BadRequest("a parameter of the patch is not an operation")
    parts = _by_name(said["part"])
    type_ = _text(parts, "type")
    if type_ not in _PARTS or parts.keys() != _PARTS[type_]:
        raise BadRequest("an operation of the patch is not one of R4, or has other parts")
    path = read_path(_text(parts, "path"), kind)
    name = _text(parts, "name") if "name" in parts else ""
    if _reads(path) & CLOSED or (not any(step.name for step in path.steps) and (name in CLOSED or type_ != "add")):
        raise Unprocessable("the patch touches what is not changed by a patch")
    numbers = {each: _number(parts, each) for each in _NUMBERS & parts.keys()}
    return PathChange(type_, path, name, parts.get("value"), numbers)


def _reads(path: Path) -> set[str]:
    """Give the elements of the record itself that a path names: the first, and what conditions before it ask."""
    found = set[str]()
    for step in path.steps:
        found |= {step.name} | {one.names[0] for one in step.conditions}
        if step.name:
            break
    return found


def _by_name(listed: object) -> dict[str, dict[str, Any]]:
    parts = listed if isinstance(listed, list) else [None]
    found: dict[str, dict[str, Any]] = {}
    for one in parts:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str) or one["name"] in found:
            raise BadRequest("a part of the patch has no name, or one that another has")
        found[one["name"]] = one
    return found


def _text(parts: dict[str, dict[str, Any]], name: str) -> str:
    found = parts.get(name, {}).get(_TEXTS[name])
    if not isinstance(found, str) or len(parts[name]) > len(("name", "value")):
        raise BadRequest(f"the `{name}` of an operation of the patch is missing, or of another type")
    return found


def _number(parts: dict[str, dict[str, Any]], name: str) -> int:
    found = parts[name].get("valueInteger")
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise BadRequest(f"the `{name}` of an operation of the patch is not a number")
    return found


# Values --------------------------------------------------------------------------------------------------------------
def _value(part: object, element: Element, elements: Elements) -> tuple[Any, str]:
    """Give the value that a part says for an element, and its type. Raises ValueError for another type."""
    said = [name for name in part if name != "name"] if isinstance(part, dict) else []
    if not isinstance(part, dict) or len(said) != 1:
        raise ValueError("not one value")
    if said == ["part"]:
        (kind,) = element.types
        if "." not in kind or not isinstance(part["part"], list):
            raise ValueError("not a structure")
        return _structure(part["part"], kind, elements), kind
    kinds = [kind for kind in element.types if said[0] == f"value{kind[0].upper()}{kind[1:]}"]
    if len(kinds) != 1:
        raise ValueError("another type")
    return deepcopy(part[said[0]]), kinds[0]


def _structure(parts: list[Any], kind: str, elements: Elements) -> dict[str, Any]:
    """Give a structure that has no type of its own, from its elements (R4 fhirpatch.html, last paragraphs)."""
    found: dict[str, Any] = {}
    for part in parts:
        name = part["name"]
        json_name, value, element = _placed(name, part, kind, elements)
        if element.repeats:
            found.setdefault(json_name, []).append(value)
        elif json_name in found:
            raise ValueError("stands once")
        else:
            found[json_name] = value
    return found


def _placed(name: str, part: object, kind: str, elements: Elements) -> tuple[str, Any, Element]:
    """Give the JSON name, the value and the element that a part is, in a type. Raises LookupError, ValueError."""
    children = elements.children(kind)
    element = children.get(name) or children[f"{name}[x]"]
    value, type_ = _value(part, element, elements)
    return (name if name in children else f"{name}{type_[0].upper()}{type_[1:]}"), value, element


# Operations ----------------------------------------------------------------------------------------------------------
def _one(root: Any, path: Path, elements: Elements) -> Node:  # noqa: ANN401  any JSON value
    (found,) = nodes_at(root, path, elements)
    return found


def _at(root: Any, keys: tuple[Key, ...]) -> Any:  # noqa: ANN401  any JSON value
    for key in keys:
        root = root[key]
    return root


def _add(root: Any, one: PathChange, elements: Elements) -> None:  # noqa: ANN401  any JSON value
    node = _one(root, one.path, elements)
    name, value, element = _placed(one.name, one.value, node.kind, elements)
    if element.repeats:
        node.value.setdefault(name, []).append(value)
    elif any(each == name or _is_choice(each, one.name, name) for each in node.value):
        raise ValueError("is there already")
    else:
        node.value[name] = value


def _is_choice(each: str, name: str, json_name: str) -> bool:
    """Say whether a member is another choice of the element that is to be added."""
    return json_name != name and each.startswith(name) and each[len(name) : len(name) + 1].isupper()


def _list(root: Any, path: Path, elements: Elements) -> tuple[list[Any], Element]:  # noqa: ANN401  any JSON value
    """Give the list that a path names, and what its members are."""
    last = path.steps[-1]
    if not last.name or last.function:
        raise ValueError("not a list")
    owner = _one(root, Path(path.steps[:-1], path.kind), elements)
    found, element = owner.value[last.name], elements.children(owner.kind)[last.name]
    if not isinstance(found, list):
        raise TypeError
    return found, element


def _insert(root: Any, one: PathChange, elements: Elements) -> None:  # noqa: ANN401  any JSON value
    listed, element = _list(root, one.path, elements)
    value, _ = _value(one.value, element, elements)
    if one.numbers["index"] > len(listed):
        raise LookupError
    listed.insert(one.numbers["index"], value)


def _delete(root: Any, one: PathChange, elements: Elements) -> None:  # noqa: ANN401  any JSON value
    found = nodes_at(root, one.path, elements)
    if len(found) > 1:
        raise ValueError("more than one")
    for node in found:
        _remove(root, node.keys)


def _remove(root: Any, keys: tuple[Key, ...]) -> None:  # noqa: ANN401  any JSON value
    """Take away what stands at a place, and what is empty without it: JSON of FHIR has neither {} nor []."""
    while keys:
        owner, last = _at(root, keys[:-1]), keys[-1]
        del owner[last]
        if isinstance(last, str):
            owner.pop(f"_{last}", None)
        if owner:
            return
        keys = keys[:-1]
    raise ValueError("nothing is left")


def _replace(root: Any, one: PathChange, elements: Elements) -> None:  # noqa: ANN401  any JSON value
    node = _one(root, one.path, elements)
    if node.element is None:
        raise ValueError("the whole is not replaced")
    value, type_ = _value(one.value, node.element, elements)
    owner, last = _at(root, node.keys[:-1]), node.keys[-1]
    if node.choice and isinstance(last, str):
        del owner[last]
        owner.pop(f"_{last}", None)
        owner[f"{node.choice}{type_[0].upper()}{type_[1:]}"] = value
    else:
        owner[last] = value


def _move(root: Any, one: PathChange, elements: Elements) -> None:  # noqa: ANN401  any JSON value
    listed, _ = _list(root, one.path, elements)
    source, destination = one.numbers["source"], one.numbers["destination"]
    if destination >= len(listed):
        raise LookupError
    listed.insert(destination, listed.pop(source))


_MADE: Final = {"add": _add, "insert": _insert, "delete": _delete, "replace": _replace, "move": _move}
