"""The minimum necessary: what a recipient gets of a type is what a profile names, and what R4 requires."""

import json

import msgspec
import pytest
from fhir.resources.R4B import get_fhir_model_class

from consent_store.model import ACT_REASON, Coding
from gateway.bootstrap.files import Toolmaker
from gateway.decision.necessary import necessary_edits, sets_in_force
from gateway.errors import ProfileError
from gateway.fhir.view import read_resource
from gateway.policy.matching import PartyMatch
from gateway.policy.model import MinimumNecessary
from gateway.release.edits import apply
from tests.consent_questions import exchange
from tests.questions import MERCY, ROSA, SHELF, SUBJECT, asked, claim, consent, observation, recipient, searchset

TOOLS = Toolmaker()
PLAN = {"reference": "Organization/plan"}
PERSON = {
    **ROSA,
    "name": [{"family": "Diaz"}],
    "_birthDate": {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime"}]},
    "maritalStatus": {"text": "widowed"},
    "photo": [{"contentType": "image/png", "data": "aGk="}],
    "contact": [{"relationship": [{"text": "son"}], "name": {"family": "Diaz"}}],
    "deceasedBoolean": False,
}
PERSON["_birthDate"]["extension"][0]["valueDateTime"] = "1980-03-01T04:00:00Z"


def left(resource, *named):
    """What is left of a resource by sets of named elements."""
    raw = json.dumps(resource).encode()
    sets = [frozenset(one) for one in named]
    return json.loads(apply(raw, necessary_edits(read_resource(raw), sets, TOOLS.elements)))


def patient(**changes):
    """The Patient as it leaves, and its decision."""
    found = asked(searchset(PERSON), context=[], **changes)
    if found["released"] is None:
        return None, found
    return found["released"]["entry"][0]["resource"], found["decisions"][-1]


def test_a_payer_gets_the_elements_that_the_profile_names():
    """What is not named goes from every copy, by edits that no deny stands behind; the rest is as it was."""
    got, decision = patient(recipient="plan", purpose="HPAYMT")

    assert ["resourceType", "id", "birthDate", "name", "_birthDate", "deceasedBoolean"] == list(got)
    assert {"/maritalStatus", "/photo", "/contact"} == {edit["path"] for edit in decision["edits"]}
    assert {None} == {edit["because"] for edit in decision["edits"]}
    assert "disclosed" == decision["verdict"]


@pytest.mark.parametrize(
    "changes",
    [
        {"recipient": "valley", "purpose": "TREAT"},
        {
            "recipient": "plan",
            "purpose": "TREAT",
            "consents": [consent(actor=[recipient(PLAN)])],
        },
        {"recipient": "rosa", "purpose": "PATRQT"},
    ],
    ids=["treatment", "authorisation", "the patient"],
)
def test_who_is_not_bound_gets_the_whole(changes):
    """Treatment, an authorisation that names the recipient and one's own access are not bound (164.502(b)(2))."""
    got, _ = patient(**changes)

    assert PERSON == got


def test_types_that_are_not_named_stay_as_they_are():
    """A set speaks of its own types."""
    record = observation(performer=[MERCY], method={"text": "scale"})
    found = asked(searchset(record), recipient="plan", purpose="HPAYMT")

    assert record == found["released"]["entry"][0]["resource"]


def test_a_community_organisation_gets_whom_to_help():
    """Under a business associate agreement: of a contact the name and how to reach, of a diagnosis the code."""
    person = {**PERSON, "contact": [{"name": {"family": "Diaz"}, "gender": "male"}, {"gender": "female"}]}
    people = [
        {"id": "mercy", "type": "provider_general", "hipaa_covered": True, "references": ["Organization/mercy"]},
        {"id": "hearth", "type": "cbo", "references": ["Organization/hearth"]},
    ]
    terms = [{"type": "BAA", "between": ["mercy", "hearth"]}]
    found = asked(
        searchset(person),
        participants=people,
        agreements=terms,
        recipient="hearth",
        purpose="CAREMGT",
        profile="us-hipaa",
        context=[],
    )
    got = found["released"]["entry"][0]["resource"]

    assert [{"name": {"family": "Diaz"}}] == got["contact"]
    assert {"maritalStatus", "photo", "deceasedBoolean"}.isdisjoint(got)


def referred(record, **changes):
    """What a community organisation gets of one record, referred to it with the attestation that CalAIM asks for."""
    people = [
        {"id": "mercy", "type": "provider_general", "hipaa_covered": True, "references": ["Organization/mercy"]},
        {"id": "hearth", "type": "cbo", "references": ["Organization/hearth"]},
    ]
    found = asked(
        searchset(record),
        participants=people,
        recipient="hearth",
        purpose="COC",
        profile="us-ca-calaim",
        facts={"exchange": {"discloser_attests_advances_treatment": True}},
        context=[] if record is PERSON else [ROSA],
        **changes,
    )
    return found["released"]["entry"][0]["resource"], found


DIAGNOSIS = {
    "resourceType": "Condition",
    "id": "c",
    "code": {"text": "diabetes"},
    "subject": SUBJECT,
    "stage": [{"summary": {"text": "two"}}],
    "note": [{"text": "likes tea"}],
}


@pytest.mark.parametrize(
    ("record", "goes"),
    [
        (PERSON, {"maritalStatus", "photo"}),
        (DIAGNOSIS, {"stage", "note"}),
        (
            {
                "resourceType": "CarePlan",
                "id": "p",
                "status": "active",
                "intent": "plan",
                "title": "back home",
                "subject": SUBJECT,
                "activity": [{"detail": {"status": "scheduled", "description": "meals"}}],
                "note": [{"text": "likes tea"}],
                "supportingInfo": [MERCY],
            },
            {"note", "supportingInfo"},
        ),
    ],
    ids=["whom", "what is wrong", "what is planned"],
)
def test_a_referral_takes_what_it_needs(record, goes):
    """Without an authorisation: the minimum necessary (seed1 L761-765), every copy alike, valid R4; the chart's notes
    stay behind, and no word of it is told where nothing was held back."""
    got, found = referred(record)

    assert goes == record.keys() - got.keys()
    assert ["audit_disclosure"] == found["obligations"]
    assert "permit" == found["effect"]
    get_fhir_model_class(record["resourceType"]).model_validate(got)


def test_an_authorisation_frees_a_referral():
    """The patient's own authorisation that names the organisation opens the whole record (45 CFR 164.502(b)(2)(iii));
    one that names another leaves it bound."""
    hearth, other = recipient({"reference": "Organization/hearth"}), recipient({"reference": "Organization/other"})
    signed = {"purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}]}

    assert DIAGNOSIS == referred(DIAGNOSIS, consents=[consent(actor=[hearth], **signed)])[0]
    assert "note" not in referred(DIAGNOSIS, consents=[consent(actor=[other], **signed)])[0]


def test_what_r4_requires_stays_and_the_rest_is_valid():
    """An element that R4 requires is not asked for by name; a required structure stays whole."""
    bill = claim(
        careTeam=[{"sequence": 1, "provider": MERCY}],
        item=[{"sequence": 1, "careTeamSequence": [1], "productOrService": {"text": "visit"}}],
        total={"value": 12},
    )
    got = left(bill, {"item"})

    assert bill.keys() - {"careTeam", "total"} == got.keys()
    assert [{"sequence": 1, "productOrService": {"text": "visit"}}] == got["item"]
    get_fhir_model_class("Claim").model_validate(got)


def test_of_two_sets_only_what_both_name_stays():
    """Whoever may have less, gets less; a part of a structure, a choice and a primitive's extension are named too."""
    assert {"resourceType", "id", "birthDate", "_birthDate"} == left(
        PERSON, {"birthDate", "photo"}, {"birthDate"}
    ).keys()
    assert False is left(PERSON, {"deceased[x]"})["deceasedBoolean"]
    assert [{"name": {"family": "Diaz"}}] == left(PERSON, {"contact.name"})["contact"]
    assert "contact" not in left({**PERSON, "contact": [{"gender": "male"}]}, {"contact.name"})


def test_without_a_set_nothing_is_cut():
    """The bad twin: the same record without a set is left alone."""
    assert PERSON == left(PERSON)


@pytest.mark.parametrize("path", ["nmae", "contact.nmae", "deceasedBool[x]", "contact.name.family.x"])
def test_an_element_that_r4_does_not_have_stops_the_profile(path):
    """A typing error would cut what was meant to stay: the profile does not load (L089)."""
    wrong = MinimumNecessary("x", "says", "cite", PartyMatch(), (), {"Patient": frozenset({"name", path})})

    with pytest.raises(ProfileError, match="Patient"):
        TOOLS(msgspec.structs.replace(SHELF.policies["us-hipaa"], minimum_necessary=(wrong,)))


def test_identity_language_labels_and_what_is_contained_always_stay():
    """Whatever a profile names; the rest goes, but what R4 requires."""
    kept = {
        "resourceType": "Observation",
        "id": "x",
        "meta": {"versionId": "1"},
        "language": "en",
        "contained": [{"resourceType": "Patient", "id": "p"}],
        "status": "final",
        "code": {"text": "weight"},
    }
    more = {"note": [{"text": "x"}], "valueString": "x", "subject": SUBJECT}

    assert kept == left({**kept, **more}, {"id"})
    assert {**kept, "valueString": "x"} == left({**kept, **more}, {"value[x]"})
    assert kept == left({**kept, **more, "_note": [{"id": "n"}]}, {"value[x]"}, {"note"})
    alike = {**PERSON, "values": "x", "valueset": "x", "value": "x"}
    assert {"resourceType", "id"} == left(alike, {"value[x]"}).keys()
    nested = {**kept, "contained": [], "component": [{"id": "meta", "code": {"text": "x"}, "valueString": "x"}]}
    assert {"code": {"text": "x"}} == left(nested, {"component.code"})["component"][0]


@pytest.mark.parametrize(
    ("purposes", "asked_for", "speaks"),
    [
        ((), "TREAT", True),
        (("HPAYMT",), "HPAYMT", True),
        (("HOPERAT",), "CAREMGT", True),
        (("HPAYMT",), "TREAT", False),
    ],
)
def test_a_set_speaks_of_its_purposes_and_one_without_of_all(purposes, asked_for, speaks):
    """By the purposes beneath those it names; it is told by the type of record."""
    listed = tuple(Coding(ACT_REASON, code) for code in purposes)
    one = MinimumNecessary("x", "says", "cite", PartyMatch(), listed, {"Patient": frozenset({"name"})})
    policy = msgspec.structs.replace(SHELF.policies["us-hipaa"], minimum_necessary=(one,))
    assert ({"Patient": (one,)} if speaks else {}) == sets_in_force(policy, exchange(asked_for))
