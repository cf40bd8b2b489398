"""What a client asked to see: members of the released text, each as it was, and the mark that it asked."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.fhir.elements import Elements
from gateway.fhir.projection import Projection, Summary, View, take_view
from gateway.fhir.query import Parameter
from gateway.fhir.reading import Reading
from gateway.release.projection import SUBSETTED, Projector

FOLDER = Path(__file__).parents[4] / "profiles" / "fhir"
PROJECTOR = Projector(
    Elements.from_json((FOLDER / "elements.json").read_bytes()),
    Reading.from_json((FOLDER / "reading.json").read_bytes()),
)
TEXT = (
    b'{"resourceType":"Observation","id":"o","meta":{"lastUpdated":"2026-01-01T00:00:00Z"},"text":{"status":"empty"},'
    b'"contained":[{"resourceType":"Device","id":"d"}],"implicitRules":"http://r","_status":{"id":"s"},'
    b'"status":"final","code":{"text":"x"},"device":{"reference":"#d"},"valueQuantity":{"value":1.10},'
    b'"component":[{"code":{"text":"c"},"valueString":"v","dataAbsentReason":{"text":"n"}}],"note":[{"text":"n"}]}'
)
ALWAYS = {"resourceType", "id", "meta", "status", "_status", "code", "implicitRules"}


def seen(projection: Projection, text: bytes = TEXT) -> dict:
    """The record as projected."""
    return json.loads(PROJECTOR.project(text, projection))


@pytest.mark.parametrize(
    ("elements", "more"),
    [
        (("value",), {"valueQuantity"}),
        (("valueQuantity", "Patient.note"), {"valueQuantity"}),
        (("Observation.note",), {"note"}),
        (("device",), {"device", "contained"}),
        (("nothing",), set()),
        (("component",), {"component"}),
    ],
)
def test_elements_are_those_named_and_those_that_r4_demands(elements, more):
    """R4 search.html 3.1.1.5.9: required and modifying elements stay, and contained records with what names them."""
    assert ALWAYS | more == set(seen(Projection(elements)))


@pytest.mark.parametrize(
    ("summary", "more"),
    [
        (Summary.TRUE, {"valueQuantity", "component"}),
        (Summary.TEXT, {"text"}),
        (Summary.DATA, set(json.loads(TEXT)) - {"text"}),
    ],
)
def test_summaries_are_those_of_r4(summary, more):
    """R4 search.html 3.1.1.5.8; inside a structure of the summary too."""
    found = seen(Projection(summary=summary))
    assert ALWAYS | more == set(found)
    if summary is Summary.TRUE:
        assert {"code", "valueString"} == set(found["component"][0])


def test_every_record_is_marked_once_and_other_tags_stay():
    """SUBSETTED says that a client asked, whether or not anything was left out."""
    whole = Projection(tuple(json.loads(TEXT)))
    assert [SUBSETTED] == seen(whole)["meta"]["tag"]
    assert set(json.loads(TEXT)) == set(seen(whole))
    tagged = b'{"resourceType":"Patient","meta":{"tag":[{"code":"mine"}]}}'
    once = PROJECTOR.project(tagged, whole)
    assert [{"code": "mine"}, SUBSETTED] == json.loads(once)["meta"]["tag"]
    assert once == PROJECTOR.project(once, whole)


def test_what_stays_keeps_its_own_text():
    """Law 5: 1.10 is 1.10."""
    assert b'"valueQuantity":{"value":1.10}' in PROJECTOR.project(TEXT, Projection(("value",)))


@given(st.sets(st.sampled_from(["value", "note", "device", "component", "text", "effective"])))
def test_projection_only_takes_away(names):
    """Every member of what is seen is a member of what was released, but for the mark."""
    found, whole = seen(Projection(tuple(sorted(names)) or ("x",))), json.loads(TEXT)
    assert {name: whole[name] for name in found if name != "meta"} == {k: v for k, v in found.items() if k != "meta"}


@pytest.mark.parametrize(
    ("said", "view"),
    [
        ([], View()),
        ([("_summary", "false")], View(None, said=(Parameter("_summary", "false"),))),
        ([("_summary", "count")], View(None, True, (Parameter("_summary", "count"),))),
        ([("_summary", "true")], View(Projection(summary=Summary.TRUE), said=(Parameter("_summary", "true"),))),
        ([("_elements", "a,Basic.c")], View(Projection(("a", "Basic.c")), said=(Parameter("_elements", "a,Basic.c"),))),
    ],
)
def test_what_is_to_be_seen_is_parted_from_what_is_asked_for(said, view):
    """The rest of the query keeps its order."""
    other = (Parameter("x", "1"), Parameter("y", "2"))
    parameters = [other[0], *(Parameter(*each) for each in said), other[1]]
    assert (view, other) == take_view(parameters)


@pytest.mark.parametrize(
    "said",
    [
        [("_summary", "True")],
        [("_summary", "")],
        [("_elements", "")],
        [("_elements", "a,,b")],
        [("_elements", "a.b.c")],
        [("_elements", "A")],
        [("_elements", "a"), ("_elements", "b")],
        [("_elements", "a"), ("_summary", "true")],
        [("_elements", ",".join(["a"] * 101))],
    ],
)
def test_L019_another_form_of_it_is_refused(said):
    """By form alone; spellings and repetitions that another server would take are not taken."""
    with pytest.raises(BadRequest):
        take_view([Parameter(*each) for each in said])
