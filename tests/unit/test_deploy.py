"""Every configuration file in `deploy/` is read by what will read it."""

from pathlib import Path

import pytest
import yaml

from gateway import bootstrap
from gateway.directory.reading import parse_directory
from gateway.identity.caller import check_clients
from gateway.settings_reading import parse_settings

DEPLOY = Path(__file__).parents[2] / "deploy"
EXAMPLES = sorted(folder.name for folder in (DEPLOY / "examples").iterdir())


def text(name: str) -> str:
    """Read one file of the folder."""
    return (DEPLOY / name).read_text(encoding="utf-8")


def test_there_is_an_example_for_plan_provider_and_cbo():
    """One example each for those who put the gateway before their server."""
    assert ["cbo", "plan", "provider"] == EXAMPLES


@pytest.mark.parametrize("folder", [*(f"examples/{name}" for name in EXAMPLES), "compose"])
def test_an_example_is_read_whole(folder):
    """Settings and directory parse, owners and profiles exist, clients belong to issuers."""
    settings = parse_settings(text(f"{folder}/gateway.yaml"), "gateway.yaml")
    policies = bootstrap.read_shelf().policies
    types = set().union(*(policy.types for policy in policies.values()))
    directory = parse_directory(text(f"{folder}/directory.yaml"), "directory.yaml", types)

    check_clients(directory, settings.issuers)
    assert not settings.development
    for route in settings.routes:
        assert route.owner in directory.participants
        assert route.profile in policies
        assert route.allow_open_upstream is (folder == "compose")  # there the server is on an internal network


def test_the_image_is_slim_non_root_and_checks_its_health():
    """The Dockerfile ends as a user of its own, with a health check, and starts the gateway."""
    lines = text("Dockerfile").splitlines()

    assert any(line.startswith("FROM python:3.11-slim") for line in lines)
    assert any(line.startswith("USER ") and "root" not in line for line in lines)
    assert any(line.startswith("HEALTHCHECK ") for line in lines)
    assert lines[-1].startswith('ENTRYPOINT ["consent-gateway", "serve"')


def test_compose_hides_the_server_behind_the_gateway():
    """Only the gateway publishes a port; the FHIR server and the store are on an internal network alone (L074)."""
    services = yaml.safe_load(text("compose.yaml"))

    published = [name for name, service in services["services"].items() if "ports" in service]
    assert ["gateway"] == published
    assert services["networks"]["inside"]["internal"] is True
    assert ["inside"] == services["services"]["hapi"]["networks"]
    assert services["services"]["gateway"]["read_only"] is True


def test_the_unit_starts_the_gateway_as_nobody_in_particular():
    """The systemd unit runs without a fixed user, new privileges or a writable system."""
    unit = text("systemd/consent-gateway.service").splitlines()

    assert {"DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict"} <= set(unit)
