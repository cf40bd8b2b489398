"""Fixtures every test may ask for, how many examples a law is tried on, and no skip where all must run."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"
# Set to 1 where everything must run (CI): absent shared data fails, and any test that was skipped fails the run.
REQUIRE_SHARED = "CONSENT_GATEWAY_REQUIRE_SHARED"
# How many examples a law is tried on: `make laws N=...`.
EXAMPLES = "CONSENT_GATEWAY_EXAMPLES"

# The same examples every time, so that a commit fails of itself and not by chance; `make laws` searches new ones.
settings.register_profile("gateway", max_examples=100, deadline=None, derandomize=True)
settings.register_profile("search", max_examples=int(os.environ.get(EXAMPLES, "100")), deadline=None)
settings.load_profile("search" if EXAMPLES in os.environ else "gateway")


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


def skipped(config: pytest.Config) -> int:
    """How many tests of this run were skipped, in every worker."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return len(reporter.stats.get("skipped", ())) if reporter else 0


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that skipped anything where everything must run; `-ra` prints the reasons."""
    if os.environ.get(REQUIRE_SHARED) == "1" and skipped(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        session.config.pluginmanager.get_plugin("terminalreporter").write_line(
            f"skipped tests fail this run: {REQUIRE_SHARED}=1", red=True
        )
