"""Several consents of one subject: which of them speak, when they differ.

Rules of this file (consent-semantics section 7; L091)
1. A group is a set of custodians and a set of policies. Within it the newest consent that applies speaks.
2. Dates that overlap are the same instant, and then a deny wins; no date is the oldest.
3. Across groups a deny wins. The order in which consents arrive never matters.
4. A consent that cannot be evaluated applies to everything, and denies, until a newer one that applies speaks.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from typing import Final

import msgspec

from consent_store.dates import FhirDate
from gateway.decision.consents.compile import Entry
from gateway.decision.consents.parties import identity
from gateway.decision.consents.relations import Relations

_OLDEST: Final = datetime.min.replace(tzinfo=UTC)


class Dated(msgspec.Struct, frozen=True):
    """A consent and the span of its date; spans of one group are told in the same way, so that they compare."""

    entry: Entry
    first: datetime
    after: datetime

    def older_than(self, first: datetime) -> bool:
        """Say whether this consent is surely older than one whose date begins at `first`."""
        return self.after <= first and self.first < first


def grouped(entries: Iterable[Entry], relations: Relations, zone: tzinfo | None) -> tuple[tuple[Dated, ...], ...]:
    """Sort consents into groups, each newest first; groups and ties in the order of their names."""
    groups: dict[tuple[frozenset[str], frozenset[str]], list[Entry]] = {}
    for entry in entries:
        custodians = frozenset(identity(one, relations) for one in entry.consent.custodians)
        groups.setdefault((custodians, entry.policies), []).append(entry)
    found = [_newest_first(group, zone) for group in groups.values()]
    return tuple(sorted(found, key=lambda group: min(one.entry.name for one in group)))


def _newest_first(group: list[Entry], zone: tzinfo | None) -> tuple[Dated, ...]:
    dates = [entry.consent.date for entry in group]
    # Dates without offset, in no known zone, compare among themselves; beside others they may be anywhere in a day.
    local = zone is None and not any(date.zoned for date in dates if date is not None)
    dated = [Dated(entry, *_span(entry.consent.date, zone, local=local)) for entry in group]
    by_name = sorted(dated, key=lambda one: one.entry.name)
    return tuple(sorted(by_name, key=lambda one: one.first, reverse=True))


def _span(date: FhirDate | None, zone: tzinfo | None, *, local: bool) -> tuple[datetime, datetime]:
    if date is None:
        return _OLDEST, _OLDEST
    if local:
        return date.start.replace(tzinfo=UTC), date.end.replace(tzinfo=UTC)
    return date.first(zone, wide=True), date.after(zone, wide=True)
