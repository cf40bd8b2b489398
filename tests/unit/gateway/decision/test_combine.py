"""The layers of a ruling, asked through a question."""

import json

from gateway import bootstrap
from gateway.facts.answer import answer

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
