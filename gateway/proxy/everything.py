"""Which searches stand for a search of all types, of a compartment, or of everything about a patient or an encounter.

Rules of this file
1. Composed of searches of one type each: the upstream is never asked for everything, so nothing can come by another
   way (leaks.md L043, L048).
2. What is not of a patient (practitioners, places, drugs) comes along only where a released record names it (L015).
3. A patient that is not visible answers as one that never was, whatever else is known of them (L048, L069).
4. What is included beside a row is what a search of the shown ids brings: by released matches alone (L015).
"""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from gateway.decision.model import Exchange
from gateway.errors import BadRequest, NotSupported
from gateway.fhir.interaction import Interaction, Kind
from gateway.fhir.query import Parameter, malformed, too_often
from gateway.fhir.references import Local, parse, parse_value
from gateway.fhir.search_values import read_value
from gateway.fhir.view import read_resource
from gateway.proxy.asked import Asked, Prepared
from gateway.proxy.capability import NOT_SERVED
from gateway.proxy.reading import read
from gateway.proxy.searching import admitted, search
from gateway.proxy.uniting import Part, Walked, Whole, every, page_size, united, whole_of
from gateway.release.compose import ReleasedEntry
from gateway.release.uniting import name_of, read_page

USUAL: Final = 50
MOST: Final = 200
EVERYTHING: Final = 1000
"""Matches on a page of $everything where the client names no number, and the most it may name."""

_MOST_TYPES: Final = 20
_TOGETHER: Final = 50  # ids in one search
_IDS: Final = 50  # that a client's search may name
_BRINGING: Final = frozenset({"_include", "_revinclude"})
# The parameter of a type that says when care was given, where it is not `date`; R4 Patient-everything `start`, `end`.
_CARE_DATES: Final = {
    "Claim": "created",
    "Communication": "sent",
    "Condition": "onset-date",
    "ExplanationOfBenefit": "created",
    "ImagingStudy": "started",
    "Media": "created",
    "MedicationAdministration": "effective-time",
    "MedicationDispense": "whenhandedover",
    "MedicationRequest": "authoredon",
    "MedicationStatement": "effective",
    "QuestionnaireResponse": "authored",
    "ServiceRequest": "authored",
    "Specimen": "collected",
}
_AT_ONCE: Final = 8  # parameters that a server which states none is tried with


def system_search(asked: Asked, interaction: Interaction) -> Whole:
    """Give the searches behind `?_type=A,B` (R4 http.html 3.1.0.9). Raises NotSupported, BadRequest by form alone."""
    count, parameters = page_size(interaction.parameters, USUAL, MOST)
    types = _types(asked, parameters)
    if not types:
        raise NotSupported("a search of all types needs `_type`", status=400)
    rest = _of_each(each for each in parameters if each.name != "_type")
    for type_ in types:
        _check_served(type_)
    return _row_of(asked, interaction, [Part(type_, rest) for type_ in types], "", count)


def compartment_search(asked: Asked, interaction: Interaction) -> Whole:
    """Give the searches behind `Patient/1/Observation` (R4 search.html 3.1.1.5.12). Raises by form alone."""
    owner, type_ = Local(interaction.compartment or "", interaction.id or ""), interaction.type or ""
    _check_served(type_)
    count, parameters = page_size(interaction.parameters, USUAL, MOST)
    parts = _belonging(asked, owner, type_, _of_each(parameters))
    if not parts:
        raise NotSupported("this type is not of this compartment", status=400)
    return _row_of(asked, interaction, parts, f"{owner.type}/{owner.id}/{type_}", count)


def _row_of(asked: Asked, interaction: Interaction, parts: list[Part], path: str, count: int) -> Whole:
    """Give the row with its order. Raises NotSupported, BadRequest for an order that not all types have alike."""
    whole = whole_of(asked, interaction, parts, path, count)
    sort = tuple(each for each in interaction.parameters if each.base == "_sort")
    brought(asked, parts, interaction.parameters)
    if not sort:
        return whole
    keys = {
        part.type: admitted(
            asked, Interaction(Kind.SEARCH, part.type, parameters=(Parameter("_id", "x"), *sort))
        ).plan.sort
        for part in parts
    }
    if len({tuple(key.kind for key in listed) for listed in keys.values()}) > 1:
        raise NotSupported("the value of `_sort` is not supported here", status=400)
    return msgspec.structs.replace(whole, sort=keys)


def brought(asked: Asked, parts: Iterable[Part], parameters: Iterable[Parameter]) -> dict[str, tuple[Parameter, ...]]:
    """Give the includes that each type of a row takes. Raises NotSupported, BadRequest for one that none takes."""
    found: dict[str, tuple[Parameter, ...]] = {}
    for include in (each for each in parameters if each.base in _BRINGING):
        refused: NotSupported | BadRequest | None = None
        taken = False
        for type_ in dict.fromkeys(part.type for part in parts):
            more = (*found.get(type_, ()), include)
            try:
                admitted(asked, Interaction(Kind.SEARCH, type_, parameters=(Parameter("_id", "x"), *more)))
            except (NotSupported, BadRequest) as wrong:
                refused = wrong
            else:
                found[type_], taken = more, True
        if not taken and refused is not None:
            raise refused
    return found


def everything(asked: Asked, interaction: Interaction) -> Whole:
    """Give the searches behind `$everything` of a patient or an encounter. Raises by form alone."""
    owner = Local(interaction.type or "", interaction.id or "")
    count, parameters = page_size(interaction.parameters, EVERYTHING, EVERYTHING)
    named = _types(asked, parameters)
    since = [Parameter("_lastUpdated", f"ge{each.value}") for each in parameters if each.name == "_since"]
    span = _span(parameters)
    wanted = named or (owner.type, *asked.door.surface.projector.reading.compartment(owner.type))
    parts: list[Part] = []
    for type_ in dict.fromkeys(wanted):
        if type_ == owner.type:
            parts.append(Part(type_, (Parameter("_id", owner.id), *since)))
        elif type_ not in NOT_SERVED:
            parts += _belonging(asked, owner, type_, (*since, *_during(asked, type_, span)))
    return whole_of(asked, interaction, parts, f"{owner.type}/{owner.id}/$everything", count)


async def row(asked: Asked, whole: Whole, exchange: Exchange) -> Prepared:
    """Prepare a page of a search of all types or of a compartment."""
    wanted = brought(asked, whole.parts, whole.said)
    if not wanted:
        return await united(asked, await _possible(asked, whole), exchange)

    async def beside(walked: Walked, shown: list[ReleasedEntry], exchange: Exchange) -> list[ReleasedEntry]:
        found: dict[str, ReleasedEntry] = {}
        for type_, includes in wanted.items():
            ids = [
                name_of(one.resource).partition("/")[2]
                for one in shown
                if name_of(one.resource).startswith(f"{type_}/")
            ]
            for start in range(0, len(ids), _IDS):
                named = Parameter("_id", ",".join(ids[start : start + _IDS]))
                parameters = (named, *includes, Parameter("_count", str(_IDS)))
                page = admitted(asked, Interaction(Kind.SEARCH, type_, parameters=parameters))
                prepared = await search(asked, page, exchange)
                walked.note(prepared)
                entries = read_page(prepared.released).entries
                found |= {name_of(one.resource): one for one in entries if one.mode == "include"}
        there = {name_of(one.resource) for one in shown}
        return [found[name] for name in sorted(found) if name not in there]

    return await united(asked, await _possible(asked, whole), exchange, beside)


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
    """Give the searches of a row without those that the upstream does not state, or take: it has none of those
    records."""
    abilities = asked.door.surface.abilities
    known, turns = await abilities.searches(), asyncio.Semaphore(_AT_ONCE)

    async def fitting(part: Part) -> Part | None:
        if part.by == "":
            return part if not known or part.type in known else None
        async with turns:
            for one in (part, *_otherwise(asked, part)):
                value = next(each.value for each in one.parameters if each.name == one.by)
                if await abilities.takes(one.type, one.by, value):
                    return one
        return None

    found = await asyncio.gather(*map(fitting, parts))
    return tuple(part for part in found if part is not None)


def _otherwise(asked: Asked, part: Part) -> Iterator[Part]:
    """Give a search for what belongs to an owner by the other names of its parameter."""
    table = asked.door.whole_offers.table
    for other in table.namesakes(part.type, part.by, part.owner.type) if part.owner is not None else ():
        renamed = tuple(each._replace(name=other) if each.name == part.by else each for each in part.parameters)
        if _is_offered(asked, part.type, next(each for each in renamed if each.name == other)):
            yield msgspec.structs.replace(part, parameters=renamed, by=other)


async def _possible(asked: Asked, whole: Whole) -> Whole:
    return msgspec.structs.replace(whole, parts=await possible(asked, whole.parts))


async def _named_beside(asked: Asked, shown: Iterable[ReleasedEntry], named: frozenset[str]) -> list[Part]:
    """Give the searches, by id, of what the released records of a page name and is of no patient."""
    known = await asked.door.surface.abilities.searches()
    types = (asked.door.policy.no_patient_types | {"Patient"}) - NOT_SERVED
    types = types & known.keys() if known else types
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
    """Give what each search of a row is asked with; order and includes are made of the whole."""
    return tuple(each for each in parameters if each.name != "_cursor" and each.base not in {*_BRINGING, "_sort"})


def _span(parameters: Iterable[Parameter]) -> tuple[str, ...]:
    """Give the bounds of the dates of care that are asked for. Raises BadRequest."""
    given = [each for each in parameters if each.name in {"start", "end"}]
    bounds = tuple(("ge" if each.name == "start" else "le") + each.value for each in given)
    for each, bound in zip(given, bounds, strict=True):
        if read_value("date", bound) is None or not each.value[:1].isdigit():
            raise malformed(each)
    if len({each.name for each in given}) < len(given):
        raise too_often(given[0])
    return bounds


def _during(asked: Asked, type_: str, span: tuple[str, ...]) -> tuple[Parameter, ...]:
    """Give the bounds for a type, by when its care was given; none for one that does not say so in one parameter."""
    offer = asked.door.offers(asked.caller.participant.type).of(type_)
    name = _CARE_DATES.get(type_, "date")
    known = offer.parameters.get(name) if offer is not None and span else None
    return tuple(Parameter(name, bound) for bound in span) if known is not None and known.kind == "date" else ()


def _check_served(type_: str) -> None:
    if type_ in NOT_SERVED:
        raise NotSupported("this type is not served here")
