"""What a Bundle says around the resources in it, and what of that leaves: nothing that tells of what does not.

Rules of this file (leaks.md L031, L035, L038, L039, L045)
1. An entry goes whole: fullUrl, search, request, response and all. An entry of which nothing is known goes too.
2. Links, extensions, tags and whoever assigned an identifier are not the records'; of the links only `self` stays, in
   the outermost Bundle. The recipient of whole records keeps them.
3. A signature is over what was signed: it goes where anything is edited.
"""

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
