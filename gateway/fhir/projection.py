"""What a client asks to see of each record: `_elements` and `_summary`, read from its parameters (R4 search.html
3.1.1.5.8, 3.1.1.5.9). Neither is ever sent to the upstream: what is seen is cut from what may be seen (leaks.md L001).

Rules of this file
1. By form alone: names of elements, `true`, `text`, `data`, `count` or `false`; either of the two, once.
2. `_elements` may name a type before the element (`Patient.name`): then it speaks of records of that type.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from gateway.errors import BadRequest
from gateway.fhir.query import Parameter

ELEMENTS: Final = "_elements"
SUMMARY: Final = "_summary"
_ONE: Final = re.compile(r"(?:[A-Z][A-Za-z]{1,63}\.)?[a-z][A-Za-z0-9]{0,63}")
_MOST: Final = 100


class Summary(StrEnum):
    """The summaries of R4 that show a part of each record."""

    TRUE = "true"
    TEXT = "text"
    DATA = "data"


class Projection(msgspec.Struct, frozen=True):
    """What is to be seen: the named elements, or a summary. Exactly one of them is set."""

    elements: tuple[str, ...] = ()
    summary: Summary | None = None

    def names(self, kind: str, element: str) -> bool:
        """Say whether the client named an element of a record of type `kind`; `element` is its JSON name."""
        for one in self.elements:
            typed, _, name = one.rpartition(".")
            if typed in {"", kind} and (element == name or _is_choice(element, name)):
                return True
        return False


class View(msgspec.Struct, frozen=True):
    """What a query says of seeing: `projection` None for whole records, `counting` for a number and no records;
    `said` are the parameters that said it, in the client's order."""

    projection: Projection | None = None
    counting: bool = False
    said: tuple[Parameter, ...] = ()


def take_view(parameters: Sequence[Parameter]) -> tuple[View, tuple[Parameter, ...]]:
    """Part `_elements` and `_summary` from the other parameters. Raises BadRequest by the rules above."""
    said = tuple(each for each in parameters if each.name in {ELEMENTS, SUMMARY})
    rest = tuple(each for each in parameters if each.name not in {ELEMENTS, SUMMARY})
    if len(said) > 1:
        raise BadRequest("`_elements` and `_summary` are given too often; one of them, once")
    if not said:
        return View(), rest
    (name, value) = said[0]
    if name == ELEMENTS:
        elements = tuple(value.split(","))
        if len(elements) > _MOST or not all(map(_ONE.fullmatch, elements)):
            raise BadRequest("the value of `_elements` is not of a form the gateway reads")
        return View(Projection(elements), said=said), rest
    if value not in {"false", "count", *Summary}:
        raise BadRequest("the value of `_summary` is not of a form the gateway reads")
    projection = Projection(summary=Summary(value)) if value in set(Summary) else None
    return View(projection, value == "count", said), rest


def _is_choice(element: str, name: str) -> bool:
    """Say whether a JSON name is a choice of an element (`valueQuantity` of `value`)."""
    return element.startswith(name) and element[len(name) : len(name) + 1].isupper()
