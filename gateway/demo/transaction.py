"""A transaction or batch posted to the base of the embedded upstream.

Rules of this file
1. A transaction is checked whole before anything is written: all of it is stored, or nothing.
2. In a transaction a reference to another entry's fullUrl becomes `Type/id`; a urn:uuid that nobody has is refused.
3. Only POST and PUT in a transaction, GET too in a batch; conditional requests and references are refused, but for the
   If-Match of a PUT in a transaction.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from gateway.demo.answers import Answer, Refused, written_answer
from gateway.demo.bundles import bundle
from gateway.demo.references import reference_texts, rewrite_references
from gateway.demo.store import Store, is_id

_REASONS: Final = {200: "200 OK", 201: "201 Created"}


class Request(msgspec.Struct, rename="camel"):
    """Bundle.entry.request."""

    method: str
    url: str
    if_none_exist: str | None = None
    if_match: str | None = None


class Entry(msgspec.Struct, rename="camel"):
    """Bundle.entry as far as an interaction reads it."""

    request: Request | None = None
    full_url: str | None = None
    resource: msgspec.Raw = msgspec.Raw(b"")


class Incoming(msgspec.Struct, rename="camel"):
    """A posted Bundle as far as an interaction reads it."""

    resource_type: str
    type: str
    entry: list[Entry] = []


Write = Callable[[str, str, bytes], Answer]
"""Carries out one entry by method, URL and body; raises Refused."""


class Placed(msgspec.Struct):
    """An entry of a transaction with the place its resource will have."""

    entry: Entry
    type: str
    id: str
    created: bool


def read_bundle(body: bytes) -> Incoming:
    """Read a posted Bundle. Raises Refused for what is neither a transaction nor a batch."""
    try:
        incoming = msgspec.json.decode(body, type=Incoming)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, "structure", f"could not parse the Bundle: {error}") from error
    if incoming.resource_type != "Bundle" or incoming.type not in ("transaction", "batch"):
        found = f"{incoming.resource_type} of type {incoming.type}"
        raise Refused(400, "invalid", f"the base takes a Bundle of type transaction or batch, not a {found}")
    return incoming


def batch(incoming: Incoming, carry_out: Write) -> bytes:
    """Carry out each entry by itself and give the batch-response; one that is refused says so in its place."""
    entries = []
    for entry in incoming.entry:
        try:
            request = _plain(entry)
            answer = carry_out(request.method, request.url, bytes(entry.resource))
        except Refused as refused:
            answer = refused.answer()
        entries.append(_response(answer, show=entry.request is not None and entry.request.method == "GET"))
    return bundle("batch-response", entries)


def transaction(incoming: Incoming, store: Store, known: Callable[[str, bytes], dict[str, Any]], base: str) -> bytes:
    """Store every entry, or none, and give the transaction-response. `known` checks a type and reads a body.

    Raises Refused with the first fault found.
    """
    placed = [_place(entry, store, known) for entry in incoming.entry]
    names = [f"{one.type}/{one.id}" for one in placed]
    if len(set(names)) != len(names):
        raise Refused(400, "invalid", "the transaction writes the same resource twice")
    full = {one.entry.full_url: name for one, name in zip(placed, names, strict=True) if one.entry.full_url}
    bodies = [rewrite_references(bytes(one.entry.resource), full.get) for one in placed]
    for reference in (reference for body in bodies for reference in reference_texts(body)):
        if reference.startswith("urn:") or "?" in reference:
            raise Refused(400, "not-found", f"no entry of the transaction has the reference {reference}")
    entries = []
    for one, body in zip(placed, bodies, strict=True):
        held = store.put(body, one.type, one.id)
        entries.append(_response(written_answer(held, base, created=one.created, minimal=True), show=False))
    return bundle("transaction-response", entries)


def _plain(entry: Entry, *, versions: bool = False) -> Request:
    request = entry.request
    if request is None:
        raise Refused(400, "required", "an entry has no request")
    if request.if_none_exist or (request.if_match and not versions):
        raise Refused(400, "not-supported", "conditional requests are not supported")
    return request


def _place(entry: Entry, store: Store, known: Callable[[str, bytes], dict[str, Any]]) -> Placed:
    request = _plain(entry, versions=entry.request is not None and entry.request.method == "PUT")
    type_, _, id_ = request.url.partition("/")
    tree = known(type_, bytes(entry.resource))
    if request.method == "POST" and not id_:
        return Placed(entry, type_, store.assign(type_), created=True)
    if request.method == "PUT" and is_id(id_) and tree.get("id") == id_:
        older = store.read(type_, id_)
        if request.if_match and (older is None or request.if_match.removeprefix("W/").strip('"') != older.version):
            raise Refused(412, "conflict", f"{type_}/{id_} has another version")
        return Placed(entry, type_, id_, created=older is None)
    raise Refused(400, "not-supported", f"{request.method} {request.url} is not possible in a transaction")


def _response(answer: Answer, *, show: bool) -> bytes:
    """Give one entry of a response Bundle; `show` puts the body of a GET beside it."""
    response: dict[str, Any] = {"status": _REASONS.get(answer.status, str(answer.status))}
    names = {"Location": "location", "ETag": "etag"}
    response |= {names[name]: value for name, value in answer.headers.items() if name in names}
    if answer.status >= 400 and answer.body:
        response["outcome"] = msgspec.Raw(answer.body)
    text = msgspec.json.encode({"response": response})
    return b'{"resource":' + answer.body + b"," + text[1:] if show and answer.status == 200 else text
