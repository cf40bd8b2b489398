"""The business identifiers of a resource and of its references, wherever they stand. Pure.

Rules of this file
1. What stands under the name of an element of type Identifier is one, and so is what is in it (its assigner's own);
   nested resources have their own.
2. Where a Reference is nothing but an identifier, taking the identifier is taking the Reference.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from gateway.fhir.pointer import escape
from gateway.fhir.view import ResourceView

# Names of elements of type Identifier in R4 (the test holds them against the element table); `reference` is one in
# Claim.related, and a text elsewhere.
NAMES: Final = frozenset(
    {"accessionIdentifier", "groupIdentifier", "identifier", "masterIdentifier", "paymentIdentifier"}
    | {"preAdmissionIdentifier", "reference", "requestIdentifier", "requisition", "targetIdentifier", "valueIdentifier"}
)
_POINTING: Final = frozenset({"identifier", "type", "display", "id", "extension"})
_IDENTIFYING: Final = frozenset({"system", "value", "assigner", "type"})
# None of the names can be in a text that has none of these; an escape may spell any.
_TRACES: Final = (b"dentifier", b"requisition", b"related", b"\\u")


class IdentifierAt(msgspec.Struct, frozen=True):
    """An Identifier: the pointer of what goes with it, its own, itself, its system, and the codes of its type."""

    at: str
    own: str
    node: Mapping[str, Any]
    system: str | None
    types: frozenset[str]
    assigner: str  # the pointer of its assigner, whether or not there is one


def identifiers_in(view: ResourceView) -> Iterator[IdentifierAt]:
    """Give every Identifier of a resource, without those of the resources inside it."""
    if any(trace in view.raw for trace in _TRACES):
        yield from _in(view.tree, "", {one.at.removeprefix(view.at) for one in view.inner})


def _in(node: Mapping[str, Any], at: str, inside: set[str]) -> Iterator[IdentifierAt]:
    for name, value in node.items():
        here = f"{at}/{escape(name)}"
        if isinstance(value, dict):
            yield from _one(node, at, name, value, here, inside)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                if isinstance(item, dict):
                    yield from _one(node, at, name, item, f"{here}/{number}", inside)


def _one(
    holder: Mapping[str, Any], at: str, name: str, value: Mapping[str, Any], here: str, inside: set[str]
) -> Iterator[IdentifierAt]:
    if here in inside:
        return
    if name in NAMES and not value.keys().isdisjoint(_IDENTIFYING):
        alone = (
            name == "identifier"
            and bool(at)
            and holder.keys() <= _POINTING
            and not isinstance(holder["identifier"], list)
        )
        system = value.get("system")
        yield IdentifierAt(
            at if alone else here,
            here,
            value,
            system if isinstance(system, str) else None,
            _types(value.get("type")),
            f"{here}/assigner",
        )
    yield from _in(value, here, inside)


def _types(concept: object) -> frozenset[str]:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    found = codings if isinstance(codings, list) else []
    return frozenset(one["code"] for one in found if isinstance(one, dict) and isinstance(one.get("code"), str))
