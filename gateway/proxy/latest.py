"""`Observation/$lastn`: the last observations of each kind, by what is released alone (R4 observation-operation-lastn,
leaks.md L051).

Rules of this file
1. A search through the pipeline, walked to its end; grouping, order and number are made here of the released records.
2. Observations are of one kind where their codes share a coding; one without codings is of the kind of its text.
3. The newest first, by `effective` and where that is missing `issued`; without both, last. Equal ones as found.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from consent_store.dates import parse_date
from gateway.decision.model import Exchange
from gateway.errors import BadRequest, NotSupported
from gateway.fhir.interaction import Interaction, Kind
from gateway.fhir.query import Parameter, build_query, unsupported
from gateway.proxy.asked import Asked, Prepared
from gateway.proxy.searching import admitted
from gateway.proxy.uniting import Part, every
from gateway.release.compose import ReleasedEntry, compose_searchset
from gateway.release.uniting import manifest_of_shown, name_of

_MOST: Final = 100
_OF_PAGES: Final = frozenset({"_count", "_include", "_revinclude", "_sort", "_cursor"})
_PATIENTS: Final = frozenset({"patient", "subject", "subject:Patient"})
_KINDS: Final = frozenset({"code", "category"})
_DATES: Final = ("effectiveDateTime", "effectiveInstant", "issued")
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC) + timedelta(days=2)


class Latest(msgspec.Struct, frozen=True):
    """What is asked for, by form."""

    part: Part
    said: tuple[Parameter, ...]
    most: int


def latest_of(asked: Asked, interaction: Interaction) -> Latest:
    """Give the search behind `$lastn`. Raises NotSupported and BadRequest by form alone."""
    maxima = [each.value for each in interaction.parameters if each.name == "max"]
    rest = tuple(each for each in interaction.parameters if each.name != "max")
    for one in rest:
        if one.base in _OF_PAGES:
            raise unsupported(one)
    if len(maxima) > 1 or any(not one.isascii() or not one.isdigit() or not 0 < int(one) <= _MOST for one in maxima):
        raise BadRequest("the value of `max` is not of a form the gateway reads")
    names = {each.name for each in rest}
    if not names & _PATIENTS or not names & _KINDS:
        raise NotSupported("this operation needs `patient` or `subject`, and `code` or `category`", status=400)
    admitted(asked, Interaction(Kind.SEARCH, "Observation", parameters=rest))
    return Latest(Part("Observation", rest), interaction.parameters, int(maxima[0]) if maxima else 1)


async def latest(asked: Asked, wanted: Latest, exchange: Exchange) -> Prepared:
    """Prepare the answer. Raises BadRequest over the limit, UpstreamFault, Unavailable, ChangedMeanwhile."""
    walked = await every(asked, [wanted.part], exchange)
    chosen = _chosen([entry for entry, _ in walked.matches], wanted.most)
    url = f"{asked.door.route.public_url}/Observation/$lastn?{build_query(wanted.said).decode('ascii')}"
    released = compose_searchset(
        chosen,
        bundle_id=str(uuid.uuid4()),
        links=[("self", url)],
        total=len(chosen),
        headers={},
        manifest=manifest_of_shown(walked.manifests, (name_of(entry.resource) for entry in chosen)),
    )
    return Prepared(released, walked.revisions)


def _chosen(entries: Sequence[ReleasedEntry], most: int) -> list[ReleasedEntry]:
    """Give the first `most` of each kind, newest first within it; kinds in the order in which they were found."""
    groups: list[tuple[set[object], list[tuple[datetime, ReleasedEntry]]]] = []
    for entry in entries:
        tree: dict[str, Any] = msgspec.json.decode(entry.resource)
        kinds, members = _kinds(tree), [(_moment(tree), entry)]
        for group in [one for one in groups if one[0] & kinds]:
            kinds, members = group[0] | kinds, group[1] + members
            groups.remove(group)
        groups.append((kinds, members))
    found = []
    for _, members in groups:
        found += [entry for _, entry in sorted(members, key=lambda one: one[0], reverse=True)[:most]]
    return found


def _kinds(tree: dict[str, Any]) -> set[object]:
    code = tree.get("code", {})
    codings = {(one.get("system"), one.get("code")) for one in code.get("coding", ()) if one.get("code")}
    return set(codings) or {code.get("text")}


def _moment(tree: dict[str, Any]) -> datetime:
    """Give the end of the moment an observation tells, in UTC where it has no offset."""
    period = tree.get("effectivePeriod", {})
    said = [tree.get(name) for name in _DATES[:2]] + [period.get("end"), period.get("start"), tree.get(_DATES[2])]
    for text in said:
        try:
            if text is not None:
                return parse_date(text).first(UTC, wide=True)
        except ValueError:
            continue
    return _EARLIEST
