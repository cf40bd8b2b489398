"""What would change an outcome: each thing alone where one is enough, else the fewest together, and what bars."""

import msgspec
import pytest

from gateway.decision import changes
from gateway.decision.candidates import Stateable
from gateway.decision.changes import TRIES, Explained, explained
from gateway.directory.vocabulary import EXCHANGE_FACTS, RESOURCE_FACTS, SUBJECT_FACTS
from gateway.facts.answer import read_whole
from gateway.policy.model import Condition, DenyClass, Layer, Rule, RuleEffect
from tests.otherwise import text
from tests.questions import ACT_CODE, MERCY, SHELF, SUBJECT, bundle, consent, hidden, observation, question

STATEABLE = Stateable(frozenset(EXCHANGE_FACTS), frozenset(SUBJECT_FACTS), frozenset(RESOURCE_FACTS))
FACT, OTHER = Condition.REQUIRED_BY_LAW, Condition.SECURITY_REQUIREMENTS_MET
UNFUNDED = Condition.NO_USDA_FUNDING


def rule(effect: RuleEffect = RuleEffect.PERMIT, id: str = "r", **more: object) -> Rule:
    """A rule that speaks of every record, unless told."""
    deny = {"deny_class": more.pop("deny_class", DenyClass.FEDERAL_LAW)} if effect is RuleEffect.DENY else {}
    return Rule(id=id, layer=Layer.LAW, effect=effect, says="It is so.", cite="1 CFR 1", **deny, **more)


def records(asking: dict, *rules: Rule, only: frozenset[str] | None = None) -> list[Explained]:
    """The explanation of each record under these rules alone, or under the profile's own."""
    read = read_whole(text(asking), SHELF)
    policy = msgspec.structs.replace(read.facts.policy, rules=rules) if rules else read.facts.policy
    facts = msgspec.structs.replace(read.facts, policy=policy)
    return list(explained(read.document, facts, read.tools, STATEABLE, only).records)


def together(found: Explained) -> list[list[str]]:
    """The kinds of what has it disclosed, way by way."""
    return [sorted(one.kind.value for one in way.alterations) for way in found.disclosing]


@pytest.mark.parametrize(
    ("one", "consents", "ways"),
    [
        (rule(needs=(FACT, OTHER)), [], [["fact_stated", "fact_stated"]]),
        (rule(needs=(FACT,), agreements=frozenset({"BAA"})), [], [["agreement_made", "fact_stated"]]),
        (rule(needs=(FACT, UNFUNDED)), [], [["attribute_stated", "fact_stated"]]),
        (rule(needs=(UNFUNDED,), agreements=frozenset({"BAA"})), [], [["agreement_made", "attribute_stated"]]),
        (rule(needs=(Condition.CONSENT_PERMITS, FACT)), [], [["consent_given", "fact_stated"]]),
        (rule(needs=(Condition.CONSENT_PERMITS,)), [consent("deny")], [["consent_given", "consent_withdrawn"]]),
        (
            rule(needs=(Condition.CONSENT_PERMITS, FACT)),
            [consent("deny")],
            [["consent_given", "consent_withdrawn", "fact_stated"]],
        ),
        (rule(needs=(FACT,)), [consent("deny")], [["consent_withdrawn", "fact_stated"]]),
    ],
    ids=[
        "facts",
        "and an agreement",
        "an attribute",
        "attribute and agreement",
        "consent",
        "refused",
        "all",
        "fact and refusal",
    ],
)
def test_where_no_one_thing_is_enough_the_fewest_together_are_told(one, consents, ways):
    """Of consents, of what is stated, and of both; nothing that is not needed, whole consents rather than patches."""
    asking = question(observation(), profile="us-hipaa", consents=consents, recipient="plan", purpose="HPAYMT")
    (found,) = records(asking, one)
    assert ways == together(found)
    assert found.complete


def test_where_one_thing_is_enough_it_is_told_alone():
    """Each that is, in their order; what needs another thing is no way."""
    (found,) = records(question(observation()), rule(needs=(FACT,)), rule(id="s", agreements=frozenset({"BAA"})))
    assert [["fact_stated"], ["agreement_made"]] == together(found)
    assert ["disclosed", "disclosed"] == [way.becomes.value for way in found.disclosing]


def test_many_ways_are_told_up_to_a_bound_and_the_first_instant_of_several(monkeypatch):
    """Of later instants one is enough; other purposes and instants do not count against the bound."""
    monkeypatch.setattr(changes, "WAYS", 2)
    several = [rule(id=kind, agreements=frozenset({kind})) for kind in ("BAA", "CNDA", "DEAA")]
    (found,) = records(question(observation()), *several)
    assert 2 == len(found.disclosing)
    ends = [
        {"type": "SOW", "between": ["mercy", "valley"], "period": {"start": f"{year}-01-01T00:00:00Z"}}
        for year in (2027, 2028)
    ]
    (found,) = records(question(observation(), agreements=ends), rule(agreements=frozenset({"SOW"})))
    assert [["agreement_made"], ["later"]] == together(found)


def test_what_withholds_is_told_alone_and_never_together():
    """A permit by two rules falls with neither: nothing is told, and the search goes no further."""
    asking = question(observation(), facts={"exchange": {FACT.value: True, OTHER.value: True}})
    (found,) = records(asking, rule(needs=(FACT,)), rule(id="s", needs=(OTHER,)))
    assert [["refusal_given"]] == [[one.kind.value for one in way.alterations] for way in found.withholding]
    assert () == found.disclosing == found.barred
    (found,) = records(asking, rule(needs=(FACT,)))
    assert ["fact_withdrawn", "refusal_given"] == sorted(way.alterations[0].kind.value for way in found.withholding)


def test_what_bars_is_a_deny_without_exception():
    """Told only where nothing changes it; not one that yields, waits, or that a flow suspends, nor a consent's."""
    denying = {
        "bar": rule(RuleEffect.DENY, "bar"),
        "lifts": rule(RuleEffect.DENY, "lifts", unless=(Condition.ADULT_ONLY,)),
        "waits": rule(RuleEffect.DENY, "waits", needs=(Condition.AGE_KNOWN,)),
        "suspended": rule(RuleEffect.DENY, "suspended", deny_class=DenyClass.OTHER_LAW),
    }
    flow = rule(
        id="flow", suspends=frozenset({DenyClass.OTHER_LAW, DenyClass.FEDERAL_LAW}), agreements=frozenset({"NONE"})
    )
    child = question(observation(), context=[{"resourceType": "Patient", "id": "rosa", "birthDate": "2020-01-01"}])
    (found,) = records(child, *denying.values(), flow, rule(id="permit"))
    assert () == found.disclosing
    assert ["bar"] == [cause.rule for cause in found.barred]
    (found,) = records(child | {"consents": [consent("deny")]}, denying["bar"], rule(id="permit"))
    assert ["bar"] == [cause.rule for cause in found.barred]


def test_what_only_points_at_something_barred_is_not_barred_itself():
    """It goes for the other's sake: the bar is told of the other."""
    pointing = {"resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": "eA=="}
    pointing |= {"securityContext": {"reference": "Encounter/hidden"}}
    asking = question(bundle(pointing, hidden()), purpose="HLEGAL")
    asking["participants"][1]["purposes"] = ["HLEGAL"]
    found = {one.decision.resource: [cause.layer for cause in one.barred] for one in records(asking)}
    assert found["Encounter/hidden"]
    assert "residue" not in found["Binary/b"]


def test_a_record_in_part_is_told_what_would_have_it_withheld():
    """Masked, it may become less: a refusal takes the rest."""
    pointing = observation(performer=[MERCY], derivedFrom=[{"reference": "Encounter/hidden"}])
    (found, _) = records(question(bundle(pointing, hidden())))
    assert "masked" == found.decision.verdict.value
    assert [(["refusal_given"], "withheld")] == [
        ([one.kind.value for one in way.alterations], way.becomes.value) for way in found.withholding
    ]


def test_only_the_records_that_are_meant_are_explained_and_rules_that_spoke_are_not_near():
    """By pointer or by name."""
    asking = question(bundle(observation(), hidden(), observation("other", subject=SUBJECT)))
    for only in ("/entry/1/resource", "Encounter/hidden"):
        (found,) = records(asking, only=frozenset({only}))
        assert "Encounter/hidden" == found.decision.resource
        spoke = {cause.rule for cause in found.decision.because}
        assert spoke
        assert not spoke & {one.rule for one in found.rules}


def test_the_bound_on_tries_is_of_one_explanation():
    """Many records share it; the same thing is asked but once."""
    asking = question(bundle(*(observation(f"o{n}") for n in range(5))))
    found = records(asking, rule(needs=(FACT,)))
    assert [True] * 5 == [one.complete for one in found]
    assert {(("fact_stated",),)} == {tuple(map(tuple, together(one))) for one in found}
    assert 100 < TRIES


def test_several_things_together_say_what_the_record_then_becomes():
    """Two facts let it go, and what it says of another that stays behind does not go with it."""
    pointing = observation(performer=[MERCY], derivedFrom=[{"reference": "Encounter/hidden"}])
    asking = question(bundle(pointing, hidden()))
    kept = rule(RuleEffect.DENY, "kept", data=frozenset({"part2_record"}))
    (found, other) = records(asking, rule(needs=(FACT, OTHER)), kept)
    assert [(["fact_stated", "fact_stated"], "masked")] == [
        (sorted(one.kind.value for one in way.alterations), way.becomes.value) for way in found.disclosing
    ]
    assert () == other.disclosing


def test_a_refusal_and_a_lapsed_permit_go_before_patches():
    """Where one could be amended or another given, the whole one is told, beside the revocation that is needed."""
    refusing = consent("deny") | {"id": "refusing", "policy": [{"uri": "urn:other"}]}
    lapsed = consent(period={"end": "2020"})
    one = rule(needs=(Condition.CONSENT_PERMITS,))
    (found,) = records(question(observation(), profile="base", consents=[lapsed, refusing]), one)
    assert [["consent_given", "consent_withdrawn"]] == together(found)


@pytest.mark.parametrize(
    ("one", "said", "kind"),
    [
        (rule(unless_false=(FACT,)), False, "fact_stated"),
        (rule(needs=(FACT,)), False, "fact_stated"),
    ],
    ids=["a guard", "a need"],
)
def test_whatever_a_permit_turns_on_is_asked(one, said, kind):
    """Its needs and its guards: what is said not to be so could be so."""
    asking = question(observation(), facts={"exchange": {FACT.value: said}})
    (found,) = records(asking, one)
    assert [[kind]] == together(found)


@pytest.mark.parametrize("more", [{"unless": (FACT,)}, {"when_false": (FACT,)}], ids=["a lift", "what it is for"])
def test_whatever_a_refusal_turns_on_is_asked(more):
    """What lifts it, and what it denies for the lack of."""
    asking = question(observation(), facts={"exchange": {FACT.value: False}})
    (found,) = records(asking, rule(), rule(RuleEffect.DENY, "no", **more))
    assert [["fact_stated"]] == together(found)


def test_a_refusal_that_a_newer_one_overtook_stands_again_without_it():
    """Both have to go: the older speaks as soon as the newer does not."""
    older = consent("deny") | {"id": "older", "dateTime": "2025-01-01"}
    newer = consent("deny") | {"id": "newer", "dateTime": "2026-02-01"}
    (found,) = records(question(observation(), profile="us-hipaa", consents=[older, newer]), rule())
    assert [["consent_withdrawn", "consent_withdrawn"]] == together(found)


def of_two(**more):
    """A question about a record of Rosa and Otto."""
    both = observation(focus=[{"reference": "Patient/otto"}])
    people = [{"resourceType": "Patient", "id": id} for id in ("rosa", "otto")]
    return question(both, context=people, **more)


def test_a_rule_that_spoke_of_one_patient_is_not_told_to_be_near_for_the_other():
    """It refuses for her, and for him came near: it spoke."""
    capacity = Condition.SUBJECT_HAS_CAPACITY
    said = {"Patient/rosa": {capacity.value: True}, "Patient/otto": {capacity.value: False}}
    denying = rule(RuleEffect.DENY, "denying", needs=(capacity,))
    (found,) = records(of_two(facts={"subjects": said}), rule(), denying)
    assert ["denying"] == [cause.rule for cause in found.decision.because]
    assert [] == [one.rule for one in found.rules]
    (found,) = records(of_two(facts={"subjects": {"Patient/rosa": {capacity.value: False}}}), rule(), denying)
    assert "denying" in [one.rule for one in found.rules] or "denying" in [c.rule for c in found.decision.because]


def test_the_consents_of_everyone_a_record_names_are_told():
    """Of each patient by itself; a record of nobody has none, and is explained too."""
    (found,) = records(of_two(consents=[consent()], profile="base"))
    assert [("otto", 0), ("rosa", 1)] == sorted((key.id, len(consents)) for key, consents in found.consents)
    (found,) = records(question({"resourceType": "Organization", "id": "o"}, profile="us-hipaa"))
    assert () == found.consents


def test_what_goes_for_another_s_sake_is_not_barred_itself():
    """A payment goes because a claim does that the law bars: the bar is the claim's."""
    claims = [
        {"resourceType": "Claim", "id": id, "status": "active", "patient": SUBJECT, "provider": at}
        for id, at in (("a", MERCY), ("b", {"reference": "Organization/harbor"}))
    ]
    payment = {"resourceType": "PaymentReconciliation", "id": "p", "status": "active", "created": "2026-01-05"}
    payment |= {"paymentDate": "2026-01-05", "paymentAmount": {"value": 100}, "requestor": MERCY}
    payment |= {"extension": [{"url": "http://hl7.org/fhir/x", "valueReference": SUBJECT}]}
    payment["detail"] = [{"type": {"text": "x"}, "request": {"reference": f"Claim/{id}"}} for id in ("a", "b")]
    barring = rule(RuleEffect.DENY, "bar", data=frozenset({"part2_record"}))
    found = {one.decision.resource: one for one in records(question(bundle(payment, *claims)), rule(), barring)}
    paid = found["PaymentReconciliation/p"]
    assert ["points-at-withheld"] == [cause.rule for cause in paid.decision.because if cause.effect == "deny"]
    assert ((), ["bar"]) == (paid.barred, [cause.rule for cause in found["Claim/b"].barred])


def test_of_two_records_that_go_in_part_the_one_that_loses_less_is_wider():
    """One of two things it names may go with it where a fact is stated: it stays in part, and more of it goes."""
    hiv = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "B20"}]}
    kept = {"resourceType": "Condition", "id": "kept", "subject": SUBJECT, "recorder": MERCY, "code": hiv}
    pointing = observation(
        performer=[MERCY], derivedFrom=[{"reference": "Encounter/hidden"}, {"reference": "Condition/kept"}]
    )
    lifted = rule(RuleEffect.DENY, "part2", data=frozenset({"part2_record"}), unless=(FACT,))
    refusing = consent("deny", securityLabel=[{"system": ACT_CODE, "code": "HIV"}])
    asking = question(bundle(pointing, hidden(), kept), consents=[refusing])
    (found, *_) = records(asking, rule(), rule(id="turning", needs=(FACT,)), lifted)
    assert "masked" == found.decision.verdict.value
    assert (["fact_stated"], "masked") in [
        ([one.kind.value for one in way.alterations], way.becomes.value) for way in found.disclosing
    ]
