"""Listed edits on exact text (law 5)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision.model import Edit, Op
from gateway.release.edits import apply


def cut(*paths: str) -> list[Edit]:
    """Build cuts."""
    return [Edit(Op.CUT, path) for path in paths]


def test_without_edits_the_text_is_the_same_object():
    """No edits: the span is copied whole."""
    raw = b'{ "a" : 1.10 }'

    assert raw is apply(raw, [])


def test_untouched_values_keep_their_own_text():
    """Decimals, escapes and white space beside an edited path leave as they came."""
    raw = b'{"value": {"value" : 1.10, "unit":"\\u006dg"}, "big":1e400, "note":[ {"text":"x"} ], "code": "a"}'

    assert b'{"value":{"value" : 1.10, "unit":"\\u006dg"},"big":1e400,"code":"a"}' == apply(raw, cut("/note"))


def test_a_cut_that_empties_a_container_takes_it_away():
    """No empty array or object is left behind."""
    assert b'{"b":1}' == apply(b'{"a":{"x":[{"y":1}]},"b":1}', cut("/a/x/0/y"))


def test_a_primitive_goes_with_its_sibling():
    """The extensions of a cut primitive go with it."""
    assert b'{"id":"1"}' == apply(b'{"id":"1","birthDate":"1970","_birthDate":{"id":"x"}}', cut("/birthDate"))


def test_an_element_of_a_primitive_array_goes_with_its_sibling():
    """Arrays of primitives and of their extensions lose the same place."""
    raw = b'{"given":["a","b"],"_given":[null,{"id":"x"}]}'

    assert b'{"given":["b"],"_given":[{"id":"x"}]}' == apply(raw, cut("/given/0"))
    assert b'{"given":["a"]}' == apply(raw, cut("/given/1"))


def test_a_sibling_cut_alone_leaves_the_other_places_aligned():
    """What is cut from the extensions alone leaves a null where it stood."""
    raw = b'{"given":["a","b"],"_given":[{"id":"x"},{"id":"y"}]}'

    assert b'{"given":["a","b"],"_given":[null,{"id":"y"}]}' == apply(raw, cut("/_given/0"))
    assert b'{"given":["a","b"]}' == apply(raw, cut("/_given/0", "/_given/1"))


def test_replace_and_insert():
    """A value is replaced, a member added, an element put before an index and at the end."""
    raw = b'{"a":[1,2],"b":3}'
    edits = [
        Edit(Op.REPLACE, "/b", b"4"),
        Edit(Op.INSERT, "/c", b'"new"'),
        Edit(Op.INSERT, "/a/1", b"9"),
        Edit(Op.INSERT, "/a/-", b"8"),
    ]

    assert b'{"a":[1,9,2,8],"b":4,"c":"new"}' == apply(raw, edits)


def test_an_edit_inside_a_cut_vanishes():
    """A cut wins over whatever is to happen inside or at it."""
    edits = [*cut("/a"), Edit(Op.REPLACE, "/a/b", b"2"), Edit(Op.REPLACE, "/a", b"3")]

    assert b'{"c":1}' == apply(b'{"a":{"b":1},"c":1}', edits)


@pytest.mark.parametrize("path", ["/x", "/a/5", "/b/c", ""])
def test_a_pointer_that_leads_nowhere_is_an_error(path):
    """An edit that cannot be made is never passed over."""
    with pytest.raises(ValueError, match=r"nowhere|holds nothing|whole"):
        apply(b'{"a":[1],"b":2}', cut(path))


def test_cutting_everything_is_an_error():
    """A resource is withheld, never emptied."""
    with pytest.raises(ValueError, match="nothing is left"):
        apply(b'{"a":1}', cut("/a"))


# A naive oracle over parsed trees, and the same through the text.
keys = st.sampled_from(["a", "b", "c", "d~e", "f/g"])
leaves = st.one_of(st.integers(), st.text(max_size=5), st.booleans())
trees = st.dictionaries(
    keys,
    st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3), st.dictionaries(keys, inner, min_size=1, max_size=3)
        ),
        max_leaves=12,
    ),
    min_size=1,
)


def pointers(value: object, at: str = "") -> list[str]:
    """Give every pointer in a tree."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [at] if at else []
    for key, inner in items:
        found += pointers(inner, f"{at}/{str(key).replace('~', '~0').replace('/', '~1')}")
    return found


def without(value: object, gone: set[str], at: str = "") -> object:
    """Cut by rebuilding the tree; None where nothing is left."""
    if at in gone:
        return None
    if isinstance(value, dict):
        kept = {k: without(v, gone, f"{at}/{k.replace('~', '~0').replace('/', '~1')}") for k, v in value.items()}
        kept = {k: v for k, v in kept.items() if v is not None}
        return kept or None
    if isinstance(value, list):
        listed = [without(v, gone, f"{at}/{i}") for i, v in enumerate(value)]
        return [v for v in listed if v is not None] or None
    return value


@given(trees, st.data())
def test_cuts_agree_with_a_tree_that_is_rebuilt(tree, data):
    """Whatever is cut, the text that leaves says what the tree without it says."""
    chosen = data.draw(st.lists(st.sampled_from(pointers(tree)), max_size=4))
    expected = without(tree, set(chosen))
    raw = json.dumps(tree, indent=data.draw(st.sampled_from([None, 1]))).encode()

    if expected is None:
        with pytest.raises(ValueError, match="nothing is left"):
            apply(raw, cut(*chosen))
    else:
        assert expected == json.loads(apply(raw, cut(*chosen)))
