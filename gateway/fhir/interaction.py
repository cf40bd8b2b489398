"""What a request asks for: one of a closed set of FHIR interactions, or a refusal that names the other one (L043).

Rules of this file
1. The path is split on raw `/` and each segment decoded once; what is not of the closed grammar is refused (L066).
2. Refusals depend on method and path alone. Each kind has one constant text and status, in the table below.
3. No method or path is taken from anywhere else: no override header, no `_method` (L064).
4. An upstream URL is built from the parts given here, never from the client's text.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NoReturn
from urllib.parse import unquote_to_bytes

import msgspec

from gateway.errors import NotSupported
from gateway.fhir.formats import check_accept, check_body, take_formats
from gateway.fhir.query import Parameter, build_query, parse_query, unsupported
from gateway.fhir.references import is_id

MOST_BYTES: Final = 2048


class Kind(StrEnum):
    """What is offered (names of R4 restful-interaction where it has one)."""

    READ = "read"
    SEARCH = "search-type"
    CAPABILITIES = "capabilities"
    BUNDLE = "bundle"  # a batch or transaction at the base: its body says which
    COLLECTION = "collection"  # a collection or document posted to /Bundle


class Unoffered(StrEnum):
    """What FHIR R4 knows (http.html, operations.html, bulk data, GraphQL) and the gateway refuses by form."""

    VREAD = "vread"
    HISTORY_INSTANCE = "history-instance"
    HISTORY_TYPE = "history-type"
    HISTORY_SYSTEM = "history-system"
    SEARCH_SYSTEM = "search-system"
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
    Unoffered.SEARCH_SYSTEM: (501, "searching all types at once is not supported"),
    Unoffered.SEARCH_COMPARTMENT: (501, "searching a compartment is not supported"),
    Unoffered.OPERATION: (501, "operations are not supported"),
    Unoffered.EXPORT: (501, "bulk export is not supported"),
    Unoffered.GRAPHQL: (501, "graphql is not supported"),
    Unoffered.CREATE: (405, "creating a single resource is not supported, only a posted bundle"),
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
    `_format` and `_pretty`; `form`: the body holds more of them, read by `with_form`."""

    kind: Kind
    type: str | None = None
    id: str | None = None
    parameters: tuple[Parameter, ...] = ()
    form: bool = False


class _Place(msgspec.Struct, frozen=True):
    """A path that R4 knows: what each method does there, or `named` for all of them alike."""

    offered: Mapping[str, Kind] = {}
    known: Mapping[str, Unoffered] = {}
    named: Unoffered | None = None
    type: str | None = None
    id: str | None = None
    form: bool = False


_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_WITH_BODY: Final = frozenset({Kind.BUNDLE, Kind.COLLECTION})
_RAW: Final = re.compile(rb"(?:/(?:[A-Za-z0-9._~$*-]|%[0-9A-Fa-f]{2})+)*")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._$*-]{1,100}")
_OPERATION: Final = re.compile(r"\$[A-Za-z][A-Za-z0-9.-]*")
_NO_ENDPOINT: Final = frozenset({"Parameters"})  # R4 parameters.html: it has no RESTful end point


def parse(
    method: str,
    raw_path: bytes,
    query: bytes,
    *,
    types: frozenset[str],
    accept: str | None = None,
    content_type: str | None = None,
) -> Interaction:
    """Give what is asked by `method` at `raw_path`: what follows the route's prefix, percent-encoded as it came, "" or
    "/" for the base. `types` are the resource types of R4 (`Elements.resources`); `accept` and `content_type` are the
    headers, lines joined by commas.

    Raises NotSupported (404, 405 or 501 by REFUSALS; 400 for a parameter where there are none), Unacceptable (406),
    UnsupportedMedia (415), BadRequest (400).
    """
    place = _place(_segments(raw_path), types)
    kind = place.offered.get(method)
    if kind is None:
        _refuse(method, place)
    asked, parameters = take_formats(parse_query(query))
    check_accept(accept, asked)
    if place.form or kind in _WITH_BODY:
        check_body(content_type, form=place.form)
    if parameters and kind is not Kind.SEARCH:
        raise unsupported(parameters[0])
    return Interaction(kind, place.type, place.id, parameters, place.form)


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
    query = build_query(interaction.parameters)
    match interaction.kind:
        case Kind.READ:
            return "GET", f"/{interaction.type}/{interaction.id}".encode("ascii"), query
        case Kind.SEARCH if interaction.form:
            return "POST", f"/{interaction.type}/_search".encode("ascii"), query
        case Kind.SEARCH:
            return "GET", f"/{interaction.type}".encode("ascii"), query
        case Kind.CAPABILITIES:
            return "GET", b"/metadata", query
        case Kind.BUNDLE:
            return "POST", b"/", query
        case Kind.COLLECTION:
            return "POST", b"/Bundle", query


def allow(raw_path: bytes, types: frozenset[str]) -> str:
    """Give the Allow header of a path, for OPTIONS (L055). Raises NotSupported (404) for a path R4 does not know."""
    return _allow(_place(_segments(raw_path), types))


def _refuse(method: str, place: _Place) -> NoReturn:
    found = place.known.get(method, Unoffered.METHOD)
    if place.named is not None and method in _METHODS:
        found = place.named
    status, text = REFUSALS[found]
    raise NotSupported(text, status, _allow(place) if status == 405 else "")


def _allow(place: _Place) -> str:
    return ", ".join([*sorted(place.offered), "OPTIONS"])


def _unread() -> NotSupported:
    status, text = REFUSALS[Unoffered.PATH]
    return NotSupported(text, status)


def _segments(raw_path: bytes) -> tuple[str, ...]:
    """Give the decoded segments of a path. Raises NotSupported (404) by rule 1."""
    if raw_path in {b"", b"/"}:
        return ()
    if len(raw_path) > MOST_BYTES or not _RAW.fullmatch(raw_path):
        raise _unread()
    segments = tuple(unquote_to_bytes(part).decode("latin-1") for part in raw_path[1:].split(b"/"))
    # Decoded once: a percent sign, slash, dot segment, `;`, control or non-ASCII character that is left is refused.
    if any(not _SEGMENT.fullmatch(segment) or not segment.strip(".") for segment in segments):
        raise _unread()
    return segments


def _place(segments: tuple[str, ...], types: frozenset[str]) -> _Place:
    if segments and _OPERATION.fullmatch(segments[-1]):
        return _operation(segments, types)
    match segments:
        case ():
            return _Place({"POST": Kind.BUNDLE}, {"GET": Unoffered.SEARCH_SYSTEM, **_CONDITIONAL})
        case ("metadata",):
            return _Place({"GET": Kind.CAPABILITIES})
        case ("_search",):
            return _Place(named=Unoffered.SEARCH_SYSTEM)
        case ("_history",):
            return _Place(named=Unoffered.HISTORY_SYSTEM)
        case (type_, *rest) if type_ in types and type_ not in _NO_ENDPOINT:
            return _beneath(type_, tuple(rest), types)
    raise _unread()


_CONDITIONAL: Final = {
    "PUT": Unoffered.CONDITIONAL_UPDATE,
    "PATCH": Unoffered.CONDITIONAL_PATCH,
    "DELETE": Unoffered.CONDITIONAL_DELETE,
}
_OPERATIONS: Final = {"$export": Unoffered.EXPORT, "$graphql": Unoffered.GRAPHQL}
_WRITES: Final = {"PUT": Unoffered.UPDATE, "PATCH": Unoffered.PATCH, "DELETE": Unoffered.DELETE}


def _beneath(type_: str, rest: tuple[str, ...], types: frozenset[str]) -> _Place:
    match rest:
        case () if type_ == "Bundle":
            return _Place({"GET": Kind.SEARCH, "POST": Kind.COLLECTION}, _CONDITIONAL, type=type_)
        case ():
            return _Place({"GET": Kind.SEARCH}, {"POST": Unoffered.CREATE, **_CONDITIONAL}, type=type_)
        case ("_search",):
            return _Place({"POST": Kind.SEARCH}, type=type_, form=True)
        case ("_history",):
            return _Place(named=Unoffered.HISTORY_TYPE)
        case (id_, *inner) if is_id(id_):
            return _instance(_Place({"GET": Kind.READ}, _WRITES, type=type_, id=id_), tuple(inner), types)
    raise _unread()


def _instance(place: _Place, rest: tuple[str, ...], types: frozenset[str]) -> _Place:
    match rest:
        case ():
            return place
        case ("_history",):
            return _Place(named=Unoffered.HISTORY_INSTANCE)
        case ("_history", version) if is_id(version):
            return _Place(named=Unoffered.VREAD)
        case (other,) | (other, "_search") if other == "*" or other in types:
            return _Place(named=Unoffered.SEARCH_COMPARTMENT)
    raise _unread()


def _operation(segments: tuple[str, ...], types: frozenset[str]) -> _Place:
    """An operation of the system, a type, an instance or a version, named `$...` (R4 operations.html 3.2.0.1)."""
    if len(segments) > 1:
        owner = _beneath(segments[0], segments[1:-1], types) if segments[0] in types else None
        if owner is None or owner.form or owner.named not in {None, Unoffered.VREAD}:
            raise _unread()
    return _Place(named=_OPERATIONS.get(segments[-1], Unoffered.OPERATION))
