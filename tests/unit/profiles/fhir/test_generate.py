import pytest

from profiles.fhir.generate import element, parameters_of, paths_of, types_of

REFERENCE = {"code": "Reference", "targetProfile": ["http://hl7.org/fhir/StructureDefinition/Patient"]}


@pytest.mark.parametrize(
    ("definition", "fact"),
    [
        ({"path": "A.b", "min": 1, "max": "*", "type": [{"code": "code"}]}, [1, 0, ["code"]]),
        ({"path": "A.b", "min": 0, "max": "1", "type": [REFERENCE]}, [0, 1, ["Reference"], ["Patient"]]),
        ({"path": "A.b", "min": 0, "max": "*", "type": [{"code": "BackboneElement"}]}, [0, 0, ["A.b"]]),
        ({"path": "A.b", "min": 0, "max": "*", "contentReference": "#A.c"}, [0, 0, ["A.c"]]),
        (
            {"path": "A.id", "min": 0, "max": "1", "type": [{"code": "http://hl7.org/fhirpath/System.String"}]},
            [0, 1, ["string"]],
        ),
    ],
)
def test_one_element_is_one_fact(definition, fact):
    """Minimum, maximum (0: none), types, and where a Reference may lead."""
    assert fact == element(definition)


def test_inherited_elements_stand_with_the_type_that_defines_them():
    """A type's own elements and its backbones', nothing of its base."""
    code = [{"code": "code"}]
    structure = {
        "type": "A",
        "kind": "resource",
        "abstract": False,
        "derivation": "specialization",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/DomainResource",
        "snapshot": {
            "element": [
                {"path": "A"},
                {"path": "A.id", "base": {"path": "Resource.id"}, "min": 0, "max": "1", "type": code},
                {"path": "A.b", "base": {"path": "A.b"}, "min": 0, "max": "1", "type": [{"code": "BackboneElement"}]},
                {"path": "A.b.c", "base": {"path": "A.b.c"}, "min": 1, "max": "1", "type": code},
            ]
        },
    }
    types, resources, primitives = types_of([structure, {**structure, "derivation": "constraint", "type": "B"}])
    assert (["A"], []) == (resources, primitives)
    assert {
        "A": ["DomainResource", {"b": [0, 1, ["A.b"]]}],
        "A.b": ["BackboneElement", {"c": [1, 1, ["code"]]}],
    } == types


CODE, BACKBONE = [0, 1, ["code"]], [0, 0, ["Au.b"]]
TYPES = {
    "Au": ["DomainResource", {"b": BACKBONE, "e": CODE, "subject": [0, 1, ["Reference"]], "at[x]": [0, 1, ["date"]]}],
    "Au.b": ["BackboneElement", {"c": CODE}],
    "Be": ["DomainResource", {"d": CODE, "patient": [0, 1, ["Reference"]]}],
    "AuBe": ["DomainResource", {"c": CODE}],
}
TYPES["Au"][1] |= {"value[x]": [0, 1, ["CodeableConcept", "Quantity"]], "telecom": [0, 0, ["ContactPoint"]]}


@pytest.mark.parametrize(
    ("expression", "paths", "only"),
    [
        ("Au.b", ["b"], []),
        ("Au.b.c | Be.d | Au.e", ["b.c", "e"], []),
        ("Au.subject.where(resolve() is Patient)", ["subject"], ["Patient"]),
        ("(Au.value as CodeableConcept)", ["valueCodeableConcept"], []),
        ("Au.value.as(Quantity)", ["valueQuantity"], []),
        ("Au.at", ["atDate"], []),
        ("Au.telecom.where(system='phone')", ["telecom[system=phone]"], []),
        ("Au.unheard", [], []),
        ("AuBe.c", [], []),
    ],
)
def test_which_elements_a_parameter_reads(expression, paths, only):
    """The simple forms of the standard's expressions, choices by their JSON names; any other form gives nothing."""
    assert (paths, only) == paths_of(expression, "Au", TYPES)


def test_a_parameter_stands_with_each_of_its_types():
    """Only the standard's own parameters with an expression; many targets mean any."""
    parameter = {
        "url": "http://hl7.org/fhir/SearchParameter/x",
        "code": "patient",
        "type": "reference",
        "base": ["Be", "Au"],
        "target": ["Patient"],
        "expression": "Au.subject | Be.patient",
    }
    other = parameter | {"url": "http://example.org/x"}
    assert {
        "Au": {"patient": ["reference", ["subject"], ["Patient"]]},
        "Be": {"patient": ["reference", ["patient"], ["Patient"]]},
    } == parameters_of([parameter, other], TYPES)
    assert [] == parameters_of([parameter | {"target": [f"T{n}" for n in range(61)]}], TYPES)["Au"]["patient"][2]
