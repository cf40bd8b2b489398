"""The twin with writes: creates, Bundles, messages, updates, patches and deletes among the reads, in both worlds.

Rules of this file
1. Both worlds are made anew for each pair, so that what was written for one caller is not another's.
2. What is pushed is drawn from what the caller may see: a client that names a hidden record in what it writes tells of
   it itself (docs/http.md). What is updated, patched or read is drawn from everything, what is withheld first.
3. There is no third arm here: without its filter a gateway would change what is withheld.
"""

import base64
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from gateway import clock
from gateway.demo.cast import Cast
from gateway.demo.serving import serve
from tests.twin.absent import Oracle
from tests.twin.arms import Arm, Behind, World, arm
from tests.twin.asking import Pair, Script, Step
from tests.twin.grammar import Grammar, Offered
from tests.twin.grammar import World as Known
from tests.twin.running import Case, Holding, Stage, compare, pairs_of, signed

_PATCH = (("Content-Type", "application/json-patch+json"),)
_MATCHES = ((), (), (), (("If-Match", 'W/"1"'),), (("If-Match", 'W/"none"'),), (("If-Match", "*"),))
_REFERENCE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9.-]+")


class Writes:
    """Draws steps that write. `touched` are names that are withheld from the pair or masked for it, `open_` the types
    that may be updated."""

    def __init__(self, known: Known, touched: Sequence[str], open_: frozenset[str], seed: str) -> None:
        self.known, self.touched = known, touched
        self.open = [name for name in known.trees if name.partition("/")[0] in open_]
        self.hidden = [name for name in self.open if name in set(touched)] or self.open
        self.dice = random.Random(seed)  # noqa: S311  chance that can be repeated
        self.visible = [name for name in known.trees if name not in touched and not self._names_touched(name)]

    def steps(self) -> list[Step]:
        """Draw one write, and a read of what it was about."""
        which = self.dice.random()
        name = self.dice.choice(self.hidden if which < 0.35 else self.open if which < 0.92 else [*self.known.trees])
        draw = self.dice.random()
        if draw < 0.15:
            return [self._patch(name), Step(name)]
        if draw < 0.27:
            return [self._path_patch(name), Step(name)]
        if draw < 0.45:
            return [self._put(name), Step(name)]
        if draw < 0.62:
            return [self._changes(name), Step(name)]
        if draw < 0.64:
            return [Step(name, method="DELETE"), Step(name)]
        return [self._push(draw)]

    def _names_touched(self, name: str) -> bool:
        named = _REFERENCE.findall(msgspec.json.encode(self.known.trees[name]).decode())
        return not set(self.touched).isdisjoint(named)

    def _headers(self) -> tuple[tuple[str, str], ...]:
        return self.dice.choice(_MATCHES)

    def _put(self, name: str) -> Step:
        tree = dict(self.known.trees[name])
        change = self.dice.choice(["status", "note", "meta", "nothing", "id", "subject", "extension"])
        fresh: dict[str, Any] = {
            "status": {"status": self.dice.choice(["final", "amended", "active"])},
            "note": {"note": [{"text": f"note {self.dice.random()}"}]},
            "id": {"id": "another"},
            "subject": {"subject": {"reference": "Patient/nobody"}},
            "extension": {"extension": [{"url": "http://x.example", "valueCode": "x"}]},
        }.get(change, {})
        tree = {key: value for key, value in (tree | fresh).items() if key != change or change != "meta"}
        return Step(name, method="PUT", body=tree, headers=self._headers())

    def _patch(self, name: str) -> Step:
        status = self.dice.choice(["final", "amended", "active"])
        operations: list[dict[str, Any]] = self.dice.choice(
            [
                [{"op": "replace", "path": "/status", "value": status}],
                [{"op": "test", "path": "/status", "value": status}],
                [{"op": "add", "path": "/note", "value": [{"text": f"note {self.dice.random()}"}]}],
                [{"op": "add", "path": "/note/-", "value": {"text": f"note {self.dice.random()}"}}],
                [{"op": "replace", "path": "/note/0/text", "value": f"note {self.dice.random()}"}],
                [{"op": "add", "path": "/valueString", "value": f"value {self.dice.random()}"}],
                [
                    {
                        "op": "remove",
                        "path": "/" + self.dice.choice(["note", "encounter", "hasMember", "text", "issued"]),
                    }
                ],
                [{"op": "remove", "path": "/" + self.dice.choice(["performer/1", "note/0", "diagnosis/0", "item/1"])}],
                [{"op": "test", "path": "/encounter/reference", "value": "Encounter/rosa-harbor-intake"}],
            ]
        )
        return Step(name, method="PATCH", body=operations, headers=(*_PATCH, *self._headers()))

    def _path_patch(self, name: str) -> Step:
        return Step(name, method="PATCH", body=self._parameters(name), headers=self._headers())

    def _parameters(self, name: str) -> dict[str, Any]:
        kind = name.partition("/")[0]
        status, note = self.dice.choice(["final", "amended", "active"]), f"note {self.dice.random()}"
        path = f"{kind}." + self.dice.choice(["note[0]", "encounter", "hasMember.first()", "text", "issued", "meta"])
        said: list[dict[str, Any]] = self.dice.choice(
            [
                _operation("replace", f"{kind}.status", {"valueCode": status}),
                _operation("delete", path),
                _operation("delete", f"{kind}.note.where(text = 'plain')"),
                [
                    *_operation("add", kind, {"valueAnnotation": {"text": note}}),
                    {"name": "name", "valueString": "note"},
                ],
            ]
        )
        return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": said}]}

    def _changes(self, name: str) -> Step:
        """A batch or transaction that changes one or two records, and may create one."""
        entries = [self._change(name)]
        if self.dice.random() < 0.5:
            entries.append(self._change(self.dice.choice(self.open)))
        if self.dice.random() < 0.5:
            tree = self.known.trees[self.dice.choice(self.visible)]
            made = {key: value for key, value in tree.items() if key != "id"}
            entries.append({"resource": made, "request": {"method": "POST", "url": made["resourceType"]}})
        kind = self.dice.choice(["transaction", "batch"])
        return Step("", method="POST", body={"resourceType": "Bundle", "type": kind, "entry": entries})

    def _change(self, name: str) -> dict[str, Any]:
        match self.dice.choice(["put", "patch", "path", "path", "delete"]):
            case "put":
                return {"resource": self._put(name).body, "request": {"method": "PUT", "url": name}}
            case "patch":
                data = base64.b64encode(msgspec.json.encode(self._patch(name).body)).decode()
                tree = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}
                return {"resource": tree, "request": {"method": "PATCH", "url": name}}
            case "delete" if self.dice.random() < 0.3:
                return {"request": {"method": "DELETE", "url": name}}
            case _:
                return {"resource": self._parameters(name), "request": {"method": "PATCH", "url": name}}

    def _push(self, draw: float) -> Step:
        names = [self.dice.choice(self.visible) for _ in range(2)]
        trees = [{key: value for key, value in self.known.trees[name].items() if key != "id"} for name in names]
        if draw < 0.8:
            return Step(names[0].partition("/")[0], method="POST", body=trees[0])
        kind = self.dice.choice(["transaction", "batch", "collection", "message"])
        entries: list[dict[str, Any]] = [{"resource": tree} for tree in trees]
        if kind in {"transaction", "batch"}:
            for entry in entries:
                entry["request"] = {"method": "POST", "url": entry["resource"]["resourceType"]}
        path = {"collection": "Bundle", "message": "$process-message"}.get(kind, "")
        return Step(path, method="POST", body={"resourceType": "Bundle", "type": kind, "entry": entries})


def _operation(type_: str, path: str, value: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The parts of one operation of a FHIRPath Patch."""
    parts: list[dict[str, Any]] = [{"name": "type", "valueCode": type_}, {"name": "path", "valueString": path}]
    return [*parts, {"name": "value"} | value] if value is not None else parts


class Mixed(msgspec.Struct, frozen=True):
    """Two arms and the servers behind them."""

    stage: Stage
    whole: Holding


@asynccontextmanager
async def both(parts: Cast) -> AsyncIterator[Mixed]:
    """Put two arms up before embedded servers while the block lasts."""
    async with AsyncExitStack() as held:
        folder = Path(held.enter_context(TemporaryDirectory(prefix="twin-")))
        worlds = (World(), World())
        arms: list[Arm] = []
        for name, one in zip(("full", "absent"), worlds, strict=True):
            base = await held.enter_async_context(serve(one))
            arms.append(await held.enter_async_context(arm(folder / name, Behind(f"{base}/fhir"), parts)))
        yield Mixed(Stage(arms[0], arms[1], arms[0], worlds[1], stamped=True), worlds[0])


async def run_mixed(
    on: Mixed,
    records: Sequence[bytes],
    parts: Cast,
    *,
    requests: int,
    seed: int,
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[int, Counter[str], list[Case]]:
    """Ask so many mixed requests over all pairs. Gives how many were asked, what the writes were answered, and the
    differences. A pair ends with its first difference: its worlds are not the same any more."""
    known, oracle = Known(records, parts.patients), Oracle(records, parts, signed(parts), clock.now())
    asked, answers, cases = 0, Counter[str](), []
    pairs = pairs_of(parts)
    for number, pair in enumerate(pairs):
        world = oracle.without(pair)
        on.whole.hold(records)
        on.stage.other.hold(world.records)
        touched = sorted(world.withheld | world.masked)
        statement = await on.stage.full.ask(Step("metadata"), pair, None)
        assert statement is not None
        grammar = Grammar(known, {pair.route: Offered(statement.body)}, f"{seed} {pair} reads")
        writes = Writes(known, touched, _open(statement.body), f"{seed} {pair} writes")
        until = requests * (number + 1) // len(pairs)
        while asked < until:
            steps = [*writes.steps(), *grammar.script(pair, touched, most=1).steps]
            for step in steps:
                differs = await _step(on, step, pair, answers)
                asked += 1
                if differs:
                    cases.append(Case("", seed, Script(pair, (step,)), differs))
                    break
            if differs:
                break
        tell(f"{pair.client} for {pair.purpose} at {pair.route}: {asked} requests so far")
    return asked, answers, cases


def _open(statement: bytes) -> frozenset[str]:
    """Give the types that a route says may be updated."""
    resources = msgspec.json.decode(statement)["rest"][0]["resource"]
    return frozenset(one["type"] for one in resources if {"code": "update"} in one["interaction"])


async def _step(on: Mixed, step: Step, pair: Pair, answers: Counter[str]) -> str:
    """Ask one step in both arms, once in each; count what a write was answered."""
    heard = _Hearing(on.stage.full)
    differs = await compare(msgspec.structs.replace(on.stage, full=heard), Script(pair, (step,)))
    if step.method in {"PUT", "PATCH", "DELETE"} or (step.method == "POST" and step.body is not None):
        answers[f"{step.method} {heard.status}"] += 1
    return differs


class _Hearing:
    """An arm that remembers the status of its last answer."""

    def __init__(self, inner: Arm) -> None:
        self.inner, self.status = inner, 0

    async def ask(self, step: Step, pair: Pair, before: Any) -> Any:
        """See `Arm.ask`."""
        seen = await self.inner.ask(step, pair, before)
        self.status = seen.status if seen is not None else 0
        return seen
