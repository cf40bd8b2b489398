"""Which types clients write through the gateway: closed lists, the same for everybody (leaks.md L053, L080, L081).

Rules of this file
1. What tells who may see what, who somebody is, or makes the server act, is not written by those who exchange.
2. What other records take their labels, patients or places from is not changed, though it may be sent: a change of it
   would lower what others carry (L075, L076).
"""

from typing import Final

NOT_CREATED: Final = frozenset(
    {"AuditEvent", "Consent", "List", "OrganizationAffiliation", "Person", "PractitionerRole", "Provenance"}
    | {"Subscription"}
)
"""Not sent, alone or in a transaction, batch or message. A Group and a CareTeam are: they are data of a person's care,
marked as pushed, and a new one is named by no consent."""

NOT_UPDATED: Final = NOT_CREATED | frozenset(
    {"Binary", "Bundle", "CareTeam", "Coverage", "Encounter", "Endpoint", "EpisodeOfCare", "Group"}
    | {"HealthcareService", "Location", "MessageHeader", "Organization", "Patient", "Practitioner", "RelatedPerson"}
)
"""Not updated, besides what is of no patient and what this class of callers may get in part."""
