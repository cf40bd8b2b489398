"""Who is who, for the oracle: references, identifiers, classes, groups, teams, roles, as the digest words it."""

from typing import Any, NamedTuple

from consent_store.dates import Period, parse_date
from consent_store.model import Identifier, Reference
from tests.consent_questions import DIRECTORY, NPI, PLAN
from tests.laws import oracle_dates as dates
from tests.laws.cases import ACTING, CONTEXT, ELSEWHERE, KINDS, OURS, Case, same_text

CLASS = "urn:consent-gateway:participant-type"
PERSONS = {"Practitioner", "Patient", "RelatedPerson", "Person", "Device"}


def either(said: list[str]) -> str:
    """Alternatives: one yes is enough, one ? leaves it open."""
    if "yes" in said:
        return "yes"
    return "?" if "?" in said else "no"


def least(said: list[str]) -> str:
    """Requirements: one no is enough, one ? leaves it open."""
    if "no" in said:
        return "no"
    return "?" if "?" in said else "yes"


class Party(NamedTuple):
    """Somebody: where its records are, its identifiers, its classes, and the types of which every record is known
    (None: of all)."""

    places: set[str]
    identifiers: set[tuple]
    classes: set[str]
    listed: set[str] | None


class People:
    """Everybody in one question."""

    def __init__(self, case: Case):
        self.case = case
        self.resources: dict[str, dict[str, Any]] = {}
        self.doubled: set[str] = set()
        for one in CONTEXT:
            place = f"{one['resourceType']}/{one['id']}"
            if place in self.resources and same_text(self.resources[place]) != same_text(one):
                self.doubled.add(place)
            self.resources[place] = one
        for place in self.doubled:
            del self.resources[place]
        self.recipient = self._recipient()
        self.discloser = self._discloser(acting=False)
        self.acting = self._discloser(acting=True)

    # where things are

    def place(self, text: str | None, base: str | None = None) -> str | None:
        """Where a literal reference leads: `Type/id` here, the whole URL elsewhere, None where it is none."""
        if text is None or text.startswith("#"):
            return None
        if text.startswith("urn:uuid:"):
            return text.lower()
        if "://" in text:
            here = f"{OURS}/"
            if self.case.own and text.startswith(here):
                return self.place(text.removeprefix(here))
            server, _, rest = text.partition("/fhir/")
            tail = self.place(rest)
            return f"{server}/fhir/{tail}" if tail else None
        parts = text.split("/")
        if len(parts) == 4 and parts[2] == "_history":
            parts = parts[:2]
        if len(parts) != 2 or not parts[0][:1].isupper() or not parts[1]:
            return None
        return f"{base}/{'/'.join(parts)}" if base else "/".join(parts)

    def places(self, reference: Reference, base: str | None = None) -> set[str]:
        """Where a reference leads by its text, and by its identifier."""
        who = reference.identifier
        found = self.holders_of((who.system, who.value)) if who is not None else set()
        place = self.place(reference.reference, base)
        return found | ({place} if place else set())

    def holders_of(self, identifier: tuple) -> set[str]:
        """The resources of the context that have an identifier."""
        return {place for place, one in self.resources.items() if identifier in self.identifiers(one)}

    def identifiers(self, resource: dict[str, Any]) -> set[tuple]:
        """The identifiers of a resource that have system and value."""
        return {(one["system"], one["value"]) for one in resource.get("identifier", []) if one.get("system")}

    def asked_about(self) -> str | None:
        """Where the resource is that is asked about, or what contains it."""
        whole = self.case.container or self.case.resource
        if "id" not in whole:
            return None
        base = ELSEWHERE if self.case.elsewhere and self.case.container is None else None
        return self.place(f"{whole['resourceType']}/{whole['id']}", base)

    def links(self, resource: dict[str, Any]) -> set[str]:
        """Where a resource's references lead; those of another server's resource are relative to that server."""
        base = ELSEWHERE if self.case.elsewhere and self.case.container is None else None
        return self._links(resource, base)

    def links_from(self, place: str) -> set[str] | None:
        """Where the references of a resource of the context lead; None where the context does not show it."""
        return self._links(self.resources[place], None) if place in self.resources else None

    def _links(self, node: Any, base: str | None) -> set[str]:
        if isinstance(node, list):
            return {found for one in node for found in self._links(one, base)}
        if not isinstance(node, dict):
            return set()
        found = {link for name, one in node.items() if name != "identifier" for link in self._links(one, base)}
        if isinstance(node.get("reference"), str) or isinstance(node.get("identifier"), dict):
            found |= self.places(reference_of(node), base)
        return found

    # who the parties are

    def _recipient(self) -> Party:
        places = {self.place(one) for one in PLAN.references}
        identifiers = {(one.system, one.value) for one in PLAN.identifiers}
        classes = {PLAN.type} | {kind for kind, types in KINDS.items() if PLAN.type in types}
        person = self.place(self.case.person)
        if person:
            places |= {person} | self._behind(person, "practitioner")
            identifiers.add((NPI, "99"))
        listed = {one.split("/")[0] for one in places} | (set() if person else PERSONS)
        return Party(places, identifiers, classes, listed)

    def _discloser(self, *, acting: bool) -> Party:
        party = self.case.discloser
        places = {self.place(one) for one in party.references}
        identifiers = {(one.system, one.value) for one in party.identifiers}
        custodian = ACTING[self.case.acting] if acting and self.case.acting else None
        if custodian == "other":
            places.add("Organization/o9")
            identifiers.add((NPI, "9"))
        elif isinstance(custodian, str):
            places.add(custodian)
        elif isinstance(custodian, dict):
            identifiers.add((custodian["system"], custodian["value"]))
        return Party(places, identifiers, {party.type}, {"Organization"} | PERSONS)

    def _behind(self, place: str, *names: str) -> set[str]:
        role = self.resources.get(place, {})
        if role.get("resourceType") != "PractitionerRole" or role.get("active") is False:
            return set()
        return {where for name in names if name in role and (where := self.place(role[name].get("reference")))}

    def _author(self, one) -> Party:
        place = self.place(one.reference)
        places = {place} | self._behind(place, "practitioner", "organization") if place else set()
        identifiers = {(one.identifier.system, one.identifier.value)} if one.identifier else set()
        for identifier in set(identifiers):
            places |= self.holders_of(identifier)
        for known in places:
            identifiers |= self.identifiers(self.resources.get(known, {}))
        return Party(places, identifiers, set(), None if places else set())

    def who(self, reference: Reference) -> str:
        """One name for a custodian: the registered party, else where the reference leads, else the identifier."""
        place, own = self.place(reference.reference), reference.identifier
        for party in DIRECTORY.participants.values():
            if place in party.references:
                return party.id
        for party in DIRECTORY.participants.values():
            if own in party.identifiers:
                return party.id
        return place or (f"{own.system}|{own.value}" if own else f"as written {reference.reference}")

    # whether a reference names a party

    def is_recipient(self, reference: Reference | None) -> str:
        """Whether an actor is the receiving side."""
        return self.names(reference, self.recipient, ())

    def is_custodian(self, reference: Reference) -> str:
        """Whether a custodian is the disclosing side or one it acts under."""
        return self.names(reference, self.acting, ())

    def discloses(self, reference: Reference | None, as_custodian: bool) -> str:
        """Whether an actor is the disclosing side; as custodian also one it acts under."""
        return self.names(reference, self.acting if as_custodian else self.discloser, ())

    def wrote(self, reference: Reference | None) -> str:
        """Whether one of the authors is meant; nobody known cannot be told."""
        authors = list(self.case.authors)
        if not authors and self.case.container is not None:
            authors = [reference_of(one) for one in self.case.container.get("performer", [])]
        if not authors:
            return "?"
        return either([self.names(reference, self._author(one), ()) for one in authors])

    def names(self, reference: Reference | None, party: Party, within: tuple) -> str:
        """Whether a reference names a party; `within` are the groups on the way."""
        found = []
        if reference is not None and reference.identifier is not None:
            found.append(self._by_identifier(reference.identifier, party, within))
        if reference is not None and reference.reference is not None:
            found.append(self._by_place(self.place(reference.reference), party, within))
        return either(found) if found else "?"

    def _by_identifier(self, own: Identifier, party: Party, within: tuple) -> str:
        if own.system == CLASS:
            return "yes" if own.value in party.classes else "no"
        if not own.system:
            return "?"
        if (own.system, own.value) in party.identifiers:
            return "yes"
        holders = self.holders_of((own.system, own.value))
        if holders:
            return either([self._by_place(place, party, within) for place in holders])
        registered = any(own in one.identifiers for one in DIRECTORY.participants.values())
        if registered or any(system == own.system for system, _ in party.identifiers):
            return "no"
        return "?"

    # as the rule is written
    def _by_place(self, place: str | None, party: Party, within: tuple) -> str:  # noqa: C901, PLR0911
        if place is None or place in within:
            return "?"
        if place in party.places:
            return "yes"
        if place in self.doubled:
            return "?"
        resource = self.resources.get(place)
        kind = place.split("/")[-2] if "/" in place else ""
        if resource is not None:
            if self.identifiers(resource) & party.identifiers:
                return "yes"
            if kind == "Group":
                return self._in_group(resource, party, (*within, place))
            if kind == "CareTeam":
                return self._in_team(resource, party, (*within, place))
            if kind == "PractitionerRole":
                return self._in_role(resource, party, (*within, place))
        if any(self._part_of(own, place) for own in party.places):
            return "?"
        if any(place in one.references for one in DIRECTORY.participants.values()):
            return "no"
        if kind in PERSONS | {"Organization"}:
            known_type = party.listed is None or kind in party.listed
            return "no" if resource is not None or (known_type and "://" not in place) else "?"
        return "?"

    def _part_of(self, own: str, whole: str) -> bool:
        """Whether a record belongs to an organisation: as part of it, or by a role in it, over any steps."""
        for place in {self.place(self.resources.get(own, {}).get("partOf", {}).get("reference"))} - {None}:
            if place == whole or self._part_of(place, whole):
                return True
        for role in self.resources.values():
            works = role["resourceType"] == "PractitionerRole" and role.get("active") is not False
            if works and self.place(role["practitioner"]["reference"]) == own:
                place = self.place(role["organization"]["reference"])
                if place == whole or self._part_of(place, whole):
                    return True
        return False

    def _in_force(self, period: dict[str, str] | None) -> str:
        if period is None:
            return "yes"
        try:
            start, end = (parse_date(period[name]) if name in period else None for name in ("start", "end"))
        except ValueError:
            return "?"
        return dates.runs(Period(start, end), self.case.at, self.case.read_in)

    def _in_group(self, group: dict[str, Any], party: Party, within: tuple) -> str:
        if group.get("active") is False:
            return "no"
        classes = [value for system, value in self.identifiers(group) if system == CLASS]
        codings = group.get("code", {}).get("coding", [])
        classes += [one["code"] for one in codings if one["system"] == CLASS]
        found = [either(["yes" if one in party.classes else "no" for one in classes])] if classes else []
        for member in group["member"]:
            if member.get("inactive"):
                found.append("no")
            else:
                named = self.names(reference_of(member["entity"]), party, within)
                found.append(least([self._in_force(member.get("period")), named]))
        return either(found) if found and "characteristic" not in group else either([*found, "?"])

    def _in_team(self, team: dict[str, Any], party: Party, within: tuple) -> str:
        if team.get("status") != "active":
            return "no" if "status" in team else "?"
        found = []
        for one in team["participant"]:
            named = [
                self.names(reference_of(one[name]), party, within) for name in ("member", "onBehalfOf") if name in one
            ]
            found.append(least([self._in_force(one.get("period")), self._in_force(team.get("period")), either(named)]))
        return either(found)

    def _in_role(self, role: dict[str, Any], party: Party, within: tuple) -> str:
        if role.get("active") is False:
            return "no"
        named = [self.names(reference_of(role[name]), party, within) for name in ("practitioner", "organization")]
        return least([self._in_force(role.get("period")), either(named)])


def reference_of(node: dict[str, Any]) -> Reference:
    """A Reference of JSON."""
    own = node.get("identifier")
    return Reference(node.get("reference"), node.get("type"), Identifier(own["system"], own["value"]) if own else None)
