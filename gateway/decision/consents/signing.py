"""Who signed a consent, and whether anything shows that somebody did. Pure.

Rules of this file (45 CFR 164.508(c)(1)(vi); 42 CFR 2.31(a)(8), (9); L093)
1. A form is an attached or referenced source, or a Provenance with `signature` whose target the consent is.
2. `performer` (R4) and `grantor` (R5) say who agreed, the date when: to HIPAA that is a signature, to Part 2 it is not.
3. A related person counts only with authority that was verified, and not where the context shows another's.
"""

from consent_store.model import Consent, Reference
from gateway.decision.consents.relations import Relations, type_of
from gateway.decision.model import SubjectFacts


def is_signed(consent: Consent, subject: SubjectFacts, relations: Relations) -> bool:
    """Say whether a consent is signed and dated, as an authorisation must be (45 CFR 164.508(c)(1)(vi)): by a form or
    signature on record, a verification, or the patient (a representative of proven authority) as who gave it, with the
    date. A verification that failed defeats all of them."""
    if consent.verified is False:
        return False
    given = consent.date is not None and given_by_patient(consent, subject, relations)
    return consent.verified is True or has_form(consent, relations) or given


def has_form(consent: Consent, relations: Relations) -> bool:
    """Say whether a signed form, or a Provenance with a signature, is on record."""
    return consent.source_attached or bool(consent.source_references) or f"Consent/{consent.id}" in relations.signed


def given_by_patient(consent: Consent, subject: SubjectFacts, relations: Relations) -> bool:
    """Say whether the patient gave it, or a representative of proven authority."""
    return any(
        _is_patient(one, consent, subject, relations) or _is_representative(one, consent, subject, relations)
        for one in consent.performers
    )


def _is_patient(one: Reference, consent: Consent, subject: SubjectFacts, relations: Relations) -> bool:
    records = {f"Patient/{key.id}" for key in (consent.patient, subject.key) if key.id}
    if relations.key(one.reference) in records:
        return True
    return one.identifier is not None and one.identifier in subject.identifiers.union(consent.patient_identifiers)


def _is_representative(one: Reference, consent: Consent, subject: SubjectFacts, relations: Relations) -> bool:
    """Say whether a RelatedPerson signed whose authority was verified, and who the context does not show to be another
    patient's (L093)."""
    key = relations.key(one.reference)
    if key is None or type_of(key) != "RelatedPerson" or consent.verified is not True:
        return False
    view = relations.resources.get(key)
    if view is None:
        return key not in relations.ambiguous
    patients = [found for found in view.references if found.at == "/patient"]
    return view.tree.get("active") is not False and any(
        _is_patient(Reference(found.reference, found.type, found.identifier), consent, subject, relations)
        for found in patients
    )
