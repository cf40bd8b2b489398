import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_store.model import Identifier, PatientKey
from gateway.fhir.bundle import read_document
from gateway.fhir.elements import Elements
from gateway.fhir.patients import NO_PATIENT_TYPES, patients_named
from gateway.fhir.references import Local, parse_base
from gateway.fhir.resolver import Resolver

OWN = frozenset({parse_base("http://up/fhir")})
MRN = Identifier("urn:mrn", "77")
KNOWN = {MRN: PatientKey("up", "7")}


def named(elements, resource, *others, at=""):
    """Whom a resource names, alone in a text or first in a Bundle with others: the ids, and whether that is all."""
    if others:
        entries = [{"resource": one} if "resource" not in one else one for one in (resource, *others)]
        found = read_document(json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": entries}).encode())
    else:
        found = read_document(json.dumps(resource).encode())
    answer = patients_named(found.views[0], Resolver(found, OWN), elements, source="up", identifiers=KNOWN)
    return [key.id for key in answer.keys], "unknown" if answer.unknown else "all"


def observation(**members):
    """An Observation."""
    return {"resourceType": "Observation", "id": "o"} | members


PATIENT = {"resourceType": "Patient", "id": "1"}


@pytest.mark.parametrize(
    ("subject", "answer"),
    [
        ({"reference": "Patient/1"}, (["1"], "all")),
        ({"reference": "Patient/1/_history/2"}, (["1"], "all")),
        ({"reference": "HTTP://UP:80/fhir/Patient/1"}, (["1"], "all")),
        ({"reference": "Patient/1", "type": "Patient"}, (["1"], "all")),
        ({"identifier": {"system": "urn:mrn", "value": "77"}}, (["7"], "all")),
        ({"identifier": {"system": "urn:mrn", "value": "99"}}, ([], "unknown")),
        ({"identifier": {"value": "77"}}, ([], "unknown")),
        ({"display": "Ada"}, ([], "unknown")),
        ({"reference": "http://other/fhir/Patient/1"}, ([], "unknown")),
        ({"reference": "http://other/1"}, ([], "unknown")),
        ({"reference": "urn:uuid:1"}, ([], "unknown")),
        ({"reference": "#p"}, ([], "unknown")),
        ({"reference": "patient/P2"}, ([], "unknown")),
        ({"reference": "Patient?identifier=urn:mrn|77"}, ([], "unknown")),
        ({"reference": "Pazient/1"}, ([], "unknown")),
        ({"reference": "Device/1", "type": "Patient"}, ([], "unknown")),
        ({"reference": "Device/1"}, ([], "unknown")),
        ({"reference": "Location/1"}, ([], "unknown")),
        ({"reference": "Group/1"}, ([], "unknown")),
        ({}, ([], "unknown")),
    ],
)
def test_the_subject_in_every_form(elements: Elements, subject, answer):
    """L007: a patient, or unknown; never nobody."""
    assert answer == named(elements, observation(subject=subject))


@pytest.mark.parametrize(
    "members",
    [
        {"focus": [{"reference": "Patient/2"}]},
        {"performer": [{"reference": "Patient/2"}]},
        {"extension": [{"url": "u", "valueReference": {"reference": "Patient/2"}}]},
        {"extension": [{"url": "u", "valueUri": "Patient/2"}]},
        {"extension": [{"url": "u", "valueUrl": "http://up/fhir/Patient/2"}]},
        {"unheard": {"of": [{"reference": "Patient/2"}]}},
        {"_status": {"extension": [{"url": "u", "valueReference": {"reference": "Patient/2"}}]}},
        {"contained": [{"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/2"}}]},
    ],
)
def test_patients_are_found_outside_the_compartment_too(elements: Elements, members):
    """L008, L010: everybody named anywhere counts, not only the subject."""
    assert (["1", "2"], "all") == named(elements, observation(subject={"reference": "Patient/1"}, **members))


@pytest.mark.parametrize(
    "members",
    [
        {"focus": [{"reference": "urn:uuid:9"}]},
        {"focus": [{"reference": "http://other/Patient/2"}]},
        {"performer": [{"reference": "urn:uuid:9"}]},
        {"performer": [{"reference": "http://other/2"}]},
        {"performer": [{"reference": "nonsense"}]},
        {"performer": [{"identifier": {"value": "1"}, "type": "Patient"}]},
        {"performer": [{"reference": "Practitioner/1", "type": "Patient"}]},
        {"extension": [{"url": "u", "valueUri": "http://other/Patient/2"}]},
        {"contained": [{"resourceType": "Patient", "id": "p"}]},
        {"contained": [{"id": "p"}]},
        {"contained": [{"resourceType": "Pazient", "id": "p"}]},
    ],
)
def test_who_may_be_a_second_patient_makes_all_unknown(elements: Elements, members):
    """L007, L008: one known patient does not answer for another that cannot be told."""
    assert (["1"], "unknown") == named(elements, observation(subject={"reference": "Patient/1"}, **members))


@pytest.mark.parametrize(
    "members",
    [
        {"performer": [{"reference": "Practitioner/1"}, {"reference": "http://other/Practitioner/1"}]},
        {"performer": [{"identifier": {"value": "1"}}, {"display": "Dr B"}]},
        {"performer": [{"reference": "RelatedPerson/1"}]},
        {"encounter": {"reference": "urn:uuid:9"}},
        {"encounter": {"reference": "nonsense"}},
        {"encounter": {"display": "a visit"}},
        {"focus": [{"reference": "Condition/1"}]},
        {"contained": [{"resourceType": "Practitioner", "id": "d"}], "performer": [{"reference": "#d"}]},
        {"contained": [PATIENT | {"identifier": [{"system": "urn:mrn", "value": "77"}]}]},
    ],
)
def test_what_cannot_be_a_patient_leaves_no_doubt(elements: Elements, members):
    """References that are not to patients, whatever they lead to, do not make the patients unknown."""
    assert "all" == named(elements, observation(subject={"reference": "Patient/1"}, **members))[1]


def test_several_patients_are_all_named(elements: Elements):
    """L008: mother and child, a group appointment."""
    participants = [{"actor": {"reference": f"Patient/{number}"}} for number in (2, 1)]
    assert (["1", "2"], "all") == named(elements, {"resourceType": "Appointment", "participant": participants})
    link = [{"other": {"reference": "Patient/2"}, "type": "seealso"}]
    assert (["1", "2"], "all") == named(elements, PATIENT | {"link": link})


def test_a_urn_is_resolved_in_its_bundle(elements: Elements):
    """L007: a transaction's urn:uuid names the Patient entry, by its id or, without one, by the urn itself."""
    subject = observation(subject={"reference": "urn:uuid:A"})
    with_id = {"fullUrl": "urn:uuid:a", "resource": PATIENT}
    without = {"fullUrl": "urn:uuid:a", "resource": {"resourceType": "Patient"}}
    device = {"fullUrl": "urn:uuid:a", "resource": {"resourceType": "Device", "id": "1"}}
    assert (["1"], "all") == named(elements, subject, with_id)
    assert (["urn:uuid:a"], "all") == named(elements, subject, without)
    assert (["1", "urn:uuid:a"], "all") == named(elements, subject, with_id, without)
    assert ([], "unknown") == named(elements, subject, device)


def test_a_contained_patient_is_known_by_an_identifier_alone(elements: Elements):
    """L007: `#p` has no identity of its own; an identifier we know gives it one."""
    contained = {"resourceType": "Patient", "id": "1", "identifier": [{"system": "urn:mrn", "value": "77"}]}
    assert (["7"], "all") == named(elements, observation(contained=[contained], subject={"reference": "#1"}))
    nameless = {"resourceType": "Patient", "id": "1"}
    assert ([], "unknown") == named(elements, observation(contained=[nameless], subject={"reference": "#1"}))


@pytest.mark.parametrize(
    ("stand_in", "patients"),
    [
        ({"resourceType": "RelatedPerson", "id": "x", "patient": {"reference": "Patient/2"}}, ["1", "2"]),
        (
            {
                "resourceType": "Group",
                "id": "x",
                "member": [{"entity": {"reference": "Patient/2"}}, {"entity": {"reference": "Patient/3"}}],
            },
            ["1", "2", "3"],
        ),
        ({"resourceType": "Person", "id": "x", "link": [{"target": {"reference": "Patient/2"}}]}, ["1", "2"]),
    ],
)
def test_stand_ins_are_looked_through(elements: Elements, stand_in, patients):
    """RelatedPerson, Group and Person name their patients where they are in the document; else they are listed."""
    resource = observation(subject={"reference": "Patient/1"}, focus=[{"reference": f"{stand_in['resourceType']}/x"}])
    assert (patients, "all") == named(elements, resource, stand_in)
    alone = read_document(json.dumps(resource).encode())
    answer = patients_named(alone.views[0], Resolver(alone), elements)
    assert (Local(stand_in["resourceType"], "x"),) == answer.unresolved


def test_stand_ins_may_stand_in_circles(elements: Elements):
    """L009: two Groups that hold each other end, and name whom they name."""
    groups = [
        {
            "resourceType": "Group",
            "id": one,
            "member": [{"entity": {"reference": f"Group/{other}"}}, {"entity": {"reference": f"Patient/{one}"}}],
        }
        for one, other in ("ab", "ba")
    ]
    assert (["a", "b"], "all") == named(elements, observation(subject={"reference": "Group/a"}), *groups)


def test_provenance_is_about_its_targets(elements: Elements):
    """L036: who a Provenance is about is told by its targets, all of them."""
    hidden = observation(subject={"reference": "Patient/2"})
    targets = [{"reference": "Patient/1"}, {"reference": "Observation/o"}, {"reference": "Organization/1"}]
    provenance = {"resourceType": "Provenance", "target": targets}
    assert (["1", "2"], "all") == named(elements, provenance, hidden)
    assert (["1"], "unknown") == named(elements, provenance)
    assert ([], "unknown") == named(
        elements, {"resourceType": "Provenance", "target": [{"reference": "http://x/Claim/1"}]}
    )


def test_an_answer_to_an_enrolment_is_about_whom_its_request_names(elements: Elements):
    """R4's EnrollmentResponse has no patient of its own; without the request in reach nobody knows whose it is."""
    response = {"resourceType": "EnrollmentResponse", "request": {"reference": "EnrollmentRequest/r"}}
    request = {"resourceType": "EnrollmentRequest", "id": "r", "candidate": {"reference": "Patient/1"}}
    assert (["1"], "all") == named(elements, response, request)
    assert ([], "unknown") == named(elements, response)


def test_who_has_no_patient(elements: Elements):
    """L003: an Organization is about nobody; an Observation without a patient is about somebody unknown."""
    assert ([], "all") == named(elements, {"resourceType": "Organization", "id": "1"})
    assert ([], "unknown") == named(elements, {"resourceType": "Organisation", "id": "1"})
    assert ([], "unknown") == named(elements, observation())
    assert ([], "unknown") == named(elements, {"id": "1"})
    extension = [{"url": "u", "valueReference": {"reference": "Patient/2"}}]
    assert (["2"], "all") == named(elements, {"resourceType": "Organization", "id": "1", "extension": extension})


def test_a_container_is_about_what_is_in_it(elements: Elements):
    """L035, L045: a nested Bundle names everybody in it, and is unknown when one of them is."""
    inside = [{"resource": PATIENT}, {"resource": observation(subject={"reference": "Patient/2"})}]
    bundle = {"resourceType": "Bundle", "entry": inside}
    assert (["1", "2"], "all") == named(elements, bundle, PATIENT)
    bundle = {
        "resourceType": "Bundle",
        "entry": [*inside, {"resource": observation(subject={"reference": "urn:uuid:3"})}],
    }
    assert (["1", "2"], "unknown") == named(elements, bundle, PATIENT)
    parameters = {"resourceType": "Parameters", "parameter": [{"part": [{"name": "x", "resource": PATIENT}]}]}
    assert (["1"], "all") == named(elements, parameters)
    assert ([], "all") == named(elements, {"resourceType": "Parameters"})


def test_each_inner_resource_can_be_asked_about(elements: Elements):
    """A contained resource names its own patients, or is about whom its container names."""
    contained = [
        {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/2"}},
        {"resourceType": "Condition", "id": "d"},
    ]
    found = read_document(json.dumps(observation(contained=contained, subject={"reference": "Patient/1"})).encode())
    resolver = Resolver(found)
    first, second = found.views[0].inner
    assert ["2"] == [key.id for key in patients_named(first, resolver, elements).keys]
    assert ["1", "2"] == [key.id for key in patients_named(second, resolver, elements).keys]


def test_the_answer_names_its_source_and_its_doubts(elements: Elements):
    """Keys belong to the source asked for; doubts are pointers in the document."""
    found = read_document(
        json.dumps(observation(subject={"reference": "Patient/1"}, focus=[{"reference": "x"}])).encode()
    )
    answer = patients_named(found.views[0], Resolver(found), elements, source="up")
    assert ((PatientKey("up", "1"),), ("/focus/0",)) == (answer.keys, answer.why)


def test_a_patient_of_another_server_is_not_ours(elements: Elements):
    """L007, L029: Patient/1 whose fullUrl is another server's is nobody we know."""
    other = {"fullUrl": "http://other/fhir/Patient/1", "resource": PATIENT}
    assert ([], "unknown") == named(elements, other, PATIENT)


def test_types_without_patients_have_no_patient_element(elements: Elements):
    """No type of the allow-list has an element whose stated targets include Patient, at any depth but extensions."""
    assert NO_PATIENT_TYPES <= elements.resources
    for kind in NO_PATIENT_TYPES:
        for path in reference_paths(elements, kind, "", 6):
            assert "Patient" not in (elements.reference_targets(kind, path) or ()), f"{kind}{path}"


def test_every_patient_element_of_r4_is_read(elements: Elements):
    """L010: for every Reference element of R4 that may be to a Patient, a patient there is found, in every type."""
    tried = 0
    for kind in sorted(elements.resources):
        for path in reference_paths(elements, kind, "", 5):
            targets = elements.reference_targets(kind, path)
            if targets is not None and "Patient" in targets:
                tried += 1
                assert "2" in named(elements, placed(kind, path, {"reference": "Patient/2"}))[0], f"{kind}{path}"
    assert tried > 150


def reference_paths(elements, kind, at, depth):
    """Pointers (without indexes) of all Reference elements of a type, through backbones."""
    for name, element in elements.children(kind).items():
        if name in {"extension", "modifierExtension", "contained", "meta", "text"}:
            continue
        json_name = name.replace("[x]", "Reference")
        if "Reference" in element.types:
            yield f"{at}/{json_name}"
        elif element.backbone and depth:
            yield from reference_paths(elements, element.types[0], f"{at}/{name}", depth - 1)


def placed(kind, path, value):
    """A resource with a value at a path."""
    for name in reversed(path[1:].split("/")):
        value = {name: value}
    return {"resourceType": kind, **value}


REFERENCES = st.fixed_dictionaries(
    {},
    optional={
        "reference": st.sampled_from(
            ["Patient/1", "Group/g", "#c", "urn:uuid:1", "x", "http://o/Patient/1", "Device/1"]
        ),
        "type": st.sampled_from(["Patient", "Device"]),
        "identifier": st.just({"system": "urn:mrn", "value": "77"}),
        "display": st.just("Ada"),
    },
)


@given(
    st.lists(st.tuples(st.sampled_from(["subject", "performer", "focus", "odd"]), REFERENCES), max_size=4), REFERENCES
)
def test_one_more_reference_never_makes_fewer_patients(elements, members, more):
    """L008, L009: adding a reference never takes a patient or a doubt away, but for the doubt that nobody is named."""
    before = {name: [value] for name, value in members}
    keys, told = named(elements, observation(**before))
    more_keys, more_told = named(elements, observation(**before, another=[more]))
    assert set(keys) <= set(more_keys)
    assert told == "all" or more_told == "unknown" or (not keys and more_keys)
