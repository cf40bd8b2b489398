"""Extensions nobody here can judge go from every copy, and leave valid records behind (leaks.md L038, L040)."""

import json
from importlib.resources import files

import pytest

from gateway.decision.extensions import ABSENT, private_extensions
from gateway.decision.model import Op
from gateway.fhir.elements import Elements
from gateway.fhir.view import read_resource

OPEN = ("http://hl7.org/fhir/",)
PRIVATE = {"url": "https://clinic.example/x", "valueString": "s"}
PUBLIC = {"url": "http://hl7.org/fhir/StructureDefinition/x", "valueString": "p"}


@pytest.fixture(scope="module")
def elements():
    """The element table."""
    return Elements.from_json((files("profiles") / "fhir" / "elements.json").read_bytes())


@pytest.fixture
def edits(elements):
    """What goes from a resource: paths that are cut, and paths that say they are absent."""

    def of(resource, public=OPEN):
        found = list(private_extensions(read_resource(json.dumps(resource).encode()), public, elements))
        assert {ABSENT} >= {edit.value for edit in found if edit.op is Op.REPLACE}
        return {e.path for e in found if e.op is Op.CUT}, {e.path for e in found if e.op is Op.REPLACE}

    return of


@pytest.mark.parametrize(
    ("resource", "cut", "absent"),
    [
        ({"extension": [PRIVATE, PUBLIC]}, {"/extension/0"}, set()),
        ({"extension": [PRIVATE]}, {"/extension"}, set()),
        ({"_birthDate": {"extension": [PRIVATE]}, "birthDate": "1980"}, {"/_birthDate"}, set()),
        ({"name": [{"family": "x", "_family": {"extension": [PRIVATE]}}]}, {"/name/0/_family"}, set()),
        ({"name": [{"extension": [PRIVATE]}, {"family": "x"}]}, {"/name/0"}, set()),
        ({"meta": {"extension": [PRIVATE]}}, set(), set()),  # goes with meta
        ({"extension": [PUBLIC | {"extension": [PRIVATE]}]}, set(), set()),  # a part of a public one
        ({"modifierExtension": [PUBLIC | {"extension": [PRIVATE]}]}, set(), set()),
    ],
)
def test_a_private_extension_goes_with_what_it_empties(edits, resource, cut, absent):
    """From a Patient, where nothing is required."""
    assert (cut, absent) == edits({"resourceType": "Patient", "id": "p", **resource})


def test_a_required_element_that_was_nothing_else_says_that_it_is_absent(edits):
    """Encounter.class, Coverage.payor and class.type, Observation.status: cut alone they would be invalid R4."""
    assert (set(), {"/class"}) == edits({"resourceType": "Encounter", "class": {"extension": [PRIVATE]}})
    assert (set(), {"/_status"}) == edits({"resourceType": "Encounter", "_status": {"extension": [PRIVATE]}})
    coverage = {
        "resourceType": "Coverage",
        "payor": [{"extension": [PRIVATE]}, {"extension": [PRIVATE]}],
        "class": [{"type": {"extension": [PRIVATE]}, "value": "1"}],
    }
    assert (set(), {"/payor/0", "/payor/1", "/class/0/type"}) == edits(coverage)


def test_where_all_are_kept_nothing_goes(edits):
    """A profile that lists no vocabularies keeps every extension."""
    assert (set(), set()) == edits({"resourceType": "Patient", "extension": [PRIVATE]}, None)
