"""What a released resource says about itself: the labels its recipient must honour, and meta without provenance.

Rules of this file (leaks.md L038, L039)
1. Outbound labels are those of released content, plus what the recipient must obey. Nothing of what was cut.
2. meta.source and meta.tag go for every caller but the patient: they tell where a record came from.
3. The 42 CFR 2.32 statement travels in meta as DS4P display text, exactly on resources disclosed under a consent.
"""

from typing import Any, Final

import msgspec

from consent_store.model import ACT_CODE, CONFIDENTIALITY, Coding
from gateway.decision.combine import Ruling
from gateway.decision.model import Edit, Op
from gateway.fhir.view import ResourceView
from gateway.labels.model import Basis, Kind, Labels

PART2_NOTICE: Final = "part2_notice_2.32"
# 42 CFR 2.32(a)(2), the short form of the statement.
_STATEMENT: Final = "42 CFR part 2 prohibits unauthorized use or disclosure of these records."
_DISPLAY: Final = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-display"


def labels_out(labels: Labels, refrains: tuple[str, ...]) -> tuple[Coding, ...]:
    """Give the codes a released resource carries: its received labels that still speak of released content, what Part 2
    demands, and the refrain codes. Empty where the record had none and nothing must be obeyed."""
    received = [label for label in labels.labels if label.basis is Basis.RECEIVED]
    part2 = "42CFRPart2" in labels.policies and refrains
    if not received and not part2:
        return tuple(Coding(ACT_CODE, code) for code in refrains)
    codes = [Coding(CONFIDENTIALITY, labels.confidentiality.name)]
    codes += [Coding(one.system, one.code) for one in received if one.kind is not Kind.CONFIDENTIALITY]
    codes += [Coding(ACT_CODE, "42CFRPart2")] if part2 else []
    codes += [Coding(ACT_CODE, code) for code in refrains]
    return tuple(dict.fromkeys(codes))


def meta_edits(view: ResourceView, out: tuple[Coding, ...], ruling: Ruling, whole: bool) -> tuple[Edit, ...]:  # noqa: FBT001
    """Give the edits of `meta`: security as it goes out, the notice, and no source or tags (unless `whole`)."""
    meta = view.tree.get("meta")
    has_meta = isinstance(meta, dict)
    edits: list[Edit] = []
    if not whole and isinstance(meta, dict):
        edits += [Edit(Op.CUT, f"/meta/{name}") for name in ("source", "tag") if name in meta]
    security = [{"system": coding.system, "code": coding.code} for coding in out]
    notice = PART2_NOTICE in ruling.obligations
    if not has_meta and (security or notice):
        fresh: dict[str, Any] = {"extension": [_notice()]} if notice else {}
        return (
            Edit(Op.INSERT, "/meta", msgspec.json.encode({**fresh, **({"security": security} if security else {})})),
        )
    if not isinstance(meta, dict):
        return ()
    if out != view.security:
        edits += _member(meta, "security", security)
    if notice:
        notice_text = msgspec.json.encode(_notice())
        fresh_list = Edit(Op.INSERT, "/meta/extension", b"[" + notice_text + b"]")
        edits.append(Edit(Op.INSERT, "/meta/extension/-", notice_text) if "extension" in meta else fresh_list)
    return tuple(edits)


def _member(meta: dict[str, Any], name: str, value: list[Any]) -> list[Edit]:
    path = f"/meta/{name}"
    if not value:
        return [Edit(Op.CUT, path)] if name in meta else []
    return [Edit(Op.REPLACE if name in meta else Op.INSERT, path, msgspec.json.encode(value))]


def _notice() -> dict[str, Any]:
    # DS4P extension-display (labels.md section 6) carries renderable text in meta; an Annotation needs its text.
    return {"url": _DISPLAY, "valueAnnotation": {"text": _STATEMENT}}
