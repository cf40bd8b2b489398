"""Every interaction that reads, with what prepares its answer: the same alone and as an entry of a batch (L043, L044).

Rules of this file
1. All that can be refused by form is refused here, before the upstream is asked.
2. What a client asks to see of the records (`_elements`, `_summary`) is parted from what it asks for, and done last, on
   the released answer (L001). A number of matches is counted of what is released (L019).
3. A closed table: an interaction without a line is not supported (L051).
"""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

import msgspec

from gateway.decision.model import Exchange
from gateway.errors import NotSupported
from gateway.fhir.interaction import Interaction, Kind
from gateway.fhir.operations import Given, check_parameters, read_parameters
from gateway.fhir.projection import View, take_view
from gateway.fhir.query import Parameter, build_query, unsupported, unsupported_value
from gateway.proxy import binaries, documents, matching
from gateway.proxy.asked import Asked, Prepared
from gateway.proxy.capability import NOT_SERVED
from gateway.proxy.everything import compartment_search, everything, everything_page, possible, row, system_search
from gateway.proxy.history import history, history_of, vread
from gateway.proxy.latest import latest, latest_of
from gateway.proxy.reading import read
from gateway.proxy.searching import admitted, search
from gateway.proxy.terminology import terminology
from gateway.proxy.uniting import Part, every
from gateway.proxy.validators import Validators
from gateway.release.compose import compose_searchset
from gateway.release.seen import projected, relinked, with_own_versions
from gateway.release.uniting import manifest_of_shown, name_of

Prepare = Callable[[Exchange], Awaitable[Prepared]]

NO_VALIDATORS: Final = Validators()
NOTHING_GIVEN: Final = Given()
_SEARCHES: Final = frozenset({Kind.SEARCH, Kind.SEARCH_SYSTEM, Kind.SEARCH_COMPARTMENT})
_HISTORIES: Final = frozenset({Kind.HISTORY_INSTANCE, Kind.HISTORY_TYPE, Kind.HISTORY_SYSTEM})
_BRINGING: Final = frozenset({"_include", "_revinclude"})
_OF_SEARCHSETS: Final = frozenset({"$everything", "$lastn"})
_ANSWERED: Final = 200


def with_parameters(asked: Asked, interaction: Interaction, body: bytes) -> tuple[Interaction, Given]:
    """Give an operation with the parameters of its body after those of its URL. Raises BadRequest, NotSupported."""
    if interaction.operation is None or not interaction.body:
        return interaction, Given()
    given = read_parameters(interaction.operation, body, asked.json_limits)
    parameters = interaction.parameters + given.parameters
    return msgspec.structs.replace(interaction, parameters=parameters, body=False), given


def prepare_for(
    asked: Asked, interaction: Interaction, given: Given = NOTHING_GIVEN, validators: Validators = NO_VALIDATORS
) -> Prepare:
    """Give what prepares the answer. Raises NotSupported and BadRequest by form alone."""
    if interaction.type in NOT_SERVED:
        raise NotSupported("this type is not served here")
    caller = asked.caller.participant.type
    asked.door.surface.check(interaction, asked.door.policy, caller)
    view, parameters = take_view(interaction.parameters)
    plain = msgspec.structs.replace(interaction, parameters=parameters)
    for one in parameters:
        if one.base in _BRINGING and one.value.partition(":")[0] in NOT_SERVED:
            raise unsupported_value(one)
    if view.said and interaction.kind in _HISTORIES:
        raise unsupported(view.said[0])
    if interaction.operation is not None:
        check_operation(interaction)
    if interaction.kind in _SEARCHES and (view.counting or _counts(plain)):
        return _counting(asked, interaction, plain)
    if view.counting:
        raise NotSupported("the value of `_summary` is not supported here", 400)
    if interaction.type == "Binary" and interaction.kind is Kind.READ:
        binaries.check(interaction)
        return partial(_binary, asked, plain, view, validators)
    return partial(_shaped, asked, plain, view, validators, _inner(asked, plain, given))


def check_operation(interaction: Interaction) -> None:
    """Raise NotSupported for a parameter that the operation does not take."""
    operation = interaction.operation
    if operation is None:
        return
    check_parameters(operation, interaction.parameters)
    if operation.name == "$document":
        documents.check(interaction)


def _inner(asked: Asked, interaction: Interaction, given: Given) -> Prepare:
    """Give what prepares the answer before it is shaped. Raises NotSupported by rule 3."""
    made = _PREPARED.get(interaction.kind)
    if interaction.operation is not None:
        name = interaction.operation.name
        return _OPERATIONS.get(name, _terminology)(asked, interaction, given)
    if made is None:
        raise NotSupported("this is not supported")
    return made(asked, interaction)


def _terminology(asked: Asked, interaction: Interaction, _: Given) -> Prepare:
    if interaction.operation is None or not interaction.operation.terminology:
        raise NotSupported("this operation is not supported")
    return partial(terminology, asked, interaction)


def _match(asked: Asked, interaction: Interaction, given: Given) -> Prepare:
    wanted = matching.match_of(given.resources.get("resource"), interaction.parameters)
    return partial(matching.match, asked, wanted)


_PREPARED: Final[Mapping[Kind, Callable[[Asked, Interaction], Prepare]]] = {
    Kind.READ: lambda asked, one: partial(read, asked, one.type or "", one.id or ""),
    Kind.VREAD: lambda asked, one: partial(vread, asked, one),
    Kind.SEARCH: lambda asked, one: partial(search, asked, admitted(asked, one)),
    Kind.SEARCH_SYSTEM: lambda asked, one: partial(row, asked, system_search(asked, one)),
    Kind.SEARCH_COMPARTMENT: lambda asked, one: partial(row, asked, compartment_search(asked, one)),
    **dict.fromkeys(_HISTORIES, lambda asked, one: partial(history, asked, history_of(asked, one), one)),
}
_OPERATIONS: Final[Mapping[str, Callable[[Asked, Interaction, Given], Prepare]]] = {
    "$everything": lambda asked, one, _: partial(everything_page, asked, one, everything(asked, one)),
    "$lastn": lambda asked, one, _: partial(latest, asked, latest_of(asked, one)),
    "$document": lambda asked, one, _: partial(documents.document, asked, one),
    "$match": _match,
    "$member-match": lambda asked, _, given: partial(
        matching.member_match, asked, matching.member_of(dict(given.resources))
    ),
}


# The last shape ------------------------------------------------------------------------------------------------------
async def _shaped(
    asked: Asked, interaction: Interaction, view: View, validators: Validators, prepare: Prepare, exchange: Exchange
) -> Prepared:
    prepared = await prepare(exchange)
    released = prepared.released
    if released.status != _ANSWERED:
        return prepared
    operation = interaction.operation.name if interaction.operation else ""
    searchset = interaction.kind in _SEARCHES or operation in _OF_SEARCHSETS
    reads = interaction.kind in {Kind.READ, Kind.VREAD}
    opaque = asked.door.surface.opened.history
    if opaque and (searchset or reads):
        released = with_own_versions(released, opaque, searchset=searchset)
    if view.projection is not None:
        released = projected(released, asked.door.surface.projector, view.projection, searchset=searchset)
    if view.said and searchset:
        said = build_query(view.said).decode("ascii")
        released = relinked(released, lambda url: f"{url}{'&' if '?' in url else '?'}{said}")
    if reads:
        released = validators.hold(released, whole=_whole(asked), record=released.body)
    return Prepared(released, prepared.revisions)


async def _binary(
    asked: Asked, interaction: Interaction, view: View, validators: Validators, exchange: Exchange
) -> Prepared:
    prepared, record = await binaries.binary(asked, interaction, exchange)
    if prepared.released.status != _ANSWERED:
        return prepared
    released = prepared.released
    if view.projection is not None:
        released = projected(released, asked.door.surface.projector, view.projection, searchset=False)
    return Prepared(validators.hold(released, whole=_whole(asked), record=record), prepared.revisions)


def _whole(asked: Asked) -> bool:
    """Say whether the caller gets a record whole or not at all."""
    policy = asked.door.policy
    return bool(policy.kinds_of(asked.caller.participant.type) & policy.parts.whole_for)


# Numbers of matches --------------------------------------------------------------------------------------------------
def _counts(interaction: Interaction) -> bool:
    return any(each.name == "_count" and each.value == "0" for each in interaction.parameters)


def _counting(asked: Asked, interaction: Interaction, plain: Interaction) -> Prepare:
    """Give what counts the matches of an anchored search: R4 `_summary=count`, `_count=0`. Raises by form alone."""
    rest = tuple(each for each in plain.parameters if each.name not in {"_count", "_total"})
    counted = msgspec.structs.replace(plain, parameters=rest)
    for one in rest:
        if one.base in {"_include", "_revinclude", "_sort", "_cursor"}:
            raise unsupported(one)
    if plain.type in asked.door.policy.no_patient_types and not any(each.name == "_id" for each in rest):
        raise NotSupported("only searches about patients are counted", 400)
    if plain.kind is Kind.SEARCH:
        admitted(asked, counted)
        parts: tuple[Part, ...] = (Part(plain.type or "", rest),)
        path = plain.type or ""
    else:
        whole = (system_search if plain.kind is Kind.SEARCH_SYSTEM else compartment_search)(asked, counted)
        parts, path = whole.parts, whole.path
    return partial(_count, asked, parts, path, interaction.parameters)


async def _count(
    asked: Asked, parts: tuple[Part, ...], path: str, said: tuple[Parameter, ...], exchange: Exchange
) -> Prepared:
    walked = await every(asked, await possible(asked, parts), exchange)
    address = f"{asked.door.route.public_url}/{path}".rstrip("/")
    url = f"{address}?{build_query(said).decode('ascii')}"
    released = compose_searchset(
        (),
        bundle_id=str(uuid.uuid4()),
        links=[("self", url)],
        total=len(walked.matches),
        headers={},
        manifest=manifest_of_shown(walked.manifests, (name_of(entry.resource) for entry, _ in walked.matches)),
    )
    return Prepared(released, walked.revisions)
