"""Passing on what was received under a consent for all treatment, payment and operations (42 CFR 2.33(b)(1))."""

from datetime import UTC

import msgspec
import pytest

from consent_store.dates import Period, parse_date
from consent_store.model import ACT_CODE, ACT_REASON, Expiry
from gateway.decision.case import REDISCLOSURE_NEEDS_CONSENT, SINGLE_TPO_CONSENT, Case
from gateway.decision.conditions import hold, relied_on
from gateway.decision.consents import ConsentAnswer
from gateway.decision.model import Answer, Initiator
from gateway.decision.part2_conditions import compliant_consent, redisclosure
from gateway.directory.model import Agreement, Directory, Participant
from gateway.labels.model import Basis, Confidentiality, Kind, Label, Labels
from gateway.policy.model import Condition
from tests.consent_questions import ask, exchange, relations, subject, target
from tests.consents import actor, code, concept, permit, r4
from tests.questions import SHELF

PROGRAM = Participant(
    id="program", type="provider_part2", part2_program=True, references=frozenset({"Organization/o1"})
)
PLAN = Participant(id="plan", type="mcp", hipaa_covered=True, references=frozenset({"Organization/o7"}))
CLINIC = Participant(id="clinic", type="provider_general", references=frozenset({"Organization/o9"}))
ALL = ("TREAT", "HPAYMT", "HOPERAT")
NO_END = {
    "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "not-applicable"}]
}


def form(*purposes, to="Organization/o7", end="2030", **more):
    """A consent that meets 42 CFR 2.31, for these purposes; without an end one that says there is none."""
    period = {"start": "2024-02-03"} | ({"end": end} if end else {"_end": NO_END})
    asked = {"period": period, "actor": [actor(to)], "purpose": [code(ACT_REASON, one) for one in purposes]}
    told = {"securityLabel": [code(ACT_CODE, one) for one in ("42CFRPart2", "SUD")]}
    signed = {"performer": [{"reference": "Patient/1"}], "sourceAttachment": {"title": "form", "url": "urn:x"}}
    return r4(category=[concept(ACT_CODE, "42CFRPart2CD")], provision=permit(**asked, **told), **(signed | more))


def case(*consents, discloser=PLAN, programs=("program",), purpose="TREAT", agreements=(), at_once=False, **switches):
    """The plan passes a record of the program on to a clinic; its consents answer for any exchange."""
    policy = SHELF.policies["us-part2"]
    wanted = {REDISCLOSURE_NEEDS_CONSENT: False} | switches
    turned = {name: msgspec.structs.replace(policy.switches[name], value=value) for name, value in wanted.items()}
    policy = msgspec.structs.replace(policy, zone=UTC, switches=policy.switches | turned)
    tags = [Label(Kind.POLICY, ACT_CODE, "42CFRPart2", Basis.SOURCE, "", one) for one in programs]
    tags.append(Label(Kind.SENSITIVITY, ACT_CODE, "SUD", Basis.CODE))
    about = msgspec.structs.replace(
        target(), labels=Labels(tuple(tags), Confidentiality.R, frozenset({"SUD"}), frozenset({"42CFRPart2"}), False)
    )
    asked = exchange(purpose, discloser=discloser, recipient=CLINIC, initiator=Initiator(reference="Practitioner/p"))
    parties = {one.id: one for one in (PROGRAM, PLAN, CLINIC, discloser)}
    return Case(
        policy=policy,
        directory=Directory(parties, agreements=agreements),
        exchange=asked,
        relations=relations(),
        subject=subject(),
        target=about,
        consents=ask(*consents, about=about, asked=asked) if at_once else ConsentAnswer(Answer.NOT_APPLICABLE),
        consents_in=lambda other: ask(*consents, about=about, asked=other),
    )


def test_who_got_it_under_a_consent_for_all_of_it_may_pass_it_on():
    """A covered entity, for treatment, payment or operations, and for what those include."""
    for purpose in (*ALL, "COC", "CLMATTCH"):
        assert redisclosure(case(form(*ALL), purpose=purpose)) is True, purpose


def test_a_program_known_by_its_name_alone_let_nobody_pass_anything_on():
    """L092: the record is withheld as that program's; whether it is, nobody can say who would permit."""
    assert redisclosure(case(form(*ALL), programs=("by name: program",))) is False


@pytest.mark.parametrize(
    "changed",
    [
        {"purpose": "HRESCH"},
        {"purpose": "HMARKT"},
        {"programs": ()},
        {"programs": ("program", "unknown")},
        {"discloser": msgspec.structs.replace(PLAN, hipaa_covered=False)},
        {"discloser": msgspec.structs.replace(PLAN, part2_program=True)},
        {REDISCLOSURE_NEEDS_CONSENT: True},
    ],
    ids=["research", "marketing", "no program", "an unknown one", "not bound", "a program", "switch"],
)
def test_each_condition_is_needed(changed):
    """Another purpose, no known program, one unknown among them, nobody whom HIPAA binds, a program, or the switch."""
    assert redisclosure(case(form(*ALL), **changed)) is False


def test_a_record_of_nobody_known_is_not_passed_on():
    """Nor one whose consents cannot be asked in another exchange."""
    whole = case(form(*ALL))
    assert redisclosure(msgspec.structs.replace(whole, subject=None)) is False
    assert redisclosure(msgspec.structs.replace(whole, consents_in=None)) is False


@pytest.mark.parametrize(
    "consents",
    [
        (),
        (form("TREAT"),),
        (form("TREAT", "HPAYMT"),),
        (form(*ALL, to="Organization/o9"),),
        (form(*ALL, end="2024-12-31"),),
        (form(*ALL, sourceAttachment=None),),
        (form(*ALL), form(*ALL) | {"provision": {"type": "deny"}, "id": "c2", "policy": [{"uri": "urn:x"}]}),
    ],
    ids=["none", "treatment alone", "without operations", "to another", "over", "unsigned", "refused by another"],
)
def test_the_consent_must_have_let_the_program_give_it_for_all_of_it(consents):
    """To this discloser, in force, signed, for each of the three, and not refused."""
    assert redisclosure(case(*consents)) is False


def test_every_program_must_have_given_it_so():
    """A record of two programs needs the consent at both; another's custodian gives nothing."""
    second = Participant(
        id="second", type="provider_part2", part2_program=True, references=frozenset({"Organization/o2"})
    )
    both = case(form(*ALL), programs=("program", "second"))
    both = msgspec.structs.replace(
        both, directory=Directory(dict(both.directory.participants) | {"second": second}, agreements=())
    )
    assert redisclosure(both) is False


@pytest.mark.parametrize(
    ("agreement", "bound"),
    [
        (Agreement(type="BAA", between=frozenset({"plan", "clinic"})), True),
        (Agreement(type="BAA", between=frozenset({"plan", "program"})), True),
        (Agreement(type="BAA", between=frozenset({"clinic", "program"})), False),
        (Agreement(type="QSOA", between=frozenset({"plan", "clinic"})), False),
        (Agreement(type="BAA", between=frozenset({"plan", "clinic"}), period=Period(end=parse_date("2020"))), False),
        (Agreement(type="BAA", between=frozenset({"plan", "clinic"}), period=Period(parse_date("2099"))), False),
    ],
)
def test_a_business_associate_may_pass_it_on_too(agreement, bound):
    """One who has the agreement of 45 CFR 164.504(e), now, with whomever it works for."""
    uncovered = msgspec.structs.replace(PLAN, hipaa_covered=False)
    assert bound is redisclosure(case(form(*ALL), discloser=uncovered, agreements=(agreement,)))


@pytest.mark.parametrize(
    ("purposes", "end", "switches", "counts"),
    [
        (ALL, None, {}, True),
        (ALL, None, {SINGLE_TPO_CONSENT: True}, True),
        (ALL, None, {SINGLE_TPO_CONSENT: False}, False),
        (ALL, "2030", {SINGLE_TPO_CONSENT: False}, True),
    ],
)
def test_a_consent_for_all_of_it_may_name_no_end(purposes, end, switches, counts):
    """Since 2024 (42 CFR 2.31(a)(7)), where the operator goes by it; one with a date always."""
    given = form(*purposes, end=end, to="Organization/o9")
    found = case(given, discloser=PROGRAM, at_once=True, **switches)
    assert counts is compliant_consent(found)


def test_a_letter_to_a_program_rests_on_a_form_that_permits():
    """One that meets 42 CFR 2.31, asked as of the program's records; beside a refusal it lets nobody write."""
    found = case(form(*ALL, to="Organization/o9"), discloser=PROGRAM, at_once=True)
    for answer, lets in ((Answer.PERMIT, True), (Answer.DENY, False)):
        said = msgspec.structs.replace(found.consents, answer=answer)
        asked = msgspec.structs.replace(found, consents_as_part2=lambda given=said: given)
        assert lets is hold(Condition.CONSENT_LETS_CMA_CONTACT_SUD_PROVIDER, asked)
        assert not hold(Condition.CONSENT_LETS_CMA_CONTACT_SUD_PROVIDER, msgspec.structs.replace(asked, subject=None))


@pytest.mark.parametrize(("purposes", "counts"), [(("TREAT",), True), (ALL, False)])
def test_the_switch_is_about_consents_for_all_of_it_alone(purposes, counts):
    """One for treatment until an event it names counts as ever (42 CFR 2.31(a)(7))."""
    found = case(form(*purposes, to="Organization/o9"), discloser=PROGRAM, at_once=True, **{SINGLE_TPO_CONSENT: False})
    until = tuple(
        msgspec.structs.replace(one, consent=msgspec.structs.replace(one.consent, expiry=Expiry.EVENT))
        for one in found.consents.permitting
    )
    said = msgspec.structs.replace(found.consents, permitting=until)
    assert counts is compliant_consent(msgspec.structs.replace(found, consents=said))


def test_a_rule_relies_on_the_consents_that_meet_its_need():
    """Of a form and a general consent that permit the same, a Part 2 rule relies on the form, another on both."""
    general = r4(
        id="general", provision=permit(), organization=[{"reference": "Organization/o1"}], policy=[{"uri": "urn:x"}]
    )
    found = case(form(*ALL, to="Organization/o9"), general, discloser=PROGRAM, at_once=True)
    assert ["c1"] == [one.consent.id for one in relied_on((Condition.PART2_COMPLIANT_CONSENT,), found)]
    assert {"c1", "general"} >= {one.consent.id for one in relied_on((Condition.CONSENT_PERMITS,), found)} > {"c1"}
    assert () == relied_on((), found)
