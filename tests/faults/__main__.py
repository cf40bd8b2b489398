"""`make faults MINUTES=… SEED=…`: what the gateway keeps of its promises while it and the server behind it fail.

The last line says `N requests, N faults, N broken`; the status is 0 where nothing is.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.running import Faults


def tell(line: str) -> None:
    """Print one line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run as the arguments say. Gives the exit status."""
    asked = argparse.ArgumentParser(prog="faults")
    asked.add_argument("--minutes", type=float, default=1)
    asked.add_argument("--seed", type=int, default=1)
    given = asked.parse_args()
    with TemporaryDirectory() as folder:
        run = asyncio.run(Faults(Path(folder), given.seed).carry_out(given.minutes * 60, tell))
    for line in run.told():
        tell(line)
    return 1 if run.broken else 0


raise SystemExit(main())
