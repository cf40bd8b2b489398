"""A search held against one record: every kind, prefix and modifier, and what an edit touches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.query import parse_query
from gateway.fhir.references import parse_base
from gateway.fhir.search import admit
from gateway.fhir.search_offers import Offers
from gateway.fhir.search_predicates import Condition, meets, sort_key, touches, values_at

OWN = frozenset({parse_base("https://gateway.example/fhir")})
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"

OBSERVATION = {
    "resourceType": "Observation",
    "id": "o1",
    "meta": {"profile": ["http://p/a|2"], "security": [{"system": "http://c", "code": "R"}]},
    "identifier": [
        {"system": "urn:ids", "value": "A-1", "type": {"coding": [{"system": "http://t", "code": "MR"}]}},
        {"value": "B|2"},
    ],
    "status": "final",
    "code": {
        "coding": [{"system": LOINC, "code": "29463-7", "display": "Body weight"}, {"code": "W"}],
        "text": "Poids",
    },
    "subject": {"reference": "Patient/p1", "identifier": {"system": "urn:ids", "value": "P"}},
    "performer": [{"reference": "https://gateway.example/fhir/Practitioner/d1"}, {"display": "somebody"}],
    "focus": [{"reference": "https://elsewhere.example/Device/1"}],
    "effectivePeriod": {"start": "2024-03-05T10:00:00+01:00", "end": "2024-03-06"},
    "issued": "2024-03-07T23:30:00-05:00",
    "valueQuantity": {"value": 71.5, "unit": "kg", "system": UCUM, "code": "kg"},
    "component": [{"code": {"coding": [{"system": LOINC, "code": "c"}]}, "valueQuantity": {"value": 3}}],
}
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "active": True,
    "name": [{"family": "Núñez de la  Cruz", "given": ["Ana", "María"], "text": "Ana Núñez"}],
    "telecom": [{"system": "phone", "value": "555", "use": "home"}, {"system": "email", "value": "a@b.c"}],
    "address": [{"line": ["1 Main St"], "city": "Albany"}],
    "birthDate": "1980-05",
}
PLAN = {"resourceType": "ValueSet", "url": "http://x/a/b", "id": "v"}
GOAL = {"resourceType": "RiskAssessment", "id": "r", "prediction": [{"probabilityDecimal": 0.105}]}


@pytest.fixture(scope="module")
def conditions(parameters):
    """The conditions of a search written as a query."""
    offers = Offers(parameters, no_patient_types=frozenset({"ValueSet"}))

    def read(type_, query):
        anchor = {"Patient": "_id=p1&", "ValueSet": ""}.get(type_, "patient=p1&")
        plan = admit(type_, parse_query(f"{anchor}{query}".encode()), offers, own=OWN)
        return plan.conditions[-1]

    return read


MET = [
    (OBSERVATION, "code=29463-7"),
    (OBSERVATION, f"code={LOINC}|29463-7"),
    (OBSERVATION, f"code={LOINC}|"),
    (OBSERVATION, "code=|W"),
    (OBSERVATION, "code=x,W"),
    (OBSERVATION, "code:text=poids"),
    (OBSERVATION, "code:text=body+w"),
    (OBSERVATION, "code:not=x"),
    (OBSERVATION, "code:missing=false"),
    (OBSERVATION, "method:missing=true"),
    (OBSERVATION, "method:not=x"),
    (OBSERVATION, "status=final"),
    (OBSERVATION, "status=http://hl7.org/fhir/observation-status|final"),
    (OBSERVATION, "identifier=urn:ids|A-1"),
    (OBSERVATION, r"identifier=B\|2"),
    (OBSERVATION, r"identifier=|B\|2"),
    (OBSERVATION, "identifier:of-type=http://t|MR|A-1"),
    (OBSERVATION, "performer=Practitioner/d1"),
    (OBSERVATION, "performer:Practitioner=d1"),
    (OBSERVATION, "performer=Organization/o,Practitioner/d1"),
    (OBSERVATION, "focus=https://elsewhere.example/Device/1"),
    (OBSERVATION, "subject:identifier=urn:ids|P"),
    (OBSERVATION, "value-quantity=71.5"),
    (OBSERVATION, "value-quantity=72"),
    (OBSERVATION, f"value-quantity=71.5|{UCUM}|kg"),
    (OBSERVATION, "value-quantity=71.5||kg"),
    (OBSERVATION, "value-quantity=gt71"),
    (OBSERVATION, "value-quantity=ne70"),
    (OBSERVATION, "value-quantity=le71.5"),
    (OBSERVATION, "value-quantity=lt7.2e1"),
    (OBSERVATION, "component-value-quantity=3"),
    (OBSERVATION, "date=2024-03"),
    (OBSERVATION, "date=ge2024-03-05"),
    (OBSERVATION, "date=gt2024-03-05"),
    (OBSERVATION, "date=lt2024-03-06"),
    (OBSERVATION, "date=sa2024-03-04"),
    (OBSERVATION, "date=eb2024-03-07"),
    (OBSERVATION, "date=ne2023"),
    (OBSERVATION, "date=ge2024-03-05T09:00:00Z"),
    (OBSERVATION, "_profile=http://p/a|2"),
    (OBSERVATION, "_profile=http://p/a"),
    (OBSERVATION, "_security=http://c|R"),
    (OBSERVATION, "_id=o1,o2"),
    (PATIENT, "family=nunez"),
    (PATIENT, "family=N%C3%9A%C3%91EZ+de+la+cruz"),
    (PATIENT, "given=maria"),
    (PATIENT, "name=ana+n"),
    (PATIENT, "family:contains=CRUZ"),
    (PATIENT, "given:exact=Ana"),
    (PATIENT, "address=albany"),
    (PATIENT, "address-city=alb"),
    (PATIENT, "phone=555"),
    (PATIENT, "telecom=a@b.c"),
    (PATIENT, "active=true"),
    (PATIENT, "birthdate=1980"),
    (PATIENT, "birthdate=ge1980-05"),
    (PLAN, "url=http://x/a/b"),
    (PLAN, "url:below=http://x/a"),
    (PLAN, "url:above=http://x/a/b/c"),
    (GOAL, "probability=gt0.1"),
    (GOAL, "probability=0.1"),
]
NOT_MET = [
    (OBSERVATION, "code=29463"),
    (OBSERVATION, f"code={LOINC}|W"),
    (OBSERVATION, "code=|29463-7"),
    (OBSERVATION, "code:not=W"),
    (OBSERVATION, "code:not=x,W"),
    (OBSERVATION, "code:text=weight"),
    (OBSERVATION, "code:missing=true"),
    (OBSERVATION, "method:missing=false"),
    (OBSERVATION, "status=FINAL"),
    (OBSERVATION, "identifier=urn:ids|B"),
    (OBSERVATION, "identifier:of-type=http://t|XX|A-1"),
    (OBSERVATION, "identifier:of-type=http://t|MR|B"),
    (OBSERVATION, "performer=Practitioner/d2"),
    (OBSERVATION, "performer=Organization/d1"),
    (OBSERVATION, "subject:identifier=urn:ids|Q"),
    (OBSERVATION, "focus=https://elsewhere.example/Device/2"),
    (OBSERVATION, "focus=Device/1"),
    (OBSERVATION, "value-quantity=71"),
    (OBSERVATION, f"value-quantity=71.5|{UCUM}|g"),
    (OBSERVATION, "value-quantity=71.5|http://other|kg"),
    (OBSERVATION, "value-quantity=gt71.5"),
    (OBSERVATION, "value-quantity=ne71.5"),
    (OBSERVATION, "value-quantity=3"),
    (OBSERVATION, "date=2024-03-05"),
    (OBSERVATION, "date=gt2024-03-06"),
    (OBSERVATION, "date=lt2024-03-05"),
    (OBSERVATION, "date=sa2024-03-05"),
    (OBSERVATION, "date=eb2024-03-06"),
    (OBSERVATION, "date=ne2024"),
    (OBSERVATION, "date=lt2024-03-05T09:00:00Z"),
    (OBSERVATION, "_profile=http://p/a|3"),
    (OBSERVATION, "_security=http://c|N"),
    (PATIENT, "family=cruz"),
    (PATIENT, "given:exact=ana"),
    (PATIENT, "family:contains=nunez+cruz"),
    (PATIENT, "phone=a@b.c"),
    (PATIENT, "active=false"),
    (PATIENT, "birthdate=1980-05-01"),
    (PLAN, "url=http://x/a"),
    (PLAN, "url:below=http://x/a/b/c"),
    (PLAN, "url:below=http://x/a/"[:-1] + "x"),
    (GOAL, "probability=0.2"),
]


@pytest.mark.parametrize(("record", "query"), MET)
def test_a_record_that_is_asked_for_meets_the_search(conditions, record, query):
    """R4 search.html 3.1.1.4 and 3.1.1.5, kind by kind."""
    assert meets(conditions(record["resourceType"], query), record, OWN)


@pytest.mark.parametrize(("record", "query"), NOT_MET)
def test_any_other_record_does_not(conditions, record, query):
    """As above: near misses."""
    assert not meets(conditions(record["resourceType"], query), record, OWN)


@pytest.mark.parametrize(("record", "query"), [one for one in MET if ":missing" not in one[1] and ":not" not in one[1]])
def test_L016_without_its_elements_a_record_is_not_asked_for(conditions, record, query):
    """What is withheld of a record cannot be searched for: the rule that makes a positive search safe."""
    assert not meets(conditions(record["resourceType"], query), {"resourceType": record["resourceType"]}, OWN)


@given(st.lists(st.sampled_from(sorted(OBSERVATION)), unique=True), st.sampled_from(MET))
def test_L012_taking_more_away_never_makes_a_match(conditions, cut, asked):
    """A positive condition that the whole record does not meet is met by no part of it."""
    whole, query = asked
    condition = conditions(whole["resourceType"], query)
    part = {name: value for name, value in OBSERVATION.items() if name not in cut}
    if condition.modifier not in {"not", "missing"} and meets(condition, part, OWN):
        assert meets(condition, OBSERVATION, OWN)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["code", "coding", "system", "value", "start", "reference", "text"]), inner
            )
        ),
        max_leaves=8,
    ),
    st.sampled_from([one[1] for one in MET if one[0] is OBSERVATION]),
)
def test_odd_values_meet_nothing_and_break_nothing(conditions, odd, query):
    """A value of a form that R4 does not have there is no match and no error."""
    record = dict.fromkeys(OBSERVATION, odd)
    assert meets(conditions("Observation", query), record, OWN) in {True, False}
    assert sort_key("date", ("effectiveDateTime", "code"), record, last=False) is None or isinstance(
        odd, str | dict | list
    )


@pytest.mark.parametrize(
    ("edited", "touched"),
    [
        ("/valueQuantity", True),
        ("/valueQuantity/unit", True),
        ("/component/0", True),
        ("/component/0/valueQuantity", True),
        ("/component/0/code", False),
        ("/component", True),
        ("/value", False),
        ("/code", False),
        ("/note/0/text", False),
    ],
)
def test_an_edit_touches_what_it_changes(edited, touched):
    """Of the element, of what it is in, or of a part of it; array places do not matter."""
    condition = Condition(name="x", kind="quantity", paths=("valueQuantity", "component.valueQuantity"), values=())

    assert touched == touches(condition, [edited])


def test_values_are_found_through_lists_and_conditions_on_members():
    """`telecom[system=phone]` gives phones alone."""
    assert ["Ana", "María"] == list(values_at(PATIENT, "name.given"))
    assert [{"system": "phone", "value": "555", "use": "home"}] == list(values_at(PATIENT, "telecom[system=phone]"))
    assert [] == list(values_at(PATIENT, "contact.name"))


def test_a_record_is_sorted_by_its_smallest_value_or_its_largest():
    """Several values: the first of the order counts; none: no key, and the record comes last."""
    record = {"component": [{"valueQuantity": {"value": 3}}, {"valueQuantity": {"value": 10}}]}

    assert 3 == sort_key("quantity", ("component.valueQuantity",), record, last=False)
    assert 10 == sort_key("quantity", ("component.valueQuantity",), record, last=True)
    assert sort_key("quantity", ("valueQuantity",), record, last=True) is None
    assert sort_key("date", ("a",), {"a": "2024-03-05T23:00:00-05:00"}, last=False) > sort_key(
        "date", ("a",), {"a": "2024-03-06T01:00:00+02:00"}, last=False
    )
