"""Every search parameter of R4 and what becomes of it here, as lines: `consent-gateway profiles search-parameters`.

Rules of this file (docs/http.md)
1. One line a type and parameter; nothing in it comes from data.
2. What is never offered is told first: a named list, so that nobody has to find it out by asking.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from gateway.fhir.search import LIMITS
from gateway.fhir.search_conditions import MODIFIERS
from gateway.fhir.search_offers import BEYOND, Offers, Standing
from gateway.proxy.capability import NOT_SERVED
from gateway.proxy.including import MOST_INCLUDED, ROUNDS
from gateway.proxy.searching import MOST_CANDIDATES, MOST_SORTED
from gateway.proxy.walking import MOST_INNER

CLASSES: Final = {
    Standing.SEEN: "seen",
    Standing.MASKED: "masked",
    Standing.UNREAD: "unread",
    Standing.ELSEWHERE: "elsewhere",
}
_REFUSED_MODIFIERS: Final = ":above, :below (of codes), :in, :not-in"


def search_lines(whole: Offers, part: Offers, whole_for: Iterable[str], types: Iterable[str]) -> Iterator[str]:
    """Give the list as lines: first what the classes mean, then `Type parameter kind class` for each of `types` (all
    of them where none is given). `whole` are the offers to who gets records whole or not at all, `part` to all others;
    where they differ the class says both. Raises ValueError for a type that is not searched."""
    yield from _preface(sorted(whole_for))
    wanted = sorted(types) or [offer.type for offer in part.describe() if offer.type not in NOT_SERVED]
    for type_ in wanted:
        offer, other = part.of(type_), whole.of(type_)
        if offer is None or other is None:
            raise ValueError(type_)
        for name, standing in sorted(offer.standing.items()):
            kind = part.table.of(type_)[name].kind
            mine, theirs = CLASSES[standing], CLASSES[other.standing[name]]
            yield f"{type_} {name} {kind} {mine if mine == theirs else f'{mine} ({theirs} for whole records)'}"


def _preface(whole_for: list[str]) -> Iterator[str]:
    for standing, name in CLASSES.items():
        yield f"# {name}: {standing.value}"
    yield f"# whole records: {', '.join(whole_for) or 'nobody'} get a record whole or not at all"
    for kind, modifiers in sorted(MODIFIERS.items()):
        listed = ", ".join(f":{one}" for one in sorted(modifiers))
        yield f"# modifiers of a {kind}: {listed}{', :Type' if kind == 'reference' else ''}"
    yield f"# modifiers that are refused: {_REFUSED_MODIFIERS}, and every other"
    yield f"# refused for every type: {', '.join(sorted(BEYOND))}"
    yield f"# types that are not searched: {', '.join(sorted(NOT_SERVED))}"
    yield "# Type:name.parameter and _has:Type:name:parameter: searches of their own, where they have an anchor"
    yield "# _include, _revinclude, also :iterate: references alone, one by one, no wildcard"
    yield (
        f"# limits, of what is released: {MOST_SORTED} matches with _sort, {MOST_CANDIDATES} persons by name and the"
        f" like, {MOST_INNER} of a chain, {MOST_INCLUDED} includes of a page in {ROUNDS} rounds"
    )
    yield f"# by form: {LIMITS.alternatives} alternatives, {LIMITS.includes} includes, {LIMITS.keys} keys of _sort"
