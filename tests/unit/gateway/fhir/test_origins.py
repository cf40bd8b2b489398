import json

import pytest

from gateway.fhir.elements import Elements
from gateway.fhir.origins import authors, encounter_references, source_paths, source_references
from gateway.fhir.view import read_resource

AUT = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "AUT"}]}
AUTHOR = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "author"}]}
ATTENDER = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "ATND"}]}


def view(kind, **members):
    """The view of a resource."""
    return read_resource(json.dumps({"resourceType": kind, **members}).encode())


def to(name):
    """A Reference to a Practitioner."""
    return {"reference": f"Practitioner/{name}"}


@pytest.mark.parametrize(
    ("kind", "members", "expected"),
    [
        ("Observation", {"performer": [to("a"), to("b")], "subject": to("s")}, ["a", "b"]),
        ("Condition", {"recorder": to("a"), "asserter": to("b")}, ["a", "b"]),
        ("Procedure", {"performer": [{"actor": to("a"), "onBehalfOf": to("o")}], "recorder": to("b")}, ["a", "b"]),
        ("ServiceRequest", {"requester": to("a"), "performer": [to("b")]}, ["a"]),
        ("MedicationRequest", {"requester": to("a"), "recorder": to("c"), "performer": to("b")}, ["a", "c"]),
        ("DocumentReference", {"author": [to("a")], "custodian": to("c")}, ["a"]),
        ("Claim", {"provider": to("a"), "enterer": to("b"), "insurer": to("i")}, ["a", "b"]),
        (
            "Encounter",
            {"participant": [{"type": [AUT], "individual": to("a")}, {"type": [ATTENDER], "individual": to("b")}]},
            ["a"],
        ),
        (
            "Provenance",
            {"agent": [{"type": AUTHOR, "who": to("a")}, {"type": ATTENDER, "who": to("b")}, {"who": to("c")}]},
            ["a"],
        ),
        ("Encounter", {"participant": [{"type": "odd", "individual": to("a")}, {"individual": to("b")}]}, []),
        ("Encounter", {"participant": {"type": [AUT], "individual": to("a")}}, []),
        ("Observation", {"contained": [{"resourceType": "Observation", "performer": [to("a")]}]}, []),
    ],
)
def test_who_wrote_a_record(kind, members, expected):
    """consent-semantics section 4: author, performer, recorder, asserter, requester, participant in the role AUT."""
    assert [f"Practitioner/{name}" for name in expected] == [
        found.reference for found in authors(view(kind, **members))
    ]


@pytest.mark.parametrize(
    ("kind", "members", "expected"),
    [
        (
            "Encounter",
            {"serviceProvider": to("a"), "location": [{"location": to("b")}], "subject": to("s")},
            ["a", "b"],
        ),
        (
            "ExplanationOfBenefit",
            {
                "provider": to("a"),
                "facility": to("b"),
                "insurer": to("i"),
                "careTeam": [{"provider": to("c")}],
                "item": [{"locationReference": to("d")}],
            },
            ["a", "b", "c", "d"],
        ),
        ("DocumentReference", {"custodian": to("a"), "subject": to("s")}, ["a"]),
        ("Coverage", {"payor": [to("a")]}, []),
        ("Flag", {"author": to("a"), "subject": to("s")}, ["a"]),
        (
            "Unheard",
            {"managingOrganization": to("a"), "performer": [{"actor": to("b")}], "insurer": to("i")},
            ["a", "b"],
        ),
    ],
)
def test_which_organisation_made_it(kind, members, expected):
    """Providers, facilities, custodians are sources; insurers, subjects are not; unknown types get the wide list."""
    found = source_references(view(kind, **members))
    assert [f"Practitioner/{name}" for name in expected] == [reference.reference for reference in found]


def test_the_encounters_a_record_belongs_to():
    """Of the record, and of a claim's lines."""
    claim = view(
        "Claim", item=[{"encounter": [{"reference": "Encounter/1"}]}, {"encounter": [{"reference": "Encounter/2"}]}]
    )
    assert ["Encounter/1", "Encounter/2"] == [found.reference for found in encounter_references(claim)]


def test_the_lists_are_of_r4(elements: Elements):
    """Every path of the lists by type is a Reference in R4."""
    for kind, path in source_paths():
        found = elements.at(kind, "/" + path.replace(".", "/"))
        assert found is not None, f"{kind}.{path}"
        assert "Reference" in found.types, f"{kind}.{path}"
