"""Search admission: which searches are carried out at all. By form alone, never by data (leaks.md L012 to L020).

Rules of this file
1. A closed list of (type, parameter, modifier): what `search_offers` offers, `search_conditions` with its
   modifiers. Every other parameter gets one refusal, the same for all, that names nothing but the client's own word.
2. A search for records of patients is anchored: it names a patient, an encounter or ids. Patient itself is found by
   ids, identifier or demographics.
3. Includes are offered one by one; no wildcard (L015). Chains and `_has` are searches of their own, with an anchor of
   their own (L012 to L014).
4. What upstream matched on is held against the released form too; what upstream could answer from more than may be
   seen (`:not`, `:missing`, labels, order) is not asked of it at all (`search_predicates`).
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from gateway.errors import BadRequest, NotSupported
from gateway.fhir.query import Parameter, malformed, too_often, unsupported, unsupported_value
from gateway.fhir.references import Base, Local
from gateway.fhir.search_conditions import ANCHORS, BOUNDED, Reading, takes, text_of
from gateway.fhir.search_offers import Offer, Offers
from gateway.fhir.search_parameters import SearchParameter
from gateway.fhir.search_plan import Chain, Include, Key, Reverse, SearchLimits, SearchPlan
from gateway.fhir.search_predicates import Condition

LIMITS: Final = SearchLimits()
_ANCHORING: Final = frozenset({"Patient", "Encounter"})
_PATIENT_ANCHORS: Final = (
    frozenset({"_id"}),
    frozenset({"identifier"}),
    frozenset({"name"}),
    frozenset({"family"}),
    frozenset({"given", "birthdate"}),
)
# Which anchors a server knows best: it is asked for those of the lowest rank where it refuses the search as it is.
_RANKS: Final[Mapping[str, int]] = {"_id": 0, "patient": 1, "subject": 1, "encounter": 2}
_PATIENT_RANKS: Final[Mapping[str, int]] = {
    "_id": 0,
    "identifier": 1,
    "family": 2,
    "name": 2,
    "given": 3,
    "birthdate": 3,
}
_CERTAIN: Final = frozenset({"_id", "identifier"})  # by these a person is meant, not sought
_BOUNDS: Final = 2  # these may be given twice: from and to
_COUNT: Final = re.compile(r"[0-9]{1,9}")
_INCLUDE: Final = re.compile(r"([A-Za-z]+:[a-z][a-z-]*)(?::([A-Za-z]+))?")
_KEY: Final = re.compile(r"(-?)([_a-z][A-Za-z_-]*)")
_CHAIN: Final = re.compile(r"([a-z][a-z-]*)(?::([A-Z][A-Za-z]+))?\.([_a-z][A-Za-z_-]*(?::[A-Za-z-]+)?)")
_HAS: Final = re.compile(r"_has:([A-Z][A-Za-z]+):([a-z][a-z-]*):([_a-z][A-Za-z_-]*(?::[A-Za-z-]+)?)")
_TOTALS: Final = frozenset({"none", "estimate", "accurate"})


def admit(
    resource_type: str,
    parameters: Iterable[tuple[str, str]],
    offers: Offers,
    *,
    own: frozenset[Base] = frozenset(),
    limits: SearchLimits = LIMITS,
) -> SearchPlan:
    """Give the plan of a search for `resource_type` by the client's parameters, in its order, decoded.

    `offers` are those of the caller's class; `own` are the bases in which the client may name resources by URL.
    Raises NotSupported (400) for what is not offered and BadRequest for values that are not of R4's grammar. Both
    depend on nothing but these arguments (L010, L012).
    """
    offer = offers.of(resource_type)
    if offer is None:
        raise NotSupported("searching this type is not supported", status=400)
    admission = _Admission(offer, offers, own, limits)
    for parameter in parameters:
        admission.take(Parameter(*parameter))
    return admission.plan()


class _Admission:
    """One search being read: what is sent on, honoured and seen so far."""

    def __init__(self, offer: Offer, offers: Offers, own: frozenset[Base], limits: SearchLimits) -> None:
        self.offer, self.offers, self.own, self.limits = offer, offers, own, limits
        self.upstream: list[tuple[str, str]] = []
        self.anchors: list[tuple[int, str, str]] = []
        self.honoured: list[tuple[str, str]] = []
        self.includes: list[Include] = []
        self.conditions: list[Condition] = []
        self.chains: list[Chain] = []
        self.reverses: list[Reverse] = []
        self.sort: tuple[Key, ...] = ()
        self.seen: list[str] = []
        self.anchoring: set[str] = set()
        self.count: int | None = None

    def take(self, given: Parameter) -> None:
        """Read one parameter. Raises NotSupported and BadRequest."""
        if len(given.value) > self.limits.value:
            raise malformed(given)
        match given.name:
            case "_count":
                self._count(given)
            case "_sort":
                self._sort(given)
            case "_total":
                self._total(given)
            case "_include" | "_include:iterate":
                self._include(given)
            case "_revinclude" | "_revinclude:iterate":
                self._revinclude(given)
            case _ if given.base == "_has":
                self._has(given)
            case _ if "." in given.name:
                self._chain(given)
            case _:
                self._condition(given)

    def plan(self) -> SearchPlan:
        """Give the plan of what was read. Raises NotSupported where it is not anchored."""
        self._refuse_without_anchor()
        best = min((rank for rank, _, _ in self.anchors), default=0)
        return SearchPlan(
            type=self.offer.type,
            upstream=tuple(self.upstream),
            anchors=tuple((name, value) for rank, name, value in self.anchors if rank == best),
            honoured=tuple(self.honoured),
            count=self.limits.count if self.count is None else self.count,
            includes=tuple(self.includes),
            anchored=self.offer.anchored,
            conditions=tuple(self.conditions),
            chains=tuple(self.chains),
            reverses=tuple(self.reverses),
            sort=self.sort,
            candidates=self.offer.type == "Patient" and not self.anchoring & _CERTAIN,
        )

    # Conditions ---------------------------------------------------------------------------------------------------
    def _condition(self, given: Parameter) -> None:
        name, _, modifier = given.name.partition(":")
        if (name, modifier) == ("subject", "Patient") and "subject" in self.offer.parameters:
            name, modifier = ("patient" if "patient" in self.offer.parameters else "subject"), ""
        definition = self.offer.parameters.get(name)
        types = self._named(name, definition)
        if definition is None or not takes(definition, name, modifier, types or self.offers.table.elements.resources):
            raise unsupported(given)
        condition = Reading(name, definition, modifier, types, self.own).condition(given, self.limits)
        self._once(given, f"{name}:{modifier}" if condition.here else name, definition.kind)
        self.conditions.append(condition)
        self.honoured.append((given.name, given.value))
        self._send(condition, given.value)

    def _named(self, name: str, definition: SearchParameter | None) -> frozenset[str]:
        reference = definition is not None and definition.kind == "reference"
        return self.offers.named(self.offer.type, name) if reference else frozenset()

    def _once(self, given: Parameter, name: str, kind: str) -> None:
        if self.seen.count(name) == (_BOUNDS if kind in BOUNDED else 1):
            raise too_often(given)
        self.seen.append(name)

    def _send(self, condition: Condition, value: str) -> None:
        """Send a condition on, as far as the upstream's answer to it holds all that the released form may meet."""
        if condition.here:
            return
        if condition.kind == "reference":
            value = text_of(condition)
        self.upstream.append((condition.name, value))
        types = {one.type for one in condition.values if isinstance(one, Local)}
        named = condition.kind == "reference" and types <= _ANCHORING
        if condition.name == "_id" or named or not self.offer.anchored or self.offer.type == "Patient":
            self.anchoring.add(condition.name)
        rank = (_PATIENT_RANKS if self.offer.type == "Patient" else _RANKS).get(condition.name, 3 if named else None)
        if rank is not None:
            self.anchors.append((rank, condition.name, value))

    # Chains -------------------------------------------------------------------------------------------------------
    def _chain(self, given: Parameter) -> None:
        found = _CHAIN.fullmatch(given.name)
        definition = self.offer.parameters.get(found[1]) if found else None
        if found is None or definition is None or not self.offers.followed(self.offer.type, found[1]):
            raise unsupported(given)
        types = self.offers.named(self.offer.type, found[1])
        type_ = found[2] or (next(iter(types)) if len(types) == 1 else None)
        if type_ is None or (types and type_ not in types):
            raise unsupported(given)
        self._once(given, found[1], definition.kind)
        inner = self._inner(given, type_, [(found[3], given.value)])
        self._beyond(given)
        self.chains.append(Chain(found[1], definition.paths, inner))
        if type_ in _ANCHORING:
            self.anchoring.add(found[1])

    def _has(self, given: Parameter) -> None:
        found = _HAS.fullmatch(given.name)
        if found is None:
            raise unsupported(given)
        type_, name, parameter = found.groups()
        offer = self.offers.of(type_)
        if offer is None or f"{type_}:{name}" not in self.offer.revincludes or name not in offer.parameters:
            raise unsupported(given)
        rest = ((parameter, given.value),)
        self._inner(given, type_, [(name, f"{self.offer.type}/x"), *rest])
        self._beyond(given)
        self.reverses.append(Reverse(type_, name, offer.parameters[name].paths, rest))

    def _inner(self, given: Parameter, type_: str, parameters: list[tuple[str, str]]) -> SearchPlan:
        """Admit a search within a search. Raises what a search with an unknown parameter does: by form, by its name."""
        try:
            inner = admit(type_, parameters, self.offers, own=self.own, limits=self.limits)
        except NotSupported:
            raise unsupported(given) from None
        except BadRequest:
            raise malformed(given) from None
        plain = not (inner.chains or inner.reverses or inner.includes or inner.sort)
        if not plain or not inner.conditions:
            raise unsupported(given)
        return inner

    def _beyond(self, given: Parameter) -> None:
        if len(self.chains) + len(self.reverses) == self.limits.beyond:
            raise too_often(given)
        self.honoured.append((given.name, given.value))

    # What is not a condition ----------------------------------------------------------------------------------------
    def _count(self, given: Parameter) -> None:
        if self.count is not None:
            raise too_often(given)
        if not _COUNT.fullmatch(given.value) or int(given.value) == 0:
            raise malformed(given)
        self.count = min(int(given.value), self.limits.most)  # a server may give fewer (R4 search.html 3.1.1.5.5)
        self.honoured.append((given.name, str(self.count)))

    def _sort(self, given: Parameter) -> None:
        if self.sort:
            raise too_often(given)
        keys = [self._key(given, text) for text in given.value.split(",")]
        if len(keys) > self.limits.keys:
            raise too_often(given)
        self.sort = tuple(keys)
        self.honoured.append((given.name, given.value))

    def _key(self, given: Parameter, text: str) -> Key:
        found = _KEY.fullmatch(text)
        definition = self.offer.parameters.get(found[2]) if found else None
        if found is None or definition is None:
            raise unsupported_value(given)
        return Key(definition.kind, definition.paths, found[1] == "-")

    def _total(self, given: Parameter) -> None:
        """A wish that a server may leave unmet (R4 search.html 3.1.1.4.11): the total stands where the rule says."""
        if "_total" in self.seen:
            raise too_often(given)
        if given.value not in _TOTALS:
            raise malformed(given)
        self.seen.append("_total")

    def _include(self, given: Parameter) -> None:
        what, target = _included(given)
        source = what.partition(":")[0] if given.name.endswith(":iterate") else self.offer.type
        offer = self.offers.of(source)
        definition, targets = offer.includes.get(what, (None, frozenset())) if offer else (None, frozenset())
        if definition is None or (target is not None and targets and target not in targets):
            raise unsupported_value(given)
        self._bring(given, what, definition, target)

    def _revinclude(self, given: Parameter) -> None:
        what, target = _included(given)
        again = given.name.endswith(":iterate")
        offers = self.offers.describe() if again else (self.offer,)
        fitting = [one for one in offers if what in one.revincludes and target in {None, one.type}]
        if again and not self.offer.anchored:
            fitting = [one for one in fitting if not one.anchored]
        if not fitting:
            raise unsupported_value(given)
        self._bring(given, what, fitting[0].revincludes[what], target)

    def _bring(self, given: Parameter, what: str, definition: SearchParameter, target: str | None) -> None:
        if len(self.includes) == self.limits.includes:
            raise too_often(given)
        source, _, name = what.partition(":")
        reverse, again = given.name.startswith("_revinclude"), given.name.endswith(":iterate")
        self.includes.append(Include(source, name, definition.paths, target, reverse, again))
        if not again:
            self.upstream.append((given.name, given.value))
        self.honoured.append((given.name, given.value))

    def _refuse_without_anchor(self) -> None:
        """Rule 2. The text says what the type offers, whatever was asked."""
        type_ = self.offer.type
        if type_ == "Patient":
            if not any(anchor <= self.anchoring for anchor in _PATIENT_ANCHORS):
                needed = "`_id`, `identifier`, `name`, `family`, or `given` with `birthdate`"
                raise NotSupported(f"a search for `{type_}` needs {needed}", status=400)
        elif self.offer.anchored and not self.anchoring:
            needed = " or ".join(f"`{name}`" for name in ANCHORS if name in self.offer.parameters)
            raise NotSupported(f"a search for `{type_}` needs {needed}", status=400)


def _included(given: Parameter) -> tuple[str, str | None]:
    """Give `Type:name` and the target of an include. Raises NotSupported for any other form."""
    found = _INCLUDE.fullmatch(given.value)
    if found is None:
        raise unsupported_value(given)
    return found[1], found[2]
