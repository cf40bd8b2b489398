"""Removing diagnoses and lines from claims (leaks.md L037)."""

import msgspec
import pytest

from gateway.decision.claims import note_numbers, numbered_soundly, removal_edits
from gateway.decision.model import Edit, Op


def benefit() -> dict:
    """Build an ExplanationOfBenefit of three lines: two of one diagnosis and performer, one of another."""
    return {
        "resourceType": "ExplanationOfBenefit",
        "careTeam": [{"sequence": 1}, {"sequence": 2}],
        "diagnosis": [{"sequence": 1}, {"sequence": 2}, {"sequence": 3}],
        "item": [
            {"sequence": 1, "careTeamSequence": [1], "diagnosisSequence": [1]},
            {"sequence": 2, "careTeamSequence": [2], "diagnosisSequence": [2], "noteNumber": [1]},
            {"sequence": 3, "careTeamSequence": [1], "diagnosisSequence": [1, 2]},
        ],
        "addItem": [{"itemSequence": [2]}],
    }


def cuts(edits: tuple[Edit, ...]) -> set[str]:
    """Give the paths that are cut."""
    return {edit.path for edit in edits if edit.op is Op.CUT}


def replaced(edits: tuple[Edit, ...]) -> dict[str, object]:
    """Give the new values by path."""
    return {edit.path: msgspec.json.decode(edit.value) for edit in edits if edit.op is Op.REPLACE}


def test_a_removed_diagnosis_takes_the_line_that_has_no_other():
    """A line that only the removed diagnosis explains goes with it, and so does its performer and its added line."""
    edits = removal_edits(benefit(), {"/diagnosis/1": 0})

    assert edits is not None
    assert {"/diagnosis/1", "/item/1", "/careTeam/1", "/addItem/0"} == cuts(edits)


def test_what_remains_is_numbered_without_a_gap():
    """Lines, diagnoses and the numbers that point at them close ranks, so that no gap tells of a removal."""
    edits = removal_edits(benefit(), {"/diagnosis/1": 0})

    assert edits is not None
    assert {"/diagnosis/2/sequence": 2, "/item/2/sequence": 2, "/item/2/diagnosisSequence": [1]} == replaced(edits)


def test_a_removed_line_takes_what_it_alone_used():
    """A removed line takes the performer nobody else names, and leaves the diagnosis another line needs."""
    edits = removal_edits(benefit(), {"/item/1": 0})

    assert edits is not None
    assert {"/item/1", "/careTeam/1", "/addItem/0"} == cuts(edits)


def test_a_removed_performer_takes_the_line_it_alone_performed():
    """A line done by the removed member of the care team alone goes with it."""
    edits = removal_edits(benefit(), {"/careTeam/1": 0})

    assert edits is not None
    assert "/item/1" in cuts(edits)


def test_nothing_is_left_of_a_claim_without_lines():
    """Where every line goes, the record goes: an empty claim tells that there was one."""
    assert removal_edits(benefit(), {"/item/0": 0, "/item/1": 0, "/item/2": 0}) is None


def test_a_gap_is_closed_also_when_nothing_was_removed():
    """A claim that came with a gap in its numbers leaves without it, exactly as one from which a line was cut."""
    tree = benefit()
    gone = removal_edits(tree, {"/item/1": 0, "/addItem/0": 0})
    del tree["item"][1], tree["careTeam"][1], tree["addItem"]

    edits = removal_edits(tree, {})

    assert gone is not None
    assert edits is not None
    assert {"/item/1/sequence": 2} == replaced(edits)
    assert 2 == replaced(gone)["/item/2/sequence"]


@pytest.mark.parametrize("number", [None, "1", True, 1])
def test_unsound_numbers_are_told(number):
    """Missing, doubled or non-integer sequence numbers make a claim one that cannot be taken apart."""
    tree = benefit()
    tree["item"][1]["sequence"] = number

    assert not numbered_soundly(tree)
    assert numbered_soundly(benefit())


def test_note_numbers_are_found_on_every_line():
    """The numbers that point at process notes are found where the notes always go."""
    assert ("/item/1/noteNumber",) == note_numbers(benefit())


def test_what_follows_from_several_removals_is_told_by_the_first():
    """A diagnosis keeps the cause it was removed for; its lines, and the numbers that move, the first of all causes."""
    edits = removal_edits(benefit(), {"/diagnosis/0": 3, "/diagnosis/1": 1})
    causes = {edit.path: edit.because for edit in edits or () if edit.op is Op.CUT}

    assert edits is None or (3, 1) == (causes["/diagnosis/0"], causes["/diagnosis/1"])
    claim = benefit()
    claim["item"].append({"sequence": 4, "careTeamSequence": [1], "diagnosisSequence": [3]})
    edits = removal_edits(claim, {"/diagnosis/0": 3, "/diagnosis/1": 1})

    assert edits is not None
    causes = {edit.path: edit.because for edit in edits}
    assert {1} == {because for path, because in causes.items() if path != "/diagnosis/0"}
    assert 3 == causes["/diagnosis/0"]


def test_lines_that_the_payer_added_point_at_the_new_numbers():
    """They stay where a line that they answer stays, and name it by its number then; without one they go."""
    added = [{"itemSequence": [1, 3]}, {"itemSequence": [2]}, {"itemSequence": [3]}]
    tree = benefit() | {"addItem": added}
    edits = removal_edits(tree, {"/item/1": 0})
    assert edits is not None
    assert {"/addItem/0/itemSequence": [1, 2], "/addItem/2/itemSequence": [2]} == {
        path: value for path, value in replaced(edits).items() if path.startswith("/addItem")
    }
    assert "/addItem/1" in cuts(edits)
