"""Business identifiers, wherever they stand: the resource's own, a Reference's, a value's, an assigner's."""

import json
from importlib.resources import files

import pytest

from gateway.fhir.elements import Elements
from gateway.fhir.identifiers import NAMES
from gateway.fhir.view import read_resource

SSN = {"system": "http://hl7.org/fhir/sid/us-ssn", "value": "1"}
# Types that say nothing of a person, and elements of conformance resources that may be of any type.
NOT_OF_PATIENTS = ("CatalogEntry", "ElementDefinition", "MedicinalProduct", "StructureMap", "Substance")


def found(tree):
    """The identifiers of a resource: pointer of itself, and of what goes with it."""
    view = read_resource(json.dumps({"resourceType": "Basic", **tree}).encode())
    return [(one.own, one.at) for one in view.identifiers]


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"identifier": [SSN]}, [("/identifier/0", "/identifier/0")]),
        ({"subject": {"identifier": SSN}}, [("/subject/identifier", "/subject")]),
        ({"subject": {"reference": "Patient/p", "identifier": SSN}}, [("/subject/identifier", "/subject/identifier")]),
        ({"extension": [{"url": "u", "valueIdentifier": SSN}]}, [("/extension/0/valueIdentifier",) * 2]),
        ({"related": [{"reference": SSN}]}, [("/related/0/reference",) * 2]),
        ({"requisition": SSN}, [("/requisition",) * 2]),
        ({"a/b": {"accessionIdentifier": SSN}}, [("/a~1b/accessionIdentifier",) * 2]),
        ({"contained": [{"resourceType": "Patient", "identifier": [SSN]}]}, []),
        ({"contained": [{"identifier": [SSN]}]}, []),
        ({"subject": {"reference": "Patient/p"}}, []),
    ],
)
def test_an_identifier_is_found_wherever_it_stands(tree, expected):
    """Under every name of the standard, in references and extensions; what is contained has its own."""
    assert expected == found(tree)


def test_an_assigner_s_own_identifier_is_one():
    """Who gave a number may be told by a number."""
    tree = {"identifier": [{**SSN, "assigner": {"identifier": {"value": "2"}}}]}

    assert ["/identifier/0", "/identifier/0/assigner/identifier"] == [own for own, _ in found(tree)]


def test_a_name_in_escapes_is_the_name():
    """JSON may spell a member's name by escapes; it is found all the same."""
    raw = b'{"resourceType":"Basic","identifi\\u0065r":[{"value":"1"}]}'

    assert ["/identifier/0"] == [one.own for one in read_resource(raw).identifiers]


def test_the_names_are_those_of_the_standard():
    """Every element of type Identifier in a record about a patient is known by its name."""
    table = json.loads((files("profiles") / "fhir" / "elements.json").read_bytes())["types"]
    elements = Elements.from_json((files("profiles") / "fhir" / "elements.json").read_bytes())
    named = {
        name.removesuffix("[x]") + ("Identifier" if name.endswith("[x]") else "")
        for kind in table
        if not kind.startswith(NOT_OF_PATIENTS)
        for name, element in elements.children(kind).items()
        if "Identifier" in element.types
    }

    assert NAMES == named - {"component", "predecessor", "defaultValueIdentifier"}
