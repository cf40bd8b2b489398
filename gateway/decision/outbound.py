"""What a released resource says about itself: the labels its recipient must honour, and meta without provenance.

Rules of this file (leaks.md L038, L039)
1. Outbound labels are those of released content, plus what the recipient must obey. Nothing of what was cut: so they
   are written anew, in one form, whether or not they are those that came; but to the patient, who gets upstream's text.
2. Of meta every caller but the patient gets version, date, profile and labels: source, tags, extensions and what a
   server added of its own tell where a record came from.
3. The 42 CFR 2.32 statement travels in meta as DS4P display text, exactly on resources disclosed under a consent; the
   scope of that consent (2.32(b)) as DS4P related artifact of the 42CFRPart2 label, as a justification in words.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from consent_store.model import ACT_CODE, CONFIDENTIALITY, Coding
from gateway.decision.combine import Ruling
from gateway.decision.model import Edit, Op
from gateway.fhir.confidentiality import Confidentiality
from gateway.fhir.pointer import escape
from gateway.fhir.view import ResourceView
from gateway.labels.assign import PART2
from gateway.labels.model import Basis, Kind, Labels

PART2_NOTICE: Final = "part2_notice_2.32"
PART2_LABEL: Final = "label_42CFRPart2"
# 42 CFR 2.32(a)(2), the short form of the statement.
_STATEMENT: Final = "42 CFR part 2 prohibits unauthorized use or disclosure of these records."
_META: Final = frozenset({"versionId", "lastUpdated", "profile", "security", "extension"})
_LABEL: Final = frozenset({"system", "version", "code", "display", "userSelected"})
_WORDS: Final = ("version", "display")
_ARTIFACT: Final = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-sec-label-related-artifact"
_DISPLAY: Final = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-display"


def labels_out(labels: Labels, ruling: Ruling) -> tuple[Coding, ...]:
    """Give the codes a released resource carries: its received labels that still speak of released content (none that
    nobody knows), what Part 2 demands, and the refrain codes. Empty where it had none and nothing must be obeyed.

    Confidentiality comes first, the rest by system and code: not even their order tells what else there was (L039).
    """
    received = [one for one in labels.labels if one.basis is Basis.RECEIVED and one.kind is not Kind.UNKNOWN]
    refrains = tuple(Coding(ACT_CODE, code) for code in ruling.refrains)
    part2 = PART2 in labels.policies and (PART2_LABEL in ruling.obligations or bool(refrains))
    if not received and not part2:
        return tuple(sorted(refrains, key=lambda one: one.code or ""))
    codes = [Coding(CONFIDENTIALITY, labels.confidentiality.name)]
    codes += [Coding(one.system, one.code) for one in received if one.kind is not Kind.CONFIDENTIALITY]
    codes += [Coding(ACT_CODE, PART2)] if part2 else []
    rest = sorted({*codes[1:], *refrains}, key=lambda one: (one.system or "", one.code or ""))
    return (codes[0], *rest)


def container_labels(released: Iterable[Coding]) -> tuple[Coding, ...]:
    """Give the label of a container that had one: the highest level of what is released in it, nothing else (L039)."""
    known = Confidentiality.__members__
    codes = (one.code for one in released if one.system == CONFIDENTIALITY and one.code is not None)
    levels = [known[code] for code in codes if code in known]
    return (Coding(CONFIDENTIALITY, max(levels, default=Confidentiality.N).name),)


def meta_edits(view: ResourceView, out: tuple[Coding, ...], ruling: Ruling, whole: bool) -> tuple[Edit, ...]:  # noqa: FBT001  says itself in the name
    """Give the edits of `meta`: security as it goes out, the notice, and of the rest what says nothing of where the
    record comes from (`whole`: all of it)."""
    meta = view.tree.get("meta")
    worded = {} if whole or not isinstance(meta, dict) else _worded(meta.get("security"))
    security = [_label(coding, ruling.scopes) | worded.get(coding, {}) for coding in out]
    notice = PART2_NOTICE in ruling.obligations
    if not isinstance(meta, dict):
        fresh: dict[str, Any] = {"extension": [_notice()]} if notice else {}
        fresh |= {"security": security} if security else {}
        if fresh:
            return (Edit(Op.REPLACE if "meta" in view.tree else Op.INSERT, "/meta", msgspec.json.encode(fresh)),)
        return () if "meta" not in view.tree else (Edit(Op.CUT, "/meta"),)
    edits = [Edit(Op.CUT, f"/meta/{escape(name)}") for name in meta if not whole and name not in _META]
    same = whole and sorted(out, key=str) == sorted(view.security, key=str)
    if not same or ruling.scopes or not _plain(meta.get("security", [])):
        edits += _member(meta, "security", security)
    if notice:
        kept = meta["extension"] if whole and isinstance(meta.get("extension"), list) else []
        edits += _member(meta, "extension", [*kept, _notice()])
    elif "extension" in meta and not whole:
        edits.append(Edit(Op.CUT, "/meta/extension"))
    return tuple(edits)


def _label(coding: Coding, scopes: tuple[str, ...]) -> dict[str, Any]:
    label: dict[str, Any] = {"system": coding.system, "code": coding.code}
    if coding.code == PART2 and coding.system == ACT_CODE and scopes:
        artifacts = [{"type": "justification", "display": text} for text in scopes]
        label = {"extension": [{"url": _ARTIFACT, "valueRelatedArtifact": one} for one in artifacts]} | label
    return label


def _worded(security: object) -> dict[Coding, dict[str, Any]]:
    """Give what upstream says of each label beside its code. Of a level nothing: it may be another's than came."""
    listed = [one for one in security if isinstance(one, dict)] if isinstance(security, list) else []
    return {
        Coding(one.get("system"), one.get("code")): {
            name: one[name] for name in _WORDS if isinstance(one.get(name), str)
        }
        for one in reversed(listed)
        if isinstance(one.get("code"), str) and isinstance(one.get("system"), str) and one["system"] != CONFIDENTIALITY
    }


def _plain(security: object) -> bool:
    """Say whether labels are codes and their words alone: an extension of a label may name who gave it."""
    return isinstance(security, list) and all(isinstance(one, dict) and one.keys() <= _LABEL for one in security)


def _member(meta: dict[str, Any], name: str, value: list[Any]) -> list[Edit]:
    path = f"/meta/{name}"
    if not value:
        return [Edit(Op.CUT, path)] if name in meta else []
    return [Edit(Op.REPLACE if name in meta else Op.INSERT, path, msgspec.json.encode(value))]


def _notice() -> dict[str, Any]:
    # DS4P extension-display (labels.md section 6) carries renderable text in meta; an Annotation needs its text.
    return {"url": _DISPLAY, "valueAnnotation": {"text": _STATEMENT}}
