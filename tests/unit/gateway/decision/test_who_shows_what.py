"""Who may show who belongs to whom, what is remembered from record to record, and what is told of what is withheld."""

import copy
import json

import msgspec
import pytest

from gateway.decision.addresses import Outward, outward_edits
from gateway.decision.case import REDISCLOSURE_NEEDS_CONSENT
from gateway.decision.combine import rule_on
from gateway.decision.conditions import hold
from gateway.decision.consents import ConsentAnswer
from gateway.decision.judge import judge
from gateway.decision.model import Answer
from gateway.facts.answer import Shelf, answer, read_whole
from gateway.fhir.references import parse_base
from gateway.fhir.view import read_resource
from gateway.policy.model import Condition, RuleEffect
from tests.otherwise import text
from tests.questions import (
    ACT_CODE,
    HARBOR,
    HARBOR_NPI,
    MERCY,
    PARTICIPANTS,
    ROSA,
    SHELF,
    SUBJECT,
    asked,
    bundle,
    condition,
    consent,
    hidden,
    observation,
    question,
    recipient,
    rules,
    searchset,
    verdicts,
)
from tests.unit.gateway.decision.test_near_rules import case, rule
from tests.unit.gateway.decision.test_redisclosure import form

VALLEY = {"reference": "Organization/valley"}
PUSHED = {"tag": [{"system": "urn:consent-gateway:origin", "code": "pushed"}]}
SHOWING = {
    "Group": {"type": "practitioner", "actual": True, "member": [{"entity": VALLEY}]},
    "CareTeam": {"status": "active", "subject": SUBJECT, "participant": [{"member": VALLEY}]},
    "PractitionerRole": {"organization": VALLEY, "practitioner": {"reference": "Practitioner/p"}},
}


def effect(type_, *, shown=True, sent=False, direction="read", **more):
    """What becomes of a record that a consent gives to such a thing, which shows the recipient; in the context, or
    sent along."""
    it = {"resourceType": type_, "id": "it", **SHOWING[type_], **more}
    telling = [it] if shown else []
    found = asked(
        bundle(observation(), *(telling if sent else ()), type="batch"),
        profile="base",
        context=[ROSA, *(() if sent else telling)],
        consents=[consent(actor=[recipient({"reference": f"{type_}/it"})])],
        interaction={"type": "batch", "direction": direction},
    )
    return verdicts(found)["Observation/weight"]


@pytest.mark.parametrize("type_", SHOWING)
def test_who_belongs_to_whom_is_shown_by_the_server_and_not_by_who_pushes(type_):
    """By what the server holds, unless that was pushed once; in what a sender sends nothing shows it (L080)."""
    assert "disclosed" == effect(type_) == effect(type_, direction="push") == effect(type_, sent=True)
    assert "withheld" == effect(type_, shown=False)
    assert "withheld" == effect(type_, meta=PUSHED) == effect(type_, sent=True, meta=PUSHED)
    assert "withheld" == effect(type_, sent=True, direction="push")


def test_a_role_or_an_affiliation_that_is_sent_along_shows_nothing_either():
    """A sender's role at the organisation named makes nobody its member."""
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "Practitioner/p"}}
    role |= {"organization": {"reference": "Organization/named"}}
    to_it = consent(actor=[recipient({"reference": "Organization/named"})])

    def found(direction, *, beside):
        asking = question(
            bundle(observation(), *(() if beside else (role,)), type="batch"),
            profile="base",
            context=[ROSA, *((role,) if beside else ())],
            consents=[to_it],
            interaction={"type": "batch", "direction": direction},
            initiator={"reference": "Practitioner/p"},
        )
        return verdicts(json.loads(msgspec.json.encode(answer(text(asking), SHELF))))["Observation/weight"]

    assert found("push", beside=False) == "withheld"
    assert found("read", beside=False) == found("read", beside=True) == found("push", beside=True)


def test_what_the_server_holds_counts_where_a_sender_sends_another_of_that_name():
    """The sender's group of the same id is data; the server's shows who is in it."""
    team = {"resourceType": "Group", "id": "it", **SHOWING["Group"]}
    empty = {"resourceType": "Group", "id": "it", "type": "practitioner", "actual": True}
    for sent, held, verdict in ((empty, team, "disclosed"), (team, empty, "withheld")):
        found = asked(
            bundle(observation(), sent, type="batch"),
            profile="base",
            context=[ROSA, held],
            consents=[consent(actor=[recipient({"reference": "Group/it"})])],
            interaction={"type": "batch", "direction": "push"},
        )
        assert verdict == verdicts(found)["Observation/weight"]


def test_records_alike_of_which_one_is_refused_are_told_apart():
    """By what the consents say of each: a refusal of one record, of one type of data, of one author."""
    refused = {"data": [{"meaning": "instance", "reference": {"reference": "Observation/second"}}]}
    refusing = consent(provision=[{"type": "deny", **refused}])
    records = [observation("first"), observation("second"), observation("third")]
    for order in (records, records[::-1]):
        found = verdicts(asked(searchset(*order), profile="base", consents=[refusing]))
        assert {
            "Observation/first": "disclosed",
            "Observation/second": "withheld",
            "Observation/third": "disclosed",
        } == found


def test_records_alike_of_two_programs_are_told_apart():
    """Passing on turns on whose the record is: the consent to one program's records opens none of another's."""
    policy = SHELF.policies["us-part2"]
    off = msgspec.structs.replace(policy.switches[REDISCLOSURE_NEEDS_CONSENT], value=False)
    policy = msgspec.structs.replace(policy, switches={**policy.switches, REDISCLOSURE_NEEDS_CONSENT: off})
    shelf = Shelf({**SHELF.policies, "us-part2": policy}, SHELF.tools)
    second = {"id": "oasis", "type": "provider_part2", "hipaa_covered": True, "part2_program": True}
    given = form("TREAT", "HPAYMT", "HOPERAT", to="Organization/plan")
    given |= {"patient": SUBJECT, "performer": [SUBJECT], "organization": [HARBOR]}
    visits = [hidden(), {**hidden(), "id": "other", "serviceProvider": {"reference": "Organization/oasis"}}]
    for order in (visits, visits[::-1]):
        asking = question(
            searchset(*copy.deepcopy(order)),
            participants=[*copy.deepcopy(list(PARTICIPANTS)), {**second, "references": ["Organization/oasis"]}],
            discloser="plan",
            consents=[given],
        )
        found = json.loads(msgspec.json.encode(answer(text(asking), shelf)))
        assert {"Encounter/hidden": "disclosed", "Encounter/other": "withheld"} == verdicts(found)


def test_what_is_withheld_for_itself_is_not_withheld_for_what_it_stands_in():
    """A record inside a withheld one that the law keeps back says so, and no more."""
    inner = observation("i", performer=[HARBOR])
    found = asked(hidden(contained=[inner], location=[{"location": {"reference": "#i"}}]))
    assert "withheld" == verdicts(found)["Observation/i"]
    assert "outer-withheld" not in rules(found, "Observation/i")


def test_duties_are_of_what_goes_and_of_nothing_that_stays():
    """Obligations and refrain codes stand beside released records alone."""
    found = asked(searchset(observation(), hidden()))
    told = {one["resource"]: one["obligations"] for one in found["decisions"]}
    assert told["Observation/weight"]
    assert [] == told["Encounter/hidden"]


UP = Outward(parse_base("http://up.internal:8080/fhir"), "https://gateway.example/t/h")


def test_an_address_of_the_upstream_that_cannot_be_told_as_ours_goes():
    """From a record by the judge, with what is addressed; from a Bundle's own elements at once (L025)."""
    console = "http://up.internal:8080/console"
    record = observation(performer=[MERCY], extension=[{"url": "http://hl7.org/fhir/x", "valueUri": console}])
    read = read_whole(text(question(record)), SHELF)
    for outward, stays in ((UP, False), (None, True)):
        found = judge(read.document, msgspec.structs.replace(read.facts, outward=outward), read.tools)
        assert stays is not any(edit.path.startswith("/extension") for edit in found.edits[""])
    numbered = {
        **record,
        "performer": [MERCY, {"type": "Practitioner", "identifier": {"system": "urn:x", "value": "1"}}],
    }
    read = read_whole(text(question(numbered)), SHELF)
    found = judge(read.document, msgspec.structs.replace(read.facts, outward=UP), read.tools)
    assert not any(edit.path.startswith("/performer") for edit in found.edits[""])
    ward = {"reference": "http://up.internal:8080/other/Location/x"}
    named = {**record, "extension": [{"url": "http://hl7.org/fhir/x", "valueReference": ward}]}
    read = read_whole(text(question(named)), SHELF)
    for outward, stays in ((UP, False), (None, True)):
        found = judge(read.document, msgspec.structs.replace(read.facts, outward=outward), read.tools)
        assert stays is not any(edit.path.startswith("/extension") for edit in found.edits[""])
    assert () == tuple(outward_edits(read_resource(json.dumps(record).encode()), UP))


def test_a_guard_that_is_not_known_lets_a_permit_stand_and_one_known_false_does_not():
    """The other way round than a need, which only truth meets."""
    fact = Condition.REQUIRED_BY_LAW
    for name, permitted in (
        ("needs", {None: False, True: True, False: False}),
        ("unless_false", {None: True, True: True, False: False}),
    ):
        one = rule(**{name: (fact,)})
        for said, expected in permitted.items():
            stated = {} if said is None else {fact.value: said}
            assert expected is rule_on(case(one, stated=stated), (one,)).permitted, (name, said)
    denying = rule(RuleEffect.DENY, when_false=(fact,))
    permit = rule()
    for said, expected in ((None, True), (True, True), (False, False)):
        stated = {} if said is None else {fact.value: said}
        assert expected is rule_on(case(permit, denying, stated=stated), (permit, denying)).permitted


def test_a_letter_to_a_program_needs_a_consent_that_stands():
    """Asked as of the program's own records: of nobody, without such consents, or refused by one, it is not so."""
    contact = Condition.CONSENT_LETS_CMA_CONTACT_SUD_PROVIDER
    plain = case()
    assert hold(contact, plain) is False
    refused = ConsentAnswer(Answer.DENY, permitting=())
    for answered in (refused, ConsentAnswer(Answer.NOT_APPLICABLE)):
        assert hold(contact, msgspec.structs.replace(plain, consents_as_part2=lambda given=answered: given)) is False
    nobody = msgspec.structs.replace(plain, subject=None, consents_as_part2=lambda: refused)
    assert hold(contact, nobody) is False


def test_a_number_of_a_program_is_found_by_its_system_where_no_reference_names_it():
    """A record that names no program otherwise loses the number alone."""
    sides = copy.deepcopy(list(PARTICIPANTS))
    sides[2]["identifier_systems"] = ["urn:harbor:clients"]
    numbers = [{"system": "urn:harbor:clients", "value": "7"}, {"system": "urn:x", "value": "8"}]
    found = asked(searchset({**ROSA, "identifier": numbers}), participants=sides)
    assert numbers[1:] == found["released"]["entry"][0]["resource"]["identifier"]
    assert "masked" == verdicts(found)["Patient/rosa"]


def test_a_place_elsewhere_by_number_is_a_program_s_where_the_number_is():
    """By its identifier it is registered; another number is of nobody known."""
    sud = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "F11.20"}]}
    for number, part2 in ((HARBOR_NPI, True), ({"system": "urn:example:npi", "value": "mercy"}, True)):
        record = condition("c") | {"code": sud, "recorder": {"identifier": number}}
        labels = asked(record)["decisions"][0]["labels_in"]
        assert part2 is ({"system": ACT_CODE, "code": "42CFRPart2"} in labels)


def test_what_is_contained_hides_nothing_of_the_server_s():
    """A group inside a record has the name of the server's group only there: the server's shows who is in it."""
    team = {"resourceType": "Group", "id": "it", **SHOWING["Group"]}
    inside = {"resourceType": "Group", "id": "it", "type": "practitioner", "actual": True}
    record = observation(
        contained=[inside], extension=[{"url": "http://hl7.org/fhir/x", "valueReference": {"reference": "#it"}}]
    )
    to_it = consent(actor=[recipient({"reference": "Group/it"})])
    found = asked(record, profile="base", context=[ROSA, team], consents=[to_it])
    assert "disclosed" == verdicts(found)["Observation/weight"]


def test_what_may_not_be_passed_on_says_so_where_it_goes_and_nowhere_else():
    """The refrain code stands beside what was released under the consent."""
    given = form("TREAT", to="Organization/valley") | {
        "patient": SUBJECT,
        "performer": [SUBJECT],
        "organization": [HARBOR],
    }
    found = asked(hidden(), discloser="harbor", consents=[given])
    assert ["NORDSCLCD"] == found["decisions"][0]["refrains"]
    assert [] == asked(hidden(), discloser="harbor")["decisions"][0]["refrains"]


def test_a_number_of_no_kind_that_a_profile_tells_of_is_of_no_category():
    """A record with some number is not one with a social security number."""
    asking = {"profile": "us-programs", "context": []}
    ssn = {"system": "http://hl7.org/fhir/sid/us-ssn", "value": "078-05-1120"}
    plain, numbered = (
        asked(searchset({**ROSA, "identifier": [number]}), **asking)["decisions"][0]["categories"]
        for number in ({"system": "urn:x", "value": "1"}, ssn)
    )
    assert set(plain) < set(numbered)
    assert set(plain) == set(asked(searchset(ROSA), **asking)["decisions"][0]["categories"])
