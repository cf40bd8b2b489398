"""The list of search parameters: complete, with one class for each, the reasons first."""

from importlib.resources import files

import pytest

from gateway.fhir.elements import Elements
from gateway.fhir.search_offers import Offers, Standing, resting_on
from gateway.fhir.search_parameters import SearchParameters
from gateway.proxy.search_listing import CLASSES, search_lines


@pytest.fixture(scope="module")
def offers():
    """The offers to who gets records whole, and to all others: lines of claims may go alone, tags always go."""
    tables = files("profiles") / "fhir"
    elements = Elements.from_json((tables / "elements.json").read_bytes())
    table = SearchParameters.from_json((tables / "search.json").read_bytes(), elements)
    refused = resting_on({"Claim": {"item"}}, table, ["tag"])
    none = frozenset({"Organization"})
    return Offers(table, no_patient_types=none), Offers(table, no_patient_types=none, refused=refused)


def test_each_class_is_explained_and_each_parameter_has_one(offers):
    """Whoever reads the list learns what is refused and why, without asking a server."""
    lines = list(search_lines(*offers, ["patient"], ["Claim", "Patient"]))

    assert {f"# {CLASSES[one]}: {one.value}" for one in Standing} < set(lines)
    assert "Claim encounter reference masked (seen for whole records)" in lines
    assert "Claim patient reference seen" in lines
    assert "Patient _tag token masked (seen for whole records)" in lines
    assert "Patient _text string elsewhere" in lines
    assert "Patient deceased token unread" in lines
    assert any("_list" in line for line in lines if line.startswith("# refused for every type"))


def test_every_type_that_is_searched_is_in_it(offers):
    """Without a choice all of R4 is listed, but what is not served at all."""
    types = {line.partition(" ")[0] for line in search_lines(*offers, [], ()) if not line.startswith("#")}

    assert {"Observation", "Binary", "Organization"} < types
    assert not {"AuditEvent", "Consent", "Subscription"} & types


def test_a_type_that_is_none_is_an_error(offers):
    """A word that R4 does not have gets no empty list."""
    with pytest.raises(ValueError, match="Nope"):
        list(search_lines(*offers, [], ["Nope"]))
