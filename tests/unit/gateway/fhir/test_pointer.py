import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.pointer import escape, index, segments, texts_at


@given(st.lists(st.text(max_size=5), max_size=5))
def test_a_pointer_says_its_segments(parts):
    """RFC 6901: whatever the names are, the pointer built of them gives them back."""
    assert tuple(parts) == segments("".join("/" + escape(part) for part in parts))


@pytest.mark.parametrize("pointer", ["a", "a/b", "/~", "/~2", "/a~"])
def test_other_text_is_no_pointer(pointer):
    """Text that is not of the grammar is an error."""
    with pytest.raises(ValueError, match="pointer"):
        segments(pointer)


@pytest.mark.parametrize(
    ("segment", "number"), [("0", 0), ("10", 10), ("01", None), ("-1", None), ("-", None), ("٣", None)]
)
def test_an_index_is_digits_without_leading_zeros(segment, number):
    """RFC 6901 section 4."""
    assert number == index(segment)


def test_text_is_given_as_it_stands():
    """The text at a pointer keeps its digits, its spaces and its escapes."""
    raw = b' {"a" : [ 1.10 , {"b/c" : "\\u0041" , "d":[ ]} ] }'
    expected = {"/a/0": b"1.10", "/a/1/b~1c": b'"\\u0041"', "/a/1/d": b"[ ]", "": raw.strip()}
    assert expected == texts_at(raw, expected)


@pytest.mark.parametrize("pointer", ["/x", "/a/2", "/a/0/x", "/a/01", "/a/1/d/0"])
def test_a_pointer_into_nothing_is_an_error(pointer):
    """A pointer that leads nowhere is never answered with something near."""
    with pytest.raises(ValueError, match="pointer leads"):
        texts_at(b'{"a":[1,{"d":[]}]}', [pointer])
