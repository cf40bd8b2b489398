import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.strict import Limits, MalformedJson, closings, count_members, decode, exact_members

HOSTILE = {
    "byte order mark": b'\xef\xbb\xbf{"a":1}',
    "utf-16": '{"a":1}'.encode("utf-16"),
    "invalid utf-8": b'{"a":"\xff"}',
    "invalid utf-8 in a name": b'{"\xff":1}',
    "overlong utf-8": b'{"a":"\xc0\x80"}',
    "surrogate in utf-8": b'{"a":"\xed\xa0\x80"}',
    "lone high surrogate": rb'{"a":"\ud800 and more text"}',
    "lone low surrogate": rb'{"a":"\udc00"}',
    "two high surrogates": rb'{"a":"\ud800\ud800"}',
    "lone surrogate in a name": rb'{"a\ud800":1}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":[Infinity]}',
    "minus Infinity": b'{"a":-Infinity}',
    "leading zero": b'{"a":01}',
    "bare fraction": b'{"a":.5}',
    "control character": b'{"a":"\x01"}',
    "comment": b'{"a":/* */1}',
    "trailing comma": b'{"a":1,}',
    "trailing text": b'{"a":1}{}',
    "truncated": b'{"a":"b',
    "nothing": b"",
    "deep arrays": b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "just too deep": b"[" * 65 + b"]" * 65,
    "a long decimal": b'{"a":1.' + b"1" * 200 + b"}",
    "a long integer": b'{"a":' + b"1" * 101 + b"}",
    "a very long integer": b'{"a":' + b"1" * 5_000 + b"}",
    "a number beyond doubles": b'{"a":1e400}',
    "an exponent without end": b'{"a":1e99999999999999999999}',
    "duplicate name": b'{"a":1,"a":1}',
    "duplicate name deep inside": b'{"a":[{"b":{"c":1,"d":2,"c":1}}]}',
    "duplicate name by escape": rb'{"meta":1,"m\u0065ta":2}',
    "duplicate name, spaced": b'{"a" : 1, "a"\n\t:2}',
    "duplicate name and a colon in a string": rb'{"a":1,"a":"x\":y","b":"\":"}',
    "duplicate __proto__": b'{"__proto__":1,"__proto__":2}',
    "duplicate empty name": b'{"":1,"":2}',
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_parsers_read_differently_is_refused(raw):
    """L059: text that two parsers could read differently, or that could crash one, is an error."""
    with pytest.raises(MalformedJson):
        decode(raw)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b' {"a":1.10} \n', {"a": Decimal("1.10")}),
        (b'{"a":-0}', {"a": 0}),
        (b'{"a":1e308}', {"a": Decimal("1e308")}),
        (b'{"a":123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        (b'{"a":1.23456789012345678901234567890}', {"a": Decimal("1.23456789012345678901234567890")}),
        (rb'{"a":"\ud83d\ude00"}', {"a": "😀"}),
        ('{"a":"é😀"}'.encode(), {"a": "é😀"}),
        (rb'{"a":"a \" : b","b":"\":\":"}', {"a": 'a " : b', "b": '":":'}),
        (b'{"a":{"x":1},"b":{"x":1}}', {"a": {"x": 1}, "b": {"x": 1}}),
        (b'{"__proto__":{"a":null}}', {"__proto__": {"a": None}}),
        (b"[" * 64 + b"]" * 64, json.loads("[" * 64 + "]" * 64)),
    ],
)
def test_strict_text_is_read(raw, value):
    """What JSON allows is read, numbers with all their digits."""
    assert value == decode(raw)


def test_size_and_strings_have_limits():
    """A text and a string over the limits are refused."""
    with pytest.raises(MalformedJson, match="size"):
        decode(b'{"a":"xxxxx"}', limits=Limits(size=5))
    with pytest.raises(MalformedJson, match="string"):
        decode(b'{"a":"xxxxx"}', limits=Limits(string=4))


def test_an_error_says_what_is_wrong_without_the_text():
    """The message names the rule and never quotes the text, which may be somebody's record."""
    with pytest.raises(MalformedJson) as caught:
        decode(b'{"secret":"heroin","secret":1}')
    assert "duplicate names in an object" == str(caught.value)


NAMES = st.sampled_from(["a", "b", '"', ":", '":', "\\", " : ", "é", "", "a\n"])
SCALARS = st.none() | st.booleans() | st.integers() | NAMES | st.text(max_size=4)
SPACE = st.sampled_from(["", " ", "\n", " \t\r\n"])


class Pairs(list):
    """An object as written: pairs in order, duplicates and all."""


TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(NAMES, inner), max_size=3).map(Pairs),
    max_leaves=12,
)


def written(tree, space):
    """JSON text of a tree, with `space` around every sign."""
    if isinstance(tree, Pairs):
        members = (f"{json.dumps(name)}{space}:{space}{written(value, space)}" for name, value in tree)
        return "{" + space + f"{space},".join(members) + space + "}"
    if isinstance(tree, list):
        return "[" + f"{space},{space}".join(written(item, space) for item in tree) + space + "]"
    return json.dumps(tree)


def pairs(tree):
    """How many members a tree has."""
    if isinstance(tree, Pairs):
        return len(tree) + sum(pairs(value) for _, value in tree)
    return sum(map(pairs, tree)) if isinstance(tree, list) else 0


def has_duplicates(tree):
    """Whether any object of a tree has a name twice."""
    if isinstance(tree, Pairs):
        names = [name for name, _ in tree]
        return len(set(names)) < len(names) or any(has_duplicates(value) for _, value in tree)
    return isinstance(tree, list) and any(map(has_duplicates, tree))


@given(TREES, SPACE)
def test_the_screen_for_duplicates_is_sound_and_exact(tree, space):
    """The quick count never counts too few, the exact count is exact, and a text is read just when no name repeats."""
    raw = written(tree, space).encode()
    assert pairs(tree) == exact_members(raw)
    assert pairs(tree) <= closings(raw)
    if has_duplicates(tree):
        with pytest.raises(MalformedJson):
            decode(raw)
    else:
        assert json.loads(raw) == decode(raw)
        assert pairs(tree) == count_members(decode(raw))


@given(st.binary(max_size=40))
def test_no_bytes_crash_the_reader(raw):
    """Any bytes are either read as the standard library reads them, or refused."""
    try:
        value = decode(raw)
    except MalformedJson:
        return
    assert json.loads(raw.decode(), parse_float=Decimal) == value
