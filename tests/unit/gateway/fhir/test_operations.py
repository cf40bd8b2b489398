"""Operations: a closed list, and what each may be given."""

import json

import pytest

from gateway.errors import BadRequest, NotSupported
from gateway.fhir.operations import OPERATIONS, Given, Level, check_parameters, offered, read_parameters
from gateway.fhir.query import Parameter
from gateway.fhir.strict import LIMITS

MATCH = OPERATIONS["Patient", Level.TYPE, "$match"]
EVERYTHING = OPERATIONS["Patient", Level.INSTANCE, "$everything"]


def given(operation, *parameters):
    """Read a Parameters resource with these parameters."""
    body = {"resourceType": "Parameters", "parameter": list(parameters)}
    return read_parameters(operation, json.dumps(body).encode(), LIMITS)


def test_parameters_of_a_body_are_those_of_a_query():
    """Plain values of any kind, in order."""
    found = given(
        EVERYTHING,
        {"name": "_count", "valueInteger": 5},
        {"name": "_type", "valueString": "Observation"},
        {"name": "_since", "valueInstant": "2020-01-01T00:00:00Z"},
    )
    assert ["5", "Observation", "2020-01-01T00:00:00Z"] == [each.value for each in found.parameters]
    assert Given() == read_parameters(EVERYTHING, b'{"resourceType":"Parameters"}', LIMITS)


def test_a_resource_stands_only_where_the_operation_lists_it():
    """Its exact text is kept."""
    person = {"name": "resource", "resource": {"resourceType": "Patient"}}
    assert b'{"resourceType": "Patient"}' == given(MATCH, person).resources["resource"]
    for operation, parameters in ((EVERYTHING, [person]), (MATCH, [person, person])):
        with pytest.raises(NotSupported):
            given(operation, *parameters)


@pytest.mark.parametrize(
    "parameter",
    [
        {"name": "_count"},
        {"name": "_count", "valueInteger": 5, "valueString": "6"},
        {"name": "_count", "part": []},
        {"name": 5, "valueString": "x"},
        {"valueString": "x"},
        {"name": "_type", "valueCodeableConcept": {}},
        {"name": "_type", "valueString": ""},
        "x",
    ],
)
def test_a_parameter_of_another_form_is_refused(parameter):
    """One name, one value, nothing beside them."""
    with pytest.raises(BadRequest):
        given(EVERYTHING, parameter)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"resourceType":"Patient"}', b'{"resourceType":"Parameters","parameter":{}}']
)
def test_a_body_of_another_kind_is_refused(body):
    """Strict JSON that is a Parameters resource."""
    with pytest.raises(BadRequest):
        read_parameters(EVERYTHING, body, LIMITS)


def test_L051_a_parameter_that_is_not_listed_is_refused():
    """By its name, whatever its value."""
    with pytest.raises(NotSupported, match="_mdm"):
        check_parameters(EVERYTHING, (Parameter("_mdm", "true"),))
    check_parameters(OPERATIONS["Observation", Level.TYPE, "$lastn"], (Parameter("anything", "x"),))


def test_operations_on_terminology_are_offered_only_where_they_are_opened():
    """The rest always."""
    assert {"$everything", "$lastn", "$document", "$match", "$member-match"} == {
        one.name for one in offered(terminology=False)
    }
    assert {"CodeSystem", "ConceptMap", "ValueSet"} == {
        one.type for one in offered(terminology=True) if one.terminology
    }
