"""What a plan in California gets of one record that a jail holds."""

import json
from typing import Any

from gateway.facts.answer import answer
from tests.cases.judging import plain
from tests.questions import SHELF


def plan_gets(
    resource: dict[str, Any], person: dict[str, Any], discloser: str, purpose: str, facts: dict[str, Any]
) -> dict[str, Any]:
    """Ask `decide`; `person` is whom the record is about, `facts` what is stated of the exchange or the person."""
    asked = {
        "v": 1,
        "at": "2025-03-01T12:00:00-08:00",
        "profile": "us-ca-calaim",
        "participants": [
            {"id": "source", "type": discloser, "references": ["Organization/source"]},
            {"id": "plan", "type": "mcp", "references": ["Organization/plan"]},
        ],
        "discloser": "source",
        "recipient": "plan",
        "purpose": purpose,
        "facts": facts,
        "context": [] if resource["resourceType"] == "Patient" else [person],
        "resource": resource,
    }
    return plain(answer(json.dumps(asked).encode(), SHELF))
