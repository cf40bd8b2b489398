"""What every copy of a type loses for callers who may get it in part."""

import json
from pathlib import Path

import pytest

from gateway.decision.parts import uniform_edits
from gateway.fhir.elements import Elements
from gateway.fhir.view import read_resource
from gateway.policy.model import PartRule, Parts

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
