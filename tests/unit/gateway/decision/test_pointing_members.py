"""Members that are there to point: they go with the reference, whatever else they say; lists of one keep the others."""

import pytest

from tests.questions import MERCY, SUBJECT, asked, hidden, released, searchset

TO_HIDDEN = {"reference": "Encounter/hidden"}
HEAD = {"status": "active", "subject": SUBJECT}
NOTE = {
    "status": "final",
    "type": {"text": "note"},
    "date": "2026",
    "author": [MERCY],
    "title": "note",
    "subject": SUBJECT,
}
CLAIM = {
    "status": "active",
    "type": {"text": "x"},
    "use": "claim",
    "created": "2026-01-05",
    "patient": SUBJECT,
    "provider": MERCY,
    "priority": {"text": "x"},
    "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "Sunrise"}}],
}


@pytest.mark.parametrize(
    ("type", "whole", "element", "member"),
    [
        ("Appointment", {"status": "booked"}, "participant", {"actor": TO_HIDDEN, "status": "accepted"}),
        ("CarePlan", HEAD | {"intent": "plan"}, "activity", {"reference": TO_HIDDEN, "progress": [{"text": "SECRET"}]}),
        ("CareTeam", HEAD, "participant", {"member": TO_HIDDEN, "role": [{"text": "SECRET"}]}),
        ("Claim", CLAIM, "related", {"claim": TO_HIDDEN, "relationship": {"text": "SECRET"}}),
        ("ClinicalImpression", HEAD, "finding", {"itemReference": TO_HIDDEN, "basis": "SECRET"}),
        ("Composition", NOTE, "attester", {"party": TO_HIDDEN, "mode": "personal"}),
        ("DocumentManifest", HEAD, "related", {"ref": TO_HIDDEN, "identifier": {"value": "SECRET"}}),
        (
            "Encounter",
            HEAD | {"class": {"code": "AMB"}},
            "participant",
            {"individual": TO_HIDDEN, "period": {"start": "2026"}},
        ),
        ("Immunization", HEAD | {"patient": SUBJECT}, "reaction", {"detail": TO_HIDDEN, "date": "2026-02-03"}),
        ("RequestGroup", HEAD | {"intent": "plan"}, "action", {"resource": TO_HIDDEN, "title": "SECRET"}),
        (
            "VerificationResult",
            {"status": "validated"},
            "primarySource",
            {"who": TO_HIDDEN, "type": [{"text": "SECRET"}]},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_member_that_points_goes_whole(type, whole, element, member):
    """What it says beside the reference is of what that led to; a member that leads elsewhere stays as it is."""
    pointer = next(name for name, value in member.items() if value is TO_HIDDEN)
    other = member | {pointer: SUBJECT}
    about_her = (
        whole if "Patient/rosa" in str(whole) else whole | {"extension": [{"url": HL7, "valueReference": SUBJECT}]}
    )
    record = {"resourceType": type, "id": "it", **about_her, element: [member, other]}
    found = released(asked(searchset(record, hidden()), profile="us-part2"), "it")
    assert [other] == found[element]


HL7 = "http://hl7.org/fhir/x"


def test_an_answer_of_a_form_goes_with_what_it_names():
    """An answer is a member that points; the question stays, with the answers that lead elsewhere."""
    answers = [{"valueReference": TO_HIDDEN, "item": [{"linkId": "2", "text": "SECRET"}]}, {"valueReference": SUBJECT}]
    form = {"resourceType": "QuestionnaireResponse", "id": "it", "status": "completed", "subject": SUBJECT}
    whole = form | {"author": MERCY, "item": [{"linkId": "1", "answer": answers}]}
    found = released(asked(searchset(whole, hidden())), "it")
    assert [{"linkId": "1", "answer": answers[1:]}] == found["item"]


def test_where_the_reference_is_required_the_member_goes_for_that():
    """R4 asks for it: the member is not valid without, so it goes as well."""
    account = {"resourceType": "Account", "id": "it", "status": "active", "subject": [SUBJECT], "owner": MERCY}
    sides = [{"party": TO_HIDDEN, "onHold": True}, {"party": SUBJECT}]
    found = released(asked(searchset(account | {"guarantor": sides}, hidden())), "it")
    assert sides[1:] == found["guarantor"]


def test_a_structure_of_which_nothing_is_left_goes_whole():
    """An empty structure says that there was something (R4 ele-1); one that says more stays with the rest."""
    visit = {
        "resourceType": "Encounter",
        "id": "it",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": SUBJECT,
    }
    visit |= {"serviceProvider": MERCY}
    for more, left in (({}, None), ({"reAdmission": {"text": "yes"}}, {"reAdmission": {"text": "yes"}})):
        whole = visit | {"hospitalization": {"origin": TO_HIDDEN, **more}}
        assert left == released(asked(searchset(whole, hidden())), "it").get("hospitalization")
