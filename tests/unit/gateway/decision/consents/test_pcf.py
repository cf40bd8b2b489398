"""IHE Privacy Consent on FHIR (CC-BY-4.0): the published outcomes of its Basic and Intermediate example consents."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consent_store.model import ACT_REASON, Coding
from consent_store.reading import read_consent
from gateway.decision.consents import Relations, Target, compile_consents, specialise
from gateway.decision.model import Answer, Exchange
from gateway.directory.model import Directory, Participant
from gateway.fhir.dates import clinical_period
from gateway.fhir.origins import authors
from gateway.fhir.view import read_resource
from tests.consent_questions import labels

# The organisation that the examples were given to; the requester is whoever the case says.
ROWS = 24
HOLDER = Participant(id="holder", type="provider_general", references=frozenset({"Organization/ex-organization"}))


def folder(shared: Path) -> Path:
    """Where the examples are."""
    return shared / "data" / "consent-ihe-pcf"


def observations(shared: Path) -> dict[str, Target]:
    """The sample Observations with the labels, dates and authors they state themselves."""
    found = {}
    for path in sorted(folder(shared).glob("Observation-*.json")):
        view = read_resource(path.read_bytes())
        found[f"Observation/{view.id}"] = Target(view, labels(*view.security), clinical_period(view), authors(view))
    return found


def exchange(request: dict[str, str]) -> Exchange:
    """The case's request, at noon UTC of its day."""
    system, _, code = request["purpose"].rpartition("#")
    return Exchange(
        discloser=HOLDER,
        recipient=Participant(id="asks", type="provider_general", references=frozenset({request["actor"]})),
        purpose=Coding(system or ACT_REASON, code),
        at=datetime.fromisoformat(f"{request['now']}T12:00:00+00:00"),
    )


def released(shared: Path, case: dict) -> set[str]:
    """The Observations that the case's consent lets through; the implicit policy is none."""
    consent = read_consent((folder(shared) / f"{case['consent'].replace('/', '-')}.json").read_bytes(), source="")
    context = [
        read_resource(path.read_bytes(), path.name)
        for path in sorted(folder(shared).glob("*.json"))
        if not path.name.startswith(("Consent-", "Binary-"))
    ]
    relations = Relations.of(context, Directory({HOLDER.id: HOLDER}))
    program = specialise(compile_consents((consent,), UTC), exchange(case["request"]), relations, UTC)
    return {name for name, one in observations(shared).items() if program.decide(one).answer is Answer.PERMIT}


def cases(shared: Path) -> list[dict]:
    """The published table."""
    return json.loads((shared / "cases" / "pcf-basic-intermediate.json").read_bytes())["cases"]


@pytest.mark.parametrize("number", range(ROWS))
def test_a_published_outcome(shared, number):
    """The released set is the published one."""
    case = cases(shared)[number]
    assert set(case["released"]) == released(shared, case)


def test_every_row_is_tried(shared):
    """No row of the table is left out."""
    assert ROWS == len(cases(shared))
