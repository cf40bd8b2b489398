"""Whether a resource holds prose or an attachment (leaks.md L003, L006)."""

import pytest

from gateway.labels.free_text import has_free_text
from tests.unit.gateway.labels.conftest import ICD, codings, observation, view

LONG = "word " * 20


@pytest.mark.parametrize(
    "elements",
    [
        {"note": [{"text": "x"}]},
        {"valueString": "x"},
        {"code": {"text": "uncoded"}},
        {"component": [{"code": {"text": "uncoded"}}]},
        {"text": {"status": "additional", "div": "<div>x</div>"}},
        {"text": {"div": "<div>x</div>"}},
        {"extension": [{"url": "http://x", "valueMarkdown": "x"}]},
        {"extension": [{"url": "http://x", "valueAttachment": {"contentType": "text/plain", "data": "eA=="}}]},
        {"unheardOf": LONG},
        {"comment": "x"},
        {"clinicalNotes": ["x"]},
    ],
)
def test_prose_is_found(elements):
    """Notes, string answers, uncoded concepts, written narrative, attachments, long texts under any name."""
    assert has_free_text(view(observation(**elements)))


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"code": {**codings((ICD, "I10")), "text": LONG}},
        {"code": {"coding": [{"system": ICD, "code": "I10", "display": LONG}]}},
        {"text": {"status": "generated", "div": f"<div>{LONG}</div>"}},
        {"subject": {"reference": "Patient/1", "display": "A B"}},
        {"valueQuantity": {"value": 1, "unit": "mg"}},
    ],
)
def test_what_restates_structured_data_is_not_prose(elements):
    """Displays, the text of a coded concept, generated narrative, units."""
    assert not has_free_text(view(observation(**elements)))


def test_a_name_and_an_address_are_not_prose():
    """Written out, they are still a name and an address."""
    patient = {"resourceType": "Patient", "name": [{"text": "A B", "given": ["A"]}], "address": [{"text": "1 Road"}]}
    assert not has_free_text(view(patient))
