"""What becomes of a reference whose target is not here, and of what stands or falls with another record."""

import pytest

from tests.questions import MERCY, SUBJECT, asked, encounter, hidden, observation, released, searchset, verdicts

HL7 = "http://hl7.org/fhir/x"


def keeps(reference, **more):
    """Whether an extension of a released record keeps a reference."""
    found = asked(
        searchset(observation(performer=[MERCY], extension=[{"url": HL7, "valueReference": reference}])), **more
    )
    return "extension" in released(found, "weight")


@pytest.mark.parametrize(
    ("type", "stays"),
    [
        *((one, True) for one in ("CareTeam", "Coverage", "Device", "Group", "Location", "Organization")),
        *((one, True) for one in ("Practitioner", "PractitionerRole", "RelatedPerson", "Medication", "Questionnaire")),
        *((one, False) for one in ("Observation", "Condition", "Encounter", "Claim", "Consent", "EpisodeOfCare")),
    ],
)
def test_a_number_in_place_of_a_reference_stays_where_it_names_no_record(type, stays):
    """People, places, the plan that pays and what is nobody's; a visit or finding by its number is a record (L032)."""
    assert stays is keeps({"type": type, "identifier": {"system": "urn:x", "value": "1"}})


def test_a_number_without_a_type_is_what_r4_lets_stand_there():
    """Where people can stand, it is a person's; where only records, it goes; so does what may not stand there."""
    number = {"identifier": {"system": "urn:x", "value": "1"}}
    for element, value, stays in (
        ("performer", [MERCY, number], True),
        ("specimen", number, False),
        ("performer", [MERCY, number | {"type": "Encounter"}], False),
        ("hasMember", [number | {"type": "Device"}], False),
    ):
        left = released(asked(searchset(observation(**({"performer": [MERCY]} | {element: value})))), "weight")
        assert stays is (value == left.get(element)), value


@pytest.mark.parametrize(
    ("reference", "stays"),
    [
        ("Patient/somebody", True),
        ("Location/x", True),
        ("Organization/x", False),
        ("PractitionerRole/x", False),
        ("Condition/x", False),
        ("ActivityDefinition/x", False),
    ],
)
def test_what_is_not_here_stays_where_it_could_not_be_withheld(reference, stays):
    """The patient asked about and places; an organisation could be a program, a record a program's."""
    assert stays is keeps({"reference": reference})


def test_the_answer_to_a_claim_stands_and_falls_with_the_claim_alone():
    """Another record that the answer names goes from it, and does not take it along."""
    claim = {"resourceType": "Claim", "id": "c", "status": "active", "patient": SUBJECT, "provider": MERCY}
    reply = {
        "resourceType": "ClaimResponse",
        "id": "r",
        "status": "active",
        "patient": SUBJECT,
        "requestor": MERCY,
        "insurer": {"reference": "Organization/plan"},
        "request": {"reference": "Claim/c"},
    }
    beside = reply | {"communicationRequest": [{"reference": "Encounter/hidden"}]}
    found = asked(searchset(claim, beside, hidden()))
    assert "masked" == verdicts(found)["ClaimResponse/r"]
    assert "communicationRequest" not in released(found, "r")
    by_program = claim | {"provider": {"reference": "Organization/harbor"}}
    assert "withheld" == verdicts(asked(searchset(by_program, reply)))["ClaimResponse/r"]


def test_a_text_that_is_the_value_of_a_number_goes_with_the_number():
    """A number without its value says nothing; any other text goes alone, whatever its name (L052)."""
    random = "0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    known = [{"system": "urn:a", "value": f"visit {random}"}, {"system": "urn:b", "value": "7"}]
    noted = {"component": [{"code": {"text": "x"}, "valueString": f"see {random}"}]}
    found = asked(searchset(observation(performer=[MERCY], identifier=known, **noted), {**hidden(), "id": random}))
    left = released(found, "weight")
    assert known[1:] == left["identifier"]
    assert random not in str(left)


def test_a_bundle_of_several_loses_no_more_than_it_must():
    """A released visit, and what names it, stay whatever goes beside them."""
    naming = observation(performer=[MERCY], encounter={"reference": "Encounter/visit"})
    found = verdicts(asked(searchset(naming, encounter(), hidden())))
    assert {"Observation/weight": "disclosed", "Encounter/visit": "disclosed", "Encounter/hidden": "withheld"} == found


ABSENT = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}


def test_what_is_required_and_of_nobody_known_says_that_it_is_absent():
    """A provider that could be a program is not told; R4 asks for one, and a line of a claim does not go for it."""
    nobody = {"reference": "Organization/unregistered", "display": "SECRET"}
    claim = {
        "resourceType": "ExplanationOfBenefit",
        "id": "it",
        "status": "active",
        "type": {"text": "x"},
        "use": "claim",
        "outcome": "complete",
        "created": "2026-01-05",
        "patient": SUBJECT,
        "insurer": {"reference": "Organization/plan"},
        "provider": MERCY,
        "insurance": [{"focal": True, "coverage": {"display": "Sunrise"}}],
        "careTeam": [{"sequence": 1, "provider": MERCY}, {"sequence": 2, "provider": nobody}],
        "item": [
            {"sequence": 1, "careTeamSequence": [1], "productOrService": {"text": "visit"}},
            {"sequence": 2, "careTeamSequence": [2], "productOrService": {"text": "session"}},
        ],
    }
    found = asked(searchset(claim))
    left = released(found, "it")
    assert [{"sequence": 1, "provider": MERCY}, {"sequence": 2, "provider": ABSENT}] == left["careTeam"]
    assert claim["item"] == left["item"]
    assert {"disclosed"} == set(verdicts(found).values())
    left = released(asked(searchset({**claim, "careTeam": [], "item": [], "insurer": nobody})), "it")
    assert ABSENT == left["insurer"]


@pytest.mark.parametrize(
    ("provider", "verdict"), [(MERCY, "disclosed"), ({"reference": "Organization/harbor"}, "withheld")]
)
def test_a_sum_that_r4_requires_takes_its_record_along(provider, verdict):
    """A payment's amount tells of every claim it pays: where one is withheld, and it may not go alone, all goes."""
    claims = [
        {"resourceType": "Claim", "id": id, "status": "active", "patient": SUBJECT, "provider": at}
        for id, at in (("a", MERCY), ("b", provider))
    ]
    payment = {"resourceType": "PaymentReconciliation", "id": "p", "status": "active", "created": "2026-01-05"}
    payment |= {"paymentDate": "2026-01-05", "paymentAmount": {"value": 100}, "requestor": MERCY}
    payment |= {"extension": [{"url": HL7, "valueReference": SUBJECT}]}
    payment["detail"] = [{"type": {"text": "x"}, "request": {"reference": f"Claim/{id}"}} for id in ("a", "b")]
    found = asked(searchset(payment, *claims))
    assert verdict == verdicts(found)["PaymentReconciliation/p"]


def test_a_text_that_is_the_value_of_something_else_goes_alone():
    """A telephone number is no identifier: of a contact the value goes, and what it is for stays."""
    random = "0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    contact = {"system": "url", "value": f"http://mercy.example/{random}", "use": "home"}
    patient = {"resourceType": "Patient", "id": "rosa", "birthDate": "1980-03-01", "telecom": [contact]}
    found = asked(searchset(patient, {**hidden(), "id": random}), context=[], profile="us-part2")
    assert [{"system": "url", "use": "home"}] == released(found, "rosa")["telecom"]


def test_what_sums_up_the_withheld_goes_for_the_deny_behind_it():
    """Every cut of a conclusion, a note or a stub names the cause; none stands without."""
    report = {
        "resourceType": "DiagnosticReport",
        "id": "it",
        "status": "final",
        "subject": SUBJECT,
        "code": {"text": "x"},
    }
    report |= {
        "performer": [MERCY],
        "conclusion": "SECRET",
        "result": [{"reference": "Observation/r", "display": "SECRET"}],
    }
    result = observation("r", performer=[{"reference": "Organization/harbor"}])
    found = asked(searchset(report, result))
    (told,) = (one for one in found["decisions"] if one["resource"] == "DiagnosticReport/it")
    causes = {
        edit["path"]: edit["because"] for edit in told["edits"] if edit["path"].startswith(("/conclusion", "/result"))
    }
    assert {"conclusion", "result"} == {path.split("/")[1] for path in causes}
    assert None not in causes.values()
    assert {"points-at-withheld"} == {told["because"][index]["rule"] for index in causes.values()}


def test_behind_a_name_that_goes_stands_the_law_that_keeps_it_and_behind_what_says_it_again_too():
    """A program named in passing goes for the program's law; the words that have its name go for the same."""
    named = {
        "authorReference": {"reference": "Organization/harbor", "display": "Harbor House"},
        "text": "seen at Harbor House",
    }
    found = asked(searchset(observation(performer=[MERCY], note=[named, {"text": "stable"}])))
    (told,) = found["decisions"]
    cuts = [edit for edit in told["edits"] if edit["path"].startswith("/note")]
    assert cuts
    assert {"part2-consent"} == {told["because"][edit["because"]]["rule"] for edit in cuts}


def test_whom_a_record_names_beside_its_patient_must_be_known():
    """A person by a number that nobody has: whoever that is has not permitted it (L003)."""
    somebody = {"type": "Patient", "identifier": {"system": "urn:x", "value": "1"}}
    (told,) = asked(searchset(observation(performer=[MERCY], focus=[somebody])))["decisions"]
    assert ("withheld", ["unknown-patient"]) == (told["verdict"], [one["rule"] for one in told["because"]])
