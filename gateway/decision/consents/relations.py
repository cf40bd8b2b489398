"""Who and what the context shows: which references name the same thing, and which resources stand behind them.

Rules of this file
1. A thing is known by its resolved (base, type, id) or by an identifier with system and value; never by display,
   never by a bare id (L092).
2. A reference under one of our own bases is the relative one; under any other base it is another thing.
3. Two different texts of one resource in the context are no evidence: that resource counts as not resolved.
4. A contained resource has an id only inside its container: it is nobody's reference.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, Protocol

import msgspec

from consent_store.identifier_systems import system_of
from consent_store.model import Coding, Identifier, Reference
from gateway.decision.consents.remembered import kept
from gateway.directory.model import Directory, Participant
from gateway.fhir.references import Base, Foreign, Local, Target, Urn, parse
from gateway.fhir.view import ResourceView

PARTICIPANT_TYPE: Final = "urn:consent-gateway:participant-type"
"""Identifier system of a recipient by class: its value is a participant type (ARCHITECTURE.md section 6)."""


class ReferenceLike(Protocol):
    """A Reference as the consent model or the resource view holds it."""

    @property
    def reference(self) -> str | None:
        """The literal reference as written."""

    @property
    def type(self) -> str | None:
        """The type stated beside it."""

    @property
    def identifier(self) -> Identifier | None:
        """The business identifier."""


class Relations(msgspec.Struct, frozen=True):
    """What the context shows. Made by `of`, once per question; asked while consents are matched."""

    resources: Mapping[str, ResourceView]
    ambiguous: AbstractSet[str]
    identified: Mapping[Identifier, frozenset[str]]
    participants: Mapping[str, str]  # resolved reference -> participant id
    participant_identifiers: Mapping[Identifier, str]
    part_of: Mapping[str, frozenset[str]]  # resolved Organization -> what belongs to it: parts, practitioners by role
    signed: frozenset[str]  # what a Provenance with a signature has as target
    kinds: Mapping[str, frozenset[str]]
    own: frozenset[Base]
    directory: Directory
    resolved: dict[str, str | None] = msgspec.field(default_factory=dict)  # what was asked before

    @classmethod
    def of(
        cls,
        views: Iterable[ResourceView],
        participants: Directory,
        *,
        own: frozenset[Base] = frozenset(),
        kinds: Mapping[str, frozenset[str]] | None = None,
    ) -> "Relations":
        """Index the context. References under `own` bases are ours; `kinds` maps a kind of participant to the types
        that belong to it (Policy.kinds). What cannot be read in a view is left out: it proves nothing."""
        resources, ambiguous = _by_key(views)
        identified: dict[Identifier, set[str]] = {}
        for key, view in resources.items():
            for identifier in identifiers_of(view):
                identified.setdefault(identifier, set()).add(key)
        known, known_identifiers = _parties(participants, own)
        return cls(
            resources=resources,
            ambiguous=ambiguous,
            identified={identifier: frozenset(keys) for identifier, keys in identified.items()},
            participants=known,
            participant_identifiers=known_identifiers,
            part_of=_part_of(resources, own),
            signed=_signed(resources, own),
            kinds=kinds or {},
            own=own,
            directory=participants,
        )

    def key(self, reference: str | None) -> str | None:
        """Resolve literal reference text: `Type/id` where it is ours, `base/Type/id` elsewhere, a urn as it is.
        None for a fragment or what is no reference."""
        if reference is None:
            return None
        if reference not in self.resolved:
            kept(self.resolved, reference, resolve(reference, self.own))
        return self.resolved[reference]

    def same(self, one: ReferenceLike, other: ReferenceLike) -> bool:
        """Say whether two references surely name one thing: by resolved reference, by identifier, or by a resource
        of the context that has the identifier."""
        if one.identifier is not None and one.identifier.system and one.identifier == other.identifier:
            return True
        return not self.keys(one).isdisjoint(self.keys(other))

    def kinds_of(self, participant_type: str) -> frozenset[str]:
        """Give a participant type with every kind it belongs to."""
        return frozenset({participant_type}).union(k for k, types in self.kinds.items() if participant_type in types)

    def pointing_from(self, key: str) -> frozenset[str] | None:
        """Give the resolved references of the resource `key`; None where the context does not show it."""
        view = self.resources.get(key)
        return None if view is None else self.links(view)

    def links(self, view: ResourceView, context: Base | None = None) -> frozenset[str]:
        """Give everything a resource refers to, resolved; an identifier counts where the context shows whose it is.
        `context` is the base of the server the resource is of, where that is another."""
        found = set[str | None]()
        for reference in view.references:
            if reference.identifier is None and context is None:
                found.add(self.key(reference.reference))
            else:
                found |= self.keys(reference, context)
        return frozenset([key for key in found if key is not None])

    def keys(self, reference: ReferenceLike, context: Base | None = None) -> frozenset[str]:
        """Give what a reference resolves to, by its text and by its identifier."""
        text, who = reference.reference, reference.identifier
        key = self.key(text) if context is None else resolve(text, self.own, context)
        found = frozenset() if key is None else frozenset((key,))
        return found if who is None else found | self.identified.get(who, found)


def resolve(reference: str | None, own: frozenset[Base], context: Base | None = None) -> str | None:
    """See `Relations.key`; `context` is the base that relative references are relative to, where it is not ours."""
    return None if reference is None else spelled(parse(reference, own, context))


def spelled(target: Target | None) -> str | None:
    """Give the one spelling of a resource that a reference points at; None where it points at none."""
    match target:
        case Local():
            return target.text
        case Foreign(base, kind, identity) if base is not None and identity is not None:
            return f"{base.scheme}://{base.host}:{base.port}/{'/'.join((*base.path, kind or '', identity))}"
        case Urn():
            return target.text
        case _:
            return None


def type_of(key: str) -> str:
    """Give the resource type of a resolved reference, "" for a urn."""
    return "" if key.startswith("urn:") else key.rsplit("/", 2)[-2]


def identifiers_of(view: ResourceView) -> frozenset[Identifier]:
    """Give the identifiers of a resource that have system and value."""
    return frozenset(
        Identifier(system, item["value"])
        for item in objects(view.tree.get("identifier"))
        if isinstance(item.get("value"), str) and (system := system_of(item)) is not None
    )


def codings_of(concepts: object) -> Iterator[Coding]:
    """Give the codings of a CodeableConcept or a list of them, as parsed JSON."""
    for concept in objects(concepts):
        for item in objects(concept.get("coding")):
            system, code = item.get("system"), item.get("code")
            yield Coding(system if isinstance(system, str) else None, code if isinstance(code, str) else None)


def objects(value: object) -> list[dict[str, Any]]:
    """Give the objects in parsed JSON: of a list, or the one itself; nothing for anything else."""
    listed = value if isinstance(value, list) else [value]
    return [item for item in listed if isinstance(item, dict)]


def reference_of(value: object) -> Reference:
    """Read a Reference from parsed JSON; one that names nothing where it is not one."""
    tree = value if isinstance(value, dict) else {}
    literal, kind = tree.get("reference"), tree.get("type")
    who = next(iter(objects(tree.get("identifier"))), {})
    business = who.get("value")
    return Reference(
        literal if isinstance(literal, str) else None,
        kind if isinstance(kind, str) else None,
        Identifier(system_of(who), business) if isinstance(business, str) else None,
    )


def _by_key(views: Iterable[ResourceView]) -> tuple[dict[str, ResourceView], frozenset[str]]:
    found: dict[str, ResourceView] = {}
    ambiguous = set[str]()
    waiting = list(views)
    while waiting:
        view = waiting.pop()
        waiting.extend(inner for inner in view.inner if "/contained/" not in inner.at)
        if view.id is None or "/contained/" in view.at:
            continue
        known = found.setdefault(f"{view.type}/{view.id}", view)
        if known.raw != view.raw:
            ambiguous.add(f"{view.type}/{view.id}")
    return {key: view for key, view in found.items() if key not in ambiguous}, frozenset(ambiguous)


def _parties(directory: Directory, own: frozenset[Base]) -> tuple[dict[str, str], dict[Identifier, str]]:
    keys: dict[str, str] = {}
    identifiers: dict[Identifier, str] = {}
    for party in directory.participants.values():
        keys.update(dict.fromkeys(references_of(party, own), party.id))
        identifiers.update(dict.fromkeys(party.identifiers, party.id))
    return keys, identifiers


def references_of(party: Participant, own: frozenset[Base]) -> frozenset[str]:
    """Give a participant's references, resolved."""
    return frozenset(key for text in party.references if (key := resolve(text, own)) is not None)


def _part_of(resources: Mapping[str, ResourceView], own: frozenset[Base]) -> dict[str, frozenset[str]]:
    """Collect what belongs to each organisation by Organization.partOf and PractitionerRole, one step each."""
    found: dict[str, set[str]] = {}
    for key, view in resources.items():
        if view.type == "Organization":
            pairs = [(view.tree.get("partOf"), key)]
        elif view.type == "PractitionerRole" and view.tree.get("active") is not False:
            who = resolve(reference_of(view.tree.get("practitioner")).reference, own)
            pairs = [(view.tree.get("organization"), who)] if who is not None else []
        else:
            continue
        for owner, part in pairs:
            whole = resolve(reference_of(owner).reference, own)
            if whole is not None:
                found.setdefault(whole, set()).add(part)
    return {whole: frozenset(parts) for whole, parts in found.items()}


def _signed(resources: Mapping[str, ResourceView], own: frozenset[Base]) -> frozenset[str]:
    provenances = (view.tree for view in resources.values() if view.type == "Provenance")
    return frozenset(
        key
        for tree in provenances
        if objects(tree.get("signature"))
        for target in objects(tree.get("target"))
        if (key := resolve(reference_of(target).reference, own)) is not None
    )
