"""Values that are read, changed and written again: every number as it was written."""

import pytest

from gateway.fhir.exact import read, same, write

NUMBERS = [
    b"1.10",
    b"0.000",
    b"-7.50",
    b"1e2",
    b"1E-3",
    b"123456789.123456789123456789",
    b"70",
    b"12345678901234567890",
]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_written_as_it_was_read(number):
    """Alone, in an object and in a list: R4 forbids to lose a decimal's precision (json.html)."""
    for text in (number, b'{"value":' + number + b"}", b"[" + number + b",true,null]"):
        assert text == write(read(text))


def test_what_looks_equal_is_not_the_same():
    """1.0 is not 1.00, true is not 1; members of an object may stand in another order."""
    for one, other in ((b"1.0", b"1.00"), (b"1", b"1.0"), (b"true", b"1"), (b"null", b"false"), (b"[1]", b"[1,1]")):
        assert not same(read(one), read(other))
    assert same(read(b'{"a":1.50,"b":[2]}'), read(b'{"b":[2],"a":1.50}'))
