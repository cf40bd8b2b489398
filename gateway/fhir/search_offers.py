"""Which of R4's search parameters and includes are offered for each type, and why the others are not.

Rules of this file
1. Fixed at start-up by policy and the class of callers, never by data (leaks.md L012, L016).
2. A parameter is offered where it reads elements that the table names, of kinds that the gateway can hold against the
   released form of a record; one that reads an element with rules of its own, or other records, is not.
3. Records of patients are not reached by an include from records of no patient: such a search has no anchor.
"""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from gateway.fhir.search_parameters import SearchParameter, SearchParameters

_NO_ENDPOINT: Final = frozenset({"Parameters"})
KINDS: Final = frozenset({"token", "reference", "date", "string", "number", "quantity", "uri"})
"""The kinds of parameters that are held against what may be seen (`search_predicates`)."""

NAMED: Final[Mapping[str, str]] = {
    "patient": "Patient",
    "subject": "Patient",
    "encounter": "Encounter",
    "organization": "Organization",
    "practitioner": "Practitioner",
}
"""The type that the value of a reference parameter names here, where it may point at that one."""


class Standing(StrEnum):
    """What becomes of a parameter for a class of callers."""

    SEEN = "held against what may be seen"
    MASKED = "refused: it reads an element that may be withheld alone"
    UNREAD = "refused: it reads no single element, or one that the standard's table does not tell"
    ELSEWHERE = "refused: it is evaluated on other records, or by means that only the server knows"


BEYOND: Final[Mapping[str, Standing]] = {
    "_content": Standing.ELSEWHERE,
    "_filter": Standing.ELSEWHERE,
    "_in": Standing.ELSEWHERE,
    "_list": Standing.ELSEWHERE,
    "_query": Standing.ELSEWHERE,
    "_text": Standing.ELSEWHERE,
    "_contained": Standing.ELSEWHERE,
    "_containedType": Standing.ELSEWHERE,
}
"""Parameters of every search that are never offered (L016)."""


class Offer(msgspec.Struct, frozen=True):
    """What one type may be searched by. `parameters` by name; `includes` by `Type:name` with the types they may point
    at (none: any); `revincludes` by `Type:name`. `anchored`: its records are about patients. `standing` says of every
    parameter of R4 what becomes of it."""

    type: str
    anchored: bool
    parameters: Mapping[str, SearchParameter]
    includes: Mapping[str, tuple[SearchParameter, frozenset[str]]]
    revincludes: Mapping[str, SearchParameter]
    standing: Mapping[str, Standing]


class Offers:
    """The offers of all types of R4. Immutable; one for each class of callers."""

    def __init__(
        self,
        table: SearchParameters,
        *,
        no_patient_types: frozenset[str],
        refused: Collection[tuple[str, str]] = frozenset(),
        unserved: Collection[str] = frozenset(),
    ) -> None:
        """Take R4's table, the types that policy says are about no patient, the (type, parameter) that are not offered
        to this class of callers (see `resting_on`), and the types that nobody searches: not by an include, a chain or
        `_has` either (L041, L042)."""
        self.table = table
        resources = sorted(table.elements.resources - frozenset(unserved))
        references = {
            (source, name): (found, table.targets(source, found))
            for source in resources
            for name, found in table.of(source).items()
            if (source, name) not in refused and table.only_references(source, found)
        }
        self._offers = {}
        for type_ in resources:
            if type_ in _NO_ENDPOINT:
                continue
            standing = dict(_standing(table, type_, refused))
            known = table.of(type_)
            offered = {name: known[name] for name, found in standing.items() if found is Standing.SEEN}
            self._offers[type_] = Offer(
                type_,
                type_ not in no_patient_types,
                offered,
                _includes(type_, references, no_patient_types),
                _revincludes(type_, references, no_patient_types),
                standing,
            )

    def of(self, type_: str) -> Offer | None:
        """Give the offer of a type, None where R4 has no such type or it is not searched."""
        return self._offers.get(type_)

    def named(self, type_: str, name: str) -> frozenset[str]:
        """Give the types that the value of an offered reference parameter may name, none for any."""
        targets = self.table.targets(type_, self._offers[type_].parameters[name])
        named = NAMED.get(name)
        return frozenset({named}) if named and _may_point_at(named, targets) else targets

    def followed(self, type_: str, name: str) -> bool:
        """Say whether an offered parameter is of references alone, so that it can be followed to other records."""
        return self.table.only_references(type_, self._offers[type_].parameters[name])

    def describe(self) -> tuple[Offer, ...]:
        """Give all offers in order of their types: what the CapabilityStatement says."""
        return tuple(self._offers[type_] for type_ in sorted(self._offers))


def resting_on(
    removable: Mapping[str, Collection[str]], table: SearchParameters, meta: Collection[str] = ()
) -> frozenset[tuple[str, str]]:
    """Give the (type, parameter) that read an element of which parts may be withheld alone, for `refused` (L016).

    `removable` are names of a type's own elements, by type; `*` is every element. `meta` are the members of every
    record's `meta` that are withheld.
    """
    lost = {f"meta.{name}" for name in meta}
    return frozenset(
        (type_, name)
        for type_ in table.elements.resources
        for name, found in table.of(type_).items()
        if lost.intersection(found.paths)
        or any(_speaks_of(one, first) for one in removable.get(type_, ()) for first in found.elements)
    )


def _speaks_of(element: str, first: str) -> bool:
    """Say whether an element is that of a first step: the same, `*`, or a choice (`effective[x]`) and one of
    its JSON names, either way round."""
    if element in {"*", first}:
        return True
    long, short = (first, element.removesuffix("[x]")) if len(first) > len(element) else (element, first)
    return long.startswith(short) and long[len(short) :][:1].isupper()


def _standing(
    table: SearchParameters, type_: str, refused: Collection[tuple[str, str]]
) -> Iterable[tuple[str, Standing]]:
    for name, found in sorted(table.of(type_).items()):
        if name in BEYOND:
            yield name, BEYOND[name]
        elif found.kind not in KINDS or not found.paths:
            yield name, Standing.UNREAD
        elif (type_, name) in refused:
            yield name, Standing.MASKED
        else:
            yield name, Standing.SEEN


def _includes(
    type_: str,
    references: Mapping[tuple[str, str], tuple[SearchParameter, frozenset[str]]],
    no_patient_types: frozenset[str],
) -> Mapping[str, tuple[SearchParameter, frozenset[str]]]:
    return {
        f"{source}:{name}": (found, targets)
        for (source, name), (found, targets) in references.items()
        if source == type_ and (type_ not in no_patient_types or (targets and targets <= no_patient_types))
    }


def _revincludes(
    type_: str,
    references: Mapping[tuple[str, str], tuple[SearchParameter, frozenset[str]]],
    no_patient_types: frozenset[str],
) -> Mapping[str, SearchParameter]:
    return {
        f"{source}:{name}": found
        for (source, name), (found, targets) in references.items()
        if _is_followed_back(type_, f"{source}:{name}", targets)
        and (type_ not in no_patient_types or source in no_patient_types)
    }


def _is_followed_back(type_: str, name: str, targets: frozenset[str]) -> bool:
    """Say whether a `_revinclude` of a parameter is offered for a type: it names the type among its targets. One that
    may point at anything is not followed back, but for who made a record (Provenance), which clients ask of any."""
    return type_ in targets or name == "Provenance:target"


def _may_point_at(type_: str, targets: frozenset[str]) -> bool:
    return not targets or type_ in targets
