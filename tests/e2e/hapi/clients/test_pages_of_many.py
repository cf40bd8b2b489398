"""Fifty patients in HAPI, of each of whom half the records are withheld: every client pages through what is left.

Which records those are is written here: every other condition carries the Part 2 label.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.hapi.searchset import matches, walked

HERE = Path(__file__).parent
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
WALKERS = [f"walker-{number:02}" for number in range(50)]
EACH = 6
VISIBLE = [f"{walker}-{number}" for walker in WALKERS for number in range(0, EACH, 2)]
SEARCHES = {
    "of all": ("Condition", {"patient": ",".join(WALKERS), "_count": "7"}),
    "in order": ("Condition", {"patient": ",".join(WALKERS), "_sort": "-recorded-date,_id", "_count": "40"}),
    "open ones": ("Condition", {"patient": ",".join(WALKERS), "clinical-status:not": "resolved", "_count": "10"}),
    "the patients": ("Patient", {"family": "Walker", "_count": "9"}),
}


def walker(number: int) -> dict[str, Any]:
    """One patient."""
    name = [{"family": "Walker", "given": [f"N{number}"]}]
    return {"resourceType": "Patient", "id": WALKERS[number], "name": name, "birthDate": "1970-05-05"}


def condition(number: int, which: int) -> dict[str, Any]:
    """One condition; the odd ones are of a Part 2 program."""
    hidden = which % 2 == 1
    code = ("F11.20", "http://hl7.org/fhir/sid/icd-10-cm") if hidden else ("38341003", "http://snomed.info/sct")
    status = "resolved" if which == 2 else "active"
    return {
        "resourceType": "Condition",
        "id": f"{WALKERS[number]}-{which}",
        "clinicalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": status}]
        },
        "code": {"coding": [{"system": code[1], "code": code[0]}]},
        "subject": {"reference": f"Patient/{WALKERS[number]}"},
        "recordedDate": f"2024-{which + 1:02}-{number % 28 + 1:02}",
        **({"meta": {"security": [{"system": ACT_CODE, "code": "42CFRPart2"}]}} if hidden else {}),
    }


def expected() -> dict[str, list[str]]:
    """The ids that each search has to give; those in order in that order, the others as a set."""
    dates = {
        f"{WALKERS[number]}-{which}": f"2024-{which + 1:02}-{number % 28 + 1:02}"
        for number in range(50)
        for which in range(0, EACH, 2)
    }
    by_id = sorted(VISIBLE)
    return {
        "of all": sorted(VISIBLE),
        "in order": sorted(by_id, key=dates.__getitem__, reverse=True),
        "open ones": sorted(one for one in VISIBLE if not one.endswith("-2")),
        "the patients": WALKERS,
    }


@pytest.fixture(scope="module")
def many(story_server):
    """HAPI with the fifty patients."""
    records = [walker(number) for number in range(50)]
    records += [condition(number, which) for number in range(50) for which in range(EACH)]
    story_server.load(json.dumps(one).encode() for one in records)
    return story_server


def as_told(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Ids in order where an order was asked for, sorted where none was."""
    return {name: ids if name == "in order" else sorted(ids) for name, ids in found.items()}


@pytest.mark.parametrize(
    "program",
    ["pages_with_fhirpy.py", "pages_with_fhirclient.py", "pages_with_fhir_kit_client.mjs", "pages_with_fhirclient.cjs"],
)
def test_a_client_gets_every_record_that_it_may_see(many, story_gateway, repository, program):
    """It follows every link to its end, takes every Bundle for valid, and has all of what may be seen, once."""
    made, file = repository / "build" / "clients", HERE / program
    if file.suffix != ".py":  # Node looks for packages beside the program
        file = Path(shutil.copy(file, made / "node" / program))
    runner = str(made / "python" / "bin" / "python") if file.suffix == ".py" else "node"
    told = {
        "E2E_BASE": story_gateway.base("hospital"),
        "E2E_TOKEN": story_gateway.token("sunrise-platform", ("HPAYMT",)),
        "E2E_PURPOSE": "HPAYMT",
    }
    done = subprocess.run(
        [runner, str(file)],
        input=json.dumps(SEARCHES),
        env=os.environ | told,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert 0 == done.returncode, done.stderr[-3000:]
    assert expected() == as_told(json.loads(done.stdout))


@pytest.mark.parametrize("name", SEARCHES)
def test_L020_no_page_is_short_and_no_link_is_dead(many, story_gateway, name):
    """Every page but the last holds exactly `_count` matches; every link is at the gateway and leads somewhere."""
    base = story_gateway.base("hospital")
    token = story_gateway.token("sunrise-platform")
    headers = {"Authorization": f"Bearer {token}", "X-Purpose-Of-Use": "HPAYMT"}
    type_, parameters = SEARCHES[name]
    url = str(httpx2.URL(f"{base}/{type_}", params=parameters))
    pages = walked(lambda one: story_gateway.client.get(one, headers=headers), url)
    sizes = [len(matches(page)) for page in pages]

    assert {int(parameters["_count"])} >= set(sizes[:-1])
    assert 0 < sizes[-1] <= int(parameters["_count"])
    assert len(expected()[name]) == sum(sizes)
    assert all(link["url"].startswith(f"{base}/") for page in pages for link in page["link"])
    assert not any("total" in page for page in pages)
