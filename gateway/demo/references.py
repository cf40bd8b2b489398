"""References in a resource's text: found and rewritten without touching any other byte.

Rules of this file
1. Only the member `reference` is read; canonicals, uris and narrative stay as they are.
2. A rewritten text differs from its source in the named references and nowhere else, so `1.10` stays `1.10`.
"""

import re
from collections.abc import Callable, Iterator

import msgspec

_REFERENCE = re.compile(rb'("reference"\s*:\s*)"((?:[^"\\]|\\.)*)"')


def reference_texts(raw: bytes) -> Iterator[str]:
    """Give the text of every reference in a resource, as often as it stands there, at any depth."""
    for found in _REFERENCE.finditer(raw):
        yield _text(found[2])


def rewrite_references(raw: bytes, rename: Callable[[str], str | None]) -> bytes:
    """Give `raw` with each reference replaced by what `rename` gives for it; None leaves it as it is."""

    def replaced(found: re.Match[bytes]) -> bytes:
        name = rename(_text(found[2]))
        return found[0] if name is None else found[1] + msgspec.json.encode(name)

    return _REFERENCE.sub(replaced, raw)


def target(reference: str, base: str = "") -> str | None:
    """Give `Type/id` for a literal reference, relative or under `base`, versioned or not; None for any other."""
    path = reference.removeprefix(base + "/") if base else reference
    parts = path.partition("/_history/")[0].split("/")
    return "/".join(parts) if len(parts) == 2 and all(parts) and parts[0].isalpha() else None


def tail(reference: str) -> str:
    """Give the last two segments of a literal reference: the key of the index, whatever base the reference has."""
    return "/".join(reference.partition("/_history/")[0].rsplit("/", 2)[-2:])


def _text(quoted: bytes) -> str:
    if b"\\" in quoted:
        return msgspec.json.decode(b'"' + quoted + b'"', type=str)
    return quoted.decode()
