"""Listed edits on exact text (law 5)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision.model import Edit, Op
from gateway.fhir.pointer import members_of
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

    assert b'{"value": {"value" : 1.10, "unit":"\\u006dg"}, "big":1e400, "code": "a"}' == apply(raw, cut("/note"))


STYLES = {
    "compact": lambda tree: json.dumps(tree, separators=(",", ":")),
    "spaced": json.dumps,
    "line by line": lambda tree: json.dumps(tree, indent=2) + "\n",
    "with tabs and returns": lambda tree: "\r\n" + json.dumps(tree, indent="\t", separators=(" ,", " : ")),
    "spaced within": lambda tree: json.dumps(tree).replace("{", "{ ").replace("}", " }").replace("[", "[ "),
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("path", ["/a", "/b", "/c", "/b/0", "/b/1", "/b/2", "/c/x", "/c/y", "/d/0/z", "/n/0", "/_n/1"])
def test_what_is_left_is_written_as_if_it_had_been_alone(style, path):
    """No printer's white space tells that something was cut: first, last, in between, alone, beside extensions."""
    tree = {"a": 1, "b": [1, {"q": 2}, 3], "c": {"x": 1, "y": [2]}, "d": [{"z": 1}], "n": ["s", "t"]}
    tree["_n"] = [{"id": "i"}, {"id": "j"}]
    left = cut_from(json.loads(json.dumps(tree)), path)

    assert STYLES[style](left).encode() == apply(STYLES[style](tree).encode(), cut(path))


def cut_from(tree: dict, path: str) -> dict:
    """The tree that never had what the path leads to."""
    if path == "/d/0/z":
        return {name: value for name, value in tree.items() if name != "d"}
    if path == "/n/0":
        return tree | {"n": ["t"], "_n": [{"id": "j"}]}
    if path == "/_n/1":
        return tree | {"_n": [{"id": "i"}, None]}
    *way, last = path.strip("/").split("/")
    held = tree[way[0]] if way else tree
    del held[int(last) if isinstance(held, list) else last]
    return tree


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


def test_cutting_both_of_a_pair_leaves_the_rest_aligned():
    """A value and its extension cut each by an edit of its own take one place, not two."""
    raw = b'{"given":["a","b"],"_given":[{"id":"x"},{"id":"y"}]}'

    assert b'{"given":["b"],"_given":[{"id":"y"}]}' == apply(raw, cut("/given/0", "/_given/0"))


def test_a_place_with_nothing_left_on_either_side_goes():
    """Where only an extension stood, cutting it takes the place away; a pair of nulls says nothing."""
    raw = b'{"given":[null,"b"],"_given":[{"extension":[{"url":"u"}]},null]}'

    assert b'{"given":["b"]}' == apply(raw, cut("/_given/0/extension/0"))
    assert b'{"_given":[{"extension":[{"url":"u"}]}]}' == apply(raw, cut("/given/1"))


def test_what_is_replaced_loses_its_extensions():
    """The extension of a date speaks of that date (a time of birth), so it goes when another date is put there."""
    raw = b'{"birthDate":"1970-01-02","_birthDate":{"id":"z"},"n":["a","b"],"_n":[{"id":"x"},{"id":"y"}]}'
    edits = [Edit(Op.REPLACE, "/birthDate", b'"1970"'), Edit(Op.REPLACE, "/n/0", b'"c"')]

    assert b'{"birthDate":"1970","n":["c","b"],"_n":[null,{"id":"y"}]}' == apply(raw, edits)


def test_an_insert_among_primitives_keeps_their_extensions_in_place():
    """What comes in has no extension: a null comes in beside it."""
    raw = b'{"n":["a","b"],"_n":[{"id":"x"},{"id":"y"}]}'
    edits = [Edit(Op.INSERT, "/n/1", b'"c"'), Edit(Op.INSERT, "/n/-", b'"d"')]

    assert b'{"n":["a","c","b","d"],"_n":[{"id":"x"},null,{"id":"y"},null]}' == apply(raw, edits)


def test_untouched_pairs_keep_their_text():
    """Arrays with extensions beside an edited member leave as they came, spaces and all."""
    raw = b'{"n":[ "a" ],"_n":[ {"id":"x"} ],"b":1}'

    assert b'{"n":[ "a" ],"_n":[ {"id":"x"} ]}' == apply(raw, cut("/b"))
    assert b'{"n":[ "a" ],"b":1}' == apply(raw, cut("/_n/0/id"))


@pytest.mark.parametrize(
    "edits",
    [
        [Edit(Op.INSERT, "/b", b"1")],
        [Edit(Op.INSERT, "/a/7", b"1")],
        [Edit(Op.INSERT, "/x/y", b"1")],
        [Edit(Op.INSERT, "/x/-", b"1")],
        [Edit(Op.INSERT, "/x", b"1"), Edit(Op.INSERT, "/x", b"2")],
        [Edit(Op.REPLACE, "/x", b"1")],
        [Edit(Op.REPLACE, "/b", b"1"), Edit(Op.REPLACE, "/b", b"3")],
        [Edit(Op.REPLACE, "/b", b"1}")],
        [Edit(Op.REPLACE, "/b", b'{"x":1,"x":2}')],
        [Edit(Op.REPLACE, "/b", b"")],
        [Edit(Op.CUT, "/a/-")],
        [Edit(Op.CUT, "/a/01")],
        [Edit(Op.CUT, "/a/1"), Edit(Op.INSERT, "/a/1", b"5")],
    ],
)
def test_an_edit_that_cannot_be_made_is_an_error(edits):
    """Nothing is passed over: no insert on a member, none beyond the end, no second opinion, no odd text."""
    with pytest.raises(ValueError, match=r"\w"):
        apply(b'{"a":[1],"b":2}', edits)


def test_inserts_alone_keep_a_container():
    """An array whose elements all go stays for what comes in."""
    edits = [*cut("/a/0"), Edit(Op.INSERT, "/a/0", b"5")]

    assert b'{"a":[5],"b":2}' == apply(b'{"a":[1],"b":2}', edits)


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


@given(trees, st.data())
def test_what_is_not_on_an_edited_path_keeps_its_very_text(tree, data):
    """Each value beside the cuts stands in the new text as it stood in the old one, written in an unusual way."""
    chosen = data.draw(st.lists(st.sampled_from(pointers(tree)), min_size=1, max_size=3))
    old = json.dumps(tree, indent=3, separators=(" ,", " : ")).encode()
    if without(tree, set(chosen)) is None:
        return
    new = apply(old, cut(*chosen))
    for name, text in members_of(old).items():
        at = f"/{name.replace('~', '~0').replace('/', '~1')}"
        if not any(path == at or path.startswith(f"{at}/") for path in chosen):
            assert bytes(text) == bytes(members_of(new)[name])


values = st.lists(st.none() | st.sampled_from(["v", "w"]), min_size=1, max_size=4)


@given(values, st.data())
def test_values_and_extensions_never_part(given_names, data):
    """Whatever is cut on either side, each value that is left stands beside the extension it stood beside."""
    besides = [data.draw(st.none() | st.just({"id": f"x{n}"})) for n in range(len(given_names))]
    texts = [name and f"{name}{n}" for n, name in enumerate(given_names)]
    sides = st.sampled_from(["given", "_given"])
    chosen = set(data.draw(st.lists(st.tuples(sides, st.integers(0, len(texts) - 1)), max_size=3)))
    raw = json.dumps({"r": 1, "given": texts, "_given": besides}).encode()
    left = json.loads(apply(raw, cut(*(f"/{side}/{number}" for side, number in chosen))))
    names = [beside and beside["id"] for beside in besides]
    rows = [(t, None if ("_given", n) in chosen else b) for n, (t, b) in enumerate(zip(texts, names, strict=True))]
    expected = {row for n, row in enumerate(rows) if ("given", n) not in chosen} - {(None, None)}
    first, second = left.get("given", []), [beside and beside["id"] for beside in left.get("_given", [])]
    assert not first or not second or len(first) == len(second)
    length = max(len(first), len(second))
    pairs = zip(first or [None] * length, second or [None] * length, strict=True)
    assert expected == set(pairs) - {(None, None)}


@pytest.mark.parametrize(
    ("raw", "path", "text"),
    [
        (b"{ }", "/meta", b'{"meta":1}'),
        (b'{"meta": {}}', "/meta/tag", b'{"meta": {"tag":1}}'),
        (b'{"tag": []}', "/tag/-", b'{"tag": [1]}'),
    ],
)
def test_what_held_nothing_takes_something_in(raw, path, text):
    """An empty object or array has no white space to follow."""
    assert text == apply(raw, [Edit(Op.INSERT, path, b"1")])
