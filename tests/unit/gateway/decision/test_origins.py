"""Whose a record is, told by what stands around it: places, services, roles, and records of the context."""

import msgspec
import pytest

from gateway.decision.judge import judge
from gateway.facts.answer import read_whole
from tests.otherwise import text
from tests.questions import (
    ACT_CODE,
    HARBOR,
    MERCY,
    ROSA,
    SHELF,
    SUBJECT,
    asked,
    bundle,
    condition,
    consent,
    encounter,
    hidden,
    observation,
    question,
    released,
    searchset,
    verdicts,
)

HL7 = "http://hl7.org/fhir/x"
PUSHED = {"tag": [{"system": "urn:consent-gateway:origin", "code": "pushed"}]}
SUD = "F11.20"  # a code of substance use: Part 2 unless the source is known to be outside of it


@pytest.mark.parametrize(
    ("between", "record"),
    [
        (
            {"resourceType": "Location", "managingOrganization": HARBOR},
            {"location": [{"location": {"reference": "Location/b"}}]},
        ),
        ({"resourceType": "CareTeam", "managingOrganization": [HARBOR]}, {"performer": [{"reference": "CareTeam/b"}]}),
        ({"resourceType": "Device", "owner": HARBOR}, {"performer": [{"reference": "Device/b"}]}),
        (
            {"resourceType": "HealthcareService", "providedBy": HARBOR},
            {"performer": [{"reference": "HealthcareService/b"}]},
        ),
        ({"resourceType": "Organization", "partOf": HARBOR}, {"performer": [{"reference": "Organization/b"}]}),
        (
            {"resourceType": "OrganizationAffiliation", "organization": HARBOR},
            {"performer": [{"reference": "OrganizationAffiliation/b"}]},
        ),
        (
            {"resourceType": "OrganizationAffiliation", "participatingOrganization": HARBOR},
            {"performer": [{"reference": "OrganizationAffiliation/b"}]},
        ),
        (
            {"resourceType": "PractitionerRole", "organization": HARBOR},
            {"performer": [{"reference": "PractitionerRole/b"}]},
        ),
    ],
    ids=lambda one: one.get("resourceType", "") if isinstance(one, dict) else "",
)
def test_what_belongs_to_a_program_makes_its_records_the_programs(between, record):
    """A place, a team, a device, a service, a department, an affiliate, a role: whatever stands between."""
    whole = (
        encounter(at={"reference": "Organization/nobody"}, **record) if "location" in record else observation(**record)
    )
    about = {"patient": SUBJECT} if between["resourceType"] == "Device" else {}
    about |= {"subject": SUBJECT} if between["resourceType"] == "CareTeam" else {}
    found = asked(whole, context=[ROSA, {"id": "b", **between, **about}])
    assert "deny" == found["effect"]
    assert "42CFRPart2" in [code["code"] for code in found["decisions"][0]["labels_in"]]


def test_a_place_in_a_place_is_followed_to_its_organisation():
    """Four steps at most: department, place, service, organisation; further nothing is known of it."""

    def ward(steps):
        places = [
            {"resourceType": "Location", "id": f"l{n}", "partOf": {"reference": f"Location/l{n + 1}"}}
            for n in range(steps)
        ]
        last = {"resourceType": "Location", "id": f"l{steps}", "managingOrganization": HARBOR}
        record = encounter(at=MERCY, location=[{"location": {"reference": "Location/l0"}}])
        found = asked(record, context=[ROSA, *places, last])
        return "42CFRPart2" in [code["code"] for code in found["decisions"][0]["labels_in"]]

    assert [True, True, True, True] == [ward(steps) for steps in range(4)]
    assert not ward(4)


@pytest.mark.parametrize(
    ("source", "part2"),
    [
        ({"asserter": MERCY}, False),
        ({"asserter": {"reference": "Organization/unregistered"}}, True),
        ({"asserter": {"identifier": {"system": "urn:x", "value": "1"}}}, True),
        ({"asserter": {"type": "Organization", "identifier": {"system": "urn:x", "value": "1"}}}, True),
        ({"asserter": {"type": "Practitioner", "identifier": {"system": "urn:x", "value": "1"}}}, False),
        ({"asserter": {"reference": "Practitioner/unknown"}}, False),
        ({"asserter": {"reference": "PractitionerRole/unknown"}}, True),
        ({}, False),
    ],
    ids=str,
)
def test_a_code_of_substance_use_is_part_2_unless_its_source_is_known(source, part2):
    """Of a provider's own record that names nobody, the provider is the source; one that names who could be a program
    is not known not to be its."""
    record = {**condition("c", SUD), **source}
    if "asserter" not in source or source["asserter"] is not MERCY:
        del record["recorder"]
    labels = asked(record)["decisions"][0]["labels_in"]
    assert part2 is ("42CFRPart2" in [code["code"] for code in labels])


def test_where_the_discloser_provides_no_care_a_record_without_source_is_of_nobody_known():
    """A plan holds what others wrote."""
    record = condition("c", SUD)
    del record["recorder"]
    labels = asked(record, discloser="plan")["decisions"][0]["labels_in"]
    assert "42CFRPart2" in [code["code"] for code in labels]


def test_an_organisation_of_the_context_that_nobody_registered_is_no_known_source():
    """It stands there by name; who it is nobody says. One that is part of a program is the program's."""
    record = {**condition("c", SUD), "recorder": {"reference": "Organization/o"}}
    for parent, part2 in ((MERCY, True), (HARBOR, True)):
        beside = {"resourceType": "Organization", "id": "o", "partOf": parent}
        labels = asked(record, context=[ROSA, beside])["decisions"][0]["labels_in"]
        assert part2 is ("42CFRPart2" in [code["code"] for code in labels])


@pytest.mark.parametrize(
    ("target", "stays"),
    [
        ({"serviceProvider": MERCY}, True),
        ({"serviceProvider": {"reference": "Organization/unregistered"}}, False),
        ({"serviceProvider": {"reference": "PractitionerRole/unknown"}}, False),
        ({"participant": [{"individual": {"reference": "Practitioner/unknown"}}]}, True),
        ({"participant": [{"individual": {"reference": "PractitionerRole/unknown"}}]}, False),
        ({"episodeOfCare": [{"reference": "EpisodeOfCare/unknown"}]}, False),
        ({}, True),
    ],
    ids=str,
)
def test_a_record_of_the_context_is_pointed_at_where_it_is_known_whose_it_is(target, stays):
    """One that could be a program's, for all that was gathered, is not known to be releasable (L032)."""
    visit = {**encounter("beside"), **target}
    if "serviceProvider" not in target:
        del visit["serviceProvider"]
    record = observation(
        performer=[MERCY], extension=[{"url": HL7, "valueReference": {"reference": "Encounter/beside"}}]
    )
    found = asked(searchset(record), context=[ROSA, visit])
    assert stays is ("extension" in released(found, "weight"))
    consented = asked(searchset(record), context=[ROSA, visit], profile="base", consents=[consent()])
    assert "extension" in released(consented, "weight")


def test_several_targets_of_one_name_must_all_be_known():
    """A number that two records have leads to both: one of nobody known is enough."""
    number = {"system": "urn:visits", "value": "7"}
    known, unknown = (
        {**encounter(id, {"reference": at}), "identifier": [number]}
        for id, at in (("a", "Organization/mercy"), ("b", "Organization/unregistered"))
    )
    naming = {"type": "Encounter", "identifier": number}
    record = observation(performer=[MERCY], extension=[{"url": HL7, "valueReference": naming}])
    for context, stays in (([known], True), ([known, unknown], False), ([unknown, known], False)):
        assert stays is ("extension" in released(asked(searchset(record), context=[ROSA, *context]), "weight"))


def test_two_copies_of_a_claim_lose_the_same_lines_or_go():
    """What one copy shows and another does not would be told by the difference (L002)."""

    def benefit(*codes):
        lines = [
            {"sequence": n, "productOrService": {"text": "x"}, "diagnosisSequence": [n]}
            for n in range(1, len(codes) + 1)
        ]
        return {
            "resourceType": "ExplanationOfBenefit",
            "id": "it",
            "status": "active",
            "patient": SUBJECT,
            "insurer": {"reference": "Organization/plan"},
            "provider": MERCY,
            "diagnosis": [
                {
                    "sequence": n,
                    "diagnosisCodeableConcept": {
                        "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}]
                    },
                }
                for n, code in enumerate(codes, 1)
            ],
            "item": lines,
        }

    refusing = consent(provision=[{"type": "deny", "securityLabel": [{"system": ACT_CODE, "code": "HIV"}]}])

    def left(*copies):
        found = asked(bundle(*copies), profile="base", consents=[refusing], recipient="plan")
        return [one["verdict"] for one in found["decisions"]]

    with_hiv, without = benefit("E11.9", "B20"), benefit("E11.9", "I10")
    assert ["masked"] == left(with_hiv)
    assert ["masked", "masked"] == left(with_hiv, with_hiv)
    assert ["withheld", "withheld"] == left(with_hiv, without) == left(without, with_hiv)
    assert ["disclosed", "disclosed"] == left(without, without)


@pytest.mark.parametrize("part", [{"resource": hidden()}, {"part": [{"name": "p", "resource": hidden()}]}])
def test_parameters_hold_records_of_their_own(part):
    """What stands in Parameters is not of the patients that others in it are of; without a record they are nobody's."""
    whole = {
        "resourceType": "Parameters",
        "parameter": [{"name": "a", "resource": observation(performer=[MERCY])}, {"name": "b", **part}],
    }
    found = verdicts(asked(whole))
    assert ("disclosed", "withheld") == (found["Observation/weight"], found["Encounter/hidden"])
    plain = {"resourceType": "Parameters", "parameter": [{"name": "a", "valueString": "x"}]}
    assert {"Parameters": "disclosed"} == verdicts(asked(plain))


def test_what_a_push_carries_out_names_the_receivers_own_records():
    """In a transaction or batch `Type/id` is the receiver's; in a collection it is the sender's, and not known here."""
    for type_, direction, stays in (("batch", "push", True), ("collection", "push", False), ("batch", "read", False)):
        naming = observation(performer=[MERCY], specimen={"reference": "Specimen/there"})
        whole = bundle(naming, observation("other", performer=[MERCY]), type=type_)
        found = asked(whole, interaction={"type": type_, "direction": direction})
        assert stays is ("specimen" in found["released"]["entry"][0]["resource"]), (type_, direction)


def test_the_patient_record_beside_a_program_s_number_is_named_in_passing():
    """A number that a program assigned names it, by the assigner: what points there is not cut beside."""
    number = {"system": "urn:other", "value": "1", "assigner": {**HARBOR, "display": "SECRET"}}
    left = asked(searchset({**ROSA, "identifier": [number, {"system": "urn:x", "value": "2"}]}))
    assert [{"system": "urn:x", "value": "2"}] == left["released"]["entry"][0]["resource"]["identifier"]


@pytest.mark.parametrize(
    ("direction", "sent", "meta", "came"),
    [
        ("read", True, {}, {"plan"}),
        ("read", False, {}, {"plan"}),
        ("push", False, {}, {"plan"}),
        ("push", True, {}, set()),
        ("read", True, {"meta": PUSHED}, set()),
        ("read", False, {"meta": PUSHED}, set()),
        ("push", False, {"meta": PUSHED}, set()),
    ],
)
def test_from_whom_a_record_came_is_shown_by_a_provenance_of_the_server(direction, sent, meta, came):
    """Not by one that a sender sends, nor by one that was pushed before (L080)."""
    told = {"resourceType": "Provenance", "id": "p", "recorded": "2026-01-01T00:00:00Z", **meta}
    told |= {"target": [{"reference": "Observation/weight"}], "agent": [{"who": {"reference": "Organization/plan"}}]}
    asking = question(
        bundle(observation(), *((told,) if sent else ()), type="batch"),
        context=[ROSA, *(() if sent else (told,))],
        interaction={"type": "batch", "direction": direction},
    )
    heard = {}
    read = read_whole(text(asking), SHELF)
    judge(read.document, read.facts, read.tools, lambda view, case: heard.setdefault(view.id, case))
    assert came == heard["weight"].came_from()
    untraced = msgspec.structs.replace(read.facts, untraced=frozenset({"Observation/weight"}))
    judge(read.document, untraced, read.tools, lambda view, case: heard.update({view.id: case}))
    assert set() == heard["weight"].came_from()


def test_of_what_may_have_come_from_anybody_every_program_is_a_source():
    """A record whose Provenances are too many to read may be any program's."""
    read = read_whole(text(question(observation(performer=[MERCY]))), SHELF)
    for untraced, verdict in ((frozenset(), "disclosed"), (frozenset({"Observation/weight"}), "withheld")):
        found = judge(read.document, msgspec.structs.replace(read.facts, untraced=untraced), read.tools)
        assert verdict == found.decisions[0].verdict.value
