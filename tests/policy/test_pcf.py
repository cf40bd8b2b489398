"""IHE PCF's published outcomes (Basic and Intermediate), asked through `decide` under the profile `base`."""

import json
from pathlib import Path

import pytest

from gateway import bootstrap
from gateway.facts.answer import answer


def cases(shared: Path) -> list[dict]:
    """Read the published outcomes, restated as a table."""
    return json.loads((shared / "cases/pcf-basic-intermediate.json").read_text())


def resources(shared: Path) -> dict[str, dict]:
    """Read the published resources by `Type/id`."""
    found = [json.loads(file.read_text()) for file in sorted((shared / "data/consent-ihe-pcf").glob("*.json"))]
    return {f"{one['resourceType']}/{one['id']}": one for one in found}


def question(case: dict, table: dict, known: dict[str, dict]) -> dict:
    """Ask for all observations of the table, for the case's actor, purpose and day (noon UTC)."""
    request = case["request"]
    return {
        "v": 1,
        "at": f"{request['now']}T12:00:00Z",
        "profile": "base",
        "participants": [
            {"id": "holder", "type": "provider_general", "references": ["Organization/ex-organization"]},
            {"id": "asker", "type": "provider_health_care", "references": [request["actor"]]},
        ],
        "discloser": "holder",
        "recipient": "asker",
        "purpose": request["purpose"],
        "consents": [known[case["consent"]]],
        "context": [one for name, one in known.items() if not name.startswith(("Consent/", "Observation/"))],
        "resource": {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"resource": known[name]} for name in table["resources"]],
        },
    }


def test_every_published_outcome_comes_out(shared):
    """For each case of the table exactly the observations that PCF releases are released."""
    table, known, shelf = cases(shared), resources(shared), bootstrap.read_shelf()
    wrong = []
    for number, case in enumerate(table["cases"]):
        found = answer(json.dumps(question(case, table, known)).encode(), shelf)
        released = {d["resource"] for d in found["decisions"] if d["verdict"] != "withheld"}
        if released != set(case["released"]):
            wrong.append((number, case["consent"], case["request"], sorted(released ^ set(case["released"]))))

    assert len(table["cases"]) > 20
    assert not wrong


@pytest.mark.parametrize("actor", ["Organization/other", "Practitioner/ex-practitioner"])
def test_a_consent_of_another_patient_permits_nothing(shared, actor):
    """The same consent, in another patient's name, releases nothing."""
    table, known, shelf = cases(shared), resources(shared), bootstrap.read_shelf()
    case = next(c for c in table["cases"] if len(c["released"]) == len(table["resources"]))
    asked = question({**case, "request": {**case["request"], "actor": actor}}, table, known)
    asked["consents"] = [{**asked["consents"][0], "patient": {"reference": "Patient/somebody-else"}}]

    assert "deny" == answer(json.dumps(asked).encode(), shelf)["effect"]
