"""Several consents of one subject: which of them speak, when they differ.

Rules of this file (consent-semantics section 7; L091)
1. A group is a set of custodians and a set of policies. Within it the newest consent that applies speaks.
2. Dates that overlap are the same instant, and then a deny wins; no date is the oldest.
3. Across groups a deny wins. The order in which consents arrive never matters.
4. A consent that cannot be evaluated applies to everything, and denies, until a newer one that applies speaks.
"""

from datetime import UTC
from operator import attrgetter

import msgspec

from gateway.decision.consents.compile import Batch, Compiled, Entry
from gateway.decision.consents.parties import identity
from gateway.decision.consents.relations import Relations


def grouped(compiled: Compiled, relations: Relations) -> tuple[tuple[Entry, ...], ...]:
    """Sort consents into groups, each newest first; groups and ties in the order of their names."""
    groups: dict[tuple[frozenset[str], frozenset[str]], list[Batch]] = {}
    for batch in compiled.batches:
        custodians = frozenset([identity(one, relations) for one in batch.custodians])
        groups.setdefault((custodians, batch.policies), []).append(batch)
    found = [_by_name(batches) for batches in groups.values()]
    found.sort(key=lambda entries: entries[0].name)
    return tuple(_newest_first(entries, zoned=compiled.zone is not None) for entries in found)


def _by_name(batches: list[Batch]) -> tuple[Entry, ...]:
    if len(batches) == 1:
        return batches[0].entries
    return tuple(sorted((entry for batch in batches for entry in batch.entries), key=attrgetter("name")))


def _newest_first(entries: tuple[Entry, ...], *, zoned: bool) -> tuple[Entry, ...]:
    if not zoned and not any(entry.consent.date is not None and entry.consent.date.zoned for entry in entries):
        entries = tuple(map(_local, entries))
    return tuple(sorted(entries, key=attrgetter("first"), reverse=True))


def _local(entry: Entry) -> Entry:
    """Dates without offset, in no known zone, compare among themselves; beside others they may be anywhere in a day."""
    date = entry.consent.date
    if date is None:
        return entry
    return msgspec.structs.replace(entry, first=date.start.replace(tzinfo=UTC), after=date.end.replace(tzinfo=UTC))
