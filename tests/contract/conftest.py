"""Servers that drivers need, started once for the whole run; stores of each driver, empty for each test."""

from collections.abc import Callable

import pytest

from tests.contract.drivers import DRIVERS, LASTING, READING, Opener
from tests.redis_server import Server, programs, running


@pytest.fixture(scope="session")
def redis_servers(tmp_path_factory) -> Callable[[str], Server]:
    """Gives the running server of a driver's name, started when it is first asked for."""
    started: dict[str, Server] = {}
    held = []

    def server(name: str) -> Server:
        if name not in started:
            block = running(tmp_path_factory.mktemp(name), program=programs()[name])
            started[name] = block.__enter__()
            held.append(block)
        return started[name]

    yield server
    for block in held:
        block.__exit__(None, None, None)


@pytest.fixture(params=DRIVERS)
def opener(request) -> Opener:
    """Opens a store of each driver."""
    return DRIVERS[request.param](request)


@pytest.fixture(params=LASTING)
def lasting(request) -> Opener:
    """Opens a store of each driver whose consents outlive it."""
    return DRIVERS[request.param](request)


@pytest.fixture
async def store(opener):
    """An empty store of each driver."""
    opened = await opener()
    yield opened
    await opened.close()


@pytest.fixture(params=READING)
async def readable(request):
    """An empty store of each driver, those included that are written to by others alone."""
    opened = await READING[request.param](request)()
    yield opened
    await opened.close()


@pytest.fixture(params=programs())
def server(request, redis_servers):
    """A server of each program."""
    return redis_servers(request.param)
