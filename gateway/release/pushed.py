"""A sender's Bundle and its decisions → what may be forwarded of it, and what the sender is told of the rest.

Rules of this file
1. A transaction or message goes whole or not at all; a batch, collection, document or single record may go in part.
2. A sender is told of its own entries: which one, its labels, the rule and its citation. Never of a consent.
"""

from gateway.decision.judge import Judgement
from gateway.decision.model import Decision, Verdict
from gateway.fhir.bundle import Document
from gateway.release.compose import held_back, manifest_of, released_document, released_text
from gateway.release.released import Released


def compose_push(raw: bytes, document: Document, judgement: Judgement) -> Released | None:
    """Give what may be forwarded of a posted Bundle; None where nothing of it may."""
    text = released_document(raw, document, judgement)
    return None if text is None else Released(200, {}, text, manifest_of([judgement]))


def compose_create(_: bytes, document: Document, judgement: Judgement) -> Released | None:
    """Give what may be forwarded of a single resource that is to be created; None where nothing of it may."""
    text = released_text(document.views[0], judgement)
    return None if text is None else Released(200, {}, text, manifest_of([judgement]))


def told_of(judgement: Judgement) -> tuple[str, ...]:
    """Give a line for each of the sender's resources that was held back, whole or in part."""
    return tuple(_line(decision) for decision in held_back(judgement))


def _line(decision: Decision) -> str:
    type_ = decision.resource.partition("/")[0]
    labels = ", ".join(dict.fromkeys(coding.code for coding in decision.labels_in if coding.code))
    denies = [cause for cause in decision.because if cause.effect == "deny"]
    rules = "; ".join(dict.fromkeys(f"{cause.rule} ({cause.cite})" if cause.cite else cause.rule for cause in denies))
    held = "withheld" if decision.verdict is Verdict.WITHHELD else "only in part"
    return f"{decision.at or '/'} {type_}: {held}; labels: {labels or 'none'}; rules: {rules or 'nothing permits it'}"
