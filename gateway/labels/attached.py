"""What is in attachments and Binaries, as far as it can be read: C-CDA, FHIR as JSON, text. Pure.

Rules of this file
1. A label found in an attachment stands at the attachment.
2. A C-CDA that says its own level, and was read whole, states the level of what is nothing but it (L003, L006).
3. Everything else (a picture, a PDF, what cannot be read) is opaque: it labels nothing, and its resource falls to the
   default of attachments. Content by address is labelled as its own resource.
"""

import binascii
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from consent_store.model import CONFIDENTIALITY, Coding
from gateway.fhir.pointer import index, segments
from gateway.fhir.strict import MalformedJson
from gateway.fhir.terminology import CodeSet, canonical, code_set
from gateway.fhir.view import ResourceView, every_view, read_resource
from gateway.fhir.walk import TextAt
from gateway.labels.ccda import Ccda, read_ccda
from gateway.labels.lists import CodeIndex, Hit
from gateway.labels.model import Basis, Confidentiality, Label
from gateway.labels.received import confidentiality_label, labels_of, received_labels
from gateway.labels.terms import TermIndex

_MOST: Final = 24 << 20  # characters of base64
_JSON: Final = 4 << 20  # bytes of a FHIR document within another
_RICH: Final = frozenset({"application/rtf", "application/x-rtf", "application/xhtml+xml"})
_CONTROL: Final = re.compile(rb"\\[a-z]+-?\d* ?|[{}]")  # what is not text in RTF
_NOTHING_BUT: Final = frozenset({"Binary", "DocumentReference", "Media"})
Found = tuple[list[Label], list[tuple[str, Basis, Hit]]]


def attached(view: ResourceView, codes: CodeIndex, terms: TermIndex) -> tuple[Found, bool]:
    """Give the labels that a resource's attachments carry, what their codes and texts say, each at its attachment, and
    whether they state the resource's level."""
    labels: list[Label] = []
    hits: list[tuple[str, Basis, Hit]] = []
    stated = view.type in _NOTHING_BUT and bool(view.attachments)
    for at in view.attachments:
        data, kind = _content(view.tree, at)
        document = read_ccda(data) if data is not None else None
        stated = stated and document is not None and document.whole and _says_level(document)
        if document is not None:
            labels += _labels(document, at)
            hits += [(at, Basis.CODE, hit) for coding in document.codings for hit in codes.find(coding)]
            hits += [(at, Basis.TEXT, hit) for _, hit in terms.find([TextAt(at, text) for text in document.texts])]
        elif data is not None and "json" in kind:
            for inner in _records(data):
                labels += [msgspec.structs.replace(label, at=at) for label in received_labels(inner)[0]]
                hits += [(at, Basis.CODE, hit) for one in inner.codings for hit in codes.find(one.coding)]
                hits += [(at, Basis.TEXT, hit) for _, hit in terms.find(inner.texts)]
        elif data is not None and (kind.startswith("text/") or kind in _RICH):
            text = _CONTROL.sub(b" ", data) if data.startswith(b"{\\rtf") else data
            found = terms.find([TextAt(at, text.decode("utf-8", errors="replace"))])
            hits += [(at, Basis.TEXT, hit) for _, hit in found]
    return (labels, hits), stated


def _records(data: bytes) -> tuple[ResourceView, ...]:
    """Give the records in FHIR JSON, nested ones too; none where it is no such text, and it stays opaque."""
    if len(data) > _JSON:
        return ()
    try:
        return every_view(read_resource(data))
    except MalformedJson:
        return ()


def _labels(document: Ccda, at: str) -> Iterator[Label]:
    """Give what the document says of itself. Annotations are often of the wrong system: then the code speaks."""
    for coding in document.labels:
        known = canonical(coding)
        if code_set(known) in {CodeSet.UNKNOWN, CodeSet.FOREIGN}:
            known = Coding(None, coding.code)
        yield from labels_of(known, at)
    if document.segmented:
        yield confidentiality_label(Confidentiality.R, Basis.RECEIVED, at, "ds4p segmented document")


def _says_level(document: Ccda) -> bool:
    return any(canonical(coding).system == CONFIDENTIALITY for coding in document.labels)


def _content(tree: Any, at: str) -> tuple[bytes | None, str]:  # noqa: ANN401  JSON
    """Give the bytes that an attachment holds, None where it holds none we can read, and its media type."""
    for step in segments(at):
        number = index(step) if isinstance(tree, list) else None
        tree = tree[number] if number is not None else tree[step]
    data, kind = tree.get("data"), tree.get("contentType")
    media = kind.strip().lower() if isinstance(kind, str) else ""
    if not isinstance(data, str) or len(data) > _MOST:
        return None, media
    try:
        return binascii.a2b_base64(data), media
    except (binascii.Error, ValueError):
        return None, media
