"""Each alteration gives the facts that a question has which says what it says: `given` and `altered` cannot differ."""

import json
from typing import Any

import msgspec
import pytest

from consent_store.model import PatientKey
from gateway.decision.alterations import Kind, at_path, patched, reference_to, resource_fact, subject_fact
from gateway.decision.facts import Facts
from gateway.facts.answer import read_whole
from tests.otherwise import otherwise, text
from tests.questions import ROSA, SHELF, SUBJECT, bundle, consent, hidden, observation, question
from tests.unit.gateway.decision.test_candidates import OTTO, candidates

REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
EXPIRED = consent(period={"end": "2020"}, purpose=[{"system": REASON, "code": "HPAYMT"}]) | {"status": "inactive"}
QUESTIONS = {
    "a page of two people": question(
        bundle(observation(), observation("his", subject={"reference": "Patient/otto"})),
        profile="us-ca-calaim",
        context=[ROSA, OTTO],
        consents=[
            EXPIRED,
            {**consent("deny"), "id": "refusing", "dateTime": "2026-02-01", "policy": [{"uri": "urn:other"}]},
            {**consent(patient={"reference": "Patient/otto"}), "id": "his"},
        ],
        agreements=[
            {"type": "BAA", "between": ["mercy", "plan"], "period": {"end": "2027-01-01"}},
            {"type": "QSOA", "between": ["mercy", "valley"]},
        ],
        facts={
            "exchange": {"required_by_law": True, "security_requirements_met": False},
            "subjects": {"Patient/rosa": {"subject_has_capacity": True, "enrolled_and_consented": False}},
            "resources": {"Observation/weight": {"hh_received_same_item_from_mco": True}},
        },
    ),
    "a visit at a program": question(hidden(), consents=[consent(period={"end": "2027-03-01"})]),
    "to itself": question(observation(), recipient="mercy", profile="us-hipaa"),
    "a refusal that cannot be read": question(
        observation(), profile="base", consents=[consent() | {"modifierExtension": [{"url": "urn:x"}]}]
    ),
}


def plain(facts: Facts) -> dict[str, Any]:
    """Facts as values that can be compared: consents by their text as JSON, the rest as it is."""
    subjects = {
        key: (
            [(one.id, one.patient, json.loads(one.raw)) for one in who.consents],
            dict(who.stated),
            who.birth_date,
            who.identifiers,
        )
        for key, who in facts.subjects.items()
    }
    exchange = msgspec.structs.asdict(facts.exchange) | {"attested": dict(facts.exchange.attested)}
    directory = (dict(facts.directory.participants), facts.directory.agreements)
    stated = {place: dict(told) for place, told in facts.stated_resources.items() if told}
    return {"subjects": subjects, "exchange": exchange, "directory": directory, "stated": stated}


@pytest.mark.parametrize("name", QUESTIONS)
def test_what_is_altered_is_what_a_question_says_that_has_what_is_given(name):
    """Every alteration of every record of a question, one at a time."""
    asking = QUESTIONS[name]
    found = candidates(asking)
    facts = found.facts
    tried = set()
    for at in found._asked:
        for one in (*found.disclosing(at), *found.withholding(at)):
            tried.add(one.kind)
            asked = read_whole(text(otherwise(asking, [{"given": one.given}])), SHELF).facts
            assert plain(asked) == plain(one.altered(facts)), one.say
            assert plain(asked) != plain(facts) or one.kind is Kind.CONSENT_WITHDRAWN, one.say
    if name == "a page of two people":
        assert set(Kind) == tried


def test_facts_are_stated_and_withdrawn_in_their_scope():
    """Said to be so, said not to be so, or no longer said; beside what else is stated, and of nobody else."""
    asking = QUESTIONS["a page of two people"]
    facts = read_whole(text(asking), SHELF).facts
    rosa, otto = PatientKey("", "rosa"), PatientKey("", "otto")
    for value, expected in ((True, {"x": True}), (False, {"x": False}), (None, {})):
        told = subject_fact(rosa, "x", "", value=value)
        assert (Kind.FACT_WITHDRAWN if value is None else Kind.FACT_STATED) is told.kind
        before = dict(facts.subjects[rosa].stated)
        assert before | expected == told.altered(facts).subjects[rosa].stated
        assert {} == told.altered(facts).subjects[otto].stated
        place = resource_fact("/entry/0", "x", "", value=value)
        assert expected == place.altered(facts).stated_resources["/entry/0"]
        assert (
            facts.stated_resources["Observation/weight"] == place.altered(facts).stated_resources["Observation/weight"]
        )


@pytest.mark.parametrize(
    ("key", "named"),
    [
        (PatientKey("", "rosa"), "Patient/rosa"),
        (PatientKey("", "urn:uuid:1"), "urn:uuid:1"),
        (PatientKey("http://ehr.example/fhir", "rosa"), "http://ehr.example/fhir/Patient/rosa"),
        (PatientKey("story", "rosa"), "Patient/rosa"),
    ],
)
def test_a_patient_is_named_as_in_a_question(key, named):
    """By id here, by URL at another server, by urn."""
    assert named == reference_to(key)


TREE = {"a": {"b": [1, {"c": 2}]}, "x/y": 3}


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"op": "add", "path": "/a/b/-", "value": 9}, {"a": {"b": [1, {"c": 2}, 9]}, "x/y": 3}),
        ({"op": "add", "path": "/a/b/0", "value": 9}, {"a": {"b": [9, 1, {"c": 2}]}, "x/y": 3}),
        ({"op": "replace", "path": "/a/b/0", "value": 9}, {"a": {"b": [9, {"c": 2}]}, "x/y": 3}),
        ({"op": "remove", "path": "/a/b/1"}, {"a": {"b": [1]}, "x/y": 3}),
        ({"op": "add", "path": "/a/b/1/d", "value": 9}, {"a": {"b": [1, {"c": 2, "d": 9}]}, "x/y": 3}),
        ({"op": "remove", "path": "/a/b/1/c"}, {"a": {"b": [1, {}]}, "x/y": 3}),
        ({"op": "replace", "path": "/x~1y", "value": 9}, {"a": {"b": [1, {"c": 2}]}, "x/y": 9}),
        ({"op": "remove", "path": "/a/z"}, None),
        ({"op": "remove", "path": "/a/b/7"}, None),
        ({"op": "replace", "path": "/a/b/x", "value": 9}, None),
        ({"op": "add", "path": "/x~1y/z", "value": 9}, None),
    ],
    ids=lambda one: one.get("path", "") if isinstance(one, dict) else "",
)
def test_a_patch_is_applied_or_is_none(operation, expected):
    """RFC 6902: in a list before the place or at its end, in a structure by name; a place that is not there is none."""
    found = patched(json.dumps(TREE).encode(), (operation,))
    assert expected == (None if found is None else json.loads(found))


def test_several_operations_follow_each_other_and_text_that_is_no_json_has_none():
    """Each on what the one before left."""
    steps = ({"op": "add", "path": "/l", "value": []}, {"op": "add", "path": "/l/-", "value": 1})
    assert {"l": [1]} == json.loads(patched(b"{}", steps) or b"")
    for text_ in (b"{", b"\xff", b"[" * 100_000):
        assert None is patched(text_, steps)
    assert "/a/0/x~1y" == at_path("a", 0, "x/y")
    assert SUBJECT == {"reference": reference_to(PatientKey("", "rosa"))}
