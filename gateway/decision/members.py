"""A list of people without those who may not be told of: its items go one by one (leaks.md L036).

Rules of this file
1. A Group's member and a List's entry that name a person go where the list may not be told of that person. What the
   list names besides its items is named by all of it.
2. What an item says, labels on it included, is said of its own people alone.
3. Of whom nobody may be told, there is no list. Who gets records whole gets no list in part.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from consent_store.model import PatientKey
from gateway.decision.combine import Ruling
from gateway.decision.model import Cause
from gateway.fhir.view import ResourceView
from gateway.labels.assign import summarise
from gateway.labels.model import Label, Labels

ITEMS: Final[Mapping[str, tuple[str, str]]] = {"Group": ("member", "entity"), "List": ("entry", "item")}
"""By type: the element whose members name people, and the reference in it."""

RuleOn = Callable[[Sequence[PatientKey], Labels], Ruling]
"""Rules on the record as these people have it, with these labels."""


class Shortened(msgspec.Struct, frozen=True):
    """A list without some of its people: who is left, the ruling and the labels for them, and what goes, each with the
    deny behind it."""

    people: tuple[PatientKey, ...]
    ruling: Ruling
    labels: Labels
    hidden: Mapping[str, Cause]


def item_of(view: ResourceView, at: str) -> str:
    """Give the pointer of the item in which something of a list stands, "" for what stands in none."""
    element = ITEMS[view.type][0] if view.type in ITEMS else None
    steps = at.split("/")
    return f"/{element}/{steps[2]}" if element is not None and len(steps) > 2 and steps[1] == element else ""


def shortened(
    view: ResourceView, named: Mapping[str, frozenset[PatientKey]], labels: Labels, rule_on: RuleOn
) -> Shortened | None:
    """Give a list without those who may not be told of; None where that is not all that keeps it back.

    `named` are the people that each item names, by its pointer, "" for the rest of the list.
    """
    everyone = sorted(frozenset().union(*named.values()), key=lambda key: (key.source, key.id))
    denied: dict[PatientKey, Ruling] = {}
    for key in everyone:
        own = {item for item, people in named.items() if key in people}
        ruling = rule_on((key,), _labels(view, labels, own))
        if not ruling.permitted:
            denied[key] = ruling
    gone = {item for item, people in named.items() if people & denied.keys()}
    left = tuple(key for key in everyone if key not in denied)
    if not gone or "" in gone or not left:
        return None
    kept = _labels(view, labels, named.keys() - gone)
    ruling = rule_on(left, kept)
    if not ruling.permitted:
        return None
    reference = ITEMS[view.type][1]
    causes = {
        item: next(denied[key].causes[0] for key in everyone if key in named[item] & denied.keys()) for item in gone
    }
    return Shortened(left, ruling, kept, {f"{item}/{reference}": cause for item, cause in causes.items()})


def _labels(view: ResourceView, labels: Labels, items: Iterable[str]) -> Labels:
    """Give the labels of a list of which these items are all that there are."""
    shown = {*items, ""}
    return summarise(_within(view, labels.labels, shown), labels.unknown)


def _within(view: ResourceView, labels: Iterable[Label], items: set[str]) -> list[Label]:
    return [label for label in labels if item_of(view, label.at) in items]
