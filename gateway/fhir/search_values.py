r"""The grammar of search values, by kind of parameter (R4 search.html 3.1.1.4). What is not of it is refused.

Rules of this file
1. Alternatives are joined by `,`; `\,`, `\|`, `\$` and `\\` are themselves.
2. A date is a FHIR date, with an offset where it has a time; `ap` depends on the day and is none of it.
3. A value that a server could read in another way than the gateway is not of the grammar.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from consent_store.dates import FhirDate, parse_date
from gateway.fhir.references import Base, Foreign, Local, is_id, parse

_ONE: Final = r"(?:[^\\,|$]|\\[\\,|$])"
_TOKEN: Final = re.compile(rf"(?:((?:[^\s\\,|$]|\\[\\,|$])*)(\|))?({_ONE}+)")
_WHOLE_SYSTEM: Final = re.compile(r"((?:[^\s\\,|$]|\\[\\,|$])+)\|")
_OF_TYPE: Final = re.compile(rf"((?:[^\s\\,|$]|\\[\\,|$])+)\|({_ONE}+)\|({_ONE}+)")
_TEXT: Final = re.compile(rf"{_ONE}+")
_NUMBER: Final = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb)?([+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,2})?)")
_QUANTITY: Final = re.compile(rf"([^|]+)(?:\|((?:[^\s\\,|$]|\\[\\,|$])*)\|({_ONE}+))?")
_PREFIXES: Final = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"})
_ALTERNATIVE: Final = re.compile(r"(?:[^\\,]|\\.)+")
_URI: Final = re.compile(r"[!-+\--\[\]-~]+")  # printable, without space, comma and backslash
_ESCAPED: Final = re.compile(r"\\([\\,|$])")


class Token(msgspec.Struct, frozen=True):
    """A code: `system` None is any, "" none. `code` "" is any code of the system. `kind`: of an identifier's type."""

    system: str | None
    code: str
    kind: str = ""


class Moment(msgspec.Struct, frozen=True):
    """A date with its prefix."""

    prefix: str
    date: FhirDate


class Amount(msgspec.Struct, frozen=True):
    """A number with its prefix, and what it covers at the precision it is given in; a unit where one is given."""

    prefix: str
    value: Decimal
    half: Decimal
    system: str | None = None
    code: str | None = None


class Text(msgspec.Struct, frozen=True):
    """A text or an address, unescaped."""

    text: str


Value = Token | Moment | Amount | Text | Local


def alternatives(value: str) -> tuple[str, ...]:
    r"""Give the values that `,` joins by OR, still escaped (`\,` is no separator); none where one of them is empty."""
    found = _ALTERNATIVE.findall(value)
    return tuple(found) if ",".join(found) == value else ()


def is_ids(value: str, most: int) -> bool:
    """Say whether a value is at most `most` ids."""
    found = alternatives(value)
    return 0 < len(found) <= most and all(map(is_id, found))


def read_value(kind: str, text: str) -> Value | None:
    """Give what one alternative says for a kind of parameter but references, None where it is not of the grammar."""
    return _READERS[kind](text)


def read_identifier(text: str) -> Token | None:
    """Give an identifier by its type (`:of-type`): `system|code|value`, None for any other form."""
    found = _OF_TYPE.fullmatch(text)
    return Token(unescaped(found[1]), unescaped(found[3]), unescaped(found[2])) if found else None


def read_reference(text: str, types: frozenset[str], own: frozenset[Base]) -> Local | None:
    """Give the record that a value names: `Type/id`, its address here, or an id alone where there is one type.

    `types` are those it may be of, none for any.
    """
    if is_id(text):
        return Local(next(iter(types)), text) if len(types) == 1 else None
    target = parse(text, own)
    if not isinstance(target, Local) or target.version is not None or (types and target.type not in types):
        return None
    return target


def read_canonical(text: str, own: frozenset[Base]) -> Text | None:
    """Give the canonical address that a value names, None for what is none."""
    return Text(text) if _URI.fullmatch(text) and isinstance(parse(text, own), Foreign) else None


def unescaped(text: str) -> str:
    """Give a text without its escapes."""
    return _ESCAPED.sub(r"\1", text)


def _token(text: str) -> Token | None:
    if found := _WHOLE_SYSTEM.fullmatch(text):
        return Token(unescaped(found[1]), "")
    if found := _TOKEN.fullmatch(text):
        return Token(unescaped(found[1]) if found[2] else None, unescaped(found[3]))
    return None


def _moment(text: str) -> Moment | None:
    prefix, rest = (text[:2], text[2:]) if text[:2] in _PREFIXES else ("eq", text)
    try:
        return Moment(prefix, parse_date(rest))
    except ValueError:
        return None


def _amount(text: str) -> Amount | None:
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    value = Decimal(found[2])
    exponent = value.as_tuple().exponent
    return Amount(found[1] or "eq", value, Decimal(5).scaleb(int(exponent) - 1))


def _quantity(text: str) -> Amount | None:
    found = _QUANTITY.fullmatch(text)
    amount = _amount(found[1]) if found else None
    if found is None or amount is None or found[3] is None:
        return amount
    return msgspec.structs.replace(amount, system=unescaped(found[2]) or None, code=unescaped(found[3]))


def _text(text: str) -> Text | None:
    return Text(unescaped(text)) if _TEXT.fullmatch(text) and any(map(str.isalnum, text)) else None


def _address(text: str) -> Text | None:
    return Text(text) if _URI.fullmatch(text) else None


_READERS: Final[Mapping[str, Callable[[str], Value | None]]] = {
    "token": _token,
    "date": _moment,
    "number": _amount,
    "quantity": _quantity,
    "string": _text,
    "uri": _address,
}
