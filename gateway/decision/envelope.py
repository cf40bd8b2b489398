"""What a Bundle says around the resources in it, and what of that leaves: nothing that tells of what does not.

Rules of this file (leaks.md L031, L035, L038, L039, L045)
1. An entry goes whole: fullUrl, search, request, response and all. An entry of which nothing is known goes too.
2. Links, extensions, tags and whoever assigned an identifier are not the records'; of the links only `self` stays, in
   the outermost Bundle. The recipient of whole records keeps them.
3. What an entry says of its record (fullUrl, what was asked and answered) stays where it names that record and no
   other. What a sender asks of a server is the sender's own.
4. A signature is over what was signed: it goes where anything is edited.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.decision.model import Edit, Op
from gateway.decision.parts import members
from gateway.fhir.pointer import escape

_BUNDLE: Final = frozenset(
    {"resourceType", "id", "meta", "implicitRules", "language", "identifier", "type", "timestamp", "total", "entry"}
    | {"signature", "link"}
)
_ENTRY: Final = frozenset({"fullUrl", "resource", "search", "request", "response"})
_META: Final = frozenset({"versionId", "lastUpdated", "profile", "security"})
_IDENTIFIER: Final = frozenset({"use", "type", "system", "value", "period"})
_SEARCH: Final = frozenset({"mode", "score"})
_REQUEST: Final = frozenset({"method", "url", "ifNoneMatch", "ifModifiedSince", "ifMatch"})
_RESPONSE: Final = frozenset({"status", "location", "etag", "lastModified", "outcome"})
_NAMED: Final = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9.-]+)(?:/_history/[^/]*)?$")
# Bundles of requests: an entry without a resource is the sender's own request.
REQUESTS: Final = frozenset({"batch", "transaction"})


def envelope_edits(tree: Mapping[str, Any], *, inner: bool) -> Iterator[Edit]:
    """Give the edits of a Bundle's own elements that every recipient gets; `inner` for one inside another resource.

    `tree` is the Bundle as parsed. Entries that go are not told here, nor total and label.
    """
    yield from _others(tree, "", _BUNDLE)
    for name, known in (("meta", _META), ("identifier", _IDENTIFIER)):
        node = tree.get(name)
        if isinstance(node, dict):
            yield from _others(node, f"/{name}", known)
    yield from _links(tree, inner=inner)
    for number, entry in enumerate(members(tree.get("entry"))):
        if not isinstance(entry, dict):
            continue
        yield from _others(entry, f"/entry/{number}", _ENTRY)
        if isinstance(entry.get("search"), dict):
            yield from _others(entry["search"], f"/entry/{number}/search", _SEARCH)
        if tree.get("type") not in REQUESTS:
            yield from _of_record(entry, f"/entry/{number}")


def _of_record(entry: Mapping[str, Any], at: str) -> Iterator[Edit]:
    """Give the edits of what an entry says of its record."""
    resource = entry.get("resource")
    own = (resource.get("resourceType"), resource.get("id")) if isinstance(resource, dict) else None
    if _names_another(entry.get("fullUrl"), own):
        yield Edit(Op.CUT, f"{at}/fullUrl")
    request, response = entry.get("request"), entry.get("response")
    if isinstance(request, dict):
        if _names_another(request.get("url"), own):
            yield Edit(Op.CUT, f"{at}/request")
        else:
            yield from _others(request, f"{at}/request", _REQUEST)
    if isinstance(response, dict):
        yield from _others(response, f"{at}/response", _RESPONSE)
        if _names_another(response.get("location"), own):
            yield Edit(Op.CUT, f"{at}/response/location")


def _names_another(address: object, own: tuple[object, object] | None) -> bool:
    """Say whether an address is that of some record, and not of this one."""
    if not isinstance(address, str):
        return False
    found = _NAMED.search(address.partition("?")[0])
    return "?" in address if found is None else (found[1], found[2]) != own


def _links(tree: Mapping[str, Any], *, inner: bool) -> Iterator[Edit]:
    links = tree.get("link")
    if inner or not isinstance(links, list):
        yield from (Edit(Op.CUT, "/link") for _ in range("link" in tree))
        return
    for number, link in enumerate(links):
        if not isinstance(link, dict) or link.get("relation") != "self":
            yield Edit(Op.CUT, f"/link/{number}")


def _others(node: Mapping[str, Any], at: str, known: frozenset[str]) -> Iterator[Edit]:
    return (Edit(Op.CUT, f"{at}/{escape(name)}") for name in node if name not in known)


def unread_entries(tree: Mapping[str, Any]) -> Iterator[str]:
    """Give the pointers of the entries of an inner Bundle that hold no resource, or a modifier nobody here knows."""
    for number, entry in enumerate(members(tree.get("entry"))):
        if not isinstance(entry, dict) or "resource" not in entry or "modifierExtension" in entry:
            yield f"/entry/{number}"


def signed(tree: Mapping[str, Any]) -> bool:
    """Say whether somebody vouches for the whole: by a signature, or as attester of the document's Composition."""
    if "signature" in tree:
        return True
    first = next(iter(members(tree.get("entry"))), None)
    composition = first.get("resource") if isinstance(first, dict) else None
    return tree.get("type") == "document" and isinstance(composition, dict) and "attester" in composition
