"""What is gathered before a document is judged: what it refers to, and what that carries labels of."""

import json

from gateway.decision.judge import in_context
from gateway.facts.needs import first_round, second_round
from gateway.fhir.bundle import read_document
from gateway.fhir.resolver import Resolver

VISIT = {"reference": "Encounter/e"}


def document(resource):
    """A document of one resource."""
    return read_document(json.dumps(resource).encode())


def gathered(record, *context):
    """What the first round asks for, then what is still missing beside these context records."""
    asked = document(record)
    whole = in_context(asked, tuple(view for one in context for view in document(one).views))
    later = second_round(whole.views[len(asked.views) :], Resolver(whole))
    first = first_round(asked.views, Resolver(asked))
    return dict(first.by_type), dict(later.by_type)


def test_a_visits_reasons_are_gathered_with_it():
    """A visit, then what it was for, its episode and what it is part of; not what else it found."""
    visit = {
        "resourceType": "Encounter",
        "id": "e",
        "partOf": {"reference": "Encounter/f"},
        "episodeOfCare": [{"reference": "EpisodeOfCare/p"}],
        "reasonReference": [{"reference": "Condition/c"}],
        "diagnosis": [
            {"condition": {"reference": "Condition/d"}, "rank": 1},
            {"condition": {"reference": "Condition/x"}, "rank": 2},
        ],
    }
    first, later = gathered({"resourceType": "Observation", "id": "o", "encounter": VISIT}, visit)
    assert {"Encounter": frozenset({"e"})} == first
    assert {
        "Encounter": frozenset({"f"}),
        "EpisodeOfCare": frozenset({"p"}),
        "Condition": frozenset({"c", "d"}),
    } == later


def test_a_claim_is_gathered_for_its_answer():
    """What a ClaimResponse is about, and the visits of that claim's lines."""
    claim = {"resourceType": "Claim", "id": "k", "item": [{"sequence": 1, "encounter": [VISIT]}]}
    first, later = gathered({"resourceType": "ClaimResponse", "id": "r", "request": {"reference": "Claim/k"}}, claim)
    assert {"Claim": frozenset({"k"})} == first
    assert {"Encounter": frozenset({"e"})} == later


def test_nothing_that_is_policy_or_content_is_gathered():
    """Consents, audit, provenance and Binaries are never context."""
    record = {
        "resourceType": "List",
        "id": "l",
        "entry": [{"item": {"reference": f"{kind}/1"}} for kind in ("Consent", "AuditEvent", "Provenance", "Binary")],
    }
    assert ({}, {}) == gathered(record)
