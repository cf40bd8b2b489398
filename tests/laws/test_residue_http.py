"""The same made records through the gateway's HTTP door: read, found, pushed on; bodies and headers are looked at."""

import os
import sys
from collections import Counter
from importlib.resources import files

import pytest
import pytest_asyncio

from gateway.fhir.elements import Elements
from tests.attack.scene import staged
from tests.laws.documented import could_go, lost_references, must_arrive, sure_to_go, words_in
from tests.laws.made_bundles import Made

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKED = int(os.environ.get("CONSENT_GATEWAY_BUNDLES", "60"))
BUNDLES = ASKED if ASKED >= 1000 else ASKED // 10 or 1  # as many as by `decide` where that was asked for
ROSA = "Patient/rosa"
SEARCHED = 3  # types a Bundle that are searched for
PATIENT = "{body_bytes: 1048576, upstream_answer_s: 60.0, client_idle_s: 60.0}"
"""Time is no matter of this law: with the second that attacks get, a busy machine answers some searches 502."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory):
    """A gateway before a server that holds what it is told."""
    async with staged(tmp_path_factory.mktemp("residue"), limits=PATIENT) as one:
        yield one


@pytest.fixture(scope="module")
def elements():
    """The element table."""
    return Elements.from_json((files("profiles") / "fhir" / "elements.json").read_bytes())


def all_of(answer):
    """Everything that came back: body, names and values of headers."""
    return answer.body + b"\n" + repr(dict(answer.headers)).encode()


async def test_nothing_kept_back_comes_through_the_door_and_the_rest_does(elements, scene, capsys):
    """Read one by one, searched by type, pushed as a collection: no marker that docs/release.md keeps back is in a
    body, a header or what is forwarded, in any spelling; 99 in 100 of the others arrive with the read of theirs."""
    counts: Counter[str] = Counter()
    lost: list[str] = []
    for seed in range(1_000_000, 1_000_000 + BUNDLES):
        made = Made(elements, seed, ROSA)
        scene.server.reset()
        tops = {f"{one['resourceType']}/{one['id']}": made.text(one) for one in made.resources}
        scene.server.hold(*tops.values())
        scene.stub.seen.clear()
        kept_back = {made.markers[name][at].encode() for name in made.markers for at in sure_to_go(made, name)}
        read = {name: await scene.ask(name) for name in tops}
        assert {200, 404} >= {answer.status for name, answer in read.items() if name not in made.owners}
        came = [all_of(answer) for answer in read.values()]
        for kind in sorted({name.partition("/")[0] for name in tops})[:SEARCHED]:
            found = await scene.ask(f"{kind}?patient=rosa&_count=50")
            counts[f"search {found.status}"] += 1
            assert found.status in {200, 400}, (seed, kind, found.body)  # 400: of a type without patients
            came.append(all_of(found))
        pushed = await scene.push(made.text(made.bundle()), "/t/plan/Bundle")
        counts[f"push {pushed.status}"] += 1
        came.append(all_of(pushed))
        came += [seen.body for seen in scene.stub.seen if seen.method == "POST"]
        for text in came:
            assert not kept_back & words_in(text), (seed, text[:200])
        counts["kept back"] += len(kept_back)

        withheld = {name for name, answer in read.items() if answer.status != 200}
        withheld |= {name for name in made.within if name in could_go(made)}
        doubtful = {name for name, tree in made.trees.items() if any(lost_references(made, tree, withheld))}
        assert made.sensitive & tops.keys() <= withheld
        for name in made.trees:
            if name in withheld or name in made.owners:
                continue  # how a Binary is read has tests of its own
            arrived = words_in(read[made.within.get(name, name)].body)
            # Of a record that is looked up it may stay unknown where it comes from: then references to it go.
            for at in must_arrive(made, name, (withheld | doubtful) - {name}) | must_arrive(made, name, None):
                counts["permitted"] += 1
                lost += [] if made.markers[name][at].encode() in arrived else [f"{seed} {name} {at}"]
    share = 1 - len(lost) / counts["permitted"]
    with capsys.disabled():
        sys.stdout.write(f"\nthrough HTTP, {BUNDLES} bundles: {dict(counts)}, arrived {share:.2%}; lost: {lost[:5]}\n")
    assert share >= 0.99
    assert counts["permitted"] > 5 * BUNDLES
    assert counts["search 200"] > counts["search 400"]
    assert counts["push 201"] > 0
