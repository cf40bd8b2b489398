"""The documentation is held to the code: every knob stands there, every command in it runs."""

import re
import shlex
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from gateway import settings
from gateway.cli import app

ROOT = Path(__file__).parents[2]
DOCS = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md"])
COMMANDS = [
    (file.name, line[2:])
    for file in DOCS
    for block in re.findall(r"```console\n(.*?)```", file.read_text(encoding="utf-8"), re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ consent-gateway ")
]


@pytest.mark.parametrize(
    "knobs", [settings.Settings, settings.Route, settings.Limits, settings.Issuer, settings.Listener]
)
def test_every_knob_is_documented(knobs):
    """Each key of the settings file stands in docs/configuration.md."""
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    named_otherwise = {"tenant", "name", "routes"}

    missing = {field.name for field in msgspec.structs.fields(knobs) if f"`{field.name}`" not in text} - named_otherwise
    assert not missing


def test_documentation_has_commands():
    """There is something to run: the example of the documentation of decide."""
    assert "decide.md" in {name for name, _ in COMMANDS}


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_a_command_of_the_documentation_runs(name, command, monkeypatch):
    """What the documentation tells a reader to type works as typed, from the root of a checkout."""
    monkeypatch.chdir(ROOT)

    assert name
    assert 0 == CliRunner().invoke(app, shlex.split(command)[1:]).exit_code
