"""The codes privacy is written in: one spelling for each, and how they stand to each other.

Rules of this file
1. Every system URI and code passes through one alias table before anything is decided on it (L005).
2. A code that is not in the tables is never guessed: of a system we list it is unknown, of another it matches itself.
3. Mappings go one way and never widen: T-HCO-CC is CAREMGT, not COC (labels.md section 9).
4. Subsumption is HL7's; clusters are ours, and serve denies only (labels.md section 3).
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Final

from consent_store.model import ACT_CODE, ACT_REASON, CONFIDENTIALITY, Coding
from gateway.fhir import v3_tables as v3
from gateway.fhir.code_systems import OBSERVATION_VALUE, TEFCA_PURPOSE, canonical_system

CONFIDENTIALITY_ORDER: Final[Mapping[str, int]] = {code: rank for rank, code in enumerate("ULMNRV")}
"""v3-Confidentiality as a total order, U < L < M < N < R < V (labels.md section 2)."""


class CodeSet(StrEnum):
    """What a code is for. UNKNOWN: its system is one we list and the code is not in it; FOREIGN: another system."""

    CONFIDENTIALITY = "confidentiality"
    SENSITIVITY = "sensitivity"
    POLICY = "policy"
    DIRECTIVE = "directive"
    REFRAIN = "refrain"
    OBLIGATION = "obligation"
    MARK = "mark"
    COMPARTMENT = "compartment"
    INTEGRITY = "integrity"
    PURPOSE = "purpose"
    UNKNOWN = "unknown"
    FOREIGN = "foreign"


# TEFCA exchange purposes, SOP Exchange Purposes v5.1 (and T-HCO-QM of v4), as ActReason (labels.md section 9).
TEFCA_PURPOSES: Final[Mapping[str, str]] = {
    "T-TREAT": "TREAT",
    "T-TRTMNT": "TREAT",
    "T-PYMNT": "HPAYMT",
    "T-HCO": "HOPERAT",
    "T-HCO-CC": "CAREMGT",
    "T-HCO-HED": "HQUALIMP",
    "T-HCO-QAI": "HQUALIMP",
    "T-HCO-QM": "HQUALIMP",
    "T-HCO-POP": "HQUALIMP",
    "T-HCO-PTSAFETY": "PATSFTY",
    "T-HCO-PERF": "PERFMSR",
    "T-PH": "PUBHLTH",
    "T-PH-ECR": "PUBHLTH",
    "T-PH-ELR": "PUBHLTH",
    "T-IAS": "PATRQT",
    "T-GOVDTRM": "ELIGDTRM",
    "T-GOVDTRM-SSD": "ELIGDTRM",
    "T-GOVDTRM-ACP": "ELIGDTRM",
}

# Which set a code of each listed system belongs to.
_CODE_SETS: Final[Mapping[str, Mapping[str, CodeSet]]] = {
    ACT_CODE: {
        code: code_set
        for table, code_set in (
            (v3.COMPARTMENTS, CodeSet.COMPARTMENT),
            (v3.MARKS, CodeSet.MARK),
            (v3.OBLIGATIONS, CodeSet.OBLIGATION),
            (v3.REFRAINS, CodeSet.REFRAIN),
            (v3.DIRECTIVES, CodeSet.DIRECTIVE),
            (v3.POLICIES, CodeSet.POLICY),
            (v3.SENSITIVITIES, CodeSet.SENSITIVITY),
        )
        for code in table
    },
    ACT_REASON: dict.fromkeys(v3.PURPOSES, CodeSet.PURPOSE),
    CONFIDENTIALITY: dict.fromkeys(v3.CONFIDENTIALITIES, CodeSet.CONFIDENTIALITY),
    OBSERVATION_VALUE: dict.fromkeys(v3.INTEGRITIES, CodeSet.INTEGRITY),
    TEFCA_PURPOSE: dict.fromkeys(TEFCA_PURPOSES, CodeSet.PURPOSE),
}

# Retired v3-Confidentiality codes and their ActCode successors (labels.md section 1; S by its definition, "information
# for which the patient seeks heightened confidentiality"). D and I have none and stay unknown.
_RETIRED_CONFIDENTIALITY: Final[Mapping[str, str]] = {
    "ETH": "ETH",
    "HIV": "HIV",
    "PSY": "PSY",
    "SDV": "SDV",
    "B": "B",
    "C": "CEL",
    "S": "PRS",
    "T": "TBOO",
}
_RESPELLED: Final[Mapping[str, str]] = {"NORDSLCD": "NORDSCLCD", "SICKLE": "SCA"}

# Clusters for denies: what speaks of the same thing beside each other in HL7's tree (labels.md section 3, a, b, d).
_CLUSTERS: Final = (
    frozenset({"ETH", "SUD", "ETHUD", "OPIOIDUD"}),
    frozenset({"PSY", "MH", "BH", "EMOTDIS"}),
    frozenset({"SDV", "VIO", "MST"}),
    frozenset({"CEL", "VIP"}),
    frozenset({"SCA", "SICKLE"}),
)


# Codes by lower case, for each listed system; no two of them differ in case alone (tested).
_BY_CASE: Final = {system: {code.casefold(): code for code in codes} for system, codes in _CODE_SETS.items()}


def canonical(coding: Coding) -> Coding:
    """A Coding in its one spelling: system by the alias table, retired codes as their successors, case of listed codes.

    A missing system stays missing and a code that is not listed stays as written. Source: labels.md section 1, L005.
    """
    system = canonical_system(coding.system)
    code = (coding.code.strip() or None) if coding.code is not None else None
    if system is None or code is None or system not in _CODE_SETS:
        return Coding(system, code)
    if system == CONFIDENTIALITY and code.upper() in _RETIRED_CONFIDENTIALITY:
        return Coding(ACT_CODE, _RETIRED_CONFIDENTIALITY[code.upper()])
    listed = _BY_CASE[system].get(code.casefold(), code)
    return Coding(system, _RESPELLED.get(listed, listed))


def known_system(system: str | None) -> bool:
    """Whether we list this system's privacy codes, so that a code missing there is unknown. Takes any spelling."""
    return canonical_system(system) in _CODE_SETS


def code_set(coding: Coding) -> CodeSet:
    """What a code is for; takes any spelling. Without system: FOREIGN (see `listed_as` for what it may be)."""
    one = canonical(coding)
    if one.system is None or one.system not in _CODE_SETS:
        return CodeSet.FOREIGN
    return _CODE_SETS[one.system].get(one.code or "", CodeSet.UNKNOWN)


def is_known(coding: Coding) -> bool:
    """Whether the code is one of those we list for its system; takes any spelling."""
    return code_set(coding) not in {CodeSet.UNKNOWN, CodeSet.FOREIGN}


def listed_as(code: str) -> tuple[Coding, ...]:
    """Every listed Coding that a code without a system may stand for: for denies and labels, never for a permit (L005).

    Retired v3-Confidentiality codes count as their successors, so "S" may be PRS and "B" is B of ActCode.
    """
    found = [canonical(Coding(system, code)) for system in _CODE_SETS]
    return tuple(dict.fromkeys(one for one in found if is_known(one)))


def _ancestors_or_self(code: str, parents: Mapping[str, tuple[str, ...]]) -> Iterable[str]:
    """The code and everything above it."""
    seen: set[str] = set()
    waiting = [code]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        waiting.extend(parents.get(one, ()))
    return seen


_PURPOSE_ABOVE: Final = {code: frozenset(_ancestors_or_self(code, v3.PURPOSES)) for code in v3.PURPOSES}
_SENSITIVITY_ABOVE: Final = {code: frozenset(_ancestors_or_self(code, v3.SENSITIVITIES)) for code in v3.SENSITIVITIES}


def purpose_is_a(child: Coding, ancestor: Coding) -> bool:
    """Whether one purpose is another or falls under it in v3-ActReason (COC under TREAT, CAREMGT under HOPERAT).

    Both are taken in any spelling. A purpose of another system, or without system, is itself alone.
    """
    below, above = canonical(child), canonical(ancestor)
    if below.system is None or below.code is None or below.system != above.system:
        return False
    if below.code == above.code:
        return True
    return below.system == ACT_REASON and above.code in _PURPOSE_ABOVE.get(below.code, frozenset())


def purpose_of(text: str | Coding) -> Coding:
    """The one purpose that a claim names: `CODE`, `system|code`, `system#code`, `urn:oid:…#code`, or a Coding.

    TEFCA purposes become their ActReason code, one way. A code of another system comes back as it is and matches only
    itself. Raises ValueError for an unknown code of a system we list, a listed code that is no purpose, an empty or
    spaced text, and a bare code that is neither ActReason's nor TEFCA's. Source: purpose-of-use.md section 1.
    """
    coding = _split(text) if isinstance(text, str) else text
    system, code = canonical_system(coding.system), coding.code
    if not code or code != code.strip() or (coding.system is not None and system is None):
        raise ValueError("not a purpose of use")
    if system is None:
        system = TEFCA_PURPOSE if code in TEFCA_PURPOSES else ACT_REASON
    if system not in _CODE_SETS:
        return Coding(system, code)
    if _CODE_SETS[system].get(code) is not CodeSet.PURPOSE:
        raise ValueError("unknown purpose of use")
    return Coding(ACT_REASON, TEFCA_PURPOSES[code]) if system == TEFCA_PURPOSE else Coding(system, code)


def _split(text: str) -> Coding:
    """A claim's text as a Coding. Raises ValueError where a system or code is empty or text has inner spaces."""
    claim = text.strip()
    if not claim or any(character.isspace() for character in claim):
        raise ValueError("not a purpose of use")
    separator = "#" if "#" in claim else "|"
    system, found, code = claim.rpartition(separator)
    if found and (not system or not code):
        raise ValueError("not a purpose of use")
    return Coding(system if found else None, code)


def sensitivity_is_a(code: str, ancestor: str) -> bool:
    """Whether one sensitivity is another or under it in HL7's tree (ETHUD under SUD under SPI; ETH stands beside)."""
    return code == ancestor or ancestor in _SENSITIVITY_ABOVE.get(code, frozenset())


@lru_cache(maxsize=256)
def deny_cluster(code: str) -> frozenset[str]:
    """The sensitivities that a deny of `code` denies: it, all under it, and what stands beside those in a cluster.

    Denies only; a permit needs the exact code or HL7's ancestor. PSYTHPN stands alone. Source: labels.md section 3.
    """
    denied = {code, *(one for one, above in _SENSITIVITY_ABOVE.items() if code in above)}
    for cluster in _CLUSTERS:
        if denied & cluster:
            denied |= cluster
    return frozenset(denied)
