"""From decisions to what the ledger writes of them."""

from consent_store.model import PatientKey
from gateway.decision.model import Cause, Decision, Edit, Op, Verdict
from gateway.ledger.account import account_of
from gateway.ledger.model import Disclosed, RuleHit

ROSA, OMAR = PatientKey("ny/h", "rosa"), PatientKey("ny/h", "omar")
FLOW = Cause(
    layer="flow", effect="permit", rule="treatment", cite="45 CFR 164.506(c)", consent="Consent/c1/_history/2#/x"
)
LAW = Cause(layer="law", effect="deny", rule="part2", cite="42 CFR 2.31")


def decision(at: str, resource: str, *subjects: PatientKey, verdict=Verdict.DISCLOSED, **more) -> Decision:
    """One resource's decision."""
    return Decision(at=at, resource=resource, subjects=subjects, verdict=verdict, **more)


def test_the_account_speaks_by_patient_of_what_leaves():
    """A record about two patients is disclosed about both; one about nobody stands by itself."""
    account, _ = account_of(
        [
            decision("/entry/0/resource", "Observation/1", ROSA, because=(FLOW,)),
            decision("/entry/1/resource", "Appointment/2", ROSA, OMAR, verdict=Verdict.MASKED, obligations=("b", "a")),
            decision(
                "/entry/2/resource", "Organization/3", because=(Cause(layer="flow", effect="permit", rule="open"),)
            ),
        ]
    )
    assert (
        Disclosed(OMAR, ("Appointment/2",), ()),
        Disclosed(ROSA, ("Observation/1", "Appointment/2"), ("Consent/c1/_history/2",)),
    ) == account.disclosed
    assert ("Organization/3",) == account.others
    assert {"Appointment": 1, "Observation": 1, "Organization": 1} == account.released
    assert (RuleHit("open"), RuleHit("treatment", "45 CFR 164.506(c)")) == account.rules
    assert ("a", "b") == account.obligations


def test_what_is_withheld_is_only_counted_in_the_account():
    """Neither ids, nor patients, nor rules of what was withheld stand outside the restricted story."""
    account, story = account_of(
        [
            decision("/entry/0/resource", "Condition/1", ROSA, verdict=Verdict.WITHHELD, because=(LAW,)),
            decision("/entry/1/resource", "Condition/2", OMAR, because=(FLOW,)),
        ]
    )
    assert {"Condition": 1} == account.withheld
    assert "rosa" not in str(account)
    assert "part2" not in str(account)
    assert ("Condition/1",) == story.withheld
    assert (LAW,) == story.decisions[0].because


def test_the_story_holds_no_content():
    """An edit's place is kept, its value is not."""
    edit = Edit(Op.REPLACE, "/code/text", b'"sentinel"', because=0)
    _, story = account_of([decision("", "Condition/1", ROSA, edits=(edit,), because=(LAW,))])
    assert Edit(Op.REPLACE, "/code/text", b"", because=0) == story.decisions[0].edits[0]


def test_contained_records_are_part_of_what_holds_them():
    """A contained record is told in the story and not counted as a disclosure of its own."""
    account, story = account_of(
        [
            decision("/entry/0/resource", "Condition/1", ROSA),
            decision("/entry/0/resource/contained/0", "Practitioner/p", ROSA),
        ]
    )
    assert {"Condition": 1} == account.released
    assert 2 == len(story.decisions)


def test_two_stories_alike_do_not_look_alike():
    """A story's digest cannot be guessed from what it might say."""
    same = [decision("", "Condition/1", ROSA)]
    assert account_of(same)[1].nonce != account_of(same)[1].nonce
