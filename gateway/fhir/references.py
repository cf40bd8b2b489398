"""One reading of every form a reference takes (L007, L026, L027). What it leads to: gateway.fhir.resolver.

Rules of this file
1. A URL is compared by its parts (scheme, host, port, path segments, decoded once), never by text or prefix.
2. Whatever is not exactly of a known form is Invalid; letter case counts in types and ids (`patient/P2` is nobody).
3. A relative reference is relative to its entry's fullUrl: in an entry of another server it points there.
"""

import re
from typing import Final

import msgspec

from consent_store.model import Identifier
from gateway.fhir.walk import ReferenceAt


class Base(msgspec.Struct, frozen=True):
    """The base URL of a FHIR server, in normal form: letter case of scheme and host, default port and percent-encoding
    do not count."""

    scheme: str
    host: str
    port: int
    path: tuple[str, ...] = ()


class Local(msgspec.Struct, frozen=True):
    """A resource of this server."""

    type: str
    id: str
    version: str | None = None

    @property
    def text(self) -> str:
        """The relative reference without a version: `Type/id`."""
        return f"{self.type}/{self.id}"


class Contained(msgspec.Struct, frozen=True):
    """A resource in the same resource (`#id`); an empty id is the containing resource itself."""

    id: str


class Urn(msgspec.Struct, frozen=True):
    """A `urn:uuid:` or `urn:oid:`, in lower case."""

    text: str


class Foreign(msgspec.Struct, frozen=True):
    """A URL of another server. Type and id only where it has the form of a FHIR resource's URL."""

    base: Base | None
    type: str | None = None
    id: str | None = None
    version: str | None = None


class Conditional(msgspec.Struct, frozen=True):
    """A search in place of an id (`Patient?identifier=x`), as transactions may hold (L011)."""

    type: str
    query: str


class Logical(msgspec.Struct, frozen=True):
    """No literal reference; the identifier and type that stand in its place, or neither (a display alone)."""

    identifier: Identifier | None
    type: str | None


class Invalid(msgspec.Struct, frozen=True):
    """Text that is no reference."""


Target = Local | Contained | Urn | Foreign | Conditional | Logical | Invalid

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
_AUTHORITY: Final = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?")
_PORTS: Final = {"http": 80, "https": 443}
_URN: Final = re.compile(r"urn:(uuid|oid):[0-9A-Za-z.-]+", re.IGNORECASE)
_TYPE: Final = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}")
_RELATIVE: Final = re.compile(
    r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9.-]{1,64})(?:/_history/([A-Za-z0-9.-]{1,64}))?"  # of _TYPE and _ID
)
_CONDITIONAL: Final = re.compile(r"([A-Z][A-Za-z]{1,63})\?(.*)", re.DOTALL)
_ENCODED: Final = re.compile(r"%([0-9A-Fa-f]{2})")
# A path of which every segment is as it stands and none begins with a dot: most are.
_PLAIN: Final = re.compile(r"(?:/[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9._~!$&'()*+,=:@-]*)+/?")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,=:@-]+")  # of a URL path (RFC 3986), without `;`


def is_id(text: str) -> bool:
    """Say whether text is of the grammar of a FHIR id (R4 datatypes: A-Z, a-z, 0-9, `-` and `.`, up to 64)."""
    return _ID.fullmatch(text) is not None


def parse_base(url: str) -> Base:
    """Give the normal form of a server's base URL. Raises ValueError for anything but a plain http(s) URL."""
    parts = _split(url)
    if parts is None or parts[1]:
        raise ValueError("not the base url of a server")
    return parts[0]


def parse(reference: str, own: frozenset[Base], context: Base | None = None) -> Target:
    """Give what a literal reference points at. `own` are the bases of this server, `context` the base of the resource
    that holds the reference where that is known. Never raises: what is of no known form is Invalid."""
    if found := _RELATIVE.fullmatch(reference):
        form = (found[1], found[2], found[3])
        return Local(*form) if context is None or context in own else Foreign(context, *form)
    if reference.startswith("#"):
        return Contained(reference[1:]) if reference == "#" or is_id(reference[1:]) else Invalid()
    if _URN.fullmatch(reference):
        return Urn(reference.lower())
    if found := _CONDITIONAL.fullmatch(reference):
        return Conditional(found[1], found[2])
    return _absolute(reference, own) if "://" in reference else Invalid()


def target_of(element: ReferenceAt, own: frozenset[Base], context: Base | None = None) -> Target:
    """Give what a Reference element points at: its literal reference, else its identifier and type."""
    if element.reference is None:
        return Logical(element.identifier, element.type)
    return parse(element.reference, own, context)


def parse_value(value: str, kind: str, own: frozenset[Base]) -> Local | None:
    """Give the resource of type `kind` that a search value names by bare id or by reference, None for any other."""
    if is_id(value):
        return Local(kind, value)
    target = parse(value, own)
    return target if isinstance(target, Local) and target.type == kind and target.version is None else None


def _absolute(reference: str, own: frozenset[Base]) -> Target:
    parts = _split(reference)
    if parts is None:
        return Foreign(None)
    whole, beyond = parts
    for length in (4, 2):
        form = _restful(whole.path[-length:]) if len(whole.path) >= length else None
        if form is not None and not beyond:
            kind, identity, version = form
            base = Base(whole.scheme, whole.host, whole.port, whole.path[:-length])
            return Local(kind, identity, version) if base in own else Foreign(base, kind, identity, version)
    inside = any(base == msgspec.structs.replace(whole, path=whole.path[: len(base.path)]) for base in own)
    return Invalid() if inside else Foreign(None)


def _restful(path: tuple[str, ...]) -> tuple[str, str, str | None] | None:
    """Give type, id and version of `Type/id` or `Type/id/_history/version`, None for any other path."""
    match path:
        case (kind, identity):
            version = None
        case (kind, identity, "_history", version):
            pass
        case _:
            return None
    if not _TYPE.fullmatch(kind) or not is_id(identity) or (version is not None and not is_id(version)):
        return None
    return kind, identity, version


def _split(url: str) -> tuple[Base, bool] | None:
    """Give a URL's origin and path in normal form, and whether a query or fragment follows; None for other text."""
    found = _URL.fullmatch(url)
    if found is None or found[1].lower() not in _PORTS:
        return None
    scheme = found[1].lower()
    authority = _AUTHORITY.fullmatch(found[2])
    path = _segments(found[3])
    if authority is None or path is None:
        return None
    port = int(authority[2]) if authority[2] else _PORTS[scheme]
    return Base(scheme, authority[1].lower(), port, path), found[4] is not None or found[5] is not None


def _segments(path: str) -> tuple[str, ...] | None:
    if path in ("", "/"):
        return ()
    if _PLAIN.fullmatch(path):
        return tuple(path.removesuffix("/")[1:].split("/"))
    decoded = tuple(
        _ENCODED.sub(lambda hit: chr(int(hit[1], 16)), part) for part in path.removesuffix("/")[1:].split("/")
    )
    return decoded if all(_SEGMENT.fullmatch(part) and part not in (".", "..") for part in decoded) else None


# Type and id, or a random id alone, as people and systems write them into texts.
_WRITTEN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Z][A-Za-z]+/[A-Za-z0-9.-]*[A-Za-z0-9]")
_UUID: Final = re.compile(
    r"(?<![0-9A-Fa-f-])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Fa-f-])", re.ASCII
)
_UUID_LONG: Final = 36


def names_in(text: str) -> tuple[str, ...]:
    """Give what a text may name records by: `Type/id` wherever it stands in it."""
    return tuple(_WRITTEN.findall(text)) if "/" in text else ()


def uuids_in(text: str) -> tuple[str, ...]:
    """Give the UUIDs in a text, in lower case: by one alone it is said which record is meant."""
    return tuple(one.lower() for one in _UUID.findall(text)) if len(text) >= _UUID_LONG else ()
