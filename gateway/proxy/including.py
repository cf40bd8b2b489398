"""What a page's includes bring beyond what the upstream brought: `:iterate`, and all of them where it does not include.

Rules of this file
1. Followed from released forms alone, forward by id and backward by a search; each record found is judged like any
   other (leaks.md L015).
2. What came stays only where an include of the search leads to it from what is released: another record that names it
   does not keep it, for without the withheld match that brought it, it would not be here (L015).
3. A limit of rounds, by form; a page that includes more records than the limit is refused, by what is released.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from gateway.decision.judge import Judgement
from gateway.decision.model import Verdict
from gateway.errors import UpstreamFault
from gateway.fhir import strict
from gateway.fhir.bundle import Document, Entry
from gateway.fhir.references import Local
from gateway.fhir.search_plan import Include, SearchPlan
from gateway.fhir.search_predicates import Condition, touches
from gateway.fhir.view import ResourceView
from gateway.proxy.capability import NOT_SERVED
from gateway.proxy.context import next_of, searchset
from gateway.proxy.matches import document_of, locals_at, moved
from gateway.proxy.upstream import NotThere
from gateway.proxy.walking import Walker, too_many
from gateway.release.compose import released_text

ROUNDS: Final = 4
MOST_INCLUDED: Final = 1000
_BESIDE: Final = 1_000_000  # where what is brought stands: beyond all that upstream gave
_TOGETHER: Final = 20  # ids in one search
_MOST_PAGES: Final = 200

Name = tuple[str, str | None]


class Includer:
    """Brings the includes of one page."""

    def __init__(self, walker: Walker, plan: SearchPlan, *, bare: bool) -> None:
        self.walker, self.plan, self.bare = walker, plan, bare
        self.asked = walker.asked

    async def bring(self, shown: Iterable[Entry], included: Mapping[Name, Entry]) -> tuple[Document, Judgement]:
        """Give the page with all that its includes bring, judged as one. Raises UpstreamFault, Unavailable, and
        BadRequest by rule 3."""
        entries = {_name(entry): entry for entry in (*shown, *included.values())}
        tried: set[Local] = set()
        document = _in_order(entries)
        judgement = await self.walker.judged(document)
        for turn in range(ROUNDS):
            found = await self._found(document, judgement, tried, first=turn == 0)
            new = {name: view for name, view in found.items() if name not in entries}
            if not new:
                break
            for name, view in new.items():
                at = f"/entry/{_BESIDE + len(entries)}"
                entries[name] = moved(Entry(at=at, view=view, mode="include"), "include", at)
            self.walker.context.add(new.values())
            document = _in_order(entries)
            judgement = await self.walker.judged(document)
            if _released(document, judgement) > MOST_INCLUDED:
                raise too_many()
        return await self._led_to(document, judgement)

    async def _led_to(self, document: Document, judgement: Judgement) -> tuple[Document, Judgement]:
        """Give the page without released records that no include leads to."""
        listed = document.bundle.entries if document.bundle else ()
        released = [
            entry
            for entry in listed
            if entry.view is not None and judgement.decision(entry.view.at).verdict is not Verdict.WITHHELD
        ]
        reached = {_name(entry) for entry in released if entry.mode == "match"}
        grown = True
        while grown:
            new = {name for include in self.plan.includes for name in self._led(include, released, reached, judgement)}
            grown = not new <= reached
            reached |= new
        lost = {_name(entry) for entry in released} - reached
        if not lost:
            return document, judgement
        kept = document_of(entry for entry in listed if _name(entry) not in lost)
        return kept, await self.walker.judged(kept)

    def _led(
        self, include: Include, released: Iterable[Entry], reached: Collection[Name], judgement: Judgement
    ) -> Iterator[Name]:
        """Give what one include leads to from what is reached: forward what that names, backward what names that."""
        here = [one for one in released if _name(one) in reached and (include.again or one.mode == "match")]
        forward = here if not include.reverse else [one for one in released if one.mode == "include"]
        backward = {_name(one) for one in here if one.view is not None and include.target in {None, one.view.type}}
        for entry in forward:
            if entry.view is None or entry.view.type != include.source:
                continue
            tree = self._tree(entry.view, judgement, include)
            named = {(one.type, one.id) for path in include.paths for one in locals_at(tree, path, self.asked)}
            if include.reverse:
                yield from (_name(entry) for one in named if one in backward)
            else:
                yield from (one for one in named if include.target in {None, one[0]})

    async def _found(
        self, document: Document, judgement: Judgement, tried: set[Local], *, first: bool
    ) -> dict[Name, ResourceView]:
        wanted: dict[str, set[str]] = {}
        found: dict[Name, ResourceView] = {}
        for include in self.plan.includes:
            if not (include.again or (self.bare and first)):
                continue
            released = [
                (entry, self._tree(entry.view, judgement, include))
                for entry in (document.bundle.entries if document.bundle else ())
                if entry.view is not None and (include.again or entry.mode == "match")
                if judgement.decision(entry.view.at).verdict is not Verdict.WITHHELD
            ]
            if include.reverse:
                found |= await self._naming(include, released)
                continue
            for entry, tree in released:
                if entry.view is not None and entry.view.type == include.source:
                    for target in (one for path in include.paths for one in locals_at(tree, path, self.asked)):
                        wanted_type = include.target in {None, target.type} and target.type not in NOT_SERVED
                        if wanted_type and target not in tried:
                            tried.add(target)
                            wanted.setdefault(target.type, set()).add(target.id)
        for name, view in (await self.walker.context.take(wanted)).items():
            found[name] = view
        return found

    def _tree(self, view: ResourceView | None, judgement: Judgement, include: Include) -> Mapping[str, Any]:
        if view is None:
            return {}
        condition = Condition(name="", kind="reference", paths=include.paths, values=())
        if touches(condition, [edit.path for edit in judgement.edits[view.at]]):
            text = released_text(view, judgement)
            tree: Mapping[str, Any] = {} if text is None else strict.decode(text)
            return tree
        return view.tree

    async def _naming(
        self, include: Include, released: Iterable[tuple[Entry, Mapping[str, Any]]]
    ) -> dict[Name, ResourceView]:
        """Give the records of a type that name what is released, as upstream has them."""
        offers = self.walker.door.offers(self.asked.caller.participant.type)
        what = f"{include.source}:{include.parameter}"
        names = [
            f"{entry.view.type}/{entry.view.id}"
            for entry, _ in released
            if entry.view is not None
            and include.target in {None, entry.view.type}
            and (offer := offers.of(entry.view.type)) is not None
            and what in offer.revincludes
        ]
        found: dict[Name, ResourceView] = {}
        for start in range(0, len(names), _TOGETHER):
            value = ",".join(names[start : start + _TOGETHER])
            found |= await self._walked(include.source, include.parameter, value)
        return found

    async def _walked(self, type_: str, name: str, value: str) -> dict[Name, ResourceView]:
        door, found = self.walker.door, dict[Name, ResourceView]()
        position = f"/{type_}"
        try:
            held = await door.upstream.search(type_, [(name, value), ("_count", "200")])
        except NotThere:
            if await door.surface.abilities.lacks(type_):
                return found
            raise
        for _ in range(_MOST_PAGES):
            bundle = searchset(held, self.asked.json_limits)
            for entry in bundle.entries:
                if entry.view is not None and entry.view.type == type_ and entry.view.id and not entry.unread:
                    found[type_, entry.view.id] = entry.view
            following = next_of(bundle, door, position)
            if following is None:
                return found
            position = following
            held = await door.upstream.page(position)
        raise UpstreamFault(why="the pages of a search have no end")


def _in_order(entries: Mapping[Name, Entry]) -> Document:
    """Give the matches as they come, then what is included by type and id: a server's order of these depends on what
    else it has (leaks.md L015)."""
    matches = [entry for entry in entries.values() if entry.mode == "match"]
    included = sorted((name for name, entry in entries.items() if entry.mode != "match"), key=str)
    return document_of([*matches, *(entries[name] for name in included)])


def _released(document: Document, judgement: Judgement) -> int:
    entries = document.bundle.entries if document.bundle else ()
    return sum(
        entry.mode == "include"
        and entry.view is not None
        and judgement.decision(entry.view.at).verdict is not Verdict.WITHHELD
        for entry in entries
    )


def _name(entry: Entry) -> Name:
    return (entry.view.type, entry.view.id) if entry.view is not None else ("", None)
