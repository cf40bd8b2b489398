"""What would have to be written on a form: whole drafts, and for each thing that is lacking the smallest amendment."""

import json
from typing import Any

import msgspec
import pytest

from consent_store.validate import KnownCodes, refusals
from gateway.facts.explain import explain
from tests.otherwise import text
from tests.questions import (
    ACT_CODE,
    CONSENT_SCOPE,
    PARTICIPANTS,
    PARTICIPATION,
    SHELF,
    SUBJECT,
    consent,
    hidden,
    observation,
    question,
    recipient,
)

REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACTION = "http://terminology.hl7.org/CodeSystem/consentaction"
TYPES, LOINC = "http://hl7.org/fhir/resource-types", "http://loinc.org"
MERCY, VALLEY, PLAN = ({"reference": f"Organization/{name}"} for name in ("mercy", "valley", "plan"))
WEIGHT = observation(code={"coding": [{"system": LOINC, "code": "29463-7"}]}, effectiveDateTime="2026-01-01")
TREAT, HPAYMT = ({"system": REASON, "code": code} for code in ("TREAT", "HPAYMT"))
ROLE = {"coding": [{"system": PARTICIPATION, "code": "IRCP"}]}
NEXT_YEAR = {"start": "2026-11-22T12:00:00+00:00", "end": "2027-12-31"}


def ways(asking: dict[str, Any], kind: str, which: str = "would_disclose") -> list[dict[str, Any]]:
    """What of one kind would change the only record, each alone."""
    (found,) = json.loads(msgspec.json.encode(explain(text(asking), SHELF)))["records"]
    together = [way["together"] for way in found[which]]
    return [one[0]["given"] for one in together if len(one) == 1 and one[0]["kind"] == kind]


def draft(**changes: Any) -> dict[str, Any]:
    """A draft of the exchange that the questions ask about."""
    whole = {
        "resourceType": "Consent",
        "id": "draft-rosa",
        "status": "active",
        "scope": {"coding": [{"system": CONSENT_SCOPE, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": LOINC, "code": "59284-0"}]}],
        "patient": SUBJECT,
        "dateTime": "2026-11-22T12:00:00+00:00",
        "performer": [SUBJECT],
        "organization": [MERCY],
        "sourceAttachment": {"title": "the signed form", "url": "urn:consent-gateway:signed-form"},
        "policy": [{"uri": "urn:consent-gateway:draft"}],
        "provision": {
            "type": "permit",
            "period": {"start": "2026-11-22T12:00:00+00:00", "end": "2027-01-01"},
            "actor": [{"role": ROLE, "reference": VALLEY}],
            "purpose": [TREAT],
        },
    }
    return whole | changes


def test_a_general_consent_names_both_sides_the_purpose_and_an_end():
    """And could be filed as it is."""
    (found,) = ways(question(WEIGHT, profile="base"), "consent_given")
    assert {"add_consent": draft()} == found
    assert () == tuple(refusals(text(found["add_consent"]), "4.0", KnownCodes()))


def test_a_part_2_form_has_every_element_of_2_31():
    """It is marked as one, and describes the records by their labels."""
    (found,) = ways(question(hidden()), "consent_given")
    form = {"coding": [{"system": ACT_CODE, "code": "42CFRPart2CD"}]}
    described = draft()["provision"] | {"securityLabel": [{"system": ACT_CODE, "code": "42CFRPart2"}]}
    expected = draft(category=[*draft()["category"], form], provision=described)
    assert {"add_consent": expected} == found
    opioid = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "F11.20"}]}
    (found,) = ways(question(hidden(reasonCode=[opioid])), "consent_given")
    codes = [one["code"] for one in found["add_consent"]["provision"]["securityLabel"]]
    assert {"42CFRPart2", "OPIOIDUD"} <= set(codes)
    assert sorted(codes) == codes
    assert () == tuple(refusals(text(found["add_consent"]), "4.0", KnownCodes()))


def test_a_refusal_is_of_this_exchange_whatever_it_is_for():
    """It names no purpose, so it stands for every one."""
    given = question(WEIGHT, profile="base", consents=[consent()])
    provision = {name: value for name, value in draft()["provision"].items() if name != "purpose"}
    (found,) = ways(given, "refusal_given", "would_withhold")
    assert {"add_consent": draft(provision=provision | {"type": "deny"})} == found


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"references": ["Organization/z", "Organization/a"]}, {"reference": "Organization/a"}),
        (
            {"identifiers": [{"system": "urn:b", "value": "1"}, {"system": "urn:a", "value": "2"}]},
            {"identifier": {"system": "urn:a", "value": "2"}},
        ),
        ({}, {"identifier": {"system": "urn:consent-gateway:participant-type", "value": "mco"}}),
    ],
    ids=["by reference", "by number", "by class"],
)
def test_the_recipient_is_named_as_it_is_registered(more, named):
    """By reference before number, and by its class where it has neither; always the same one."""
    them = {"id": "them", "type": "mco", "hipaa_covered": True, **more}
    asking = question(WEIGHT, profile="base", participants=[*PARTICIPANTS, them], recipient="them")
    (found,) = ways(asking, "consent_given")
    assert [{"role": ROLE, "reference": named}] == found["add_consent"]["provision"]["actor"]


def test_a_discloser_that_nobody_can_name_is_not_written_down():
    """It has no reference and no number: a consent that names no custodian is given to whoever holds it."""
    them = {"id": "them", "type": "provider_general", "hipaa_covered": True}
    asking = question(WEIGHT, profile="base", participants=[*PARTICIPANTS, them], discloser="them")
    (found,) = ways(asking, "consent_given")
    assert "organization" not in found["add_consent"]


def test_a_patient_whose_name_is_no_id_has_a_draft_without_it():
    """A urn is no resource id."""
    urn = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    entries = [
        {"fullUrl": urn, "resource": {"resourceType": "Patient", "birthDate": "1980"}},
        {"resource": WEIGHT | {"subject": {"reference": urn}}},
    ]
    asking = question({"resourceType": "Bundle", "type": "collection", "entry": entries}, profile="base", context=[])
    found = json.loads(msgspec.json.encode(explain(text(asking), SHELF)))["records"]
    ids = {
        one["given"]["add_consent"]["id"]
        for record in found
        for way in record["would_disclose"]
        for one in way["together"]
        if "add_consent" in one["given"]
    }
    assert {"draft"} == ids


OTHER = {"reference": "Organization/other", "identifier": {"system": "urn:x", "value": "1"}}
AMENDED = {
    "not active": (consent() | {"status": "inactive"}, "/status", "active"),
    "not verified": (consent() | {"verification": [{"verified": False}]}, "/verification", [{"verified": True}]),
    "expired": (
        consent(period={"start": "2020", "end": "2025"}),
        "/provision/period",
        {"start": "2020", "end": "2027-12-31"},
    ),
    "expired, without a start": (consent(period={"end": "2025"}), "/provision/period", NEXT_YEAR),
    "not begun": (consent(period={"start": "2030"}), "/provision/period", NEXT_YEAR),
    "for another purpose": (consent(purpose=[HPAYMT]), "/provision/purpose", [HPAYMT, TREAT]),
    "to another": (consent(actor=[recipient(PLAN)]), "/provision/actor/-", {"role": ROLE, "reference": VALLEY}),
    "given to another": (consent() | {"organization": [OTHER]}, "/organization", [OTHER, MERCY]),
    "another action": (
        consent(action=[{"coding": [{"system": ACTION, "code": "collect"}]}]),
        "/provision/action",
        [{"coding": [{"system": ACTION, "code": code}]} for code in ("collect", "disclose")],
    ),
    "other labels": (
        consent(securityLabel=[{"system": ACT_CODE, "code": "HIV"}]),
        "/provision/securityLabel",
        [{"system": ACT_CODE, "code": "HIV"}, {"system": CONFIDENTIALITY, "code": "N"}],
    ),
    "another class": (
        consent(**{"class": [{"system": TYPES, "code": "Condition"}]}),
        "/provision/class",
        [{"system": TYPES, "code": code} for code in ("Condition", "Observation")],
    ),
    "another code": (
        consent(code=[{"coding": [{"system": LOINC, "code": "1-1"}]}]),
        "/provision/code",
        [{"coding": [{"system": LOINC, "code": code}]} for code in ("1-1", "29463-7")],
    ),
    "other records": (
        consent(data=[{"meaning": "instance", "reference": {"reference": "Observation/other"}}]),
        "/provision/data/-",
        {"meaning": "instance", "reference": {"reference": "Observation/weight"}},
    ),
}


@pytest.mark.parametrize("lack", AMENDED)
def test_the_smallest_amendment_is_told(lack):
    """What is there stays, and what is lacking is written beside it."""
    given, path, value = AMENDED[lack]
    found = ways(question(WEIGHT, profile="base", consents=[given]), "consent_amended")
    assert [{"consent": "Consent/consent", "patch": [{"op": "add", "path": path, "value": value}]}] == found


def test_a_limit_by_date_is_taken_away():
    """Which dates would do is for the patient to say."""
    given = consent(dataPeriod={"start": "1990", "end": "1991"})
    found = ways(question(WEIGHT, profile="base", consents=[given]), "consent_amended")
    assert [[{"op": "remove", "path": "/provision/dataPeriod"}]] == [one["patch"] for one in found]


def of_r5(**parts: Any) -> dict[str, Any]:
    """An R5 Consent of Rosa's that permits."""
    return {
        "resourceType": "Consent",
        "id": "consent",
        "status": "active",
        "category": [{"coding": [{"system": LOINC, "code": "59284-0"}]}],
        "subject": SUBJECT,
        "date": "2026-01-01",
        "decision": "permit",
        **parts,
    }


@pytest.mark.parametrize(
    ("given", "path", "value"),
    [
        (of_r5(controller=[OTHER]), "/controller", [OTHER, MERCY]),
        (of_r5(grantee=[PLAN]), "/grantee", [PLAN, VALLEY]),
        (of_r5(period={"end": "2025"}), "/period", NEXT_YEAR),
    ],
    ids=["given to another", "to another", "expired"],
)
def test_an_r5_consent_is_amended_in_its_own_elements(given, path, value):
    """Provisions are a list there; custodian and recipient have other names."""
    found = ways(question(WEIGHT, profile="base", consents=[given]), "consent_amended")
    assert [{"consent": "Consent/consent", "patch": [{"op": "add", "path": path, "value": value}]}] == found


@pytest.mark.parametrize(
    "given",
    [consent() | {"provision": {"type": "permit", "purpose": "any"}}, consent() | {"status": "odd"}],
    ids=["a provision that cannot be read", "one that cannot be read at all"],
)
def test_what_cannot_be_read_cannot_be_amended(given):
    """Words on a form do not mend it."""
    assert [] == ways(question(WEIGHT, profile="base", consents=[given]), "consent_amended")


def test_an_r5_exception_is_widened_by_the_type_and_keeps_those_it_had():
    """A withdrawn refusal that let claims go: let speak again, it would let this record go too, and claims still."""
    types = "http://hl7.org/fhir/fhir-types"
    exception = {
        "resourceType": [{"system": types, "code": "Claim"}],
        "documentType": [{"system": "urn:x", "code": "note"}],
    }
    given = of_r5(status="inactive", decision="deny", provision=[exception])
    (found,) = ways(question(WEIGHT, profile="base", consents=[given]), "consent_amended")
    (widened,) = [one["value"] for one in found["patch"] if one["path"] == "/provision/0/resourceType"]
    assert [{"system": types, "code": "Claim"}, {"system": types, "code": "Observation"}] == widened


def test_a_provision_in_a_provision_is_amended_in_its_place():
    """In R4 the root is one object and what stands in it a list; an exception of a refusal may be widened so."""
    treat = [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HPAYMT"}]
    inner = [{"type": "permit", "period": {"end": "2020"}, "purpose": treat}, {"type": "permit", "purpose": treat}]
    given = consent("deny", provision=inner) | {"status": "inactive"}
    patches = ways(question(WEIGHT, profile="base", consents=[given]), "consent_amended")
    assert [["/status", "/provision/provision/1/purpose"]] == [[one["path"] for one in way["patch"]] for way in patches]
