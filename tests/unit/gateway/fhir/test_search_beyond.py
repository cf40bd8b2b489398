"""Searches beyond one record: includes, chains, `_has`, and the order of what is found."""

import pytest

from gateway.errors import BadRequest, NotSupported
from gateway.fhir.search_plan import Chain, Include, Reverse


@pytest.mark.parametrize(
    ("asked", "include"),
    [
        (
            "MedicationRequest?patient=P1&_include=MedicationRequest:medication",
            Include("MedicationRequest", "medication", ("medicationReference",), None, reverse=False),
        ),
        (
            "Condition?patient=P1&_include=Condition:subject:Patient",
            Include("Condition", "subject", ("subject",), "Patient", reverse=False),
        ),
        (
            "Encounter?_id=E1&_revinclude=Observation:encounter",
            Include("Observation", "encounter", ("encounter",), None, reverse=True),
        ),
        (
            "Patient?_id=P1&_revinclude=Provenance:target:Patient",
            Include("Provenance", "target", ("target",), "Patient", reverse=True),
        ),
        (
            "PractitionerRole?_include=PractitionerRole:organization",
            Include("PractitionerRole", "organization", ("organization",), None, reverse=False),
        ),
        (
            "Practitioner?_revinclude=PractitionerRole:practitioner",
            Include("PractitionerRole", "practitioner", ("practitioner",), None, reverse=True),
        ),
    ],
)
def test_includes_are_of_r4s_own_references(search, asked, include):
    """An include names a reference parameter of R4, and is sent on as it was given."""
    found = search(asked)

    assert (include,) == found.includes
    assert asked.rpartition("&")[2].rpartition("?")[2] == "=".join(found.upstream[-1])


@pytest.mark.parametrize(
    "asked",
    [
        "Observation?patient=P1&_include=*",
        "Observation?patient=P1&_include=Observation:*",
        "Observation?patient=P1&_include=Observation",
        "Observation?patient=P1&_include=Observation:code",
        "Observation?patient=P1&_include=Observation:nothing",
        "Observation?patient=P1&_include=Observation:encounter:Patient",
        "Observation?patient=P1&_include=Observation:encounter:Encounter:x",
        "Observation?patient=P1&_include=Encounter:patient",
        "Observation?patient=P1&_include=observation:encounter",
        "Observation?patient=P1&_include=",
        "Observation?patient=P1&_include=Observation:encounter,Observation:performer",
        "Observation?patient=P1&_revinclude=*",
        "Observation?patient=P1&_revinclude=Provenance:*",
        "Observation?patient=P1&_revinclude=Provenance:agent",
        "Observation?patient=P1&_revinclude=Provenance:target:Patient",
        "Observation?patient=P1&_revinclude=Nothing:target",
        "Organization?_revinclude=Patient:organization",
        "Practitioner?_id=Q&_revinclude=Observation:performer",
        "Medication?_revinclude=MedicationRequest:medication",
        "Location?_revinclude=Encounter:location",
    ],
)
def test_any_other_include_is_refused_by_form(search, asked):
    """L015: no wildcard; and records of patients are not reached from a search without an anchor."""
    name = asked.rpartition("&")[2].rpartition("?")[2].partition("=")[0]
    with pytest.raises(NotSupported, match=f"^the value of `{name}` is not supported here$"):
        search(asked)


def test_a_chain_and_has_are_searches_of_their_own(search):
    """L012 to L014: each with an anchor of its own, by form; what is chained to has to be known."""
    plan = search("Observation?patient.identifier=http://x|1&performer:Practitioner.name=a")
    first, second = plan.chains

    assert isinstance(first, Chain)
    assert ("Patient", (("identifier", "http://x|1"),)) == (first.inner.type, first.inner.upstream)
    assert ("Practitioner", (("name", "a"),)) == (second.inner.type, second.inner.upstream)
    assert () == plan.upstream
    assert ("performer:Practitioner.name", "a") in plan.honoured
    (one,) = search("Patient?_id=P1&_has:Observation:patient:code=x").reverses
    assert Reverse("Observation", "patient", ("subject",), (("code", "x"),)) == one
    with pytest.raises(NotSupported, match="a search for `Observation` needs"):
        search("Observation?performer:Practitioner.name=a")


@pytest.mark.parametrize(
    "asked",
    [
        "Observation?patient=P1&patient.identifier=x",
        "Patient?_id=P1&" + "&".join(f"_has:Observation:patient:code={n}" for n in range(5)),
        "Observation?patient=P1&_sort=date&_sort=code",
        "Observation?patient=P1&_sort=date,code,status,category,_id",
        "Observation?patient=P1&_total=none&_total=none",
    ],
)
def test_what_goes_beyond_one_record_has_a_limit(search, asked):
    """Each search within a search costs one more; their number is bounded by form."""
    with pytest.raises(BadRequest, match="given too often"):
        search(asked)


@pytest.mark.parametrize("value", ["", "nothing", "-", "date,", "date:asc", "_score", "code-value-quantity", "$x"])
def test_an_order_is_by_parameters_that_are_offered(search, value):
    """L018: an order by what cannot be told from what is released is refused by form."""
    with pytest.raises(NotSupported, match="the value of `_sort` is not supported here"):
        search(f"Observation?patient=P1&_sort={value}")
