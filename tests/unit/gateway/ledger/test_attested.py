"""What the ledger tells of attestations, and to whom."""

from consent_store.model import PatientKey
from consent_store.store import Subject
from gateway.decision.model import Decision, Verdict
from gateway.directory.model import Attestation
from gateway.ledger.attested import attested_of
from gateway.ledger.model import Account, Attempt, Disclosed, Story
from gateway.ledger.telling import tell
from tests.intents import an_intent

ROSA, OMAR = PatientKey("s", "rosa"), PatientKey("s", "omar")
LAW = Attestation(fact="required_by_law", by="plan", name="law-1")
ROSAS = Attestation(fact="subject_has_capacity", by="clinic", name="claim 0", holds=False, standing=False, patient=ROSA)
ITEM = Attestation(fact="hh_received_same_item_from_mco", by="home", name="item-1", source="s", resource="Claim/1")
GONE = Account(disclosed=(Disclosed(OMAR, ("Claim/2",)),))
STORY = Story(decisions=(Decision(at="", resource="Claim/1", subjects=(ROSA,), verdict=Verdict.WITHHELD),))


def test_of_whom_nothing_leaves_the_open_part_tells_nothing():
    """What was attested of a patient or record that is withheld stands in the restricted story alone."""
    open_part, of_each = attested_of((LAW, ROSAS, ITEM), [Subject(ROSA), Subject(OMAR)], GONE, STORY)
    assert ["law-1"] == [one.name for one in open_part]
    assert {"s|rosa": ["claim 0"], "Claim/1": ["item-1"]} == {
        whose: [one.name for one in several] for whose, several in of_each.items()
    }


def test_of_whom_something_leaves_it_names_nobody():
    """The open part says what, by whom and where it was attested."""
    account = Account(disclosed=(Disclosed(ROSA, ("Claim/1",)),))
    open_part, _ = attested_of((ROSAS, ITEM), [Subject(ROSA)], account, STORY)
    assert [("home", "standing", True), ("clinic", "token", False)] == [(o.by, o.how, o.holds) for o in open_part]
    assert "rosa" not in str(open_part)


def test_a_privacy_officer_is_told_each_once():
    """The story in words names the fact, whose word it was, where it stands, and of whom."""
    account = Account(disclosed=(Disclosed(ROSA, ("Claim/1",)),))
    open_part, of_each = attested_of((LAW, ROSAS), [Subject(ROSA)], account, STORY)
    intent = an_intent(attested=open_part, account=account)
    lines = list(tell([Attempt(1, intent, Story(attested=of_each))]))
    assert ["  attested in the directory by plan: required_by_law (law-1)"] == [one for one in lines if "law-1" in one]
    assert ["  attested in the token by clinic: subject_has_capacity does not hold (claim 0), of s|rosa"] == [
        one for one in lines if "claim 0" in one
    ]
