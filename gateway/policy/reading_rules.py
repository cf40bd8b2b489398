"""One rule of a `flows.yaml` → a Rule.

Rules of this file
1. What a key may say depends on the effect: only a deny has a class, only a permit suspends.
2. `federal_law` is never suspended (law 2).
"""

from collections.abc import Mapping

from gateway.directory.reading import AGREEMENT_TYPES
from gateway.policy.draft import Draft, known_of, party_of, purpose_at
from gateway.policy.model import Condition, DenyClass, Layer, Rule, RuleEffect
from gateway.strict_yaml import Node

# Reason classes of a refusal and the information-blocking exception each may meet (law.md section (d)).
REASONS: Mapping[str, str | None] = {
    "law_part2": "171.202(b)",
    "law_other": "171.202(b)",
    "patient_request": "171.202(e)",
    "agreement_missing_required_by_law": "171.202(b)",
    "agreement_missing_by_policy": None,
    "identity": "171.202(b)",
    "security": "171.203",
    "infeasible_segmentation": "171.204(a)(2)",
    "local_policy": None,
}


def read_flow(node: Node, draft: Draft) -> Rule:
    """Read one rule of a `flows.yaml`. Raises ProfileError."""
    effect = RuleEffect(node.at("effect").one_of([e.value for e in RuleEffect]))
    return Rule(
        id=node.at("id").text(),
        layer=Layer(node.at("layer").one_of([layer.value for layer in Layer])),
        effect=effect,
        deny_class=_deny_class(node.at("class")) if effect is RuleEffect.DENY else None,
        reason=node.at("reason").one_of(REASONS) if effect is RuleEffect.DENY else "",
        says=node.at("says").text(),
        cite=node.at("cite").text(),
        discloser=party_of(node.at("from"), draft),
        recipient=party_of(node.at("to"), draft),
        purposes=tuple(purpose_at(item) for item in node.at("purposes").items()),
        data=known_of(node.at("data"), draft.categories),
        agreements=_among(node.at("agreements"), AGREEMENT_TYPES),
        needs=_conditions(node.at("needs")),
        unless=_conditions(node.at("unless")) if effect is RuleEffect.DENY else (),
        when_false=_conditions(node.at("when_false")) if effect is RuleEffect.DENY else (),
        unless_false=_conditions(node.at("unless_false")) if effect is RuleEffect.PERMIT else (),
        switch=node.at("switch").one_of(draft.switches) if node.at("switch").present else "",
        suspends=_suspended(node) if effect is RuleEffect.PERMIT else frozenset(),
        obligations=node.at("obligations").texts(),
        refrains=node.at("refrains").texts(),
        no_patient=node.at("no_patient").flag(default=False),
    )


def _suspended(node: Node) -> frozenset[DenyClass]:
    classes = frozenset(_deny_class(item) for item in node.at("suspends").items())
    if DenyClass.FEDERAL_LAW in classes:
        raise node.at("suspends").wrong("federal_law is never suspended")
    return classes


def _deny_class(node: Node) -> DenyClass:
    return DenyClass(node.one_of([c.value for c in DenyClass]))


def _among(node: Node, known: frozenset[str]) -> frozenset[str] | None:
    return frozenset(item.one_of(known) for item in node.items()) if node.present else None


def _conditions(node: Node) -> tuple[Condition, ...]:
    return tuple(Condition(item.one_of([c.value for c in Condition])) for item in node.items())
