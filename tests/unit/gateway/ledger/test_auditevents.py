"""AuditEvents: one for each patient, in BALP's form."""

import msgspec
import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from consent_store.model import ACT_REASON, Coding, Identifier, PatientKey
from gateway.directory.model import Participant
from gateway.ledger.auditevents import audit_events
from gateway.ledger.model import Account, Attempt, Completion, Disclosed, Outcome, Story
from tests.intents import AT, an_intent

PARTIES = {
    "hospital": Participant(id="hospital", type="provider_general", name="Mercy"),
    "plan": Participant(id="plan", type="mco", identifiers=frozenset({Identifier("urn:npi", "1")})),
}


def attempt(outcome: Outcome | None = Outcome.SENT, **account) -> Attempt:
    """An attempt that discloses Rosa's claim and Omar's, unless the test says otherwise."""
    disclosed = (
        Disclosed(PatientKey("ny/h", "omar"), ("Claim/2",)),
        Disclosed(PatientKey("ny/h", "rosa"), ("Claim/1", "Patient/rosa"), ("Consent/c/_history/3",)),
    )
    intent = an_intent(
        request_id="ab" * 16,
        interaction="search-type",
        client_address="10.0.0.9",
        purpose=Coding(ACT_REASON, "HPAYMT"),
        account=Account(**({"disclosed": disclosed} | account)),
    )
    return Attempt(1, intent, Story(), Completion(at=AT, outcome=outcome, status=200) if outcome else None, 2)


def test_each_patient_has_an_event_of_their_own():
    """Two patients in one answer are two events, and neither names the other."""
    omar, rosa = audit_events(attempt(), PARTIES)
    assert "rosa" not in str(omar)
    assert "omar" not in str(rosa)
    told = [entity["what"].get("reference") for entity in rosa["entity"]]
    assert ["Patient/rosa", None, "Claim/1", "Patient/rosa", "Consent/c/_history/3"] == told


def test_an_event_is_valid_fhir():
    """Every event is read back by the FHIR model, with BALP's agents and entities in it."""
    for event in audit_events(attempt(obligations=("label_42CFRPart2",)), PARTIES):
        read = AuditEvent.model_validate_json(msgspec.json.encode(event))
        assert ["110153", "110152", "159541003"] == [agent.type.coding[0].code for agent in read.agent]
        assert ["disclose", "search-type"] == [coding.code for coding in read.subtype]
        assert ("110106", "R", "0") == (read.type.code, read.action, read.outcome)
        assert ["R", "42CFRPart2"] == [label.code for label in read.meta.security]
        assert "HPAYMT" == read.purposeOfEvent[0].coding[0].code


def test_an_event_has_the_shape_of_ihes_own_example(shared):
    """Beside BALP's published example, ours has the same parts in the places its profile constrains."""
    example = msgspec.json.decode((shared / "data/balp/AuditEvent-ex-auditPrivacyDisclosure-source.json").read_bytes())
    event = audit_events(attempt(), PARTIES)[0]
    assert example["type"] == event["type"]
    assert example["subtype"][0]["code"] == event["subtype"][0]["code"]
    for ours, theirs in zip(event["agent"], example["agent"][:2], strict=False):
        assert theirs["type"] == ours["type"]
        assert theirs.keys() <= ours.keys()
    assert event["agent"][0]["who"] == event["source"]["observer"]
    assert example["entity"][0]["type"] == event["entity"][0]["type"]
    assert example["entity"][0]["role"] == event["entity"][0]["role"]


@pytest.mark.parametrize(
    ("outcome", "code"),
    [(Outcome.SENT, "0"), (Outcome.ABORTED, "4"), (Outcome.UNKNOWN, "4"), (Outcome.VOID, None), (None, None)],
)
def test_what_may_have_left_counts(outcome, code):
    """Aborted and unknown are disclosures with outcome 4; what was voided or is still open has no event yet."""
    assert ([code, code] if code else []) == [event["outcome"] for event in audit_events(attempt(outcome), PARTIES)]


def test_records_about_nobody_have_no_event():
    """An answer of organisations alone discloses nothing about a patient."""
    assert () == audit_events(attempt(disclosed=(), others=("Organization/1",)), PARTIES)


def test_parties_are_named_by_identifier():
    """A party with a business identifier is named by it, one without by the gateway's own name for it."""
    event = audit_events(attempt(), PARTIES)[0]
    source, recipient, custodian = event["agent"]
    assert {"system": "urn:npi", "value": "1"} == recipient["who"]["identifier"]
    assert "Mercy" == custodian["who"]["display"]
    assert recipient["requestor"]
    assert not source["requestor"]
