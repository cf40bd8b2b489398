"""More small rules of the judge: what is found of whom, what stands inside, who signed, where the upstream is."""

import pytest

from gateway.decision.addresses import Outward
from gateway.decision.fates import POINTS_AT_WITHHELD
from gateway.decision.judge import COPY_WITHHELD, EMPTIED, OUTER_WITHHELD
from gateway.decision.reach import UNREACHED
from gateway.fhir.references import parse_base
from tests.questions import (
    HARBOR_NPI,
    MERCY,
    ROSA,
    SUBJECT,
    asked,
    bundle,
    consent,
    hidden,
    observation,
    question,
    searchset,
    verdicts,
)
from tests.unit.gateway.facts.test_explain import told

OTTO = {"reference": "Patient/otto"}
OTTOS = {"resourceType": "Patient", "id": "otto", "birthDate": "1980-03-01"}


def test_what_is_found_of_one_patient_is_not_found_of_another():
    """Two records alike in all but whose they are: her own app gets Rosa's alone, whichever comes first."""
    records = [observation(), observation("ottos", subject=OTTO)]
    for order in (records, records[::-1]):
        asking = {"recipient": "rosa", "purpose": "PATRQT", "profile": "us-hipaa", "context": [ROSA, OTTOS]}
        found = verdicts(asked(searchset(*order), **asking))
        assert {"Observation/weight": "disclosed", "Observation/ottos": "withheld"} == found


def test_what_is_contained_is_of_everyone_it_and_its_holder_name():
    """Rosa's permit opens her record, and not what it holds of Otto's; with his too, it does."""
    inner = observation("i", subject=OTTO)
    record = observation(contained=[inner], hasMember=[{"reference": "#i"}])
    his = {**consent(patient=OTTO), "id": "his"}
    for consents, verdict in (([consent()], "withheld"), ([consent(), his], "disclosed"), ([his], "withheld")):
        found = asked(searchset(record), profile="base", context=[ROSA, OTTOS], consents=consents)
        assert verdict == verdicts(found)["Observation/i"]


def test_an_attachment_whose_address_goes_goes_whole():
    """Its title and type tell of the record it leads to; another attachment stays."""
    away = {"attachment": {"url": "Encounter/hidden", "title": "SECRET", "contentType": "text/plain"}}
    here = {"attachment": {"url": "http://mercy.example/leaflet", "title": "leaflet"}}
    letter = {"resourceType": "DocumentReference", "id": "d", "status": "current", "subject": SUBJECT}
    found = asked(searchset({**letter, "custodian": MERCY, "content": [away, here]}, hidden()))
    assert [here] == found["released"]["entry"][0]["resource"]["content"]


@pytest.mark.parametrize("birth", ["2010-02-28", "2012-02-28", "2012-02-29", "2012", "9985-01-01"])
def test_whoever_is_born_comes_of_age(birth):
    """An explanation looks at that day too, of whoever is born when February has a 29th, or in a far future."""
    asking = {"context": [{**ROSA, "birthDate": birth}], "profile": "us-ca-calaim", "recipient": "plan"}
    assert 1 == len(told(question(observation(), **asking))["records"])


@pytest.mark.parametrize(("profile", "consents", "stays"), [("us-part2", [], False), ("base", [consent()], True)])
def test_where_an_unknown_source_is_not_sensitive_a_place_elsewhere_stays(profile, consents, stays):
    """No law of the base profile makes an organisation's name tell of treatment."""
    there = {"reference": "http://elsewhere.example/fhir/Organization/x"}
    extension = [{"url": "http://hl7.org/fhir/x", "valueReference": there}]
    found = asked(observation(performer=[MERCY], extension=extension), profile=profile, consents=consents)
    assert stays is ("extension" in found["released"])


@pytest.mark.parametrize(
    "who", [{"identifier": {"system": "urn:another", "value": "x"}}, {"display": "Harbor"}, {}, "x"]
)
def test_a_signature_by_nobody_known_is_no_programs(who):
    """Only one of a registered program makes the whole a program's, by reference or by number."""
    signed = bundle(observation(), type="document", signature={"who": who, "data": "c2lnbmVk"})
    by_program = {"onBehalfOf": {"identifier": HARBOR_NPI}, "who": who, "data": "c2lnbmVk"}
    assert "permit" == asked(signed)["effect"]
    assert "deny" == asked({**signed, "signature": by_program})["effect"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_upstream_at_the_usual_port_is_named_with_and_without_it(scheme):
    """80 of http and 443 of https go without saying (RFC 9110 4.2); the other's is another server."""
    port, other = {"http": (80, 443), "https": (443, 80)}[scheme]
    outward = Outward(parse_base(f"{scheme}://up.internal/fhir"), "https://gateway.example/t/h")
    for named in (
        f"{scheme}://up.internal",
        f"{scheme}://up.internal:{port}",
        f"//up.internal:{port}",
        "//up.internal",
    ):
        assert outward.hides(f"{named}/console"), named
    for named in (f"{scheme}://up.internal:{other}", f"//up.internal:{other}"):
        assert not outward.hides(f"{named}/console"), named


@pytest.mark.parametrize(
    ("address", "stays"),
    [
        ("ActivityDefinition/x", True),
        ("PlanDefinition/x", True),
        ("Location/x", True),
        ("Binary/x", True),
        ("Patient/rosa", True),
        ("NoType/x", True),
        ("http://elsewhere.example/fhir/Condition/x", True),
        ("Condition/x", False),
        ("Encounter/x", False),
    ],
)
def test_an_address_of_a_record_that_is_not_here_stays_where_it_is_of_no_patients(address, stays):
    """Definitions and places are nobody's; a record of that name could be withheld (L052)."""
    found = asked(
        searchset(observation(performer=[MERCY], extension=[{"url": "http://hl7.org/fhir/x", "valueUri": address}]))
    )
    assert stays is ("extension" in found["released"]["entry"][0]["resource"])


def test_what_goes_for_another_s_sake_says_so_alike():
    """A deny of ours that nothing suspends, for a reason that can be told (45 CFR 171.202), with the leak it closes."""
    for cause in (COPY_WITHHELD, EMPTIED, OUTER_WITHHELD, POINTS_AT_WITHHELD, UNREACHED):
        told = (cause.layer, cause.effect, cause.deny_class, cause.reason)
        assert ("residue", "deny", "discretionary", "law_other") == told
        assert cause.cite.startswith("leaks.md L")
        assert cause.say.endswith(".")
