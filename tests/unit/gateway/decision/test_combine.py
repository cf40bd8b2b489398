"""The layers of a ruling, asked through a question."""

import json

import pytest

from gateway import bootstrap
from gateway.facts.answer import answer
from tests import questions

SHELF = bootstrap.read_shelf()


def consent(id: str, organization: str = "Organization/1") -> dict:
    """A consent of Patient/1 that permits everything."""
    return {
        "resourceType": "Consent",
        "id": id,
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": "Patient/1"},
        "dateTime": "2026-01-01",
        "organization": [{"reference": organization}],
        "policy": [{"uri": f"urn:example:{id}"}],
        "provision": {"type": "permit"},
    }


def asked(*consents: dict) -> dict:
    """Ask under `base` for an observation of Patient/1."""
    question = {
        "v": 1,
        "at": "2026-06-01T12:00:00Z",
        "profile": "base",
        "participants": [
            {"id": "a", "type": "provider_general", "references": ["Organization/1"]},
            {"id": "b", "type": "provider_general", "references": ["Organization/2"]},
        ],
        "discloser": "a",
        "recipient": "b",
        "purpose": "TREAT",
        "consents": consents,
        "resource": {
            "resourceType": "Observation",
            "id": "o",
            "status": "final",
            "subject": {"reference": "Patient/1"},
        },
    }
    return answer(json.dumps(question).encode(), SHELF)


def relied(found: dict) -> list[str]:
    """Give the consents that the decision names, in its order."""
    return [cause["consent"].partition("#")[0] for cause in found["decisions"][0]["because"]]


def test_every_consent_that_permits_is_named_in_one_order():
    """An accounting names all consents relied on, and the order in which they came makes no difference (law 7)."""
    one, two = consent("one"), consent("two")

    assert ["Consent/one", "Consent/two"] == relied(asked(one, two))
    assert relied(asked(one, two)) == relied(asked(two, one))


def test_without_a_consent_the_default_denies_and_says_what_was_missing():
    """Nothing permits: the default deny is named, with the need that was not met."""
    found = asked()

    assert ["default-deny"] == [cause["rule"] for cause in found["decisions"][0]["because"]]
    assert ["consent_permits"] == found["decisions"][0]["unmet"]


BAA = {"type": "BAA", "between": ["mercy", "hearth"]}


@pytest.mark.parametrize(
    ("agreement", "effect"),
    [
        (BAA, "permit"),
        ({**BAA, "data": []}, "deny"),
        ({**BAA, "data": ["psychotherapy_notes"]}, "deny"),
        ({**BAA, "purposes": []}, "deny"),
        ({**BAA, "purposes": ["HOPERAT"]}, "permit"),
        ({**BAA, "period": {"end": "2020"}}, "deny"),
    ],
)
def test_an_agreement_gives_what_it_lists(agreement, effect):
    """Absent data or purposes are not limited, an empty list is nothing (ARCHITECTURE section 6)."""
    hearth = {"id": "hearth", "type": "cbo", "references": ["Organization/hearth"]}
    found = questions.asked(
        questions.searchset(questions.observation()),
        participants=[*questions.PARTICIPANTS, hearth],
        recipient="hearth",
        purpose="CAREMGT",
        agreements=[agreement],
    )

    assert effect == found["effect"]


@pytest.mark.parametrize(("data", "effect"), [(None, "permit"), (["part2_record"], "permit"), ([], "deny")])
def test_a_qualified_service_agreement_gives_what_it_lists(data, effect):
    """Nor does one that lists nothing open a program's records (42 CFR 2.11)."""
    agreement = {"type": "QSOA", "between": ["harbor", "mercy"]} | ({} if data is None else {"data": data})
    found = questions.asked(
        questions.searchset(questions.hidden()),
        discloser="harbor",
        recipient="mercy",
        purpose="HPAYMT",
        agreements=[agreement],
    )

    assert effect == found["effect"]
