"""What a `profile.yaml` says of data → values: how it is recognised, what may be cut of it, what it counts as.

Rules of this file
1. A category, a way of recognising one or a set of elements that says nothing is an error.
2. A level, a share or a code that cannot be read is an error, never a default.
"""

import re
from typing import Final

import msgspec

from gateway.fhir.confidentiality import Confidentiality
from gateway.policy.draft import Draft, names_of, party_of, purpose_at
from gateway.policy.matching import Category, CategoryMatch, Codes, IdentifierMatch, Words
from gateway.policy.model import Labelling, MinimumNecessary, PartRule, Parts, Unlabelled
from gateway.strict_yaml import Node

_PLAIN: Final = re.compile(r"[a-z0-9]+(?: [a-z0-9]+)*")


def category_of(key: str, node: Node, draft: Draft) -> Category:
    """Read a category by its ways of being recognised. Raises ProfileError."""
    matches = tuple(way for match in node.at("any").items() for way in _ways(match, draft))
    if not matches:
        raise node.wrong("has no way of being recognised")
    return Category(key, node.at("says").text(), matches)


def vocabulary_of(node: Node) -> Words:
    """Read words for one matter, and what is set aside of them. Raises ProfileError."""
    node.at("says").text()
    words = Words(
        frozenset(_plain(item) for item in node.at("words").items()),
        frozenset(_plain(item) for item in node.at("set_aside").items()),
    )
    if not words.said:
        raise node.wrong("has no words")
    return words


def _ways(node: Node, draft: Draft) -> tuple[CategoryMatch, ...]:
    """Read one way, or all those of another category (`is`)."""
    same = node.at("is")
    if same.present and (ways := draft.categories[same.one_of(draft.categories)].any):
        return ways
    return (_match(node, draft),)


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
        words=_words(node.at("words"), draft),
        code_words=_words(node.at("code_words"), draft),
        named=frozenset(_plain(item) for item in node.at("named").items()) or None,
        without=tuple(way for one in node.at("without").items() for way in _ways(one, draft)),
    )
    if msgspec.structs.replace(match, without=()) == CategoryMatch():
        raise node.wrong("recognises nothing")
    return match


def _words(node: Node, draft: Draft) -> Words | None:
    return draft.vocabularies[node.one_of(draft.vocabularies)] if node.present else None


def _plain(item: Node) -> str:
    """Read words as a text is read: in small letters, with single spaces, nothing but letters and digits."""
    text = item.text()
    if not _PLAIN.fullmatch(text):
        raise item.wrong("words are small letters and digits with single spaces between them")
    return text


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
    forms = frozenset(node.at("forms").texts())
    if any(set(form) - {"n", "-"} for form in forms):
        raise node.at("forms").wrong("a form is digits, written `n`, with `-` between them")
    match = IdentifierMatch(frozenset(node.at("systems").texts()), frozenset(node.at("types").texts()), words, forms)
    if match == IdentifierMatch():
        raise node.wrong("recognises nothing")
    return match


def necessary_of(key: str, node: Node, draft: Draft) -> MinimumNecessary:
    """Read a set of elements (45 CFR 164.502(b)). Raises ProfileError."""
    elements = {kind: frozenset(paths.texts()) for kind, paths in node.at("elements").entries()}
    if not elements or not all(elements.values()):
        raise node.wrong("names no elements")
    rules = frozenset(node.at("rules").texts())
    data = frozenset(item.one_of(draft.categories) for item in node.at("data").items())
    if draft.chain and rules and data:  # the schema reads both
        raise node.wrong("names rules or data, not both")
    return MinimumNecessary(
        key,
        node.at("says").text(),
        node.at("cite").text(),
        party_of(node.at("to"), draft),
        tuple(purpose_at(item) for item in node.at("purposes").items()),
        elements,
        rules,
        party_of(node.at("from"), draft),
        data,
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
