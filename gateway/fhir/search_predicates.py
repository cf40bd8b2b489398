"""Whether a record, in the form in which it would be sent, is one that a search asks for. Pure (leaks.md L012, L016).

Rules of this file
1. A condition is held against what may be seen and nothing else: then a withheld value cannot be asked for.
2. R4 search.html 3.1.1.4 and 3.1.1.5: any of the values, any of the elements; `:not` and `:missing` turn it round.
3. A date without an offset is read as the clock on the wall where the record was written.
4. A value of a form that R4 does not have there meets nothing.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from consent_store.dates import FhirDate, parse_date
from gateway.fhir.references import Base, Local, parse
from gateway.fhir.search_values import Amount, Moment, Text, Token, Value


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter of a search: a record meets it where any value at any of `paths` is one of `values`.

    `here`: it is not asked of the upstream, or not all of it; the gateway alone tells.
    """

    name: str
    kind: str
    paths: tuple[str, ...]
    values: tuple[Value, ...]
    modifier: str = ""
    here: bool = False


_TEXTS: Final = {"given", "family", "prefix", "suffix", "text", "line", "city", "district", "state", "postalCode"}
_STRINGS: Final = _TEXTS | {"country", "display"}


def meets(condition: Condition, released: Mapping[str, Any], own: frozenset[Base]) -> bool:
    """Say whether a record meets a condition. `released` is the decoded record as it would be sent, `own` are all bases
    of this server, the gateway's and the upstream's."""
    found = [value for path in condition.paths for value in values_at(released, path)]
    if condition.modifier == "missing":
        return (not found) == (condition.values[0] == Token(None, "true"))
    hit = any(_is(condition, value, asked, own) for value in found for asked in condition.values)
    return not hit if condition.modifier == "not" else hit


def touches(condition: Condition, edited: Iterable[str]) -> bool:
    """Say whether an edit (by its pointer) is of an element that the condition reads, of what it is in, or of a part of
    it: then the upstream matched on a value that is not what would be sent."""
    changed = [[step for step in path.split("/")[1:] if not step.isdigit()] for path in edited]
    for path in condition.paths:
        steps = [step.partition("[")[0] for step in path.split(".")]
        if any(one[: len(steps)] == steps[: len(one)] for one in changed):
            return True
    return False


def values_at(node: object, path: str) -> Iterator[Any]:
    """Give the values at a path of the search table, through arrays."""
    found = [node]
    for step in path.split("."):
        name, _, limit = step.removesuffix("]").partition("[")
        below = [each[name] for each in found if isinstance(each, dict) and name in each]
        found = [item for each in below for item in (each if isinstance(each, list) else [each])]
        if limit:
            key, _, value = limit.partition("=")
            found = [each for each in found if isinstance(each, dict) and each.get(key) == value]
    yield from (one for one in found if one is not None)


def sort_key(kind: str, paths: tuple[str, ...], released: Mapping[str, Any], *, last: bool) -> Any:  # noqa: ANN401  compared, never looked into
    """Give what a record is sorted by: the smallest of its values, or the largest (`last`); None where it has none."""
    found = [value for path in paths for value in values_at(released, path)]
    keys = [key for value in found for key in _keys(kind, value)]
    return None if not keys else max(keys) if last else min(keys)


# One value ------------------------------------------------------------------------------------------------------------
def _is(condition: Condition, value: Any, asked: Value, own: frozenset[Base]) -> bool:  # noqa: ANN401  JSON
    match asked:
        case Token():
            identified = condition.kind == "reference"  # `:identifier`
            return _is_token(value.get("identifier") if identified and isinstance(value, dict) else value, asked)
        case Text():
            return _says(condition, value, asked.text)
        case Moment():
            return any(_is_moment(asked, span) for span in _spans(value))
        case Amount():
            return any(_is_amount(asked, number, unit) for number, unit in _numbers(value))
        case Local():
            return _local(value, own) == (asked.type, asked.id)


def _says(condition: Condition, value: object, asked: str) -> bool:
    if condition.kind == "token":  # `:text`
        return any(_is_text("", text, asked) for text in _labels(value))
    if condition.kind == "string":
        return any(_is_text(condition.modifier, text, asked) for text in _texts(value))
    held = value.get("reference") if condition.kind == "reference" and isinstance(value, dict) else value
    return isinstance(held, str) and _is_address(condition.modifier, held, asked)


def _is_token(value: object, asked: Token) -> bool:
    if asked.kind:
        return isinstance(value, dict) and value.get("value") == asked.code and _is_of_type(value, asked)
    return any(
        (asked.system is None or system is None or asked.system == system) and asked.code in {"", code}
        for system, code in _codes(value)
    )


def _is_of_type(identifier: Mapping[str, Any], asked: Token) -> bool:
    return any(_is_token(coding, Token(asked.system, asked.kind)) for coding in values_at(identifier, "type.coding"))


def _codes(value: object) -> Iterator[tuple[str | None, str]]:
    """Give system and code as R4 has them in Coding, CodeableConcept, Identifier, ContactPoint and primitive types. The
    system of a bare code and of a ContactPoint is none that a search names (None)."""
    if isinstance(value, bool):
        yield None, "true" if value else "false"
    elif isinstance(value, str):
        yield None, value
    elif isinstance(value, dict) and isinstance(value.get("coding"), list):
        for coding in value["coding"]:
            yield from _codes(coding)
    elif isinstance(value, dict):
        code, system = value.get("code", value.get("value")), value.get("system", "")
        if isinstance(code, str) and isinstance(system, str):
            yield (None if system and ":" not in system else system), code


def _labels(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for path in ("text", "display", "coding.display", "type.text"):
            yield from (one for one in values_at(value, path) if isinstance(one, str))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name in _STRINGS & value.keys():
            yield from (one for one in values_at(value, name) if isinstance(one, str))


def _is_text(modifier: str, held: str, asked: str) -> bool:
    if modifier == "exact":
        return held == asked
    if modifier == "contains":
        return _folded(asked) in _folded(held)
    return _folded(held).startswith(_folded(asked))


def _folded(text: str) -> str:
    """Give a text without case, accents and runs of spaces (R4 search.html 3.1.1.4.8)."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    return " ".join(plain.casefold().split())


def _is_address(modifier: str, held: str, asked: str) -> bool:
    if modifier == "below":
        return held == asked or held.startswith(asked.rstrip("/") + "/")
    if modifier == "above":
        return held == asked or asked.startswith(held.rstrip("/") + "/")
    return held == asked or ("|" not in asked and held.partition("|")[0] == asked)


def _local(value: object, own: frozenset[Base]) -> tuple[str, str] | None:
    reference = value.get("reference") if isinstance(value, dict) else None
    target = parse(reference, own) if isinstance(reference, str) else None
    return (target.type, target.id) if isinstance(target, Local) else None


# Dates and numbers ----------------------------------------------------------------------------------------------------
Span = tuple[FhirDate | None, FhirDate | None]
_FIRST: Final = datetime(1, 1, 1)  # noqa: DTZ001  compared with times whose offset was taken off
_LAST: Final = datetime(9999, 12, 31, 23, 59, 59, 999999)  # noqa: DTZ001  the same


def _spans(value: object) -> Iterator[Span]:
    """Give the times of a date, a Period or a Timing; an open end is None."""
    if isinstance(value, str):
        if date := _date(value):
            yield date, date
    elif isinstance(value, dict):
        if "event" in value or "repeat" in value:
            for path in ("event", "repeat.boundsPeriod"):
                for one in values_at(value, path):
                    yield from _spans(one)
        elif "start" in value or "end" in value:
            start, end = _date(value.get("start")), _date(value.get("end"))
            if (start or "start" not in value) and (end or "end" not in value):
                yield start, end


def _date(text: object) -> FhirDate | None:
    try:
        return parse_date(text)
    except ValueError:
        return None


def _is_moment(asked: Moment, held: Span) -> bool:
    zoned = asked.date.zoned
    low, high = _instant(asked.date.start, zoned=zoned), _instant(asked.date.end, zoned=zoned)
    first = _instant(held[0].start, zoned=zoned) if held[0] else _FIRST
    after = _instant(held[1].end, zoned=zoned) if held[1] else _LAST
    inside = low <= first and after <= high
    return {
        "eq": inside,
        "ne": not inside,
        "gt": after > high,
        "lt": first < low,
        "ge": inside or after > high,
        "le": inside or first < low,
        "sa": first >= high,
        "eb": after <= low,
    }[asked.prefix]


def _instant(moment: datetime, *, zoned: bool) -> datetime:
    """Give a time without its offset: in UTC where the search has an offset, else as the clock on the wall."""
    if moment.tzinfo is None:
        return moment
    return (moment.astimezone(UTC) if zoned else moment).replace(tzinfo=None)


def _numbers(value: object) -> Iterator[tuple[Decimal, Mapping[str, Any]]]:
    """Give the number and unit of a number, Quantity or Money."""
    unit = value if isinstance(value, dict) else {}
    number = unit.get("value") if unit else value
    if isinstance(number, int | float | Decimal | str) and not isinstance(number, bool):
        try:
            yield Decimal(str(number)), unit
        except InvalidOperation:
            return


def _is_amount(asked: Amount, held: Decimal, unit: Mapping[str, Any]) -> bool:
    if asked.code is not None:
        same = asked.code in {unit.get("code"), *([] if asked.system else [unit.get("unit"), unit.get("currency")])}
        if not same or (asked.system is not None and asked.system != unit.get("system")):
            return False
    inside = asked.value - asked.half <= held < asked.value + asked.half
    return {
        "eq": inside,
        "ne": not inside,
        "gt": held > asked.value,
        "lt": held < asked.value,
        "ge": held >= asked.value,
        "le": held <= asked.value,
        "sa": held > asked.value,
        "eb": held < asked.value,
    }[asked.prefix]


def _keys(kind: str, value: object) -> Iterator[Any]:
    if kind == "date":
        for start, end in _spans(value):
            one = start or end
            if one is not None:
                yield _instant(one.start, zoned=True)
    elif kind in {"number", "quantity"}:
        yield from (number for number, _ in _numbers(value))
    elif kind == "token":
        yield from (code for _, code in _codes(value))
    elif kind == "string":
        yield from map(_folded, _texts(value))
    elif kind == "reference" and isinstance(value, dict) and isinstance(value.get("reference"), str):
        yield value["reference"]
    elif isinstance(value, str):
        yield value
