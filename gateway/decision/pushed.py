"""The mark on what a client pushed of people, places and groups: it is data, never proof of who somebody is (L080).

Rules of this file
1. A record with the mark shows nobody's membership and nobody's identity. A client that sends the mark itself only
   gives up what it could have shown.
2. It is put on by the gateway when such a record is forwarded, and stays: records of these types are not updated by
   clients.
"""

from typing import Final

from gateway.fhir.view import ResourceView

PUSHED: Final = {"system": "urn:consent-gateway:origin", "code": "pushed"}
"""The mark, in `meta.tag`."""

MARKED: Final = frozenset(
    {"CareTeam", "Device", "Group", "List", "Organization", "OrganizationAffiliation", "Patient", "Practitioner"}
    | {"PractitionerRole", "Provenance", "RelatedPerson"}
)
"""Types that a consent may name, or that tell who belongs to whom, or where a record comes from."""


def is_pushed(view: ResourceView) -> bool:
    """Say whether a record has the mark."""
    meta = view.tree.get("meta")
    tags = meta.get("tag") if isinstance(meta, dict) else None
    listed = tags if isinstance(tags, list) else []
    return any(isinstance(one, dict) and PUSHED.items() <= one.items() for one in listed)
