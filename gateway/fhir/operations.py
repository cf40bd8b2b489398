"""The closed list of operations that are offered, and what each may be given (leaks.md L051). Pure.

Rules of this file
1. An operation that is not listed, or not at this place, is not offered; it is refused like any other (interaction.py).
2. Parameters come in the query, or in a Parameters resource, one value each; what an operation does not list is
   refused by form. Only what an operation lists may hold a resource.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from gateway.errors import BadRequest
from gateway.fhir.pointer import items_of, members_of
from gateway.fhir.query import Parameter, unsupported
from gateway.fhir.strict import Limits, MalformedJson
from gateway.fhir.view import read_resource


class Level(StrEnum):
    """What an operation is asked of (R4 operations.html 3.2.0.1)."""

    TYPE = "type"
    INSTANCE = "instance"


class Operation(msgspec.Struct, frozen=True):
    """One offered operation. `parameters`: names of plain values, None where they are those of a search; `resources`:
    names of parameters that hold a resource; `definition`: its canonical URL."""

    name: str
    type: str
    level: Level
    methods: tuple[str, ...]
    definition: str
    parameters: frozenset[str] | None = frozenset()
    resources: frozenset[str] = frozenset()
    terminology: bool = False


_READS: Final = ("GET", "POST")
_DEFINED: Final = "http://hl7.org/fhir/OperationDefinition/"
_EVERYTHING: Final = frozenset({"_count", "_since", "_type", "_cursor", "_elements", "_summary"})
_CODE: Final = frozenset({"system", "version", "code", "display", "date", "displayLanguage"})
_EXPAND: Final = frozenset(
    ("url", "valueSetVersion", "filter", "date", "offset", "count", "includeDesignations", "includeDefinition")
) | {"designation", "activeOnly", "excludeNested", "excludeNotForUI", "excludePostCoordinated", "displayLanguage"}


def _terminology(name: str, type_: str, levels: tuple[Level, ...], parameters: frozenset[str]) -> tuple[Operation, ...]:
    definition = f"{_DEFINED}{type_}-{name.removeprefix('$')}"
    return tuple(Operation(name, type_, level, _READS, definition, parameters, terminology=True) for level in levels)


_BOTH: Final = (Level.TYPE, Level.INSTANCE)
_LISTED: Final = (
    Operation(
        "$everything",
        "Patient",
        Level.INSTANCE,
        _READS,
        f"{_DEFINED}Patient-everything",
        _EVERYTHING | {"start", "end"},
    ),
    Operation("$everything", "Encounter", Level.INSTANCE, _READS, f"{_DEFINED}Encounter-everything", _EVERYTHING),
    Operation("$lastn", "Observation", Level.TYPE, _READS, f"{_DEFINED}Observation-lastn", None),
    Operation(
        "$document", "Composition", Level.INSTANCE, _READS, f"{_DEFINED}Composition-document", frozenset({"persist"})
    ),
    Operation(
        "$match",
        "Patient",
        Level.TYPE,
        ("POST",),
        f"{_DEFINED}Patient-match",
        frozenset({"onlyCertainMatches", "count"}),
        frozenset({"resource"}),
    ),
    Operation(
        "$member-match",
        "Patient",
        Level.TYPE,
        ("POST",),
        "http://hl7.org/fhir/us/davinci-hrex/OperationDefinition/member-match",
        frozenset(),
        frozenset({"MemberPatient", "CoverageToMatch", "CoverageToLink", "Consent"}),
    ),
    *_terminology("$expand", "ValueSet", _BOTH, _EXPAND),
    *_terminology("$validate-code", "ValueSet", _BOTH, _CODE | {"url", "valueSetVersion", "systemVersion", "abstract"}),
    *_terminology("$lookup", "CodeSystem", (Level.TYPE,), (_CODE - {"display"}) | {"property"}),
    *_terminology("$validate-code", "CodeSystem", _BOTH, _CODE | {"url", "abstract"}),
    *_terminology("$subsumes", "CodeSystem", _BOTH, frozenset({"codeA", "codeB", "system", "version"})),
    *_terminology(
        "$translate",
        "ConceptMap",
        _BOTH,
        frozenset(
            {"url", "conceptMapVersion", "code", "system", "version", "source", "target", "targetsystem", "reverse"}
        ),
    ),
)
OPERATIONS: Final[Mapping[tuple[str, Level, str], Operation]] = {
    (one.type, one.level, one.name): one for one in _LISTED
}
"""Every operation that a route may offer."""


def offered(*, terminology: bool) -> tuple[Operation, ...]:
    """Give the operations of a route; those on terminology only where it says so."""
    return tuple(one for one in _LISTED if terminology or not one.terminology)


class Given(msgspec.Struct, frozen=True):
    """What an operation was given: plain parameters in the client's order; resources by name, each its exact text."""

    parameters: tuple[Parameter, ...] = ()
    resources: Mapping[str, bytes] = {}


def check_parameters(operation: Operation, parameters: tuple[Parameter, ...]) -> None:
    """Raise NotSupported (400) for a parameter that an operation does not list. Those of a search are its to check."""
    for one in parameters:
        if operation.parameters is not None and one.name not in operation.parameters:
            raise unsupported(one)


def read_parameters(operation: Operation, raw: bytes, limits: Limits) -> Given:
    """Read a Parameters resource (R4 parameters.html). Raises BadRequest for another text or form, NotSupported (400)
    for a parameter that the operation does not list."""
    try:
        view = read_resource(raw, limits=limits)
    except MalformedJson as wrong:
        raise BadRequest(f"the body cannot be read: {wrong.why}") from None
    listed = view.tree.get("parameter", [])
    if view.type != "Parameters" or not isinstance(listed, list):
        raise BadRequest("the body has to be a Parameters resource")
    texts = items_of(members_of(raw)["parameter"]) if listed else []
    plain: list[Parameter] = []
    resources: dict[str, bytes] = {}
    for said, text in zip(listed, texts, strict=True):
        name, value = _one(said)
        if value is not None:
            plain.append(Parameter(name, value))
        elif name in operation.resources and name not in resources:
            resources[name] = bytes(members_of(text)["resource"])
        else:
            raise unsupported(Parameter(name, ""))
    check_parameters(operation, tuple(plain))
    return Given(tuple(plain), resources)


def _one(said: Any) -> tuple[str, str | None]:  # noqa: ANN401  any JSON value
    """Give a parameter's name and its plain value, None where it holds a resource. Raises BadRequest."""
    name = said.get("name") if isinstance(said, dict) else None
    rest = [each for each in said if each != "name"] if isinstance(said, dict) else []
    if not isinstance(name, str) or not name.isascii() or not name or len(name) > 64 or len(rest) != 1:
        raise BadRequest("a parameter of the body is not of a form the gateway reads")
    value = said[rest[0]]
    if rest[0] == "resource" and isinstance(value, dict):
        return name, None
    if rest[0].startswith("value") and isinstance(value, bool):
        return name, "true" if value else "false"
    if rest[0].startswith("value") and isinstance(value, str | int) and value != "":
        return name, str(value)
    raise BadRequest("a parameter of the body is not of a form the gateway reads")
