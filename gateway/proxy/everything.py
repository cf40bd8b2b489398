"""Which searches stand for a search of all types, of a compartment, or of everything about a patient or an encounter.

Rules of this file
1. Composed of searches of one type each: the upstream is never asked for everything, so nothing can come by another
   way (leaks.md L043, L048).
2. What is not of a patient (practitioners, places, drugs) comes along only where a released record names it (L015).
3. A patient that is not visible answers as one that never was, whatever else is known of them (L048, L069).
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.decision.model import Exchange
from gateway.errors import BadRequest, NotSupported
from gateway.fhir.interaction import Interaction, Kind
from gateway.fhir.query import Parameter, unsupported
from gateway.fhir.references import Local, parse, parse_value
from gateway.fhir.view import read_resource
from gateway.proxy.asked import Asked, Prepared
from gateway.proxy.capability import NOT_SERVED
from gateway.proxy.reading import read
from gateway.proxy.searching import admitted
from gateway.proxy.uniting import Part, Walked, Whole, every, page_size, united, whole_of
from gateway.release.compose import ReleasedEntry
from gateway.release.uniting import name_of

USUAL: Final = 50
MOST: Final = 200
EVERYTHING: Final = 1000
"""Matches on a page of $everything where the client names no number, and the most it may name."""

_MOST_TYPES: Final = 20
_TOGETHER: Final = 50  # ids in one search
# They order or bring along across one search; over several they would mean something else.
_OF_ONE_SEARCH: Final = frozenset({"_include", "_revinclude", "_sort"})


def system_search(asked: Asked, interaction: Interaction) -> Whole:
    """Give the searches behind `?_type=A,B` (R4 http.html 3.1.0.9). Raises NotSupported, BadRequest by form alone."""
    count, parameters = page_size(interaction.parameters, USUAL, MOST)
    types = _types(asked, parameters)
    if not types:
        raise NotSupported("a search of all types needs `_type`", status=400)
    rest = _of_each(each for each in parameters if each.name != "_type")
    for type_ in types:
        _check_served(type_)
    return whole_of(asked, interaction, [Part(type_, rest) for type_ in types], "", count)


def compartment_search(asked: Asked, interaction: Interaction) -> Whole:
    """Give the searches behind `Patient/1/Observation` (R4 search.html 3.1.1.5.12). Raises by form alone."""
    owner, type_ = Local(interaction.compartment or "", interaction.id or ""), interaction.type or ""
    _check_served(type_)
    count, parameters = page_size(interaction.parameters, USUAL, MOST)
    parts = _belonging(asked, owner, type_, _of_each(parameters))
    if not parts:
        raise NotSupported("this type is not of this compartment", status=400)
    return whole_of(asked, interaction, parts, f"{owner.type}/{owner.id}/{type_}", count)


def everything(asked: Asked, interaction: Interaction) -> Whole:
    """Give the searches behind `$everything` of a patient or an encounter. Raises by form alone."""
    owner = Local(interaction.type or "", interaction.id or "")
    count, parameters = page_size(interaction.parameters, EVERYTHING, EVERYTHING)
    named = _types(asked, parameters)
    since = [Parameter("_lastUpdated", f"ge{each.value}") for each in parameters if each.name == "_since"]
    wanted = named or (owner.type, *asked.door.surface.projector.reading.compartment(owner.type))
    parts: list[Part] = []
    for type_ in dict.fromkeys(wanted):
        if type_ == owner.type:
            parts.append(Part(type_, (Parameter("_id", owner.id), *since)))
        elif type_ not in NOT_SERVED:
            parts += _belonging(asked, owner, type_, tuple(since))
    return whole_of(asked, interaction, parts, f"{owner.type}/{owner.id}/$everything", count)


async def row(asked: Asked, whole: Whole, exchange: Exchange) -> Prepared:
    """Prepare a page of a search of all types or of a compartment."""
    return await united(asked, await _possible(asked, whole), exchange)


async def everything_page(asked: Asked, interaction: Interaction, whole: Whole, exchange: Exchange) -> Prepared:
    """Prepare a page of $everything, with what its records name beside them; by rule 3 where the owner is hidden."""
    owner = await read(asked, interaction.type or "", interaction.id or "", exchange)
    if owner.released.status != 200:
        return owner
    named = frozenset(_types(asked, whole.said))

    async def beside(walked: Walked, shown: list[ReleasedEntry], exchange: Exchange) -> list[ReleasedEntry]:
        parts = await _named_beside(asked, shown, named)
        brought = await every(asked, parts, exchange)
        for page in brought.pages:
            walked.note(Prepared(page, brought.revisions))
        return [msgspec.structs.replace(entry, mode="include") for entry, _ in brought.matches]

    return await united(asked, await _possible(asked, whole), exchange, beside)


async def possible(asked: Asked, parts: Iterable[Part]) -> tuple[Part, ...]:
    """Give the searches of a row without those that the upstream does not state: it has none of those records."""
    known = await asked.door.surface.abilities.searches()
    return tuple(part for part in parts if part.type in known and (part.by == "" or part.by in known[part.type]))


async def _possible(asked: Asked, whole: Whole) -> Whole:
    return msgspec.structs.replace(whole, parts=await possible(asked, whole.parts))


async def _named_beside(asked: Asked, shown: Iterable[ReleasedEntry], named: frozenset[str]) -> list[Part]:
    """Give the searches, by id, of what the released records of a page name and is of no patient."""
    known = await asked.door.surface.abilities.searches()
    types = (asked.door.policy.no_patient_types | {"Patient"}) & known.keys() - NOT_SERVED
    types = types & named if named else types
    here = list(shown)
    there = {name_of(entry.resource) for entry in here}
    wanted: dict[str, dict[str, None]] = {}
    for entry in here:
        for found in read_resource(entry.resource).references:
            target = parse(found.reference, asked.door.own) if found.reference else None
            if isinstance(target, Local) and target.type in types and target.text not in there:
                wanted.setdefault(target.type, {})[target.id] = None
    batches = (
        (type_, list(ids)[start : start + _TOGETHER])
        for type_, ids in sorted(wanted.items())
        for start in range(0, len(ids), _TOGETHER)
    )
    return [Part(type_, (Parameter("_id", ",".join(ids)),)) for type_, ids in batches]


def owned_by(asked: Asked, patient: str, type_: str) -> list[Part]:
    """Give the searches that find a patient's records of a type, `patient` as a client names one. Raises BadRequest."""
    owner = parse_value(patient, "Patient", asked.door.own)
    if owner is None:
        raise BadRequest("the value of `patient` is not of a form the gateway reads")
    if type_ == "Patient":
        return [Part(type_, (Parameter("_id", owner.id),))]
    return _belonging(asked, owner, type_, ())


def _belonging(asked: Asked, owner: Local, type_: str, rest: tuple[Parameter, ...]) -> list[Part]:
    """Give the searches by which records of a type belong to an owner: one for each parameter of the compartment that
    this class of callers is offered and that reads another element than those before it."""
    listed = asked.door.surface.projector.reading.compartment(owner.type).get(type_, {})
    parts: list[Part] = []
    earlier: tuple[str, ...] = ()
    for name, paths in sorted(listed.items(), key=lambda one: (one[0] not in {"patient", "subject"}, one[0])):
        anchor = Parameter(name, owner.text)
        if set(paths) <= set(earlier) or not _is_offered(asked, type_, anchor):
            continue
        parts.append(Part(type_, (anchor, *rest), owner, earlier, name))
        earlier = (*earlier, *paths)
    return parts


def _is_offered(asked: Asked, type_: str, anchor: Parameter) -> bool:
    try:
        admitted(asked, Interaction(Kind.SEARCH, type_, parameters=(anchor,)))
    except (NotSupported, BadRequest):
        return False
    return True


def _types(asked: Asked, parameters: Iterable[Parameter]) -> tuple[str, ...]:
    """Give the types that `_type` names. Raises BadRequest for more than one `_type` and for what is no type."""
    given = [each.value.split(",") for each in parameters if each.name == "_type"]
    known = asked.door.tools.elements.resources
    if len(given) > 1 or any(len(one) > _MOST_TYPES or not set(one) <= known for one in given):
        raise BadRequest("the value of `_type` is not of a form the gateway reads")
    return tuple(dict.fromkeys(given[0])) if given else ()


def _of_each(parameters: Iterable[Parameter]) -> tuple[Parameter, ...]:
    found = tuple(each for each in parameters if each.name != "_cursor")
    for each in found:
        if each.base in _OF_ONE_SEARCH:
            raise unsupported(each)
    return found


def _check_served(type_: str) -> None:
    if type_ in NOT_SERVED:
        raise NotSupported("this type is not served here")
