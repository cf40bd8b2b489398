"""Servers that drivers need: started once for the whole run."""

from collections.abc import Callable

import pytest

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
