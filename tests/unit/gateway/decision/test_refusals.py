"""Records that are withheld for what they are, and from whom."""

import pytest

from tests.questions import HARBOR, MERCY, SUBJECT, asked, consent, observation, recipient, searchset, verdicts

UNKNOWN_MODIFIER = {"modifierExtension": [{"url": "https://example.org/negated", "valueBoolean": True}]}
AUDIT = {
    "resourceType": "AuditEvent",
    "id": "read",
    "type": {"code": "rest"},
    "recorded": "2026-01-01T00:00:00Z",
    "agent": [{"requestor": True}],
    "source": {"observer": MERCY},
    "entity": [{"what": SUBJECT}],
}


@pytest.mark.parametrize(
    ("record", "rule"),
    [
        (observation(**UNKNOWN_MODIFIER), "unknown-modifier"),
        (observation(component=[{"code": {"text": "x"}, **UNKNOWN_MODIFIER}]), "unknown-modifier"),
        (observation(implicitRules="https://example.org/rules"), "unknown-modifier"),
        (AUDIT, "not-by-exchange"),
    ],
)
def test_it_goes_to_the_patient_alone(record, rule):
    """What may mean something else, and who saw what, leaves by no exchange; the patient's own access has it (L038)."""
    found = asked(searchset(record))

    assert rule in {cause["rule"] for cause in found["decisions"][0]["because"]}
    assert "deny" == found["effect"]
    assert "permit" == asked(searchset(record), recipient="rosa", purpose="PATRQT")["effect"]


def test_a_servers_own_words_are_no_record():
    """An OperationOutcome among the entries is dropped for everyone, and does not make the answer a partial one."""
    outcome = {"resourceType": "OperationOutcome", "id": "o", "issue": [{"severity": "warning", "code": "suppressed"}]}
    found = asked(searchset(observation(), outcome))

    assert "permit" == found["effect"]
    assert 1 == len(found["released"]["entry"])


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ({"actor": [recipient({"reference": "Organization/valley"})]}, "disclosed"),
        ({"actor": [recipient({"reference": "Organization/valley"}), recipient(MERCY)]}, "disclosed"),
        ({"actor": [recipient({"reference": "Organization/valley"}), recipient(HARBOR)]}, "withheld"),
        ({"actor": [recipient({"reference": "Organization/plan"})]}, "withheld"),
        ({}, "withheld"),
    ],
)
def test_a_consent_goes_to_the_recipient_it_is_for(said, verdict):
    """A Consent that names others tells whom the patient trusts (L041)."""
    assert verdict == verdicts(asked(searchset(consent(**said)), profile="us-hipaa"))["Consent/consent"]


def test_a_consent_goes_to_its_custodian():
    """Who keeps it may read it."""
    kept = consent(actor=[recipient(HARBOR)]) | {"organization": [{"reference": "Organization/valley"}]}

    assert "disclosed" == verdicts(asked(searchset(kept), profile="us-hipaa"))["Consent/consent"]
