"""The tables of R4, read once; searches that are admitted by them."""

from pathlib import Path

import pytest

from gateway.fhir.elements import Elements
from gateway.fhir.query import parse_query
from gateway.fhir.search import admit
from gateway.fhir.search_offers import Offers
from gateway.fhir.search_parameters import SearchParameters
from tests.unit.gateway.fhir.searches import NO_PATIENT, PUBLIC


@pytest.fixture(scope="session")
def elements() -> Elements:
    """The published table."""
    folder = Path(__file__).parents[4] / "profiles" / "fhir"
    return Elements.from_json((folder / "elements.json").read_bytes())


@pytest.fixture(scope="session")
def parameters(elements) -> SearchParameters:
    """The published search parameters."""
    folder = Path(__file__).parents[4] / "profiles" / "fhir"
    return SearchParameters.from_json((folder / "search.json").read_bytes(), elements)


@pytest.fixture(scope="module")
def offers(parameters):
    """What every caller is offered."""
    return Offers(parameters, no_patient_types=NO_PATIENT)


@pytest.fixture
def search(offers):
    """Admit a search written as type?query."""

    def admitted(text, offers=offers, **more):
        type_, _, query = text.partition("?")
        return admit(type_, parse_query(query.encode()), offers, own=frozenset({PUBLIC}), **more)

    return admitted
