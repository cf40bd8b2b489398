"""Matches of a search: released records as the search sees them, and the order in which they are given.

Rules of this file
1. What is held against a search, and what sorts it, is the form that would be sent, never what upstream holds (L012,
   L014, L018).
2. An entry that stands at another place in an answer is told of at that place, with what is in it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.decision.judge import Judgement
from gateway.fhir import strict
from gateway.fhir.bundle import Bundle, Document, Entry
from gateway.fhir.references import Local, parse
from gateway.fhir.search_plan import SearchPlan
from gateway.fhir.search_predicates import Condition, sort_key, touches, values_at
from gateway.fhir.view import ResourceView
from gateway.proxy.asked import Asked
from gateway.proxy.cursor import Place
from gateway.release.compose import released_text


class Match(msgspec.Struct, frozen=True):
    """A released match: its entry, where it stands upstream, its released form, and what it is sorted by."""

    entry: Entry
    place: Place
    tree: Mapping[str, Any]


def tree_of(view: ResourceView, judgement: Judgement, plan: SearchPlan) -> Mapping[str, Any]:
    """Give a released record as it would be sent, decoded. It is composed for that only where an edit is of something
    that the search asks about."""
    paths = [edit.path for edit in judgement.edits[view.at]]
    if paths and any(touches(one, paths) for one in _looked_at(plan)):
        text = released_text(view, judgement)
        tree: Mapping[str, Any] = {} if text is None else strict.decode(text)
        return tree
    return view.tree


def locals_at(tree: Mapping[str, Any], path: str, asked: Asked) -> Iterable[Local]:
    """Give the records of this server that a released record names at a path."""
    for value in values_at(tree, path):
        reference = value.get("reference") if isinstance(value, dict) else None
        target = parse(reference, asked.door.own) if isinstance(reference, str) else None
        if isinstance(target, Local):
            yield Local(target.type, target.id)


def sorted_matches(matches: list[Match], plan: SearchPlan) -> list[Match]:
    """Give matches in the order of `_sort`, by their released forms; equal ones as upstream has them, those without a
    value last (leaks.md L018)."""
    for key in reversed(plan.sort):
        told = [(sort_key(key.kind, key.paths, one.tree, last=key.descending), one) for one in matches]
        valued = sorted((one for one in told if one[0] is not None), key=lambda one: one[0], reverse=key.descending)
        matches = [one for _, one in valued] + [one for value, one in told if value is None]
    return matches


def document_of(entries: Iterable[Entry]) -> Document:
    """Give a searchset of these entries."""
    listed = tuple(entries)
    views = tuple(entry.view for entry in listed if entry.view is not None)
    return Document(views, Bundle(type="searchset", entries=listed))


def _looked_at(plan: SearchPlan) -> Iterable[Condition]:
    yield from plan.conditions
    for paths in (key.paths for key in plan.sort):
        yield Condition(name="", kind="", paths=paths, values=())


def moved(entry: Entry, mode: str, at: str) -> Entry:
    """Give an entry as if it stood at another place."""
    view = entry.view if entry.view is None else _view_at(entry.view, f"{at}/resource")
    return msgspec.structs.replace(entry, at=at, mode=mode, view=view)


def _view_at(view: ResourceView, at: str) -> ResourceView:
    inner = tuple(_view_at(one, at + one.at.removeprefix(view.at)) for one in view.inner)
    return msgspec.structs.replace(view, at=at, inner=inner)
