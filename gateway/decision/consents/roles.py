"""Who an actor of a provision is, by its role: a recipient, a discloser, an author, or not to be told.

Rules of this file (consent-semantics section 3, actor.role)
1. Only IRCP, PRCP and GRANTEE are recipients; CST and performer say who discloses; AUT whose data it is.
2. An unknown role, none in R4, or roles of two kinds cannot be told: no permit, and a deny matches.
3. An R5 actor may go without a role: it is whom the provision is about, a recipient.
"""

from enum import Enum
from typing import Final

from consent_store.model import Actor, Dialect


class Kind(Enum):
    """What an actor is to an exchange."""

    RECIPIENT = "recipient"
    CUSTODIAN = "custodian"  # CST: who must enforce the Consent
    DISCLOSER = "discloser"  # performer: who may disclose (HRex)
    AUTHOR = "author"
    UNKNOWN = "unknown"


_PARTICIPATION: Final = "v3-ParticipationType"
_PROVENANCE: Final = "provenance-participant-type"
_ROLES: Final = {
    (_PARTICIPATION, "IRCP"): Kind.RECIPIENT,
    (_PARTICIPATION, "PRCP"): Kind.RECIPIENT,
    ("v3-RoleCode", "GRANTEE"): Kind.RECIPIENT,
    (_PARTICIPATION, "CST"): Kind.CUSTODIAN,
    (_PROVENANCE, "performer"): Kind.DISCLOSER,
    (_PARTICIPATION, "AUT"): Kind.AUTHOR,
    (_PROVENANCE, "author"): Kind.AUTHOR,
}
# Spellings of the role systems (labels.md section 1; OIDs from the HL7 v3 code systems of the same names).
_SYSTEMS: Final = {
    f"{scheme}://{place}": name
    for scheme in ("http", "https")
    for place, name in (
        ("terminology.hl7.org/CodeSystem/v3-ParticipationType", _PARTICIPATION),
        ("hl7.org/fhir/v3/ParticipationType", _PARTICIPATION),
        ("terminology.hl7.org/CodeSystem/v3-RoleCode", "v3-RoleCode"),
        ("hl7.org/fhir/v3/RoleCode", "v3-RoleCode"),
        ("terminology.hl7.org/CodeSystem/provenance-participant-type", _PROVENANCE),
        ("hl7.org/fhir/provenance-participant-type", _PROVENANCE),
    )
} | {"urn:oid:2.16.840.1.113883.5.90": _PARTICIPATION, "urn:oid:2.16.840.1.113883.5.111": "v3-RoleCode"}


def kind_of(actor: Actor, dialect: Dialect) -> Kind:
    """Give what an actor is; one known code is enough, whatever other codes stand beside it."""
    if not actor.role:
        return Kind.RECIPIENT if dialect is Dialect.R5 else Kind.UNKNOWN
    named = {_ROLES.get((_SYSTEMS.get(one.system or "", ""), one.code or "")) for one in actor.role} - {None}
    return next(iter(named)) or Kind.UNKNOWN if len(named) == 1 else Kind.UNKNOWN
