"""What a client asked to see of a released record, cut from its released text. Pure; by request alone, never by what
was withheld (leaks.md L001).

Rules of this file
1. Only members of the released text are left out; each one that stays is the very text that was released (law 5).
2. What R4 says a reader must have stays: type, id, meta, required and modifying elements (R4 search.html 3.1.1.5.9).
3. Every record that is projected carries SUBSETTED, whether or not anything of it was left out.
"""

from typing import Final

import msgspec

from gateway.fhir.elements import Elements
from gateway.fhir.pointer import items_of, members_of
from gateway.fhir.projection import Projection, Summary
from gateway.fhir.reading import Reading

SUBSETTED: Final = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}

_ALWAYS: Final = frozenset({"resourceType", "id", "meta"})
_TAG: Final = msgspec.json.encode(SUBSETTED)


class Projector(msgspec.Struct, frozen=True):
    """Projects records by R4's tables."""

    elements: Elements
    reading: Reading

    def project(self, text: bytes, projection: Projection) -> bytes:
        """Give a released record's text as it was asked for. Raises msgspec.DecodeError for text that is no object."""
        members = members_of(text)
        kind = str(msgspec.json.decode(members["resourceType"])) if "resourceType" in members else ""
        kept = {
            name: self._inside(bytes(value), kind, name, projection)
            for name, value in members.items()
            if self._stays(kind, name.removeprefix("_"), projection)
        }
        if "contained" in members and any(b'"#' in value for value in kept.values()):
            kept["contained"] = bytes(members["contained"])
        kept["meta"] = _tagged(kept.get("meta", b"{}"))
        return _object({name: kept[name] for name in (*members, "meta") if name in kept})

    def _stays(self, kind: str, name: str, projection: Projection) -> bool:
        if name in _ALWAYS:
            return True
        if projection.summary is Summary.DATA:
            return name != "text"
        if self.elements.is_required(kind, f"/{name}") or self.reading.modifies(kind, name):
            return True
        if projection.summary is Summary.TEXT:
            return name == "text"
        if projection.summary is Summary.TRUE:
            return self.reading.in_summary(kind, name)
        return projection.names(kind, name)

    def _inside(self, value: bytes, kind: str, path: str, projection: Projection) -> bytes:
        """Give the text of an element without what a summary leaves out inside it."""
        if projection.summary is not Summary.TRUE or not self.reading.has_summary_beneath(kind, path):
            return value
        if value[:1] == b"[":
            return b"[" + b",".join(self._inside(bytes(one), kind, path, projection) for one in items_of(value)) + b"]"
        if value[:1] != b"{":
            return value
        kept = {
            name: self._inside(bytes(part), kind, f"{path}.{name}", projection)
            for name, part in members_of(value).items()
            if self._of_summary(kind, path, name.removeprefix("_"))
        }
        return _object(kept) if kept else value  # FHIR knows no empty object

    def _of_summary(self, kind: str, path: str, name: str) -> bool:
        pointer = "/" + f"{path}.{name}".replace(".", "/")
        return self.reading.in_summary(kind, f"{path}.{name}") or self.elements.is_required(kind, pointer)


def _tagged(meta: bytes) -> bytes:
    members = {name: bytes(value) for name, value in members_of(meta).items()}
    tags = [bytes(tag) for tag in items_of(members["tag"])] if "tag" in members else []
    if all(SUBSETTED.items() - _pairs(tag) for tag in tags):
        members["tag"] = b"[" + b",".join([*tags, _TAG]) + b"]"
    return _object(members)


def _pairs(tag: bytes) -> set[tuple[str, str]]:
    found = msgspec.json.decode(tag)
    return (
        {(name, value) for name, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else set()
    )


def _object(members: dict[str, bytes]) -> bytes:
    return b"{" + b",".join(msgspec.json.encode(name) + b":" + value for name, value in members.items()) + b"}"
