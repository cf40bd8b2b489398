"""One resource as a decision sees it: exact text beside a read-only tree, with everything in it that names
a code, a label, a reference or a person already found, by JSON Pointer, in one pass.

Rules of this file
1. `raw` is upstream's own text; the tree is only read (law 5).
2. A view exists only of text that was checked for duplicate keys, depth, NaN and lone surrogates (L059).
3. Nothing is skipped: codings, references and texts are found at any depth, known element or not (L006, L010).
4. Contained and nested resources have views of their own (L034, L045).
"""

from typing import Any

import msgspec

from consent_store.model import Coding, Identifier


class CodingAt(msgspec.Struct, frozen=True):
    """A Coding and where it stands. `in_list` False: a bare code/system pair outside a `coding` array."""

    at: str
    coding: Coding


class ReferenceAt(msgspec.Struct, frozen=True):
    """A Reference element and where it stands (the pointer of the object that holds `reference` or `identifier`)."""

    at: str
    reference: str | None
    type: str | None
    identifier: Identifier | None


class TextAt(msgspec.Struct, frozen=True):
    """Free text and where it stands: narrative div, note, CodeableConcept.text, display, description, valueString …"""

    at: str
    text: str


class ResourceView(msgspec.Struct, frozen=True):
    """See the module. `at` is the resource's pointer in the document ("" alone, "/entry/0/resource" in a Bundle).

    `security` is meta.security as written; `malformed` names pointers at which meta, security or a coding has a
    wrong shape: such a resource is labelled unknown. `inner` holds the resources inside this one, contained or
    nested, each with its own pointer; `codings`, `references` and `texts` do not include theirs.
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
