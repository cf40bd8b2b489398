"""Consents of a FHIR server for the tests of the driver that reads them there: whose they are, and what is found."""

import json

from consent_store.model import Identifier, PatientKey
from consent_store.store import Failed, Found, Subject
from tests.consents import MRN, r4
from tests.fhir_consents import searchset


def subject(record: str, *values: str, source: str = "ehr") -> Subject:
    """The subject with this record and these MRNs."""
    return Subject(PatientKey(source, record), frozenset(Identifier(MRN, value) for value in values))


def patient(record: str, *values: str) -> dict:
    """A Patient with these MRNs."""
    return {
        "resourceType": "Patient",
        "id": record,
        "identifier": [{"system": MRN, "value": value} for value in values],
    }


def of(record: str, **parts) -> dict:
    """A Consent of this patient."""
    return r4(patient={"reference": f"Patient/{record}"}, **parts)


async def look_up(store, who) -> Found | Failed:
    """What is found of one subject; its revision alone is the same answer."""
    found = (await store.snapshot([who]))[who]
    alone = (await store.revisions([who]))[who]
    assert alone == (found.revision if isinstance(found, Found) else found)
    return found


# Failures ---------------------------------------------------------------------------------------------------------
GOOD = json.dumps(searchset(of("1"))).encode()
