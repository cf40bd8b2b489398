"""The minimum necessary: of some types a recipient gets only the elements that its purpose needs, every copy alike.

Rules of this file (45 CFR 164.502(b), 164.514(d); leaks.md L040)
1. A profile names the elements by type, class of recipient and purpose; types it does not name stay as they are.
2. The sets bind where the rule that permits carries the duty; a permit without it (treatment, the patient, an
   authorisation alone) is not bound. A set that names rules binds where nothing but these permits: an authorisation
   beside them frees (164.502(b)(2)(iii)). One that names categories binds their records, whoever permits. Of several
   sets that bind an element stays only where all of them name it.
3. What R4 requires stays, and with it identity, language, labels and what is contained: the rest goes without a marker.
4. A list of a claim that goes takes along the numbers that point into it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from gateway.decision.claims import POINTERS
from gateway.decision.combine import Ruling
from gateway.decision.model import Edit, Exchange, Op
from gateway.decision.parts import members
from gateway.decision.rules import party_matches
from gateway.fhir.elements import Elements
from gateway.fhir.pointer import escape
from gateway.fhir.terminology import purpose_is_a
from gateway.fhir.view import ResourceView
from gateway.policy.model import MinimumNecessary, Policy

DUTY: Final = "minimum_necessary_profile"
"""The obligation that binds a disclosure to the sets."""

_ALWAYS: Final = frozenset({"resourceType", "id", "meta", "language", "contained"})
Sets = Mapping[str, tuple[MinimumNecessary, ...]]


def sets_in_force(policy: Policy, exchange: Exchange) -> Sets:
    """Give, by resource type, the sets of elements that speak of this recipient for this purpose."""
    found: dict[str, tuple[MinimumNecessary, ...]] = {}
    for one in policy.minimum_necessary:
        if _speaks(one, policy, exchange):
            for kind in one.elements:
                found[kind] = (*found.get(kind, ()), one)
    return found


def binding(kind: str, sets: Sets, ruling: Ruling) -> tuple[frozenset[str], ...]:
    """Give the elements that each set names of a type which binds what was permitted as the ruling says."""
    if kind not in sets:
        return ()
    permits = {cause.rule for cause in ruling.causes if cause.effect == "permit"}
    return tuple(one.elements[kind] for one in sets[kind] if _binds(one, permits, ruling))


def _binds(one: MinimumNecessary, permits: Collection[str], ruling: Ruling) -> bool:
    if one.data:
        return not one.data.isdisjoint(ruling.categories)
    return one.rules.issuperset(permits) if one.rules else DUTY in ruling.obligations


def necessary_edits(view: ResourceView, named: Sequence[frozenset[str]], elements: Elements) -> tuple[Edit, ...]:
    """Give the cuts that leave of a record what every set names and R4 requires. No set: nothing is cut."""
    cuts = dict.fromkeys(path for one in named for path in _beyond(view.tree, "", "", one, view.type, elements))
    lists = {path[1:] for path in cuts if path.count("/") == 1}
    if any(name in lists for name in POINTERS.values()):
        cuts |= dict.fromkeys(_numbers_into(view.tree, lists))
    return tuple(Edit(Op.CUT, path) for path in cuts)


def misnamed(policy: Policy, elements: Elements) -> tuple[str, ...]:
    """Give `Type.element` for everything the sets of a profile name that R4 does not have (L089)."""
    named = ((kind, path) for one in policy.minimum_necessary for kind, paths in one.elements.items() for path in paths)
    return tuple(sorted(f"{kind}.{path}" for kind, path in named if not _exists(kind, path, elements)))


def _exists(kind: str, path: str, elements: Elements) -> bool:
    if not elements.is_resource(kind):
        return False
    if path.endswith("[x]"):
        outer, _, name = path.rpartition(".")
        if not outer:
            return name in elements.children(kind)
        within = elements.at(kind, "/" + outer.replace(".", "/"))
        return within is not None and any(name in elements.children(one) for one in within.types)
    return elements.at(kind, "/" + path.replace(".", "/")) is not None


def _speaks(one: MinimumNecessary, policy: Policy, exchange: Exchange) -> bool:
    if not party_matches(one.recipient, exchange.recipient, policy):
        return False
    if not party_matches(one.discloser, exchange.discloser, policy):
        return False
    return not one.purposes or any(purpose_is_a(exchange.purpose, purpose) for purpose in one.purposes)


def _beyond(
    node: Mapping[str, Any], at: str, path: str, named: frozenset[str], kind: str, elements: Elements
) -> Iterator[str]:
    """Give the pointers of the members of a structure that are neither named, required, nor hold what is named."""
    for name, value in node.items():
        here, dotted = f"{at}/{escape(name)}", f"{path}{name.removeprefix('_')}"
        if (not at and name in _ALWAYS) or _named(dotted, named):
            continue
        if any(one.startswith(f"{dotted}.") for one in named):
            yield from _inside(value, here, f"{dotted}.", named, kind, elements)
        elif not elements.is_required(kind, here.replace("/_", "/")):
            yield here


def _inside(
    value: Any,  # noqa: ANN401  JSON
    at: str,
    path: str,
    named: frozenset[str],
    kind: str,
    elements: Elements,
) -> Iterator[str]:
    for number, item in enumerate(value) if isinstance(value, list) else ((None, value),):
        if isinstance(item, dict):
            here = at if number is None else f"{at}/{number}"
            yield from _beyond(item, here, path, named, kind, elements)


def _named(dotted: str, named: frozenset[str]) -> bool:
    """Say whether an element is named, as itself or as one form of a choice (`deceased[x]`)."""
    if dotted in named:
        return True
    stems = (one.removesuffix("[x]") for one in named if one.endswith("[x]"))
    return any(dotted.startswith(stem) and dotted[len(stem) : len(stem) + 1].isupper() for stem in stems)


def _numbers_into(tree: Mapping[str, Any], lists: Iterable[str]) -> Iterator[str]:
    """Give the pointers of a claim's numbers that point into lists that go."""
    gone = {key for key, name in POINTERS.items() if name in lists}
    for number, line in enumerate(members(tree.get("item"))):
        if isinstance(line, dict):
            yield from (f"/item/{number}/{key}" for key in line if key in gone)
