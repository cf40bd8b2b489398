"""Fixtures of the control plane."""

from collections.abc import AsyncIterator

import pytest

from gateway.ledger.sqlite import SqliteLedger
from tests.unit.gateway.control.plane import Plane


@pytest.fixture
async def ledger(tmp_path) -> AsyncIterator[SqliteLedger]:
    """An empty ledger."""
    one = await SqliteLedger.open(tmp_path / "ledger.db")
    yield one
    await one.close()


@pytest.fixture
async def plane(ledger) -> AsyncIterator[Plane]:
    """The control plane with nothing in it."""
    one = Plane(ledger)
    yield one
    await one.http.aclose()
