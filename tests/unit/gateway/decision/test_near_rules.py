"""Rules that came near: which are about such a record between these parties, and what kept each from speaking."""

from datetime import UTC

import msgspec
import pytest

from consent_store.dates import Period, parse_date
from consent_store.model import ACT_REASON, Coding
from gateway.decision.case import Case
from gateway.decision.consents import ConsentAnswer
from gateway.decision.model import Answer
from gateway.decision.near_rules import Kept, about, near_rules, words
from gateway.decision.rules import in_force
from gateway.directory.model import Agreement, Directory, Participant
from gateway.policy.matching import PartyMatch
from gateway.policy.model import Condition, DenyClass, Layer, Rule, RuleEffect
from tests.consent_questions import exchange, relations, subject, target
from tests.questions import SHELF

POLICY = msgspec.structs.replace(SHELF.policies["us-ca-calaim"], zone=UTC)
CLINIC = Participant(id="clinic", type="provider_general", hipaa_covered=True)
PLAN = Participant(id="plan", type="mcp", attributes={"requester_has_cjis_access": True})
FACT, OTHER = Condition.REQUIRED_BY_LAW, Condition.SECURITY_REQUIREMENTS_MET
KNOWN = {FACT.value: True, OTHER.value: False}
BAA = Agreement(type="BAA", between=frozenset({"clinic", "plan"}))


def rule(effect=RuleEffect.PERMIT, **more):
    """A rule that speaks of every record, unless told."""
    deny = {"deny_class": DenyClass.OTHER_LAW} if effect is RuleEffect.DENY else {}
    return Rule(id="r", layer=Layer.LAW, effect=effect, says="It is so.", cite="1 CFR 1", **deny, **more)


def purpose(*codes):
    """Purposes of a rule."""
    return tuple(Coding(ACT_REASON, code) for code in codes)


def case(*rules, agreements=(), stated=None, asked="TREAT", **more):
    """The clinic discloses to the plan, under these rules."""
    return Case(
        policy=msgspec.structs.replace(POLICY, rules=rules),
        directory=Directory({one.id: one for one in (CLINIC, PLAN)}, agreements=agreements),
        exchange=exchange(asked, discloser=CLINIC, recipient=PLAN),
        relations=relations(),
        subject=subject(),
        target=target(),
        consents=ConsentAnswer(Answer.NOT_APPLICABLE),
        stated=stated or {},
        **more,
    )


def kept(one, **more):
    """What kept the only rule: kind, condition and whether it is known; None where it did not come near."""
    found = near_rules(case(one, **more))
    return [(why.kept, why.condition, why.known) for each in found for why in each.because] if found else None


def test_a_rule_that_speaks_is_not_told_and_one_that_came_near_is_told_whole():
    """In the profile's order and words; of a rule about others nothing is said."""
    near = rule(purposes=purpose("HRESCH"), needs=(FACT,))
    elsewhere = rule(recipient=PartyMatch(types=frozenset({"cbo"})), purposes=purpose("HRESCH"))
    (told,) = near_rules(case(rule(), elsewhere, near))
    assert ("r", "permit", "law", "1 CFR 1", "It is so.") == (told.rule, told.effect, told.layer, told.cite, told.says)
    assert [
        "it is for HRESCH, not for TREAT",
        "it is not known that a law requires it",
    ] == [why.say for why in told.because]


@pytest.mark.parametrize(
    ("listed", "asked", "near"),
    [
        ((), "TREAT", None),
        (("TREAT",), "TREAT", None),
        (("HOPERAT",), "CAREMGT", None),
        (("CAREMGT",), "HOPERAT", [(Kept.PURPOSE, "", True)]),
        (("HRESCH", "TREAT"), "TREAT", None),
        (("HRESCH", "HPAYMT"), "TREAT", [(Kept.PURPOSE, "", True)]),
    ],
)
def test_a_rule_for_another_purpose_came_near(listed, asked, near):
    """Purposes subsume downwards: a rule for operations speaks of care management, never the other way."""
    one = rule(purposes=purpose(*listed))
    assert near == kept(one, asked=asked)
    assert (near is None) is bool(
        in_force(case(one, asked=asked).policy, Directory({}), case(one, asked=asked).exchange)
    )


@pytest.mark.parametrize(
    ("agreements", "spoken"),
    [
        ((), False),
        ((BAA,), True),
        ((msgspec.structs.replace(BAA, type="QSOA"),), True),
        ((msgspec.structs.replace(BAA, type="SOW"),), False),
        ((msgspec.structs.replace(BAA, between=frozenset({"clinic", "third"})),), False),
        ((msgspec.structs.replace(BAA, period=Period(end=parse_date("2020"))),), False),
        ((msgspec.structs.replace(BAA, purposes=frozenset({"HPAYMT"})),), False),
        ((msgspec.structs.replace(BAA, data=frozenset({"housing"})),), False),
    ],
)
def test_a_rule_that_asks_for_an_agreement_came_near_without_one(agreements, spoken):
    """One of those it lists, between the two, in force, for this purpose and about this record."""
    one = rule(agreements=frozenset({"BAA", "QSOA"}))
    assert (None if spoken else [(Kept.AGREEMENT, "", True)]) == kept(one, agreements=agreements)
    (told,) = near_rules(case(one)) if not spoken else [None]
    assert spoken or "no BAA or QSOA between the parties is in force that covers this" == told.because[0].say


def test_what_a_permit_needs_and_lacks_is_told_with_whether_it_is_known():
    """Not so, or not known: neither helps a permit. A deny waits for its needs only to be known false."""
    needing = rule(needs=(FACT, OTHER))
    assert [(Kept.NEED, OTHER.value, True)] == kept(needing, stated=KNOWN)
    assert [(Kept.NEED, FACT.value, False), (Kept.NEED, OTHER.value, False)] == kept(needing)
    assert None is kept(rule(needs=(FACT,)), stated=KNOWN)
    denying = rule(RuleEffect.DENY, needs=(FACT, OTHER))
    assert [(Kept.NEED, OTHER.value, True)] == kept(denying, stated=KNOWN)
    assert None is kept(denying)
    assert ["it is not so that `security requirements met`"] == [
        why.say for each in near_rules(case(denying, stated=KNOWN)) for why in each.because
    ]


def test_a_permit_lapses_where_its_guard_is_known_to_be_false():
    """Not where the guard holds, nor where nobody knows."""
    guarded = rule(unless_false=(FACT, OTHER))
    assert [(Kept.NEED, OTHER.value, True)] == kept(guarded, stated=KNOWN)
    assert None is kept(guarded)
    assert ["it lapses, because it is not so that `security requirements met`"] == [
        why.say for each in near_rules(case(guarded, stated=KNOWN)) for why in each.because
    ]


def test_a_deny_yields_to_what_lifts_it_and_waits_for_what_it_is_for():
    """Lifted by what holds; silent where nothing that it turns on is known to be false. A permit knows neither."""
    lifted = rule(RuleEffect.DENY, unless=(FACT, OTHER))
    assert [(Kept.LIFTED, FACT.value, True)] == kept(lifted, stated=KNOWN)
    assert None is kept(lifted)
    waiting = rule(RuleEffect.DENY, when_false=(FACT,))
    assert [(Kept.NEED, "", True)] == kept(waiting) == kept(waiting, stated=KNOWN)
    assert None is kept(rule(RuleEffect.DENY, when_false=(FACT, OTHER)), stated=KNOWN)
    both = rule(RuleEffect.DENY, when_false=(FACT, Condition.ADULT_ONLY))
    assert ["it denies only where it is known not to be so that a law requires it or the patient is an adult"] == [
        why.say for each in near_rules(case(both)) for why in each.because
    ]
    permit = rule(unless=(FACT,), when_false=(FACT,))
    assert None is kept(permit, stated=KNOWN)


def test_a_switch_that_is_off_keeps_a_rule():
    """By name; one that is on keeps none."""
    switches = {"on": True, "off": False}
    held = {
        name: msgspec.structs.replace(next(iter(POLICY.switches.values())), value=on) for name, on in switches.items()
    }
    for name, expected in (("on", ()), ("off", ("the switch off is off",))):
        found = case(rule(switch=name))
        found = msgspec.structs.replace(found, policy=msgspec.structs.replace(found.policy, switches=held))
        assert expected == tuple(why.say for one in near_rules(found) for why in one.because)


@pytest.mark.parametrize(
    ("match", "speaks"),
    [
        (PartyMatch(), True),
        (PartyMatch(types=frozenset({"mcp", "cbo"})), True),
        (PartyMatch(types=frozenset({"health_plan"})), True),
        (PartyMatch(types=frozenset({"cbo"})), False),
        (PartyMatch(hipaa_covered=True), False),
        (PartyMatch(hipaa_covered=False), True),
        (PartyMatch(part2_program=True), False),
        (PartyMatch(part2_program=False), True),
        (PartyMatch(attributes=(("requester_has_cjis_access", True),)), True),
        (PartyMatch(attributes=(("requester_has_cjis_access", False),)), False),
        (PartyMatch(attributes=(("usda_funding", True),)), False),
        (PartyMatch(any=(PartyMatch(types=frozenset({"cbo"})), PartyMatch(part2_program=False))), True),
        (PartyMatch(any=(PartyMatch(types=frozenset({"cbo"})), PartyMatch(part2_program=True))), False),
        (PartyMatch(types=frozenset({"mcp"}), any=(PartyMatch(types=frozenset({"cbo"})),)), False),
    ],
)
def test_a_rule_is_about_the_parties_it_speaks_of(match, speaks):
    """By type or kind, by whether covered or a program, by attribute; one of several, and all that is said beside."""
    assert speaks is about(rule(recipient=match), case())
    assert speaks is bool(in_force(case(rule(recipient=match)).policy, Directory({}), case().exchange))
    turned = case()
    turned = msgspec.structs.replace(turned, exchange=exchange("TREAT", discloser=PLAN, recipient=CLINIC))
    assert speaks is about(rule(discloser=match), turned)


def test_a_rule_is_about_records_of_its_data_and_of_patients_or_of_nobody():
    """A rule for one category, or for records of no patient, is not about another record."""
    assert about(rule(data=frozenset({"housing"})), case(categories=frozenset({"housing", "claims"})))
    assert not about(rule(data=frozenset({"housing"})), case(categories=frozenset({"claims"})))
    assert not about(rule(no_patient=True), case())
    assert about(rule(no_patient=True), msgspec.structs.replace(case(), subject=None))
    assert not about(rule(), msgspec.structs.replace(case(), subject=None))
    assert about(
        rule(RuleEffect.DENY, needs=(OTHER,), unless=(FACT,), agreements=frozenset({"BAA"})), case(stated=KNOWN)
    )


def test_every_condition_has_words():
    """Its own, else its name read aloud."""
    assert "the patient is an adult" == words(Condition.ADULT_ONLY) == words("adult_only")
    assert "`security requirements met`" == words(OTHER)
    told = {words(one) for one in Condition}
    assert len(Condition) == len(told)
