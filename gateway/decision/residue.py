"""References in released resources: none may point at, or name, what is withheld.

Rules of this file (leaks.md L032 to L036; trade-offs "references to withheld resources")
1. A reference to a withheld resource is cut whole (reference, display, identifier, type). So is one whose target could
   be withheld and is not known: what stays unknown is treated as sensitive.
2. Types that policy never withholds keep their references; so does the subject, whom the recipient asked about.
3. Where the reference is required, its enclosing element goes; where that is required too, the resource goes,
   except that a target nobody knows is replaced by data-absent-reason.
4. What a resource says in prose about the others it sums up goes with the first reference to one that is cut.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

import msgspec

from gateway.decision.model import Cause, Edit, Op
from gateway.decision.parts import within
from gateway.fhir.elements import Elements
from gateway.fhir.view import ReferenceAt, ResourceView

# Prose and codes that restate the resources a type sums up (leaks.md L033).
_SUMMARIES: Final[Mapping[str, tuple[str, ...]]] = {
    "DiagnosticReport": ("conclusion", "conclusionCode", "presentedForm", "media"),
    "CarePlan": ("description", "note"),
    "List": ("note", "title"),
    "ClinicalImpression": ("description", "summary", "note"),
    "Composition": ("title",),
}
_ABSENT: Final = (
    b'{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}'
)


class Fate(Enum):
    """What becomes of one reference."""

    KEEP = "keep"
    CUT = "cut"  # its target is withheld
    UNKNOWN = "unknown"  # its target could be withheld and is not known
    UNNAMED = "unnamed"  # it stays, its display goes


class Residue(msgspec.Struct, frozen=True):
    """The edits one resource needs, or `withhold`: a required element would have to go."""

    edits: tuple[Edit, ...] = ()
    withhold: bool = False
    held_back: bool = False  # a target that is withheld was named


POINTS_AT_WITHHELD: Final = Cause(
    layer="residue",
    effect="deny",
    rule="points-at-withheld",
    deny_class="discretionary",
    cite="leaks.md L032",
    say="The element points at a record that is withheld.",
    reason="law_other",
)


def reference_residue(
    view: ResourceView, fate_of: Callable[[ReferenceAt], Fate], elements: Elements, done: tuple[Edit, ...], because: int
) -> Residue:
    """Find what must be cut from `view` so that it points at nothing withheld.

    `done` are the edits already decided, `because` the index that POINTS_AT_WITHHELD has among the causes.
    """
    cut = {edit.path for edit in done if edit.op is Op.CUT}
    edits: list[Edit] = []
    held_back = False
    for found in view.references:
        if within(found.at, cut):
            continue
        fate = fate_of(found)
        if fate is Fate.UNNAMED and "display" in _at(view.tree, found.at):
            edits.append(Edit(Op.CUT, f"{found.at}/display"))
        if fate not in (Fate.CUT, Fate.UNKNOWN):
            continue
        held_back = held_back or fate is Fate.CUT
        cause = because if fate is Fate.CUT else None
        path = _removable(view, found.at, elements, cut)
        if path is not None:
            cut.add(path)
            edits.append(Edit(Op.CUT, path, because=cause))
        elif fate is Fate.UNKNOWN:
            edits.append(Edit(Op.REPLACE, found.at, _ABSENT))
        else:
            return Residue(withhold=True, held_back=True)
    if edits:
        why = because if held_back else None
        names = (f"/{name}" for name in _SUMMARIES.get(view.type, ()) if name in view.tree)
        edits += [Edit(Op.CUT, path, because=why) for path in names if not within(path, cut)]
        edits += _group_quantity(view, cut, why)
    return Residue(tuple(edits), held_back=held_back)


def _removable(view: ResourceView, pointer: str, elements: Elements, cut: set[str]) -> str | None:
    """Give the smallest element at or above `pointer` that may go, or None where the whole resource would have to."""
    path = pointer
    while path.count("/") >= 1:
        parent = path.rsplit("/", 1)[0]
        container = _at(view.tree, parent)
        if isinstance(container, list):
            others = [i for i in range(len(container)) if not within(f"{parent}/{i}", cut | {path})]
            if others or not elements.is_required(view.type, parent):
                return path
            path = parent.rsplit("/", 1)[0]
            continue
        if path.rsplit("/", 1)[1].startswith("value") and "/extension/" in path:
            path = parent  # an extension without its value says only that there was one
            continue
        if not elements.is_required(view.type, path):
            return path
        path = parent
    return None


def _group_quantity(view: ResourceView, cut: set[str], because: int | None) -> list[Edit]:
    members = view.tree.get("member")
    if view.type != "Group" or "quantity" not in view.tree or not isinstance(members, list):
        return []
    left = sum(not within(f"/member/{index}", cut) for index in range(len(members)))
    return [Edit(Op.REPLACE, "/quantity", str(left).encode(), because)]


def _at(tree: Any, pointer: str) -> Any:  # noqa: ANN401  JSON
    value = tree
    for step in pointer.split("/")[1:]:
        value = value[int(step)] if isinstance(value, list) else value[step.replace("~1", "/").replace("~0", "~")]
    return value
