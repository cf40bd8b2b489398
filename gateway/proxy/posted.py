"""What is posted, by form: what may be asked of the gateway in one body, before anything of it is decided.

Rules of this file
1. A transaction creates and changes; a batch does, or reads; a collection or document is stored as it is; a message
   goes to who processes it; a single resource is created. No other method or type of Bundle, no condition but the
   If-Match of a change (leaks.md L011, L029, L044, L078).
2. What is policy, or would make the server act, is not written here (L080, L042, L053). Groups and teams are data, so
   are roles and affiliations beside the records of patients, and a List or Provenance of what its transaction makes:
   what is pushed is never policy input.
3. Every refusal rests on the sender's own text.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from gateway.errors import BadRequest, Forbidden, GatewayError, NotSupported, Unprocessable
from gateway.fhir.bundle import Bundle, Document, Entry, Request, read_document
from gateway.fhir.formats import FHIR_JSON
from gateway.fhir.interaction import CLOSED, REFUSALS, Interaction, Kind, Opened, Unoffered
from gateway.fhir.paths import parse
from gateway.fhir.patients import NO_PATIENT_TYPES
from gateway.fhir.references import Base, Conditional
from gateway.fhir.references import parse as parse_reference
from gateway.fhir.strict import Limits, MalformedJson
from gateway.fhir.view import ResourceView, every_view
from gateway.proxy.writable import BESIDE, NOT_CREATED, TOGETHER

MOST_ENTRIES: Final = 1000
MOST_GETS: Final = 50
# Relative, of plain characters; path and query are then read like those of a request.
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9/._$%-]*(\?[!$-~]*)?")

_CHANGING: Final = frozenset({"DELETE", "PATCH", "PUT"})

Get = Interaction | GatewayError
"""What an entry of a batch asks, or why it is refused by form: that is its answer."""


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """A body that may be decided. `gets` are those of a batch that reads; `path` is where the rest is forwarded to;
    `interaction` is a code of FHIR's restful-interaction; `makes` is the type of the one resource that is made of it,
    "" for those of a batch or transaction and for a message. `writes` are what each entry asks where some of them
    change records, or why that is refused by form."""

    raw: bytes
    document: Document
    bundle: Bundle
    interaction: str
    path: str
    makes: str = ""
    gets: tuple[Get, ...] = ()
    writes: tuple[Get, ...] = ()


def read_posted(
    raw: bytes, kind: Kind, *, types: frozenset[str], own: frozenset[Base], limits: Limits, opened: Opened = CLOSED
) -> Posted:
    """Read a posted Bundle. `types` are those of R4, `own` the bases of this server.

    Raises BadRequest, NotSupported, Unprocessable and Forbidden by the rules above.
    """
    document = read_body(raw, limits)
    bundle = document.bundle
    if bundle is None:
        raise Unprocessable("the body is not a Bundle")
    unread = [*bundle.unread, *(name for entry in bundle.entries for name in entry.unread)]
    if unread:
        raise Unprocessable("the Bundle has an element that the gateway does not read")
    if not 0 < len(bundle.entries) <= MOST_ENTRIES:
        raise Unprocessable(f"a Bundle has to have 1 to {MOST_ENTRIES} entries")
    refuse_conditional_references(document.views, own)
    if kind is Kind.COLLECTION:
        return _kept(raw, document, bundle)
    if kind is Kind.MESSAGE:
        return _message(raw, document, bundle)
    if bundle.type not in {"transaction", "batch"}:
        raise Unprocessable("a Bundle posted here has to be a transaction or a batch")
    requests = [_request(entry, index) for index, entry in enumerate(bundle.entries)]
    gets: tuple[Get, ...] = ()
    writes: tuple[Get, ...] = ()
    if bundle.type == "batch" and any(request.method == "GET" for request in requests):
        gets = _gets(bundle.entries, requests, types, opened)
    elif "create" not in opened.writes:
        status, text = REFUSALS[Unoffered.CREATE]
        raise NotSupported(text, status, "GET, HEAD, OPTIONS, POST")
    else:
        writes = _writes(bundle, requests, types, opened)
    posted = Posted(raw=raw, document=document, bundle=bundle, interaction=bundle.type, path="", gets=gets)
    return msgspec.structs.replace(posted, writes=writes)


def read_single(raw: bytes, type_: str, *, own: frozenset[Base], limits: Limits) -> Posted:
    """Read one resource that is to be created as of type `type_`. It is decided as the one entry of a batch, whose
    references are the receiver's to settle (R4 http.html 3.1.0.8). Raises as `read_posted` does."""
    view = read_one(raw, type_, own=own, limits=limits)
    bundle = Bundle(type="batch", entries=(Entry(at="", view=view),))
    return Posted(
        raw=raw, document=Document((view,), bundle), bundle=bundle, interaction="create", path=f"/{type_}", makes=type_
    )


def read_one(raw: bytes, type_: str, *, own: frozenset[Base], limits: Limits) -> ResourceView:
    """Read a body that is one resource of a type which may be written. Raises as `read_posted` does."""
    document = read_body(raw, limits)
    view = document.views[0] if document.views and document.bundle is None else None
    if view is None or view.type != type_:
        raise Unprocessable("the body is not a resource of the type that the address names")
    refuse_conditional_references((view,), own)
    check_written(view, "the body")
    return view


def read_body(raw: bytes, limits: Limits) -> Document:
    """Read a body as strict JSON. Raises BadRequest."""
    try:
        return read_document(raw, limits=limits)
    except MalformedJson as wrong:
        raise BadRequest(f"the body cannot be read: {wrong.why}") from None


class Company(msgspec.Struct, frozen=True):
    """With what a record is sent: `made` are the URNs of what the same transaction makes, `patients` says that records
    of patients are among it."""

    made: frozenset[str] = frozenset()
    patients: bool = False


ALONE: Final = Company()


def check_written(top: ResourceView, where: str, company: Company = ALONE) -> None:
    """Raise Forbidden where a resource, or one inside it, is not written here (rule 2)."""
    for view in every_view(top):
        apart = view.type in TOGETHER and not (view is top and _speaks_of(view) <= company.made)
        alone = view is top and view.type in BESIDE and not company.patients
        if view.type in NOT_CREATED or apart or alone:
            raise Forbidden(f"{where}: `{view.type}` cannot be written here")
        if view.type == "Patient" and "link" in view.tree:
            raise Forbidden(f"{where}: `Patient.link` cannot be written here")


def _speaks_of(view: ResourceView) -> frozenset[str]:
    """Give what a List or Provenance speaks of, as written; "" where that is no plain reference, or nothing."""
    found: list[Any] = [view.tree]
    for name in TOGETHER[view.type]:
        found = [each for one in found for each in _objects(one.get(name) if isinstance(one, dict) else None)]
    texts = [one.get("reference") if isinstance(one, dict) else None for one in found]
    return frozenset(text if isinstance(text, str) else "" for text in texts or [None])


def _objects(node: object) -> list[Any]:
    return node if isinstance(node, list) else [node]


def _company(bundle: Bundle) -> Company:
    """Give what a posted Bundle's records are sent with. Of a transaction alone the server settles what URNs name."""
    urls = (entry.full_url or "" for entry in bundle.entries if bundle.type == "transaction")
    made = frozenset(url for url in urls if url.startswith(("urn:uuid:", "urn:oid:")))
    views = (entry.view for entry in bundle.entries)
    return Company(made, any(view is not None and view.type not in NO_PATIENT_TYPES for view in views))


def _kept(raw: bytes, document: Document, bundle: Bundle) -> Posted:
    """A collection or document: it is kept as one record, what it holds is not the server's."""
    if bundle.type not in {"collection", "document"}:
        raise Unprocessable("a Bundle posted here has to be a collection or a document")
    _check_plain(bundle, bundle.type)
    if bundle.type == "document" and _first(bundle) != "Composition":
        raise Unprocessable("the first entry of a document has to be its Composition")
    return Posted(raw=raw, document=document, bundle=bundle, interaction="create", path="/Bundle", makes="Bundle")


def _message(raw: bytes, document: Document, bundle: Bundle) -> Posted:
    """A message: whoever processes it may write what it holds (R4 messaging.html)."""
    if bundle.type != "message":
        raise Unprocessable("a Bundle posted here has to be a message")
    _check_plain(bundle, bundle.type)
    if _first(bundle) != "MessageHeader":
        raise Unprocessable("the first entry of a message has to be its MessageHeader")
    for index, entry in enumerate(bundle.entries):
        if entry.view is not None:
            check_written(entry.view, f"entry {index}", _company(bundle))
    return Posted(raw=raw, document=document, bundle=bundle, interaction="operation", path="/$process-message")


def _check_plain(bundle: Bundle, kind: str) -> None:
    for index, entry in enumerate(bundle.entries):
        if entry.request is not None or entry.response is not None or entry.mode is not None or entry.view is None:
            raise Unprocessable(f"entry {index} does not belong in a {kind}")


def _first(bundle: Bundle) -> str:
    view = bundle.entries[0].view
    return view.type if view is not None else ""


def _request(entry: Entry, index: int) -> Request:
    request = entry.request
    if request is None or entry.response is not None or entry.mode is not None:
        raise Unprocessable(f"entry {index} has to have a request, and no response or search")
    if not _ADDRESS.fullmatch(request.url):
        raise BadRequest(f"the address of entry {index} is not relative, or not of a form the gateway reads")
    if request.conditions.keys() - ({"ifMatch"} if request.method in _CHANGING else set()):
        raise Unprocessable(f"entry {index} has a condition; conditional requests are not supported")
    return request


def _writes(bundle: Bundle, requests: list[Request], types: frozenset[str], opened: Opened) -> tuple[Get, ...]:
    """Give what the entries of a Bundle that writes ask, none where they only create. In a batch a refusal by form is
    its entry's answer; in a transaction it is raised."""
    company = _company(bundle)
    changing = any(request.method in _CHANGING for request in requests)
    if sum(request.method in _CHANGING for request in requests) > MOST_GETS:
        raise Unprocessable(f"a Bundle changes at most {MOST_GETS} records")
    found: list[Get] = []
    for index, (entry, request) in enumerate(zip(bundle.entries, requests, strict=True)):
        try:
            found.append(_write(entry, request, index, company, types, opened))
        except GatewayError as refused:
            if bundle.type == "transaction" and isinstance(refused, NotSupported):
                raise Unprocessable(f"entry {index}: {refused.message}") from None
            if bundle.type == "transaction" or not changing:
                raise
            found.append(refused)
    return tuple(found) if changing else ()


def _write(
    entry: Entry, request: Request, index: int, company: Company, types: frozenset[str], opened: Opened
) -> Interaction:
    if request.method not in _CHANGING:
        _check_create(entry, request, index, company)
        return Interaction(Kind.CREATE, request.url)
    if request.method == "DELETE":
        status, text = REFUSALS[Unoffered.DELETE]
        raise NotSupported(text, status)
    view = entry.view
    if view is None:
        raise Unprocessable(f"entry {index} has no resource")
    by_json = request.method == "PATCH" and view.type == "Binary"
    media = view.tree.get("contentType") if by_json else FHIR_JSON
    path, _, query = request.url.partition("?")
    content_type = media if isinstance(media, str) else ""
    return parse(
        request.method,
        f"/{path}".encode("ascii"),
        query.encode("ascii"),
        types=types,
        accept=FHIR_JSON,
        content_type=content_type,
        opened=opened,
    )


def _check_create(entry: Entry, request: Request, index: int, company: Company) -> None:
    if request.method != "POST":
        raise Unprocessable(f"entry {index} has to be a create (POST); no other method is supported here")
    if entry.view is None or entry.view.type != request.url:
        raise Unprocessable(f"the address of entry {index} has to be the type of its resource")
    check_written(entry.view, f"entry {index}", company)


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
        if interaction.kind is Kind.CAPABILITIES:
            raise Unprocessable("an entry of a batch reads or searches")
    except GatewayError as refused:
        return refused
    return interaction


def refuse_conditional_references(views: Iterable[ResourceView], own: frozenset[Base]) -> None:
    """Raise Unprocessable for a reference that is a search: one text, whatever it would find (L011)."""
    texts = (
        reference.reference
        for top in views
        for view in every_view(top)
        for reference in view.references
        if reference.reference
    )
    if any(isinstance(parse_reference(text, own), Conditional) for text in texts):
        raise Unprocessable("conditional references are not supported")
