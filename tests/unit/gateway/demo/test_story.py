"""The story's data: valid R4, whole, and with in it what the story needs to show."""

import base64
from datetime import date

import msgspec
import pytest
from fhir.resources.R4B import get_fhir_model_class

from consent_store.model import PatientKey
from gateway.demo.references import reference_texts
from gateway.demo.story import DIRECTORY, StoryConsent, story_consent, story_resources
from gateway.directory.reading import parse_directory

STORY = {f"{tree['resourceType']}/{tree['id']}": tree for tree in map(msgspec.json.decode, story_resources())}
CONSENTS = {name: msgspec.json.decode(story_consent(name)) for name in StoryConsent}
HARBOR, MERCY = "Organization/harbor", "Organization/mercy"
NPI = "http://hl7.org/fhir/sid/us-npi"
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
PATIENTS = ["dana", "lily", "omar", "rosa"]


def codes(tree: object) -> set[str]:
    """Every code of every Coding anywhere in a resource."""
    if isinstance(tree, list):
        return {code for one in tree for code in codes(one)}
    if not isinstance(tree, dict):
        return set()
    own = {tree["code"]} if isinstance(tree.get("code"), str) else set()
    return own | {code for value in tree.values() for code in codes(value)}


def source(tree: dict) -> str | None:
    """The organization a clinical record comes from, by its performer, provider, custodian, author or encounter."""
    for name in ("serviceProvider", "custodian", "provider"):
        if name in tree:
            return tree[name]["reference"]
    performers = [one.get("actor", one)["reference"] for one in tree.get("performer", [])]
    return next(iter(performers), None) or source(STORY[tree["encounter"]["reference"]])


def check_digit_holds(number: str) -> bool:
    """The Luhn check of an NPI with its prefix 80840 (45 CFR 162.406)."""
    digits = [int(digit) for digit in reversed(number)]
    doubled = [2 * digit - 9 * (digit > 4) if place % 2 else digit for place, digit in enumerate(digits)]
    return (24 + sum(doubled)) % 10 == 0


@pytest.mark.parametrize("name", sorted(STORY))
def test_every_resource_is_valid_r4(name):
    """Each resource of the story reads as its R4B model."""
    get_fhir_model_class(STORY[name]["resourceType"]).model_validate(STORY[name])


@pytest.mark.parametrize("name", list(StoryConsent))
def test_every_consent_is_valid_r4_and_typed(name):
    """Each Consent reads as R4B, is active, signed by its patient with a form attached, and has a typed provision."""
    consent = CONSENTS[name]
    get_fhir_model_class("Consent").model_validate(consent)
    assert ("active", "permit") == (consent["status"], consent["provision"]["type"])
    assert [consent["patient"]] == consent["performer"]
    assert "Signed: " in base64.b64decode(consent["sourceAttachment"]["data"]).decode()
    assert "patient-privacy" in codes(consent["scope"])
    assert consent["policy"][0]["uri"]
    assert consent["dateTime"][:10] <= consent["provision"]["period"]["start"] < consent["provision"]["period"]["end"]


def test_every_reference_leads_somewhere():
    """No reference of a resource or a Consent dangles."""
    texts = [*story_resources(), *(story_consent(name) for name in StoryConsent)]
    assert set() == {one for text in texts for one in reference_texts(text)} - set(STORY)


def test_there_are_four_patients_and_no_consent_in_the_upstream():
    """The upstream holds four people; Consents come to the gateway by its own door."""
    assert PATIENTS == sorted(tree["id"] for tree in STORY.values() if tree["resourceType"] == "Patient")
    assert [] == [name for name in STORY if name.startswith("Consent/")]


def test_made_up_numbers_belong_to_nobody():
    """NPIs have ten digits, differ, and fail their check digit; social security numbers start with 9."""
    identifiers = [one for tree in STORY.values() for one in tree.get("identifier", [])]
    npis = [one["value"] for one in identifiers if one["system"] == NPI]
    assert 8 == len(set(npis)) == len(npis)
    assert [] == [npi for npi in npis if len(npi) != 10 or check_digit_holds(npi)]
    assert check_digit_holds("1234567893")
    assert [] == [one for one in identifiers if one["system"].endswith("us-ssn") and not one["value"].startswith("9")]


def test_lily_is_fifteen_and_the_others_are_adults():
    """On the day of the story Lily is a minor of 15."""
    day = date(2026, 11, 22)
    born = {name: date.fromisoformat(STORY[f"Patient/{name}"]["birthDate"]) for name in PATIENTS}
    ages = {name: day.year - at.year - ((day.month, day.day) < (at.month, at.day)) for name, at in born.items()}
    assert 15 == ages.pop("lily")
    assert min(ages.values()) > 18


def test_rosa_has_records_of_the_program_and_of_the_hospital_in_every_kind():
    """For each kind of record there is one of Harbor's and one of Mercy's."""
    for type_ in ("Encounter", "Condition", "MedicationRequest", "Observation", "Claim", "ExplanationOfBenefit"):
        sources = {source(tree) for name, tree in STORY.items() if name.startswith(f"{type_}/rosa-")}
        assert {HARBOR, MERCY} == sources, type_


def test_substance_use_is_coded_outside_the_program_too():
    """The hospital's emergency visit has substance use diagnoses of its own, and its Encounter refers to one."""
    outside = STORY["Condition/rosa-opioid-intoxication"]
    assert MERCY == source(outside)
    assert "F11.120" in codes(outside)
    diagnoses = STORY["Encounter/rosa-mercy-emergency"]["diagnosis"]
    assert {"reference": "Condition/rosa-opioid-intoxication"} in [one["condition"] for one in diagnoses]


def test_one_benefit_is_mixed_and_one_is_wholly_the_programs():
    """Mercy's ExplanationOfBenefit has one substance use diagnosis with one line among ordinary ones; Harbor's has
    nothing else; what a line refers to exists, and the lines add up to the total."""
    mixed, whole = STORY["ExplanationOfBenefit/rosa-benefit-mercy"], STORY["ExplanationOfBenefit/rosa-benefit-harbor"]
    sequences = [one["sequence"] for one in mixed["diagnosis"] if any(code.startswith("F11") for code in codes(one))]
    assert [3] == sequences
    assert [3] == [line["sequence"] for line in mixed["item"] if line["diagnosisSequence"] == sequences]
    assert 4 == len(mixed["item"])
    assert {"H0050"} == {
        line["productOrService"]["coding"][0]["code"] for line in mixed["item"] if 3 == line["sequence"]
    }
    assert {"F11.20"} == codes(whole["diagnosis"])
    assert HARBOR == whole["provider"]["reference"]
    for name, benefit in STORY.items():
        if name.startswith(("ExplanationOfBenefit/", "Claim/")):
            diagnoses = {one["sequence"] for one in benefit["diagnosis"]}
            assert diagnoses >= {number for line in benefit["item"] for number in line["diagnosisSequence"]}
            totals = benefit["total"] if isinstance(benefit["total"], list) else [{"amount": benefit["total"]}]
            assert totals[0]["amount"]["value"] == pytest.approx(sum(line["net"]["value"] for line in benefit["item"]))


def test_a_report_of_the_hospital_points_at_an_observation_of_the_program():
    """The mixed laboratory report has a result that will be hidden, between two that will not."""
    report = STORY["DiagnosticReport/rosa-lab-report"]
    assert MERCY == source(report)
    assert [MERCY, HARBOR, MERCY] == [source(STORY[one["reference"]]) for one in report["result"]]


def test_text_names_what_codes_do_not():
    """Hidden things are named in a narrative, in a note, and in an attachment of otherwise ordinary records."""
    assert "Harbor Recovery" in STORY["Encounter/rosa-mercy-clinic"]["text"]["div"]
    assert "buprenorphine" in STORY["Observation/rosa-blood-pressure-summer"]["note"][0]["text"]
    attachment = STORY["DocumentReference/rosa-emergency-summary"]["content"][0]["attachment"]
    assert "Opioid" in base64.b64decode(attachment["data"]).decode()


def test_dana_has_labelled_and_unlabelled_sensitive_records():
    """HIV and violence are labelled where the code is plain, and on others only code or text tells."""
    labels = {name: codes(tree.get("meta", {})) for name, tree in STORY.items() if "/dana-" in name}
    assert {"R", "HIV"} == labels["Condition/dana-hiv"] == labels["Observation/dana-viral-load"]
    assert {"R", "SDV"} == labels["Condition/dana-partner-violence"] == labels["DocumentReference/dana-safety-plan"]
    assert {"N"} == labels["ServiceRequest/dana-housing-referral"]
    assert {"R", "HIV"} == labels["Observation/dana-cd4"]
    assert {"R", "SDV"} == labels["Condition/dana-partner-problem"] == labels["Encounter/dana-mercy-emergency"]
    assert set() == labels["MedicationRequest/dana-antiretroviral"] | labels["Encounter/dana-mercy-clinic"]


def test_the_part2_consent_has_what_42_cfr_2_31_asks():
    """Form marker, program as custodian and discloser, named recipients, purposes, what is covered, and an end."""
    consent = CONSENTS[StoryConsent.ROSA_PART2]
    provision = consent["provision"]
    assert {"42CFRPart2CD"} == codes(consent["category"])
    assert [HARBOR] == [one["reference"] for one in consent["organization"]]
    roles = {(next(iter(codes(one["role"]))), one["reference"]["reference"]) for one in provision["actor"]}
    assert {("performer", HARBOR), ("performer", MERCY)} <= roles
    assert {MERCY, "Organization/sunrise"} == {who for role, who in roles if role == "IRCP"}
    assert {"TREAT", "HPAYMT", "HOPERAT"} == codes(provision["purpose"])
    assert {"42CFRPart2", "SUD", "R"} == codes(provision["securityLabel"])
    form = base64.b64decode(consent["sourceAttachment"]["data"]).decode()
    for said in ("Rosa Alvarez", "Harbor Recovery Clinic", "Sunrise Health Plan", "revoke", "proceeding", "not sign"):
        assert said in form


def test_the_directory_names_the_storys_organizations():
    """The directory is read, and each participant's references and identifiers are those of the story's resources."""
    types = {"provider_general", "provider_part2", "mco", "cma", "cbo", "patient"}
    directory = parse_directory(DIRECTORY.read_text(), DIRECTORY.name, types)
    for one in directory.participants.values():
        held = {(known["system"], known["value"]) for name in one.references for known in STORY[name]["identifier"]}
        assert {(known.system, known.value) for known in one.identifiers} <= held
    assert ["harbor"] == [one.id for one in directory.participants.values() if one.part2_program]
    assert ["hearth", "rosa-app"] == [one.id for one in directory.participants.values() if not one.hipaa_covered]
    assert set(directory.participants) == {client.participant for client in directory.clients}
    related = {one.patient for one in directory.relationships}
    assert {PatientKey("story", name) for name in PATIENTS} == related


def test_procedure_codes_are_hcpcs():
    """Claims use HCPCS level II codes with their system; no CPT code or descriptor is carried."""
    lines = [line for tree in STORY.values() for line in tree.get("item", [])]
    products = [line["productOrService"]["coding"][0] for line in lines]
    assert {HCPCS} == {one["system"] for one in products}
    assert [] == [one["code"] for one in products if not one["code"][0].isalpha()]
