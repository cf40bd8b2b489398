"""What a record carries of the records it belongs to (labels.md sections 2 and 6; docs/labels.md)."""

import json

import pytest

from consent_store.model import ACT_CODE
from gateway.fhir.bundle import read_document
from gateway.fhir.resolver import Resolver
from gateway.fhir.view import every_view
from gateway.labels.assign import assign
from gateway.labels.context import LabelContext
from gateway.labels.model import Basis, Kind
from gateway.labels.propagation import Propagation, carrying, document_entries
from tests.unit.gateway.labels.conftest import ICD, SUD, codings, confidentiality, view

HIV = codings((ICD, "B20"))
PLAIN = codings((ICD, "J45.909"))
ROLE = "http://terminology.hl7.org/CodeSystem/diagnosis-role"
SDV = {"system": ACT_CODE, "code": "SDV"}


def record(kind, identity, **elements):
    """A record by type and id."""
    return {"resourceType": kind, "id": identity, **elements}


def of(visit, **elements):
    """A plain laboratory value of a visit."""
    return record("Observation", "o", code=codings(("http://loinc.org", "8867-4")), encounter=visit, **elements)


VISIT = {"reference": "Encounter/e"}


@pytest.fixture(scope="session")
def carried(rules):
    """What each record of a Bundle carries: (code, pointer, who says so), sensitivities and levels, by Type/id."""

    def labels(*resources, kind="collection"):
        entries = [{"resource": one} for one in resources]
        text = json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}).encode()
        document = read_document(text)
        views = [inner for one in document.views for inner in every_view(one)]
        found = Propagation(
            Resolver(document),
            lambda one: assign(one, LabelContext(), rules),
            document_entries(document.bundle, views),
        )
        found.enter_attachments(views)
        return {f"{one.type}/{one.id}": {(label.code, label.at) for label in found.labels(one)} for one in views}

    return labels


def test_a_record_carries_what_its_visit_is_about(carried):
    """A pulse taken in a visit labelled for violence says that there was that visit."""
    found = carried(of(VISIT), record("Encounter", "e", meta={"security": [SDV, confidentiality("R")]}))
    assert {("SDV", "/encounter"), ("R", "/encounter")} == found["Observation/o"]


def test_a_visit_is_about_its_own_codes_and_texts(carried):
    """No label, only "HIV care" as the reason written down."""
    found = carried(of(VISIT), record("Encounter", "e", reasonCode=[{"text": "HIV care"}]))
    assert {("HIV", "/encounter")} == found["Observation/o"]


def test_a_visit_is_not_about_one_of_many_observations(carried):
    """What is found at a visit does not make the visit, nor what else was found there."""
    test = of(VISIT) | {"id": "test", "code": HIV}
    found = carried(of(VISIT), test, record("Encounter", "e", reasonCode=[PLAIN]))
    assert {} == {name: labels for name, labels in found.items() if labels}


@pytest.mark.parametrize(
    ("diagnosis", "expected"),
    [
        ({}, set()),
        ({"rank": 3}, set()),
        ({"use": codings((ROLE, "CM"))}, set()),
        ({"rank": 1}, {("HIV", "/diagnosis/0/condition")}),
        ({"use": codings((ROLE, "AD"))}, {("HIV", "/diagnosis/0/condition")}),
        ({"use": codings((ROLE, "CC"))}, {("HIV", "/diagnosis/0/condition")}),
    ],
)
def test_a_visit_is_about_its_principal_diagnosis_alone(carried, diagnosis, expected):
    """A diagnosis that is merely listed is pointed at; only one that says what the visit was for makes the visit."""
    encounter = record("Encounter", "e", diagnosis=[{"condition": {"reference": "Condition/c"}, **diagnosis}])
    found = carried(of(VISIT), encounter, record("Condition", "c", code=HIV, encounter=VISIT))
    assert expected == found["Encounter/e"]
    assert {(code, "/encounter") for code, _ in expected} == found["Observation/o"]


def test_a_visit_with_several_reasons_is_about_what_they_share(carried):
    """Where one reason is asthma the visit is not only about the other; where there is no other, it is."""
    reasons = [{"reference": "Condition/c"}, {"reference": "Condition/d"}]
    hiv, asthma = record("Condition", "c", code=HIV), record("Condition", "d", code=PLAIN)
    assert set() == carried(record("Encounter", "e", reasonReference=reasons), hiv, asthma)["Encounter/e"]
    alone = carried(record("Encounter", "e", reasonReference=reasons[:1]), hiv, asthma)
    assert {("HIV", "/reasonReference/0")} == alone["Encounter/e"]


def test_visits_and_conditions_that_point_at_each_other_end(carried):
    """Circles of references, and of visits that are part of one another, are gone round once."""
    encounter = record(
        "Encounter", "e", reasonReference=[{"reference": "Condition/c"}], partOf={"reference": "Encounter/f"}
    )
    found = carried(
        encounter,
        record("Encounter", "f", partOf=VISIT, meta={"security": [SDV]}),
        record("Condition", "c", code=HIV, encounter=VISIT),
    )
    assert {("HIV", "/reasonReference/0"), ("SDV", "/partOf")} == found["Encounter/e"]
    assert {("SDV", "/encounter"), ("HIV", "/encounter")} == found["Condition/c"]
    assert {("HIV", "/partOf")} == found["Encounter/f"]


def test_an_episode_and_a_context_count_as_a_visit(carried):
    """Encounter.episodeOfCare, DocumentReference.context.encounter, and an encounter's episode to its records."""
    episode = record("EpisodeOfCare", "p", type=[codings((ACT_CODE, "SUD"))])
    found = carried(
        of(VISIT),
        record("Encounter", "e", episodeOfCare=[{"reference": "EpisodeOfCare/p"}]),
        episode,
        record("DocumentReference", "d", context={"encounter": [VISIT]}),
    )
    assert {("SUD", "/episodeOfCare/0")} == found["Encounter/e"]
    assert {("SUD", "/encounter")} == found["Observation/o"]
    assert {("SUD", "/context/encounter/0")} == found["DocumentReference/d"]


def test_a_line_of_a_claim_carries_its_visit_where_it_stands(carried):
    """So that the claim can lose the line instead of going whole."""
    claim = record("Claim", "k", item=[{"sequence": 1}, {"sequence": 2, "encounter": [VISIT]}])
    found = carried(claim, record("Encounter", "e", meta={"security": [SUD]}))
    assert {("SUD", "/item/1/encounter/0")} == found["Claim/k"]


def test_an_answer_carries_what_it_answers(carried):
    """A ClaimResponse is about its claim, whatever codes it has itself."""
    claim = record("Claim", "k", diagnosis=[{"sequence": 1, "diagnosisCodeableConcept": HIV}])
    found = carried(claim, record("ClaimResponse", "r", request={"reference": "Claim/k"}))
    assert {("HIV", "/request")} == found["ClaimResponse/r"]


def test_a_benefit_and_a_payment_carry_the_claim_they_answer(carried):
    """An ExplanationOfBenefit of a claim, a PaymentNotice of one: about it, whatever codes they have themselves."""
    claim = record("Claim", "k", diagnosis=[{"sequence": 1, "diagnosisCodeableConcept": HIV}])
    found = carried(
        claim,
        record("ExplanationOfBenefit", "x", claim={"reference": "Claim/k"}),
        record("PaymentNotice", "n", request={"reference": "Claim/k"}),
        record("Coverage", "v"),
    )
    assert {("HIV", "/claim")} == found["ExplanationOfBenefit/x"]
    assert {("HIV", "/request")} == found["PaymentNotice/n"]
    assert set() == found["Coverage/v"]


def test_a_benefit_with_lines_of_its_own_is_about_them(carried):
    """One itemised line of a claim of many says by itself what it is about."""
    claim = record("Claim", "k", diagnosis=[{"sequence": 1, "diagnosisCodeableConcept": HIV}])
    lines = [{"sequence": 1, "productOrService": {"text": "blood count"}}]
    found = carried(claim, record("ExplanationOfBenefit", "x", claim={"reference": "Claim/k"}, item=lines))
    assert set() == found["ExplanationOfBenefit/x"]


@pytest.mark.parametrize("kind", ["collection", "searchset", "batch", "document"])
def test_what_is_carried_does_not_rest_on_the_kind_of_bundle(kind, carried):
    """A visit is a visit in a search and in a collection; only a document's sections need a document."""
    found = carried(of(VISIT), record("Encounter", "e", reasonCode=[HIV]), kind=kind)
    assert {("HIV", "/encounter")} == found["Observation/o"]


@pytest.mark.parametrize(
    "part",
    [
        record("Condition", "x", code=PLAIN, encounter=VISIT),
        record("MedicationRequest", "x", encounter=VISIT),
        record("MedicationStatement", "x", context=VISIT),
        record("MedicationAdministration", "x", context=VISIT),
        record("MedicationDispense", "x", context=VISIT),
        record("Procedure", "x", encounter=VISIT),
        record("DiagnosticReport", "x", encounter=VISIT),
        record("DocumentReference", "x", context={"encounter": [VISIT]}),
        record("ServiceRequest", "x", encounter=VISIT),
        record("CarePlan", "x", encounter=VISIT),
        record("Composition", "x", encounter=VISIT),
        record("QuestionnaireResponse", "x", encounter=VISIT),
        record("Immunization", "x", encounter=VISIT),
        record("AllergyIntolerance", "x", encounter=VISIT),
        record("Communication", "x", encounter=VISIT),
        record("ClinicalImpression", "x", encounter=VISIT),
        record("List", "x", encounter=VISIT),
        record("Media", "x", encounter=VISIT),
        record("RiskAssessment", "x", encounter=VISIT),
        record("Task", "x", encounter=VISIT),
        record("Claim", "x", item=[{"sequence": 1, "encounter": [VISIT]}]),
        record("ExplanationOfBenefit", "x", item=[{"sequence": 1, "encounter": [VISIT]}]),
    ],
    ids=lambda part: part["resourceType"],
)
def test_every_record_of_a_visit_carries_what_the_visit_is_about(part, carried):
    """Each type by its own element."""
    found = carried(part, record("Encounter", "e", reasonCode=[HIV]))
    assert {"HIV"} == {code for code, _ in found[f"{part['resourceType']}/x"]}


def test_what_is_only_unclassified_is_not_carried(carried):
    """A visit for a reason in local codes does not make everything done there unclassified."""
    local = codings(("urn:oid:1.2.840.114350.1.13.861.1.7.2.657380", "77"))
    assert set() == carried(of(VISIT), record("Encounter", "e", reasonCode=[local]))["Observation/o"]


def test_what_a_record_merely_points_at_is_not_carried(carried):
    """A report of many results, a plan for many problems: the reference goes, not the record (leaks.md L032)."""
    hiv = record("Condition", "c", code=HIV)
    report = record("DiagnosticReport", "r", result=[{"reference": "Observation/o"}])
    plan = record("CarePlan", "p", addresses=[{"reference": "Condition/c"}])
    listed = record("List", "l", entry=[{"item": {"reference": "Condition/c"}}])
    found = carried(hiv, report, plan, listed, of(VISIT) | {"code": HIV})
    assert {} == {name: labels for name, labels in found.items() if labels}


def test_a_list_says_nothing_of_its_members_beside_it(carried):
    """What a record is must not depend on which other records an answer holds: a withheld list would show."""
    listed = record("List", "l", code=codings((ACT_CODE, "SUD")), entry=[{"item": {"reference": "Observation/o"}}])
    assert set() == carried(listed, of(VISIT))["Observation/o"]


def test_a_patient_is_not_what_the_visits_are(carried):
    """A person is no record of a visit."""
    patient = record("Patient", "p", extension=[{"url": "urn:x", "valueReference": VISIT}])
    assert set() == carried(patient, record("Encounter", "e", meta={"security": [SUD]}))["Patient/p"]


def test_a_drug_and_a_service_mean_what_they_are(carried):
    """The request for a drug that is a resource of its own; the appointment at a detoxification service."""
    drug = record("Medication", "m", code={"text": "buprenorphine"})
    service = record("HealthcareService", "h", type=[codings((ACT_CODE, "SUD"))])
    found = carried(
        drug,
        service,
        record("MedicationRequest", "q", medicationReference={"reference": "Medication/m"}),
        record("Appointment", "a", participant=[{"actor": {"reference": "HealthcareService/h"}}]),
    )
    assert ("OPIOIDUD", "/medicationReference") in found["MedicationRequest/q"]
    assert {("SUD", "/participant/0/actor")} == found["Appointment/a"]


def test_a_document_and_its_binary_are_one(carried):
    """Either says what the other is: the content by its label, the document by its type."""
    document = record(
        "DocumentReference", "d", content=[{"attachment": {"contentType": "text/plain", "url": "Binary/b"}}]
    )
    labelled = record("Binary", "b", contentType="text/plain", meta={"security": [SUD]})
    assert {("SUD", "/content/0/attachment")} == carried(document, labelled)["DocumentReference/d"]
    plain = record("Binary", "b", contentType="text/plain")
    assert {("SUD", "")} == carried(document | {"meta": {"security": [SUD]}}, plain)["Binary/b"]


def test_an_entry_of_a_labelled_section_carries_it(carried):
    """In a document Bundle, what is listed under "HIV" is about it; the next section is not."""
    composition = record(
        "Composition",
        "c",
        section=[
            {"title": "HIV history", "entry": [{"reference": "Observation/o"}]},
            {"title": "Allergies", "text": {"div": "<div>no substance abuse</div>"}, "entry": [{"reference": "X/y"}]},
            {"title": "All", "section": [{"title": "More", "entry": [{"reference": "Condition/c"}]}]},
        ],
    )
    resources = (composition, of(VISIT), record("Condition", "c", code=PLAIN))
    found = carried(*resources, kind="document")
    assert {("HIV", "")} == found["Observation/o"]
    assert set() == found["Condition/c"]
    assert set() == carried(*resources, kind="searchset")["Observation/o"]


def test_defaults_and_handling_codes_are_not_carried(carried):
    """A visit with a note is R by default: that is said of the note, not of everything done there."""
    handling = {"system": ACT_CODE, "code": "NORDSCLCD"}
    encounter = record("Encounter", "e", meta={"security": [handling, confidentiality("N")]}, type=[{"text": "A note"}])
    assert set() == carried(of(VISIT), encounter)["Observation/o"]


def test_every_carried_label_says_by_whom(rules):
    """An officer reads which visit says so, and by which list."""
    visit = record("Encounter", "e", reasonCode=[HIV])
    document = read_document(
        json.dumps(
            {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": of(VISIT)}, {"resource": visit}]}
        ).encode()
    )
    found = Propagation(Resolver(document), lambda one: assign(one, LabelContext(), rules))
    (label,) = [one for one in found.labels(document.views[0]) if one.kind is Kind.SENSITIVITY]
    assert (Basis.CONTEXT, "/encounter") == (label.basis, label.at)
    assert label.source.startswith("Encounter/e: ")


def test_what_carries_is_what_must_be_gathered():
    """The gateway fetches a gathered visit's reasons, its episode and what it is part of."""
    visit = view(
        record(
            "Encounter",
            "e",
            partOf={"reference": "Encounter/f"},
            episodeOfCare=[{"reference": "EpisodeOfCare/p"}],
            reasonReference=[{"reference": "Condition/c"}],
            diagnosis=[{"condition": {"reference": "Condition/d"}}],
            location=[{"location": {"reference": "Location/l"}}],
        )
    )
    assert ["/episodeOfCare/0", "/partOf", "/reasonReference/0"] == sorted(found.at for found in carrying(visit))
