"""What the context shows: which references name the same thing, and what stands behind them."""

import msgspec
import pytest

from consent_store.model import Identifier, Reference
from gateway.decision.consents import Relations
from tests.consent_questions import DIRECTORY, NPI, relations, view

OURS = "https://us.example.org/fhir"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Organization/o7", "Organization/o7"),
        ("Organization/o7/_history/2", "Organization/o7"),
        (f"{OURS}/Organization/o7", "Organization/o7"),
        ("https://US.example.org:443/fhir/Organization/o7", "Organization/o7"),
        ("https://them.example.org/fhir/Organization/o7", "https://them.example.org:443/fhir/Organization/o7"),
        ("urn:uuid:53FEFA32-FCBB-4FF8-8A92-55EE120877B7", "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7"),
        ("#contained", None),
        ("organization/o7", None),
        ("Organization?identifier=7", None),
        ("o7", None),
        (None, None),
    ],
)
def test_a_reference_resolves_to_one_spelling(text, key):
    """Base, type and id count; a version, the letter case of the host and a default port do not (L092)."""
    assert key == relations(own=(OURS,)).key(text)


def test_the_same_thing_by_reference_identifier_or_context():
    """Two references are the same thing where one way of naming it agrees for certain."""
    shown = relations({"resourceType": "Organization", "id": "x", "identifier": [{"system": NPI, "value": "5"}]})
    by_npi = Reference(identifier=Identifier(NPI, "5"))
    assert shown.same(Reference("Organization/x"), by_npi)
    assert shown.same(by_npi, by_npi)
    assert not shown.same(Reference("Organization/x"), Reference("Organization/y"))
    assert not shown.same(Reference(identifier=Identifier(None, "5")), Reference(identifier=Identifier(None, "5")))


def test_a_contained_resource_is_nobodys_reference():
    """Its id counts inside its container alone."""
    inner = {"resourceType": "Organization", "id": "o7", "identifier": [{"system": NPI, "value": "5"}]}
    outer = {"resourceType": "Observation", "id": "a", "status": "final", "contained": [inner]}
    assert {"Observation/a"} == set(relations(outer).resources)


def test_resources_of_a_nested_bundle_are_shown_too():
    """What stands in a Bundle is context like what stands beside it."""
    bundle = {
        "resourceType": "Bundle",
        "id": "b",
        "type": "collection",
        "entry": [{"resource": {"resourceType": "Organization", "id": "x"}}],
    }
    assert "Organization/x" in Relations.of([view(bundle)], DIRECTORY).resources


def test_context_of_any_shape_raises_nothing():
    """What cannot be read proves nothing."""
    odd = {
        "resourceType": "Organization",
        "id": "x",
        "identifier": [7, {"system": 1, "value": []}, None],
        "partOf": "y",
    }
    group = {"resourceType": "Group", "id": "g", "member": {"entity": []}, "active": "yes", "code": [[]]}
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": [], "organization": 5, "period": 7}
    proof = {"resourceType": "Provenance", "id": "p", "signature": "x", "target": {"reference": ["Consent/c"]}}
    shown = relations(odd, group, role, proof)
    assert (frozenset(), {}) == (shown.signed, dict(shown.part_of))
    assert isinstance(shown, msgspec.Struct)
