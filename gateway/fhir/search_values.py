"""The grammar of search values, by kind of parameter (R4 search.html 3.1.1.4). What is not of it is refused.

Rules of this file
1. A token always has a code: `system|` alone asks for everything of a system.
2. A date is a FHIR date, with an offset where it has a time; `ne` is a negation (L016) and `ap` depends on the day.
"""

import re
from typing import Final

from consent_store.dates import parse_date
from gateway.fhir.references import is_id

_ONE: Final = r"(?:[^\\,|$]|\\[\\,|$])"
_TOKEN: Final = re.compile(rf"(?:(?:[^\s\\,|$]|\\[\\,|$])*\|)?{_ONE}+")
_TEXT: Final = re.compile(rf"{_ONE}+")
_PREFIXES: Final = frozenset({"eq", "gt", "lt", "ge", "le", "sa", "eb"})
_ALTERNATIVE: Final = re.compile(r"(?:[^\\,]|\\.)+")


def alternatives(value: str) -> tuple[str, ...]:
    r"""Give the values that `,` joins by OR, still escaped (`\,` is no separator); none where one of them is empty."""
    found = _ALTERNATIVE.findall(value)
    return tuple(found) if ",".join(found) == value else ()


def is_ids(value: str, most: int) -> bool:
    """Say whether a value is at most `most` ids."""
    found = alternatives(value)
    return 0 < len(found) <= most and all(map(is_id, found))


def is_tokens(value: str, most: int) -> bool:
    """Say whether a value is at most `most` tokens: `code`, `system|code` or `|code`."""
    found = alternatives(value)
    return 0 < len(found) <= most and all(map(_TOKEN.fullmatch, found))


def is_texts(value: str, most: int) -> bool:
    """Say whether a value is at most `most` texts, each with a letter or digit in it."""
    found = alternatives(value)
    return 0 < len(found) <= most and all(_TEXT.fullmatch(one) and any(map(str.isalnum, one)) for one in found)


def is_date(value: str) -> bool:
    """Say whether a value is one date, with a prefix or without."""
    text = value[2:] if value[:2] in _PREFIXES else value
    try:
        parse_date(text)
    except ValueError:
        return False
    return True
