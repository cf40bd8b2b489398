"""What counts as a patient's signature under a consent (45 CFR 164.508(c)(1)(vi))."""

import pytest

from tests.questions import SUBJECT, asked, consent, observation, recipient

SOMEBODY = {"reference": "RelatedPerson/mother"}
FORM = {"contentType": "application/pdf", "data": "c2lnbmVk"}
VERIFIED = {"verification": [{"verified": True}]}
SIGNATURE = {
    "resourceType": "Provenance",
    "id": "p",
    "target": [{"reference": "Consent/consent"}],
    "recorded": "2026-01-01T00:00:00Z",
    "agent": [{"who": SUBJECT}],
    "signature": [
        {
            "type": [{"system": "urn:iso-astm:E1762-95:2013", "code": "1.2.840.10065.1.12.1.7"}],
            "when": "2026-01-01T00:00:00Z",
            "who": SUBJECT,
        }
    ],
}


def permitted(*context, **given):
    """Whether the hospital's record goes to a housing organisation by this consent; a part of None is left out."""
    form = consent(actor=[recipient({"reference": "Organization/hearth"})]) | given
    form = {name: value for name, value in form.items() if value is not None}
    hearth = {"id": "hearth", "type": "cbo", "references": ["Organization/hearth"]}
    mercy = {"id": "mercy", "type": "provider_general", "hipaa_covered": True, "references": ["Organization/mercy"]}
    question = {"profile": "us-hipaa", "participants": [mercy, hearth], "recipient": "hearth", "purpose": "CAREMGT"}
    rosa = {"resourceType": "Patient", "id": "rosa", "birthDate": "1980-03-01"}
    return "permit" == asked(observation(), consents=[form], context=[rosa, *context], **question)["effect"]


@pytest.mark.parametrize(
    ("given", "counts"),
    [
        ({"performer": [SUBJECT]}, True),
        ({"performer": [SUBJECT], "dateTime": None}, False),
        ({"performer": None}, False),
        ({"performer": None, "sourceAttachment": FORM}, True),
        ({"performer": None, "sourceAttachment": {"title": "the form"}}, False),
        ({"performer": None, "sourceReference": {"reference": "DocumentReference/form"}}, True),
        ({"performer": None, **VERIFIED}, True),
        ({"performer": [SUBJECT], "verification": [{"verified": False}]}, False),
        ({"sourceAttachment": FORM, "verification": [{"verified": False}]}, False),
        ({"performer": [SOMEBODY]}, False),
        ({"performer": [SOMEBODY], **VERIFIED}, True),
        ({"performer": [{"reference": "Patient/omar"}]}, False),
        ({"performer": [{"display": "Rosa"}]}, False),
    ],
)
def test_who_agreed_and_when_or_a_form(given, counts):
    """A form, a verification, or the patient and a date; a verification that failed defeats all of them."""
    assert counts == permitted(**given)


def test_a_signature_in_a_provenance():
    """A digital signature over the consent."""
    assert permitted(SIGNATURE, performer=None)
    assert not permitted({**SIGNATURE, "signature": []}, performer=None)
