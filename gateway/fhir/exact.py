"""JSON as values that can be changed and written again without changing a number: 1.10 stays 1.10 (R4 json.html). Pure.

Rules of this file
1. Only text that was checked before (gateway.fhir.strict) is read here.
2. Two values are the same only where they are of one kind: true is not 1, and 1.0 is not 1.00.
"""

from typing import Any, Final

import msgspec


class Number:
    """A decimal by its text. No Struct: those are written as objects, and never come to the encoder's hook."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        """Take the text of a number that was read."""
        self.text = text

    def __eq__(self, other: object) -> bool:  # type: ignore[explicit-override]  # typing's is 3.12
        return isinstance(other, Number) and other.text == self.text

    def __hash__(self) -> int:  # type: ignore[explicit-override]
        return hash(self.text)

    def __repr__(self) -> str:  # type: ignore[explicit-override]
        return self.text


_READ: Final = msgspec.json.Decoder(float_hook=Number)
_WRITE: Final = msgspec.json.Encoder(enc_hook=lambda value: msgspec.Raw(value.text.encode("ascii")))


def read(raw: bytes) -> Any:  # noqa: ANN401  any JSON value
    """Give the value of a checked text. Raises msgspec.DecodeError for what is none."""
    return _READ.decode(raw)


def write(value: Any) -> bytes:  # noqa: ANN401  any JSON value
    """Give the text of a value."""
    return _WRITE.encode(value)


def same(one: Any, other: Any) -> bool:  # noqa: ANN401  any JSON value
    """Say whether two values are the same; members of objects may stand in another order."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)
