"""Switch off each defence in turn, and see that the test of its leak fails.

    python -m tests.attack.defences [L046 …]     # all, or these leaks alone

A test that passes without its defence shows nothing. For each row of `table`: the tests it names are run with the
defence off until one fails, and that one once more with it on, where it has to pass. An answer 500 is no failure that
counts: the switch broke the gateway instead of opening it. Where several things hold a leak each is also switched off
alone. The last line says `N defences, M unnoticed`; the status is 0 where M is 0.
"""

import sys
import time
from collections import defaultdict
from contextlib import nullcontext, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

from gateway.proxy import app, telemetry
from tests.attack.defences import switching
from tests.attack.defences.all_rows import DEFENCES
from tests.attack.defences.table import Defence

TESTS = Path(__file__).resolve().parents[2]


class Harness:
    """A plugin that runs the collected tests of each defence in its own way. `unnoticed` says what passed, and how."""

    def __init__(self, wanted: list[Defence]) -> None:
        self.wanted = wanted
        self.items: dict[str, list[pytest.Item]] = defaultdict(list)
        self.unnoticed: list[str] = []
        self.alone: list[str] = []
        self.broke = False

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Know each test by file and name, and by that and its case."""
        for item in items:
            name = item.nodeid.removeprefix("tests/")
            self.items[name].append(item)
            self.items[name.partition("::")[0]].append(item)
            if "[" in name:
                self.items[name.partition("[")[0]].append(item)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the defences, those of one file after another: its scene is set up once."""
        known = telemetry.tell_unforeseen

        def noticing(error: BaseException, request: str) -> None:
            self.broke = True
            known(error, request)

        setattr(app, known.__name__, noticing)
        try:
            for one in sorted(self.wanted, key=lambda one: (one.tests[0].partition("::")[0], one.id)):
                began = time.perf_counter()
                said = self._try(one)
                if said:
                    self.unnoticed.append(f"{one.id} {one.what}: {said}")
                took = time.perf_counter() - began
                sys.stderr.write(f"{one.id} {one.what}: {said or 'noticed'} ({took:.1f} s)\n")
        finally:
            setattr(app, known.__name__, known)
            session._setupstate.teardown_exact(None)
        return True

    def _try(self, defence: Defence) -> str:
        """Say what is wrong with a defence's tests, "" where one fails as it should."""
        missing = [name for name in defence.tests if not self.items[name]]
        if missing:
            return f"there is no {missing[0]}"
        items = [item for name in defence.tests for item in self.items[name]]
        try:
            failing = self._failing(items, defence)
        except switching.Gone as gone:
            return f"nothing to switch off: {gone}"
        if failing is None:
            return "broke the gateway" if self.broke else "every test passes without it"
        if not self._passes(failing, defence) and not self._passes_afresh(failing, defence):
            return f"{failing.name} fails with it too"
        if len(defence.off) > 1 and all(self._passes(failing, defence, (one,)) for one in defence.off):
            self.alone.append(f"{defence.id} {defence.what}: any one of {len(defence.off)} is enough")
        return ""

    def _failing(self, items: list[pytest.Item], defence: Defence) -> pytest.Item | None:
        broken = False
        for item in items:
            if not self._passes(item, defence, defence.off) and (defence.breaks or not self.broke):
                return item
            broken = broken or self.broke
        self.broke = broken
        return None

    def _passes_afresh(self, item: pytest.Item, defence: Defence) -> bool:
        """Say whether a test that changes its scene passes with the defence on, and fails without, each time in a scene
        of its own."""
        found = []
        for off in (defence.off, ()):
            item.session._setupstate.teardown_exact(None)
            found.append(self._passes(item, defence, off))
        item.session._setupstate.teardown_exact(None)
        return found == [False, True]

    def _passes(self, item: pytest.Item, defence: Defence, off: tuple[switching.Switch, ...] = ()) -> bool:
        self.broke = False
        kept = nullcontext() if defence.remembers else switching.remembering_nothing()
        with switching.all_off(off), kept, redirect_stdout(StringIO()):
            reports = runtestprotocol(item, nextitem=item.parent, log=False)  # type: ignore[arg-type]
        if any(report.outcome == "skipped" for report in reports):
            raise switching.Gone(f"{item.name} is skipped")
        return all(report.outcome == "passed" for report in reports)


def main(names: list[str]) -> int:
    """Run the command."""
    wanted = [one for one in DEFENCES if not names or one.id in names or any(name == one.what for name in names)]
    harness = Harness(wanted)
    files = sorted({f"tests/{name.partition('::')[0]}" for one in wanted for name in one.tests})
    status = pytest.main(["-q", "-p", "no:cacheprovider", *files], plugins=[harness])
    if status not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        return int(status)
    lines = [f"more than one holds {one}" for one in harness.alone]
    lines += [f"unnoticed: {one}" for one in harness.unnoticed]
    lines += [f"{len(wanted)} defences, {len(harness.unnoticed)} unnoticed"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if harness.unnoticed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
