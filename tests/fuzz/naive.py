"""Readers written plainly from the standards' own texts, to hold the gateway's against. Slow, and nothing of ours.

JSON by the standard library; dates by FHIR R4's regular expressions (datatypes.html); references by R4 references.html;
queries by urllib; escapes of search values letter by letter (search.html 3.1.1.4).
"""

import calendar
import codecs
import json
import math
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

DEPTH, DIGITS = 64, 100


class Unreadable(ValueError):
    """The text is not of the standard's grammar."""


# JSON -----------------------------------------------------------------------------------------------------------------
def read_json(raw: bytes) -> Any:
    """Give the value of a text. Raises Unreadable for what is not JSON, or has more than one reading."""
    if raw.startswith(codecs.BOM_UTF8):
        raise Unreadable("a byte order mark")
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_pairs,
            parse_constant=_constant,
            parse_float=_number,
            parse_int=_whole,
        )
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise Unreadable(str(error)) from error
    _bounded(value, 0)
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise Unreadable("a name twice")
    return dict(pairs)


def _constant(text: str) -> None:
    raise Unreadable(text)


def _number(text: str) -> Decimal:
    if len(text) > DIGITS or math.isinf(float(text)):
        raise Unreadable("a number that most readers take for another")
    return Decimal(text)


def _whole(text: str) -> int:
    if len(text.lstrip("-")) > DIGITS:
        raise Unreadable("a long number")
    return int(text)


def _bounded(value: Any, depth: int) -> None:
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise Unreadable("a lone surrogate") from error
    if isinstance(value, dict | list):
        if depth == DEPTH:
            raise Unreadable("too deep")
        for name, below in value.items() if isinstance(value, dict) else enumerate(value):
            _bounded(name, depth)
            _bounded(below, depth + 1)


def leaves(node: Any, at: str = "", name: str = "") -> list[tuple[str, str, Any]]:
    """Give (pointer, name of the member, value) of every value but arrays."""
    if isinstance(node, list):
        return [one for number, below in enumerate(node) for one in leaves(below, f"{at}/{number}", name)]
    found = [(at, name, node)]
    if isinstance(node, dict):
        for key, below in node.items():
            found += leaves(below, f"{at}/{key.replace('~', '~0').replace('/', '~1')}", key)
    return found


# Dates ----------------------------------------------------------------------------------------------------------------
_YEAR = "([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)"
_DATE_TIME = re.compile(
    _YEAR + r"(-(0[1-9]|1[0-2])(-(0[1-9]|[1-2][0-9]|3[0-1])(T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
    r"(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00)))?)?)?"
)


def read_date(text: str) -> tuple[datetime, datetime]:
    """Give the first instant that a date covers and the first after it, both local where it has no offset.

    Raises Unreadable for what R4's regular expression does not match, and for days that no month has.
    """
    if not _DATE_TIME.fullmatch(text):
        raise Unreadable("no date")
    year, month, day = int(text[:4]), int(text[5:7] or 1), int(text[8:10] or 1)
    if day > calendar.monthrange(year, month)[1]:
        raise Unreadable("no such day")
    start = datetime(year, month, day)  # noqa: DTZ001  local, where the text has no offset
    if len(text) > 10:
        return _instant(text, start)
    days = {4: 366 if calendar.isleap(year) else 365, 7: calendar.monthrange(year, month)[1], 10: 1}[len(text)]
    return start, _later(start, timedelta(days=days))


def _instant(text: str, day: datetime) -> tuple[datetime, datetime]:
    seconds, zone = (text[17:-1], UTC) if text.endswith("Z") else (text[17:-6], _zone(text[-6:]))
    whole, _, fraction = seconds.partition(".")
    start = day.replace(hour=int(text[11:13]), minute=int(text[14:16]), second=min(int(whole), 59), tzinfo=zone)
    start += timedelta(microseconds=int(fraction[:6].ljust(6, "0")) if fraction else 0)
    return start, _later(start, timedelta(microseconds=1) if fraction else timedelta(seconds=1))


def _zone(text: str) -> timezone:
    size = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return timezone(-size if text[0] == "-" else size)


def _later(start: datetime, width: timedelta) -> datetime:
    try:
        return start + width
    except OverflowError:
        return datetime.max.replace(tzinfo=start.tzinfo)


# References -----------------------------------------------------------------------------------------------------------
_TAIL = re.compile(r"(?:(.*)/)?([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?", re.DOTALL)


def read_reference(text: str, own: tuple[str, ...]) -> tuple[str, str, str | None] | None:
    """Give type, id and version of the record of this server that a text leads to, None for any other."""
    if "://" in text:
        scheme, _, rest = text.removesuffix("/").partition("://")
        host, *segments = rest.split("/")
        decoded = [unquote(segment) for segment in segments]
        if any("/" in segment for segment in decoded):
            return None
        text = "/".join([f"{scheme}://{host}", *decoded])
    found = _TAIL.fullmatch(text)
    if found is None:
        return None
    before, kind, identity, version = found.groups()
    if before is not None and _place(before) not in {_place(base) for base in own}:
        return None
    return kind, identity, version


def _place(url: str) -> tuple[object, ...]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return (url,)
    if parts.username is not None or parts.query or parts.fragment or parts.scheme not in {"http", "https"}:
        return (url,)
    default = {"http": 80, "https": 443}[parts.scheme]
    path = [unquote(part) for part in parts.path.split("/")]
    return parts.scheme, parts.hostname, default if port is None else port, "/".join(path).rstrip("/")


# Queries --------------------------------------------------------------------------------------------------------------
def read_query(text: bytes) -> list[tuple[str, str]]:
    """Give names and values in order. Raises ValueError for what is no query."""
    return parse_qsl(text.decode("ascii"), keep_blank_values=True, strict_parsing=False, errors="strict")


def split_escaped(value: str, sign: str) -> list[str]:
    r"""Split a search value at a sign that no backslash stands before; escapes stay as they are."""
    parts, escaped = [""], False
    for letter in value:
        if letter == sign and not escaped:
            parts.append("")
            continue
        parts[-1] += letter
        escaped = letter == "\\" and not escaped
    return parts


def without_escapes(value: str) -> str:
    r"""Give what a value says: `\,`, `\|`, `\$` and `\\` are themselves."""
    said, escaped = "", False
    for letter in value:
        if escaped:
            said += letter if letter in "\\,|$" else "\\" + letter
            escaped = False
        elif letter == "\\":
            escaped = True
        else:
            said += letter
    return said + ("\\" if escaped else "")
