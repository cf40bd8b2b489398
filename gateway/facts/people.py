"""The people a document and its context speak of: who they are, and what is known of each.

Rules of this file
1. A Patient is known by its id on this server, by its urn, or by its URL on another: never by name.
2. What is not in the Patient resource (birth date, identifiers) is unknown; unknown never helps a permit.
3. A Consent that names nobody readable counts against everyone asked about: it can only deny (law 2).
4. The same id in document and context is one person; what its copies say adds up, and where they contradict each
   other on the birth date it is unknown.
"""

from collections.abc import Iterable, Mapping

import msgspec

from consent_store.dates import FhirDate, parse_date
from consent_store.model import Consent, Identifier, PatientKey, Unreadable
from gateway.decision.model import SubjectFacts
from gateway.decision.sources import identifiers_of
from gateway.decision.subjects import key_of, owners
from gateway.fhir.bundle import Document
from gateway.fhir.references import Base, Urn, parse
from gateway.fhir.resolver import Resolver, bases_stated
from gateway.fhir.view import ResourceView, every_view

Known = Mapping[PatientKey, tuple[ResourceView, ...]]
"""Everyone named, with every copy of the Patient resource that there is."""


def people(whole: Document, resolver: Resolver, source: str) -> dict[PatientKey, tuple[ResourceView, ...]]:
    """Give the Patient resources of a document with its context, by key; local ids belong to `source`."""
    found: dict[PatientKey, tuple[ResourceView, ...]] = {}
    for top in whole.views:
        for view in every_view(top):
            key = key_of(view, resolver, source) if view.type == "Patient" else None
            if key is not None:
                found[key] = (*found.get(key, ()), view)
    return found


def own_bases(document: Document) -> tuple[frozenset[Base], bool]:
    """Give the base that a Bundle's absolute fullUrls show to be this server's, and whether that cannot be told: its
    patients are of several servers, where the same `Patient/1` may be two people (L092)."""
    stated = bases_stated(document)
    if document.bundle is None or len(stated) < 2:
        return stated, False
    entries = tuple(
        entry for entry in document.bundle.entries if entry.view is not None and entry.view.type == "Patient"
    )
    patients = bases_stated(
        msgspec.structs.replace(document, bundle=msgspec.structs.replace(document.bundle, entries=entries))
    )
    return (patients, False) if len(patients) == 1 else (frozenset(), len(patients) > 1)


def names_by_urn(document: Document, resolver: Resolver) -> dict[str, PatientKey]:
    """Give the key of each Patient whose entry's fullUrl is a urn: a Consent may name it so."""
    found: dict[str, PatientKey] = {}
    for entry in document.bundle.entries if document.bundle else ():
        target = parse(entry.full_url, frozenset()) if entry.full_url else None
        if isinstance(target, Urn) and entry.view is not None and entry.view.type == "Patient":
            key = key_of(entry.view, resolver, "")
            if key is not None:
                found[target.text] = key
    return found


def by_identifier(known: Known) -> dict[Identifier, PatientKey]:
    """Give whose each business identifier is, without those that more than one person has."""
    return owners((key, identifiers_in(views)) for key, views in known.items())


def identifiers_in(views: Iterable[ResourceView]) -> frozenset[Identifier]:
    """Give the identifiers that any copy of a Patient has."""
    return frozenset(identifier for view in views for identifier in identifiers_of(view))


def subject_facts(
    key: PatientKey,
    copies: tuple[ResourceView, ...],
    consents: Iterable[Consent | Unreadable],
    stated: Mapping[str, bool],
    others: frozenset[PatientKey] = frozenset(),
) -> SubjectFacts:
    """Give what is known of one subject: from all copies of its Patient resource, and which consents are its own.

    `others` are the records that a Consent may name beside it: one that names another record of these is that one's,
    whatever identifier stands beside the name.
    """
    identifiers = identifiers_in(copies)
    births = {tree.get("birthDate") for tree in (view.tree for view in copies) if _is_text(tree.get("birthDate"))}
    return SubjectFacts(
        key=key,
        identifiers=identifiers,
        consents=tuple(c for c in consents if _is_of(c, key, identifiers, others)),
        birth_date=_date(births.pop()) if len(births) == 1 else None,
        deceased=any(_deceased(view) for view in copies),
        stated=stated,
    )


def _is_of(
    consent: Consent | Unreadable, key: PatientKey, identifiers: frozenset[Identifier], others: frozenset[PatientKey]
) -> bool:
    if not consent.patient.id and not consent.patient_identifiers:
        return True
    if consent.patient == key:
        return True
    return consent.patient not in others and not identifiers.isdisjoint(consent.patient_identifiers)


def _deceased(view: ResourceView) -> bool:
    return bool(view.tree.get("deceasedDateTime")) or view.tree.get("deceasedBoolean") is True


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _date(text: object) -> FhirDate | None:
    try:
        return parse_date(text)
    except ValueError:
        return None
