"""Lists of people: whoever may not be told of goes, alone, and what was said of them with them (L036)."""

import copy

import pytest

from tests.questions import ACT_CODE, ROSA, SUBJECT, asked, consent, searchset, verdicts

OTTO = {"reference": "Patient/otto"}
PEOPLE = [ROSA, {"resourceType": "Patient", "id": "otto"}, {"resourceType": "Patient", "id": "ida"}]
PERMITS = [consent(), {**consent(patient={"reference": "Patient/ida"}), "id": "idas"}]
SENSITIVE = [{"system": ACT_CODE, "code": "HIV"}]
INLINE = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"


def group(*members, **more):
    """A group of people."""
    listed = [one if "entity" in one else {"entity": one} for one in members]
    return {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "member": listed, **more}


def left(record, *consents, profile="base", **more):
    """What is left of it, and what became of it."""
    found = asked(searchset(record), profile=profile, context=copy.deepcopy(PEOPLE), consents=list(consents), **more)
    (verdict,) = verdicts(found).values()
    return verdict, [entry["resource"] for entry in found["released"]["entry"]] if found["released"] else []


def test_who_may_not_be_told_of_goes_and_the_rest_stays():
    """Otto has signed nothing: of three members two are left, and counted."""
    verdict, (found,) = left(group(SUBJECT, OTTO, {"reference": "Patient/ida"}, quantity=3), *PERMITS)
    assert ("masked", 2) == (verdict, found["quantity"])
    assert [{"entity": SUBJECT}, {"entity": {"reference": "Patient/ida"}}] == found["member"]


def test_a_list_loses_its_entries_likewise():
    """The item of an entry is what names; an entry without one is nobody's."""
    entries = [{"item": OTTO}, {"item": SUBJECT}]
    record = {"resourceType": "List", "id": "l", "status": "current", "mode": "snapshot", "entry": entries}
    verdict, (found,) = left(record, *PERMITS)
    assert ("masked", [{"item": SUBJECT}]) == (verdict, found["entry"])


def test_an_entry_that_names_two_needs_both():
    """It goes where one of them may not be told of."""
    entries = [
        {"item": SUBJECT, "extension": [{"url": "http://x", "valueReference": OTTO}]},
        {"item": {"reference": "Patient/ida"}},
    ]
    record = {"resourceType": "List", "id": "l", "status": "current", "mode": "snapshot", "entry": entries}
    verdict, (found,) = left(record, *PERMITS)
    assert ("masked", [entries[1]]) == (verdict, found["entry"])


@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        (group(OTTO), "withheld"),
        (group(OTTO, {"reference": "Patient/nobody"}), "withheld"),
        (group(SUBJECT, managingEntity=OTTO), "withheld"),
        (group(SUBJECT, {"reference": "Patient/ida"}), "disclosed"),
        ({**group(SUBJECT, OTTO), "resourceType": "CareTeam", "participant": [{"member": OTTO}]}, "withheld"),
    ],
    ids=["nobody left", "of nobody known", "named beside the items", "nobody gone", "no list of people"],
)
def test_a_list_goes_whole_or_stays_whole(record, verdict):
    """Without anybody left, or where all of it names somebody, there is no list in part."""
    assert verdict == left(record, *PERMITS)[0]


def test_what_an_item_is_labelled_with_is_said_of_its_own_people_alone():
    """Otto's entry tells of HIV, which nobody's permit covers; Rosa's, in the same list, does not."""
    to_all = consent(
        securityLabel=[{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}]
    )
    plain = [to_all, {**to_all, "id": "ottos", "patient": OTTO}]
    labelled = {"entity": OTTO, "extension": [{"url": INLINE, "valueCoding": SENSITIVE[0]}]}
    for members in ([{"entity": SUBJECT}, labelled], [labelled, {"entity": SUBJECT}]):
        verdict, (found,) = left(group(*members), *plain)
        assert ("masked", [{"entity": SUBJECT}]) == (verdict, found["member"])
    assert "withheld" == left(group(SUBJECT, OTTO, meta={"security": SENSITIVE}), *plain)[0]


def test_who_gets_records_whole_gets_no_list_in_part():
    """A patient asks for her own records: a list with another in it is not hers."""
    told = {"recipient": "rosa", "purpose": "PATRQT", "profile": "us-hipaa"}
    assert "withheld" == left(group(SUBJECT, OTTO), **told)[0]
    assert "disclosed" == left(group(SUBJECT), **told)[0]


def test_what_an_entry_is_coded_with_is_said_of_its_own_people_alone():
    """A flag of Otto's entry tells of HIV: his goes; were it Rosa's, hers would."""
    level = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}
    plain = [consent(securityLabel=[level]), {**consent(patient=OTTO, securityLabel=[level]), "id": "ottos"}]
    flag = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "B20"}]}
    for flagged, stays in ((OTTO, SUBJECT), (SUBJECT, OTTO)):
        entries = [{"item": stays}, {"item": flagged, "flag": flag}]
        record = {"resourceType": "List", "id": "l", "status": "current", "mode": "snapshot", "entry": entries}
        verdict, (found,) = left(record, *plain)
        assert ("masked", [{"item": stays}]) == (verdict, found["entry"])
