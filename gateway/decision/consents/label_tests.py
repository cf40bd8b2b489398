"""Does the securityLabel of a provision match a resource's labels? A permit and a deny read it differently.

Rules of this file (consent-semantics section 3, securityLabel; labels.md section 3; L004)
1. A permit's labels must together cover every sensitivity and policy tag; confidentiality need not be listed then.
   Where the resource has none of these, its confidentiality must be at or below the highest listed one.
2. A deny matches on any one: confidentiality at or above the lowest listed, a sensitivity of the same cluster, under
   or over a listed one, a listed tag.
3. A Part 2 tag and SUD describe each other: SUD covers the tag; the tag, where the resource carries it, covers the SUD
   codes. So do psychotherapy notes, as law (HIPAAPsyNotes) and as sensitivity (PSYTHPN).
4. Labels of which something is unknown match no permit that is limited by label, and every such deny.
5. A code we do not know matches only itself, and never makes a permit cover more than normal data.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

import msgspec

from consent_store.model import Coding
from gateway.decision.consents.truth import Match
from gateway.fhir import v3_tables
from gateway.fhir.terminology import (
    CONFIDENTIALITY_ORDER,
    CodeSet,
    canonical,
    code_set,
    deny_cluster,
    listed_as,
    sensitivity_is_a,
)
from gateway.labels.model import Confidentiality, Labels

LabelTest = Callable[[Labels], Match]

PART2: Final = "42CFRPart2"
PSYCHOTHERAPY_NOTES: Final = "HIPAAPsyNotes"
# Tag of a law -> the sensitivity that describes the same records, and the codes the tag covers where it is carried.
_DESCRIBED_BY: Final = {PART2: "SUD", PSYCHOTHERAPY_NOTES: "PSYTHPN"}
_COVERED_BY_TAG: Final = {PART2: deny_cluster("SUD"), PSYCHOTHERAPY_NOTES: frozenset({"PSYTHPN"})}


class _Listed(msgspec.Struct, frozen=True):
    """The labels of one provision by kind."""

    levels: tuple[Confidentiality, ...]
    sensitivities: frozenset[str]
    policies: frozenset[str]
    others: frozenset[Coding]


def permit_labels(codings: Iterable[Coding]) -> LabelTest:
    """Give the test for the labels of a permit."""
    listed = _sort([coding for coding in codings if coding.system is not None])
    covered = frozenset().union(*map(_all_under, listed.sensitivities))
    tags = listed.policies | {tag for tag, code in _DESCRIBED_BY.items() if code in covered}
    by_tag = {tag: _COVERED_BY_TAG[tag] for tag in listed.policies if tag in _COVERED_BY_TAG}
    highest = max(listed.levels, default=None)

    def test(labels: Labels) -> Match:
        if labels.unknown:
            return Match.UNSURE
        if labels.sensitivities or labels.policies:
            if not labels.policies <= tags:
                return Match.NO
            open_codes = labels.sensitivities - covered
            for tag, codes in by_tag.items():
                if tag in labels.policies:
                    open_codes -= codes
            return Match.NO if open_codes else Match.YES
        if highest is not None and labels.confidentiality <= highest:
            return Match.YES
        itself = labels.confidentiality <= Confidentiality.N and _carries(labels, listed.others)
        return Match.YES if itself else Match.NO

    return test


def deny_labels(codings: Iterable[Coding]) -> LabelTest:
    """Give the test for the labels of a deny."""
    listed = _sort(codings)
    codes = frozenset().union(*(deny_cluster(code) | _all_over(code) for code in listed.sensitivities))
    tags = listed.policies | {tag for tag, code in _DESCRIBED_BY.items() if code in codes}
    if PSYCHOTHERAPY_NOTES in tags:
        codes |= {"PSYTHPN"}
    lowest = min(listed.levels, default=None)

    def test(labels: Labels) -> Match:
        if not codes.isdisjoint(labels.sensitivities) or not tags.isdisjoint(labels.policies):
            return Match.YES
        if lowest is not None and labels.confidentiality >= lowest:
            return Match.YES
        if listed.others and _carries(labels, listed.others):
            return Match.YES
        return Match.UNSURE if labels.unknown else Match.NO

    return test


def other_labels(codings: Iterable[Coding]) -> bool:
    """Say whether a label is listed that is no confidentiality, sensitivity or policy: it is looked for as it is."""
    return bool(_sort(codings).others)


def nothing_special(labels: Labels) -> Match:
    """Say whether a resource is normal data: no sensitivity, no policy tag, confidentiality N or below.

    What an HRex Consent under the #regular policy permits (HL7 Da Vinci HRex, Consent profile).
    """
    if labels.unknown:
        return Match.UNSURE
    special = labels.sensitivities or labels.policies or labels.confidentiality > Confidentiality.N
    return Match.NO if special else Match.YES


def _sort(codings: Iterable[Coding]) -> _Listed:
    levels: list[Confidentiality] = []
    sensitivities, policies, others = set[str](), set[str](), set[Coding]()
    for coding in codings:
        for one in _meanings(coding):
            kind = code_set(one)
            if kind is CodeSet.CONFIDENTIALITY and one.code and one.code in CONFIDENTIALITY_ORDER:
                levels.append(Confidentiality[one.code])
            elif kind is CodeSet.SENSITIVITY and one.code:
                sensitivities.add(one.code)
            elif kind is CodeSet.POLICY and one.code:
                policies.add(one.code)
            else:
                others.add(one)
    return _Listed(tuple(levels), frozenset(sensitivities), frozenset(policies), frozenset(others))


def _meanings(coding: Coding) -> tuple[Coding, ...]:
    """Give what a label may mean: itself, or without a system every listed code of that spelling (for denies alone)."""
    if coding.system is not None or coding.code is None:
        return (canonical(coding),)
    return listed_as(coding.code) or (coding,)


@lru_cache(maxsize=256)
def _all_under(code: str) -> frozenset[str]:
    return frozenset({code, *(one for one in v3_tables.SENSITIVITIES if sensitivity_is_a(one, code))})


@lru_cache(maxsize=256)
def _all_over(code: str) -> frozenset[str]:
    return frozenset(one for one in v3_tables.SENSITIVITIES if sensitivity_is_a(code, one))


def _carries(labels: Labels, codings: frozenset[Coding]) -> bool:
    return any(Coding(label.system, label.code) in codings for label in labels.labels)
