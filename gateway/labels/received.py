"""The labels a resource came with, in one spelling: meta.security, DS4P inline labels and bases, document labels.

Rules of this file
1. A label whose system is missing raises and never lowers: it counts, and does not stand for the default (L005).
2. A code we do not list of a system we list is unknown and takes V; a label we cannot read too. A label of another
   system is kept, unknown, and takes R: someone marked this, and we cannot tell why.
3. Inline labels count wherever they stand; PROCESSINLINELABEL is not needed (labels.md section 6).
4. Display is never read.
"""

from collections.abc import Iterator
from typing import Any, Final

from consent_store.model import CONFIDENTIALITY, Coding
from gateway.fhir.code_systems import canonical_system
from gateway.fhir.pointer import index, segments
from gateway.fhir.terminology import CodeSet, canonical, code_set, listed_as
from gateway.fhir.view import ResourceView
from gateway.labels.model import LABEL_BASIS, Basis, Confidentiality, Kind, Label

# DS4P extensions, by the last step of their URL: any publisher's form of them counts.
_LABELLING: Final = frozenset(
    {"extension-inline-sec-label", "inline-sec-label", "extension-sec-label-basis", "sec-label-basis"}
)
_KINDS: Final = {
    CodeSet.CONFIDENTIALITY: Kind.CONFIDENTIALITY,
    CodeSet.SENSITIVITY: Kind.SENSITIVITY,
    CodeSet.POLICY: Kind.POLICY,
    CodeSet.UNKNOWN: Kind.UNKNOWN,
    CodeSet.FOREIGN: Kind.UNKNOWN,
}
MALFORMED: Final = "malformed"


def received_labels(view: ResourceView) -> tuple[tuple[Label, ...], bool]:
    """Every label the resource carries, and whether its own confidentiality is stated (with system, for the whole)."""
    if not (view.security or view.extensions or view.malformed or view.type in _DOCUMENT_LABELS):
        return (), False
    labels: list[Label] = []
    stated = False
    for coding in view.security:
        found = labels_of(coding, "")
        labels += found
        stated = stated or (found[0].kind is Kind.CONFIDENTIALITY and canonical_system(coding.system) is not None)
    for at, url in (*view.extensions, *view.modifier_extensions):
        if "sec-label" in url:
            labels += _extension_labels(view, at, url)
    if view.type in _DOCUMENT_LABELS:
        document = [label for coding in _document_codings(view) for label in labels_of(coding, "")]
        labels += document
        stated = stated or any(label.kind is Kind.CONFIDENTIALITY for label in document)
    for at in view.malformed:
        labels += _unreadable(at)
    return tuple(labels), stated


def labels_of(coding: Coding, at: str) -> tuple[Label, ...]:
    """The labels that one security Coding stands for at `at`; the first is the code itself. Never empty."""
    if coding.code is None or not coding.code.strip():
        return _unreadable(at)
    one = canonical(coding)
    if one.system is None:
        meant = listed_as(coding.code)
        return tuple(label for found in meant for label in labels_of(found, at)) or _unreadable(at)
    what = code_set(one)
    label = Label(_KINDS.get(what, Kind.HANDLING), one.system, one.code or "", Basis.RECEIVED, at)
    if what is CodeSet.UNKNOWN:
        return (label, confidentiality_label(Confidentiality.V, Basis.RECEIVED, at, "unknown code"))
    if what is CodeSet.FOREIGN:
        return (label, confidentiality_label(Confidentiality.R, Basis.RECEIVED, at, "code of another system"))
    return (label,)


def confidentiality_label(level: Confidentiality, basis: Basis, at: str, source: str) -> Label:
    """A confidentiality label of ours."""
    return Label(Kind.CONFIDENTIALITY, CONFIDENTIALITY, level.name, basis, at, source)


def _unreadable(at: str) -> tuple[Label, ...]:
    """What stands for a label, or a coding, of a wrong shape."""
    return (
        Label(Kind.UNKNOWN, "", MALFORMED, Basis.RECEIVED, at),
        confidentiality_label(Confidentiality.V, Basis.RECEIVED, at, MALFORMED),
    )


def _extension_labels(view: ResourceView, at: str, url: str) -> tuple[Label, ...]:
    """The label in a DS4P extension at `at`, about the element that carries it; nothing for other extensions."""
    if url.partition("|")[0].rstrip("/").rpartition("/")[2] not in _LABELLING:
        return ()
    parts = list(segments(at))
    carrier = parts[:-2]  # without `extension` and its index
    about = "" if carrier[:1] == ["meta"] else "".join("/" + _element(part) for part in carrier)
    value = _at(view.tree, parts)
    coding = value.get("valueCoding") if isinstance(value, dict) else None
    if not isinstance(coding, dict):
        return _unreadable(about)
    if coding.get("system") == LABEL_BASIS:
        return ()
    return labels_of(_coding(coding), about)


def _element(part: str) -> str:
    """The element that a step of a pointer speaks of: `_birthDate` is birthDate."""
    return part.removeprefix("_").replace("~", "~0").replace("/", "~1")


def _at(tree: Any, parts: list[str]) -> object:  # noqa: ANN401  JSON
    """What stands at a pointer the view gave, or None."""
    for part in parts:
        number = index(part) if isinstance(tree, list) else None
        if isinstance(tree, dict):
            tree = tree.get(part)
        elif isinstance(tree, list) and number is not None and number < len(tree):
            tree = tree[number]
        else:
            return None
    return tree


def _coding(value: dict[str, Any]) -> Coding:
    """A Coding of whatever the text has; a wrong type counts as absent, and so as unreadable or unsystematic."""
    system, code = value.get("system"), value.get("code")
    return Coding(system if isinstance(system, str) else None, code if isinstance(code, str) else None)


_DOCUMENT_LABELS: Final = frozenset({"DocumentReference", "DocumentManifest", "Composition"})


def _document_codings(view: ResourceView) -> Iterator[Coding]:
    """DocumentReference.securityLabel and Composition.confidentiality: labels of the document they stand for."""
    if "confidentiality" in view.tree:
        code = view.tree["confidentiality"]
        yield Coding(CONFIDENTIALITY, code if isinstance(code, str) else None)
    concepts = view.tree.get("securityLabel", [])
    for concept in concepts if isinstance(concepts, list) else [concepts]:
        codings = concept.get("coding") if isinstance(concept, dict) else None
        for coding in codings if isinstance(codings, list) else [None]:
            yield _coding(coding) if isinstance(coding, dict) else Coding(None, None)
