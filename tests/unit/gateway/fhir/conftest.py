"""The element table of R4, read once."""

from pathlib import Path

import pytest

from gateway.fhir.elements import Elements


@pytest.fixture(scope="session")
def elements() -> Elements:
    """The published table."""
    folder = Path(__file__).parents[4] / "profiles" / "fhir"
    return Elements.from_json((folder / "elements.json").read_bytes())
