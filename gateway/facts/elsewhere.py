"""Consents of another server, as they read here: a relative reference points to the server its Consent is of. Pure.

Rules of this file (L092; FHIR R4 references.html, "Literal References")
1. `Group/7` in a Consent of another server is that server's group, whatever has the same id here.
2. A party that the directory lists as `Type/id` is the same on any server; one that it lists under a base of the
   Consent's server is meant by the relative reference.
3. A Consent filed by its patient's number alone is of no one server: where several are served, its relative references
   point nowhere. A reference that names nobody here permits nothing, and a refusal with it stands.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

import msgspec

from consent_store.model import Actor, Consent, Data, Provision, Reference, Unreadable
from gateway.directory.model import Directory
from gateway.fhir.references import Local, Target, parse


def as_here(
    consents: Iterable[Consent | Unreadable], source: str, bases: Mapping[str, frozenset[str]], directory: Directory
) -> tuple[Consent | Unreadable, ...]:
    """Give Consents as they read at the server `source`; `bases` are the base URLs of every server that is served.

    The same Consent gives the same object again, so that what was compiled of it still serves.
    """
    ours = {source, ""} if len(bases) < 2 else {source}
    found = tuple(consents)
    if all(one.patient.source in ours for one in found):
        return found
    texts = frozenset(text for party in directory.participants.values() for text in party.references)
    return tuple(
        one
        if one.patient.source in ours
        else _there(one, tuple(sorted(bases.get(one.patient.source, ()))), _targets(texts))
        for one in found
    )


@lru_cache(maxsize=8)
def _targets(texts: frozenset[str]) -> frozenset[Target]:
    """Give what these references point at: `Local` on any server, else under a base."""
    return frozenset(parse(text, frozenset()) for text in texts)


@lru_cache(maxsize=1024)
def _there(one: Consent | Unreadable, bases: tuple[str, ...], listed: frozenset[Target]) -> Consent | Unreadable:
    """Give a Consent with its relative references made absolute."""
    pointing = _Pointing(bases, listed)
    custodians = tuple(map(pointing.reference, one.custodians))
    if isinstance(one, Unreadable):
        return msgspec.structs.replace(one, custodians=custodians)
    itself = {f"{base}Patient/{one.patient.id}" for base in ("", *(f"{base.rstrip('/')}/" for base in bases))}
    return msgspec.structs.replace(
        one,
        custodians=custodians,
        # Who signs by the name that the Consent's own patient has there is that patient, whatever its name here.
        performers=tuple(
            Reference(f"Patient/{one.patient.id}", who.type, who.identifier)
            if who.reference in itself and one.patient.id
            else pointing.reference(who)
            for who in one.performers
        ),
        grantees=tuple(map(pointing.reference, one.grantees)),
        provisions=tuple(pointing.provision(rule) for rule in one.provisions),
    )


class _Pointing:
    """Makes references absolute: to one of the `bases` of their server, the same one for all that nobody listed."""

    def __init__(self, bases: tuple[str, ...], listed: frozenset[Target]) -> None:
        self.bases = tuple(base.rstrip("/") for base in bases)
        self.listed = listed

    def reference(self, one: Reference) -> Reference:
        text = one.reference
        target = parse(text, frozenset()) if text is not None else None
        if not isinstance(target, Local):
            return one
        for base in self.bases:
            if parse(f"{base}/{target.text}", frozenset()) in self.listed:
                return Reference(f"{base}/{target.text}", one.type, one.identifier)
        if Local(target.type, target.id) in self.listed:
            return one
        # Without a base it is text that is no reference, and still another text for every other thing.
        place = f"{self.bases[0]}/{text}" if self.bases else f"elsewhere:/{text}"
        return Reference(place, one.type, one.identifier)

    def provision(self, rule: Provision) -> Provision:
        actors = [
            Actor(actor.role, self.reference(actor.reference) if actor.reference is not None else None)
            for actor in rule.actors
        ]
        return msgspec.structs.replace(
            rule,
            actors=tuple(actors),
            data=tuple(Data(one.meaning, self.reference(one.reference)) for one in rule.data),
            nested=tuple([self.provision(one) for one in rule.nested]),
        )
