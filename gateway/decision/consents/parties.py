"""The parties of an exchange, and the author of a record, as what a consent's references are compared with.

Rules of this file (consent-semantics section 3, actor)
1. The recipient is the receiving organisation together with the person on whose behalf it asks.
2. The discloser is itself; as custodian it is also each custodian it acts under.
3. A party says of which types it lists every reference it has, so that another reference is surely somebody else.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from consent_store.model import Identifier, Reference
from gateway.decision.consents.relations import (
    ReferenceLike,
    Relations,
    identifiers_of,
    reference_of,
    references_of,
    type_of,
)
from gateway.decision.model import Exchange

PERSONS: Final = frozenset({"Practitioner", "Patient", "RelatedPerson", "Person", "Device"})


class Party(msgspec.Struct, frozen=True):
    """Who is to be recognised: resolved references, identifiers, participant types with their kinds.

    `complete`: types of which `keys` lists every reference the party has; None = all types (an author as recorded).
    """

    keys: frozenset[str]
    identifiers: frozenset[Identifier]
    kinds: frozenset[str] = frozenset()
    complete: frozenset[str] | None = frozenset()

    def lists(self, kind: str) -> bool:
        """Say whether a reference of this type that is not among `keys` is surely someone else."""
        return self.complete is None or kind in self.complete


def recipient_of(exchange: Exchange, relations: Relations) -> Party:
    """Give the receiving side: the recipient, and the person on whose behalf it asks where one is named."""
    party = exchange.recipient
    keys = set(references_of(party, relations.own))
    identifiers = set(party.identifiers)
    if exchange.initiator is not None:
        key = relations.key(exchange.initiator.reference)
        keys |= {key, *_behind_role(key, relations)} if key is not None else set()
        identifiers |= exchange.initiator.identifiers
    complete = {type_of(key) for key in keys}
    if keys and exchange.initiator is None:
        complete |= PERSONS  # no person asks
    return Party(frozenset(keys), frozenset(identifiers), relations.kinds_of(party.type), frozenset(complete))


def discloser_of(exchange: Exchange, relations: Relations, *, acting_under: bool) -> Party:
    """Give the disclosing side; with `acting_under` also the custodians it acts under, by the participant attribute
    `consent_custodians` (a list of references, participant ids or {system, value})."""
    party = exchange.discloser
    keys = set(references_of(party, relations.own))
    identifiers = set(party.identifiers)
    for one in _listed(party.attributes.get("consent_custodians")) if acting_under else ():
        _add_custodian(one, relations, keys, identifiers)
    complete = {type_of(key) for key in keys} | (PERSONS if keys else set())
    return Party(frozenset(keys), frozenset(identifiers), relations.kinds_of(party.type), frozenset(complete))


def author_of(author: ReferenceLike, relations: Relations) -> Party:
    """Give an author as a record names it; a PractitionerRole also stands for its practitioner and organisation."""
    key = relations.key(author.reference)
    keys = {key, *_behind_role(key, relations, organisation=True)} if key is not None else set()
    identifiers = {author.identifier} if author.identifier is not None and author.identifier.system else set()
    for identifier in identifiers:
        keys |= relations.identified.get(identifier, frozenset())
    for one in keys:
        view = relations.resources.get(one)
        identifiers |= identifiers_of(view) if view is not None else set()
    return Party(frozenset(keys), frozenset(identifiers), complete=None if keys else frozenset())


def nobody() -> Party:
    """Give a party that no reference names: asked about, it shows how long memberships last."""
    return Party(frozenset(), frozenset())


def _behind_role(key: str, relations: Relations, *, organisation: bool = False) -> set[str]:
    """Give the practitioner (and organisation) of a PractitionerRole that the context shows."""
    view = relations.resources.get(key)
    if view is None or view.type != "PractitionerRole" or view.tree.get("active") is False:
        return set()
    wanted = ("practitioner", "organization") if organisation else ("practitioner",)
    found = (relations.key(reference_of(view.tree.get(name)).reference) for name in wanted)
    return {one for one in found if one is not None}


def _listed(value: object) -> Iterable[object]:
    return value if isinstance(value, list | tuple | set | frozenset) else () if value is None else (value,)


def _add_custodian(one: object, relations: Relations, keys: set[str], identifiers: set[Identifier]) -> None:
    """Add a custodian by participant id, reference or identifier, with all else the registry knows it by."""
    who = one if isinstance(one, Identifier) else None
    if isinstance(one, Mapping) and isinstance(one.get("system"), str) and isinstance(one.get("value"), str):
        who = Identifier(one["system"], one["value"])
    key = relations.key(one) if isinstance(one, str) else None
    keys |= {key} if key is not None else set()
    identifiers |= {who} if who is not None else set()
    if who is None and key is None:
        party = one
    else:
        party = relations.participant_identifiers.get(who) if who else relations.participants.get(key or "")
    if not isinstance(party, str):
        return
    keys |= {known for known, holder in relations.participants.items() if holder == party}
    identifiers |= {known for known, holder in relations.participant_identifiers.items() if holder == party}


def identity(reference: Reference, relations: Relations) -> str:
    """Give one spelling of who a reference names, for comparing custodians: the participant where it is one, else
    the resolved reference, else the identifier, else the text as written."""
    key = relations.key(reference.reference)
    if key is not None and key in relations.participants:
        return f"participant {relations.participants[key]}"
    who = reference.identifier
    if who is not None and who in relations.participant_identifiers:
        return f"participant {relations.participant_identifiers[who]}"
    if key is not None:
        return key
    return f"{who.system}|{who.value}" if who is not None else f"as written {reference.reference}"
