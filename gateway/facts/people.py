"""The people a document and its context speak of: who they are, and what is known of each.

Rules of this file
1. A Patient is known by its id on this server, by its urn, or by its URL on another: never by name.
2. What is not in the Patient resource (birth date, identifiers) is unknown; unknown never helps a permit.
3. A Consent that names nobody readable counts against everyone asked about: it can only deny (law 2).
"""

from collections.abc import Iterable, Mapping

from consent_store.dates import FhirDate, parse_date
from consent_store.model import Consent, Identifier, PatientKey, Unreadable
from gateway.decision.model import SubjectFacts
from gateway.decision.sources import identifiers_of
from gateway.fhir.bundle import Document
from gateway.fhir.references import Base, Foreign, Local, Urn
from gateway.fhir.resolver import Resolver
from gateway.fhir.view import ResourceView, every_view

_PORTS = {"http": 80, "https": 443}


def people(whole: Document, resolver: Resolver, source: str) -> dict[PatientKey, ResourceView]:
    """Give the Patient resources of a document with its context, by key; local ids belong to `source`."""
    found: dict[PatientKey, ResourceView] = {}
    for top in whole.views:
        for view in every_view(top):
            if view.type != "Patient":
                continue
            match resolver.identity(view):
                case Local(_, identity):
                    found.setdefault(PatientKey(source, identity), view)
                case Urn(text):
                    found.setdefault(PatientKey(source, text), view)
                case Foreign(base, _, identity) if base is not None and identity is not None:
                    found.setdefault(PatientKey(base_text(base), identity), view)
                case _:
                    pass
    return found


def by_identifier(known: Mapping[PatientKey, ResourceView]) -> dict[Identifier, PatientKey]:
    """Give whose each business identifier is; the first record that has it."""
    found: dict[Identifier, PatientKey] = {}
    for key, view in known.items():
        for identifier in identifiers_of(view):
            found.setdefault(identifier, key)
    return found


def base_text(base: Base) -> str:
    """Give a server's base URL as text, in normal form."""
    port = "" if _PORTS.get(base.scheme) == base.port else f":{base.port}"
    return "/".join((f"{base.scheme}://{base.host}{port}", *base.path))


def subject_facts(
    key: PatientKey,
    patient: ResourceView | None,
    consents: Iterable[Consent | Unreadable],
    stated: Mapping[str, bool],
) -> SubjectFacts:
    """Give what is known of one subject: from its Patient resource, if there is one, and which consents are its own."""
    identifiers = frozenset(identifiers_of(patient)) if patient is not None else frozenset()
    tree = patient.tree if patient is not None else {}
    return SubjectFacts(
        key=key,
        identifiers=identifiers,
        consents=tuple(c for c in consents if _is_of(c, key, identifiers)),
        birth_date=_date(tree.get("birthDate")),
        deceased=bool(tree.get("deceasedDateTime")) or tree.get("deceasedBoolean") is True,
        stated=stated,
    )


def _is_of(consent: Consent | Unreadable, key: PatientKey, identifiers: frozenset[Identifier]) -> bool:
    if not consent.patient.id and not consent.patient_identifiers:
        return True
    return consent.patient == key or not identifiers.isdisjoint(consent.patient_identifiers)


def _date(text: object) -> FhirDate | None:
    try:
        return parse_date(text)
    except ValueError:
        return None
