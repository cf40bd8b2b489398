"""What an explanation asks the judge about: all that could be otherwise, each thing once, nothing that is so."""

from collections.abc import Iterable
from typing import Any

import pytest

from gateway.decision.alterations import Alteration, Kind
from gateway.decision.candidates import INSTANTS, Candidates, Stateable
from gateway.decision.judge import judge
from gateway.facts.answer import read_whole
from tests.otherwise import text
from tests.questions import ROSA, SHELF, SUBJECT, bundle, consent, hidden, observation, question

REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
OTTO = {"resourceType": "Patient", "id": "otto", "birthDate": "1980-03-01"}
STATEABLE = Stateable(
    frozenset({"bona_fide_medical_emergency", "required_by_law"}),
    frozenset({"subject_has_capacity", "adult_only"}),
    frozenset({"hh_received_same_item_from_mco"}),
)


def candidates(asking: dict[str, Any], stateable: Stateable = STATEABLE) -> Candidates:
    """What could be otherwise in a question."""
    read = read_whole(text(asking), SHELF)
    cases: dict[str, dict[Any, Any]] = {}

    def heard(view: Any, case: Any) -> None:
        cases.setdefault(view.at, {}).setdefault(case.subject and case.subject.key, case)

    found = judge(read.document, read.facts, read.tools, heard)
    return Candidates(read.facts, stateable, [(one, tuple(cases.get(one.at, {}).values())) for one in found.decisions])


def said(found: Iterable[Alteration], *kinds: Kind) -> list[str]:
    """What alterations of these kinds say, of all without any."""
    return [one.say for one in found if not kinds or one.kind in kinds]


def limited(*purposes: str, **more: Any) -> dict[str, Any]:
    """A question whose recipient may claim these purposes."""
    asking = question(observation(), **more)
    for one in asking["participants"]:
        one["purposes"] = list(purposes)
    return asking


def test_all_that_could_disclose_a_record_is_asked_once():
    """A consent, each agreement, each attribute, each purpose that may be claimed: in this order."""
    assert [
        "the patient gave a consent that names valley for TREAT",
        "a BAA between mercy and valley were in force",
        "a CNDA between mercy and valley were in force",
        "a DEAA between mercy and valley were in force",
        "a QSOA between mercy and valley were in force",
        "a SOW between mercy and valley were in force",
        "it were stated of mercy: `usda funding` is not so",
        "it were stated of mercy: `local policy requires consent` is not so",
        "it were stated of valley: `requester has cjis access` is not so",
        "it were stated of valley: `requester has cjis access` is so",
        "it were asked for CAREMGT",
        "it were asked for HPAYMT",
    ] == said(candidates(limited("TREAT", "HPAYMT", "CAREMGT")).disclosing(""))


def test_what_is_so_already_is_not_asked():
    """Of attributes only those that are otherwise."""
    asking = limited()
    asking["participants"][0]["attributes"] = {"usda_funding": False, "local_policy_requires_consent": True}
    asking["participants"][1]["attributes"] = {"requester_has_cjis_access": True}
    assert [
        "it were stated of mercy: `local policy requires consent` is not so",
        "it were stated of valley: `requester has cjis access` is not so",
    ] == said(candidates(asking).disclosing(""), Kind.ATTRIBUTE_STATED)


def test_where_nothing_limits_purposes_those_that_rules_and_consents_name_are_asked():
    """Not the one it is asked for; one that only a consent names, at any depth, too."""
    inner = {"type": "deny", "purpose": [{"system": REASON, "code": "HTEST"}]}
    outer = consent(
        purpose=[{"system": REASON, "code": "TREAT"}, {"system": "urn:x", "code": "odd"}], provision=[inner]
    )
    found = said(
        candidates(question(observation(), profile="us-hipaa", consents=[outer])).disclosing(""), Kind.OTHER_PURPOSE
    )
    plain = said(candidates(question(observation(), profile="us-hipaa")).disclosing(""), Kind.OTHER_PURPOSE)
    assert {"it were asked for HTEST", "it were asked for odd"} == {*found} - {*plain}
    assert "it were asked for TREAT" not in found
    assert {"it were asked for HPAYMT", "it were asked for PATRQT"} <= {*plain}


def test_a_party_alone_has_nothing_to_agree():
    """Between a party and itself there are no agreements."""
    assert [] == said(candidates(limited(recipient="mercy")).disclosing(""), Kind.AGREEMENT_MADE)


def test_a_kind_of_agreement_that_a_rule_names_is_asked_too():
    """Beside those of every profile; of rules about other records not."""
    plain = said(candidates(question(observation(), profile="us-hipaa")).disclosing(""), Kind.AGREEMENT_MADE)
    named = {kind for rule in SHELF.policies["us-programs"].rules for kind in rule.agreements or ()}
    all_ = said(candidates(question(observation(), profile="us-programs")).disclosing(""), Kind.AGREEMENT_MADE)
    assert 5 == len(plain) == len(set(plain))
    assert set(plain) <= set(all_) <= {*plain, *(f"a {kind} between mercy and valley were in force" for kind in named)}


def test_facts_that_a_rule_turns_on_and_that_may_be_stated_are_asked_in_each_scope():
    """Of the exchange, the patient, the record; one that is stated already is not; an emergency both its parts."""
    asking = question(hidden(), profile="us-ca-calaim", facts={"exchange": {"required_by_law": True}})
    scopes = Stateable(*(frozenset({"bona_fide_medical_emergency", "required_by_law", "adult_only"}) for _ in range(3)))
    assert [
        ["bona_fide_medical_emergency", "consent_cannot_be_obtained"],
    ] == [
        [*one.given["facts"]["exchange"]]
        for one in candidates(asking, scopes).disclosing("")
        if one.kind is Kind.FACT_STATED and len(one.given["facts"].get("exchange", ())) == 2
    ]
    single = [
        (scope, name)
        for one in candidates(asking, scopes).disclosing("")
        if one.kind is Kind.FACT_STATED and one.given["facts"].get("exchange", {}).keys() != EMERGENCY
        for scope, stated in one.given["facts"].items()
        for name in (stated if scope == "exchange" else next(iter(stated.values())))
    ]
    scopes_of = {
        "adult_only": ("exchange", "subjects", "resources"),
        "bona_fide_medical_emergency": ("exchange", "subjects", "resources"),
        "required_by_law": ("subjects", "resources"),
    }
    assert [(scope, name) for name, scopes in scopes_of.items() for scope in scopes] == single


EMERGENCY = {"bona_fide_medical_emergency", "consent_cannot_be_obtained"}


def test_what_could_withhold_a_record_is_what_it_rests_on():
    """The consents that permit, a refusal, agreements, what is stated, and the ends of periods."""
    asking = question(
        bundle(observation()),
        profile="base",
        consents=[consent(period={"end": "2027-03-01"}), {**consent("deny"), "id": "other", "status": "inactive"}],
        agreements=[{"type": "BAA", "between": ["mercy", "valley"]}, {"type": "QSOA", "between": ["plan", "harbor"]}],
        facts={
            "exchange": {"required_by_law": True, "security_requirements_met": False},
            "subjects": {"Patient/rosa": {"subject_has_capacity": True, "enrolled_and_consented": False}},
            "resources": {
                "Observation/weight": {"hh_received_same_item_from_mco": True},
                "/entry/0/resource": {"hh_received_same_item_from_mco": True},
            },
        },
    )
    assert [
        "Consent/consent were revoked",
        "the patient refused this disclosure to valley",
        "the BAA between mercy and valley ended",
        "the QSOA between harbor and plan ended",
        "it were no longer stated that a law requires it",
        "it were no longer stated that `subject has capacity`",
        "it were no longer stated that `hh received same item from mco`",
        "it were no longer stated that `hh received same item from mco`",
        "it were asked at 2027-03-01T10:00:00+00:00",
        "it were asked at 2027-03-02T12:00:00+00:00",
    ] == said(candidates(asking).withholding("/entry/0/resource"))


def test_of_a_record_of_nobody_known_only_agreements_and_stated_facts_could_withhold():
    """There is no patient to revoke or refuse anything."""
    found = candidates(question({"resourceType": "Organization", "id": "o"}, profile="us-hipaa"))
    assert [] == said(found.withholding(""))
    assert [] == said(found.disclosing(""), Kind.CONSENT_GIVEN, Kind.CONSENT_AMENDED)


@pytest.mark.parametrize(
    ("given", "ways"),
    [
        (consent("deny"), ["Consent/consent were revoked"]),
        (consent() | {"modifierExtension": [{"url": "urn:x"}]}, ["Consent/consent were revoked"]),
        (consent(period={"end": "2020"}), ["Consent/consent were renewed or amended (now its period is over)"]),
        (consent() | {"status": "inactive"}, ["Consent/consent were renewed or amended (now it is not active)"]),
        (consent(patient={"reference": "Patient/omar"}), []),
    ],
    ids=["a refusal", "unreadable", "over", "inactive", "another's"],
)
def test_of_a_consent_what_would_let_it_speak_is_asked(given, ways):
    """A refusal goes, what is over is renewed; of what cannot be mended nothing is said."""
    found = candidates(question(observation(), profile="base", consents=[given]))
    told = said(found.disclosing(""), Kind.CONSENT_WITHDRAWN, Kind.CONSENT_AMENDED)
    assert [way.partition(" (now")[0] for way in ways] == [one.partition(" (now")[0] for one in told]


def test_an_amendment_says_all_that_is_mended():
    """What the whole lacks and what its nearest provision does, each once."""
    lacking = consent(period={"end": "2020"}, purpose=[{"system": REASON, "code": "HPAYMT"}]) | {"status": "inactive"}
    found = candidates(question(observation(), profile="base", consents=[lacking]))
    (told,) = said(found.disclosing(""), Kind.CONSENT_AMENDED)
    for words in ("revoked", "purposes", "expired"):
        assert 1 == told.count(words), told


def test_two_consents_of_one_id_are_not_amended():
    """Nobody could say which; each may still be revoked where it refuses."""
    expired = consent(period={"end": "2020"})
    twice = [expired, {**expired, "dateTime": "2025-01-01", "policy": [{"uri": "urn:other"}]}]
    assert [] == said(
        candidates(question(observation(), profile="base", consents=twice)).disclosing(""), Kind.CONSENT_AMENDED
    )


def test_a_part_2_form_is_drafted_where_a_rule_asks_for_one():
    """For a program's record; for another the plain one alone."""
    (general, form) = said(candidates(question(hidden())).disclosing(""), Kind.CONSENT_GIVEN)
    assert "the patient gave a consent that names valley for TREAT" == general
    assert form.startswith(
        "a consent that meets 42 CFR 2.31 were on file: signed, naming who discloses and valley, for TREAT"
    )
    assert 1 == len(said(candidates(question(observation(), profile="us-hipaa")).disclosing(""), Kind.CONSENT_GIVEN))


def test_each_patient_of_a_record_could_consent():
    """A record of two: both are asked, and a group of records asks the same thing but once."""
    both = observation(subject=SUBJECT, focus=[{"reference": "Patient/otto"}])
    asking = question(bundle(both, observation("second")), context=[ROSA, OTTO], profile="base")
    found = candidates(asking)
    first = [one for one in found.disclosing("/entry/0/resource") if one.kind is Kind.CONSENT_GIVEN]
    second = [one for one in found.disclosing("/entry/1/resource") if one.kind is Kind.CONSENT_GIVEN]
    patients = [one.given["add_consent"]["patient"]["reference"] for one in first]
    assert ["Patient/otto", "Patient/rosa"] == sorted(patients)
    assert second[0] in first


def test_later_instants_are_the_bounds_of_periods_and_coming_of_age():
    """Of agreements, relationships, consents and their provisions at any depth, and of patients; none that is past."""
    asking = question(
        observation(),
        profile="base",
        context=[ROSA | {"birthDate": "2010-02-28"}],
        agreements=[{"type": "BAA", "between": ["mercy", "valley"], "period": {"end": "2026-12-01T00:00:00Z"}}],
        consents=[
            consent(
                period={"start": "2020-01-01T00:00:00Z", "end": "2026-12-03T00:00:00Z"},
                provision=[{"type": "deny", "period": {"start": "2026-12-04T00:00:00Z"}}],
            )
        ],
    )
    found = [one.given["at"] for one in candidates(asking).disclosing("") if one.kind is Kind.LATER]
    assert sorted(found) == found
    assert ["2026-12-01", "2026-12-03", "2026-12-04", "2028-03-01"] == list(dict.fromkeys(day[:10] for day in found))
    assert [] == [day for day in found if day < "2026-11-22T12:00:00"]


def test_of_many_instants_the_first_are_asked():
    """A bound on the tries: the nearest count."""
    ends = [
        {"type": "BAA", "between": ["mercy", "valley"], "period": {"end": f"{year}-01-01T00:00:00Z"}}
        for year in range(2060, 2027, -1)
    ]
    asking = question(observation(), profile="base", agreements=ends)
    found = [one.given["at"] for one in candidates(asking).disclosing("") if one.kind is Kind.LATER]
    assert INSTANTS == len(found)
    assert "2028-01-01" == found[0][:10]
    assert found == sorted(found)


def test_the_refusal_on_a_linked_record_could_be_revoked():
    """Of a record that may be of the same person, and of no other."""
    old = {"resourceType": "Patient", "id": "old", "link": [{"other": SUBJECT, "type": "replaces"}]}
    other = {"resourceType": "Patient", "id": "stranger"}
    refusals = [
        {**consent("deny", {"reference": "Patient/old"}), "id": "olds"},
        {**consent("deny", {"reference": "Patient/stranger"}), "id": "strangers"},
    ]
    asking = question(observation(), profile="us-hipaa", context=[ROSA, old, other], consents=refusals)
    assert ["Consent/olds were revoked"] == said(candidates(asking).disclosing(""), Kind.CONSENT_WITHDRAWN)


def test_what_is_asked_of_one_record_is_not_what_is_asked_of_another():
    """A program's visit beside a measurement of the hospital's: the form is for the visit, whichever is first."""
    for records in ([observation(), hidden()], [hidden(), observation()]):
        found = candidates(question(bundle(*records)))
        forms = {
            one["id"]: len(said(found.disclosing(f"/entry/{at}/resource"), Kind.CONSENT_GIVEN))
            for at, one in enumerate(records)
        }
        assert {"weight": 1, "hidden": 2} == forms
