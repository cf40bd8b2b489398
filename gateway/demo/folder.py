"""Anybody's patients from a folder: R4 Bundles, single resources and NDJSON, as one list of resources.

Rules of this file
1. `*.json` and `*.ndjson` directly in the folder, in the order of their names; JSON that is no resource is passed over.
2. References are settled as a server does on a transaction: a fullUrl of the folder and `Type?identifier=` become
   `Type/id`; a reference that nothing in the folder answers stays as it is.
3. Nothing else in a resource's text is touched. Of two texts with one type and id the later is kept.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from gateway.demo.references import rewrite_references
from gateway.demo.store import with_id


class _Head(msgspec.Struct, rename="camel"):
    resource_type: str | None = None
    id: str | None = None
    identifier: Any = None


class _Entry(msgspec.Struct, rename="camel"):
    full_url: str = ""
    resource: msgspec.Raw = msgspec.Raw(b"")


class _Bundle(msgspec.Struct):
    entry: list[_Entry] = []


def load_folder(path: Path | str) -> list[bytes]:
    """Give the resources of a folder. Raises ValueError naming the file that is not JSON, OSError for no folder."""
    texts: dict[str, bytes] = {}
    names: dict[str, str] = {}
    for file in sorted(Path(path).iterdir()):
        if file.suffix in (".json", ".ndjson"):
            for full_url, text in _resources(file):
                head = msgspec.json.decode(text, type=_Head)
                id_ = head.id or _made_up(full_url, text)
                name = f"{head.resource_type}/{id_}"
                texts[name] = text if head.id else with_id(text, id_)
                names |= dict.fromkeys(_names(head, full_url), name)
    return [rewrite_references(text, lambda reference: names.get(unquote(reference))) for text in texts.values()]


def _resources(file: Path) -> Iterator[tuple[str, bytes]]:
    """Give fullUrl ("" where there is none) and text of every resource in a file."""
    documents = file.read_bytes().splitlines() if file.suffix == ".ndjson" else [file.read_bytes()]
    for document in documents:
        if not document.strip():
            continue
        try:
            head = msgspec.json.decode(document, type=_Head)
            if head.resource_type == "Bundle":
                entries = msgspec.json.decode(document, type=_Bundle).entry
                yield from ((entry.full_url, bytes(entry.resource)) for entry in entries if bytes(entry.resource))
            elif head.resource_type:
                yield "", document.strip()
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{file.name} is not FHIR JSON: {error}") from error


def _made_up(full_url: str, text: bytes) -> str:
    """Give an id to a resource without one: that of its urn:uuid, or one drawn from its text."""
    return (
        full_url.removeprefix("urn:uuid:")
        if full_url.startswith("urn:uuid:")
        else hashlib.sha256(text).hexdigest()[:32]
    )


def _names(head: _Head, full_url: str) -> Iterator[str]:
    """Give what references may call a resource besides `Type/id`."""
    if full_url:
        yield full_url
    for identifier in head.identifier if isinstance(head.identifier, list) else ():
        if isinstance(identifier, dict) and "value" in identifier:
            yield f"{head.resource_type}?identifier={identifier.get('system', '')}|{identifier['value']}"
