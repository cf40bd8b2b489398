"""An explanation: what applied, what came near and why not, and what would change it; every claim is asked again."""

import json
import random
from typing import Any

import msgspec
import pytest

from gateway import bootstrap
from gateway.decision import changes
from gateway.errors import QuestionError
from gateway.facts.answer import answer
from gateway.facts.cases import read_cases
from gateway.facts.explain import explain
from gateway.facts.explain_text import explanation_lines
from tests.otherwise import otherwise, text
from tests.questions import (
    ACT_CODE,
    MERCY,
    ROSA,
    SHELF,
    SUBJECT,
    bundle,
    condition,
    consent,
    hidden,
    observation,
    question,
    recipient,
)

REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
TYPES = "http://hl7.org/fhir/resource-types"
VALLEY = {"reference": "Organization/valley"}
PLAN = {"reference": "Organization/plan"}
RANK = {"withheld": 0, "masked": 1, "disclosed": 2}


def told(asking: dict[str, Any], *only: str) -> dict[str, Any]:
    """The explanation, as JSON."""
    return json.loads(msgspec.json.encode(explain(text(asking), SHELF, only)))


def record(asking: dict[str, Any]) -> dict[str, Any]:
    """The explanation of the only record."""
    (one,) = told(asking)["records"]
    return one


def base(*consents: dict[str, Any], resource: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A question under the profile where consent alone decides."""
    return question(resource or observation(), profile="base", consents=list(consents), **more)


def purpose(*codes: str) -> list[dict[str, str]]:
    """Purposes of a provision."""
    return [{"system": REASON, "code": code} for code in codes]


def reasons(found: dict[str, Any], name: str = "Consent/consent") -> set[str]:
    """Why a consent does not speak: the words for all of it and for its nearest provision."""
    (one,) = [one for one in found["consents"] if one["consent"] == name]
    nearest = one["provisions"][0]["why"] if one["provisions"] else []
    return {why["reason"] for why in (*one["why"], *nearest)}


def ways(found: dict[str, Any], direction: str = "would_disclose") -> list[tuple[str, ...]]:
    """The kinds of what would change it."""
    return [tuple(sorted(one["kind"] for one in way["together"])) for way in found[direction]]


# The law -------------------------------------------------------------------------------------------------------------
def _verdicts(asking: dict[str, Any]) -> dict[str, tuple[str, frozenset[str]]]:
    """What becomes of each record, and where a rule cuts."""
    decisions = json.loads(msgspec.json.encode(answer(text(asking), SHELF)["decisions"]))
    return {
        one["at"]: (
            one["verdict"],
            frozenset(e["path"] for e in one["edits"] if e["op"] == "cut" and e["because"] is not None),
        )
        for one in decisions
    }


def _wider(one: tuple[str, frozenset[str]], other: tuple[str, frozenset[str]]) -> bool:
    if one[0] != other[0]:
        return RANK[one[0]] > RANK[other[0]]
    return one[0] == "masked" and one[1] < other[1]


def keeps_its_word(asking: dict[str, Any]) -> int:
    """Make each change that is claimed, in the question, and ask again; gives how many were claimed."""
    now, claims = _verdicts(asking), 0
    for one in told(asking)["records"]:
        assert now[one["at"]][0] == one["verdict"]
        for wider, found in ((True, one["would_disclose"]), (False, one["would_withhold"])):
            for way in found:
                claims += 1
                then = _verdicts(otherwise(asking, way["together"]))[one["at"]]
                sides = (then, now[one["at"]]) if wider else (now[one["at"]], then)
                assert _wider(*sides), (one["resource"], [part["say"] for part in way["together"]])
                assert way["becomes"] == then[0]
    return claims


CASES = [case for file, cases in bootstrap.read_case_files() for case in read_cases(cases, file)]


SOME = CASES[:: max(1, len(CASES) // 60)]


def _comes_true(case) -> None:
    asking = json.loads(msgspec.json.encode(case.question))
    claims = keeps_its_word(asking)
    assert claims or all(one["barred"] for one in told(asking)["records"] if one["verdict"] != "disclosed")


@pytest.mark.parametrize("case", SOME, ids=lambda case: case.where)
def test_what_is_claimed_of_a_case_of_a_profile_comes_true(case):
    """For cases beside the profiles: the change is made in the question, and the record comes out otherwise."""
    _comes_true(case)


@pytest.mark.slow
def test_what_is_claimed_of_every_case_of_every_profile_comes_true():
    """The same for all of them, of which `make test` asks some."""
    for case in CASES:
        _comes_true(case)


def _any(chance: random.Random) -> dict[str, Any]:
    """A question with consents of any kind: revoked, expired, nested, of R5, of others."""
    pick = chance.choice

    def provision(deep: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = {"type": pick(["permit", "permit", "deny"])} if chance.random() < 0.9 else {}
        parts: dict[str, Any] = {
            "period": pick(
                [{"end": "2026-11-21"}, {"start": "2027"}, {"end": "2027-06"}, {"end": "2026-11-22T13:00Z"}]
            ),
            "purpose": purpose(pick(["TREAT", "HPAYMT", "HOPERAT", "CAREMGT"])),
            "actor": [recipient(pick([VALLEY, PLAN, {"reference": "Group/nobody-knows"}]))],
            "securityLabel": [{"system": ACT_CODE, "code": pick(["HIV", "PSY", "SUD", "42CFRPart2"])}],
            "class": [{"system": TYPES, "code": pick(["Observation", "Claim"])}],
            "dataPeriod": {"start": pick(["2019", "2025"]), "end": "2026"},
            "data": [{"meaning": "instance", "reference": {"reference": f"Observation/{pick(['weight', 'other'])}"}}],
            "action": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentaction", "code": "use"}]}],
        }
        found |= {name: value for name, value in parts.items() if chance.random() < 0.22}
        if deep < 2 and chance.random() < 0.3:
            found["provision"] = [provision(deep + 1) | {"type": pick(["permit", "deny"])}]
        return found

    consents = []
    for number in range(chance.randint(0, 3)):
        one = consent(patient=pick([SUBJECT, SUBJECT, SUBJECT, {"reference": "Patient/omar"}]))
        changes = {"id": f"c{number}", "status": pick(["active", "active", "active", "inactive", "draft"])}
        one |= changes | {"provision": provision(), "dateTime": pick(["2025", "2026-01-01", "2026-05"])}
        if chance.random() < 0.25:
            one["organization"] = [pick([MERCY, PLAN])]
        if chance.random() < 0.1:
            one["verification"] = [{"verified": False}]
        if chance.random() < 0.1:
            one["modifierExtension"] = [{"url": "urn:unknown"}]
        consents.append(one)
    if chance.random() < 0.4:
        consents.append(_r5(chance, provision))
    resource = pick([observation(effectiveDateTime="2025-05-01"), condition("hiv", "B20"), hidden()])
    more = {"purpose": pick(["TREAT", "CAREMGT", "HPAYMT"]), "profile": pick(["base", "us-hipaa", "us-part2"])}
    return question(resource, consents=consents, recipient=pick(["valley", "plan"]), **more)


def _r5(chance: random.Random, provision: Any) -> dict[str, Any]:
    """A consent of R5; its exceptions have no type."""
    exception = {k: v for k, v in provision(2).items() if k not in {"type", "class"}}
    return {
        "resourceType": "Consent",
        "id": "r5",
        "status": chance.choice(["active", "inactive"]),
        "subject": SUBJECT,
        "date": "2026-03-01",
        "decision": chance.choice(["permit", "deny"]),
        **({"period": {"end": "2026-02-01"}} if chance.random() < 0.4 else {}),
        **({"grantee": [chance.choice([VALLEY, PLAN])]} if chance.random() < 0.4 else {}),
        **({"provision": [exception]} if chance.random() < 0.6 else {}),
    }


@pytest.mark.parametrize("part", range(4))
def test_what_is_claimed_of_any_question_comes_true(part):
    """The same for consents of any kind, and claims are made: neither the refused nor the permitted go without."""
    chance = random.Random(part)  # noqa: S311  the same every time

    assert sum(keeps_its_word(_any(chance)) for _ in range(20)) > 25


# Consents that do not speak ------------------------------------------------------------------------------------------
SILENT: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = {
    # what is missing: (changes of the consent, its provision, changes of the question, words)
    "expired": ({}, {"period": {"end": "2026-11-21"}}, {}, "it expired on 2026-11-21"),
    "not_yet": ({}, {"period": {"start": "2027-01-01"}}, {}, "it begins on 2027-01-01"),
    "not_active": ({"status": "inactive"}, {}, {}, "it was revoked (inactive)"),
    "verification": ({"verification": [{"verified": False}]}, {}, {}, "not verified"),
    "other_custodian": ({"organization": [PLAN]}, {}, {}, "another custodian (Organization/plan)"),
    "recipient_not_named": ({}, {"actor": [recipient(PLAN)]}, {}, "names other recipients (Organization/plan)"),
    "purpose_not_covered": ({}, {"purpose": purpose("TREAT")}, {"purpose": "CAREMGT"}, "(TREAT) do not cover CAREMGT"),
    "class_not_covered": ({}, {"class": [{"system": TYPES, "code": "Claim"}]}, {}, "records of this class"),
    "codes_not_covered": ({}, {"code": [{"coding": [{"system": "http://loinc.org", "code": "1-8"}]}]}, {}, "codes"),
    "dates_not_covered": ({}, {"dataPeriod": {"end": "2019"}}, {}, "the dates of this record"),
    "labels_not_covered": ({}, {"securityLabel": [{"system": CONFIDENTIALITY, "code": "L"}]}, {}, "the labels"),
    "data_not_covered": (
        {},
        {"data": [{"meaning": "instance", "reference": {"reference": "Observation/other"}}]},
        {},
        "about other records",
    ),
    "action_not_covered": (
        {},
        {
            "action": [
                {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentaction", "code": "collect"}]}
            ]
        },
        {},
        "action disclose",
    ),
}


@pytest.mark.parametrize("lack", SILENT)
def test_a_consent_says_why_it_does_not_speak_and_what_would_let_it(lack):
    """One thing is missing: that one is named, in words, and amending it is what would change the outcome."""
    changes, provision, asked, words = SILENT[lack]
    coded = observation(code={"coding": [{"system": "http://loinc.org", "code": "29463-7"}]})
    found = record(base(consent(**provision) | changes, resource=coded | {"effectiveDateTime": "2025-05-01"}, **asked))

    assert {lack} == reasons(found)
    assert words in "\n".join(explanation_lines(told(base(consent(**provision) | changes, resource=coded, **asked))))
    assert ("consent_amended",) in ways(found)


def test_a_consent_names_all_that_it_lacks():
    """Expired, for another and for another purpose: three reasons, one amendment that mends all of them."""
    found = record(base(consent(period={"end": "2026-11-21"}, actor=[recipient(PLAN)], purpose=purpose("HPAYMT"))))

    assert {"expired", "recipient_not_named", "purpose_not_covered"} == reasons(found)
    assert ("consent_amended",) in ways(found)


def test_a_consent_of_somebody_else_is_named_as_such():
    """A consent of another patient neither speaks nor could."""
    found = record(base(consent(patient={"reference": "Patient/omar"})))

    assert {"other_patient"} == reasons(found)
    assert ("consent_amended",) not in ways(found)


def test_a_consent_that_cannot_be_evaluated_refuses_until_it_is_withdrawn():
    """It is told why it cannot be, and that it stands in the way."""
    found = record(base(consent() | {"modifierExtension": [{"url": "urn:unknown"}]}))

    assert [True] == [one["applied"] for one in found["consents"]]
    assert "cannot be read" in found["applied"][0]["say"]
    assert ("consent_given", "consent_withdrawn") in ways(found)


def test_an_older_consent_is_told_to_be_overtaken_and_a_permit_to_be_outweighed():
    """A newer one of its kind speaks for it; a refusal of another kind outweighs it."""
    older = consent() | {"id": "older", "dateTime": "2025"}
    newer = consent("deny") | {"id": "newer", "dateTime": "2026-02-01"}
    elsewhere = consent("deny") | {"id": "newer", "policy": [{"uri": "urn:other"}]}

    assert {"superseded"} == reasons(record(base(older | {"provision": {"type": "deny"}}, newer)), "Consent/older")
    assert {"outweighed"} == reasons(record(base(older, elsewhere)), "Consent/older")


def test_a_consent_that_falls_short_of_part_2_names_what_it_lacks():
    """A general permit speaks, but the law asks for more: each missing element of 42 CFR 2.31 is named."""
    found = record(question(hidden(), consents=[consent(purpose=purpose("TREAT"))]))
    (one,) = found["consents"]

    lacks = " ".join(why["say"] for why in one["why"])
    assert one["applied"]
    assert {"not_part2"} == {why["reason"] for why in one["why"]}
    assert "no signed source" in lacks
    assert "does not name the recipient" in lacks
    assert "neither an expiry" in lacks


# What would change it ------------------------------------------------------------------------------------------------
def test_a_part_2_record_without_consent_tells_that_none_is_on_file():
    """The consent that would do is written out; a general one is not claimed to help."""
    found = record(question(hidden()))
    given = [way["together"] for way in found["would_disclose"] if way["together"][0]["kind"] == "consent_given"]

    assert [1] == [len(together) for together in given]
    assert "meets 42 CFR 2.31" in given[0][0]["say"]
    assert "42CFRPart2CD" in json.dumps(given[0][0]["given"]["add_consent"])


def test_an_agreement_or_an_attestation_that_would_permit_is_named():
    """Operations of the sender: a BAA, or the fact that both have a relationship, or a consent."""
    found = record(question(observation(), purpose="CAREMGT"))

    assert {("agreement_made",), ("fact_stated",), ("consent_given",)} <= set(ways(found))
    assert {"add_agreement": {"type": "BAA", "between": ["mercy", "valley"]}} in [
        part["given"] for way in found["would_disclose"] for part in way["together"]
    ]


def test_a_permit_tells_what_would_withhold_it():
    """The revocation of the consent it rests on, its expiry, a refusal."""
    found = record(base(consent(period={"end": "2026-12-31"})))

    assert {("consent_withdrawn",), ("later",), ("refusal_given",)} == set(ways(found, "would_withhold"))
    (expiry,) = [w["together"][0] for w in found["would_withhold"] if w["together"][0]["kind"] == "later"]
    assert expiry["given"]["at"].startswith("2026-12-31")


def test_two_refusals_have_to_go_together():
    """Neither alone opens anything; both are named as one way."""
    first = consent("deny") | {"id": "first"}
    second = consent("deny") | {"id": "second", "policy": [{"uri": "urn:other"}]}
    found = record(question(observation(), consents=[first, second]))

    assert [("consent_withdrawn", "consent_withdrawn")] == ways(found)


def test_what_nothing_can_change_says_so():
    """A bar of federal law without exception: no way, and the rule is named."""
    asking = question(hidden(), purpose="HLEGAL")
    asking["participants"][1]["purposes"] = ["HLEGAL"]
    found = record(asking)

    assert [] == found["would_disclose"]
    assert "part2-legal-proceedings" in [one["rule"] for one in found["barred"]]
    assert "knows no exception" in "\n".join(explanation_lines(told(asking)))


def test_an_identifier_that_always_goes_is_barred():
    """A social security number is cut whatever anybody agrees or consents to."""
    ssn = {"identifier": [{"system": "http://hl7.org/fhir/sid/us-ssn", "value": "078-05-1120"}]}
    asking = question(ROSA | ssn, context=[], profile="us-programs")
    found = record(asking)

    assert ("masked", []) == (found["verdict"], found["would_disclose"])
    assert found["barred"]


def test_a_permit_that_lapses_is_told_with_what_made_it_lapse() -> None:
    """A permit that a guard known to be false took away came near: it names the guard, and what would give it back."""
    sides = [
        {"id": "jail", "type": "county_jail", "references": ["Organization/jail"]},
        {"id": "nurse", "type": "provider_general", "references": ["Organization/nurse"]},
    ]
    asking = question(
        condition("depression"),
        profile="us-ca-calaim",
        participants=sides,
        discloser="jail",
        recipient="nurse",
        purpose="COC",
        facts={
            "exchange": {
                "reasonably_necessary_post_release_bh_treatment": True,
                "recipient_involved_in_bh_treatment": False,
            }
        },
    )
    found = record(asking)
    (near,) = [rule for rule in found["rules"] if rule["rule"] == "ca-h5-providers"]
    assert [("need_not_met", "recipient_involved_in_bh_treatment", True)] == [
        (why["reason"], why["condition"], why["known"]) for why in near["why"]
    ]
    ways_back = [one["kind"] for way in found["would_disclose"] for one in way["together"]]
    assert "withheld" == found["verdict"]
    assert ways_back


def test_a_condition_that_is_not_known_is_named_with_the_rule_it_keeps():
    """The rule that came near says which condition, and that it is not known rather than false."""
    found = record(question(observation(), purpose="CAREMGT"))
    (near,) = [rule for rule in found["rules"] if rule["rule"] == "hipaa-operations"]

    assert [("need_not_met", "both_have_relationship_with_enrollee", False)] == [
        (why["reason"], why["condition"], why["known"]) for why in near["why"]
    ]


def test_only_the_records_named_are_explained():
    """A record by its name or its place; one that is not there cannot be asked about."""
    asking = question(bundle(observation(), hidden()))

    assert ["Encounter/hidden"] == [one["resource"] for one in told(asking, "Encounter/hidden")["records"]]
    assert ["Observation/weight"] == [one["resource"] for one in told(asking, "/entry/0/resource")["records"]]
    with pytest.raises(QuestionError, match="no record `Claim/3`"):
        told(asking, "Claim/3")


def test_a_bound_on_the_tries_is_told(monkeypatch):
    """Where the judge may not be asked often enough, nothing is said to be barred for good."""
    monkeypatch.setattr(changes, "TRIES", 2)
    found = record(question(hidden()))

    assert not found["tried_all"]


def test_an_explanation_is_the_same_every_time():
    """Same question, same explanation (law 7)."""
    asking = question(bundle(observation(), hidden(), condition("hiv", "B20")), consents=[consent("deny")])

    assert told(asking) == told(asking)


def test_a_rule_that_is_for_this_purpose_is_not_told_to_be_for_another():
    """What keeps it is told alone (the purpose of care management, without the relationship it needs)."""
    why = {one["rule"]: [reason["reason"] for reason in one["why"]] for one in record(question(observation()))["rules"]}
    managed = record(question(observation(), purpose="CAREMGT"))
    kept = {one["rule"]: [reason["reason"] for reason in one["why"]] for one in managed["rules"]}
    assert "other_purpose" in why["hipaa-operations"]
    assert "other_purpose" not in kept["hipaa-operations"]
    assert kept["hipaa-operations"]


def test_the_refusal_on_a_linked_record_is_told():
    """It holds for the person, so revoking it would disclose."""
    linked = [
        ROSA | {"link": [{"other": {"reference": "Patient/old"}, "type": "replaces"}]},
        {"resourceType": "Patient", "id": "old"},
    ]
    refusing = consent("deny", {"reference": "Patient/old"}) | {"id": "other"}
    ways = record(base(consent(), refusing, context=linked))["would_disclose"]
    assert [{"consent": "Consent/other", "remove": True}] == [one["together"][0]["given"] for one in ways]


def test_what_would_have_to_be_said_of_a_party_is_told():
    """The discloser's own policy wants a consent: that it does not would disclose."""
    asking = question(observation(), profile="us-ca-calaim")
    (mercy,) = (one for one in asking["participants"] if one["id"] == "mercy")
    mercy["attributes"] = {"local_policy_requires_consent": True}
    ways = [one["together"][0] for one in record(asking)["would_disclose"]]
    said = [one["given"] for one in ways if one["kind"] == "attribute_stated"]
    assert {"participant": "mercy", "attributes": {"local_policy_requires_consent": False}} in said
