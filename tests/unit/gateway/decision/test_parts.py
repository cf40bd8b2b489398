"""What every copy of a type loses for callers who may get it in part."""

import json
from pathlib import Path

import pytest

from consent_store.model import ACT_CODE
from gateway.decision.combine import Ruling
from gateway.decision.model import Cause, Edit, Op
from gateway.decision.parts import mask, part_rule, prefixed, uniform_edits, within
from gateway.fhir.elements import Elements
from gateway.fhir.view import read_resource
from gateway.labels.assign import summarise
from gateway.labels.model import Basis, Kind, Label
from gateway.policy.model import PartRule, Parts
from tests.questions import SHELF

TABLE = Path(__file__).parents[4] / "profiles" / "fhir" / "elements.json"
RULE = PartRule(remove=frozenset({"item"}), always=("total",))
PARTS = Parts(whole_for=frozenset(), narrative_cut=True, types={"Claim": RULE})


@pytest.mark.parametrize(
    ("meta", "rule", "cut"),
    [
        ({"versionId": "7", "lastUpdated": "2026-01-01T00:00:00Z"}, RULE, ["/text", "/total", "/meta/versionId"]),
        ({"lastUpdated": "2026-01-01T00:00:00Z"}, RULE, ["/text", "/total"]),
        ({"versionId": "7"}, None, ["/text"]),
        ("odd", RULE, ["/text", "/total"]),
    ],
)
def test_the_number_of_a_version_goes_where_parts_may_go_alone(meta, rule, cut):
    """leaks.md trade-offs: every change of a withheld part moves it; removed or not, for every copy of the type."""
    tree = {"resourceType": "Claim", "id": "c", "meta": meta, "text": {"status": "empty"}, "total": {"value": 1}}
    edits = uniform_edits(read_resource(json.dumps(tree).encode()), rule, PARTS, Elements.from_json(TABLE.read_bytes()))
    assert sorted(cut) == sorted(edit.path for edit in edits)


def claim(lines):
    """A claim with these lines, and a total that every copy loses."""
    items = [{"sequence": n, "productOrService": {"text": "x"}} for n in range(1, lines + 1)]
    return read_resource(
        json.dumps({"resourceType": "Claim", "id": "c", "item": items, "total": {"value": 1}}).encode()
    )


def label(at, code="HIV"):
    """A label of one element."""
    return Label(Kind.SENSITIVITY, ACT_CODE, code, Basis.CODE, at)


def because(*codes):
    """Denies, one for each code."""
    return tuple(Cause("law", "deny", code, "other_law", "", "", "", "law_other") for code in codes)


def ruling(*denied):
    """Rules that nothing of these sensitivities may go."""

    def rule_on(labels):
        found = sorted(labels.sensitivities & set(denied))
        return Ruling(not found, frozenset(), because(*found))

    return rule_on


def masked(lines, *labels, denied=("HIV", "SUD"), rule=RULE):
    """The members that go, with the denies behind each, and the labels of what is left; None where it may not go so."""
    found = mask(claim(lines), summarise(labels, False), rule, ruling(*denied))
    if found is None:
        return None
    return {at: found.causes[index].rule for at, index in found.removed.items()}, set(found.labels.sensitivities)


def test_the_members_that_are_denied_go_and_the_rest_stays():
    """Each for its own reason; one that may go stays with its labels, and what every copy loses does not count."""
    lines = [label("/item/0/productOrService"), label("/item/1", "SUD"), label("/item/2/diagnosisSequence", "MH")]
    assert ({"/item/0": "HIV", "/item/1": "SUD"}, {"MH"}) == masked(4, *lines)
    assert ({"/item/0": "HIV"}, set()) == masked(4, label("/item/0/x"), label("/total/value"))
    assert ({"/item/0": "HIV"}, set()) == masked(4, label("/item/0/x"), label("/total"))
    assert ({"/item/12": "HIV"}, set()) == masked(14, label("/item/12"))


@pytest.mark.parametrize(
    "labels",
    [
        (label(""),),
        (label("/diagnosis/0"),),
        (label("/item"),),
        (label("/item/x"),),
        (label("/item/0"), label("/code", "SUD")),
        (label("/item/0/x", "MH"),),
        tuple(label(f"/item/{number}") for number in range(4)),
    ],
    ids=["of the whole", "elsewhere", "of the list", "no member", "and elsewhere", "not denied", "every line"],
)
def test_a_claim_is_not_saved_by_cutting_what_may_not_go_alone(labels):
    """What speaks of the whole or of another element keeps all; so where nothing is denied, or no line is left."""
    assert masked(4, *labels) is None


def test_what_is_denied_with_the_rest_alone_is_asked_with_the_rest():
    """A line that may not go beside what else the claim says goes; without the line the rest may."""

    def together(labels):
        both = {"HIV", "SUD"} <= labels.sensitivities
        return Ruling(not both, frozenset(), because("both") if both else ())

    found = mask(claim(3), summarise([label("/item/0"), label("/code", "SUD")], False), RULE, together)
    assert found is not None
    assert {"/item/0": 0} == found.removed
    assert {"SUD"} == set(found.labels.sensitivities)
    apart = summarise([label("/item/0"), label("/item/1", "SUD")], False)
    assert mask(claim(3), apart, RULE, together) is None


def test_a_claim_whose_numbers_are_unsound_is_not_taken_apart():
    """Two lines of one number: nobody could say which points where."""
    twice = json.loads(claim(2).raw) | {"item": [{"sequence": 1}, {"sequence": 1}]}
    view = read_resource(json.dumps(twice).encode())
    assert mask(view, summarise([label("/item/0")], False), RULE, ruling("HIV")) is None


def test_the_rule_of_a_type_is_not_for_those_who_get_records_whole():
    """By the kinds of the recipient's type; a type without a rule has none."""
    policy = SHELF.policies["us-hipaa"]
    kinds = policy.parts.whole_for
    assert kinds
    assert part_rule(policy, "patient", "Claim") is None
    assert policy.parts.types["Claim"] is part_rule(policy, "mco", "Claim")
    assert part_rule(policy, "mco", "Flag") is None


def test_edits_of_what_stands_inside_are_prefixed_and_keep_their_causes():
    """The path alone changes."""
    edits = (Edit(Op.CUT, "/a", because=2), Edit(Op.REPLACE, "/b", b"1"))
    assert (Edit(Op.CUT, "/entry/0/a", because=2), Edit(Op.REPLACE, "/entry/0/b", b"1")) == prefixed(edits, "/entry/0")
    assert [True, True, False, False] == [within(one, {"/a", "/b/0"}) for one in ("/a", "/b/0/c", "/b/01", "")]


@pytest.mark.parametrize(("always", "goes"), [(("total",), False), (("total", "processNote"), True)])
def test_numbers_of_notes_go_where_the_notes_always_go(always, goes):
    """Where notes may stay, so may the numbers that point at them."""
    tree = {"resourceType": "Claim", "id": "c", "item": [{"sequence": 1, "noteNumber": [1]}]}
    view = read_resource(json.dumps(tree).encode())
    edits = uniform_edits(view, PartRule(frozenset({"item"}), always), PARTS, Elements.from_json(TABLE.read_bytes()))
    assert goes is ("/item/0/noteNumber" in [edit.path for edit in edits])
