"""What a client proposes against what is stored: nothing it was not shown is lost, and nothing it changed is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.exact import read, same, write
from gateway.fhir.view import read_resource
from gateway.release.updated import is_marked_partial, merged, raises, touches_closed

LEVEL = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ONE = {"reference": "Observation/1"}


def text(**members):
    """An Observation's text."""
    return json.dumps({"resourceType": "Observation", "id": "a"} | members).encode()


def view(**members):
    """An Observation."""
    return read_resource(text(**members))


def written(stored, shown, proposed):
    """Give what is written of three texts, as a tree."""
    found = merged(stored, shown, proposed)
    return None if found is None else json.loads(found)


NAMES = st.sampled_from(["status", "note", "issued", "code"])
VALUES = st.recursive(
    st.integers(0, 3) | st.sampled_from(["x", "y"]) | st.booleans(),
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(NAMES, inner, min_size=1, max_size=3),
    max_leaves=6,
)
RECORDS = st.dictionaries(NAMES, VALUES, max_size=4)


@given(RECORDS, st.sets(NAMES))
def test_L079_what_comes_back_unchanged_changes_nothing(stored, hidden):
    """A client that writes what it was shown writes what is stored, whatever it was not shown."""
    shown = {name: value for name, value in stored.items() if name not in hidden}
    whole = text(**stored)

    assert json.loads(whole) == written(whole, text(**shown), text(**shown))


@given(RECORDS, RECORDS)
def test_where_nothing_was_withheld_the_client_s_word_is_written(stored, proposed):
    """Shown whole, a record becomes what the client says."""
    assert json.loads(text(**proposed)) == written(text(**stored), text(**stored), text(**proposed))


@given(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=5), st.lists(st.sampled_from("xy"), max_size=4), st.data()
)
def test_L079_withheld_elements_of_a_list_survive_any_change(listed, wanted, data):
    """Every element of a list that was withheld is there afterwards, however the client changed the rest."""
    marks = data.draw(st.lists(st.booleans(), min_size=len(listed), max_size=len(listed)))
    notes = [
        {"text": f"hidden-{number}" if mark else one}
        for number, (one, mark) in enumerate(zip(listed, marks, strict=True))
    ]
    shown = [one for one in notes if not one["text"].startswith("hidden")]
    proposed = [{"text": one} for one in wanted]
    found = written(
        text(note=notes), text(note=shown) if shown else text(), text(note=proposed) if proposed else text()
    )

    assert [one for one in notes if one not in shown] == [
        one for one in found.get("note", []) if one not in proposed + shown
    ]
    assert all(one in found.get("note", []) for one in proposed)


def test_numbers_and_untouched_elements_keep_their_text():
    """1.50 stays 1.50 in what is stored and in what is new (law 5)."""
    stored = b'{"resourceType":"Observation","id":"a","valueQuantity":{"value":1.50},"status":"x"}'
    proposed = b'{"resourceType":"Observation","id":"a","valueQuantity":{"value":1.50},"status":"y","issued":2.00}'

    assert (
        b'{"resourceType":"Observation","id":"a","valueQuantity":{"value":1.50},"status":"y","issued":2.00}'
        == merged(stored, stored, proposed)
    )


@pytest.mark.parametrize(
    "proposed",
    [text(valueString="mine"), text(valueQuantity={"value": 2}), text(component=[{"valueCode": "mine"}])],
)
def test_L079_what_cannot_be_merged_is_not_written(proposed):
    """A value where one was withheld, or another choice of it, alone and inside an element: nothing is written."""
    stored = text(valueQuantity={"value": 1}, component=[{"id": "c", "valueString": "hidden"}])
    shown = text(component=[{"id": "c"}])
    if b"component" not in proposed:
        proposed = proposed[:-1] + b',"component":[{"id":"c"}]}'

    assert merged(stored, shown, proposed) is None


def test_L075_stored_labels_stay_and_shown_ones_come_beside_them():
    """Left out, lowered or sent back: the stored labels are written, with those that were shown."""
    stored = text(meta={"versionId": "3", "security": [{"system": LEVEL, "code": "N"}, {"system": ACT, "code": "PHY"}]})
    shown = text(meta={"security": [{"system": LEVEL, "code": "R"}, {"system": ACT, "code": "SUD"}]})
    codes = lambda tree: [one["code"] for one in tree["meta"]["security"]]  # noqa: E731

    assert ["N", "PHY"] == codes(written(stored, shown, text()))
    assert ["N", "PHY"] == codes(written(stored, shown, text(meta={"security": [{"system": LEVEL, "code": "L"}]})))
    assert ["PHY", "SUD", "R"] == codes(written(stored, shown, shown))


def test_L082_a_label_that_was_not_shown_is_a_raise():
    """Lower or equal confidentiality is none; a higher one, another sensitivity, an odd label are."""
    shown = view(meta={"security": [{"system": LEVEL, "code": "R"}]})
    lower, equal = (view(meta={"security": [{"system": LEVEL, "code": code}]}) for code in "NR")

    assert [(), ()] == [raises(shown, lower), raises(shown, equal)]
    for label in ({"system": LEVEL, "code": "V"}, {"system": ACT, "code": "SUD"}, {"code": "X"}, "V"):
        assert raises(shown, view(meta={"security": [label]}))


@pytest.mark.parametrize(
    "members",
    [
        {"subject": {"reference": "Patient/b"}},
        {"performer": [ONE]},
        {"extension": [{"url": "http://x.example", "valueCode": "x"}]},
        {"_status": {"id": "x"}},
        {"contained": [{"resourceType": "Group", "id": "g"}]},
        {"component": [{"code": {"text": "x"}, "extension": [{"url": "http://x.example"}]}]},
        {"derivedFrom": [{"identifier": {"system": "a", "value": "b"}}]},
        {"implicitRules": "http://x.example/rules"},
    ],
)
def test_L076_what_policy_rests_on_is_closed(members):
    """A link, an extension, a contained record that is new, gone or another."""
    plain = {"subject": {"reference": "Patient/a"}}

    assert touches_closed(view(**plain), view(**plain | members))
    assert touches_closed(view(**plain | members), view(**plain))
    assert not touches_closed(view(**plain | members), view(**plain | members | {"status": "final"}))


def test_a_body_says_itself_that_it_is_a_part():
    """SUBSETTED and REDACTED, as a tag or as a label."""
    mark = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "REDACTED"}

    assert is_marked_partial(view(meta={"security": [mark]}))
    assert is_marked_partial(view(meta={"tag": [mark | {"code": "SUBSETTED"}]}))
    assert not is_marked_partial(view(meta={"tag": [{"code": "SUBSETTED"}]}))


@given(VALUES)
def test_what_is_read_is_written_again(value):
    """Reading and writing change no value."""
    assert same(value, read(write(value)))
