"""Whether two answers are the same, after the normalisations listed here and no other (leaks.md, The twin test, 4).

Normalised: `Date`, `X-Request-Id` (random, of fixed length); `Bundle.id` where it is a random one, a document's
identifier made of it and its `timestamp`; the value of a page cursor, of equal length in both; and only where the
upstream stamps them itself when it is loaded (`stamped`): `meta.lastUpdated` of a resource, HAPI's `meta.source`, the
random id of the request that wrote it, of fixed length, and what is made of these two: ETag and Last-Modified, and in
a history `etag`, `lastModified` and our version ids.
"""

import difflib
import json
import re
from typing import Any

from gateway.proxy.cursor import PARAMETER
from tests.twin.asking import Seen

HEADERS = frozenset({"date", "x-request-id"})
_CURSOR = re.compile(rf"([?&]{re.escape(PARAMETER)}=)([A-Za-z0-9_.~%-]+)".encode())
_BUNDLE_ID = re.compile(rb'(\{"resourceType":"Bundle","id":")[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"')
_DOCUMENT = re.compile(
    rb'("identifier":\{"system":"urn:ietf:rfc:3986","value":"urn:uuid:)[0-9a-f-]{36}("\},"type":"document","timestamp":")[^"]*"'
)
_SOURCE = re.compile(rb'"source":"#[A-Za-z0-9]{16}"')
_VERSION = re.compile(rb'("versionId":"|"etag":"W/\\")[a-z2-7]{40}')
_MODIFIED = re.compile(rb'"lastModified":"[^"]*"')
_UPDATED = re.compile(rb'"lastUpdated":"[^"]*"')


def normal(seen: Seen, *, stamped: bool = False) -> tuple[int, dict[str, tuple[str, ...]], bytes]:
    """Give what may be compared of an answer."""
    body = _CURSOR.sub(lambda found: found[1] + b"*" * len(found[2]), seen.body)
    body = _DOCUMENT.sub(rb'\1*\2*"', _BUNDLE_ID.sub(rb'\1*"', body))
    headers = {name: values for name, values in seen.headers.items() if name not in HEADERS}
    if stamped:
        body = _SOURCE.sub(b'"source":"#*"', _UPDATED.sub(b'"lastUpdated":"*"', body))
        body = _VERSION.sub(rb"\1*", _MODIFIED.sub(b'"lastModified":"*"', body))
        headers = {name: ("*",) if name in {"etag", "last-modified"} else values for name, values in headers.items()}
        if headers.get("content-length") == (str(len(seen.body)),):
            headers["content-length"] = (str(len(body)),)
    return seen.status, headers, body


def difference(full: Seen, absent: Seen, *, stamped: bool = False) -> str:
    """Tell how two answers differ, "" where they do not."""
    one, other = normal(full, stamped=stamped), normal(absent, stamped=stamped)
    if one == other:
        return ""
    lines = [f"status {one[0]} / {other[0]}"] if one[0] != other[0] else []
    odd = [name for name in sorted({*one[1], *other[1]}) if one[1].get(name) != other[1].get(name)]
    lines += [f"header {name}: {one[1].get(name)} / {other[1].get(name)}" for name in odd]
    lines += list(difflib.unified_diff(_shown(one[2]), _shown(other[2]), "full", "absent", lineterm="", n=2))[:80]
    return "\n".join(lines)


def _shown(body: bytes) -> list[str]:
    try:
        tree: Any = json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace").splitlines()
    return json.dumps(tree, indent=1, ensure_ascii=False).splitlines()
