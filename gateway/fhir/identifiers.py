"""The business identifiers of a resource and of its references, wherever they stand. Pure.

Rules of this file
1. What stands under `identifier`, or a `value` of type Identifier in an extension, is one; nested resources have their
   own.
2. Where a Reference is nothing but an identifier, taking the identifier is taking the Reference.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from gateway.fhir.pointer import escape
from gateway.fhir.view import ResourceView

_NAMES: Final = frozenset({"identifier", "valueIdentifier"})
_POINTING: Final = frozenset({"identifier", "type", "display", "id", "extension"})
_IDENTIFYING: Final = frozenset({"system", "value", "assigner", "type"})
_NESTED: Final = frozenset({"contained", "resource", "outcome"})


class IdentifierAt(msgspec.Struct, frozen=True):
    """An Identifier: the pointer of what goes with it, its system, and the codes of its type."""

    at: str
    system: str | None
    types: frozenset[str]
    assigner: str  # the pointer of its assigner, whether or not there is one


def identifiers_in(view: ResourceView) -> Iterator[IdentifierAt]:
    """Give every Identifier of a resource, without those of the resources inside it."""
    if b"dentifier" in view.raw:
        yield from _in(view.tree, "")


def _in(node: Mapping[str, Any], at: str) -> Iterator[IdentifierAt]:
    for name, value in node.items():
        here = f"{at}/{escape(name)}"
        if isinstance(value, dict):
            yield from _one(node, at, name, value, here)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                if isinstance(item, dict):
                    yield from _one(node, at, name, item, f"{here}/{number}")


def _one(holder: Mapping[str, Any], at: str, name: str, value: Mapping[str, Any], here: str) -> Iterator[IdentifierAt]:
    if name in _NESTED and "resourceType" in value:
        return
    if name in _NAMES and not value.keys().isdisjoint(_IDENTIFYING):
        alone = (
            name == "identifier"
            and bool(at)
            and holder.keys() <= _POINTING
            and not isinstance(holder["identifier"], list)
        )
        system = value.get("system")
        yield IdentifierAt(
            at if alone else here,
            system if isinstance(system, str) else None,
            _types(value.get("type")),
            f"{here}/assigner",
        )
        return
    yield from _in(value, here)


def _types(concept: object) -> frozenset[str]:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    found = codings if isinstance(codings, list) else []
    return frozenset(one["code"] for one in found if isinstance(one, dict) and isinstance(one.get("code"), str))
