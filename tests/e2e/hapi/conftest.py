"""One HAPI for all of these tests, with the records loaded that they ask for, and gateways before it."""

from pathlib import Path

import pytest

from gateway.demo.story import DIRECTORY, StoryConsent, story_consent, story_resources
from gateway.demo.telling import ROUTES
from tests.e2e.hapi.gateway import gateway
from tests.e2e.hapi.server import hapi


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs HAPI."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.hapi)


MEASURED = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what HAPI took in this run: docs/decisions/0004-hapi.md has the numbers of another one."""
    for line in config.stash.get(MEASURED, []):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def measured(request):
    """What the summary will say."""
    return request.config.stash.setdefault(MEASURED, [])


@pytest.fixture(scope="session")
def server(repository, tmp_path_factory, measured):
    """HAPI, up and empty but for what other fixtures loaded."""
    with hapi(repository, tmp_path_factory.mktemp("hapi")) as one:
        measured.append(f"HAPI answered /metadata {one.started:.0f} s after its start, with {one.memory >> 20} MiB")
        yield one
        measured.append(f"HAPI at the end: {one.memory >> 20} MiB")


@pytest.fixture(scope="session")
def story_server(server, measured):
    """HAPI with the story's records."""
    took = server.load(story_resources())
    measured.append(f"the story: {took.resources} resources loaded in {took.seconds:.1f} s")
    return server


@pytest.fixture(scope="session")
def story_gateway(story_server, tmp_path_factory):
    """A gateway before the story's records, as in its first act: one route for each profile, and the plan's."""
    with gateway(tmp_path_factory.mktemp("story"), story_server, DIRECTORY.read_text(), ROUTES) as one:
        one.sign(story_consent(StoryConsent.ROSA_GENERAL))
        one.sign(story_consent(StoryConsent.DANA_HOUSING))
        yield one
