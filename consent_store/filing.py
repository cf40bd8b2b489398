"""How a Consent's text is filed: under which id and version, for whom it is found, and what marks a subject's state.

Rules of this file
1. An index term is a patient key or one business identifier; a subject finds what shares a term with it.
2. `PatientKey(source, "")` is nobody: it is no term, so two people without a record id never meet (L092).
3. A revision's mark is a digest over id and version of what is found: it moves at every write that touches the
   subject, and is equal wherever the same versions are stored (law 9).
4. A new version that names nobody, or cannot be read, stays with those the one before it was filed for (L081).
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import msgspec

from consent_store.identifier_systems import spellings
from consent_store.model import Consent, Identifier, PatientKey, Unreadable
from consent_store.reading import parse, read_consent
from consent_store.store import Revision, StoredVersion, Subject

NOT_ASKABLE: Final = "a subject with neither a record id nor an identifier cannot be looked up"

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")  # R4 datatypes: id


class Filing(msgspec.Struct, frozen=True):
    """What the index needs of one text: its id ("" where it has none that may be used), status and terms."""

    id: str
    status: str
    terms: frozenset[str]


def filing_of(source: str, text: bytes, fhir_version: str, own_bases: frozenset[str]) -> Filing:
    """Read `text` for the index. `status` is "" for what cannot be read. Never raises."""
    consent = read_consent(text, source=source, fhir_version=fhir_version, own_bases=own_bases)
    status = consent.status.value if isinstance(consent, Consent) else ""
    return Filing(consent.id if _ID.fullmatch(consent.id) else "", status, terms_of(consent))


def terms_after(filing: Filing, before: frozenset[str]) -> frozenset[str]:
    """Give the terms of a new version, of which `before` are those of the one it follows (rule 4)."""
    return filing.terms if filing.status and filing.terms else filing.terms | before


def terms_of(consent: Consent | Unreadable) -> frozenset[str]:
    """Give the index terms of a Consent: none where it belongs to nobody we know."""
    return _terms(consent.patient, consent.patient_identifiers)


def terms_for(subject: Subject) -> frozenset[str]:
    """Give the index terms under which a subject's consents are found; of a number in every spelling of its system,
    one of which may have been filed before the table knew them to be one."""
    others = (
        _term("identifier", system, one.value)
        for one in subject.identifiers
        if one.system
        for system in spellings(one.system)[1:]
    )
    return _terms(subject.key, subject.identifiers).union(others)


def is_nobodys(consent: Consent | Unreadable) -> bool:
    """Say whether nothing tells whose Consent it is. No look-up finds it: whoever holds it reports it as erring."""
    return not terms_of(consent)


def belongs_to(consent: Consent | Unreadable, subject: Subject) -> bool:
    """Say whether a Consent is the subject's: by patient key, or by one shared identifier."""
    return not terms_of(consent).isdisjoint(terms_for(subject))


def mark_of(versions: Iterable[tuple[str, str]]) -> Revision:
    """Give the revision of a subject of whom these (id, version) are current."""
    lines = "\n".join(sorted(f"{consent_id}/{version}" for consent_id, version in versions))
    return Revision(blake2b(lines.encode(), digest_size=16).hexdigest())


def stamp(text: bytes, consent_id: str, version: str, at: str) -> bytes:
    """Give `text` with id, meta.versionId and meta.lastUpdated set and every other value as it was written (law 5).

    Text that is not one strict JSON object, or whose `meta` is none, is given back as it is.
    """
    tree, spoiled = parse(text)
    if spoiled or not isinstance(tree.get("meta", {}), dict):
        return text
    try:
        members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        meta = msgspec.json.decode(members.get("meta", b"{}"), type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError):
        return text
    meta |= {"versionId": _raw(version), "lastUpdated": _raw(at)}
    first = {name: members[name] for name in ("resourceType",) if name in members}
    return msgspec.json.encode(first | {"id": _raw(consent_id), "meta": meta} | _without(members, "id", "meta"))


@lru_cache(maxsize=4096)
def read_stored(source: str, stored: StoredVersion, own_bases: frozenset[str]) -> Consent | Unreadable:
    """Read a stored version; the store's id and version stand, whatever the text says. Kept: versions never change."""
    consent = read_consent(stored.text, source=source, fhir_version=stored.fhir_version, own_bases=own_bases)
    return msgspec.structs.replace(consent, id=stored.id, version=stored.version)


def found_for(subject: Subject, consent: Consent | Unreadable) -> Consent | Unreadable:
    """Give what is filed for a subject as that subject's, also where only an earlier version said so (rule 4)."""
    if belongs_to(consent, subject):
        return consent
    others = () if subject.key.id else tuple(sorted(subject.identifiers, key=str))
    return msgspec.structs.replace(consent, patient=subject.key, patient_identifiers=others)


def _terms(key: PatientKey, identifiers: Iterable[Identifier]) -> frozenset[str]:
    keys = [_term("key", key.source, key.id)] if key.id else []
    return frozenset((*keys, *(_term("identifier", one.system, one.value) for one in identifiers if one.system)))


def _term(*parts: str) -> str:
    return msgspec.json.encode(parts).decode()


def _raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(text))


def _without(members: dict[str, msgspec.Raw], *names: str) -> dict[str, msgspec.Raw]:
    return {name: value for name, value in members.items() if name not in names}
