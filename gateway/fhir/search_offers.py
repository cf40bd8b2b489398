"""Which search parameters and includes are offered for each type: R4's own, of a short list of names, and no other.

Rules of this file
1. Fixed at start-up by policy and the class of callers, never by data (leaks.md L012, L016).
2. Where R4's table does not say which element a parameter reads, it is not offered: whether that element may be
   withheld cannot be told.
3. Records of patients are not reached by an include from records of no patient: such a search has no anchor.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

from gateway.fhir.elements import Elements, Parameter

_ALWAYS: Final = ("_id", "_lastUpdated", "identifier")
_OF_PATIENTS: Final = (*_ALWAYS, "patient", "subject", "encounter", "code", "category", "date", "status")
_PATIENT: Final = (*_ALWAYS, "name", "family", "given", "birthdate", "gender")
_NO_PATIENT: Final = (*_ALWAYS, "name", "family", "given", "code", "status", "organization", "practitioner")
_NO_ENDPOINT: Final = frozenset({"Parameters"})

NAMED: Final[Mapping[str, str]] = {
    "patient": "Patient",
    "subject": "Patient",
    "encounter": "Encounter",
    "organization": "Organization",
    "practitioner": "Practitioner",
}
"""The type that the value of a reference parameter names."""


class Offer(msgspec.Struct, frozen=True):
    """What one type may be searched by. `parameters` by name; `includes` by `Type:name` with the types they may point
    at (none: any); `revincludes` by `Type:name`. `anchored`: its records are about patients."""

    type: str
    anchored: bool
    parameters: Mapping[str, Parameter]
    includes: Mapping[str, tuple[Parameter, frozenset[str]]]
    revincludes: Mapping[str, Parameter]


class Offers:
    """The offers of all types of R4. Immutable; one for each class of callers."""

    def __init__(
        self,
        elements: Elements,
        *,
        no_patient_types: frozenset[str],
        refused: Collection[tuple[str, str]] = frozenset(),
    ) -> None:
        """Take R4's table, the types that policy says are about no patient, and the (type, parameter) that are not
        offered to this class of callers: see `resting_on`."""
        references = {
            (source, name): (found, _targets(elements, source, found))
            for source in sorted(elements.resources)
            for name in elements.parameters(source)
            if (source, name) not in refused and (found := _reference(elements, source, name)) is not None
        }
        self._offers = {
            type_: Offer(
                type_,
                type_ not in no_patient_types,
                dict(_parameters(elements, type_, _names(type_, no_patient_types), refused)),
                _includes(type_, references, no_patient_types),
                _revincludes(type_, references, no_patient_types),
            )
            for type_ in elements.resources - _NO_ENDPOINT
        }

    def of(self, type_: str) -> Offer | None:
        """Give the offer of a type, None where R4 has no such type."""
        return self._offers.get(type_)

    def describe(self) -> tuple[Offer, ...]:
        """Give all offers in order of their types: what the CapabilityStatement says."""
        return tuple(self._offers[type_] for type_ in sorted(self._offers))


def resting_on(removable: Mapping[str, Collection[str]], elements: Elements) -> frozenset[tuple[str, str]]:
    """Give the (type, parameter) that read an element of which parts may be withheld alone, for `refused` (L016).

    `removable` are names of a type's own elements, by type; `*` is every element.
    """
    return frozenset(
        (type_, name)
        for type_, withheld in removable.items()
        for name, found in _all_parameters(elements, type_)
        if any(_speaks_of(element, path.partition(".")[0]) for element in withheld for path in found.elements)
    )


def _speaks_of(element: str, first: str) -> bool:
    """Say whether an element name is that of a path's first step, as a choice too (`effectiveDateTime`)."""
    return element in {"*", first} or (element.startswith(first) and not element[len(first)].islower())


def _all_parameters(elements: Elements, type_: str) -> Iterable[tuple[str, Parameter]]:
    yield from elements.parameters(type_).items()
    for name in _ALWAYS:
        if name not in elements.parameters(type_) and (found := elements.parameter(type_, name)) is not None:
            yield name, found


def _names(type_: str, no_patient_types: frozenset[str]) -> tuple[str, ...]:
    if type_ == "Patient":
        return _PATIENT
    return _NO_PATIENT if type_ in no_patient_types else _OF_PATIENTS


def _parameters(
    elements: Elements, type_: str, names: Iterable[str], refused: Collection[tuple[str, str]]
) -> Iterable[tuple[str, Parameter]]:
    for name in names:
        found = _reference(elements, type_, name) if name in NAMED else elements.parameter(type_, name)
        if found is None or (type_, name) in refused or not (found.elements or name == "_id"):
            continue
        if name not in NAMED or _may_point_at(NAMED[name], _targets(elements, type_, found)):
            yield name, found


def _includes(
    type_: str,
    references: Mapping[tuple[str, str], tuple[Parameter, frozenset[str]]],
    no_patient_types: frozenset[str],
) -> Mapping[str, tuple[Parameter, frozenset[str]]]:
    return {
        f"{source}:{name}": (found, targets)
        for (source, name), (found, targets) in references.items()
        if source == type_ and (type_ not in no_patient_types or (targets and targets <= no_patient_types))
    }


def _revincludes(
    type_: str,
    references: Mapping[tuple[str, str], tuple[Parameter, frozenset[str]]],
    no_patient_types: frozenset[str],
) -> Mapping[str, Parameter]:
    return {
        f"{source}:{name}": found
        for (source, name), (found, targets) in references.items()
        if _may_point_at(type_, targets) and (type_ not in no_patient_types or source in no_patient_types)
    }


def _may_point_at(type_: str, targets: frozenset[str]) -> bool:
    return not targets or type_ in targets


def _reference(elements: Elements, type_: str, name: str) -> Parameter | None:
    """Give a parameter whose every element is a Reference, each by its JSON name (`medicationReference`); None for
    others, and for one whose elements are not known."""
    found = elements.parameter(type_, name)
    if found is None or found.kind != "reference" or not found.elements:
        return None
    paths = []
    for path in found.elements:
        spelled = [each for each in (path, f"{path}Reference") if _is_reference(elements, type_, each)]
        if not spelled:
            return None
        paths += spelled
    return msgspec.structs.replace(found, elements=tuple(paths))


def _is_reference(elements: Elements, type_: str, path: str) -> bool:
    element = elements.at(type_, "/" + path.replace(".", "/"))
    return element is not None and element.types == ("Reference",)


def _targets(elements: Elements, type_: str, found: Parameter) -> frozenset[str]:
    """Give the types a reference parameter may point at, none for any: by R4's parameter and by its element together,
    because R4's parameter says by mistake that Condition.subject is an Organization."""
    if not found.targets:
        return frozenset()
    pointed = [elements.reference_targets(type_, "/" + path.replace(".", "/")) for path in found.elements]
    return frozenset(found.targets).union(*(types for types in pointed if types))
