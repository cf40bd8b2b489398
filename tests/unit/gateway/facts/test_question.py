"""What a question may say, and what makes it one that cannot be asked: never a deny, never an internal error."""

import json

import pytest

from gateway.errors import QuestionError
from gateway.facts.answer import answer
from tests.questions import PARTICIPANTS, ROSA, SHELF, bundle, consent, observation, question, searchset


def refusal(raw: bytes) -> str:
    """What is told of a question that cannot be asked."""
    with pytest.raises(QuestionError) as told:
        answer(raw, SHELF)
    return told.value.message


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"v": 2}, "version 1"),
        ({"more": 1}, "`more`"),
        ({"profile": "us-ny"}, "no profile `us-ny`"),
        ({"discloser": "nobody"}, "no participant `nobody`"),
        ({"purpose": None}, "never assumed"),
        ({"purpose": ["TREAT", "HPAYMT"]}, "more than one purpose"),
        ({"purpose": "TREATS"}, "no purpose"),
        ({"purpose": {"code": ["TREAT"]}}, "no purpose"),
        ({"at": "2026-11-22T12:00:00"}, "`at`"),
        ({"at": "2026-11-22"}, "offset"),
        ({"interaction": {"type": "frobnicate"}}, "no interaction `frobnicate`"),
        ({"interaction": {"direction": "sideways"}}, "direction"),
        ({"facts": {"exchange": {"consent_given": True}}}, "unknown fact `consent_given`"),
        ({"facts": {"subjects": {"Observation/1": {}}}}, "no reference to a Patient"),
        ({"facts": {"subjects": {"Patient/rosa": {"adult_only": False}}}}, "`adult_only`"),
        ({"participants": [*PARTICIPANTS, PARTICIPANTS[0]]}, "stands twice"),
        ({"participants": [{**PARTICIPANTS[0], "type": "spy"}, *PARTICIPANTS[1:]]}, "unknown type `spy`"),
        ({"participants": [{**PARTICIPANTS[0], "attributes": {"nice": True}}, *PARTICIPANTS[1:]]}, "unknown attribute"),
        ({"agreements": [{"type": "BAA", "between": ["mercy", "nobody"]}]}, "no participant `nobody`"),
        ({"agreements": [{"type": "NDA", "between": ["mercy", "plan"]}]}, "no type of agreement `NDA`"),
        (
            {"agreements": [{"type": "SOW", "between": ["mercy", "plan"], "data": ["chart"]}]},
            "no category of data `chart`",
        ),
        ({"agreements": [{"type": "BAA", "between": ["mercy"]}]}, "two or more"),
        ({"consents": ["text"]}, "`consents`"),
        ({"context": [1]}, "`context`"),
        ({"resource": "text"}, "`resource`"),
        ({"resource": bundle(observation(), type="pile")}, "no type of bundle `pile`"),
        ({"resource": bundle(observation(), more=1)}, "unknown element `/more`"),
    ],
)
def test_it_cannot_be_asked(change, told):
    """Exit 2: the key that is wrong is named (ARCHITECTURE section 6, Errors)."""
    assert told in refusal(json.dumps(question(searchset(observation())) | change).encode())


@pytest.mark.parametrize(
    ("found", "put"),
    [
        ('"purpose": "TREAT"', '"purpose": "HPAYMT", "purpose": "TREAT"'),
        ('"hipaa_covered": true', '"hipaa_covered": false, "hipaa_covered": true'),
        ('"status": "final"', '"status": "draft", "status": "final"'),
        ('"birthDate"', '"birthDate": "2020", "birthDate"'),
    ],
)
def test_a_name_that_stands_twice_is_no_question(found, put):
    """Two purposes under one name are two purposes, wherever the last one wins (L059)."""
    text = json.dumps(question(searchset(observation())))

    assert found in text
    assert refusal(text.replace(found, put, 1).encode())


@pytest.mark.parametrize("at", ['"purpose": "TREAT"', '"text": "weight"', '"consents": []', '"type": "mco"'])
def test_text_too_deep_is_no_question(at):
    """Depth is refused like any other form, not an error of ours."""
    text = json.dumps(question(searchset(observation()), consents=[]))
    name = at.split(":")[0]

    assert at in text
    assert refusal(text.replace(at, f"{name}: {'[' * 40000}{']' * 40000}", 1).encode())


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b'{"v":1}', b"\xff", '{"id":"\ud800"}'.encode("utf-8", "surrogatepass")]
)
def test_what_is_no_json_object_of_ours_is_no_question(raw):
    """Whatever comes in, the answer is a sentence."""
    assert "not a question of version 1" in refusal(raw)


def test_a_consent_in_which_a_name_stands_twice_can_only_deny():
    """A Consent is not refused, it is unreadable: what cannot be read can only deny (law 2)."""
    text = json.dumps(question(searchset(observation()), profile="us-hipaa", consents=[consent()]))
    doubled = text.replace('"status": "active"', '"status": "inactive", "status": "active"', 1)

    assert "permit" == answer(text.encode(), SHELF)["effect"]
    assert "deny" == answer(doubled.encode(), SHELF)["effect"]


def test_a_fact_that_agrees_with_what_is_derived_is_no_contradiction():
    """Stating what follows from the birth date is allowed."""
    facts = {"subjects": {"Patient/rosa": {"adult_only": True, "age_known": True}}}

    assert (
        "permit"
        == answer(json.dumps(question(searchset(observation()), facts=facts, context=[ROSA])).encode(), SHELF)["effect"]
    )


@pytest.mark.parametrize("fact", ["adult_only", "age_known"])
def test_a_fact_against_what_follows_from_the_birth_date_is_a_contradiction(fact):
    """Rosa was born in 1980: who says otherwise is asked to make up their mind."""
    facts = {"subjects": {"Patient/rosa": {fact: False}}}

    assert fact in refusal(json.dumps(question(searchset(observation()), facts=facts, context=[ROSA])).encode())
