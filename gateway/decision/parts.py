"""Element rules: what may be cut out of a record so that the rest can be disclosed, and what every copy loses.

Rules of this file
1. Only the elements a profile lists may go alone, member by member (`Parts`). A label that speaks of the whole record,
   or of any other element, is never escaped by cutting.
2. What every copy of the type loses for the caller class goes whether or not anything was removed (L033, L037); the
   number of its version goes too (leaks.md trade-offs, `versionId`).
3. Callers of the types in `whole_for` get a record whole or not at all.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from gateway.decision.claims import note_numbers, numbered_soundly, removal_edits
from gateway.decision.combine import Ruling
from gateway.decision.extensions import private_extensions
from gateway.decision.model import Cause, Edit, Op
from gateway.fhir.elements import Elements
from gateway.fhir.view import ResourceView
from gateway.labels.assign import summarise
from gateway.labels.model import Label, Labels
from gateway.policy.model import PartRule, Parts, Policy


class Masking(msgspec.Struct, frozen=True):
    """A record that can go in part: the ruling on the rest and its labels, the members that go and the denies behind
    them (by index)."""

    ruling: Ruling
    labels: Labels
    removed: Mapping[str, int]
    causes: tuple[Cause, ...]


def part_rule(policy: Policy, recipient_type: str, resource_type: str) -> PartRule | None:
    """Give the element rule for a resource type and caller class, or None."""
    if policy.kinds_of(recipient_type) & policy.parts.whole_for:
        return None
    return policy.parts.types.get(resource_type)


def uniform_edits(view: ResourceView, rule: PartRule | None, parts: Parts, elements: Elements) -> tuple[Edit, ...]:
    """Give the edits that every copy of this type gets for this caller class, removed or not."""
    paths = list(rule.always) if rule else []
    if parts.narrative_cut and "text" not in paths:
        paths.append("text")
    edits = [Edit(Op.CUT, f"/{name}") for name in paths if name in view.tree]
    meta = view.tree.get("meta")
    if rule and isinstance(meta, dict) and "versionId" in meta:  # every change of a withheld part moves it
        edits.append(Edit(Op.CUT, "/meta/versionId"))
    if rule and "processNote" in rule.always:
        edits += [Edit(Op.CUT, pointer) for pointer in note_numbers(view.tree)]
    if parts.narrative_cut and view.type == "Composition":
        edits += [Edit(Op.CUT, pointer) for pointer in _prose(view.tree, "")]
    return (*edits, *private_extensions(view, parts.extensions, elements))


def _prose(node: Mapping[str, Any], at: str) -> Iterator[str]:
    """Give the narrative of every section of a document, and every section that holds nothing else: sections sum up the
    records beside them (leaks.md L033, L035), and one without text, entries and sections is not valid (R4 cmp-1)."""
    for number, section in enumerate(members(node.get("section"))):
        here = f"{at}/section/{number}"
        if not isinstance(section, dict):
            continue
        if "text" in section and "entry" not in section and "section" not in section:
            yield here
            continue
        if "text" in section:
            yield f"{here}/text"
        yield from _prose(section, here)


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
            causes += [cause for cause in with_member.causes if cause not in causes]
            removed[pointer] = min(causes.index(cause) for cause in with_member.causes)
    if not removed or removal_edits(view.tree, removed) is None:
        return None
    kept = [label for pointer, located in by_member.items() if pointer not in removed for label in located]
    whole = summarise([*rest_labels, *kept], labels.unknown)
    final = rule_on(whole)
    return Masking(final, whole, removed, tuple(causes)) if final.permitted else None


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


def prefixed(edits: Iterable[Edit], prefix: str) -> tuple[Edit, ...]:
    """Give edits of an inner resource as edits of the outer one; their causes stay those of the inner one."""
    return tuple(msgspec.structs.replace(edit, path=prefix + edit.path) for edit in edits)


def within(pointer: str, cut: Container[str]) -> bool:
    """Say whether a pointer lies at or beneath one of the cut ones."""
    while pointer:
        if pointer in cut:
            return True
        pointer = pointer.rpartition("/")[0]
    return False


def members(value: Any) -> list[Any]:  # noqa: ANN401  JSON
    """Give the members of a list in parsed JSON; nothing for what is no list."""
    return value if isinstance(value, list) else []
