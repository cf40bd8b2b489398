"""Search admission: which searches are carried out at all. By form alone, never by data (leaks.md L012 to L020).

Rules of this file
1. A closed list of (type, parameter, modifier): what `search_offers` offers, and no modifier but `subject:Patient`.
   Every other parameter gets one refusal, the same for all, that names nothing but the client's own word.
2. A search for records of patients is anchored: it names a patient, an encounter or ids. Patient itself is found by
   ids, identifier or demographics.
3. Includes are offered one by one; no wildcard, no `:iterate` (L015).
4. What upstream matched on is held against the released form too (`meets`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.errors import BadRequest, NotSupported
from gateway.fhir.elements import Parameter as Definition
from gateway.fhir.query import Parameter, unsupported
from gateway.fhir.references import Base, Local, parse, parse_value
from gateway.fhir.search_offers import NAMED, Offer, Offers
from gateway.fhir.search_values import is_date, is_ids, is_texts, is_tokens


class SearchLimits(msgspec.Struct, frozen=True):
    """Page size where none is asked for, the largest page, alternatives joined by `,`, includes, letters of a value."""

    count: int = 50
    most: int = 200
    alternatives: int = 50
    includes: int = 10
    value: int = 4000


class Include(msgspec.Struct, frozen=True):
    """One `_include` (`reverse` False) or `_revinclude`: records that `source` names at `paths`, or that name them."""

    source: str
    parameter: str
    paths: tuple[str, ...]
    target: str | None
    reverse: bool


class NamedBy(msgspec.Struct, frozen=True):
    """A condition that a match has to meet in its released form too: one of `paths` names `target`."""

    paths: tuple[str, ...]
    target: Local


class SearchPlan(msgspec.Struct, frozen=True, kw_only=True):
    """An admitted search.

    `upstream`: what is sent on, without `_count`, which is the proxy's own. `honoured`: what the `self` link says, in
    the client's words and order (L028). `count`: entries a page. `conditions`: see `meets`.
    """

    type: str
    upstream: tuple[tuple[str, str], ...]
    honoured: tuple[tuple[str, str], ...]
    count: int
    includes: tuple[Include, ...] = ()
    conditions: tuple[NamedBy, ...] = ()


LIMITS: Final = SearchLimits()

_ANCHORS: Final = ("_id", "encounter", "patient", "subject")
_PATIENT_ANCHORS: Final = (
    frozenset({"_id"}),
    frozenset({"identifier"}),
    frozenset({"name"}),
    frozenset({"family"}),
    frozenset({"given", "birthdate"}),
)
_BOUNDS: Final = 2  # a date may be given twice: from and to
_COUNT: Final = re.compile(r"[0-9]{1,9}")
_INCLUDE: Final = re.compile(r"([A-Za-z]+:[a-z][a-z-]*)(?::([A-Za-z]+))?")


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
    admission = _Admission(offer, own, limits)
    for parameter in parameters:
        admission.take(Parameter(*parameter))
    return admission.plan()


def meets(plan: SearchPlan, released: Mapping[str, Any], own: frozenset[Base]) -> bool:
    """Say whether a match is one still in its released form: it names what the search named.

    The upstream matched on the whole record. Where the reference that matched is withheld, because what it points at
    is, the twin would not have matched (L012, L014): such a match has to go. `released` is the decoded resource as it
    would be sent, `own` are all bases of this server, the gateway's and the upstream's.
    """
    return all(
        any(_local(value, own) == condition.target for path in condition.paths for value in _at(released, path))
        for condition in plan.conditions
    )


class _Admission:
    """One search being read: what is sent on, honoured and seen so far."""

    def __init__(self, offer: Offer, own: frozenset[Base], limits: SearchLimits) -> None:
        self.offer, self.own, self.limits = offer, own, limits
        self.upstream: list[tuple[str, str]] = []
        self.honoured: list[tuple[str, str]] = []
        self.includes: list[Include] = []
        self.conditions: list[NamedBy] = []
        self.seen: list[str] = []
        self.count: int | None = None

    def take(self, given: Parameter) -> None:
        """Read one parameter. Raises NotSupported and BadRequest."""
        if len(given.value) > self.limits.value:
            raise _malformed(given)
        if given.name == "_count":
            self._count(given)
        elif given.name == "_include":
            self._include(given)
        elif given.name == "_revinclude":
            self._revinclude(given)
        else:
            self._condition(given)

    def plan(self) -> SearchPlan:
        """Give the plan of what was read. Raises NotSupported where it is not anchored."""
        self._refuse_without_anchor()
        return SearchPlan(
            type=self.offer.type,
            upstream=tuple(self.upstream),
            honoured=tuple(self.honoured),
            count=self.limits.count if self.count is None else self.count,
            includes=tuple(self.includes),
            conditions=tuple(self.conditions),
        )

    def _condition(self, given: Parameter) -> None:
        offered, name = self.offer.parameters, given.name
        if name == "subject:Patient" and "subject" in offered:
            name = "patient" if "patient" in offered else "subject"
        definition = offered.get(name)
        if definition is None:
            raise unsupported(given)
        if self.seen.count(name) == (_BOUNDS if definition.kind == "date" else 1):
            raise _too_often(given)
        self.seen.append(name)
        self.upstream.append((name, self._value(given, name, definition)))
        self.honoured.append((given.name, given.value))

    def _value(self, given: Parameter, name: str, definition: Definition) -> str:
        """Give the value to send on. Raises BadRequest for one that is not of the grammar."""
        value, most = given.value, self.limits.alternatives
        if definition.kind == "reference":
            target = parse_value(value, NAMED[name], self.own)
            if target is None:
                raise _malformed(given)
            self.conditions.append(NamedBy(definition.elements, target))
            return target.text
        if name == "_id":
            sound = is_ids(value, most)
        elif definition.kind == "token":
            sound = is_tokens(value, most)
        elif definition.kind == "date":
            sound = is_date(value)
        else:
            sound = definition.kind == "string" and is_texts(value, most)
        if not sound:
            raise _malformed(given)
        return value

    def _count(self, given: Parameter) -> None:
        if self.count is not None:
            raise _too_often(given)
        if not _COUNT.fullmatch(given.value) or int(given.value) == 0:
            raise _malformed(given)
        self.count = min(int(given.value), self.limits.most)  # a server may give fewer (R4 search.html 3.1.1.5.5)
        self.honoured.append((given.name, str(self.count)))

    def _include(self, given: Parameter) -> None:
        what, target = _included(given)
        definition, targets = self.offer.includes.get(what, (None, frozenset()))
        if definition is None or (target is not None and targets and target not in targets):
            raise _unsupported_value(given)
        self._bring(given, what, definition, target)

    def _revinclude(self, given: Parameter) -> None:
        what, target = _included(given)
        definition = self.offer.revincludes.get(what)
        if definition is None or target not in {None, self.offer.type}:
            raise _unsupported_value(given)
        self._bring(given, what, definition, target)

    def _bring(self, given: Parameter, what: str, definition: Definition, target: str | None) -> None:
        if len(self.includes) == self.limits.includes:
            raise _too_often(given)
        source, _, name = what.partition(":")
        self.includes.append(Include(source, name, definition.elements, target, given.name == "_revinclude"))
        self.upstream.append((given.name, given.value))
        self.honoured.append((given.name, given.value))

    def _refuse_without_anchor(self) -> None:
        """Rule 2. The text says what the type offers, whatever was asked."""
        seen, type_ = set(self.seen), self.offer.type
        if type_ == "Patient":
            if not any(anchor <= seen for anchor in _PATIENT_ANCHORS):
                needed = "`_id`, `identifier`, `name`, `family`, or `given` with `birthdate`"
                raise NotSupported(f"a search for `{type_}` needs {needed}", status=400)
        elif self.offer.anchored and not seen.intersection(_ANCHORS):
            needed = " or ".join(f"`{name}`" for name in _ANCHORS if name in self.offer.parameters)
            raise NotSupported(f"a search for `{type_}` needs {needed}", status=400)


def _included(given: Parameter) -> tuple[str, str | None]:
    """Give `Type:name` and the target of an include. Raises NotSupported for any other form."""
    found = _INCLUDE.fullmatch(given.value)
    if found is None:
        raise _unsupported_value(given)
    return found[1], found[2]


def _unsupported_value(given: Parameter) -> NotSupported:
    return NotSupported(f"the value of `{given.name}` is not supported here", status=400)


def _malformed(given: Parameter) -> BadRequest:
    return BadRequest(f"the value of `{given.name}` is not of a form the gateway reads")


def _too_often(given: Parameter) -> BadRequest:
    return BadRequest(f"the parameter `{given.name}` is given too often")


def _local(value: object, own: frozenset[Base]) -> Local | None:
    reference = value.get("reference") if isinstance(value, dict) else None
    target = parse(reference, own) if isinstance(reference, str) else None
    return Local(target.type, target.id) if isinstance(target, Local) else None


def _at(node: object, path: str) -> Sequence[object]:
    """Give the values at an element path, through arrays."""
    found = [node]
    for name in path.split("."):
        below = [each[name] for each in found if isinstance(each, dict) and name in each]
        found = [item for each in below for item in (each if isinstance(each, list) else [each])]
    return found
