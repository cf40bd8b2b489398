"""Searches: admitted by form, sent on in one form, anchored to a patient."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest, NotSupported
from gateway.fhir.query import parse_query
from gateway.fhir.references import Local
from gateway.fhir.search import admit
from gateway.fhir.search_offers import Offers
from gateway.fhir.search_plan import Key, SearchLimits
from gateway.fhir.search_predicates import meets
from tests.unit.gateway.fhir.searches import OWN


@pytest.mark.parametrize(
    ("asked", "upstream"),
    [
        ("Observation?patient=P1", "patient=Patient/P1"),
        ("Observation?patient=Patient/P1", "patient=Patient/P1"),
        ("Observation?patient=https://gateway.example/north/ehr/Patient/P1", "patient=Patient/P1"),
        ("Observation?subject=P1", "subject=Patient/P1"),
        ("Observation?subject:Patient=P1", "patient=Patient/P1"),
        ("AdverseEvent?subject:Patient=P1", "subject=Patient/P1"),
        ("Observation?encounter=E1", "encounter=Encounter/E1"),
        ("Observation?_id=a,b,c", "_id=a,b,c"),
        ("Condition?code=http://snomed.info/sct|1,2&patient=P1", "code=http://snomed.info/sct|1,2&patient=Patient/P1"),
        ("Condition?patient=P1&category=|x", "patient=Patient/P1&category=|x"),
        (r"Condition?patient=P1&code=a\,b", r"patient=Patient/P1&code=a\,b"),
        ("Observation?patient=P1&date=ge2020-01&date=lt2021", "patient=Patient/P1&date=ge2020-01&date=lt2021"),
        (
            "Observation?patient=P1&_lastUpdated=gt2020-01-01T00:00:00%2B01:00",
            "patient=Patient/P1&_lastUpdated=gt2020-01-01T00:00:00+01:00",
        ),
        ("Patient?_id=P1", "_id=P1"),
        ("Patient?identifier=http://x|1", "identifier=http://x|1"),
        ("Patient?family=%C3%89t%C3%A9,O%27Neil&gender=female", "family=Été,O'Neil&gender=female"),
        ("Patient?given=Ann&birthdate=1980-01-31", "given=Ann&birthdate=1980-01-31"),
        ("Practitioner?family=Chen", "family=Chen"),
        ("Organization?", ""),
        ("PractitionerRole?organization=O1", "organization=Organization/O1"),
    ],
)
def test_an_admitted_search_is_sent_on_with_references_in_one_form(search, asked, upstream):
    """What the upstream gets is the client's own parameters in its order, references as Type/id."""
    assert upstream == "&".join(f"{name}={value}" for name, value in search(asked).upstream)


@pytest.mark.parametrize(
    "query",
    [
        "_has:Observation:patient:_has:Provenance:target:agent=x",
        "encounter:Encounter.service-provider=x",
        "code:in=http://x",
        "code:not-in=http://x",
        "code:above=x",
        "code:below=x",
        "code:of-type=x",
        "subject:Group=P1",
        "_has:Nothing:patient:code=x",
        "_has:Observation:nothing:code=x",
        "_has:Observation:code=x",
        "patient.general-practitioner.name=x",
        "performer.name=x",
        "performer:Organization._list=x",
        "encounter.status=finished",
        "subject:Device.patient=x",
        "patient._has:Observation:patient:code=x",
        "code.text=x",
        "_id.x=1",
        "_tag:not=x",
        "_profile:missing=true",
        "date:not=2020",
        "value-quantity:exact=5",
        "code:exact=5",
        "_id:not=x",
        "_elements=id",
        "_summary=count",
        "_summary=true",
        "_filter=code%20eq%20x",
        "_security:not=http://x|SUD",
        "_text=x",
        "_content=x",
        "_list=x",
        "_in=x",
        "_query=x",
        "_type=Observation",
        "_contained=true",
        "_containedType=contained",
        "_since=2020-01-01",
        "_getpages=123",
        "_getpagesoffset=20",
        "_offset=20",
        "_page=2",
        "_score=1",
        "_method=DELETE",
        "_at=2020",
        "component-code-value-quantity=8480-6$gt140",
        "note=x",
        "nothing=x",
        "_ID=1",
        "_Count=1",
        "Patient=P1",
        "_include:recurse=Observation:encounter",
    ],
)
def test_every_other_parameter_has_the_one_refusal_by_its_name(search, query):
    """L012 to L019, L024: oracles are refused by form; the text names nothing but the client's own word."""
    ((name, _),) = parse_query(query.encode())
    with pytest.raises(NotSupported) as caught:
        search(f"Observation?patient=P1&{query}")

    assert (400, f"the parameter `{name}` is not supported here") == (caught.value.status, caught.value.message)


@pytest.mark.parametrize(
    "query",
    [
        "patient=",
        "patient=Group/G1",
        "patient=patient/P1",
        "patient=Patient/P1/_history/2",
        "patient=P_1",
        "patient=%23p",
        "patient=urn:uuid:1",
        "patient=Patient?identifier=x",
        "patient=https://sink.example/Patient/P1",
        "patient=https://gateway.example/north/ehr/Patient/P1?x=y",
        "patient=http://10.0.0.1:8080/fhir/Patient/P1",
        "encounter=EpisodeOfCare/1",
        "_id=",
        "_id=a,,b",
        "_id=a,b,",
        "_id=Patient/a",
        "_id=a%2Fb",
        "_id=" + ",".join(["a"] * 51),
        "code=",
        "code=|",
        "code=a|b|c",
        "code=a,",
        "code=,a",
        "code=a%5C",
        "code=a%5Cn",
        "code=8480-6$gt140",
        "code=http://a+b|c",
        "date=",
        "date=ap2020",
        "date=ge",
        "date=2020-13",
        "date=2020-01-01T10:00",
        "date=2020-01-01T10:00:00",
        "date=2020,2021",
        "date=GE2020",
        "date=ge2020-01-01T00:00:00+01:00",
        "code=" + "x" * 4001,
        "_count=",
        "_count=0",
        "_count=000",
        "_count=-1",
        "_count=1.5",
        "_count=%D9%A1",
        "_count=9999999999",
    ],
)
def test_a_value_that_is_not_of_the_grammar_is_refused(search, query):
    """A value that a server could read in another way than the gateway is refused, and not repeated in the text."""
    name = query.partition("=")[0]
    with pytest.raises(BadRequest) as caught:
        search(f"Observation?{query}")

    assert f"the value of `{name}` is not of a form the gateway reads" == caught.value.message


@pytest.mark.parametrize("query", ["family=,", "family=-", "name=%7C", "given=a$b"])
def test_a_text_has_letters_and_is_no_composite(search, query):
    """Text that asks for nothing, or for more than one thing, is refused."""
    with pytest.raises(BadRequest):
        search(f"Patient?{query}")


@pytest.mark.parametrize(
    "query",
    [
        "patient=P1&patient=P1",
        "patient=P1&subject:Patient=P1",
        "subject=P1&subject=P2",
        "_id=a&_id=b",
        "patient=P1&code=a&code=b",
        "patient=P1&date=2020&date=2021&date=2022",
        "patient=P1&_count=1&_count=1",
        "patient=P1&" + "&".join(["_include=Observation:encounter"] * 11),
    ],
)
def test_a_parameter_is_given_once_and_a_date_twice(search, query):
    """L019: what servers read differently when repeated is refused."""
    with pytest.raises(BadRequest, match="given too often"):
        search(f"Observation?{query}")


@pytest.mark.parametrize(
    "asked",
    [
        "Observation?",
        "Observation?code=x",
        "Observation?date=ge2020&status=final&category=x",
        "Observation?identifier=x",
        "Observation?_lastUpdated=ge2020",
        "Encounter?status=finished",
        "Group?identifier=x",
        "Bundle?_lastUpdated=ge2020",
        "Consent?status=active",
        "Patient?",
        "Patient?gender=female",
        "Patient?birthdate=1980-01-01",
        "Patient?given=Ann",
        "Patient?_lastUpdated=ge2020&_count=1",
    ],
)
def test_a_search_of_patients_records_without_an_anchor_is_refused_by_form(search, asked):
    """Searches on patient data are anchored; the text depends on the type alone."""
    with pytest.raises(NotSupported, match=r"^a search for `[A-Za-z]+` needs `_id`") as caught:
        search(asked)

    assert 400 == caught.value.status


def test_a_type_of_which_policy_does_not_say_that_it_has_no_patient_needs_an_anchor(parameters):
    """Default deny: with no list of types without a patient, every type is anchored."""
    cautious = Offers(parameters, no_patient_types=frozenset())

    with pytest.raises(NotSupported):
        admit("Organization", [("name", "x")], cautious)


def test_the_page_has_fifty_entries_or_what_was_asked_up_to_the_limit(search):
    """`_count` is the proxy's to send; a server may give fewer than asked."""
    assert 50 == search("Observation?patient=P1").count
    assert 3 == search("Observation?patient=P1&_count=3").count
    assert 200 == search("Observation?patient=P1&_count=1000").count
    assert 7 == search("Observation?patient=P1", limits=SearchLimits(count=7)).count
    assert (("patient", "Patient/P1"),) == search("Observation?_count=3&patient=P1").upstream


def test_the_self_link_has_the_clients_words_in_its_order(search):
    """L028: nothing that the gateway added or rewrote is in what it says it honoured."""
    found = search("Observation?_count=900&subject:Patient=P1&_include=Observation:encounter&code=x")

    assert (
        ("_count", "200"),
        ("subject:Patient", "P1"),
        ("_include", "Observation:encounter"),
        ("code", "x"),
    ) == found.honoured


@pytest.mark.parametrize(
    ("reference", "met"),
    [
        ({"reference": "Encounter/E1"}, True),
        ({"reference": "Encounter/E1/_history/2"}, True),
        ({"reference": "https://gateway.example/north/ehr/Encounter/E1"}, True),
        ({"reference": "http://10.0.0.1:8080/fhir/Encounter/E1"}, True),
        ({"reference": "https://sink.example/Encounter/E1"}, False),
        ({"reference": "Encounter/E2"}, False),
        ({"reference": "Patient/E1"}, False),
        ({"display": "a visit"}, False),
        ("Encounter/E1", False),
    ],
)
def test_a_match_names_in_its_released_form_what_the_search_named(search, reference, met):
    """L012, L014: where the reference that upstream matched on is withheld, the match has to go."""
    (condition,) = search("Observation?encounter=E1").conditions

    assert (("encounter",), (Local("Encounter", "E1"),)) == (condition.paths, condition.values)
    assert met == meets(condition, {"resourceType": "Observation", "encounter": reference}, OWN)
    assert not meets(condition, {"resourceType": "Observation"}, OWN)


def test_what_upstream_could_answer_from_more_than_may_be_seen_is_not_asked_of_it(search):
    """L016 to L018: negations, labels, marks and order are the gateway's own matter; `:exact` narrows what comes."""
    plan = search(
        "Observation?patient=P1&code:not=a&encounter:missing=true&_security=x|R&_profile=http://p&value-string:exact=A"
        "&value-string:contains=b&_sort=-date,code&_total=accurate"
    )

    assert (("patient", "Patient/P1"), ("value-string", "A")) == plan.upstream
    assert ["code", "encounter", "_security", "_profile", "value-string"] == [
        one.name for one in plan.conditions if one.here
    ]
    assert (True, False) == tuple(key.descending for key in plan.sort)
    assert Key("token", ("code",), descending=False) == plan.sort[1]
    assert "_total" not in dict(plan.honoured)


def test_a_type_that_r4_does_not_have_is_refused(offers):
    """Unknown anything is refused."""
    with pytest.raises(NotSupported):
        admit("Nothing", [("_id", "1")], offers)


WORDS = st.sampled_from(
    [
        "_id",
        "patient",
        "subject",
        "subject:Patient",
        "code",
        "_count",
        "_include",
        "_has:x",
        "date",
        "encounter:missing",
    ]
)


@given(st.lists(st.tuples(WORDS, st.text(max_size=12) | st.sampled_from(["P1", "2020", "5", "Observation:patient"]))))
def test_whatever_is_asked_ends_in_a_plan_with_an_anchor_or_in_a_refusal(offers, parameters):
    """L012: what is sent on is of the closed list and anchored; everything else is a 400."""
    try:
        plan = admit("Observation", parameters, offers)
    except (BadRequest, NotSupported) as error:
        plan, status = None, error.status
        assert 400 == status
    if plan is not None:
        sent = {name for name, _ in plan.upstream}
        assert sent & {"_id", "patient", "subject"}
        assert sent <= {"_id", "patient", "subject", "code", "date", "_include"}
        assert len(parameters) == len(plan.honoured)
