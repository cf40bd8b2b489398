"""One resource as a decision sees it: exact text beside a read-only tree, with everything in it that names
a code, a label, a reference or a person already found, by JSON Pointer, in one pass.

Rules of this file
1. `raw` is upstream's own text; the tree is only read (law 5).
2. A view exists only of text that was checked for duplicate keys, depth, NaN and lone surrogates (L059).
3. Contained and nested resources have views of their own (L034, L045); what is found in them is not in the outer view.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from consent_store.model import Coding
from gateway.fhir.identifiers import IdentifierAt
from gateway.fhir.pointer import texts_at
from gateway.fhir.strict import LIMITS, Limits, MalformedJson, refuse_duplicates, tree
from gateway.fhir.walk import CodingAt, ReferenceAt, TextAt, Walk


class ResourceView(msgspec.Struct, frozen=True):
    """See the module. `at` is the resource's pointer in the document ("" alone, "/entry/0/resource" in a Bundle);
    all other pointers are inside the resource.

    `security` is meta.security as written; `malformed` names pointers at which meta, security, a coding, a reference
    or an extension has a wrong shape: such a resource is labelled unknown. `inner` holds the resources inside this
    one, contained or nested, each with its own pointer in the document; `codings`, `references`, `texts` and the rest
    do not include theirs. `type` is "" where the resource does not say what it is: it is withheld.
    """

    at: str
    raw: bytes
    tree: dict[str, Any]
    type: str
    id: str | None
    security: tuple[Coding, ...] = ()
    codings: tuple[CodingAt, ...] = ()
    references: tuple[ReferenceAt, ...] = ()
    texts: tuple[TextAt, ...] = ()
    extensions: tuple[tuple[str, str], ...] = ()  # (pointer, url) of every extension
    modifier_extensions: tuple[tuple[str, str], ...] = ()
    attachments: tuple[str, ...] = ()  # pointers of elements with base64 `data` or a `url` beside contentType
    malformed: tuple[str, ...] = ()
    inner: tuple["ResourceView", ...] = ()
    identifiers: tuple[IdentifierAt, ...] = ()
    links: tuple[TextAt, ...] = ()  # values of uri, url and canonical elements that address something; not `system`


def read_resource(raw: bytes, at: str = "", *, limits: Limits = LIMITS) -> ResourceView:
    """Give the view of one resource's text that stands at pointer `at` of its document.

    Raises MalformedJson for text that is not strict JSON (gateway.fhir.strict) or not an object. An unknown or
    missing resourceType is no error: `type` says what is there, "" where nothing is.
    """
    root = tree(raw, at, limits=limits)
    if not isinstance(root, dict):
        raise MalformedJson(at, "a resource that is not an object")
    walk = Walk(root, limits)
    walk.visit(root, "", "", 0)
    refuse_duplicates(raw, walk.members, at)
    return _view(raw, at, root, walk)


def every_view(view: ResourceView) -> tuple[ResourceView, ...]:
    """Give a view and all views inside it, outermost first."""
    return (view, *(deeper for inner in view.inner for deeper in every_view(inner)))


def _view(raw: bytes, at: str, root: dict[str, Any], walk: "Walk") -> ResourceView:
    texts: Mapping[str, bytes] = texts_at(raw, [pointer for pointer, _, _ in walk.inner]) if walk.inner else {}
    identity = root.get("id")
    if identity is not None and not isinstance(identity, str):
        walk.malformed.append("/id")
    return ResourceView(
        at=at,
        raw=raw,
        tree=root,
        type=walk.type,
        id=identity if isinstance(identity, str) else None,
        security=security_of(root, walk.malformed),
        codings=tuple(walk.codings),
        references=tuple(walk.references),
        texts=tuple(walk.texts),
        identifiers=tuple(walk.identifiers),
        extensions=tuple(walk.extensions),
        modifier_extensions=tuple(walk.modifier_extensions),
        attachments=tuple(walk.attachments),
        malformed=tuple(walk.malformed),
        inner=tuple(_view(texts[pointer], at + pointer, node, inner) for pointer, node, inner in walk.inner),
        links=tuple(walk.links),
    )


def security_of(root: Mapping[str, Any], malformed: list[str]) -> tuple[Coding, ...]:
    """Give meta.security as written, and add to `malformed` the pointers of what has a wrong shape in it."""
    meta = root.get("meta", {})
    if not isinstance(meta, dict):
        malformed.append("/meta")
        return ()
    labels = meta.get("security", [])
    if not isinstance(labels, list):
        malformed.append("/meta/security")
        return ()
    found = []
    for number, label in enumerate(labels):
        system, code = (label.get("system"), label.get("code")) if isinstance(label, dict) else (None, None)
        if not isinstance(code, str) or not isinstance(system, str | None):
            malformed.append(f"/meta/security/{number}")
        found.append(Coding(system if isinstance(system, str) else None, code if isinstance(code, str) else None))
    return tuple(found)
