"""Element rules: what may be cut out of a record so that the rest can be disclosed, and what every copy loses.

Rules of this file
1. Only the elements a profile lists may go alone, member by member (`Parts`). A label that speaks of the whole record,
   or of any other element, is never escaped by cutting.
2. What every copy of the type loses for the caller class goes whether or not anything was removed (L033, L037).
3. Callers of the types in `whole_for` get a record whole or not at all.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from gateway.decision.claims import note_numbers, numbered_soundly, removal_edits
from gateway.decision.combine import Ruling
from gateway.decision.model import Cause, Edit, Op
from gateway.fhir.view import ResourceView
from gateway.labels.assign import summarise
from gateway.labels.model import Label, Labels
from gateway.policy.model import PartRule, Policy


class Masking(msgspec.Struct, frozen=True):
    """A record that can go in part: the ruling on the rest and its labels, the edits and the denies behind them."""

    ruling: Ruling
    labels: Labels
    edits: tuple[Edit, ...]
    causes: tuple[Cause, ...]


def part_rule(policy: Policy, recipient_type: str, resource_type: str) -> PartRule | None:
    """Give the element rule for a resource type and caller class, or None."""
    if policy.kinds_of(recipient_type) & policy.parts.whole_for:
        return None
    return policy.parts.types.get(resource_type)


def uniform_edits(view: ResourceView, rule: PartRule | None, *, narrative: bool) -> tuple[Edit, ...]:
    """Give the edits that every copy of this type gets for this caller class, removed or not."""
    paths = list(rule.always) if rule else []
    if narrative and "text" not in paths:
        paths.append("text")
    edits = [Edit(Op.CUT, f"/{name}") for name in paths if name in view.tree]
    if rule and "processNote" in rule.always:
        edits += [Edit(Op.CUT, pointer) for pointer in note_numbers(view.tree)]
    if rule and numbered_soundly(view.tree):
        edits += removal_edits(view.tree, {}) or ()
    return tuple(edits)


def mask(view: ResourceView, labels: Labels, rule: PartRule, rule_on: Callable[[Labels], Ruling]) -> Masking | None:
    """Find the members to cut so that the rest is permitted. None: it cannot be done, withhold the record."""
    if not numbered_soundly(view.tree):
        return None
    by_member, rest_labels = _split(labels, rule)
    rest = summarise(rest_labels, labels.unknown)
    ruling = rule_on(rest)
    if not ruling.permitted:
        return None
    causes: list[Cause] = []
    removed: dict[str, int] = {}
    for pointer, located in by_member.items():
        with_member = rule_on(summarise([*rest_labels, *located], labels.unknown))
        if not with_member.permitted:
            removed[pointer] = len(causes)
            causes += [cause for cause in with_member.causes if cause not in causes]
            removed[pointer] = min(causes.index(cause) for cause in with_member.causes)
    edits = removal_edits(view.tree, removed)
    if edits is None or not removed:
        return None
    kept = [label for pointer, located in by_member.items() if pointer not in removed for label in located]
    whole = summarise([*rest_labels, *kept], labels.unknown)
    final = rule_on(whole)
    return Masking(final, whole, edits, tuple(causes)) if final.permitted else None


def _split(labels: Labels, rule: PartRule) -> tuple[dict[str, list[Label]], list[Label]]:
    by_member: dict[str, list[Label]] = {}
    rest: list[Label] = []
    for label in labels.labels:
        steps = label.at.split("/")
        if len(steps) > 2 and steps[1] in rule.remove and steps[2].isdigit():
            by_member.setdefault(f"/{steps[1]}/{steps[2]}", []).append(label)
        elif len(steps) < 2 or steps[1] not in rule.always:
            rest.append(label)
    return by_member, rest


def prefixed(edits: Iterable[Edit], prefix: str, shift: int) -> tuple[Edit, ...]:
    """Give edits of an inner resource as edits of the outer one, their causes counted from `shift`."""
    return tuple(
        msgspec.structs.replace(e, path=prefix + e.path, because=None if e.because is None else e.because + shift)
        for e in edits
    )


def within(pointer: str, cut: Iterable[str]) -> bool:
    """Say whether a pointer lies at or beneath one of the cut ones."""
    return any(pointer == path or pointer.startswith(path + "/") for path in cut)


def array_at(tree: Any, pointer: str) -> list[Any] | None:  # noqa: ANN401  JSON
    """Give the array that the last step of `pointer` indexes, or None where it indexes none."""
    value = tree
    steps = pointer.split("/")[1:]
    for step in steps[:-1]:
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value if isinstance(value, list) else None
