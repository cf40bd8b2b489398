"""What is thought of one record: withheld for a reason, freed by edits, each counted once."""

import pytest

from gateway.decision.combine import Ruling
from gateway.decision.model import Cause, Edit, Op, Verdict
from gateway.decision.opinion import Opinion
from gateway.labels.assign import summarise
from tests.consent_questions import observation, view

LINES = [{"sequence": n, "productOrService": {"text": "x"}} for n in (1, 2, 3)]
CLAIM = {"resourceType": "Claim", "id": "c", "item": LINES}


def cause(rule):
    """A deny."""
    return Cause("law", "deny", rule, "other_law", "", "", "", "law_other")


def opinion(tree=None, verdict=Verdict.DISCLOSED):
    """What is thought of a record at first."""
    return Opinion(
        view=view(tree or observation()),
        subjects=(),
        patient_bearing=True,
        categories=(),
        verdict=verdict,
        labels=summarise([], False),
        labels_in=(),
        ruling=Ruling(True, frozenset(), ()),
        causes=[],
    )


def test_a_record_is_withheld_once_and_for_each_reason():
    """It says whether it was released before; a reason counts once, and of what was cut nothing is left to say."""
    one = opinion()
    one.take([Edit(Op.CUT, "/note")], cause("a"))
    assert (True, Verdict.MASKED, ["/note"]) == (one.released, one.verdict, [edit.path for edit in one.all_edits])
    assert one.withhold(cause("b"))
    assert not one.withhold(cause("b"))
    assert not one.withhold(cause("c"))
    assert (["a", "b", "c"], (), frozenset(), False) == (
        [x.rule for x in one.causes],
        one.all_edits,
        one.cut,
        one.released,
    )


def test_an_edit_is_taken_once_and_a_new_value_replaces_the_older():
    """Where it stood; a cut and a value of the same place are two things, and what is cut is what goes."""
    one = opinion()
    one.take([Edit(Op.CUT, "/a"), Edit(Op.REPLACE, "/b", b"1")], None)
    one.take([Edit(Op.REPLACE, "/b", b"2"), Edit(Op.CUT, "/a"), Edit(Op.REPLACE, "/a", b"3"), Edit(Op.CUT, "/c")], None)
    assert [(Op.CUT, "/a", b""), (Op.REPLACE, "/b", b"2"), (Op.REPLACE, "/a", b"3"), (Op.CUT, "/c", b"")] == [
        (edit.op, edit.path, edit.value or b"") for edit in one.all_edits
    ]
    assert {"/a", "/c"} == one.cut
    assert (Verdict.DISCLOSED, []) == (one.verdict, one.causes)


def test_behind_an_edit_stands_the_cause_it_was_taken_for():
    """By its place among the causes; without any edit there is no cause, and the record is as it was."""
    one = opinion()
    one.take([], cause("a"))
    assert (Verdict.DISCLOSED, []) == (one.verdict, one.causes)
    for rule, path in (("a", "/a"), ("b", "/b"), ("a", "/c")):
        one.take([Edit(Op.CUT, path)], cause(rule))
    one.take([Edit(Op.CUT, "/d")], None)
    assert [0, 1, 0, None] == [edit.because for edit in one.all_edits]
    assert (Verdict.MASKED, 2, 1) == (one.verdict, len(one.causes), one.because(cause("b")))


@pytest.mark.parametrize(
    ("gone", "left"), [((), True), (("/item/0",), True), (("/item/0", "/item/1", "/item/2"), False)]
)
def test_lines_of_a_claim_are_removed_and_the_rest_is_numbered_anew(gone, left):
    """It says whether a line is left; edits of a place that goes otherwise come first, and once."""
    one = opinion(CLAIM)
    assert left is one.remove(gone, cause("a"))
    if gone == ("/item/0",):
        one.take([Edit(Op.CUT, "/item/0")], cause("b"))
        assert ["/item/0", "/item/1/sequence", "/item/2/sequence"] == [edit.path for edit in one.all_edits]
        assert one.remove(["/item/1"], cause("c"))
        assert {"/item/0", "/item/1"} == one.cut
        assert ["a", "b", "c"] == [x.rule for x in one.causes]
        assert Verdict.MASKED is one.verdict
