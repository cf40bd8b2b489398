"""The business identifiers of a resource and of its references, as they are found in it. Pure.

Rules of this file
1. What stands under the name of an element of type Identifier is one, and so is what is in it (its assigner's own).
2. Where a Reference is nothing but an identifier, taking the identifier is taking the Reference.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

# Names of elements of type Identifier in R4 (the test holds them against the element table); `reference` is one in
# Claim.related, and a text elsewhere.
NAMES: Final = frozenset(
    {"accessionIdentifier", "groupIdentifier", "identifier", "masterIdentifier", "paymentIdentifier"}
    | {"preAdmissionIdentifier", "reference", "requestIdentifier", "requisition", "targetIdentifier", "valueIdentifier"}
)
_POINTING: Final = frozenset({"identifier", "type", "display", "id", "extension"})
_IDENTIFYING: Final = frozenset({"system", "value", "assigner", "type"})


class IdentifierAt(msgspec.Struct, frozen=True):
    """An Identifier: the pointer of what goes with it, its own, and itself."""

    at: str
    own: str
    node: Mapping[str, Any]

    @property
    def system(self) -> str | None:
        """Give its system; None where it has none."""
        system = self.node.get("system")
        return system if isinstance(system, str) else None

    @property
    def assigner(self) -> str:
        """Give the pointer of its assigner, whether or not there is one."""
        return f"{self.own}/assigner"


def identifier_at(
    value: Mapping[str, Any], own: str, name: str, holder: Mapping[str, Any] | None, at: str
) -> IdentifierAt | None:
    """Give what stands at `own` under one of the NAMES as an Identifier; None where it has nothing of one. `holder` is
    the object at `at` that has it as its only one; None: it stands in a list."""
    if value.keys().isdisjoint(_IDENTIFYING):
        return None
    alone = name == "identifier" and bool(at) and holder is not None and holder.keys() <= _POINTING
    return IdentifierAt(at if alone else own, own, value)
