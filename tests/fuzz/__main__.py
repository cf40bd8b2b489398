"""`make fuzz MINUTES=… SEED=…`: half the time the readers, led by coverage; the rest the data and the control plane.

What breaks is made small, kept in tests/fuzz/found, and told; the status is 0 where nothing broke.
"""

import argparse
import asyncio
import hashlib
import importlib.util
import random
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.conftest import REPOSITORY
from tests.fuzz.control import fuzz_control
from tests.fuzz.door import door, written
from tests.fuzz.mutating import mutated, shrunk
from tests.fuzz.readers import READERS, broken
from tests.fuzz.requests import made
from tests.fuzz.seeds import seeds

FOUND = Path(__file__).parent / "found"


def tell(line: str) -> None:
    """Print one line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def keep(target: str, raw: bytes, suffix: str = "") -> str:
    """Keep an input where `make test` finds it; gives the file's name."""
    (FOUND / target).mkdir(parents=True, exist_ok=True)
    file = FOUND / target / f"{hashlib.sha256(raw).hexdigest()[:12]}{suffix}"
    file.write_bytes(raw)
    return f"{target}/{file.name}"


def reader(name: str, seconds: float, seed: int) -> bool:
    """Fuzz one reader; True where nothing broke it."""
    find = guided if importlib.util.find_spec("atheris") else unguided
    failing, said = find(name, seconds, seed)
    if failing is None:
        tell(f"{name}: {said}")
        return True
    wrong = broken(name, failing)
    small = shrunk(failing, lambda text: broken(name, text)[:30] == wrong[:30])
    tell(f"{name}: {broken(name, small) or said}; kept as {keep(name, small)}")
    return False


def guided(name: str, seconds: float, seed: int) -> tuple[bytes | None, str]:
    """Fuzz in a process of its own, led by what the reader's code covers (tests/fuzz/guided.py)."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.fuzz.guided", name, str(max(int(seconds), 1)), str(seed), folder]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        found = [file.read_bytes() for file in sorted(Path(folder).glob("found-*"))]
    lines = [line for line in done.stderr.splitlines() if line.startswith("Done ")]
    if found or done.returncode:
        return (found or [b""])[0], done.stderr[-500:]
    return None, f"{lines[0].split()[1] if lines else 0} inputs, 0 differences"


def unguided(name: str, seconds: float, seed: int) -> tuple[bytes | None, str]:
    """Fuzz by changes alone, where there is no atheris for the machine."""
    until, rand, texts, tried = time.monotonic() + seconds, random.Random(seed), seeds(name, most=200), 0  # noqa: S311
    while time.monotonic() < until:
        tried += 1
        if broken(name, text := mutated(texts, rand)):
            return text, ""
    return None, f"{tried} inputs, 0 differences"


async def data_plane(seconds: float, seed: int) -> bool:
    """Fuzz the data plane; True where no answer was wrong."""
    rand, faults = random.Random(seed), set()  # noqa: S311  a seed, so that a run can be had again
    with TemporaryDirectory() as folder:
        async with door(Path(folder)) as one:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                case = made(rand)
                wrong = await one.wrong(case)
                if wrong and wrong not in faults:
                    faults.add(wrong)
                    small = await one.small(case, wrong)
                    tell(f"data plane: {wrong}; kept as {keep('door', written(small).encode(), '.json')}")
            said = ", ".join(f"{count} times {status or 'closed'}" for status, count in sorted(one.asked.items()))
    tell(f"data plane: {sum(one.asked.values())} requests, {len(faults)} faults ({said})")
    return not faults


async def control_plane(seconds: float, seed: int) -> bool:
    """Fuzz the control plane; True where nothing was wrong."""
    with TemporaryDirectory() as folder:
        well, said = await fuzz_control(Path(folder), seconds, seed)
    tell("control plane: " + (said.strip().splitlines() or ["nothing"])[-1] if well else said)
    return well


def main() -> int:
    """Run as the arguments say. Gives the exit status."""
    asked = argparse.ArgumentParser(prog="fuzz")
    asked.add_argument("--minutes", type=float, default=2)
    asked.add_argument("--seed", type=int, default=1)
    given = asked.parse_args()
    seconds = given.minutes * 60
    well = [reader(name, seconds / 2 / len(READERS), given.seed) for name in READERS]
    well.append(asyncio.run(data_plane(seconds * 0.35, given.seed)))
    well.append(asyncio.run(control_plane(seconds * 0.15, given.seed)))
    tell(f"{given.minutes:g} minutes, seed {given.seed}: {well.count(False)} of {len(well)} targets broken")
    return 0 if all(well) else 1


if __name__ == "__main__":
    raise SystemExit(main())
