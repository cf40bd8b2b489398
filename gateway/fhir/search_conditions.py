"""Conditions of a search: which modifiers a parameter takes, and the values it is held against, by R4's grammar.

Rules of this file
1. A value that a server could read in another way than the gateway is refused, and not repeated in the text.
2. A condition that upstream could answer from more than may be seen is told `here`: the gateway holds it alone.
3. References are read as `Type/id`, whatever the form in which a client names a record of ours.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.fhir.query import Parameter, malformed
from gateway.fhir.references import Base, Local
from gateway.fhir.search_parameters import SearchParameter
from gateway.fhir.search_plan import SearchLimits
from gateway.fhir.search_predicates import Condition
from gateway.fhir.search_values import (
    Token,
    Value,
    alternatives,
    is_ids,
    read_canonical,
    read_identifier,
    read_reference,
    read_value,
)

MODIFIERS: Final[Mapping[str, frozenset[str]]] = {
    "token": frozenset({"missing", "not", "of-type", "text"}),
    "string": frozenset({"contains", "exact", "missing"}),
    "reference": frozenset({"identifier", "missing"}),
    "uri": frozenset({"above", "below", "missing"}),
    "date": frozenset({"missing"}),
    "number": frozenset({"missing"}),
    "quantity": frozenset({"missing"}),
}
"""The modifiers of each kind of parameter; a reference also takes the name of a type."""

BOUNDED: Final = frozenset({"date", "number", "quantity"})
"""Kinds of which a value stands alone, and may be a bound."""

ANCHORS: Final = ("_id", "encounter", "patient", "subject")
"""What anchors a search for records of patients."""

# Never asked of the upstream: it answers from its own labels and marks, not from those that would be sent.
_OURS: Final = frozenset({"_profile", "_security", "_source", "_tag"})


def takes(definition: SearchParameter, name: str, modifier: str, types: frozenset[str]) -> bool:
    """Say whether a parameter is offered with this modifier. `types` are those that a reference may name."""
    if not modifier:
        return True
    if definition.kind == "reference" and modifier[:1].isupper():
        return modifier in types
    of_type = modifier != "of-type" or definition.paths == ("identifier",)
    return modifier in MODIFIERS[definition.kind] and of_type and name not in {"_id", *_OURS}


class Reading(msgspec.Struct, frozen=True):
    """How the values of one parameter are read. `types` are those that a reference of it may name, none for all; `own`
    the bases in which a client may name resources by URL."""

    name: str
    definition: SearchParameter
    modifier: str
    types: frozenset[str]
    own: frozenset[Base]

    def condition(self, given: Parameter, limits: SearchLimits) -> Condition:
        """Give the condition that a parameter sets. Raises BadRequest for a value that is not of the grammar."""
        name, modifier, kind = self.name, self.modifier, self.definition.kind
        if name == "_id" and not is_ids(given.value, limits.alternatives):
            raise malformed(given)
        several = kind not in BOUNDED and modifier != "missing"
        values = tuple(map(self._value, alternatives(given.value) if several else (given.value,)))
        if not 0 < len(values) <= limits.alternatives or None in values:
            raise malformed(given)
        return Condition(
            name=name,
            kind=kind,
            paths=self.definition.paths,
            values=tuple(value for value in values if value is not None),
            modifier="" if modifier[:1].isupper() else modifier,
            here=name in _OURS or (modifier not in {"", "exact"} and not modifier[:1].isupper()),
        )

    def _value(self, text: str) -> Value | None:
        kind, modifier = self.definition.kind, self.modifier
        if modifier == "missing":
            return Token(None, text) if text in {"true", "false"} else None
        if modifier == "of-type":
            return read_identifier(text)
        if modifier == "text":
            return read_value("string", text)
        if kind != "reference":
            return read_value(kind, text)
        if modifier == "identifier":
            return read_value("token", text)
        types = frozenset({modifier}) if modifier else self.types
        canonical = None if modifier or self.name in ANCHORS else read_canonical(text, self.own)
        return read_reference(text, types, self.own) or canonical


def text_of(condition: Condition) -> str:
    """Give the values of a condition on a reference in the one form in which they are sent on."""
    return ",".join(one.text if isinstance(one, Local) else _escaped(one) for one in condition.values)


def _escaped(value: Value) -> str:
    text = getattr(value, "text", "")
    return re.sub(r"([\\,|$])", r"\\\1", text) if isinstance(text, str) else ""
