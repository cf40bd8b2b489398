"""Searches by what records really hold: every parameter of R4 at its own path, modifiers, sorts, chains, `_has`.

Rules of this file
1. A value is one that some record has where the parameter looks, so that it is met by what is withheld as well.
2. What a server behind the gateway does not know is asked all the same: the gateway then evaluates it.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from gateway.fhir.elements import Elements
from gateway.fhir.search_offers import KINDS
from gateway.fhir.search_parameters import SearchParameter, SearchParameters
from gateway.fhir.search_predicates import values_at

MODIFIERS: Mapping[str, tuple[str, ...]] = {
    "token": ("", "", "not", "missing", "text"),
    "reference": ("", "", "missing", "identifier"),
    "date": ("", "", "missing"),
    "string": ("", "", "exact", "contains", "missing"),
    "quantity": ("", "", "missing"),
    "uri": ("", "below", "missing"),
    "number": ("",),
}
PREFIXES = ("", "ge", "le", "gt", "lt", "ne", "sa", "eb")
Pair = tuple[str, str]


def table() -> SearchParameters:
    """Give the standard's search parameters, from the gateway's own table."""
    folder = files("profiles") / "fhir"
    elements = Elements.from_json((folder / "elements.json").read_bytes())
    return SearchParameters.from_json((folder / "search.json").read_bytes(), elements)


class Predicates:
    """Draws conditions on a type's records."""

    def __init__(self, trees: Mapping[str, Mapping[str, Any]], by_type: Mapping[str, Sequence[str]]) -> None:
        self._trees, self._by_type, self._table = trees, by_type, table()

    def condition(self, dice: random.Random, type_: str) -> Pair | None:
        """Give a parameter, with a modifier perhaps, and a value; None where nothing is found to ask for."""
        known = [(name, found) for name, found in self._table.of(type_).items() if found.paths and found.kind in KINDS]
        for name, found in dice.sample(known, min(len(known), 12)):
            pool = [text for value in self._held(type_, found) if (text := said(found.kind, value))]
            if pool:
                return _written(dice, name, found.kind, dice.choice(pool))
        return None

    def sort(self, dice: random.Random, type_: str) -> Pair:
        """Give an order by two parameters."""
        names = [name for name, found in self._table.of(type_).items() if found.paths and found.kind in KINDS]
        return "_sort", ",".join(dice.choice(("", "-")) + name for name in dice.sample(names, min(len(names), 2)))

    def chain(self, dice: random.Random, type_: str) -> Pair | None:
        """Give a chain to a record that some record of the type refers to."""
        table_ = self._table
        known = [(n, p) for n, p in table_.of(type_).items() if p.paths and table_.only_references(type_, p)]
        for name, found in dice.sample(known, min(len(known), 6)):
            values = [
                one["reference"] for one in self._held(type_, found) if isinstance(one, dict) and "reference" in one
            ]
            targets = [one for one in values if one in self._trees]
            if targets:
                kind, _, id_ = dice.choice(targets).partition("/")
                return f"{name}:{kind}._id", id_
        return None

    def has(self, dice: random.Random, type_: str) -> Pair | None:
        """Give a reverse chain from a patient to records of the type."""
        reference = "patient" if "patient" in self._table.of(type_) else "subject"
        found = self.condition(dice, type_)
        return None if found is None else (f"_has:{type_}:{reference}:{found[0]}", found[1])

    def _held(self, type_: str, found: SearchParameter) -> Iterator[Any]:
        for name in self._by_type.get(type_, ()):
            for path in found.paths:
                yield from values_at(self._trees[name], path)


def said(kind: str, value: Any) -> str | None:
    """Give how a value is written in a search of this kind, None for one that is not."""
    if kind == "token" and isinstance(value, dict):
        first = value.get("coding") or [value]
        value = first[0].get("code") or first[0].get("value")
    elif kind == "token" and isinstance(value, bool):
        value = str(value).lower()
    elif kind == "date" and isinstance(value, dict):
        value = value.get("start")
    elif kind == "string" and isinstance(value, dict):
        value = value.get("family") or value.get("text") or value.get("city")
    elif isinstance(value, dict):
        value = value.get("reference") if kind == "reference" else value.get("value")
    if kind in {"quantity", "number"} and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def _written(dice: random.Random, name: str, kind: str, value: str) -> Pair:
    modifier = "" if name.startswith("_") else dice.choice(MODIFIERS[kind])
    if modifier == "missing":
        value = dice.choice(("true", "false"))
    elif modifier == "identifier":
        value = "http://ids.example|1"
    elif kind == "string":
        value = value[:8]
    elif kind in {"date", "quantity", "number"}:
        value = dice.choice(PREFIXES) + value
    return (f"{name}:{modifier}" if modifier else name), value
