"""What the embedded upstream holds: every version of every resource, text beside tree, in memory.

Rules of this file
1. The text that was loaded is the text that is given back, byte for byte; the tree beside it is only searched.
2. A write keeps the text of every member but `id` and `meta`, which a server assigns.
3. Order is the order of arrival and survives an update, so that the same content always pages the same way.
4. One index: who refers to whom, by `Type/id`. It may name too many, never too few; search verifies.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeGuard

import msgspec

from consent_store.dates import parse_date
from gateway.clock import Clock
from gateway.demo.references import reference_texts, tail

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_TYPE = re.compile(r"[A-Z][A-Za-z]{2,63}")

Key = tuple[str, str]


class Stored(msgspec.Struct, frozen=True):
    """One version of one resource. `serial` is its place in the order of arrival."""

    type: str
    id: str
    version: str
    updated: datetime
    serial: int
    raw: bytes
    tree: dict[str, Any]

    @property
    def key(self) -> Key:
        """Type and id."""
        return self.type, self.id

    @property
    def name(self) -> str:
        """Type/id, as references write it."""
        return f"{self.type}/{self.id}"


class Store:
    """Resources in memory, loaded from text or trees. Raises ValueError for what is not a resource with an id."""

    def __init__(self, resources: Iterable[dict[str, Any] | bytes], clock: Clock) -> None:
        self._clock = clock
        self._versions: dict[str, dict[str, list[Stored]]] = {}
        self._referrers: dict[str, dict[Key, None]] = {}
        self._serial = 0
        self._assigned = 1000
        loaded = clock()
        for resource in resources:
            self._load(resource if isinstance(resource, bytes) else msgspec.json.encode(resource), loaded)

    def types(self) -> list[str]:
        """Give the resource types held, in order of arrival."""
        return list(self._versions)

    def read(self, type_: str, id_: str) -> Stored | None:
        """Give the current version."""
        versions = self._versions.get(type_, {}).get(id_)
        return versions[-1] if versions else None

    def versions(self, type_: str, id_: str) -> list[Stored]:
        """Give every version, oldest first; empty where there is none."""
        return list(self._versions.get(type_, {}).get(id_, ()))

    def all(self, type_: str) -> Iterator[Stored]:
        """Give the current version of every resource of a type, in order."""
        return (versions[-1] for versions in self._versions.get(type_, {}).values())

    def referring(self, type_: str, names: Iterable[str]) -> list[Stored]:
        """Give the resources of a type that seem to refer to any of `names` (`Type/id`), in order."""
        keys = {key for name in names for key in self._referrers.get(tail(name), ()) if key[0] == type_}
        return sorted((self._versions[key[0]][key[1]][-1] for key in keys), key=lambda stored: stored.serial)

    def put(self, raw: bytes, type_: str, id_: str) -> Stored:
        """Store `raw` as the next version of type and id, with `id` and `meta` of the server's making."""
        older = self._versions.get(type_, {}).get(id_)
        version, now = str(int(older[-1].version) + 1 if older else 1), self._clock()
        text = with_identity(raw, id_, version, now)
        return self._keep(Stored(type_, id_, version, now, self._next_serial(older), text, _tree(text)))

    def assign(self, type_: str) -> str:
        """Give a new id, counted up so that the same requests always get the same ids."""
        self._assigned += 1
        while str(self._assigned) in self._versions.get(type_, {}):
            self._assigned += 1
        return str(self._assigned)

    def _load(self, raw: bytes, loaded: datetime) -> None:
        tree = _tree(raw)
        type_, id_ = check_identity(tree)
        older = self._versions.get(type_, {}).get(id_)
        meta = tree.get("meta", {})
        meta = meta if isinstance(meta, dict) else {}
        version = str(meta.get("versionId", ""))
        if not version.isdigit() or older:
            version = str(int(older[-1].version) + 1 if older else 1)
        updated = _instant(meta.get("lastUpdated")) or loaded
        self._keep(Stored(type_, id_, version, updated, self._next_serial(older), raw, tree))

    def _next_serial(self, older: list[Stored] | None) -> int:
        if older:
            return older[-1].serial
        self._serial += 1
        return self._serial

    def _keep(self, stored: Stored) -> Stored:
        self._versions.setdefault(stored.type, {}).setdefault(stored.id, []).append(stored)
        for reference in reference_texts(stored.raw):
            self._referrers.setdefault(tail(reference), {})[stored.key] = None
        return stored


def is_id(text: object) -> TypeGuard[str]:
    """Say whether this is a FHIR id (R4 datatypes)."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def check_identity(tree: dict[str, Any]) -> Key:
    """Give type and id of a resource's tree. Raises ValueError where either is missing or of a wrong form."""
    type_, id_ = tree.get("resourceType"), tree.get("id")
    if not isinstance(type_, str) or not _TYPE.fullmatch(type_):
        raise ValueError("a resource without a resourceType")
    if not is_id(id_):
        raise ValueError(f"a {type_} without an id of the form [A-Za-z0-9-.]{{1,64}}")
    return type_, id_


def with_identity(raw: bytes, id_: str, version: str, updated: datetime) -> bytes:
    """Give a resource's text with this id, versionId and lastUpdated; every other member keeps its own text."""
    members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    meta = msgspec.json.decode(members.pop("meta", msgspec.Raw(b"{}")), type=dict[str, msgspec.Raw])
    meta |= {"versionId": _text(version), "lastUpdated": _text(updated.isoformat(timespec="milliseconds"))}
    first = {"resourceType": members.pop("resourceType"), "id": _text(id_)}
    members.pop("id", None)
    return _object({**first, "meta": msgspec.Raw(_object(meta)), **members})


def with_id(raw: bytes, id_: str) -> bytes:
    """Give a resource's text with this id; every other member keeps its own text."""
    members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    return _object(members | {"id": _text(id_)})


def _object(members: dict[str, msgspec.Raw]) -> bytes:
    return b"{" + b",".join(msgspec.json.encode(name) + b":" + bytes(raw) for name, raw in members.items()) + b"}"


def _text(value: str) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _tree(raw: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a JSON object: {error}") from error


def _instant(text: object) -> datetime | None:
    try:
        return parse_date(text).first(UTC, wide=True)
    except ValueError:
        return None
