"""The tables of R4, read once."""

from pathlib import Path

import pytest

from gateway.fhir.elements import Elements
from gateway.fhir.search_parameters import SearchParameters


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
