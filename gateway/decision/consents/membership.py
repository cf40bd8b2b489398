"""Does a reference of a consent name this party, itself or as a member? By what the context shows (L092).

Rules of this file (consent-semantics section 3, actor)
1. YES needs proof: the party's own reference or identifier, its class, or a membership in force.
2. NO needs knowledge: the reference is resolved to somebody else, or the party's references of its type are all known.
3. Anything else cannot be told: a permit does not match, a deny does.
4. Inactive groups and members, and memberships out of their period, are no membership.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import Any, Final

import msgspec

from consent_store.dates import FhirDate, Period, parse_date
from consent_store.model import Identifier
from gateway.decision.consents.parties import PERSONS, Party
from gateway.decision.consents.relations import (
    PARTICIPANT_TYPE,
    ReferenceLike,
    Relations,
    codings_of,
    identifiers_of,
    objects,
    reference_of,
    type_of,
)
from gateway.decision.consents.spans import span_of
from gateway.decision.consents.truth import Match, all_of, any_of
from gateway.fhir.view import ResourceView

# Types that name one party; every other type names members or something else and has to be resolved.
_SINGLE: Final = PERSONS | {"Organization"}
_DEPTH: Final = 8  # groups within groups; deeper, or in a cycle, cannot be told


class Moment(msgspec.Struct, frozen=True):
    """When and where membership is asked about; `bounds` collects the instants at which an answer could change."""

    at: datetime
    zone: tzinfo | None
    bounds: list[datetime]


def names(reference: ReferenceLike, party: Party, relations: Relations, moment: Moment) -> Match:
    """Say whether `reference` names `party`, itself or as a member. One that names nothing cannot be told."""
    return _Search(party, relations, moment).names(reference)


class _Search:
    """One look for a party behind a reference: what each group said is kept, and a cycle cannot be told."""

    def __init__(self, party: Party, relations: Relations, moment: Moment) -> None:
        self.party = party
        self.relations = relations
        self.moment = moment
        self.said: dict[str, Match] = {}
        self.depth = 0

    def names(self, reference: ReferenceLike) -> Match:
        found: list[Match] = []
        if reference.identifier is not None:
            found.append(self.by_identifier(reference.identifier))
        if reference.reference is not None:
            found.append(self.by_key(self.relations.key(reference.reference)))
        return any_of(found) if found else Match.UNSURE

    def by_identifier(self, identifier: Identifier) -> Match:
        if identifier.system == PARTICIPANT_TYPE:
            return Match.YES if identifier.value in self.party.kinds else Match.NO
        if not identifier.system:
            return Match.UNSURE
        if identifier in self.party.identifiers:
            return Match.YES
        keys = self.relations.identified.get(identifier)
        if keys:  # of a record that is no party, an identifier is nobody's
            return any_of(self.by_key(key) if type_of(key) in _PARTIES else Match.UNSURE for key in sorted(keys))
        if identifier in self.relations.participant_identifiers:
            return Match.NO
        comparable = any(own.system == identifier.system for own in self.party.identifiers)
        return Match.NO if comparable else Match.UNSURE

    def by_key(self, key: str | None) -> Match:
        if key is not None and key in self.party.keys:
            return Match.YES
        if key is None or key in self.relations.ambiguous:
            return Match.UNSURE
        view = self.relations.resources.get(key)
        if view is not None and not identifiers_of(view).isdisjoint(self.party.identifiers):
            return Match.YES
        if view is not None and view.type in _MEMBERS:
            return self.members(key, view)
        if _is_whole_of(key, self.party.keys, self.relations):
            return Match.UNSURE
        return Match.NO if self.somebody_else(key, view) else Match.UNSURE

    def somebody_else(self, key: str, view: ResourceView | None) -> bool:
        """Say whether a reference that does not name the party is known to name another."""
        kind = type_of(key)
        if view is not None:
            return kind in _SINGLE
        listed = "://" not in key and kind in _SINGLE and self.party.lists(kind)
        return key in self.relations.participants or listed

    def members(self, key: str, view: ResourceView) -> Match:
        if key not in self.said:
            self.said[key] = Match.UNSURE  # what a cycle, or too deep a nest, comes back to
            if self.depth < _DEPTH:
                self.depth += 1
                self.said[key] = _MEMBERS[view.type](view, self)
                self.depth -= 1
        return self.said[key]

    def any_named(self, tree: Mapping[str, Any], *elements: str) -> Match:
        """Say whether one of these elements, Reference each, names the party."""
        return any_of(self.names(reference_of(tree[name])) for name in elements if name in tree)

    def in_force(self, period: object) -> Match:
        """Say whether a Period in parsed JSON (None: not limited) runs at the moment; unreadable cannot be told."""
        if period is None:
            return Match.YES
        if not isinstance(period, dict):
            return Match.UNSURE
        try:
            span = span_of(Period(_date(period, "start"), _date(period, "end")), self.moment.zone)
        except ValueError:
            return Match.UNSURE
        self.moment.bounds.extend(span.instants())
        return span.holds(self.moment.at)


def _date(period: Mapping[str, Any], name: str) -> FhirDate | None:
    return parse_date(period[name]) if name in period else None


def _is_whole_of(key: str, parts: frozenset[str], relations: Relations) -> bool:
    """Say whether one of `parts` belongs to the organisation `key`, over any number of steps: close, but not proof."""
    seen, waiting = set[str](), [key]
    while waiting:
        below = relations.part_of.get(waiting.pop())
        if below is None:
            continue
        if not below.isdisjoint(parts):
            return True
        waiting.extend(below - seen)
        seen |= below
    return False


def _of_group(view: ResourceView, search: _Search) -> Match:
    """Group.member by entity, in its period, not inactive; or the participant types that the Group names."""
    tree = view.tree
    if tree.get("active") is False:
        return Match.NO
    if view.modifier_extensions or view.malformed or tree.get("active", True) is not True:
        return Match.UNSURE
    types = {i.value for i in identifiers_of(view) if i.system == PARTICIPANT_TYPE}
    types |= {c.code for c in codings_of(tree.get("code")) if c.system == PARTICIPANT_TYPE and c.code}
    found = [Match.YES if types & search.party.kinds else Match.NO] if types else []
    for member in objects(tree.get("member")):
        inactive = member.get("inactive", False)
        if inactive is False:
            found.append(all_of([search.in_force(member.get("period")), search.any_named(member, "entity")]))
        else:
            found.append(Match.NO if inactive is True else Match.UNSURE)
    if not found or "characteristic" in tree:
        found.append(Match.UNSURE)
    return any_of(found)


def _of_team(view: ResourceView, search: _Search) -> Match:
    """CareTeam.participant while the team is active and both periods run."""
    tree = view.tree
    if tree.get("status") != "active":
        return Match.UNSURE if "status" not in tree else Match.NO
    if view.modifier_extensions or view.malformed:
        return Match.UNSURE
    found = []
    for one in objects(tree.get("participant")):
        periods = [search.in_force(one.get("period", one.get("coveragePeriod"))), search.in_force(tree.get("period"))]
        found.append(all_of([*periods, search.any_named(one, "member", "onBehalfOf")]))
    return any_of(found)


def _of_role(view: ResourceView, search: _Search) -> Match:
    """PractitionerRole: its practitioner, or the organisation the practitioner represents there, while it lasts."""
    tree = view.tree
    if tree.get("active") is False:
        return Match.NO
    if view.modifier_extensions or view.malformed:
        return Match.UNSURE
    return all_of([search.in_force(tree.get("period")), search.any_named(tree, "practitioner", "organization")])


_MEMBERS: Final[Mapping[str, Callable[[ResourceView, _Search], Match]]] = {
    "Group": _of_group,
    "CareTeam": _of_team,
    "PractitionerRole": _of_role,
}
_PARTIES: Final = _SINGLE | _MEMBERS.keys()
