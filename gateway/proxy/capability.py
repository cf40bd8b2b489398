"""The gateway's own CapabilityStatement: what is really offered on a route, nothing of what stands behind it (L056).

Rules of this file
1. Static per route: made once from the closed sets that the requests themselves are held against.
2. What some class of callers is not offered is not in it; what is not in it is refused by form.
3. What every type offers is said once (`rest.searchParam`); what R4 takes for the default is not said.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.fhir.operations import Operation, offered
from gateway.fhir.search_offers import BEYOND, Offer, Offers, Standing
from gateway.proxy.surface import Surface
from gateway.proxy.writable import BESIDE, NOT_CREATED, NOT_UPDATED, TOGETHER

NOT_SERVED: Final = frozenset({"AuditEvent", "Consent", "Subscription"})
"""Types that are neither read nor searched here: who saw what, who may see what (leaks.md L041, L042, L053)."""

_WHY: Final = "The gateway releases what law, agreement and consent allow for the stated purpose of use."
_PURPOSE: Final = "A token of a registered client, and one purpose of use: in the token or as X-Purpose-Of-Use."
_REFUSED: Final = "Search parameters of the standard that are refused: "
_SINCE: Final = "2026-11-22"
_COMPARTMENTS: Final = ("patient", "encounter")
_EVERYWHERE: Final = ("batch", "search-system")
_MESSAGES: Final = {
    "name": "process-message",
    "definition": "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message",
}
_DEFINED: Final = "http://hl7.org/fhir/CompartmentDefinition/"


def capability_statement(public_url: str, offers: Offers, surface: Surface, version: str) -> bytes:
    """Give the text of the statement of a route (R4 capabilitystatement.html), for callers who may get a record in
    part."""
    served = [offer for offer in offers.describe() if offer.type not in NOT_SERVED]
    common = _common(served)
    refused = frozenset(BEYOND).union(frozenset[str].intersection(*map(_refused, served)))
    operations = offered(terminology=surface.opened.terminology)
    versioned = surface.opened.history - surface.in_part - surface.trimmed
    pushes = "create" in surface.opened.writes
    offers_of_all = (*_EVERYWHERE, *(["transaction"] if pushes else []), *(["history-system"] if versioned else []))
    statement = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _SINCE,
        "kind": "instance",
        "software": {"name": "Consent Gateway", "version": version},
        "implementation": {"description": _WHY, "url": public_url},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "documentation": f"{_WHY} {_REFUSED}{', '.join(sorted(refused))}.",
                "security": {"description": _PURPOSE},
                "resource": [_resource(offer, common, refused, operations, versioned, surface) for offer in served],
                "interaction": [{"code": code} for code in offers_of_all],
                "searchParam": [{"name": name, "type": kind} for name, kind in sorted(common.items())],
                "compartment": [f"{_DEFINED}{name}" for name in _COMPARTMENTS],
            }
            | ({"operation": [_MESSAGES]} if pushes else {})
        ],
    }
    return msgspec.json.encode(statement)


def _common(served: Sequence[Offer]) -> Mapping[str, str]:
    """Give the search parameters that every type offers, with their kinds."""
    names = frozenset[str].intersection(*(frozenset(offer.parameters) for offer in served))
    return {name: _kind(served[0], name) for name in names}


def _refused(offer: Offer) -> frozenset[str]:
    """Give the search parameters of R4 that a type does not offer."""
    return frozenset(name for name, standing in offer.standing.items() if standing is not Standing.SEEN)


def _kind(offer: Offer, name: str) -> str:
    return "token" if name == "_id" else offer.parameters[name].kind


def _resource(
    offer: Offer,
    common: Mapping[str, str],
    refused: frozenset[str],
    operations: Sequence[Operation],
    versioned: frozenset[str],
    surface: Surface,
) -> dict[str, Any]:
    interactions = ["read", "search-type", *_written(offer.type, surface)]
    if offer.type in versioned:
        interactions += ["vread", "history-instance", "history-type"]
    found: dict[str, Any] = {
        "type": offer.type,
        "interaction": [{"code": code} for code in interactions],
        "conditionalRead": "not-match",
    }
    if offer.type in versioned:
        found |= {"versioning": "versioned", "readHistory": True}
    for element, names in (("searchInclude", offer.includes), ("searchRevInclude", offer.revincludes)):
        if listed := [name for name in sorted(names) if name.partition(":")[0] not in NOT_SERVED]:
            found[element] = listed
    own = [{"name": name, "type": _kind(offer, name)} for name in sorted(offer.parameters) if name not in common]
    if own:
        found["searchParam"] = own
    if listed := sorted(_refused(offer) - refused):
        found["documentation"] = f"{_REFUSED}{', '.join(listed)}."
    named = {one.name: one.definition for one in operations if one.type == offer.type}
    if named:
        found["operation"] = [{"name": name.removeprefix("$"), "definition": url} for name, url in named.items()]
    return found


def _written(type_: str, surface: Surface) -> list[str]:
    """Give what may be written of a type, for callers who may get a record in part."""
    writes = surface.opened.writes
    closed = NOT_UPDATED | surface.definitions | surface.in_part | surface.trimmed
    created = ["create"] if "create" in writes and type_ not in NOT_CREATED | TOGETHER.keys() | BESIDE else []
    return created + ([name for name in ("update", "patch") if name in writes] if type_ not in closed else [])
