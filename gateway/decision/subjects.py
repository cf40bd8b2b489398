"""Who is who among the patients that a document and its context speak of: keys, whose an identifier is, linked records.

Rules of this file
1. A Patient is known by its id on this server, by its urn, or by its URL at another server; never by name.
2. A business identifier that two records share names neither of them in a reference (L007).
3. Records linked by Patient.link, Person.link or a shared identifier may be one person: a refusal on one counts for
   all, a permit on one opens nothing of another (L009). Circles end.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from consent_store.model import Identifier, PatientKey
from gateway.fhir.references import Base, Foreign, Local, Target, Urn
from gateway.fhir.resolver import Resolver
from gateway.fhir.view import ResourceView

_PORTS: Final = {"http": 80, "https": 443}
_LINKS: Final[Mapping[str, str]] = {"Patient": "/link/", "Person": "/link/"}


def key_of(view: ResourceView, resolver: Resolver, source: str) -> PatientKey | None:
    """Give the key of a Patient resource of the document; None for one that says nowhere who it is."""
    return _key(resolver.identity(view), source)


def _key(target: Target | None, source: str) -> PatientKey | None:
    match target:
        case Local("Patient", identity):
            return PatientKey(source, identity)
        case Urn(text):
            return PatientKey(source, text)
        case Foreign(base, "Patient", identity) if base is not None and identity is not None:
            return PatientKey(base_text(base), identity)
        case _:
            return None


def base_text(base: Base) -> str:
    """Give a server's base URL as text, in normal form."""
    port = "" if _PORTS.get(base.scheme) == base.port else f":{base.port}"
    return "/".join((f"{base.scheme}://{base.host}{port}", *base.path))


def reference_of(key: PatientKey, source: str) -> str:
    """Give the reference by which a document of `source` names the patient of a key."""
    if key.source == source:
        return key.id if key.id.startswith("urn:") else f"Patient/{key.id}"
    return f"{key.source}/Patient/{key.id}"


def owners(known: Iterable[tuple[PatientKey, Iterable[Identifier]]]) -> dict[Identifier, PatientKey]:
    """Give whose each business identifier is, without those that more than one has."""
    found: dict[Identifier, PatientKey] = {}
    shared: set[Identifier] = set()
    for key, identifiers in known:
        for identifier in identifiers:
            if found.setdefault(identifier, key) != key:
                shared.add(identifier)
    return {identifier: key for identifier, key in found.items() if identifier not in shared}


def linked(
    views: Iterable[ResourceView],
    known: Iterable[tuple[PatientKey, Iterable[Identifier]]],
    resolver: Resolver,
    source: str,
) -> Mapping[PatientKey, frozenset[PatientKey]]:
    """Give, for each patient with links, the others that may be the same person, over any number of steps."""
    groups = [set(_named_by(view, resolver, source)) for view in views if view.type in _LINKS]
    by_identifier: dict[Identifier, set[PatientKey]] = {}
    for key, identifiers in known:
        for identifier in identifiers:
            by_identifier.setdefault(identifier, set()).add(key)
    joined: dict[PatientKey, set[PatientKey]] = {}
    for group in (*groups, *by_identifier.values()):
        if len(group) < 2:
            continue
        whole = set(group).union(*(joined.get(key, ()) for key in group))
        joined.update(dict.fromkeys(whole, whole))
    return {key: frozenset(whole - {key}) for key, whole in joined.items()}


def _named_by(view: ResourceView, resolver: Resolver, source: str) -> Iterator[PatientKey]:
    if view.type == "Patient" and (own := key_of(view, resolver, source)) is not None:
        yield own
    for found in view.references:
        if not found.at.startswith(_LINKS[view.type]):
            continue
        resolved = resolver.resolve(view, found)
        keys = [key_of(one, resolver, source) for one in resolved.views] or [_key(resolved.target, source)]
        yield from (key for key in keys if key is not None)
