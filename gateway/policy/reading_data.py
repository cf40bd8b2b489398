"""What a `profile.yaml` says of data → values: how it is recognised, what may be cut of it, what it counts as.

Rules of this file
1. A category, a way of recognising one or a set of elements that says nothing is an error.
2. A level, a share or a code that cannot be read is an error, never a default.
"""

import msgspec

from gateway.fhir.confidentiality import Confidentiality
from gateway.policy.draft import Draft, names_of, party_of, purpose_at
from gateway.policy.matching import Category, CategoryMatch, Codes, IdentifierMatch
from gateway.policy.model import Labelling, MinimumNecessary, PartRule, Parts, Unlabelled
from gateway.strict_yaml import Node


def category_of(key: str, node: Node, draft: Draft) -> Category:
    """Read a category by its ways of being recognised. Raises ProfileError."""
    matches = tuple(_match(match, draft) for match in node.at("any").items())
    if not matches:
        raise node.wrong("has no way of being recognised")
    return Category(key, node.at("says").text(), matches)


def _match(node: Node, draft: Draft) -> CategoryMatch:
    unknown, own, level = node.at("unknown"), node.at("own"), node.at("at_least")
    unread = node.at("unread_label")
    match = CategoryMatch(
        types=names_of(node.at("types")),
        sensitivities=names_of(node.at("sensitivities")),
        policies=names_of(node.at("policies")),
        at_least=Confidentiality[level.one_of(Confidentiality.__members__)] if level.present else None,
        unknown=unknown.flag() if unknown.present else None,
        unread_label=unread.flag() if unread.present else None,
        codes=_codes(node.at("codes")) if node.at("codes").present else None,
        source=party_of(node.at("source"), draft) if node.at("source").present else None,
        identifiers=identifiers_of(node.at("identifiers")) if node.at("identifiers").present else None,
        own=own.flag() if own.present else None,
        without=tuple(_match(one, draft) for one in node.at("without").items()),
    )
    if msgspec.structs.replace(match, without=()) == CategoryMatch():
        raise node.wrong("recognises nothing")
    return match


def _codes(node: Node) -> Codes:
    exact, beginnings = set(), []
    for item in node.items():
        system, bar, code = item.text().partition("|")
        if not bar or not system or not code:
            raise item.wrong("a code is `system|code`, `system|beginning*` or `system|*`")
        if code.endswith("*"):
            beginnings.append((system, code[:-1]))
        else:
            exact.add((system, code))
    return Codes(frozenset(exact), tuple(beginnings))


def identifiers_of(node: Node) -> IdentifierMatch:
    """Read a kind of identifiers. Raises ProfileError."""
    words = frozenset(word.lower() for word in node.at("words").texts())
    match = IdentifierMatch(frozenset(node.at("systems").texts()), frozenset(node.at("types").texts()), words)
    if match == IdentifierMatch():
        raise node.wrong("recognises nothing")
    return match


def necessary_of(key: str, node: Node, draft: Draft) -> MinimumNecessary:
    """Read a set of elements (45 CFR 164.502(b)). Raises ProfileError."""
    elements = {kind: frozenset(paths.texts()) for kind, paths in node.at("elements").entries()}
    if not elements or not all(elements.values()):
        raise node.wrong("names no elements")
    return MinimumNecessary(
        key,
        node.at("says").text(),
        node.at("cite").text(),
        party_of(node.at("to"), draft),
        tuple(purpose_at(item) for item in node.at("purposes").items()),
        elements,
        frozenset(node.at("rules").texts()),
    )


def parts_of(node: Node, draft: Draft) -> Parts:
    """Read what may be cut out of a record. Raises ProfileError."""
    types = {
        key: PartRule(frozenset(rule.at("remove").texts()), rule.at("always").texts())
        for key, rule in node.at("types").entries()
    }
    whole = frozenset(item.one_of(draft.types | set(draft.kinds)) for item in node.at("whole_for").items())
    extensions = tuple(node.at("extensions").texts()) if node.at("extensions").present else None
    return Parts(whole, node.at("narrative").one_of({"cut", "keep"}) == "cut", types, extensions)


def unlabelled_of(node: Node) -> Unlabelled:
    """Read the levels of what nobody labelled (leaks.md L003). Raises ProfileError."""
    level = Confidentiality.__members__
    return Unlabelled(
        default=Confidentiality[node.at("default").one_of(level)],
        free_text=Confidentiality[node.at("free_text").one_of(level)],
        types={key: Confidentiality[value.one_of(level)] for key, value in node.at("types").entries()},
    )


def labelling_of(node: Node) -> Labelling:
    """Read how sure a code list must be. Raises ProfileError."""
    return Labelling(
        threshold=_share(node.at("threshold")),
        lists={key: _share(value) for key, value in node.at("lists").entries()},
        unclassified=Confidentiality[node.at("unclassified").one_of(Confidentiality.__members__)],
    )


def _share(node: Node) -> float:
    try:
        share = float(node.text())
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise node.wrong("a number from 0 to 1 is meant")
    return share
