"""Labels that were found → the same text with those labels in meta.security, each with why (DS4P). Pure.

Rules of this file (docs/labels.md)
1. Everything that came stays in its own text; what is there already is not written twice.
2. One confidentiality a resource, the highest; a lower one that came gives way (labels.md section 2).
3. A new label says why: DS4P basis (the law, or how it was found) and classifier (which list, or whose label, where).
4. What was said of an element alone (inline) stays said of that element.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from consent_store.model import ACT_CODE, CONFIDENTIALITY, Coding
from gateway.decision.model import Edit, Op
from gateway.decision.parts import prefixed
from gateway.directory.model import Directory
from gateway.errors import QuestionError
from gateway.facts.answer import Shelf
from gateway.facts.labelling import Labelled, Labeller, container_labels
from gateway.fhir.bundle import Document, read_document
from gateway.fhir.terminology import canonical, deny_cluster
from gateway.fhir.view import ResourceView
from gateway.labels.assign import PART2
from gateway.labels.model import LABEL_BASIS, Basis, Confidentiality, Kind, Label, Labels
from gateway.release.edits import apply

_DS4P: Final = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/"
BASIS: Final = f"{_DS4P}extension-sec-label-basis"
CLASSIFIER: Final = f"{_DS4P}extension-sec-label-classifier"
# Which of several grounds is told.
_ORDER: Final = (Basis.RECEIVED, Basis.CODE, Basis.SOURCE, Basis.TEXT, Basis.CONTEXT, Basis.DEFAULT)
_WRITTEN: Final = (Kind.SENSITIVITY, Kind.POLICY)
_PART2_MATTER: Final = deny_cluster("SUD") | {PART2}


class _Envelope(msgspec.Struct):
    """What is read of a Bundle's own text."""

    meta: Any = None


def labelled_text(raw: bytes, document: Document, found: Sequence[Labelled]) -> bytes:
    """Give the document's text with every label that is not there yet. Raises ValueError for a resource whose meta is
    of no form that a label can be added to."""
    edits = [edit for one in found for edit in prefixed(_edits(one), one.view.at)]
    if document.bundle is not None:
        tree = {"meta": meta} if (meta := msgspec.json.decode(raw, type=_Envelope).meta) is not None else {}
        bundle = ResourceView("", b"", tree, "Bundle", None, security=document.bundle.security)
        edits += _edits(Labelled(bundle, container_labels(found)))
    return apply(raw, edits)


def label_answer(raw: bytes, shelf: Shelf, profile: str, directory: Directory, *, lines: bool) -> bytes:
    """Give a body of records with its labels: one document, or NDJSON. Raises QuestionError for an unknown profile and
    for what cannot be read, by line."""
    if profile not in shelf.policies:
        raise QuestionError(f"no profile `{profile}`; there are {', '.join(sorted(shelf.policies))}")
    labeller = Labeller(shelf.policies[profile], shelf.tools[profile], directory)
    if not lines:
        return _answered(raw, labeller, "the body")
    texts = [(number, line.strip()) for number, line in enumerate(raw.splitlines(), 1)]
    return b"".join(_answered(text, labeller, f"line {number}") + b"\n" for number, text in texts if text)


def _answered(raw: bytes, labeller: Labeller, where: str) -> bytes:
    try:
        document = read_document(raw)
        if not all(view.tree for view in document.views):
            raise QuestionError(f"{where}: an object without members is no record")
        return labelled_text(raw, document, labeller.label(document))
    except ValueError as wrong:  # MalformedJson among them
        raise QuestionError(f"{where}: {wrong}") from None


def _edits(one: Labelled) -> Iterator[Edit]:
    """Give the edits that write a resource's labels into its meta."""
    fresh = list(_fresh(one))
    if not fresh:
        return
    meta = one.view.tree.get("meta", {})
    security = meta.get("security", []) if isinstance(meta, dict) else None
    if not isinstance(meta, dict) or not isinstance(security, list):
        raise ValueError("meta is of no form that a label can be added to")  # noqa: TRY004  of the text, not of a call
    if "meta" not in one.view.tree:
        yield Edit(Op.INSERT, "/meta", msgspec.json.encode({"security": fresh}))
        return
    lower = [number for number, coding in enumerate(one.view.security) if _lower(coding, one.labels)]
    if len(lower) == len(security):
        operation = Op.REPLACE if "security" in meta else Op.INSERT
        yield Edit(operation, "/meta/security", msgspec.json.encode(fresh))
        return
    yield from (Edit(Op.CUT, f"/meta/security/{number}") for number in lower)
    yield from (Edit(Op.INSERT, "/meta/security/-", msgspec.json.encode(coding)) for coding in fresh)


def _lower(coding: Coding, labels: Labels) -> bool:
    """Say whether this is a level that came and is lower than what was found."""
    known = canonical(coding)
    is_level = known.system == CONFIDENTIALITY and known.code in Confidentiality.__members__
    return is_level and Confidentiality[known.code or ""] < labels.confidentiality


def _fresh(one: Labelled) -> Iterator[dict[str, Any]]:
    """Give the codings that the resource does not carry yet: its level, then sensitivities and policies."""
    there = {(known.system, known.code) for known in map(canonical, one.view.security)}
    level = one.labels.confidentiality.name
    if (CONFIDENTIALITY, level) not in there:
        said = [label for label in one.labels.labels if label.kind is Kind.CONFIDENTIALITY and label.code == level]
        yield _coding(CONFIDENTIALITY, level, said, one.labels)
    for code in sorted(one.labels.sensitivities | one.labels.policies):
        said = [label for label in one.labels.labels if label.code == code and label.kind in _WRITTEN]
        inline = all(label.basis is Basis.RECEIVED and label.at for label in said)
        if (ACT_CODE, code) not in there and not inline:
            yield _coding(ACT_CODE, code, said, one.labels)


def _coding(system: str, code: str, said: Iterable[Label], labels: Labels) -> dict[str, Any]:
    """Give one label with its grounds."""
    why = min(said, key=lambda label: (_ORDER.index(label.basis), label.at))
    part2 = PART2 in labels.policies and (code in _PART2_MATTER or system == CONFIDENTIALITY)
    law = {"system": ACT_CODE, "code": PART2} if part2 else {"system": LABEL_BASIS, "code": why.basis.value}
    words = [why.basis.value, why.at and f"at {why.at}", why.source and f"({why.source})"]
    told = "consent-gateway: " + " ".join(word for word in words if word)
    extension = [{"url": BASIS, "valueCoding": law}, {"url": CLASSIFIER, "valueReference": {"display": told}}]
    return {"extension": extension, "system": system, "code": code}
