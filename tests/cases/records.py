"""Records as an outside builder makes them from the table in docs/profiles.md: real FHIR, by what a case's data is.

Rules of this file
1. Published codes and ordinary elements only; nothing that names a category.
2. `keep` are records that may go where the rest may; `hold` are those that a mixed file must lose.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

Resource = dict[str, Any]
PATIENT = {"reference": "Patient/p1"}
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
LOINC = "http://loinc.org"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


class Sent(NamedTuple):
    """What is sent: records that may go with the rest, records that may not, and identifiers that must be gone."""

    keep: list[Resource]
    hold: tuple[Resource, ...] = ()
    gone: tuple[str, ...] = ()


def code(system: str, value: str) -> dict[str, Any]:
    """A CodeableConcept of one code."""
    return {"coding": [{"system": system, "code": value}]}


def org(name: str) -> dict[str, str]:
    """A reference to an organisation."""
    return {"reference": f"Organization/{name}"}


def condition(value: str) -> Resource:
    """A diagnosis."""
    return {"resourceType": "Condition", "subject": PATIENT, "code": code(ICD, value)}


def encounter(kind: str = "AMB", at: str | None = "hospital", **more: object) -> Resource:
    """A visit."""
    place = {"serviceProvider": org(at)} if at else {}
    base = {"resourceType": "Encounter", "status": "finished", "class": {"system": ACT, "code": kind}}
    return {**base, "subject": PATIENT, "period": {"start": "2024-05-01"}, **place, **more}


def claim(diagnosis: str = "I10", at: str = "hospital") -> Resource:
    """An explanation of benefit with one diagnosis and one line."""
    return {
        "resourceType": "ExplanationOfBenefit",
        "status": "active",
        "type": code("http://terminology.hl7.org/CodeSystem/claim-type", "professional"),
        "use": "claim",
        "outcome": "complete",
        "created": "2024-05-02",
        "patient": PATIENT,
        "insurer": org("plan"),
        "provider": org(at),
        "diagnosis": [{"sequence": 1, "diagnosisCodeableConcept": code(ICD, diagnosis)}],
        "item": [
            {"sequence": 1, "diagnosisSequence": [1], "productOrService": code("http://snomed.info/sct", "185349003")}
        ],
    }


def observation(system: str, value: str, **more: object) -> Resource:
    """An observation."""
    return {"resourceType": "Observation", "status": "final", "subject": PATIENT, "code": code(system, value), **more}


def patient(**more: object) -> Resource:
    """The patient."""
    name = [{"family": "Rivera", "given": ["Ana"]}]
    return {"resourceType": "Patient", "id": "p1", "name": name, "gender": "female", **more}


def document(**more: object) -> Resource:
    """A clinical note."""
    content = [{"attachment": {"contentType": "text/plain", "data": "bm90ZQ=="}}]
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": code(LOINC, "11506-3"),
        "subject": PATIENT,
        "content": content,
        **more,
    }


def simple(kind: str, **more: object) -> Resource:
    """A record of a type with status, intent and subject."""
    return {"resourceType": kind, "status": "active", "intent": "plan", "subject": PATIENT, **more}


def eligibility() -> Resource:
    """The answer to an eligibility check."""
    return {
        "resourceType": "CoverageEligibilityResponse",
        "status": "active",
        "purpose": ["validation"],
        "patient": PATIENT,
        "created": "2025-01-05",
        "outcome": "complete",
        "insurer": org("plan"),
        "request": {"identifier": {"system": "urn:example:requests", "value": "1"}},
    }


def custody(**more: object) -> Resource:
    """A stay in custody."""
    return {
        "resourceType": "EpisodeOfCare",
        "status": "active",
        "patient": PATIENT,
        "managingOrganization": org("source"),
        "period": {"start": "2024-06-01", "end": "2025-04-01"},
        **more,
    }


def communication() -> Resource:
    """A message that was sent."""
    return {"resourceType": "Communication", "status": "completed", "subject": PATIENT, "sent": "2025-02-01T10:00:00Z"}


def task(status: str) -> Resource:
    """A task for the patient."""
    return {"resourceType": "Task", "status": status, "intent": "order", "for": PATIENT}


def care_team(member: str) -> Resource:
    """A care team with one member."""
    return {
        "resourceType": "CareTeam",
        "status": "active",
        "subject": PATIENT,
        "participant": [{"member": org(member)}],
    }


def appointment() -> Resource:
    """An appointment."""
    return {
        "resourceType": "Appointment",
        "status": "booked",
        "start": "2025-03-10T10:00:00Z",
        "end": "2025-03-10T11:00:00Z",
        "participant": [{"actor": PATIENT, "status": "accepted"}],
    }


def labelled(resource: Resource, *codes: str) -> Resource:
    """A resource with security labels."""
    return {**resource, "meta": {"security": [{"system": ACT, "code": one} for one in codes]}}


def program_visit() -> Resource:
    """A visit at a substance use program."""
    return encounter(at="program")


def notes() -> Resource:
    """Psychotherapy notes, as they are labelled."""
    return labelled(document(), "PSYTHPN")


def chart() -> list[Resource]:
    """What a referral or a plan may need of a chart."""
    return [condition("E11.9"), encounter(), simple("CarePlan"), simple("Goal", lifecycleStatus="active")]


CII = {"type": {"text": "CII number"}, "system": "https://oag.ca.gov/cii", "value": "A12345678"}
SSN = {"system": "http://hl7.org/fhir/sid/us-ssn", "value": "078-05-1120"}
HOUSING = condition("Z59.01")

RECORDS: dict[str, Callable[[], Sent]] = {
    "appointment_to_meet": lambda: Sent([appointment()]),
    "assignment_file_with_part2": lambda: Sent(
        [condition("E11.9"), HOUSING], (program_visit(), claim("I10", "program"))
    ),
    "benefit_record": lambda: Sent(
        [{"resourceType": "Coverage", "status": "active", "beneficiary": PATIENT, "payor": [org("source")]}]
    ),
    "bh_non_part2": lambda: Sent([condition("F32.9"), encounter(reasonCode=[code(ICD, "F41.1")])]),
    "bh_non_part2_encounter": lambda: Sent([encounter(reasonCode=[code(ICD, "F32.9")])]),
    "bh_treatment_record": lambda: Sent(
        [
            condition("F20.9"),
            encounter(at=None, reasonCode=[code(ICD, "F20.9")]),
            {**document(), "type": {"text": "Psychiatric discharge summary"}},
        ]
    ),
    "bundle_with_release_date_and_cii": lambda: Sent(
        [custody(identifier=[CII]), patient(identifier=[CII])], (), ("A12345678",)
    ),
    "care_plan": lambda: Sent([simple("CarePlan")]),
    "chart_with_psychotherapy_notes": lambda: Sent([condition("E11.9")], (notes(),)),
    "cii_number": lambda: Sent(
        [{"resourceType": "Basic", "subject": PATIENT, "code": {"text": "number"}, "identifier": [CII]}]
    ),
    "claims": lambda: Sent([claim(at="source")]),
    "clinical_notes_generated_by_hh": lambda: Sent([document(author=[org("source")], custodian=org("source"))]),
    "clinical_record": lambda: Sent([condition("E11.9"), observation(LOINC, "4548-4")]),
    "contact_info": lambda: Sent([patient(telecom=[{"system": "phone", "value": "555-0100"}])]),
    "criminal_history": lambda: Sent(
        [
            {
                "resourceType": "DocumentReference",
                "status": "current",
                "subject": PATIENT,
                "type": {"text": "rap sheet"},
                "content": [{"attachment": {"contentType": "text/plain", "data": "eA=="}}],
            },
            {"resourceType": "Condition", "subject": PATIENT, "code": {"text": "Conviction PC 459, burglary"}},
            {**simple("CarePlan"), "title": "Probation supervision plan"},
            {"resourceType": "RiskAssessment", "status": "final", "subject": PATIENT, "code": {"text": "COMPAS"}},
        ]
    ),
    "data_item_not_in_scope_of_work": lambda: Sent([claim(), encounter()]),
    "demographic": lambda: Sent([patient()]),
    "developmental_services_claims": lambda: Sent([claim("F84.0")]),
    "diagnoses": lambda: Sent([condition("E11.9")]),
    "diagnoses_screenings_procedures": lambda: Sent(
        [
            condition("E11.9"),
            observation(LOINC, "44249-1"),
            {
                "resourceType": "Procedure",
                "status": "completed",
                "subject": PATIENT,
                "code": code("http://snomed.info/sct", "430193006"),
            },
        ]
    ),
    "education_record": lambda: Sent([document(), observation(LOINC, "72170-4")]),
    "encounter": lambda: Sent([encounter()]),
    "encounter_file_with_part2": lambda: Sent([encounter(), claim()], (program_visit(),)),
    "enrollee_record": lambda: Sent([condition("E11.9"), encounter(at="source")]),
    "enrollee_transition_list": lambda: Sent(
        [{"resourceType": "Group", "type": "person", "actual": True, "member": [{"entity": PATIENT}]}]
    ),
    "family_pact_enrolment_status": lambda: Sent(
        [{"resourceType": "Coverage", "status": "active", "beneficiary": PATIENT, "payor": [org("plan")]}]
    ),
    "full_chart": lambda: Sent(
        chart(),
        (
            document(),
            {
                "resourceType": "FamilyMemberHistory",
                "status": "completed",
                "patient": PATIENT,
                "relationship": {"text": "mother"},
            },
        ),
    ),
    "full_record_dump": lambda: Sent(
        [patient(), encounter()], (condition("E11.9"), document(), observation(LOINC, "4548-4"))
    ),
    "general_health_encounter": lambda: Sent([encounter(reasonCode=[code(ICD, "I10")])]),
    "general_phi": lambda: Sent([condition("E11.9"), observation(LOINC, "4548-4")]),
    "goals": lambda: Sent([simple("Goal", lifecycleStatus="active", description={"text": "walk daily"})]),
    "health_home_eligibility_status": lambda: Sent([eligibility()]),
    "health_home_service_info": lambda: Sent([communication()]),
    "hiv": lambda: Sent([condition("B20")]),
    "hiv_encounter": lambda: Sent([encounter(reasonCode=[code(ICD, "B20")])]),
    "hospital_admission_alert": lambda: Sent([encounter("IMP")]),
    "hospital_admission_alert_detox_unit": lambda: Sent([encounter("IMP", "program")]),
    "housing_history": lambda: Sent([HOUSING, observation(LOINC, "71802-3")]),
    "housing_location_in_jail": lambda: Sent([custody()]),
    "incarceration_date": lambda: Sent([custody()]),
    "incarceration_status": lambda: Sent(
        [
            condition("Z65.1"),
            {"resourceType": "Flag", "status": "active", "subject": PATIENT, "code": {"text": "In custody"}},
        ]
    ),
    "limited_demographics": lambda: Sent([patient()]),
    "mental_health_claims": lambda: Sent([claim("F32.9")]),
    "mixed_bundle_with_part2": lambda: Sent([encounter(), claim()], (program_visit(),)),
    "mixed_bundle_with_sud": lambda: Sent(
        [encounter(), claim()], (claim("F11.20"), program_visit(), care_team("program"))
    ),
    "mixed_claims_file_with_part2": lambda: Sent([claim()], (claim("I10", "program"),)),
    "non_part2_sud_dx_from_general_hospital": lambda: Sent([encounter(reasonCode=[code(ICD, "F11.20")])]),
    "oasas_provider_identity": lambda: Sent([care_team("program")]),
    "outreach_counts": lambda: Sent([communication(), task("completed")]),
    "outreach_result": lambda: Sent([task("completed")]),
    "part2_claims_from_other_mcp": lambda: Sent([claim("F11.20", "program")]),
    "part2_claims_not_from_other_mcp": lambda: Sent([claim("F11.20", "program")]),
    "part2_encounter": lambda: Sent([program_visit()]),
    "part2_record": lambda: Sent([program_visit()]),
    "physical_health": lambda: Sent([condition("I10"), observation(LOINC, "4548-4")]),
    "physical_health_claims": lambda: Sent([claim("I10")]),
    "previous_providers": lambda: Sent([care_team("hospital")]),
    "prior_service_use": lambda: Sent([claim(), encounter()]),
    "psychotherapy_notes": lambda: Sent([notes()]),
    "public_social_services_record": lambda: Sent(
        [{"resourceType": "Coverage", "status": "active", "beneficiary": PATIENT, "payor": [org("source")]}]
    ),
    "record_with_ssn": lambda: Sent([patient(identifier=[SSN])], (), ("078-05-1120",)),
    "redetermination_date": lambda: Sent([eligibility()]),
    "release_date": lambda: Sent(
        [
            custody(),
            {
                "resourceType": "Observation",
                "status": "final",
                "subject": PATIENT,
                "code": {"text": "Scheduled release date"},
                "valueDateTime": "2025-04-01",
            },
        ]
    ),
    "screenings_diagnoses_services_procedures": lambda: Sent(
        [condition("E11.9"), observation(LOINC, "44249-1"), encounter()]
    ),
    "self_pay_restricted_item": lambda: Sent([labelled(claim(at="source"), "HIPAASelfPay")]),
    "service_confirmation": lambda: Sent([encounter(at="source"), task("completed")]),
    "social_needs_assessment": lambda: Sent(
        [
            {
                "resourceType": "QuestionnaireResponse",
                "status": "completed",
                "subject": PATIENT,
                "questionnaire": "http://loinc.org/q/93025-5",
            }
        ]
    ),
    "sud_info_from_non_part2_provider": lambda: Sent([encounter(reasonCode=[code(ICD, "F11.20")])]),
    "sud_program_participation": lambda: Sent(
        [
            {
                "resourceType": "EpisodeOfCare",
                "status": "active",
                "patient": PATIENT,
                "managingOrganization": org("program"),
            }
        ]
    ),
    "sud_services": lambda: Sent([claim("F11.20", "program"), encounter(at="program")]),
}
