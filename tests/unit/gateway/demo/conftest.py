"""A small embedded upstream to ask, and a client that speaks HTTP to it without a socket."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import httpx2
import pytest

from gateway.demo.upstream import EmbeddedUpstream

BASE = "http://up.test/fhir"
LOADED = datetime(2026, 11, 22, 12, tzinfo=UTC)

SUGAR = b"""{ "resourceType":"Observation", "id":"sugar",
  "meta": {"versionId": "7", "lastUpdated": "2026-03-01T10:00:00Z"},
  "subject": {"reference": "Patient/ann"}, "encounter": {"reference": "Encounter/visit"},
  "code": {"coding": [{"system": "http://loinc.org", "code": "2345-7"}]},
  "effectiveDateTime": "2026-02-03", "valueQuantity": {"value": 1.10}, "note": [{"text": "caf\\u00e9 \\/ 5"}] }"""


def resources() -> list[bytes | dict]:
    """Two patients, one visit, and what was found there; `sugar` in a spelling of its own."""
    return [
        {
            "resourceType": "Patient",
            "id": "ann",
            "identifier": [{"system": "urn:mrn", "value": "7"}],
            "name": [{"family": "Bergmüller", "given": ["Zoë"]}],
            "gender": "female",
            "birthDate": "1980-02-03",
        },
        {"resourceType": "Patient", "id": "bob", "identifier": [{"value": "7"}]},
        {"resourceType": "Organization", "id": "north", "identifier": [{"system": "urn:npi", "value": "a|b"}]},
        {
            "resourceType": "Encounter",
            "id": "visit",
            "subject": {"reference": "Patient/ann"},
            "period": {"start": "2026-02-01", "end": "2026-02-10"},
            "serviceProvider": {"reference": "Organization/north"},
        },
        SUGAR,
        {
            "resourceType": "Observation",
            "id": "weight",
            "subject": {"reference": f"{BASE}/Patient/ann/_history/2"},
            "category": [{"coding": [{"system": "urn:cat", "code": "vital-signs"}]}],
            "code": {"coding": [{"code": "29463-7"}, {"system": "urn:local", "code": "kg"}]},
            "effectivePeriod": {"start": "2026-05-01T10:00:00Z"},
        },
        {
            "resourceType": "Observation",
            "id": "elsewhere",
            "subject": {"reference": "http://other.test/fhir/Patient/ann"},
            "code": {"text": "2345-7"},
        },
        {
            "resourceType": "Observation",
            "id": "bobs",
            "subject": {"reference": "Patient/bob"},
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "2345-7"}]},
            "effectiveDateTime": "2026-02",
        },
        {
            "resourceType": "AllergyIntolerance",
            "id": "nuts",
            "patient": {"reference": "Patient/ann"},
            "category": ["food"],
        },
    ]


@pytest.fixture
def upstream() -> EmbeddedUpstream:
    """An open upstream with the small data set, loaded at a fixed instant."""
    return EmbeddedUpstream(resources(), now=lambda: LOADED)


@pytest.fixture
async def client(upstream: EmbeddedUpstream) -> AsyncIterator[httpx2.AsyncClient]:
    """A client at the upstream's base."""
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=upstream), base_url=BASE) as opened:
        yield opened


@pytest.fixture
def ids() -> Callable[[httpx2.Response], list[str]]:
    """Reads the ids of a searchset's entries, in order."""
    return lambda answer: [entry["resource"]["id"] for entry in answer.json().get("entry", [])]
