"""Which interaction a method and a path name: one of the closed set of `interaction`, or the refusal of another (L043).

Rules of this file
1. The path is split on raw `/` and each segment decoded once; what is not of the closed grammar is refused (L066).
2. Refusals depend on method, path and what the route opens alone. HEAD is GET whose body is not sent (L055).
3. No method or path is taken from anywhere else: no override header, no `_method` (L064).
"""

import re
from collections.abc import Mapping
from typing import Final, NoReturn
from urllib.parse import unquote_to_bytes

import msgspec

from gateway.errors import NotSupported
from gateway.fhir.formats import check_accept, check_body, check_content, check_patch, take_formats
from gateway.fhir.interaction import (
    BY_METHOD,
    CLOSED,
    MESSAGE,
    REFUSALS,
    WITH_BODY,
    Interaction,
    Kind,
    Opened,
    Unoffered,
)
from gateway.fhir.operations import OPERATIONS, Level, Operation
from gateway.fhir.projection import ELEMENTS, SUMMARY
from gateway.fhir.query import parse_query, unsupported
from gateway.fhir.references import is_id

MOST_BYTES: Final = 2048


class _Place(msgspec.Struct, frozen=True):
    """A path that R4 knows: what each method does there, or `named` for all of them alike."""

    offered: Mapping[str, Kind] = {}
    known: Mapping[str, Unoffered] = {}
    named: Unoffered | None = None
    type: str | None = None
    id: str | None = None
    form: bool = False
    version: str | None = None
    compartment: str | None = None
    operation: Operation | None = None


_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_RAW: Final = re.compile(rb"(?:/(?:[A-Za-z0-9._~$*-]|%[0-9A-Fa-f]{2})+)*")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._$*-]{1,100}")
_OPERATION: Final = re.compile(r"\$[A-Za-z][A-Za-z0-9.-]*")
_NO_ENDPOINT: Final = frozenset({"Parameters"})  # R4 parameters.html: it has no RESTful end point
_COMPARTMENTS: Final = frozenset({"Encounter", "Patient"})
_PARTS: Final = 2
_SEEING: Final = frozenset({ELEMENTS, SUMMARY})
# Which parameters are offered is for the search, the operation or the history itself to say.
_ASKING: Final = frozenset(
    {Kind.SEARCH, Kind.SEARCH_SYSTEM, Kind.SEARCH_COMPARTMENT, Kind.OPERATION}
    | {Kind.HISTORY_INSTANCE, Kind.HISTORY_TYPE, Kind.HISTORY_SYSTEM}
)


def parse(
    method: str,
    raw_path: bytes,
    query: bytes,
    *,
    types: frozenset[str],
    accept: str | None = None,
    content_type: str | None = None,
    opened: Opened = CLOSED,
) -> Interaction:
    """Give what is asked by `method` at `raw_path`: what follows the route's prefix, percent-encoded as it came, "" or
    "/" for the base. `types` are the resource types of R4 (`Elements.resources`); `accept` and `content_type` are the
    headers, lines joined by commas.

    Raises NotSupported (404, 405 or 501 by REFUSALS; 400 for a parameter where there are none), Unacceptable (406),
    UnsupportedMedia (415), BadRequest (400).
    """
    place = _place(_segments(raw_path), types, opened)
    kind = place.offered.get("GET" if method == "HEAD" else method)
    if kind is None:
        _refuse(method, place)
    asked, parameters = take_formats(parse_query(query))
    native = check_content(accept, asked) if kind is Kind.READ and place.type == "Binary" else None
    if native is None:
        check_accept(accept, asked)
    body = kind is Kind.OPERATION and method == "POST"
    if place.form or body or kind in WITH_BODY:
        check_body(content_type, form=place.form)
    elif kind is Kind.PATCH:
        body = check_patch(content_type)
    for one in parameters if kind not in _ASKING else ():
        if kind not in {Kind.READ, Kind.VREAD} or one.name not in _SEEING:
            raise unsupported(one)
    return Interaction(
        kind=kind,
        type=place.type,
        id=place.id,
        parameters=parameters,
        form=place.form,
        version=place.version,
        compartment=place.compartment,
        operation=place.operation,
        native=native,
        body=body,
    )


def allow(raw_path: bytes, types: frozenset[str], opened: Opened = CLOSED) -> str:
    """Give the Allow header of a path, for OPTIONS (L055). Raises NotSupported (404) for a path R4 does not know."""
    return _allow(_place(_segments(raw_path), types, opened))


def _refuse(method: str, place: _Place) -> NoReturn:
    found = place.known.get(method, Unoffered.METHOD)
    if place.named is not None and (method in _METHODS or method == "HEAD"):
        found = place.named
    status, text = REFUSALS[found]
    raise NotSupported(text, status, _allow(place) if status == 405 else "")


def _allow(place: _Place) -> str:
    head = ["HEAD"] if "GET" in place.offered else []
    return ", ".join([*sorted([*place.offered, *head]), "OPTIONS"])


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


def _place(segments: tuple[str, ...], types: frozenset[str], opened: Opened) -> _Place:
    if segments and _OPERATION.fullmatch(segments[-1]):
        return _operation(segments, types, opened)
    if segments == ("_history",):
        return _Place({"GET": Kind.HISTORY_SYSTEM}) if opened.history else _Place(named=Unoffered.HISTORY_SYSTEM)
    if segments in _SYSTEM:
        return _SYSTEM[segments]
    if segments[0] in types and segments[0] not in _NO_ENDPOINT:
        return _beneath(segments[0], segments[1:], types, opened)
    raise _unread()


_CONDITIONAL: Final = {
    "PUT": Unoffered.CONDITIONAL_UPDATE,
    "PATCH": Unoffered.CONDITIONAL_PATCH,
    "DELETE": Unoffered.CONDITIONAL_DELETE,
}
_SYSTEM: Final[Mapping[tuple[str, ...], _Place]] = {
    (): _Place({"GET": Kind.SEARCH_SYSTEM, "POST": Kind.BUNDLE}, _CONDITIONAL),
    ("metadata",): _Place({"GET": Kind.CAPABILITIES}),
    ("_search",): _Place({"POST": Kind.SEARCH_SYSTEM}, form=True),
}
_OPERATIONS: Final = {"$export": Unoffered.EXPORT, "$graphql": Unoffered.GRAPHQL}
_WRITES: Final = {"PUT": Unoffered.UPDATE, "PATCH": Unoffered.PATCH, "DELETE": Unoffered.DELETE}


def _beneath(type_: str, rest: tuple[str, ...], types: frozenset[str], opened: Opened) -> _Place:
    match rest:
        case () if "create" in opened.writes:
            post = Kind.COLLECTION if type_ == "Bundle" else Kind.CREATE
            return _Place({"GET": Kind.SEARCH, "POST": post}, _CONDITIONAL, type=type_)
        case ():
            return _Place({"GET": Kind.SEARCH}, {"POST": Unoffered.CREATE, **_CONDITIONAL}, type=type_)
        case ("_search",):
            return _Place({"POST": Kind.SEARCH}, type=type_, form=True)
        case ("_history",) if type_ in opened.history:
            return _Place({"GET": Kind.HISTORY_TYPE}, type=type_)
        case ("_history",):
            return _Place(named=Unoffered.HISTORY_TYPE)
        case (id_, *inner) if is_id(id_):
            offered = {BY_METHOD[kind]: kind for kind in BY_METHOD if kind.value in opened.writes}
            place = _Place({"GET": Kind.READ, **offered}, _WRITES, type=type_, id=id_)
            return _instance(place, tuple(inner), types, opened)
    raise _unread()


def _instance(place: _Place, rest: tuple[str, ...], types: frozenset[str], opened: Opened) -> _Place:
    match rest:
        case ():
            return place
        case ("_history", *version) if len(version) < _PARTS and all(map(is_id, version)):
            return _versions(place, version[0] if version else None, opened)
        case (other,) | (other, "_search") if other in types and place.type in _COMPARTMENTS:
            method, form = ("POST", True) if len(rest) > 1 else ("GET", False)
            offer = {method: Kind.SEARCH_COMPARTMENT}
            return _Place(offer, type=other, id=place.id, form=form, compartment=place.type)
        case (other,) | (other, "_search") if other == "*" or other in types:
            return _Place(named=Unoffered.SEARCH_COMPARTMENT)
    raise _unread()


def _versions(place: _Place, version: str | None, opened: Opened) -> _Place:
    """The history of a resource, or one version of it; only where the route opens it for the type (L046)."""
    if place.type not in opened.history:
        return _Place(named=Unoffered.VREAD if version else Unoffered.HISTORY_INSTANCE)
    kind = Kind.VREAD if version else Kind.HISTORY_INSTANCE
    return _Place({"GET": kind}, type=place.type, id=place.id, version=version)


def _operation(segments: tuple[str, ...], types: frozenset[str], opened: Opened) -> _Place:
    """An operation of the system, a type, an instance or a version, named `$...` (R4 operations.html 3.2.0.1)."""
    name = segments[-1]
    if segments == (MESSAGE,) and "create" in opened.writes:
        return _Place({"POST": Kind.MESSAGE})
    if len(segments) > 1:
        owner = _beneath(segments[0], segments[1:-1], types, CLOSED) if segments[0] in types else None
        if owner is None or owner.form or owner.named not in {None, Unoffered.VREAD} or owner.compartment:
            raise _unread()
        level = Level.INSTANCE if owner.id else Level.TYPE
        found = OPERATIONS.get((owner.type or "", level, name)) if owner.named is None else None
        if found is not None and (opened.terminology or not found.terminology):
            return _Place(dict.fromkeys(found.methods, Kind.OPERATION), type=owner.type, id=owner.id, operation=found)
    return _Place(named=_OPERATIONS.get(name, Unoffered.OPERATION))
