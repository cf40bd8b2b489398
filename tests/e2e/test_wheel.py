"""What is shipped works by itself: the wheel, installed in a clean environment, away from the checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.wheel

PACKAGES = ("gateway", "consent_store", "profiles")


def run(*command: str | Path, cwd: Path, seconds: int = 120) -> subprocess.CompletedProcess[str]:
    """Run a command with an environment that tells nothing of the checkout; its output is kept for the failure."""
    clean = {"PATH": os.environ["PATH"], "HOME": str(cwd), "LANG": "C.UTF-8"}
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, env=clean, capture_output=True, text=True, timeout=seconds, check=False)


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout with the locked build backend."""
    folder = tmp_path_factory.mktemp("wheel")
    built = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, repository, cwd=folder)
    assert 0 == built.returncode, built.stdout + built.stderr
    (wheel,) = folder.glob("consent_gateway-*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment with the wheel in it, and our dependencies on its path but not our editable install."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    # A path that a .pth file adds is not searched for .pth files, so the checkout itself stays out of reach.
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    put = run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=home)
    assert 0 == put.returncode, put.stdout + put.stderr
    return home


def test_the_wheel_carries_every_file_of_the_three_packages(wheel: Path, repository: Path) -> None:
    """Code, profiles, their tests and the code lists are all in the wheel, and nothing else of the repository is."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    ours = {name for name in listing.stdout.splitlines() if (repository / name).is_file()}
    carried = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert ours == carried


def test_the_installed_packages_are_the_wheels(installed: Path) -> None:
    """The clean environment imports our packages from the wheel and cannot see the checkout."""
    told = run(installed / "bin" / "python", "-c", "import gateway; print(gateway.__file__)", cwd=installed)
    assert str(installed) == told.stdout[: len(str(installed))], told.stderr


def test_the_demo_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """The command that the wheel installs tells the demo's story to its end, each line as the story says."""
    told = run(installed / "bin" / "consent-gateway", "demo", "--once", cwd=tmp_path)
    assert 0 == told.returncode, told.stdout + told.stderr
