"""Rules specialised to an exchange and a subject say of every record what they say when all is asked of each."""

import json

import msgspec
import pytest

from gateway import bootstrap
from gateway.decision import bench
from gateway.decision.case import Case
from gateway.decision.combine import Ruling, rule_on
from gateway.decision.specialised import Rules
from gateway.facts.answer import answer
from tests.bench.rules_bench import FLOWS, question

SHELF = bootstrap.read_shelf()
PATIENT = {"reference": "Patient/1"}
CODES = ("F11.20", "B20", "F32.9", "Z00.0")
SAID = (
    {"required_by_law": True},
    {"required_by_law": False, "bona_fide_medical_emergency": True, "consent_cannot_be_obtained": True},
    {"calaim_purpose": False, "recipient_is_calaim_participant": True},
)


def page() -> dict[str, object]:
    """A page of one patient's records, of several kinds and labels."""
    coded = [{"code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": one}]}} for one in CODES]
    records = [{"resourceType": "Condition", "id": f"c{at}", "subject": PATIENT, **one} for at, one in enumerate(coded)]
    records.append({"resourceType": "Patient", "id": "1", "birthDate": "1980-01-01"})
    records.append({"resourceType": "Organization", "id": "source"})
    entries = [{"fullUrl": f"https://x.example/{one['resourceType']}/{one['id']}", "resource": one} for one in records]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries}


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("flow", FLOWS)
def test_what_was_told_beforehand_changes_no_ruling(
    flow: tuple[str, str, str, str], said: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ruling that goes by what is settled of exchange and subject is the one that asks everything of the record."""
    ruled: list[tuple[Ruling, Ruling]] = []

    def both(case: Case, rules: Rules) -> Ruling:
        settled = rule_on(case, rules)
        ruled.append((rule_on(msgspec.structs.replace(case, told=None), rules), settled))
        return settled

    asked = json.loads(question(flow, page()))
    asked["facts"] = {"exchange": said}
    monkeypatch.setattr(bench, "rule_on", both)
    answer(json.dumps(asked).encode(), SHELF)
    assert len(CODES) < len(ruled)
    assert [unsettled for unsettled, _ in ruled] == [settled for _, settled in ruled]
