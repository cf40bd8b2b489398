"""One strict JSON reader: what it accepts has one meaning for every parser behind and before us (leaks.md L059).

Rules of this file
1. Refused: text that is not UTF-8, a byte order mark, NaN and Infinity, numbers beyond a double's range, lone
   surrogates, duplicate names in an object at any depth, and depth, numbers or size over the limits.
2. Duplicate names cost one pass: `closings` never counts fewer members than the text has, the tree never shows more
   than it has, so equal numbers prove that there is no duplicate; only when they differ are members counted exactly.
3. The tree is for reading: decimals are `Decimal`, and every value that is sent is copied as text (law 5).
"""

import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from math import isinf
from typing import Any, Final

import msgspec

# A JSON string, and the colon that makes it a member's name. The text is known to be JSON, so strings never overlap.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"([ \t\r\n]*+:)?')
_WHITESPACE: Final = b" \t\r\n"


class MalformedJson(ValueError):
    """Text the gateway does not read. `at` is a JSON Pointer ("" where it cannot be told), `why` names the rule.

    Whose fault it is, the caller knows: a client's body is a 400, an upstream's a 502 (and then neither `at` nor
    `why` is told to the client: they speak of withheld data).
    """

    def __init__(self, at: str, why: str) -> None:
        super().__init__(f"{why} at `{at}`" if at else why)
        self.at = at
        self.why = why


class Limits(msgspec.Struct, frozen=True):
    """How large a text may be: bytes in all, levels of nesting, bytes of one string's text, digits of one number."""

    size: int = 32 * 1024 * 1024
    depth: int = 64
    string: int = 24 * 1024 * 1024
    number: int = 100


LIMITS: Final = Limits()


def decode(raw: bytes, *, limits: Limits = LIMITS) -> Any:  # noqa: ANN401  any JSON value
    """Give the value that a JSON text says. Raises MalformedJson by rule 1."""
    value = tree(raw, "", limits=limits)
    refuse_duplicates(raw, count_members(value, limits), "")
    return value


def tree(raw: bytes, at: str, *, limits: Limits = LIMITS) -> Any:  # noqa: ANN401  any JSON value
    """Give the value of a text that stands at pointer `at`, with every check but duplicates, depth and integers' size.

    Those fall out of the walk that the caller does anyway: it counts the members of every object and hands the
    number to `refuse_duplicates`. Raises MalformedJson.
    """
    if len(raw) > limits.size:
        raise MalformedJson(at, "text over the size limit")
    try:
        return _decoder(limits.number).decode(raw)
    except UnicodeDecodeError as error:
        raise MalformedJson(at, "text that is not utf-8") from error
    except RecursionError as error:
        raise MalformedJson(at, "nesting over the depth limit") from error
    except (msgspec.DecodeError, InvalidOperation) as error:
        raise MalformedJson(at, "text that is not strict json") from error


def refuse_duplicates(raw: bytes, members: int, at: str) -> None:
    """Raise MalformedJson when a text has more members than the `members` that its decoded objects have in all."""
    if closings(raw) != members and exact_members(raw) != members:
        raise MalformedJson(at, "duplicate names in an object")


def closings(raw: bytes) -> int:
    r"""Give a number that is at least the number of members in a JSON text (exact but for strings with `\":`).

    Every member has `"`, whitespace and `:` in a row, and no two members share a quotation mark. Taking all
    whitespace out of the text keeps each of these pairs and turns it into `":`; inside strings it can only make
    more of them. So none is missed, and a duplicate cannot hide behind one.
    """
    return raw.translate(None, _WHITESPACE).count(b'":')


def exact_members(raw: bytes) -> int:
    """Give the exact number of members in all objects of a text that is known to be JSON."""
    return sum(1 for colon in _STRING.findall(raw) if colon)


def check_scalar(value: object, at: str, limits: Limits) -> None:
    """Raise MalformedJson for an integer or a string over the limits."""
    if isinstance(value, int) and not -(10**limits.number) < value < 10**limits.number:
        raise MalformedJson(at, "a number over the length limit")
    if isinstance(value, str) and len(value) > limits.string:
        raise MalformedJson(at, "a string over the length limit")


def count_members(value: object, limits: Limits = LIMITS) -> int:
    """Give the number of members in all objects of a decoded value. Raises MalformedJson for what is over a limit."""
    members = depth = 0
    level: list[Any] = [value]
    while level:
        below: list[Any] = []
        for node in level:
            if node.__class__ is dict:
                members += len(node)
                below.extend(node.values())
            elif node.__class__ is list:
                below.extend(node)
            else:
                check_scalar(node, "", limits)
                continue
            if depth == limits.depth:
                raise MalformedJson("", "nesting over the depth limit")
        level, depth = below, depth + 1
    return members


@lru_cache(maxsize=8)
def _decoder(digits: int) -> msgspec.json.Decoder[Any]:
    def number(text: str) -> Decimal:
        if len(text) > digits:
            raise MalformedJson("", "a number over the length limit")
        if isinf(float(text)):
            raise MalformedJson("", "a number that most readers take for infinity")
        return Decimal(text)

    return msgspec.json.Decoder(float_hook=number)
