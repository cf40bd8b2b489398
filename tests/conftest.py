"""Fixtures every test may ask for."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"
REQUIRE_SHARED = "CONSENT_GATEWAY_REQUIRE_SHARED"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared data and cases beside the checkout; without them the test is skipped, or fails where required."""
    if SHARED.is_dir():
        return SHARED
    if os.environ.get(REQUIRE_SHARED) == "1":
        pytest.fail(f"the shared data is not beside the checkout, and {REQUIRE_SHARED}=1 asks for it", pytrace=False)
    pytest.skip("the shared data is not beside the checkout")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of this checkout."""
    return REPOSITORY
