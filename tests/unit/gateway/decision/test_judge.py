"""The judge over whole documents: containers, uniform edits, what each copy of a type loses, effects."""

import json

import pytest

from gateway.facts.answer import document_of
from tests.questions import (
    ACT_CODE,
    MERCY,
    ROSA,
    SUBJECT,
    asked,
    bundle,
    claim,
    hidden,
    observation,
    searchset,
    text_of,
    verdicts,
)

SIGNATURE = {"signature": {"data": "c2lnbmVk"}}
R = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
SUD = {"system": ACT_CODE, "code": "SUD"}


def test_a_nested_bundle_tells_nothing_of_what_it_lost():
    """Entry, count, links, extensions, tags and labels of an inner Bundle go with what is withheld in it (L035)."""
    inner = searchset(
        observation(performer=[MERCY]),
        hidden(),
        id="inner",
        total=2,
        link=[{"relation": "self", "url": "http://ehr.example/Encounter/hidden"}],
        meta={"security": [R, {"system": ACT_CODE, "code": "PDS"}], "tag": [{"code": "SECRET"}]},
        identifier={"system": "u", "value": "v", "assigner": {"display": "SECRET"}},
    )
    inner["entry"][0]["extension"] = [{"url": "u", "valueReference": {"reference": "Encounter/hidden"}}]
    found = asked(bundle(inner))
    left = found["released"]["entry"][0]["resource"]

    assert {"resourceType", "type", "id", "entry", "meta", "identifier"} == left.keys()
    assert [{"code": "N", "system": R["system"]}] == left["meta"]["security"]
    assert "hidden" not in text_of(found)
    assert "SECRET" not in text_of(found)


def test_a_nested_bundle_goes_when_nothing_of_a_patient_is_left():
    """An empty shell would tell that something was in it."""
    assert "withheld" == verdicts(asked(bundle(searchset(hidden(), id="inner"), observation())))["Bundle/inner"]


def test_parameters_lose_values_and_resources():
    """A parameter that points at a withheld record goes whole, like one that holds it (L045)."""
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "a", "resource": observation()},
            {"name": "b", "valueReference": {"reference": "Encounter/hidden", "display": "SECRET"}},
            {"name": "c", "part": [{"name": "d", "resource": hidden()}]},
        ],
    }

    assert [{"name": "a", "resource": observation()}, {"name": "c"}] == [
        {key: value for key, value in one.items() if key != "part"}
        for one in asked(parameters)["released"]["parameter"]
    ]


@pytest.mark.parametrize("type", ["transaction", "message"])
def test_a_transaction_goes_whole_or_not_at_all(type):
    """Anything held back refuses the whole; alone it goes."""
    assert "deny" == asked(bundle(observation(), hidden(), type=type))["effect"]
    assert "permit" == asked(bundle(observation(), type=type))["effect"]


def test_a_signed_bundle_goes_whole_or_not_at_all():
    """A signature over what is no longer there is worth nothing (L035)."""
    assert "deny" == asked(bundle(observation(), hidden(), **SIGNATURE))["effect"]
    assert "signature" in asked(bundle(observation(), **SIGNATURE))["released"]
    narrated = observation(text={"status": "generated", "div": "<div>weight</div>"})
    assert "signature" not in asked(bundle(narrated, **SIGNATURE))["released"]


def test_every_copy_loses_what_nobody_here_can_judge():
    """Narrative, private extensions and what a server added to meta go, whether or not anything is held back (L038)."""
    record = observation(
        meta={
            "versionId": "3",
            "profile": ["http://hl7.org/fhir/StructureDefinition/vitalsigns"],
            "source": "SECRET",
            "tag": [{"code": "SECRET"}],
            "account": {"display": "SECRET"},
            "extension": [{"url": "http://hl7.org/fhir/x", "valueString": "SECRET"}],
        },
        text={"status": "generated", "div": "<div>SECRET</div>"},
        extension=[
            {"url": "https://example.org/program", "valueString": "SECRET"},
            {"url": "http://hl7.org/fhir/StructureDefinition/workflow-note", "valueString": "kept"},
        ],
        _status={"extension": [{"url": "https://example.org/program", "valueString": "SECRET"}]},
    )
    found = asked(searchset(record))
    left = found["released"]["entry"][0]["resource"]

    assert "permit" == found["effect"]
    assert {"versionId", "profile"} == left["meta"].keys()
    assert ["kept"] == [one["valueString"] for one in left["extension"]]
    assert "SECRET" not in text_of(found)
    assert [None] == sorted({edit["because"] for edit in found["decisions"][0]["edits"]}, key=str)


def test_the_patient_gets_the_record_as_it_is():
    """Nothing is cut from what the right of access reaches."""
    record = observation(text={"status": "generated", "div": "<div>x</div>"}, meta={"source": "urn:x"})

    assert record == asked(searchset(record), recipient="rosa", purpose="PATRQT")["released"]["entry"][0]["resource"]


def test_a_label_nobody_knows_does_not_leave():
    """A code of no known set, or one that cannot be read, is never sent on (L039)."""
    strange = {"security": [R, {"system": "https://example.org/labels", "code": "SECRET"}]}
    found = asked(searchset(observation(meta=strange), meta={"security": [R, SUD]}), profile="us-hipaa")

    assert "SECRET" not in text_of(found)
    assert "SUD" not in text_of(found)


def test_decisions_stand_in_document_order_and_the_same_question_has_the_same_answer():
    """Law 7: contained and nested ones have their own, keyed by pointer."""
    asking = bundle(observation(contained=[{"resourceType": "Medication", "id": "m"}]), hidden(), ROSA)
    found = asked(asking)
    views = [view.at for top in document_of(json.dumps(asking).encode(), "x").views for view in (top, *top.inner)]

    assert views == [decision["at"] for decision in found["decisions"]]
    assert found == asked(asking)


def test_many_withheld_list_items_do_not_take_forever():
    """A list of six hundred hidden records is freed of them item by item."""
    visits = [{**hidden(), "id": f"h{number}"} for number in range(600)]
    index = {
        "resourceType": "List",
        "id": "index",
        "status": "current",
        "mode": "working",
        "subject": SUBJECT,
        "source": MERCY,
        "title": "SECRET",
        "entry": [{"item": {"reference": f"Encounter/h{number}"}} for number in range(600)],
    }
    found = asked(searchset(index, *visits))

    assert {"id", "mode", "resourceType", "source", "status", "subject"} == found["released"]["entry"][0][
        "resource"
    ].keys()


def test_what_goes_of_an_inner_bundle_s_own_is_a_listed_edit():
    """Total, links and tags of a Bundle in the Bundle are edits like any other (law 5)."""
    inner = searchset(observation(), id="inner", total=1, link=[{"relation": "self", "url": "http://x"}])
    found = asked(bundle(inner))
    edits = next(one["edits"] for one in found["decisions"] if one["resource"] == "Bundle/inner")

    assert {"/total", "/link"} == {edit["path"] for edit in edits if edit["because"] is None}


@pytest.mark.parametrize("outside", [True, False])
def test_a_record_in_another_bundle_of_the_document_is_the_record(outside):
    """A reference leads from an inner Bundle to the outer one, and back: withheld, the reference goes."""
    naming = observation(performer=[MERCY], encounter={"reference": "Encounter/hidden", "display": "SECRET"})
    naming = {**naming, "extension": [{"url": "http://hl7.org/fhir/x", "valueUri": "Encounter/hidden"}]}
    del naming["encounter"]
    inner, outer = (hidden(), naming) if outside else (naming, hidden())
    found = asked(bundle(bundle(inner, observation("beside", performer=[MERCY]), id="inner"), outer))

    assert "hidden" not in text_of(found)
    assert {"Observation/weight": "masked", "Encounter/hidden": "withheld"}.items() <= verdicts(found).items()


def test_a_coding_with_nothing_but_a_display_is_no_reference():
    """What R4 knows as a Coding stays, where a Reference of nobody knows what would go."""
    study = {"resourceType": "ImagingStudy", "id": "x", "status": "available", "subject": SUBJECT}
    study |= {"modality": [{"display": "ultrasound"}], "procedureReference": {"display": "SECRET"}}
    left = asked(bundle(study))["released"]["entry"][0]["resource"]

    assert [{"display": "ultrasound"}] == left["modality"]
    assert "procedureReference" not in left


def test_a_section_that_says_why_it_is_empty_stays():
    """Only a section of nothing but narrative goes with the narrative."""
    head = {"resourceType": "Composition", "id": "x", "status": "final", "type": {"text": "note"}, "subject": SUBJECT}
    head |= {"date": "2026", "author": [MERCY], "title": "note"}
    empty = {"title": "Allergies", "emptyReason": {"text": "none known"}}
    prose = {"title": "History", "text": {"status": "additional", "div": "<div>x</div>"}}
    left = asked(bundle({**head, "section": [empty, prose]}))["released"]["entry"][0]["resource"]

    assert [empty] == left["section"]


def test_the_outer_bundle_tells_nothing_of_what_it_lost():
    """Its label is the level of what is released, its total counts that, its tags and other links go (L031, L039)."""
    meta = {"security": [R, {"system": ACT_CODE, "code": "42CFRPart2"}], "tag": [{"display": "SECRET"}]}
    links = [{"relation": "self", "url": "http://x/Observation"}, {"relation": "alternate", "url": "http://x/SECRET"}]
    found = asked(searchset(observation(performer=[MERCY]), hidden(), id="page", total=2, meta=meta, link=links))
    left = found["released"]

    assert (1, {"security": [{"code": "N", "system": R["system"]}]}, links[:1]) == (
        left["total"],
        left["meta"],
        left["link"],
    )
    assert "hidden" not in text_of(found)


def test_what_an_entry_says_of_another_record_goes():
    """Of what was asked and answered only what names the entry's own record stays (L031, L047)."""
    other = {"status": "200", "location": "Encounter/hidden/_history/2", "etag": 'W/"1"', "extension": [{"url": "u"}]}
    own = {"status": "200", "location": "Observation/own/_history/2"}
    asked_for = {"method": "PUT", "url": "Observation/own"}
    page = bundle(observation(performer=[MERCY]), hidden(), observation("own", performer=[MERCY]), type="history")
    page["entry"][0] |= {"response": other, "request": {"method": "PUT", "url": "Encounter/hidden"}}
    page["entry"][2] |= {"response": own, "request": asked_for, "fullUrl": "http://ehr.example/Observation/own"}
    first, second = asked(page)["released"]["entry"]

    assert ({"resource", "response"}, {"status": "200", "etag": 'W/"1"'}) == (first.keys(), first["response"])
    assert (own, asked_for, "http://ehr.example/Observation/own") == (
        second["response"],
        second["request"],
        second["fullUrl"],
    )


def test_the_effect_counts_records_about_patients_alone():
    """A place that goes, or stays, beside them changes nothing; where there is none about a patient, all count."""
    program = {"resourceType": "Organization", "id": "harbor"}
    mercy = {"resourceType": "Organization", "id": "mercy"}
    assert "permit" == asked(searchset(observation(performer=[MERCY]), program, included=("harbor",)))["effect"]
    assert "deny" == asked(searchset(hidden(), mercy))["effect"]
    assert "permit_redacted" == asked(searchset(hidden(), observation(performer=[MERCY]), mercy))["effect"]
    assert "permit" == asked(searchset(mercy))["effect"]


def test_a_claim_of_which_nothing_is_kept_back_loses_what_every_copy_loses():
    """Else the number of its version would tell it from one of which something was (L033)."""
    bill = claim(provider=MERCY, meta={"versionId": "7"})
    (told,) = asked(searchset(bill), recipient="plan", purpose="HPAYMT")["decisions"]
    assert "disclosed" == told["verdict"]
    assert "/meta/versionId" in [edit["path"] for edit in told["edits"]]
