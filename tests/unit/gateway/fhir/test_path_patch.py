"""FHIRPath Patch: R4's five operations on what a client may see, and what no patch touches."""

import json

import pytest

from gateway.errors import BadRequest, Unprocessable
from gateway.fhir.exact import read, write
from gateway.fhir.path_patch import path_patched, read_path_patch
from gateway.fhir.strict import LIMITS

PATIENT = {
    "resourceType": "Patient",
    "id": "p",
    "active": True,
    "birthDate": "1920-01-01",
    "_birthDate": {"id": "b"},
    "maritalStatus": {"text": "married"},
    "name": [{"use": "official", "family": "Ryan", "given": ["Ann", "Bea"]}, {"use": "usual", "text": "Annie"}],
    "telecom": [
        {"system": "phone", "value": "1"},
        {"system": "email", "value": "a@b"},
        {"system": "phone", "value": "2"},
    ],
    "contact": [{"name": {"text": "Joe"}, "gender": "male"}],
}
OBSERVATION = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "code": {"text": "pulse"},
    "valueQuantity": {"value": 70, "unit": "/min"},
}


def operation(type_, path, **parts):
    """One operation; `value` is a value[x] member, or a list of parts."""
    listed = [{"name": "type", "valueCode": type_}, {"name": "path", "valueString": path}]
    for name, value in parts.items():
        if name == "name":
            listed.append({"name": "name", "valueString": value})
        elif name == "value":
            listed.append({"name": "value"} | value)
        else:
            listed.append({"name": name, "valueInteger": value})
    return {"name": "operation", "part": listed}


def parameters(*operations):
    """A patch."""
    return json.dumps({"resourceType": "Parameters", "parameter": list(operations)}).encode()


@pytest.fixture
def patch(elements):
    """Makes operations to a record, and gives the record as a tree."""

    def made(tree, *operations):
        changes = read_path_patch(parameters(*operations), tree["resourceType"], LIMITS)
        return json.loads(write(path_patched(read(json.dumps(tree).encode()), changes, elements)))

    return made


DONE = {
    "a date is replaced": (
        operation("replace", "Patient.birthDate", value={"valueDate": "1930-01-01"}), "birthDate", "1930-01-01"
    ),
    "without the type's name": (operation("replace", "active", value={"valueBoolean": False}), "active", False),
    "a part of a part": (
        operation("replace", "Patient.contact[0].gender", value={"valueCode": "female"}),
        "contact",
        [{"name": {"text": "Joe"}, "gender": "female"}],
    ),
    "what is new": (operation("add", "Patient", name="gender", value={"valueCode": "female"}), "gender", "female"),
    "at the end of a list": (
        operation("add", "Patient.name.where(use = 'official')", name="given", value={"valueString": "Cy"}),
        "name",
        [PATIENT["name"][0] | {"given": ["Ann", "Bea", "Cy"]}, PATIENT["name"][1]],
    ),
    "a first of a list": (
        operation("add", "Patient.contact.first()", name="telecom", value={"valueContactPoint": {"value": "9"}}),
        "contact",
        [PATIENT["contact"][0] | {"telecom": [{"value": "9"}]}],
    ),
    "a structure by its parts": (
        operation("add", "Patient", name="contact", value={"part": [
            {"name": "name", "valueHumanName": {"text": "Kim"}},
            {"name": "telecom", "valueContactPoint": {"value": "3"}},
            {"name": "telecom", "valueContactPoint": {"value": "4"}},
        ]}),
        "contact",
        [*PATIENT["contact"], {"name": {"text": "Kim"}, "telecom": [{"value": "3"}, {"value": "4"}]}],
    ),
    "into a list": (
        operation("insert", "Patient.name[0].given", index=1, value={"valueString": "Cy"}),
        "name",
        [PATIENT["name"][0] | {"given": ["Ann", "Cy", "Bea"]}, PATIENT["name"][1]],
    ),
    "within a list": (
        operation("move", "Patient.telecom", source=2, destination=0),
        "telecom",
        [PATIENT["telecom"][2], PATIENT["telecom"][0], PATIENT["telecom"][1]],
    ),
    "one of a list goes": (
        operation("delete", "Patient.telecom.where(system = 'phone' and value = '2')"),
        "telecom",
        PATIENT["telecom"][:2],
    ),
    "the last of a structure takes it": (operation("delete", "Patient.maritalStatus.text"), "maritalStatus", None),
    "the only of a list takes it": (operation("delete", "Patient.contact.last()"), "contact", None),
    "what is not there is gone already": (operation("delete", "Patient.photo"), "photo", None),
}  # fmt: skip


@pytest.mark.parametrize("case", DONE)
def test_an_operation_is_made_where_its_path_leads(patch, case):
    """What it names is changed; nothing else is."""
    said, name, wanted = DONE[case]
    found = patch(PATIENT, said)
    assert wanted == found.get(name)
    assert {k: v for k, v in PATIENT.items() if k != name} == {k: v for k, v in found.items() if k != name}


def test_an_element_goes_with_what_is_said_of_it(patch):
    """A primitive's extensions stand in a member of their own; deleted, both go."""
    assert not {"birthDate", "_birthDate"} & patch(PATIENT, operation("delete", "Patient.birthDate")).keys()


def test_a_choice_goes_by_its_name_without_type(patch):
    """`value` names the value of whatever type; another type of it may take its place."""
    said = operation("replace", "Observation.value", value={"valueString": "none"})
    found = patch(OBSERVATION, said)
    assert ("none", False) == (found["valueString"], "valueQuantity" in found)
    inside = operation("replace", "Observation.value.ofType(Quantity).unit", value={"valueString": "bpm"})
    assert {"value": 70, "unit": "bpm"} == patch(OBSERVATION, inside)["valueQuantity"]


def test_operations_are_made_in_order(patch):
    """Each sees what those before it made."""
    first = operation("add", "Observation", name="note", value={"valueAnnotation": {"text": "a"}})
    second = operation("replace", "Observation.note[0].text", value={"valueMarkdown": "b"})
    assert [{"text": "b"}] == patch(OBSERVATION, first, second)["note"]
    assert "note" not in OBSERVATION


def test_a_number_keeps_its_text(elements):
    """1.10 stays 1.10, of what is written as of what was there."""
    raw = parameters(operation("replace", "Observation.value.value", value={"valueDecimal": 0})).replace(
        b": 0}", b": 71.50}"
    )
    shown = read(json.dumps(OBSERVATION | {"effectiveDateTime": "2026"}).encode().replace(b"70", b"70.0"))
    assert b'"value":71.50' in write(path_patched(shown, read_path_patch(raw, "Observation", LIMITS), elements))


UNFIT = {
    "one of several": operation("replace", "Patient.telecom.value", value={"valueString": "3"}),
    "several deleted": operation("delete", "Patient.telecom"),
    "nothing to replace": operation("replace", "Patient.gender", value={"valueCode": "male"}),
    "added twice": operation("add", "Patient", name="active", value={"valueBoolean": True}),
    "another type": operation("replace", "Patient.active", value={"valueString": "true"}),
    "an element R4 does not know": operation("add", "Patient", name="colour", value={"valueCode": "red"}),
    "a path R4 does not know": operation("delete", "Patient.colour"),
    "past the end": operation("insert", "Patient.name[0].given", index=3, value={"valueString": "x"}),
    "moved past the end": operation("move", "Patient.telecom", source=0, destination=3),
    "moved from nowhere": operation("move", "Patient.telecom", source=3, destination=0),
    "no list": operation("insert", "Patient.active", index=0, value={"valueBoolean": True}),
    "a structure where a value goes": operation("replace", "Patient.active", value={"part": []}),
    "another choice beside": operation("add", "Patient", name="deceased", value={"valueQuantity": {"value": 1}}),
}


@pytest.mark.parametrize("case", UNFIT)
def test_what_cannot_be_made_refuses_the_patch(patch, case):
    """One answer, whatever it is; the record is as it was."""
    with pytest.raises(Unprocessable, match="does not fit what this client may see"):
        patch(PATIENT, UNFIT[case])


def test_a_choice_is_not_added_beside_another(patch):
    """A value of another type beside the one there is would be two values."""
    with pytest.raises(Unprocessable):
        patch(OBSERVATION, operation("add", "Observation", name="value", value={"valueString": "x"}))


CLOSED = [
    operation("delete", "Patient.meta.security"),
    operation("delete", "Patient.meta"),
    operation("delete", "meta.security[0]"),
    operation("delete", "Patient.first().meta"),
    operation("delete", "Patient.where(meta.security.code = 'SUD').active"),
    operation("add", "Patient", name="meta", value={"valueMeta": {}}),
    operation("add", "Patient.last()", name="contained", value={"valueString": "x"}),
    operation("replace", "Patient", value={"valueString": "x"}),
    operation("delete", "Patient.where(active = true)"),
    operation("replace", "Patient.id", value={"valueId": "q"}),
    operation("replace", "Patient.implicitRules", value={"valueUri": "urn:x"}),
    operation("insert", "Patient.contained", index=0, value={"valueString": "x"}),
]


@pytest.mark.parametrize("said", CLOSED)
def test_no_operation_touches_what_policy_rests_on(said):
    """Labels, identity, contained records, the whole: refused before anything is looked at (L076)."""
    with pytest.raises(Unprocessable, match="touches what is not changed"):
        read_path_patch(parameters(said), "Patient", LIMITS)


UNREAD = [
    operation("delete", "Patient.contact.resolve().name"),
    operation("delete", "%resource.active"),
    operation("delete", "Observation.status"),
    operation("delete", "Patient.name[-1]"),
    operation("delete", "Patient..name"),
    operation("delete", "Patient.name.where(use = )"),
    operation("delete", "Patient.name | Patient.contact"),
    operation("delete", "Patient.name.where(text = 'a\\u0062')"),
    operation("delete", ""),
    operation("delete", "a" * 501),
    operation("upsert", "Patient.active", value={"valueBoolean": True}),
    operation("delete", "Patient.active", value={"valueBoolean": True}),
    operation("add", "Patient", value={"valueBoolean": True}),
    operation("move", "Patient.telecom", source=-1, destination=0),
    {"name": "operation"},
    {"name": "other", "part": []},
    {
        "name": "operation",
        "part": [{"name": "type", "valueString": "delete"}, {"name": "path", "valueString": "active"}],
    },
    {"name": "operation", "part": [{"name": "type", "valueCode": "delete"}] * 2},
]  # fmt: skip


@pytest.mark.parametrize("said", UNREAD)
def test_what_is_no_operation_is_refused(said):
    """Paths of another form, parts that are missing, too many or of another type: refused whole, by form."""
    with pytest.raises(BadRequest):
        read_path_patch(parameters(said), "Patient", LIMITS)


OTHER = b'{"resourceType":"Patient","parameter":[]}'


@pytest.mark.parametrize("body", [b"[]", b"{", b"{}", b'{"resourceType":"Parameters"}', OTHER, parameters()])
def test_what_is_no_patch_is_refused(body):
    """Another resource, no operation, no JSON."""
    with pytest.raises(BadRequest):
        read_path_patch(body, "Patient", LIMITS)
