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

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final

import msgspec

from consent_store.model import Coding
from gateway.decision.consents.truth import NO, UNSURE, YES, Match
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


class PermitLabels(msgspec.Struct, frozen=True, eq=False):
    """The test of a permit: the sensitivities `covered`, by the tags carried too (`by_tag`), the `tags` covered, the
    `highest` confidentiality, and labels of no kind we know (rule 1)."""

    covered: frozenset[str]
    tags: frozenset[str]
    by_tag: Mapping[str, frozenset[str]]
    highest: Confidentiality | None
    others: frozenset[Coding] = frozenset()

    def __call__(self, labels: Labels) -> Match:
        """Say whether the permit covers a resource with these labels."""
        if labels.unknown:
            return UNSURE
        if labels.sensitivities or labels.policies:
            if not labels.policies <= self.tags:
                return NO
            open_codes = labels.sensitivities - self.covered
            for tag, codes in self.by_tag.items():
                if tag in labels.policies:
                    open_codes -= codes
            return NO if open_codes else YES
        if self.highest is not None and labels.confidentiality <= self.highest:
            return YES
        itself = labels.confidentiality <= Confidentiality.N and _carries(labels, self.others)
        return YES if itself else NO


class DenyLabels(msgspec.Struct, frozen=True, eq=False):
    """The test of a deny: any of the sensitivities `codes` or of the `tags`, confidentiality from `lowest` up, or a
    label of no kind we know (rule 2)."""

    codes: frozenset[str]
    tags: frozenset[str]
    lowest: Confidentiality | None
    others: frozenset[Coding]

    def __call__(self, labels: Labels) -> Match:
        """Say whether the deny reaches a resource with these labels."""
        if not self.codes.isdisjoint(labels.sensitivities) or not self.tags.isdisjoint(labels.policies):
            return YES
        if self.lowest is not None and labels.confidentiality >= self.lowest:
            return YES
        if self.others and _carries(labels, self.others):
            return YES
        return UNSURE if labels.unknown else NO


nothing_special: Final = PermitLabels(frozenset(), frozenset(), {}, Confidentiality.N)
"""Is a resource normal data: no sensitivity, no policy tag, confidentiality N or below?

What an HRex Consent under the #regular policy permits (HL7 Da Vinci HRex, Consent profile)."""


class _Listed(msgspec.Struct, frozen=True):
    """The labels of one provision by kind."""

    levels: tuple[Confidentiality, ...]
    sensitivities: frozenset[str]
    policies: frozenset[str]
    others: frozenset[Coding]


def permit_labels(codings: Iterable[Coding]) -> PermitLabels:
    """Give the test for the labels of a permit."""
    listed = _sort([coding for coding in codings if coding.system is not None])
    covered = frozenset().union(*map(_all_under, listed.sensitivities))
    tags = listed.policies | {tag for tag, code in _DESCRIBED_BY.items() if code in covered}
    by_tag = {tag: _COVERED_BY_TAG[tag] for tag in listed.policies if tag in _COVERED_BY_TAG}
    return PermitLabels(covered, tags, by_tag, max(listed.levels, default=None), listed.others)


def deny_labels(codings: Iterable[Coding]) -> DenyLabels:
    """Give the test for the labels of a deny."""
    listed = _sort(codings)
    codes = frozenset().union(*(deny_cluster(code) | _all_over(code) for code in listed.sensitivities))
    tags = listed.policies | {tag for tag, code in _DESCRIBED_BY.items() if code in codes}
    if PSYCHOTHERAPY_NOTES in tags:
        codes |= {"PSYTHPN"}
    return DenyLabels(codes, tags, min(listed.levels, default=None), listed.others)


def other_labels(codings: Iterable[Coding]) -> bool:
    """Say whether a label is listed that is no confidentiality, sensitivity or policy: it is looked for as it is."""
    return bool(_sort(codings).others)


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
