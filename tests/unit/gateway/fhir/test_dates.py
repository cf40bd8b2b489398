import json
from pathlib import Path

import pytest

from gateway.fhir.bundle import read_document
from gateway.fhir.dates import clinical_period, date_elements, types_with_dates
from gateway.fhir.elements import Elements
from gateway.fhir.view import read_resource


def span(kind, **members):
    """The start and end that a resource's time has, as text."""
    found = clinical_period(read_resource(json.dumps({"resourceType": kind, **members}).encode()))
    return found and tuple(bound and bound.text for bound in (found.start, found.end))


META = {"lastUpdated": "2024-05-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("kind", "members", "expected"),
    [
        ("Observation", {"effectiveDateTime": "2020", "issued": "2021-01-01T00:00:00Z"}, ("2020", "2020")),
        ("Observation", {"issued": "2021-01-01T00:00:00Z"}, ("2021-01-01T00:00:00Z", "2021-01-01T00:00:00Z")),
        ("Observation", {"effectivePeriod": {"start": "2020-01", "end": "2020-02"}}, ("2020-01", "2020-02")),
        ("Observation", {"effectivePeriod": {"end": "2020-02"}}, (None, "2020-02")),
        ("Observation", {"effectiveTiming": {"event": ["2020-03", "2020-01-05"]}}, ("2020-01-05", "2020-03")),
        (
            "Observation",
            {"effectiveTiming": {"repeat": {"boundsPeriod": {"start": "2020"}}}, "meta": META},
            ("2020", None),
        ),
        ("Observation", {"meta": META}, (META["lastUpdated"], META["lastUpdated"])),
        ("Observation", {}, None),
        ("Condition", {"onsetDateTime": "2020", "abatementDateTime": "2021", "recordedDate": "2022"}, ("2020", "2021")),
        ("Condition", {"onsetDateTime": "2020", "recordedDate": "2022"}, ("2020", None)),
        ("Condition", {"onsetPeriod": {"start": "2020", "end": "2021"}}, ("2020", "2021")),
        ("Condition", {"onsetAge": {"value": 5}, "recordedDate": "2022"}, ("2022", "2022")),
        ("Condition", {"onsetString": "as a child", "meta": META}, (META["lastUpdated"], META["lastUpdated"])),
        ("Encounter", {"period": {"start": "2020"}}, ("2020", None)),
        (
            "ExplanationOfBenefit",
            {"billablePeriod": {"start": "2020", "end": "2021"}, "created": "2022"},
            ("2020", "2021"),
        ),
        (
            "DocumentReference",
            {"date": "2022-01-01T00:00:00Z", "context": {"period": {"start": "2020", "end": "2020"}}},
            ("2020", "2020"),
        ),
        ("Specimen", {"collection": {"collectedDateTime": "2020"}}, ("2020", "2020")),
        ("MedicationDispense", {"whenPrepared": "2020", "whenHandedOver": "2021"}, ("2020", "2021")),
        ("Patient", {"birthDate": "1980", "meta": META}, (META["lastUpdated"], META["lastUpdated"])),
        ("Unheard", {"date": "2020"}, None),
    ],
)
def test_a_resources_time(kind, members, expected):
    """Clinical time first, then writing, then lastUpdated; a span without an end stays open."""
    assert expected == span(kind, **members)


@pytest.mark.parametrize(
    "members",
    [
        {"effectiveDateTime": "yesterday", "issued": "2021-01-01T00:00:00Z"},
        {"effectiveDateTime": 2020},
        {"effectivePeriod": {"start": "2020-13"}},
        {"effectiveTiming": {"event": ["2020", "?"]}},
        {"meta": {"lastUpdated": "?"}},
        {"meta": []},
    ],
)
def test_a_date_that_cannot_be_read_is_none(members):
    """A wrong date is not passed over for one that suits better."""
    assert span("Observation", **members) is None


def test_the_lists_are_of_r4(elements: Elements):
    """Every type and every element of the lists exists, with a type that is a date."""
    assert types_with_dates() <= elements.resources
    for kind in types_with_dates():
        for name in date_elements(kind):
            outer, _, rest = name.rpartition("/")
            named = elements.children(f"{kind}.{outer}" if outer else kind)[rest]
            assert {"date", "dateTime", "instant", "Period", "Timing"} & set(named.types), f"{kind}.{name}"


def test_synthea_records_have_a_time(shared: Path):
    """Every clinical resource of the Synthea patients has a clinical time."""
    path = min((shared / "data" / "synthea-r4").glob("Chet*.json"))
    undated = {view.type for view in read_document(path.read_bytes()).views if clinical_period(view) is None}
    assert undated <= {"Patient", "Organization", "Practitioner", "Goal"}
