"""Releasing one resource without the rest: no element of it may point at, or sum up, what is withheld.

Rules of this file (leaks.md L032 to L038)
1. A reference goes whole (reference, display, identifier, type), and with it the member that stands there to point.
2. Where it is required, its enclosing element goes; where that is required too, the resource goes, except that a target
   nobody knows is replaced by data-absent-reason.
3. In a claim's numbered lists a member goes with all that hangs on it (gateway.decision.claims).
4. What a resource says again of the others goes with the first reference to one that is cut (restated).
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from gateway.decision.claims import NUMBERED_TYPES, numbered_member, numbered_soundly
from gateway.decision.fates import POINTS_AT_WITHHELD, Fate, Kind
from gateway.decision.model import Cause, Edit, Op
from gateway.decision.opinion import Opinion
from gateway.decision.parts import members, within
from gateway.decision.restated import (
    IDENTIFIER,
    beside,
    described,
    instructions,
    names_of,
    naming,
    quotations,
    said_by,
    summaries,
    summed_up,
)
from gateway.fhir.elements import Elements
from gateway.fhir.pointer import element_path, escape, index, segments
from gateway.fhir.view import ResourceView
from gateway.fhir.walk import ReferenceAt, TextAt

# Members of a repeating structure that is there to point: without its target the structure says what it pointed at.
_POINTERS: Final = frozenset(
    {"actor", "claim", "detail", "diagnosisReference", "individual", "itemReference", "member", "party", "ref"}
    | {"reference", "resource", "valueReference", "what", "who"}
)
_EXTENSION: Final = re.compile(r".*?/extension/\d+(?=/extension/)")  # one that has parts
_ABSENT: Final = (
    b'{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}'
)


def free(
    opinion: Opinion,
    of_reference: Callable[[ReferenceAt], Fate],
    of_address: Callable[[TextAt], Fate],
    told: Iterable[tuple[str, Fate]],
    elements: Elements,
) -> bool:
    """Take from a released resource what points at what is withheld or unknown. False: it cannot be freed of it.

    `told` are the fates of texts. What is taken is added to `opinion`; asked again, the same answers add nothing.
    """
    freeing = _Freeing(opinion, elements)
    found = [(one.at, of_reference(one)) for one in opinion.view.references if not freeing.gone(one.at)]
    found += [(one.at, of_address(one)) for one in opinion.view.links if not freeing.gone(one.at)]
    found += told
    referring = {one.at for one in opinion.view.references}
    hidden = {at: cause for at, cause in opinion.hidden.items() if at not in referring}
    found += [(at, Fate(Kind.CUT, cause, _kind(at))) for at, cause in hidden.items()]
    for at, cause in hidden.items() if opinion.cut else ():
        # A number that no copy shows is told of all the same: what its rule obliges to was done.
        outer = next((path for path in opinion.cut if within(at, {path})), None)
        if outer is not None and cause.obligations:
            opinion.take([Edit(Op.CUT, outer)], cause)
    if not all(freeing.go(at, fate) for at, fate in found if fate.kind is not Kind.KEEP):
        return False
    return freeing.restated()


class _Freeing:
    def __init__(self, opinion: Opinion, elements: Elements) -> None:
        self.opinion, self.view, self.elements = opinion, opinion.view, elements
        self.cut = set(opinion.cut)
        self.before = len(self.cut)
        self.cause: Cause | None = None
        self.lost: dict[str, Fate] = {}  # references to what others sum up
        self.unnamed: dict[str, tuple[Fate, object]] = {}  # to who and where, with what each displayed

    @cached_property
    def numbered(self) -> bool:
        """Whether the resource is a claim whose numbered lists can be edited together."""
        return self.view.type in NUMBERED_TYPES and numbered_soundly(self.view.tree)

    def gone(self, at: str) -> bool:
        return within(at, self.cut)

    def go(self, at: str, fate: Fate) -> bool:
        """Take one reference or address away; False where the resource would have to go."""
        if self.gone(at):
            return True
        node = _at(self.view.tree, at)
        if fate.kind is Kind.UNNAMED:
            named = ("display", "identifier") if "reference" in node else ("display",)
            self.opinion.take([Edit(Op.CUT, f"{at}/{name}") for name in named if name in node], POINTS_AT_WITHHELD)
            return True
        withheld = fate.kind is Kind.CUT
        cause = (fate.cause or POINTS_AT_WITHHELD) if withheld else None
        if summed_up(fate.of):
            self.cause = self.cause or cause
            self.lost[at] = fate
        elif withheld:
            self.cause = self.cause or cause
            self.unnamed[at] = (fate, node.get("display") if isinstance(node, dict) else None)
        pointing = (
            withheld or self.view.type == "Parameters"
        )  # a parameter's name without a value tells that it had one
        path = removable(self.view, self._start(at, pointing=pointing), self.elements, self.cut)
        member = numbered_member(path) if path is not None and self.numbered else None
        if member is not None and cause is not None:
            going = self.opinion.remove([member], cause)
            self.cut = set(self.opinion.cut)
            return going
        if path is None or member is not None:
            if withheld or not isinstance(node, dict):
                return False
            self.opinion.take([Edit(Op.REPLACE, at, _ABSENT)], None)
            return True
        self.cut.add(path)
        self.opinion.take([Edit(Op.CUT, path)], cause)
        return True

    def _start(self, at: str, *, pointing: bool) -> str:
        """Give where to begin: the element itself, the attachment whose address it is, the member that points, the
        extension whose parts tell of one thing together."""
        parent, _, name = at.rpartition("/")
        if pointing and (outermost := _EXTENSION.match(at)):
            return outermost[0]
        if name == "url" and parent in self.view.attachments:
            return parent
        here = self.elements.at(self.view.type, at)
        points = pointing and name in _POINTERS and index(parent.rpartition("/")[2]) is not None
        return parent if points and not (here is not None and here.required) else at

    def restated(self) -> bool:
        """Take what sums up, says again or counts what went; False where that is more than the record can lose."""
        tree = self.view.tree
        if len(self.cut) == self.before:
            return True
        known = [at for at, fate in self.lost.items() if fate.kind is Kind.CUT]
        if self.lost and not self._take(summaries(self.view, known)):
            return False
        for at in known:
            holder = _structure(at)
            self._take(beside(self.view, at, _at(tree, holder), holder))
        for at in self.unnamed:
            holder = _structure(at)
            self._take(described(self.view, at, _at(tree, holder), holder))
        if not all(self._go_on(at) for at in [*instructions(self.view, known), *self._quoted(), *self._named()]):
            return False
        self._counts(tree)
        return True

    def _quoted(self) -> list[str]:
        targets = [target for fate in self.lost.values() for target in fate.targets]
        return list(quotations(self.view, said_by(targets))) if targets else []

    def _named(self) -> list[str]:
        targets = [target for fate, _ in self.unnamed.values() for target in fate.targets]
        return list(naming(self.view, names_of(targets, (shown for _, shown in self.unnamed.values()))))

    def _take(self, pointers: Iterable[str]) -> bool:
        """Take elements away; False where R4 requires one of them."""
        fresh = [path for path in pointers if not self.gone(path)]
        if any(path.count("/") == 1 and self.elements.is_required(self.view.type, path) for path in fresh):
            return False
        self.opinion.take([Edit(Op.CUT, path) for path in fresh], self.cause)
        self.cut.update(fresh)
        return True

    def _go_on(self, at: str) -> bool:
        return self.gone(at) or self.go(at, Fate(Kind.CUT, self.cause, "Patient"))

    def _counts(self, tree: Mapping[str, Any]) -> None:
        if self.view.type == "Group":
            self._count(tree, "", "quantity", "member", even_if_none_went=True)
        if self.view.type == "ImagingStudy":
            self._images(tree)
        if self.view.type == "Composition":
            self.opinion.take([Edit(Op.CUT, path) for path in self._sections(tree, "")], self.cause)

    def _count(
        self, node: Mapping[str, Any], at: str, count: str, listed: str, *, even_if_none_went: bool = False
    ) -> bool:
        """Count a list anew beside which its number stands; say whether something of it went."""
        places = [f"{at}/{listed}/{number}" for number in range(len(members(node.get(listed))))]
        left = sum(not self.gone(place) for place in places)
        went = left < len(places)
        if count in node and listed in node and (went or even_if_none_went):
            self.opinion.take([Edit(Op.REPLACE, f"{at}/{count}", str(left).encode())], self.cause)
        return went

    def _images(self, tree: Mapping[str, Any]) -> None:
        """Count series and their instances anew; all instances together are told no more where some went."""
        went = self._count(tree, "", "numberOfSeries", "series")
        for number, series in enumerate(members(tree.get("series"))):
            at = f"/series/{number}"
            if isinstance(series, dict) and not self.gone(at):
                went = self._count(series, at, "numberOfInstances", "instance") or went
        if went and "numberOfInstances" in tree:
            self.opinion.take([Edit(Op.CUT, "/numberOfInstances")], self.cause)

    def _sections(self, node: Mapping[str, Any], at: str) -> Iterator[str]:
        """Give the prose of every section that lost an entry, and the section itself where it lost all it had."""
        for number, section in enumerate(members(node.get("section"))):
            here = f"{at}/section/{number}"
            if not isinstance(section, dict) or self.gone(here):
                continue
            entries = [f"{here}/entry/{i}" for i in range(len(members(section.get("entry"))))]
            lost = [entry for entry in entries if self.gone(entry) or self.gone(f"{here}/entry")]
            if lost and len(lost) == len(entries) and "section" not in section:
                yield here
                continue
            if lost and "text" in section:
                yield f"{here}/text"
            yield from self._sections(section, here)


def _kind(at: str) -> str | None:
    """Give what stands at a pointer that is no reference: a number, or what is not told."""
    return IDENTIFIER if element_path(at).rpartition(".")[2] in ("identifier", "valueIdentifier") else None


def _structure(at: str) -> str:
    """Give the structure that a reference, or the list of references it is in, is an element of."""
    parent, _, name = at.rpartition("/")
    return parent if index(name) is None else parent.rpartition("/")[0]


def removable(view: ResourceView, pointer: str, elements: Elements, cut: Collection[str]) -> str | None:
    """Give the smallest element at or above `pointer` that may go, or None where the whole resource would have to."""
    path = pointer
    while path.count("/") >= 1:
        parent, _, name = path.rpartition("/")
        container = _at(view.tree, parent)
        if isinstance(container, list):
            # From the end: what goes mostly goes from the beginning, and one that stays is enough.
            places = (f"{parent}/{number}" for number in reversed(range(len(container))))
            stays = any(place != path and not within(place, cut) for place in places)
            if stays or not elements.is_required(view.type, parent):
                return path
            path = parent.rpartition("/")[0]
        elif (name.startswith("value") and "/extension/" in path) or _owner(view, path):
            path = parent  # an extension without its value says only that there was one
        elif not elements.is_required(view.type, path) and _left(container, parent, name, cut):
            return path
        else:
            path = parent
    return None


def standing_on(view: ResourceView, elements: Elements) -> tuple[ReferenceAt, ...]:
    """Give the references of a record that it may not outlive: where what they lead to is withheld, the record may have
    to go as well, and so what points at it. The lines of a claim hang together."""
    if view.type in NUMBERED_TYPES:
        return view.references
    every = frozenset(found.at for found in view.references)
    return tuple(found for found in view.references if removable(view, found.at, elements, every) is None)


def _left(container: Mapping[str, Any], at: str, name: str, cut: Collection[str]) -> bool:
    """Say whether a structure holds anything but one member and what is cut already."""
    return any(other != name and f"{at}/{escape(other)}" not in cut for other in container)


def _owner(view: ResourceView, path: str) -> bool:
    """Say whether this is whose a Binary is: it does not go without its owner."""
    return view.type == "Binary" and path == "/securityContext"


def _at(tree: Any, pointer: str) -> Any:  # noqa: ANN401  JSON
    value = tree
    for step in segments(pointer):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value
