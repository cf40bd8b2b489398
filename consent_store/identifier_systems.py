"""The one spelling of each identifier system, for every spelling of it that is met.

Rules of this file
1. A system of the table is known by its URI with http or https, its OID, bare or as `urn:oid:`, its NamingSystem.
2. Any OID, bare or with the prefix in any letters, is `urn:oid:` and the OID; every other text is returned as written.
3. Without a system, a type v2-0203|NPI says of itself whose numbers these are; no other type does.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

US_NPI: Final = "http://hl7.org/fhir/sid/us-npi"
US_SSN: Final = "http://hl7.org/fhir/sid/us-ssn"
US_MBI: Final = "http://hl7.org/fhir/sid/us-mbi"
US_MEDICARE: Final = "http://hl7.org/fhir/sid/us-medicare"
US_CCN: Final = "http://terminology.hl7.org/NamingSystem/CCN"
US_DEA: Final = "http://terminology.hl7.org/NamingSystem/USDEANumber"

# OIDs and NamingSystems as HL7's registries list them (terminology.hl7.org; R4 namingsystem-registry); without scheme.
_SPELLINGS: Final[Mapping[str, tuple[str, ...]]] = {
    US_NPI: (
        "2.16.840.1.113883.4.6",
        "terminology.hl7.org/NamingSystem/npi",
        "hl7.org/fhir/NamingSystem/us-npi",
        "npi",
        "us-npi",
    ),
    US_SSN: (
        "2.16.840.1.113883.4.1",
        "terminology.hl7.org/NamingSystem/ssn",
        "hl7.org/fhir/NamingSystem/us-ssn",
        "us-ssn",
    ),
    US_MBI: ("2.16.840.1.113883.4.927", "terminology.hl7.org/NamingSystem/cmsMBI"),
    US_MEDICARE: ("2.16.840.1.113883.4.572",),
    US_CCN: ("2.16.840.1.113883.4.336",),
    US_DEA: ("2.16.840.1.113883.4.814",),
}
_TYPES: Final = frozenset(
    {"terminology.hl7.org/codesystem/v2-0203", "hl7.org/fhir/v2/0203", "2.16.840.1.113883.18.108"}
)
_OID: Final = re.compile(r"(?:urn:oid:)?([0-2](?:\.(?:0|[1-9]\d*))+)", re.IGNORECASE)


def _bare(system: str) -> str:
    """The form in which systems are looked up: no scheme or prefix, no closing slash, lower case."""
    text = system.strip().casefold()
    for opening in ("http://", "https://", "urn:oid:"):
        text = text.removeprefix(opening)
    return text.removeprefix("www.").rstrip("/")


_ALIASES: Final = {_bare(one): known for known, others in _SPELLINGS.items() for one in (known, *others)}


@lru_cache(maxsize=4096)
def canonical_identifier_system(system: str) -> str:
    """Give the one spelling of an identifier system; one that is not known comes back as it was written."""
    known = _ALIASES.get(_bare(system))
    if known is not None:
        return known
    oid = _OID.fullmatch(system.strip())
    return f"urn:oid:{oid[1]}" if oid is not None else system


@lru_cache(maxsize=4096)
def spellings(system: str) -> tuple[str, ...]:
    """Give the spellings in which somebody who compares texts may hold a system: its own first, then those of FHIR."""
    own = canonical_identifier_system(system)
    oid = next(iter(_SPELLINGS.get(own, ())), None) or (own.removeprefix("urn:oid:") if _OID.fullmatch(own) else None)
    return tuple(dict.fromkeys((own, *((f"urn:oid:{oid}", oid) if oid is not None else ()))))


def system_of(node: Mapping[str, Any]) -> str | None:
    """Give the system of an Identifier in parsed JSON: as it says, or by its type; None where it says neither."""
    system = node.get("system")
    if isinstance(system, str) and system:
        return canonical_identifier_system(system)
    kind = node.get("type") if "system" not in node else None
    codings = kind.get("coding") if isinstance(kind, dict) else None
    for one in codings if isinstance(codings, list) else ():
        if isinstance(one, dict) and one.get("code") == "NPI" and _bare(str(one.get("system", ""))) in _TYPES:
            return US_NPI
    return None
