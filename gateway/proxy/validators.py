"""Conditional reads: a client that has the answer already is told so, by validators of what was released (L068).

Rules of this file
1. The client's validators are never sent upstream; they are held against the released answer, after it was decided.
   What is not visible answers as ever, whatever validator came.
2. `ETag` for every record that is read. `Last-Modified` only for callers who get records whole: for others a date moves
   when a withheld element does; their `If-Modified-Since` is not read.
3. `If-None-Match` speaks alone where it stands (RFC 9110 section 13.1.3).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

import msgspec

from gateway.release.released import Released
from gateway.release.seen import etag_of, not_modified, with_headers


class Validators(msgspec.Struct, frozen=True):
    """What a client said it has: `none_match` are the lines of If-None-Match, `modified_since` that of the other."""

    none_match: tuple[str, ...] = ()
    modified_since: str | None = None

    def hold(self, released: Released, *, whole: bool, record: bytes) -> Released:
        """Give a read's answer with its validators, or 304 where the client has it. `record`: the released record that
        the answer shows, in JSON."""
        if released.status != 200:
            return released
        dated = _date(record) if whole else None
        headers = {"ETag": etag_of(record)}
        if dated is not None:
            headers["Last-Modified"] = format_datetime(dated.astimezone(UTC), usegmt=True)
        told = with_headers(released, headers)
        if self.none_match:
            return not_modified(told) if has_tag(self.none_match, headers["ETag"]) else told
        return not_modified(told) if dated is not None and _not_since(self.modified_since, dated) else told


def has_tag(lines: Sequence[str], etag: str) -> bool:
    """Say whether a list of entity tags has one, compared weakly (RFC 9110 section 8.8.3.2), or is `*`."""
    listed = [one.strip() for one in ",".join(lines).split(",")]
    return "*" in listed or etag.removeprefix("W/") in {one.removeprefix("W/") for one in listed}


class _Meta(msgspec.Struct, frozen=True):
    lastUpdated: datetime | None = None  # noqa: N815  FHIR's name


class _Dated(msgspec.Struct, frozen=True):
    meta: _Meta = _Meta()


def _date(record: bytes) -> datetime | None:
    try:
        found = msgspec.json.decode(record, type=_Dated).meta.lastUpdated
    except msgspec.ValidationError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def _not_since(said: str | None, dated: datetime) -> bool:
    try:
        since = parsedate_to_datetime(said) if said is not None else None
    except ValueError:
        return False
    return since is not None and since.tzinfo is not None and dated.replace(microsecond=0) <= since
