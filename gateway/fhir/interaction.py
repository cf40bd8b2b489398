"""What a request asks for: a closed set of FHIR interactions, and what R4 knows besides and is refused (L043).

Rules of this file
1. Each kind of refusal has one constant text and status, in the table below.
2. An upstream URL is built from the parts given here, never from the client's text.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from gateway.fhir.formats import check_accept, take_formats
from gateway.fhir.operations import Operation
from gateway.fhir.query import Parameter, build_query, parse_query


class Kind(StrEnum):
    """What is offered (names of R4 restful-interaction where it has one)."""

    READ = "read"
    VREAD = "vread"
    HISTORY_INSTANCE = "history-instance"
    HISTORY_TYPE = "history-type"
    HISTORY_SYSTEM = "history-system"
    SEARCH = "search-type"
    SEARCH_SYSTEM = "search-system"
    SEARCH_COMPARTMENT = "search-compartment"
    OPERATION = "operation"
    CAPABILITIES = "capabilities"
    BUNDLE = "bundle"  # a batch or transaction at the base: its body says which
    COLLECTION = "collection"  # a collection or document posted to /Bundle
    MESSAGE = "message"  # a message posted to $process-message
    CREATE = "create"
    UPDATE = "update"
    PATCH = "patch"


class Unoffered(StrEnum):
    """What FHIR R4 knows (http.html, operations.html, bulk data, GraphQL) and the gateway refuses by form."""

    VREAD = "vread"
    HISTORY_INSTANCE = "history-instance"
    HISTORY_TYPE = "history-type"
    HISTORY_SYSTEM = "history-system"
    SEARCH_COMPARTMENT = "search-compartment"
    OPERATION = "operation"
    EXPORT = "export"
    GRAPHQL = "graphql"
    CREATE = "create"
    UPDATE = "update"
    PATCH = "patch"
    DELETE = "delete"
    CONDITIONAL_UPDATE = "conditional-update"
    CONDITIONAL_PATCH = "conditional-patch"
    CONDITIONAL_DELETE = "conditional-delete"
    METHOD = "method"
    PATH = "path"


REFUSALS: Final[Mapping[Unoffered, tuple[int, str]]] = {
    Unoffered.VREAD: (501, "reading a version (vread) is not supported"),
    Unoffered.HISTORY_INSTANCE: (501, "the history of a resource is not supported"),
    Unoffered.HISTORY_TYPE: (501, "the history of a type is not supported"),
    Unoffered.HISTORY_SYSTEM: (501, "the history of the system is not supported"),
    Unoffered.SEARCH_COMPARTMENT: (501, "searching this compartment is not supported"),
    Unoffered.OPERATION: (501, "this operation is not supported"),
    Unoffered.EXPORT: (501, "bulk export is not supported"),
    Unoffered.GRAPHQL: (501, "graphql is not supported"),
    Unoffered.CREATE: (405, "creating a resource is not supported"),
    Unoffered.UPDATE: (405, "updating a resource is not supported"),
    Unoffered.PATCH: (405, "patching a resource is not supported"),
    Unoffered.DELETE: (405, "deleting a resource is not supported"),
    Unoffered.CONDITIONAL_UPDATE: (405, "a conditional update is not supported"),
    Unoffered.CONDITIONAL_PATCH: (405, "a conditional patch is not supported"),
    Unoffered.CONDITIONAL_DELETE: (405, "a conditional delete is not supported"),
    Unoffered.METHOD: (405, "this method is not supported here"),
    Unoffered.PATH: (404, "this path is not of a form the gateway reads"),
}
"""Status and text of every refusal by method and path."""


class Interaction(msgspec.Struct, frozen=True):
    """What is asked. `type` and `id` as far as the kind has them; `parameters` in the client's order, without
    `_format` and `_pretty`; `form`: the body holds more of them, read by `with_form`. `version` is that of a vread,
    `compartment` the owner's type in a search of a compartment (`type` is then what is searched), `native` the Accept
    header of one who wants a Binary's content, None for who wants the record; `body`: its Parameters are to be read;
    those of a patch are a FHIRPath Patch."""

    kind: Kind
    type: str | None = None
    id: str | None = None
    parameters: tuple[Parameter, ...] = ()
    form: bool = False
    version: str | None = None
    compartment: str | None = None
    operation: Operation | None = None
    native: str | None = None
    body: bool = False


class Opened(msgspec.Struct, frozen=True):
    """What a route opens beyond what every route offers: the types whose versions may be read (L046), operations on
    terminology, and what may be written: `create` (everything that is pushed), `update`, `patch`."""

    history: frozenset[str] = frozenset()
    terminology: bool = False
    writes: frozenset[str] = frozenset({"create"})


CLOSED: Final = Opened()
"""A route that opens nothing further."""

WITH_BODY: Final = frozenset({Kind.BUNDLE, Kind.COLLECTION, Kind.MESSAGE, Kind.CREATE, Kind.UPDATE})
"""Kinds that bring a resource, and are a POST where `BY_METHOD` names no other."""

BY_METHOD: Final = {Kind.UPDATE: "PUT", Kind.PATCH: "PATCH"}
MESSAGE: Final = "$process-message"


def with_form(interaction: Interaction, body: bytes) -> Interaction:
    """Give a search by POST with the parameters of its body after those of its URL (R4 http.html 3.1.0.9.1).

    Raises BadRequest and Unacceptable as `parse` does; ValueError where the interaction has no form.
    """
    if not interaction.form:
        raise ValueError("this interaction has no form")
    asked, parameters = take_formats(parse_query(body))
    check_accept(None, asked)
    return msgspec.structs.replace(interaction, parameters=interaction.parameters + parameters, form=False)


def build(interaction: Interaction) -> tuple[str, bytes, bytes]:
    """Give method, path and query that `parse` reads as this interaction: the inverse, in the one canonical spelling.

    A search whose form was read is given as the search by GET that it equals.
    """
    posts = interaction.form or interaction.body or interaction.kind in WITH_BODY
    path = "/" + "/".join(_parts(interaction))
    method = BY_METHOD.get(interaction.kind, "POST" if posts else "GET")
    return method, path.encode("ascii"), build_query(interaction.parameters)


def _parts(asked: Interaction) -> list[str]:
    """Give the segments of an interaction's path."""
    owner = [asked.compartment, asked.id] if asked.compartment else []
    own = [asked.type] if asked.type else []
    own += [asked.id] if asked.id and not owner else []
    history = {Kind.VREAD, Kind.HISTORY_INSTANCE, Kind.HISTORY_TYPE, Kind.HISTORY_SYSTEM}
    named = {Kind.CAPABILITIES: ["metadata"], Kind.MESSAGE: [MESSAGE]}
    last = ["_history"] if asked.kind in history else named.get(asked.kind, [])
    last += [asked.version] if asked.version else [asked.operation.name] if asked.operation else []
    return [part for part in (*owner, *own, *last, *(["_search"] if asked.form else [])) if part]
