"""Which types clients write through the gateway: closed lists, the same for everybody (leaks.md L053, L080, L081).

Rules of this file
1. What tells who may see what, who somebody is, or makes the server act, is not written by those who exchange.
2. Groups, teams, lists, roles and affiliations are data of care and attribution when they are pushed: marked so
   (`decision.pushed`), and never read as who belongs to whom.
3. What other records take their labels, patients or places from is not changed, though it may be sent: a change of it
   would lower what others carry (L075, L076).
"""

from collections.abc import Mapping
from typing import Final

NOT_CREATED: Final = frozenset({"AuditEvent", "Consent", "Person", "Subscription"})
"""Not sent, alone or in a transaction, batch or message."""

TOGETHER: Final[Mapping[str, tuple[str, ...]]] = {"List": ("entry", "item"), "Provenance": ("target",)}
"""Sent only in the transaction that makes all they speak of, which stands at these elements: they are the sender's word
about its own records, and about no other."""

BESIDE: Final = frozenset({"OrganizationAffiliation", "PractitionerRole"})
"""Sent only with records of patients, whose authors and performers they are: nobody keeps the receiver's directory."""

NOT_UPDATED: Final = (
    NOT_CREATED
    | TOGETHER.keys()
    | BESIDE
    | frozenset(
        {"Binary", "Bundle", "CareTeam", "Coverage", "Device", "Encounter", "Endpoint", "EpisodeOfCare", "Group"}
        | {"HealthcareService", "Location", "MessageHeader", "Organization", "Patient", "Practitioner", "RelatedPerson"}
    )
)
"""Not updated, besides what is of no patient and what this class of callers may get in part."""
