"""The gateway's own CapabilityStatement: what is really offered on a route, nothing of what stands behind it (L056).

Rules of this file
1. Static per route: made once from the closed sets that the requests themselves are held against.
2. What some class of callers is not offered is not in it.
"""

from typing import Any, Final

import msgspec

from gateway.fhir.search_offers import Offer, Offers

NOT_SERVED: Final = frozenset({"AuditEvent", "Consent", "Subscription"})
"""Types that are neither read nor searched here: who saw what, who may see what (leaks.md L041, L042, L053)."""

_WHY: Final = "The gateway releases what law, agreement and consent allow for the stated purpose of use."
_PURPOSE: Final = "A token of a registered client, and one purpose of use: in the token or as X-Purpose-Of-Use."
_SINCE: Final = "2026-11-22"


def capability_statement(public_url: str, offers: Offers, version: str) -> bytes:
    """Give the text of the statement of a route (R4 capabilitystatement.html)."""
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
                "documentation": _WHY,
                "security": {"description": _PURPOSE},
                "resource": [_resource(offer) for offer in offers.describe() if offer.type not in NOT_SERVED],
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
            }
        ],
    }
    return msgspec.json.encode(statement)


def _resource(offer: Offer) -> dict[str, Any]:
    interactions = ["read", "search-type", *(["create"] if offer.type == "Bundle" else [])]
    found: dict[str, Any] = {
        "type": offer.type,
        "interaction": [{"code": code} for code in interactions],
        "versioning": "no-version",
        "readHistory": False,
        "updateCreate": False,
        "conditionalCreate": False,
        "conditionalRead": "not-supported",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
    }
    if offer.includes:
        found["searchInclude"] = sorted(offer.includes)
    if offer.revincludes:
        found["searchRevInclude"] = sorted(offer.revincludes)
    parameters = [
        {"name": name, "type": "token" if name == "_id" else parameter.kind}
        for name, parameter in sorted(offer.parameters.items())
    ]
    return found | ({"searchParam": parameters} if parameters else {})
