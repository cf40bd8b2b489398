"""JSON Patch: the examples of RFC 6902 that apply to what a client may see, and what no patch touches."""

import json

import pytest

from gateway.errors import BadRequest, Unprocessable
from gateway.fhir.exact import read, write
from gateway.fhir.json_patch import MOST, patched, read_patch
from gateway.fhir.strict import LIMITS


def applied(tree, *operations):
    """Give a tree patched."""
    found = patched(read(json.dumps(tree).encode()), read_patch(json.dumps(operations).encode(), LIMITS))
    return json.loads(write(found))


@pytest.mark.parametrize(
    ("tree", "operation", "expected"),
    [
        ({"a": 1}, {"op": "add", "path": "/b", "value": 2}, {"a": 1, "b": 2}),
        ({"a": ["x", "z"]}, {"op": "add", "path": "/a/1", "value": "y"}, {"a": ["x", "y", "z"]}),
        ({"a": ["x"]}, {"op": "add", "path": "/a/-", "value": ["y"]}, {"a": ["x", ["y"]]}),
        ({"a": 1, "b": 2}, {"op": "remove", "path": "/b"}, {"a": 1}),
        ({"a": ["x", "y"]}, {"op": "remove", "path": "/a/0"}, {"a": ["y"]}),
        ({"a": 1}, {"op": "replace", "path": "/a", "value": None}, {"a": None}),
        ({"a": {"b": 1}, "c": {}}, {"op": "move", "from": "/a/b", "path": "/c/d"}, {"a": {}, "c": {"d": 1}}),
        ({"a": ["x", "y", "z"]}, {"op": "move", "from": "/a/0", "path": "/a/2"}, {"a": ["y", "z", "x"]}),
        ({"a": {"b": 1}}, {"op": "copy", "from": "/a", "path": "/c"}, {"a": {"b": 1}, "c": {"b": 1}}),
        ({"a": {"x": 1, "y": 2}}, {"op": "test", "path": "/a", "value": {"y": 2, "x": 1}}, {"a": {"x": 1, "y": 2}}),
        ({"a/b": 1, "m~n": 2}, {"op": "replace", "path": "/a~1b", "value": 3}, {"a/b": 3, "m~n": 2}),
    ],
)
def test_an_operation_does_what_rfc_6902_says(tree, operation, expected):
    """Section 4 and the examples of appendix A."""
    assert expected == applied(tree, operation)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/b"},
        {"op": "replace", "path": "/b", "value": 1},
        {"op": "add", "path": "/b/c", "value": 1},
        {"op": "add", "path": "/l/3", "value": 1},
        {"op": "add", "path": "/l/01", "value": 1},
        {"op": "remove", "path": "/l/-"},
        {"op": "test", "path": "/a", "value": "1"},
        {"op": "test", "path": "/a", "value": True},
        {"op": "move", "from": "/o", "path": "/o/x"},
        {"op": "copy", "from": "/b", "path": "/c"},
        {"op": "add", "path": "/a/b", "value": 1},
    ],
)
def test_an_operation_that_cannot_be_made_refuses_the_patch(operation):
    """A place that is not there, a test that fails: 422, and nothing of the original is changed."""
    tree = {"a": 1, "l": [1, 2], "o": {"x": 1}}
    with pytest.raises(Unprocessable):
        applied(tree, operation)


@pytest.mark.parametrize(
    "path", ["", "/meta", "/meta/security/0", "/id", "/resourceType", "/contained/0", "/implicitRules"]
)
@pytest.mark.parametrize("op", ["add", "remove", "replace", "test", "from"])
def test_L076_no_operation_touches_what_a_decision_rests_on(op, path):
    """Path, source, parent and whole, of every operation."""
    said = {"op": "copy", "from": path, "path": "/note"} if op == "from" else {"op": op, "path": path, "value": 1}
    with pytest.raises(Unprocessable):
        read_patch(json.dumps([said]).encode(), LIMITS)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"[1]",
        b'[{"op":"add","op":"test","path":"/a","value":1}]',
        b'[{"op":"merge","path":"/a"}]',
        b'[{"op":"add","path":"/a"}]',
        b'[{"op":"add","path":"a","value":1}]',
        b'[{"op":"remove"}]',
        b'[{"op":"move","path":"/a"}]',
        b"[" + b",".join([b'{"op":"remove","path":"/a"}'] * (MOST + 1)) + b"]",
    ],
)
def test_a_body_that_is_no_patch_is_refused(body):
    """Not JSON, not a list, a name twice, no known operation, too many of them: 400."""
    with pytest.raises(BadRequest):
        read_patch(body, LIMITS)
