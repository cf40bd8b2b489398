"""A posted Bundle, by form: what may be asked of the gateway in one, before anything of it is decided.

Rules of this file
1. A transaction creates; a batch creates, or reads; a collection is stored as it is. No other method, condition or
   type of Bundle, no address but a bare type (leaks.md L011, L029, L044, L078).
2. What is policy, or would make the server act, is not written here: Consent, Group, List, Person, Patient.link (L080),
   AuditEvent, Subscription (L042, L053).
3. Every refusal rests on the sender's own text.
"""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.errors import BadRequest, Forbidden, GatewayError, Unprocessable
from gateway.fhir.bundle import Bundle, Document, Entry, Request, read_document
from gateway.fhir.formats import FHIR_JSON
from gateway.fhir.interaction import CLOSED, Interaction, Kind, Opened, parse
from gateway.fhir.references import Base, Conditional
from gateway.fhir.references import parse as parse_reference
from gateway.fhir.strict import Limits, MalformedJson
from gateway.fhir.view import ResourceView, every_view

MOST_ENTRIES: Final = 1000
MOST_GETS: Final = 50
_NOT_WRITTEN: Final = frozenset({"AuditEvent", "Consent", "Group", "List", "Person", "Subscription"})
# Relative, of plain characters; path and query are then read like those of a request.
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9/._$%-]*(\?[!$-~]*)?")

Get = Interaction | GatewayError
"""A get of a batch, or why it is refused by form: that is its entry's answer."""


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """A Bundle that may be decided. `gets` are those of a batch that reads; `path` is where the rest is forwarded to;
    `interaction` is a code of FHIR's restful-interaction."""

    raw: bytes
    document: Document
    bundle: Bundle
    interaction: str
    path: str
    gets: tuple[Get, ...] = ()


def read_posted(
    raw: bytes, kind: Kind, *, types: frozenset[str], own: frozenset[Base], limits: Limits, opened: Opened = CLOSED
) -> Posted:
    """Read a posted body. `types` are those of R4, `own` the bases of this server.

    Raises BadRequest, Unprocessable and Forbidden by the rules above.
    """
    try:
        document = read_document(raw, limits=limits)
    except MalformedJson as wrong:
        raise BadRequest(f"the body cannot be read: {wrong.why}") from None
    bundle = document.bundle
    if bundle is None:
        raise Unprocessable("the body is not a Bundle")
    unread = [*bundle.unread, *(name for entry in bundle.entries for name in entry.unread)]
    if unread:
        raise Unprocessable("the Bundle has an element that the gateway does not read")
    if not 0 < len(bundle.entries) <= MOST_ENTRIES:
        raise Unprocessable(f"a Bundle has to have 1 to {MOST_ENTRIES} entries")
    _refuse_conditional_references(document.views, own)
    if kind is Kind.COLLECTION:
        return _collection(raw, document, bundle)
    if bundle.type not in {"transaction", "batch"}:
        raise Unprocessable("a Bundle posted here has to be a transaction or a batch")
    requests = [_request(entry, index) for index, entry in enumerate(bundle.entries)]
    gets: tuple[Get, ...] = ()
    if bundle.type == "batch" and any(request.method == "GET" for request in requests):
        gets = _gets(bundle.entries, requests, types, opened)
    else:
        for index, (entry, request) in enumerate(zip(bundle.entries, requests, strict=True)):
            _check_create(entry, request, index)
    return Posted(raw=raw, document=document, bundle=bundle, interaction=bundle.type, path="", gets=gets)


def _collection(raw: bytes, document: Document, bundle: Bundle) -> Posted:
    if bundle.type != "collection":
        raise Unprocessable("a Bundle posted here has to be a collection")
    for index, entry in enumerate(bundle.entries):
        if entry.request is not None or entry.response is not None or entry.view is None:
            raise Unprocessable(f"entry {index} does not belong in a collection")
    return Posted(raw=raw, document=document, bundle=bundle, interaction="create", path="/Bundle")


def _request(entry: Entry, index: int) -> Request:
    request = entry.request
    if request is None or entry.response is not None or entry.mode is not None:
        raise Unprocessable(f"entry {index} has to have a request, and no response or search")
    if not _ADDRESS.fullmatch(request.url):
        raise BadRequest(f"the address of entry {index} is not relative, or not of a form the gateway reads")
    if request.conditions:
        raise Unprocessable(f"entry {index} has a condition; conditional requests are not supported")
    return request


def _check_create(entry: Entry, request: Request, index: int) -> None:
    if request.method != "POST":
        raise Unprocessable(f"entry {index} has to be a create (POST); no other method is supported here")
    if entry.view is None or entry.view.type != request.url:
        raise Unprocessable(f"the address of entry {index} has to be the type of its resource")
    for view in every_view(entry.view):
        if view.type in _NOT_WRITTEN:
            raise Forbidden(f"entry {index}: `{view.type}` cannot be written here")
        if view.type == "Patient" and "link" in view.tree:
            raise Forbidden(f"entry {index}: `Patient.link` cannot be written here")


def _gets(entries: Iterable[Entry], requests: list[Request], types: frozenset[str], opened: Opened) -> tuple[Get, ...]:
    if any(request.method != "GET" for request in requests) or any(entry.view is not None for entry in entries):
        raise Unprocessable("a batch either reads or writes")
    if len(requests) > MOST_GETS:
        raise Unprocessable(f"a batch that reads has at most {MOST_GETS} entries")
    return tuple(_get(request, types, opened) for request in requests)


def _get(request: Request, types: frozenset[str], opened: Opened) -> Get:
    path, _, query = request.url.partition("?")
    try:
        address, asked = f"/{path}".encode("ascii"), query.encode("ascii")
        interaction = parse("GET", address, asked, types=types, accept=FHIR_JSON, opened=opened)
        if interaction.kind in {Kind.CAPABILITIES, Kind.BUNDLE, Kind.COLLECTION}:
            raise Unprocessable("an entry of a batch reads or searches")
    except GatewayError as refused:
        return refused
    return interaction


def _refuse_conditional_references(views: Iterable[ResourceView], own: frozenset[Base]) -> None:
    texts = (
        reference.reference
        for top in views
        for view in every_view(top)
        for reference in view.references
        if reference.reference
    )
    if any(isinstance(parse_reference(text, own), Conditional) for text in texts):
        raise Unprocessable("conditional references are not supported")
