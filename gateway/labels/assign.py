"""All labels of one resource: what it came with, what its codes, texts, source and context say, and the default.

Rules of this file
1. Labels add up. Nothing takes one away, and confidentiality is the highest of all (labels.md section 2, L004).
2. Every label names the element it speaks of and who says so; what implies a level does so at the same element.
3. Where no confidentiality was stated for the resource, the profile's default stands; it never lowers what was found.
4. SUD-coded and not known to be from outside Part 2 is Part 2, where the switch is on (ARCHITECTURE section 6).
5. What no known system classifies is unclassified (gateway.labels.unclassified): unknown, and of the profile's level.
6. Contained and nested resources are labelled on their own; a container's level is made of what is released of them.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from consent_store.model import ACT_CODE, Coding
from gateway.fhir.code_systems import LOINC
from gateway.fhir.terminology import deny_cluster
from gateway.fhir.v3_tables import POLICIES
from gateway.fhir.view import ResourceView
from gateway.labels.attached import attached
from gateway.labels.context import LabelContext, SourceKind
from gateway.labels.free_text import has_free_text
from gateway.labels.lists import Hit
from gateway.labels.model import Basis, Confidentiality, Kind, Label, Labels
from gateway.labels.received import confidentiality_label, received_labels
from gateway.labels.rules import SUD_WITHOUT_KNOWN_SOURCE, UNKNOWN_SOURCE, LabelRules
from gateway.labels.unclassified import unclassified
from gateway.policy.model import Unlabelled

PART2: Final = "42CFRPart2"
IMPLIED: Final = "implied by"
UNCLASSIFIED: Final = "codes of systems that are not known here"
_IMPLYING: Final = frozenset({Kind.SENSITIVITY, Kind.POLICY})
_SUD: Final = deny_cluster("SUD")
_LOINC_AT_END: Final = re.compile(r"(?:(?<=/)\d{3,6}|^\d{4,6})-\d(?=(?:\|[^/]*)?$)").search
_UNREAD: Final = re.compile(r"/meta/security/|.*/name/(?:\d+/)?(?:given|family|prefix|suffix)(?:/\d+)?$").match
# Where a record may say when it took place; the first that is there speaks.
_DATES: Final = ("billablePeriod", "period", "effectivePeriod", "effectiveDateTime", "occurrenceDateTime", "created")


def assign(view: ResourceView, context: LabelContext, rules: LabelRules) -> Labels:
    """Give every label of one resource. Pure: same view, context and rules, same labels.

    Source: labels.md sections 2, 3, 6 and 10; leaks.md L002 to L006; ARCHITECTURE section 6, "SUD codes and Part 2".
    """
    received, stated = received_labels(view)
    if view.attachments:
        content, states = _attached(view, rules)
        received, stated = (*received, *content), stated or states
    found = [*received, *_coded(view, rules), *_mentioned(view, rules), *context.propagated]
    if context.source_kinds:
        found += _from_source(context, rules)
    if (concept := unclassified(view)) is not None:
        found += [
            Label(Kind.UNKNOWN, "", "unclassified", Basis.CODE, concept, UNCLASSIFIED),
            confidentiality_label(rules.unclassified, Basis.CODE, concept, UNCLASSIFIED),
        ]
    if not stated:
        default = _default(view, rules.unlabelled)
        if not found:
            return _alone(default)
        found.append(default)
    found += _part2_by_code(found, context, rules)
    found += _implied(found, rules)
    return summarise(found, rules.unknown_source_is_sensitive and context.unresolved)


def summarise(labels: Iterable[Label], unknown: bool) -> Labels:  # noqa: FBT001  the value's own field
    """Give labels in order with the sets over all of them. No confidentiality among them counts as the highest.

    `unknown` says what the labels themselves do not: that something about the resource could not be established.
    """
    ordered = tuple(sorted(set(labels)))
    levels = [Confidentiality[label.code] for label in ordered if label.kind is Kind.CONFIDENTIALITY]
    return Labels(
        labels=ordered,
        confidentiality=max(levels, default=Confidentiality.V),
        sensitivities=frozenset(label.code for label in ordered if label.kind is Kind.SENSITIVITY),
        policies=frozenset(label.code for label in ordered if label.kind is Kind.POLICY),
        unknown=unknown or any(label.kind is Kind.UNKNOWN for label in ordered),
        unread=any(label.kind is Kind.UNKNOWN and label.source != UNCLASSIFIED for label in ordered),
    )


@lru_cache(maxsize=64)
def _alone(default: Label) -> Labels:
    """The labels of a resource of which nothing is known but its default."""
    return summarise((default,), unknown=False)


def _coded(view: ResourceView, rules: LabelRules) -> list[Label]:
    """What the codings say, each at its own element."""
    find = rules.codes.find
    found = [(one.at, hits) for one in view.codings if (hits := find(one.coding))]
    if view.type == "QuestionnaireResponse":
        found += [(at, hits) for at, coding in _answered(view) if (hits := find(coding))]
    if shape := rules.codes.shape(
        view.type, meta.get("profile") if isinstance(meta := view.tree.get("meta"), dict) else None
    ):
        found.append(("", shape))
    return [
        _label(hit, Basis.CODE, at)
        for at, hits in found
        for hit in hits
        if not hit.until or not _later(view.tree, hit.until)
    ]


def _answered(view: ResourceView) -> list[tuple[str, Coding]]:
    """What a form asks by code: its own address and its items' ids, as forms made from LOINC panels have them
    (`http://loinc.org/q/44249-1`, `/44250-9`, `44250-9`)."""
    asked = [*view.links, *(text for text in view.texts if text.at.endswith("/linkId"))]
    return [(one.at, Coding(LOINC, code.group())) for one in asked if (code := _LOINC_AT_END(one.text))]


def _mentioned(view: ResourceView, rules: LabelRules) -> list[Label]:
    """What the texts mention, each at its own element. Displays of labels are not read (L005), nor names of persons:
    somebody called like a drug takes none."""
    mentions = rules.terms.find(view.texts)
    return [_label(hit, Basis.TEXT, at) for at, hit in mentions if not _UNREAD(at)]


def _attached(view: ResourceView, rules: LabelRules) -> tuple[list[Label], bool]:
    """What the attachments say, and whether they state the level."""
    (labels, hits), stated = attached(view, rules.codes, rules.terms)
    return [*labels, *(_label(hit, basis, at) for at, basis, hit in hits)], stated


def _label(hit: Hit, basis: Basis, at: str) -> Label:
    kind = Kind.POLICY if hit.code in POLICIES else Kind.SENSITIVITY
    return Label(kind, ACT_CODE, hit.code, basis, at, hit.source)


def _later(tree: Any, until: str) -> bool:  # noqa: ANN401  JSON
    """Whether the record says that it took place after the day `until` (YYYY-MM-DD). Not telling is not later."""
    for name in _DATES:
        value = tree.get(name)
        began = value.get("start") if isinstance(value, dict) else value
        if isinstance(began, str):
            return began[:10] > until
    return False


def _from_source(context: LabelContext, rules: LabelRules) -> list[Label]:
    """What the organisations that made the record say: a Part 2 program's records are Part 2. Each label stands where
    the record names that source, so that a claim can lose the program's part of it."""
    programs = [source for source in context.source_kinds if source.kind is SourceKind.PART2]
    labels = [Label(Kind.POLICY, ACT_CODE, PART2, Basis.SOURCE, one.at, one.participant) for one in programs]
    if rules.unknown_source_is_sensitive and context.unresolved:
        labels.append(confidentiality_label(Confidentiality.R, Basis.SOURCE, "", UNKNOWN_SOURCE))
    return labels


def _part2_by_code(found: list[Label], context: LabelContext, rules: LabelRules) -> list[Label]:
    """SUD data that nobody knows to be from outside Part 2, as Part 2 at the same element."""
    known_outside = context.outside_part2 or not rules.sud_without_known_source_is_part2
    if known_outside and not rules.sud_is_always_part2:
        return []
    return [
        Label(Kind.POLICY, ACT_CODE, PART2, label.basis, label.at, SUD_WITHOUT_KNOWN_SOURCE)
        for label in found
        if label.kind is Kind.SENSITIVITY and label.code in _SUD
    ]


def with_implied(found: list[Label], rules: LabelRules) -> list[Label]:
    """Give labels with the least confidentiality that each sensitivity and policy among them brings with it."""
    return found + _implied(found, rules)


def _implied(found: list[Label], rules: LabelRules) -> list[Label]:
    """The least confidentiality that each sensitivity and policy brings with it, at the same element."""
    return [
        confidentiality_label(rules.implied[label.code], label.basis, label.at, f"{IMPLIED} {label.code}")
        for label in found
        if label.kind in _IMPLYING and label.code in rules.implied
    ]


def _default(view: ResourceView, unlabelled: Unlabelled) -> Label:
    """The profile's default (L003): its type's own where the profile names the type, else by free text."""
    level = unlabelled.types.get(view.type)
    if level is not None:
        return _default_label(level, view.type)
    if unlabelled.free_text > unlabelled.default and has_free_text(view):
        return _default_label(unlabelled.free_text, "free text")
    return _default_label(unlabelled.default, "any type")


@lru_cache(maxsize=512)
def _default_label(level: Confidentiality, why: str) -> Label:
    return confidentiality_label(level, Basis.DEFAULT, "", f"unlabelled: {why}")
