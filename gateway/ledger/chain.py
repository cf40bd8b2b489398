"""The hash that binds each record of the ledger to all before it: what was changed or taken out later shows.

Rules of this file
1. A record's hash covers the hash before it and every field of its own, each with its length, so that no two different
   records read alike.
2. The story is covered by its digest, so that the chain can be checked by someone who may not read stories.
"""

import hashlib
from typing import Final

import msgspec

START: Final = b"\0" * 32


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of one record as stored; `completes` is the intent's sequence, 0 for an intent."""

    sequence: int
    kind: str
    request_id: str
    completes: int
    writer: str
    body: bytes
    story_digest: bytes


def link_hash(before: bytes, link: Link) -> bytes:
    """Give the hash of a record that follows one with hash `before`."""
    fields = (
        before,
        str(link.sequence).encode(),
        link.kind.encode(),
        link.request_id.encode(),
        str(link.completes).encode(),
        link.writer.encode(),
        link.body,
        link.story_digest,
    )
    digest = hashlib.sha256()
    for field in fields:
        digest.update(len(field).to_bytes(8, "big"))
        digest.update(field)
    return digest.digest()


def story_digest(story: bytes) -> bytes:
    """Give the digest that stands in the chain for a story (empty for a record without one)."""
    return hashlib.sha256(story).digest() if story else b""
