"""What lies in Redis of one Consent's version, and what one look-up gave: from the server's bytes to values.

Rules of this file
1. What is damaged, or stands under another's name, is nobody's word: it reads as nothing, and is never left out.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from consent_store.filing import NOT_ASKABLE
from consent_store.store import Failed, StoredVersion


class Kept(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One version of a Consent with all that belongs to it, as it lies in the server."""

    stored: StoredVersion
    source: str
    status: str
    terms: tuple[str, ...]


class Held(msgspec.Struct, frozen=True):
    """One version of a Consent as the server gave it; `raw` is empty where it gave nothing of use."""

    id: str
    version: str
    raw: bytes

    @property
    def kept(self) -> Kept | None:
        """What was written under this id and version, None where it is something else."""
        try:
            kept = msgspec.msgpack.decode(self.raw, type=Kept)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return kept if (kept.stored.id, kept.stored.version) == (self.id, self.version) else None

    @property
    def stored(self) -> StoredVersion:
        """What was written; what is damaged reads as nothing."""
        kept = self.kept
        return kept.stored if kept else StoredVersion(self.id, self.version, "", b"", "")

    @property
    def status(self) -> str:
        """The status, "" for what cannot be read."""
        kept = self.kept
        return kept.status if kept else ""


class Finding(msgspec.Struct, frozen=True):
    """What one look-up found: by term, the current versions by id (None: damaged); by id and version, what is held."""

    by_term: Mapping[str, Mapping[str, str] | None]
    held: Mapping[tuple[str, str], Held]

    def versions(self, terms: frozenset[str]) -> Mapping[str, str] | Failed:
        """Give the current versions, by id, of the subject who has these terms."""
        if not terms:
            return Failed(NOT_ASKABLE)
        mine: dict[str, str] = {}
        for term in sorted(terms):
            filed = self.by_term[term]
            if filed is None:
                return Failed("the index of this subject is damaged")
            mine |= filed
        return mine


def named(listed: bytes) -> dict[str, str]:
    """Give `id version id version …` as a mapping."""
    words = listed.decode("ascii").split()
    return dict(zip(words[::2], words[1::2], strict=True))


def each(flat: Sequence[bytes]) -> Iterator[Held]:
    """Give ids, versions and texts as what is held."""
    for one, version, raw in zip(*(iter(flat),) * 3, strict=True):
        yield Held(one.decode(errors="replace"), version.decode(errors="replace"), raw)
