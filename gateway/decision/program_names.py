"""Part 2 programs of the directory that a record names by their name alone. Pure. Used to withhold, never to permit.

Rules of this file
1. L092 forbids names for identity: who permits, who is permitted, from whom a record came. This is not that: whoever
   reads the name knows the program, whatever it was meant for, and a name in doubt is withheld (42 CFR 2.12(a)(1)(i)).
2. A name counts without regard to case, spaces and punctuation, one of several words within other words too; one that
   another party of the directory bears says nothing.
3. What is found is told as `by name: id`, which is no participant: no rule takes it for one.
4. A program's NPI without a system counts likewise: where a system is missing, a code matches for deny alone.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from consent_store.identifier_systems import US_NPI
from consent_store.model import Identifier
from gateway.directory.model import Directory
from gateway.fhir.pointer import index, segments
from gateway.fhir.view import ResourceView
from gateway.fhir.walk import ReferenceAt

_OTHERS: Final = re.compile(r"[\W_]+")
_PLACES: Final = frozenset({"HealthcareService", "Location", "Organization"})


class ProgramNames:
    """The names and bare numbers of a directory's programs."""

    def __init__(self, directory: Directory, recipient: str) -> None:
        """Index the directory once. `recipient` is told nothing by its own name."""
        parties = directory.participants.values()
        others = {_plain(party.name) for party in parties if not party.part2_program}
        programs = [party for party in parties if party.part2_program and party.id != recipient]
        self._names = {
            _plain(one.name): f"by name: {one.id}" for one in programs if _plain(one.name) not in {"", *others}
        }
        self._numbers = {
            number.value: f"by number: {one.id}"
            for one in programs
            for number in one.identifiers
            if number.system == US_NPI
        }
        self._phrases: dict[str, list[tuple[str, str]]] = {}  # by their longest word
        for name, told in sorted(self._names.items()):
            if " " in name:
                self._phrases.setdefault(max(name.split(), key=len), []).append((f" {name} ", told))

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._names or self._numbers)

    def of_reference(self, view: ResourceView, found: ReferenceAt, targets: tuple[ResourceView, ...]) -> str | None:
        """Give what a reference names a program by: its display, the name of what it leads to, a bare number."""
        told = self._of(_at(view.tree, found.at).get("display")) or self._number(found.identifier)
        if told is not None:
            return told
        return next((told for one in targets if one.type in _PLACES and (told := self._of_record(one.tree))), None)

    def in_texts(self, view: ResourceView) -> Iterator[tuple[str, str]]:
        """Give the texts of a record that hold the name of a program, each with what it is named by."""
        for text in view.texts if self._phrases else ():
            if (told := self._within(_plain(text.text))) is not None:
                yield text.at, told

    def _of(self, name: object) -> str | None:
        plain = _plain(name)
        return self._names.get(plain) or self._within(plain)

    def _within(self, words: str) -> str | None:
        said = f" {words} "
        keys = sorted(self._phrases.keys() & words.split())
        return next((told for key in keys for phrase, told in self._phrases[key] if phrase in said), None)

    def _of_record(self, tree: Mapping[str, Any]) -> str | None:
        listed = tree.get("alias")
        names = [tree.get("name"), *(listed if isinstance(listed, list) else ())]
        return next((told for name in names if (told := self._of(name))), None)

    def _number(self, number: Identifier | None) -> str | None:
        return self._numbers.get(number.value) if number is not None and number.system is None else None


def _plain(text: object) -> str:
    """A name as lower-case words with single spaces."""
    return _OTHERS.sub(" ", text.casefold()).strip() if isinstance(text, str) else ""


def _at(tree: Any, pointer: str) -> Mapping[str, Any]:  # noqa: ANN401  JSON
    """The object of a record at the pointer of a reference in it."""
    for step in segments(pointer):
        number = index(step) if isinstance(tree, list) else None
        tree = tree[number] if number is not None else tree[step]
    return tree if isinstance(tree, dict) else {}
