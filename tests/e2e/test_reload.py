"""Profiles and directory read again under load: no request is dropped, and no answer mixes two versions."""

import asyncio
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.world import Answer, World, embedded, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Each version lets one of the two kinds of records go, and never the other: an answer with both, or none, is a mixture.
VERSIONS = {"one": "CarePlan", "two": "Goal"}
PROFILE = """\
profile: house
version: "{name}"
title: Version {name}
says: Lets one kind of record go.
extends: [us-hipaa]
drops: [hipaa-treatment]
categories:
  kind: {{says: The kind of this version., any: [{{types: [{kind}, Patient]}}]}}
"""
FLOWS = """\
rules:
  - id: house-kind
    layer: flow
    effect: permit
    says: The kind of this version goes.
    cite: the house
    purposes: [TREAT]
    data: [kind]
"""
DIRECTORY = """\
participants:
  - {id: mercy, type: provider_general, hipaa_covered: true, references: [Organization/mercy], purposes: [TREAT]}
  - {id: valley, type: provider_general, hipaa_covered: true, purposes: [TREAT]}
clients:
  - {client_id: mercy-ehr, participant: mercy}
  - {client_id: valley-ehr, participant: valley}
"""
ANA = {"reference": "Patient/ana"}
RECORDS = [
    {"resourceType": "Patient", "id": "ana", "birthDate": "1980-03-01"},
    *(
        {"resourceType": "CarePlan", "id": f"plan-{n}", "status": "active", "intent": "plan", "subject": ANA}
        for n in range(5)
    ),
    *({"resourceType": "Goal", "id": f"goal-{n}", "lifecycleStatus": "active", "subject": ANA} for n in range(5)),
    {"resourceType": "Organization", "id": "mercy"},
]


def write(folder: Path, name: str) -> None:
    """Write one version of the house's profile."""
    place = folder / "own" / "house"
    place.mkdir(parents=True, exist_ok=True)
    (place / "profile.yaml").write_text(PROFILE.format(name=name, kind=VERSIONS[name]))
    (place / "flows.yaml").write_text(FLOWS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory):
    """A gateway under a profile of its own folder, and that folder."""
    folder = tmp_path_factory.mktemp("reloaded")
    write(folder, "one")
    async with embedded(RECORDS) as (_, base):
        more = "profiles: [own]"
        async with world(folder, base, profile="house", directory=DIRECTORY, more=more) as gate:
            yield gate, folder


async def reload(gate: World) -> Answer:
    """Have everything read again."""
    said = {"Authorization": f"Bearer {gate.token('operator', roles=['operator'])}"}
    return await gate.send("POST", f"{gate.control}/control/reload", said)


async def asked(gate: World) -> Answer:
    """Ask for both kinds in one batch: one exchange, one answer."""
    entries = [{"request": {"method": "GET", "url": f"{kind}?patient=ana"}} for kind in VERSIONS.values()]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    return await gate.ask("/t/hospital/", "valley-ehr", "TREAT", method="POST", body=bundle)


def kinds(answer: Answer) -> tuple[int, ...]:
    """How many of each kind an answer holds."""
    return tuple(answer.body.count(f'"resourceType":"{kind}"'.encode()) for kind in VERSIONS.values())


async def test_a_reload_changes_what_is_decided(house):
    """Before and after, the answer is that of the version."""
    gate, folder = house
    assert (5, 0) == kinds(await asked(gate))
    write(folder, "two")
    assert (5, 0) == kinds(await asked(gate))
    assert 200 == (await reload(gate)).status
    assert (0, 5) == kinds(await asked(gate))


async def test_L089_L100_a_profile_that_cannot_be_read_changes_nothing(house):
    """The old version goes on deciding, and the operator is told the line."""
    gate, folder = house
    write(folder, "one")
    assert 200 == (await reload(gate)).status
    (folder / "own/house/flows.yaml").write_text(FLOWS.replace("data:", "dta:"))
    found = await reload(gate)
    assert 422 == found.status
    assert "house/flows.yaml:8: rules[0].dta: unknown key" in found.told
    assert (5, 0) == kinds(await asked(gate))
    write(folder, "one")


MISSPELT = {
    "own/house/flows.yaml": [
        ("rules:", "ruless:"),
        ("layer:", "layr:"),
        ("effect:", "efect:"),
        ("says:", "say:"),
        ("cite:", "cites:"),
        ("purposes:", "purpose:"),
        ("layer: flow", "layer: flows"),
        ("effect: permit", "effect: permits"),
        ("[TREAT]", "[TREATS]"),
        ("data: [kind]", "data: [kinds]"),
    ],
    "own/house/profile.yaml": [
        ("extends:", "extend:"),
        ("drops:", "drop:"),
        ("categories:\n", "categorys:\n"),
        ("any:", "anyy:"),
        ("types:", "type:"),
        ("hipaa-treatment", "hipaa-treatmnt"),
        ("Patient]", "Pateint]"),
    ],
    "directory.yaml": [
        ("participants:", "participant:"),
        ("type:", "typ:"),
        ("hipaa_covered:", "hipaa_coverd:"),
        ("references:", "reference:"),
        ("provider_general", "provider_genral"),
        ("purposes: [TREAT]", "purposes: [TRAET]"),
        ("client_id:", "clientid:"),
        ("participant: mercy", "participant: mercey"),
    ],
}


@pytest.mark.parametrize(
    ("file", "right", "wrong"), [(file, *pair) for file, pairs in MISSPELT.items() for pair in pairs]
)
async def test_L089_a_misspelt_word_is_an_error_and_says_where(house, file, right, wrong):
    """Any key or code of profile, rules and directory: not loaded, the file is named, and the old version decides."""
    gate, folder = house
    write(folder, "one")
    text = (folder / file).read_text()
    assert right in text
    (folder / file).write_text(text.replace(right, wrong, 1))
    found = await reload(gate)
    (folder / file).write_text(text)
    assert 422 == found.status
    assert file.split("/")[-2 if "own" in file else 0] in found.told
    assert (5, 0) == kinds(await asked(gate))


@pytest.mark.parametrize(
    ("file", "text"),
    [*((file, "") for file in MISSPELT), ("own/house/profile.yaml", "{}\n"), ("directory.yaml", "{}\n")],
)
async def test_L100_an_empty_file_is_not_loaded(house, file, text):
    """Nothing is no policy: the old version goes on deciding."""
    gate, folder = house
    write(folder, "one")
    before = (folder / file).read_text()
    (folder / file).write_text(text)
    found = await reload(gate)
    (folder / file).write_text(before)
    assert 422 == found.status
    assert (5, 0) == kinds(await asked(gate))


async def test_L100_a_profile_without_rules_permits_nothing(house):
    """It is loaded as it is, and nothing goes by it."""
    gate, folder = house
    write(folder, "one")
    (folder / "own/house/flows.yaml").write_text("rules: []\n")
    assert 200 == (await reload(gate)).status
    found = kinds(await asked(gate))
    write(folder, "one")
    assert 200 == (await reload(gate)).status
    assert (0, 0) == found


async def test_L100_reloads_under_load_drop_nothing_and_mix_nothing(house):
    """While versions change under eight askers, every answer comes and is whole: all of one version."""
    gate, folder = house
    done = asyncio.Event()
    seen: list[tuple[int, tuple[int, ...]]] = []

    async def keep_asking() -> None:
        while not done.is_set():
            answer = await asked(gate)
            seen.append((answer.status, kinds(answer)))

    askers = [asyncio.create_task(keep_asking()) for _ in range(8)]
    for turn in range(3):
        write(folder, "two" if turn % 2 else "one")
        assert 200 == (await reload(gate)).status
        before = len(seen)
        async with asyncio.timeout(60):
            while len(seen) < before + 8:  # noqa: ASYNC110  until each has asked once more
                await asyncio.sleep(0.01)
    done.set()
    await asyncio.gather(*askers)

    assert {(200, (5, 0)), (200, (0, 5))} == set(seen)
