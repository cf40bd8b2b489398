"""A profile while its chain of extensions is added up, and the names that its rules and categories may use.

Rules of this file
1. Every name that is used must stand in the draft already: a typing error never passes (L089).
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from consent_store.model import Coding
from gateway.directory.vocabulary import ATTRIBUTES
from gateway.fhir.terminology import purpose_of
from gateway.policy.matching import Category, PartyMatch, Words
from gateway.policy.model import (
    DefaultDeny,
    Labelling,
    Layer,
    MinimumNecessary,
    Parts,
    Rule,
    RuleEffect,
    Strip,
    Switch,
    Unlabelled,
)
from gateway.strict_yaml import Node

# Conditions of a party that are true or false.
_FLAGS: Final = frozenset(name for name, kind in ATTRIBUTES.items() if kind is bool)


class Draft(msgspec.Struct):
    """A profile while its chain is being added up."""

    chain: list[str]
    texts: list[str]
    types: set[str]
    kinds: dict[str, frozenset[str]]
    no_patient_types: frozenset[str]
    categories: dict[str, Category]
    switches: dict[str, Switch]
    rules: dict[str, Rule]
    files: dict[str, frozenset[str]] = {}
    zone: str | None = None
    parts: Parts | None = None
    vocabularies: dict[str, Words] = {}
    strips: dict[str, Strip] = {}
    necessary: dict[str, MinimumNecessary] = {}
    unlabelled: Unlabelled | None = None
    labelling: Labelling = Labelling()
    default_deny: DefaultDeny | None = None


def draft_of(name: str) -> Draft:
    """Give a draft in which one name stands for a type, kind, category, switch and rule: what a reader needs to run."""
    draft = Draft([], [], {name}, {name: frozenset()}, frozenset(), {}, {}, {})
    draft.categories[name] = Category(name, "", ())
    draft.vocabularies[name] = Words(frozenset())
    draft.switches[name] = Switch(name, "", value=False)
    draft.rules[name] = Rule(id=name, layer=Layer.LAW, effect=RuleEffect.OBLIGE, says="", cite="")
    return draft


def party_of(node: Node, draft: Draft) -> PartyMatch:
    """Read who a rule or a category speaks of; not written: anybody. Raises ProfileError."""
    if not node.present:
        return PartyMatch()
    covered, program = node.at("hipaa_covered"), node.at("part2_program")
    types = known_of(node.at("types"), draft.types)
    kinds = known_of(node.at("kinds"), draft.kinds)
    return PartyMatch(
        types=None if types is None and kinds is None else (types or frozenset()) | (kinds or frozenset()),
        hipaa_covered=covered.flag() if covered.present else None,
        part2_program=program.flag() if program.present else None,
        any=tuple(party_of(one, draft) for one in node.at("any").items()),
        attributes=tuple((_attribute(key, value), value.flag()) for key, value in node.at("attributes").entries()),
    )


def _attribute(key: str, node: Node) -> str:
    if key not in _FLAGS:
        raise node.wrong(f"`{key}` is not one of {', '.join(sorted(_FLAGS))}")
    return key


def purpose_at(node: Node) -> Coding:
    """Read a purpose of use. Raises ProfileError."""
    try:
        return purpose_of(node.text())
    except ValueError:
        raise node.wrong(f"`{node.text()}` is no purpose of use") from None


def known_of(node: Node, known: "set[str] | Mapping[str, object]") -> frozenset[str] | None:
    """Read names that must be among the known; None where the key is not written. Raises ProfileError."""
    return frozenset(item.one_of(list(known)) for item in node.items()) if node.present else None


def names_of(node: Node) -> frozenset[str] | None:
    """Read a list of texts; None where the key is not written. Raises ProfileError."""
    return frozenset(node.texts()) if node.present else None
