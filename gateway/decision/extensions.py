"""Extensions of vocabularies that nobody here can judge: they go from every copy of a record (leaks.md L038).

Rules of this file
1. Only what stands outermost is judged: the parts of an extension are its own; what stands in meta goes with meta.
2. An element that was nothing but such extensions goes with them; where it is required, it says that it is absent, in
   every copy alike (R4 extension data-absent-reason).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.decision.model import Edit, Op
from gateway.fhir.elements import Elements
from gateway.fhir.pointer import escape, segments
from gateway.fhir.view import ResourceView

ABSENT: Final = (
    b'{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}'
)
_OUTER: Final = ("/extension/", "/modifierExtension/")


def private_extensions(view: ResourceView, public: tuple[str, ...] | None, elements: Elements) -> Iterator[Edit]:
    """Give the edits by which the extensions go whose URLs do not begin as one of `public`; None: all stay."""
    private = [at for at, url in view.extensions if not url.startswith(public)] if public is not None else []
    going = {at for at in private if not _inside_another(at) and not at.startswith("/meta/")}
    left: dict[str, bool] = {}
    places = dict.fromkeys(_emptied(view, at, going, elements, left) for at in sorted(going))
    yield from (Edit(Op.REPLACE, path, ABSENT) if required else Edit(Op.CUT, path) for path, required in places)


def _inside_another(at: str) -> bool:
    outer = at.rpartition("/extension/")[0]
    return any(marker in f"{outer}/" for marker in _OUTER)


def _emptied(
    view: ResourceView, at: str, going: set[str], elements: Elements, left: dict[str, bool]
) -> tuple[str, bool]:
    """Give what goes with one extension: the outermost element of which nothing would be left, and whether it is
    required, so that it has to say that it is absent. `left` is what was found of the elements around others."""
    path = at
    while True:
        parent = path.rpartition("/")[0]
        container = _at(view.tree, parent)
        if isinstance(container, list):
            if _left_of(container, parent, going, left):
                return path, False
            if elements.is_required(view.type, parent):
                return path, True
        elif _required(view, path, container, elements):
            return path, True
        elif not parent or _left_of(container, parent, going, left):
            return path, False
        path = parent


def _left_of(container: object, at: str, going: set[str], left: dict[str, bool]) -> bool:
    if at not in left:
        left[at] = _left(container, at, going)
    return left[at]


def _left(node: Any, at: str, going: set[str]) -> bool:  # noqa: ANN401  JSON
    """Say whether anything is left of a value once what goes is gone."""
    if at in going:
        return False
    if isinstance(node, dict):
        return any(_left(value, f"{at}/{escape(name)}", going) for name, value in node.items())
    if isinstance(node, list):
        return any(_left(item, f"{at}/{number}", going) for number, item in enumerate(node))
    return node is not None


def _required(view: ResourceView, path: str, container: Mapping[str, Any], elements: Elements) -> bool:
    """Say whether an element is one that its structure is not valid without; `_x` stands for an x that is not there."""
    parent, _, name = path.rpartition("/")
    if name.startswith("_"):
        return name[1:] not in container and elements.is_required(view.type, f"{parent}/{name[1:]}")
    return elements.is_required(view.type, path)


def _at(tree: Any, pointer: str) -> Any:  # noqa: ANN401  JSON
    for step in segments(pointer):
        tree = tree[int(step)] if isinstance(tree, list) else tree[step]
    return tree
