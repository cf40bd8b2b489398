"""The labels a recipient gets (L039): what it must obey on what it was given, and nothing about what it was not.

Rules of this file
1. One confidentiality code, of the released form.
2. Handling codes (refrain, obligation, mark, integrity, purpose) the source sent and those the decision adds.
3. Sensitivity and policy codes only where the recipient is cleared for them. Unknown codes never.
4. A container (Bundle, List, document) carries confidentiality only, the highest of what was released in it.
"""

from collections.abc import Iterable

from consent_store.model import ACT_CODE, CONFIDENTIALITY, Coding
from gateway.fhir.confidentiality import Confidentiality
from gateway.labels.model import Basis, Kind, Label, Labels

PROCESS_INLINE = "PROCESSINLINELABEL"


def outbound(labels: Labels, told: frozenset[str] = frozenset(), handling: Iterable[str] = ()) -> tuple[Coding, ...]:
    """Give meta.security for a released resource.

    `labels` are those of the form that is released (what was cut is not among them). `told` are the v3-ActCode
    sensitivity and policy codes the recipient may read; `handling` the v3-ActCode refrain and obligation codes the
    decision puts on it (NORDSCLCD). In order: confidentiality, then the rest by system and code. Source: L039.
    """
    inline = any(label.basis is Basis.RECEIVED and label.at for label in labels.labels)
    rest = {Coding(label.system, label.code) for label in labels.labels if _sent(label, told, inline=inline)}
    rest |= {Coding(ACT_CODE, code) for code in handling}
    ordered = sorted(rest, key=lambda coding: (coding.system or "", coding.code or ""))
    return (Coding(CONFIDENTIALITY, labels.confidentiality.name), *ordered)


def _sent(label: Label, told: frozenset[str], *, inline: bool) -> bool:
    """Whether a label goes out as it is."""
    if label.kind is Kind.HANDLING:
        return label.at == "" and (label.code != PROCESS_INLINE or inline)
    return label.kind in {Kind.SENSITIVITY, Kind.POLICY} and label.system == ACT_CODE and label.code in told


def container_label(released: Iterable[Confidentiality]) -> tuple[Coding, ...]:
    """Give meta.security of a container from the levels of what was released in it; nothing for nothing (L039)."""
    level = max(released, default=None)
    return () if level is None else (Coding(CONFIDENTIALITY, level.name),)
