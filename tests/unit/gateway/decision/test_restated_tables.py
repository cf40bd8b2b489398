"""Every entry of the tables of what restates a withheld record, each by a record that has it; and the small limits.

The lists here were written beside the tables: who takes an entry out, or spells it otherwise, means to.
"""

import pytest

from gateway.decision.restated import (
    Said,
    beside,
    described,
    instructions,
    names_of,
    naming,
    quotations,
    said_by,
    summaries,
    summed_up,
)
from tests.consent_questions import view

SUMMARIES = """
Appointment: description
CarePlan: title description note
ClinicalImpression: description summary note prognosisCodeableConcept
Communication: note topic
DetectedIssue: detail note
DiagnosticReport: conclusion conclusionCode presentedForm media
Goal: note
GuidanceResponse: note
Invoice: totalNet totalGross totalPriceComponent note
List: note title
MeasureReport: group
PaymentReconciliation: paymentAmount disposition processNote
Provenance: signature
RequestGroup: note
RiskAssessment: prediction mitigation note
Task: description note
"""
BESIDE = """
AdverseEvent.resultingCondition: outcome seriousness severity
CarePlan.activity.detail.reasonReference: description reasonCode
CarePlan.activity.outcomeReference: outcomeCodeableConcept progress
Communication.about: payload
Communication.reasonReference: payload reasonCode
CommunicationRequest.about: payload
CommunicationRequest.reasonReference: payload reasonCode
Composition.event.detail: code
Condition.evidence.detail: code
Condition.stage.assessment: summary type
DetectedIssue.evidence.detail: code
DocumentManifest.content: description
Goal.outcomeReference: outcomeCode
ImagingStudy.procedureReference: procedureCode
NutritionOrder.allergyIntolerance: excludeFoodModifier
Observation.derivedFrom: valueQuantity interpretation note component
Observation.hasMember: valueCodeableConcept interpretation note
Procedure.complicationDetail: complication
Procedure.report: outcome followUp
Procedure.usedReference: usedCode
MedicationRequest.reasonReference: reasonCode
"""
DESCRIBED = """
CarePlan.activity.detail.location: description
CarePlan.activity.detail.performer: description
Communication.recipient: payload note
CommunicationRequest.recipient: payload note
Encounter.hospitalization.destination: dischargeDisposition
Encounter.hospitalization.origin: admitSource
ServiceRequest.locationReference: note patientInstruction
ServiceRequest.performer: note patientInstruction
Task.owner: description note
"""
NOT_SUMMED_UP = (
    "CareTeam Coverage Device Endpoint Group HealthcareService Identifier InsurancePlan Location Organization "
    "OrganizationAffiliation Patient Practitioner PractitionerRole RelatedPerson"
)
REST = {"status": "x", "language": "en"}


def rows(table):
    """A table as pairs of where and what."""
    return [(where, what.split()) for where, _, what in (line.partition(": ") for line in table.strip().splitlines())]


def record(kind, **elements):
    """A record of a type."""
    return view({"resourceType": kind, "id": "x", **elements})


@pytest.mark.parametrize(("kind", "names"), rows(SUMMARIES))
def test_what_sums_up_its_records(kind, names):
    """These elements go with the first record that is lost, and nothing else of it."""
    seen = record(kind, **dict.fromkeys(names, "x"), **REST)
    assert {f"/{name}" for name in names} == set(summaries(seen, ["/encounter"]))


@pytest.mark.parametrize(("element", "goes"), [("context", 0), ("encounter", 0), ("episodeOfCare", 0), ("partOf", 1)])
def test_prose_goes_with_any_record_but_the_visit_it_was_written_at(element, goes):
    """Of any type: notes, comments, what the patient is told."""
    told = ["note", "comment", "patientInstruction"]
    found = set(summaries(record("Procedure", **dict.fromkeys(told, "x"), **REST), [f"/{element}/0"]))
    assert ({f"/{name}" for name in told} if goes else set()) == found


@pytest.mark.parametrize(("where", "names"), rows(BESIDE))
def test_what_stands_beside_a_record_that_is_lost(where, names):
    """These members of the same structure go, with what extends them, and no other."""
    kind, _, path = where.partition(".")
    at = "/" + path.replace(".", "/0/")
    holder = {**dict.fromkeys(names, "x"), f"_{names[0]}": {}, "other": "x", "status": "x"}
    assert {f"/h/{name}" for name in (*names, f"_{names[0]}")} == set(beside(record(kind), at, holder, "/h"))


@pytest.mark.parametrize(("where", "names"), rows(DESCRIBED))
def test_what_describes_an_act_beside_who_does_it(where, names):
    """These members go with the name of whom the act tells, and no other."""
    kind, _, path = where.partition(".")
    at = "/" + path.replace(".", "/0/")
    holder = {**dict.fromkeys(names, "x"), "other": "x"}
    assert {f"/h/{name}" for name in names} == set(described(record(kind), at, holder, "/h"))


def test_people_places_and_plans_are_not_summed_up():
    """Everything else is, and so is what is not told."""
    names = NOT_SUMMED_UP.split()
    assert [] == [one for one in names if summed_up(one)]
    assert all(map(summed_up, ("Condition", "Encounter", "Observation", "Claim", None)))


@pytest.mark.parametrize("element", ["dosage", "dosageInstruction"])
@pytest.mark.parametrize(("lost", "goes"), [("/reasonReference/0", True), ("/encounter", False)])
def test_what_a_patient_is_told_of_a_drug_goes_with_its_reason(element, lost, goes):
    """Of the dosage the instruction, and not its text."""
    drug = record("MedicationRequest", **{element: [{"text": "one a day", "patientInstruction": "for your mood"}]})
    assert ([f"/{element}/0/patientInstruction"] if goes else []) == list(instructions(drug, [lost]))


@pytest.mark.parametrize(("name", "found"), [("Harbor", True), ("Harbo", False)], ids=["six letters", "five"])
def test_a_name_of_six_letters_is_looked_for(name, found):
    """A shorter one stands in too many words."""
    place = view({"resourceType": "Organization", "id": "x", "name": name, "alias": ["The  House"]})
    assert {"the house", *([name.lower()] if found else [])} == names_of([place], [None, 7])
    human = view({"resourceType": "Practitioner", "id": "x", "name": [{"text": "Dr Lind"}, {"family": "Y"}, 7]})
    assert {"dr lind", "on display"} == names_of([human], ["On Display"])


@pytest.mark.parametrize("element", ["url", "uri", "system"])
def test_a_name_is_no_name_in_an_address(element):
    """What addresses something is not prose."""
    seen = record("Basic", policy=[{element: "http://harbor example"}], code={"text": "at Harbor since May"})
    assert ["/code"] == list(naming(seen, frozenset({"harbor"})))
    assert [] == list(naming(seen, frozenset()))


@pytest.mark.parametrize(("words", "quoted"), [("opioids, old", True), ("opioid, old", False)], ids=["12", "11"])
def test_words_of_twelve_letters_are_a_quotation_inside_others(words, quoted):
    """Shorter ones quote where they are the whole text."""
    said = Said(frozenset(), frozenset({words}))
    inside = record("Basic", reason={"text": f"because of {words}."})
    assert (["/reason"] if quoted else []) == list(quotations(inside, said))
    assert ["/reason"] == list(quotations(record("Basic", reason={"text": f" {words.upper()} "}), said))


@pytest.mark.parametrize("element", ["category", "class", "code", "medicationCodeableConcept", "title", "type"])
def test_what_a_record_is_about_is_no_quotation(element):
    """Its own code and words stay, whoever else has the same."""
    coded = {"text": "opioid disorder", "coding": [{"system": "urn:x", "code": "7"}]}
    said = Said(frozenset({("urn:x", "7")}), frozenset({"opioid disorder"}))
    seen = record("Basic", **{element: coded if element != "title" else "opioid disorder"}, reason=coded)
    assert {"/reason"} == set(quotations(seen, said))


@pytest.mark.parametrize(("word", "kept"), [("mood", True), ("flu", False)])
def test_words_of_four_letters_are_said(word, kept):
    """What a record is about in three letters quotes nothing."""
    told = record("Condition", code={"text": word, "coding": [{"system": "urn:x", "code": "7", "display": word}]})
    assert Said(frozenset({("urn:x", "7")}), frozenset({word} if kept else ())) == said_by([told])


@pytest.mark.parametrize(
    "element", ["code", "medicationCodeableConcept", "vaccineCode", "valueCodeableConcept", "reasonCode"]
)
def test_what_a_record_says_of_itself_by_code_and_word(element):
    """These elements tell what it is about; others do not."""
    coded = {"text": "the disorder", "coding": [{"system": "urn:x", "code": "7"}, {"code": "8"}, {"system": "urn:x"}]}
    said = Said(frozenset({("urn:x", "7")}), frozenset({"the disorder"}))
    assert said == said_by([record("Basic", **{element: coded}, bodySite={**coded, "text": "elsewhere"})])
    assert Said(frozenset(), frozenset({"in words"})) == said_by([record("Observation", valueString="in words")])
