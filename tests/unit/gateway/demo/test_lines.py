"""The story's lines: read from a written file, whole and without contradiction."""

import re

import pytest

from gateway.demo.lines import Said, read_story
from gateway.demo.store import Store
from gateway.demo.story import story_resources
from gateway.demo.telling import ROUTES, story_lines
from gateway.errors import ProfileError

STORY = """
acts: {first: It begins.}
rules: {rule-one: 45 CFR 1}
outcomes:
  some:
    through: [Condition/a]
    masked: {Claim/b: [item/0]}
    withheld: [Condition/c]
    lacks: [secret]
lines:
  - id: one
    who: Somebody
    client: some-client
    purpose: TREAT
    route: hospital
    patient: ann
    types: [Condition, Claim]
    acts: {first: {outcome: some, permits: [rule-one]}}
"""


def held(type_: str, patient: str) -> set[str]:
    """What the story's upstream holds of a type about a patient."""
    store = Store(story_resources(), lambda: None)
    return {one.name for one in store.referring(type_, [f"Patient/{patient}"])}


def test_a_line_has_its_outcome_by_act():
    """Records, lost elements, texts and rules come out as they were written."""
    (line,) = read_story(STORY, "s").lines
    outcome = line.said["first"].outcome
    assert {"Condition/a"} == outcome.through
    assert {"Claim/b": frozenset({"item/0"})} == outcome.masked
    assert {"Condition/c"} == outcome.withheld
    assert (("secret",), frozenset({"rule-one"})) == (outcome.lacks, line.said["first"].permits)


def test_a_line_may_be_refused_and_have_no_purpose():
    """A line may say that it is refused, and by which status."""
    text = STORY.replace("    purpose: TREAT\n", "").replace("{outcome: some, permits: [rule-one]}", "{refused: 403}")
    (line,) = read_story(text, "s").lines
    assert ("", Said(refused=403)) == (line.purpose, line.said["first"])


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ("withheld: [Condition/c]", "withheld: [Condition/a]", "a record stands twice"),
        ("outcome: some", "outcome: other", "`other` is not one of some"),
        ("acts: {first: {", "acts: {second: {", "every act"),
        ("permits: [rule-one]", "permits: [rule-two]", "no citation is written for rule-two"),
        ("lacks:", "lack:", "unknown key"),
    ],
)
def test_a_mistake_in_the_file_is_told(was, becomes, told):
    """What contradicts itself or means nothing is an error that says so."""
    with pytest.raises(ProfileError, match=told):
        read_story(STORY.replace(was, becomes), "s")


@pytest.mark.parametrize("line", story_lines().lines, ids=lambda line: line.id)
def test_every_record_asked_for_has_its_outcome(line):
    """For each line and act the story says what becomes of every record asked for, and of no other."""
    (patient,) = line.patients
    asked = {name for type_ in line.types for name in held(type_, patient)}
    for said in line.said.values():
        if said.outcome is not None:
            assert asked == said.outcome.through | said.outcome.masked.keys() | said.outcome.withheld


def test_the_story_has_everyone_the_demonstration_is_about():
    """Hospital, plan for two purposes, care manager, housing, patient, no purpose, one too many; three profiles."""
    lines = story_lines().lines
    assert {("mercy-ehr", "TREAT"), ("sunrise-platform", "CAREMGT"), ("sunrise-platform", "HPAYMT")} <= {
        (line.client, line.purpose) for line in lines
    }
    assert {"lighthouse-care", "hearth-intake", "rosa-app"} <= {line.client for line in lines}
    assert 2 == sum(line.said["first"].refused == 403 for line in lines)
    profiles = {route.name: route.profile for route in ROUTES}
    assert {"base", "us-hipaa", "us-part2"} == {profiles[line.route] for line in lines}
    assert {"rosa", "dana", "lily", "omar"} == {patient for line in lines for patient in line.patients}


def test_signing_changes_lines_and_revoking_changes_them_back():
    """Three lines get the Part 2 records by the signature and lose them by the revocation; the others never change."""
    changed = [line.id for line in story_lines().lines if line.said["signed"] != line.said["first"]]
    assert ["hospital-treats", "plan-manages-care", "plan-pays"] == changed
    assert all(line.said["revoked"] == line.said["first"] for line in story_lines().lines)


def test_rules_are_cited_by_their_source():
    """Each rule of the story has a citation of the regulations, of the standard or of the catalogue of leaks."""
    assert [] == [c for c in story_lines().cites.values() if not re.match(r"4[25] CFR |FHIR R4 |leaks\.md ", c)]
