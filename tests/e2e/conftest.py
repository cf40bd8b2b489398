"""Scenes that several files here ask, set up once for the whole run."""

import pytest_asyncio

from tests.e2e.read_twins import read_twins


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def twins(tmp_path_factory):
    """Two gateways, with and without what is withheld; who gives a consent takes it back."""
    async with read_twins(tmp_path_factory.mktemp("reads")) as both:
        yield both
