"""Does a permit meet the form of 42 CFR 2.31? Element by element; every missing one is named.

Rules of this file (law.md section (a); ARCHITECTURE.md section 6; L095)
1. Any element missing: the consent is a general one. It is not read into being more.
2. A signature is a signed source or a Provenance with `signature`; `verification` supports it, does not replace it, and
   `verified: false` defeats it.
3. A class of recipients counts as a designation; no recipient at all does not.
4. Proceedings against the patient (HLEGAL) need a consent for nothing else: 2.12(d), 2.31(d). So do counselling notes:
   2.31(b).
"""

from typing import Final

from consent_store.model import ACT_CODE, ACT_REASON, Coding, Consent, Expiry, Status
from gateway.decision.consents.answer import Permit, Target
from gateway.decision.consents.label_tests import PART2, PSYCHOTHERAPY_NOTES
from gateway.decision.consents.relations import Relations
from gateway.decision.consents.signing import given_by_patient, has_form
from gateway.decision.model import Exchange, SubjectFacts
from gateway.fhir.terminology import canonical, purpose_is_a

# Consent directives that assert the form: 42 CFR Part 2's own, and Michigan's that takes it in (labels.md section 4).
FORM_CODES: Final = frozenset({Coding(ACT_CODE, "42CFRPart2CD"), Coding(ACT_CODE, "MDHHS-5515Part2")})
ALL_RECORDS: Final = frozenset({"http://hl7.org/fhir/us/davinci-hrex/StructureDefinition-hrex-consent.html#sensitive"})
"""Policies under which a consent describes all records, the sensitive ones included (Da Vinci HRex)."""
_DESCRIPTIONS: Final = frozenset({Coding(ACT_CODE, PART2), Coding(ACT_CODE, "SUD")})
_PROCEEDINGS: Final = Coding(ACT_REASON, "HLEGAL")
_NOTES: Final = frozenset({Coding(ACT_CODE, "PSYTHPN"), Coding(ACT_CODE, PSYCHOTHERAPY_NOTES)})


def part2_compliant(
    permit: Permit,
    exchange: Exchange,
    subject: SubjectFacts,
    target: Target,
    relations: Relations,
    forms: frozenset[str] = frozenset(),
) -> tuple[bool, tuple[str, ...]]:
    """Say whether a permit that stands meets 42 CFR 2.31, and name each element that is missing.

    `permit` comes from the answer on `target` in `exchange`, so it is in its period and covers the exchange. `forms`
    are policy URIs that the operator knows to be compliant forms. Source: law.md section (a), machine test at its end.
    """
    consent = permit.consent
    elements = (
        (consent.status is Status.ACTIVE, "it is not active"),
        (consent.verified is not False, "its verification failed"),
        (_same_patient(consent, subject), "it names another patient"),
        (has_form(consent, relations), "no signed source and no signature is on record"),
        (
            given_by_patient(consent, subject, relations),
            "the patient, or a representative of proven authority, has not given it",
        ),
        (permit.names_discloser, "it does not name who may disclose"),
        (permit.names_recipient, "it does not name the recipient, by name or class"),
        (_purposed(permit, exchange), "its purposes do not cover this one"),
        (_described(permit), "it does not describe substance use disorder or Part 2 records"),
        (_marked(consent, forms), "nothing marks it as a consent under 42 CFR Part 2"),
        (consent.expiry is not Expiry.UNSTATED, "it states neither an expiry nor that there is none"),
        (_for_notes(permit, target), "psychotherapy or counselling notes need a consent for nothing else"),
    )
    missing = tuple(says for met, says in elements if not met)
    return not missing, missing


def _same_patient(consent: Consent, subject: SubjectFacts) -> bool:
    same_record = bool(consent.patient.id) and consent.patient == subject.key
    return same_record or not subject.identifiers.isdisjoint(consent.patient_identifiers)


def _purposed(permit: Permit, exchange: Exchange) -> bool:
    if purpose_is_a(exchange.purpose, _PROCEEDINGS):
        return bool(permit.purposes) and all(purpose_is_a(one, _PROCEEDINGS) for one in permit.purposes)
    return any(purpose_is_a(exchange.purpose, one) for one in permit.purposes)


def _described(permit: Permit) -> bool:
    return not _DESCRIPTIONS.isdisjoint(permit.labels) or not ALL_RECORDS.isdisjoint(permit.consent.policies)


def _marked(consent: Consent, forms: frozenset[str]) -> bool:
    codes = {canonical(one) for one in (*consent.categories, *consent.policy_rules)}
    return not FORM_CODES.isdisjoint(codes) or not forms.isdisjoint(consent.policies)


def _for_notes(permit: Permit, target: Target) -> bool:
    """Say whether the permit is for notes alone, where the record is one."""
    notes = "PSYTHPN" in target.labels.sensitivities or PSYCHOTHERAPY_NOTES in target.labels.policies
    named = _NOTES.intersection(permit.labels)
    return not notes or (bool(named) and set(permit.labels) <= _NOTES | _DESCRIPTIONS)
