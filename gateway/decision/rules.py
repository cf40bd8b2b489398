"""Which rules of a profile speak in an exchange, and which categories a record has.

Rules of this file
1. `in_force` is the exchange's part of a rule: parties, purpose, agreement. It needs no record.
2. Purposes subsume downwards: a rule for HOPERAT speaks of CAREMGT, never the other way (L096).
3. A category is recognised from content, labels and source: type, published codes, labels, who discloses, who wrote
   it, kinds of identifiers. Never from a name that a client sends.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from gateway.decision.model import Exchange
from gateway.directory.lookups import agreements_between
from gateway.directory.model import Directory, Participant
from gateway.fhir.identifiers import IdentifierAt, identifiers_in
from gateway.fhir.terminology import purpose_is_a, sensitivity_is_a
from gateway.fhir.view import ResourceView
from gateway.labels.model import Labels
from gateway.policy.matching import CategoryMatch, Codes, IdentifierMatch, PartyMatch
from gateway.policy.model import Policy, Rule


def in_force(policy: Policy, directory: Directory, exchange: Exchange) -> tuple[Rule, ...]:
    """Give the rules of `policy` that speak of these parties, purpose and agreements, in its order."""
    return tuple(rule for rule in policy.rules if _speaks(rule, policy, directory, exchange))


def _speaks(rule: Rule, policy: Policy, directory: Directory, exchange: Exchange) -> bool:
    if rule.switch and not policy.on(rule.switch):
        return False
    if not party_matches(rule.discloser, exchange.discloser, policy):
        return False
    if not party_matches(rule.recipient, exchange.recipient, policy):
        return False
    if rule.purposes and not any(purpose_is_a(exchange.purpose, purpose) for purpose in rule.purposes):
        return False
    if rule.agreements is None:
        return True
    sides = (exchange.discloser.id, exchange.recipient.id)
    found = agreements_between(directory, *sides, exchange.at, policy.zone, exchange.purpose)
    return any(agreement.type in rule.agreements for agreement in found)


def party_matches(match: PartyMatch, party: Participant, policy: Policy) -> bool:
    """Say whether a participant is one that `match` speaks of."""
    if match.types is not None and not match.types & policy.kinds_of(party.type):
        return False
    if match.hipaa_covered is not None and match.hipaa_covered is not bool(party.hipaa_covered):
        return False
    if match.part2_program is not None and match.part2_program is not party.part2_program:
        return False
    if any(party.attributes.get(name) is not wanted for name, wanted in match.attributes):
        return False
    return not match.any or any(party_matches(one, party, policy) for one in match.any)


_Label = tuple[str, frozenset[str], frozenset[str], int, bool, bool]
_Asked = tuple[tuple[str, tuple[CategoryMatch, ...]], ...]


class Recogniser:
    """Recognises the categories of a policy in one exchange. `own` says whether the discloser wrote a record.

    What type and labels settle is settled once for all records alike; codes, identifiers and writers are looked at in
    each record, and only for the categories that they may still decide.
    """

    def __init__(self, policy: Policy, exchange: Exchange, own: Callable[[ResourceView], bool]) -> None:
        self._own = own
        self._categories = [
            (category.id, matches)
            for category in policy.categories.values()
            if (matches := tuple(_specialised(category.any, policy, exchange)))
        ]
        self._settled: dict[_Label, tuple[frozenset[str], _Asked, _Asked]] = {}
        asked = [one.codes for _, ways in self._categories for way in ways for one in (way, *way.without) if one.codes]
        self._exact = frozenset().union(*(codes.exact for codes in asked))
        self._beginnings: dict[str, tuple[str, ...]] = {}
        for system, start in sorted(frozenset(beginning for codes in asked for beginning in codes.beginnings)):
            self._beginnings[system] = (*self._beginnings.get(system, ()), start)
        self._identifiers: dict[int, tuple[ResourceView, tuple[IdentifierAt, ...]]] = {}
        self._by_codes: dict[tuple[_Label, frozenset[tuple[str, str]]], frozenset[str]] = {}

    def categories(self, view: ResourceView, labels: Labels) -> frozenset[str]:
        """Give the ids of the categories that a record with these labels belongs to."""
        key = (view.type, labels.sensitivities, labels.policies, labels.confidentiality, labels.unknown, labels.unread)
        known = self._settled.get(key)
        if known is None:
            known = self._settled[key] = self._settle(view.type, labels)
        settled, asked, looked = known
        if not asked and not looked:
            return settled
        codes = self._codes_of(view)
        plain = self._by_codes.get((key, codes))
        if plain is None:
            found = (name for name, ways in asked if self._is(ways, view, labels, codes))
            plain = self._by_codes[key, codes] = settled.union(found)
        more = [name for name, ways in looked if self._is(ways, view, labels, codes)]
        return plain.union(more) if more else plain

    def _codes_of(self, view: ResourceView) -> "_Codes":
        """Give, of a record's codes, those that any category asks for, and the beginnings that they have."""
        found = {(one.coding.system, one.coding.code) for one in view.codings}
        exact = self._exact & found
        begun = [
            (system, f"{start}*")
            for system, code in found
            if system is not None and code is not None and system in self._beginnings
            for start in self._beginnings[system]
            if code.startswith(start)
        ]
        return exact.union(begun) if begun else exact

    def identifiers_at(self, view: ResourceView, wanted: IdentifierMatch) -> Iterator[str]:
        """Give the pointers of the identifiers of a kind, wherever they stand in a record: its own, in references,
        extensions and values. What stands in an inner resource is that one's. Looked for once in each record."""
        found = self._identifiers.get(id(view))
        if found is None or found[0] is not view:
            found = self._identifiers[id(view)] = (view, tuple(identifiers_in(view)))
        return (one.own for one in found[1] if _is_of_kind(one.node, wanted))

    def _is(self, ways: tuple[CategoryMatch, ...], view: ResourceView, labels: Labels, codes: "_Codes") -> bool:
        return any(self._in(one, view, labels, codes) for one in ways)

    def _settle(self, resource_type: str, labels: Labels) -> tuple[frozenset[str], _Asked, _Asked]:
        settled = set[str]()
        asked: list[tuple[str, tuple[CategoryMatch, ...]]] = []
        looked: list[tuple[str, tuple[CategoryMatch, ...]]] = []
        for name, ways in self._categories:
            possible = tuple(one for one in ways if _possible(one, resource_type, labels))
            if any(_settled(one, resource_type, labels) for one in possible):
                settled.add(name)
            elif possible:
                (looked if _of_the_record(possible) else asked).append((name, possible))
        return frozenset(settled), tuple(asked), tuple(looked)

    def _in(self, match: CategoryMatch, view: ResourceView, labels: Labels, codes: "_Codes") -> bool:
        if not _possible(match, view.type, labels):
            return False
        if match.codes is not None and not _has_code(codes, match.codes):
            return False
        if match.identifiers is not None and not any(self.identifiers_at(view, match.identifiers)):
            return False
        if match.own is not None and match.own is not self._own(view):
            return False
        return not any(self._in(one, view, labels, codes) for one in match.without)


_Codes = frozenset[tuple[str, str]]


def _of_the_record(ways: tuple[CategoryMatch, ...]) -> bool:
    """Say whether more is asked of a record than its codes: its identifiers, or who wrote it."""
    return any(one.identifiers is not None or one.own is not None for way in ways for one in (way, *way.without))


def _possible(match: CategoryMatch, resource_type: str, labels: Labels) -> bool:
    """Say whether type and labels leave it open that a record is recognised."""
    return (match.types is None or resource_type in match.types) and _labelled(match, labels)


def _settled(match: CategoryMatch, resource_type: str, labels: Labels) -> bool:
    """Say whether type and labels alone recognise a record of which `_possible` holds."""
    if match.codes is not None or match.identifiers is not None or match.own is not None:
        return False
    return not any(_possible(one, resource_type, labels) for one in match.without)


def _specialised(matches: tuple[CategoryMatch, ...], policy: Policy, exchange: Exchange) -> Iterator[CategoryMatch]:
    for match in matches:
        if match.source is None or party_matches(match.source, exchange.discloser, policy):
            yield match


def _labelled(match: CategoryMatch, labels: Labels) -> bool:
    if match.policies is not None and not match.policies & labels.policies:
        return False
    if match.sensitivities is not None and not any(
        sensitivity_is_a(found, wanted) for found in labels.sensitivities for wanted in match.sensitivities
    ):
        return False
    if match.at_least is not None and labels.confidentiality < match.at_least:
        return False
    if match.unread_label is not None and match.unread_label is not labels.unread:
        return False
    return match.unknown is None or match.unknown is labels.unknown


def _has_code(found: _Codes, codes: Codes) -> bool:
    return not codes.exact.isdisjoint(found) or any(
        (system, f"{start}*") in found for system, start in codes.beginnings
    )


_WORDS: Final = re.compile(r"[a-z0-9]+")


def _is_of_kind(item: Mapping[str, Any], wanted: IdentifierMatch) -> bool:
    kind, assigner = item.get("type"), item.get("assigner")
    codings = kind.get("coding") if isinstance(kind, dict) else None
    listed = [one for one in codings if isinstance(one, dict)] if isinstance(codings, list) else []
    if item.get("system") in wanted.systems:
        return True
    if any(f"{one.get('system')}|{one.get('code')}" in wanted.types for one in listed):
        return True
    texts = [item.get("system"), kind.get("text") if isinstance(kind, dict) else None]
    texts += [assigner.get("display") if isinstance(assigner, dict) else None]
    texts += [one.get(name) for one in listed for name in ("code", "display")]
    said = [f" {' '.join(_WORDS.findall(text.lower()))} " for text in texts if isinstance(text, str)]
    return any(f" {word} " in text for text in said for word in wanted.words)
