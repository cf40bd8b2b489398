"""Clients nobody here wrote, unchanged, before the gateway and HAPI. What they meet is described in docs/clients.md.

Each runs as a program of its own and prints what it got; what it should get is the story's, written by hand.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.telling import story_lines

HERE = Path(__file__).parent
LINE = next(line for line in story_lines().lines if line.id == "plan-pays")
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def visible(type_: str) -> list[str]:
    """The ids of what the plan may see of Rosa's for payment, under us-part2."""
    outcome = LINE.said["first"].outcome
    names = outcome.through | outcome.masked.keys()
    return sorted(one.partition("/")[2] for one in names if one.startswith(f"{type_}/"))


def plain() -> dict[str, Any]:
    """A record that may go to the hospital for payment."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": "Patient/receives-client-pushes"},
    }


def part2() -> dict[str, Any]:
    """One that may not, without consent."""
    return {
        "resourceType": "Condition",
        "meta": {"security": [{"system": ACT_CODE, "code": "42CFRPart2"}]},
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "F11.20"}]},
        "subject": {"reference": "Patient/receives-client-pushes"},
    }


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    """A transaction that creates these."""
    entries = [{"resource": one, "request": {"method": "POST", "url": one["resourceType"]}} for one in resources]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


PUSHED = {
    "plain": bundle(plain(), plain()),
    "part2": bundle(plain(), part2()),
    "collection": {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": plain()}]},
}


@pytest.fixture(scope="module")
def receiver(story_server):
    """HAPI with a patient whom the clients' pushes are about."""
    story_server.load([b'{"resourceType":"Patient","id":"receives-client-pushes"}'])
    return story_server


@pytest.fixture(scope="module")
def asked(story_gateway, receiver, repository):
    """Run a client as the plan, asking the hospital for payment; gives what it printed, and what HAPI was sent."""
    made = repository / "build" / "clients"
    programs = {
        ".py": [str(made / "python" / "bin" / "python")],
        ".mjs": ["node"],
        ".cjs": ["node"],
    }

    def run(program: str, purposes: tuple[str, ...] | None = None) -> dict[str, Any]:
        file = HERE / program
        if file.suffix != ".py":  # Node looks for packages beside the program
            file = Path(shutil.copy(file, made / "node" / program))
        told = {
            "E2E_BASE": story_gateway.base("hospital"),
            "E2E_TOKEN": story_gateway.token("sunrise-platform", purposes),
            "E2E_PURPOSE": "HPAYMT",
        }
        done = subprocess.run(
            [*programs[file.suffix], str(file)],
            input=json.dumps(PUSHED),
            env=os.environ | told,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert 0 == done.returncode, done.stderr[-3000:]
        return json.loads(done.stdout)

    return run


def test_fhirpy(asked, receiver):
    """It searches, sorts, negates, pages, reads, includes and pushes; what is refused is refused by name."""
    before = receiver.requests
    got = asked("with_fhirpy.py")
    assert "4.0.1" == got["metadata"]
    assert visible("Observation") == sorted(got["paged"])
    assert 3 == got["first_page"]
    assert len(visible("Condition")) == got["total"]
    assert ["mercy"] == got["with_included"]
    assert "44054006" == got["read"] or got["read"].startswith("E11")
    assert "ResourceNotFound" == got["hidden"]
    assert ["201 Created"] * 2 == got["pushed"]
    assert "ForbiddenError" == got["push_refused"][0]
    refused = {name: told for name, (_, told) in got["refused"].items()}
    assert {
        "count()": "the parameter `_totalMethod` is not supported here",
        "sort()": "",
        "elements()": "",
        "save()": "not all of this may be disclosed to the receiver for this purpose",
        "has()": "a search for `Patient` needs `_id`, `identifier`, `name`, `family`, or `given` with `birthdate`",
        "status__not": "",
        "no anchor": "a search for `Condition` needs `_id` or `encounter` or `patient` or `subject`",
    } == refused
    asked_of_hapi = [one for one in receiver.requests if one not in set(before)]
    assert not [one for one in asked_of_hapi if "_totalMethod" in one or "_sort" in one or "_elements" in one]


def test_fhirclient_in_python(asked):
    """Its strict models take everything that is released, masked benefits too; it pages, reads and pushes."""
    got = asked("with_fhirclient.py")
    assert [True, "none"] == got["prepared"]
    assert "4.0.1" == got["metadata"]
    assert visible("Observation") == sorted(got["paged"])
    assert visible("ExplanationOfBenefit") == got["masked"]
    assert "F11.20" not in got["codes"]
    assert len(visible("Condition")) == len(got["codes"]) == got["total"]
    assert ["mercy"] == got["with_included"]
    assert "rosa" == got["read"]
    assert 404 == got["hidden"]
    assert ["201 Created"] * 2 == got["pushed"]
    assert 403 == got["push_refused"][0]
    assert "OperationOutcome" == got["collection"]
    assert {
        "create()": [403, "not all of this may be disclosed to the receiver for this purpose"],
        "$gt": [400, "the value of `date` is not of a form the gateway reads"],
        "$exact": [0, ""],
        "no anchor": [400, "a search for `Condition` needs `_id` or `encounter` or `patient` or `subject`"],
    } == got["refused"]


def test_fhir_kit_client(asked):
    """It searches by GET and POST, pages, reads, resolves and pushes; other interactions are refused by name."""
    got = asked("with_fhir_kit_client.mjs")
    assert "4.0.1" == got["metadata"]
    assert {} == got["smart"]
    assert visible("Observation") == sorted(got["paged"])
    assert visible("Condition") == sorted(got["posted"])
    assert len(visible("Condition")) == got["total"]
    assert ["mercy"] == got["with_included"]
    assert ("rosa-diabetes", "rosa") == (got["read"], got["resolved"])
    assert 404 == got["hidden"]
    assert ["201 Created"] * 2 == got["pushed"]
    assert 403 == got["push_refused"][0]
    assert ["201 Created", "403 Forbidden"] == got["batch"]
    assert {
        "create": [403, "not all of this may be disclosed to the receiver for this purpose"],
        "vread": [501, "reading a version (vread) is not supported"],
        "history": [501, "the history of a resource is not supported"],
        "systemSearch": [400, "a search of all types needs `_type`"],
        "compartmentSearch": [0, ""],
        "operation": [0, ""],
        "_sort": [400, "the value of `_sort` is not supported here"],
    } == got["refused"]


def test_fhirclient_in_javascript(asked):
    """With the purpose in its token it searches, pages, reads, resolves references and pushes."""
    got = asked("with_fhirclient.cjs", ("HPAYMT",))
    assert "4.0.1" == got["metadata"]
    assert visible("Observation") == sorted(got["paged"])
    assert visible("Condition") == sorted(got["posted"]) == sorted(got["of_patient"])
    assert len(visible("Condition")) == got["total"]
    assert [[one, "mercy"] for one in visible("Encounter")] == sorted(got["encounters"])
    assert ("rosa", "rosa-diabetes") == (got["patient"], got["read"])
    assert 404 == got["hidden"]
    assert ["201 Created"] * 2 == got["pushed"]
    assert 403 == got["push_refused"][0]
    statuses = {name: status for name, (status, _) in got["refused"].items()}
    assert {"create": 403, "delete": 405, "patient.request of all": 400, "_summary": 0} == statuses
