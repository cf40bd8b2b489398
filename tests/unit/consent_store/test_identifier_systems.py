"""One spelling for each identifier system, however it is written."""

import pytest

from consent_store.identifier_systems import (
    US_MBI,
    US_NPI,
    US_SSN,
    canonical_identifier_system,
    spellings,
    system_of,
)
from consent_store.model import Identifier

TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"


@pytest.mark.parametrize(
    ("written", "system"),
    [
        ("http://hl7.org/fhir/sid/us-npi", US_NPI),
        ("https://hl7.org/fhir/sid/us-npi/", US_NPI),
        ("urn:oid:2.16.840.1.113883.4.6", US_NPI),
        ("URN:OID:2.16.840.1.113883.4.6", US_NPI),
        ("2.16.840.1.113883.4.6", US_NPI),
        ("http://terminology.hl7.org/NamingSystem/npi", US_NPI),
        ("NPI", US_NPI),
        ("2.16.840.1.113883.4.1", US_SSN),
        ("urn:oid:2.16.840.1.113883.4.927", US_MBI),
        ("1.2.3.4", "urn:oid:1.2.3.4"),
        ("urn:oid:1.2.3.4", "urn:oid:1.2.3.4"),
        ("http://hospital.example/mrn", "http://hospital.example/mrn"),
        ("https://hospital.example/mrn", "https://hospital.example/mrn"),
        ("urn:mrn", "urn:mrn"),
        ("", ""),
    ],
)
def test_a_system_has_one_spelling(written, system):
    """Known systems by URI, OID and NamingSystem, any OID with its prefix; another's text is nobody else's."""
    assert system == canonical_identifier_system(written)
    assert Identifier(system, "7") == Identifier(written, "7")
    assert 1 == len({Identifier(system, "7"), Identifier(written, "7")})


@pytest.mark.parametrize(
    ("node", "system"),
    [
        ({"system": "urn:oid:2.16.840.1.113883.4.6"}, US_NPI),
        ({"type": {"coding": [{"system": TYPES, "code": "NPI"}]}}, US_NPI),
        ({"type": {"coding": [{"system": "http://hl7.org/fhir/v2/0203", "code": "NPI"}]}}, US_NPI),
        ({"type": {"coding": [{"system": TYPES, "code": "MR"}]}}, None),
        ({"type": {"coding": [{"system": "urn:other", "code": "NPI"}]}}, None),
        ({"type": {"text": "NPI"}}, None),
        ({"system": "urn:own", "type": {"coding": [{"system": TYPES, "code": "NPI"}]}}, "urn:own"),
        ({"system": 7, "type": {"coding": [{"system": TYPES, "code": "NPI"}]}}, None),
        ({"type": "NPI"}, None),
        ({"type": {"coding": ["NPI"]}}, None),
        ({}, None),
    ],
)
def test_the_type_tells_where_no_system_does(node, system):
    """v2-0203|NPI says whose number it is; a system that is there says it alone."""
    assert system == system_of(node)


def test_who_compares_texts_is_asked_in_each_spelling():
    """A server finds an identifier by the text it holds."""
    assert (US_NPI, "urn:oid:2.16.840.1.113883.4.6", "2.16.840.1.113883.4.6") == spellings("NPI")
    assert ("urn:oid:1.2", "1.2") == spellings("1.2")
    assert ("urn:mrn",) == spellings("urn:mrn")
