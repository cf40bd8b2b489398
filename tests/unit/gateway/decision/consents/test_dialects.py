"""Which Consents speak, how each dialect is read, and how nested provisions stand to what they are in."""

import pytest

from consent_store.model import (
    ACT_CODE,
    ACT_REASON,
    CONFIDENTIALITY,
    Effect,
    Provision,
)
from gateway.decision.consents.compile import MAX_DEPTH
from gateway.decision.model import Answer
from tests.consent_questions import OTHER, ask, exchange, target
from tests.consents import actor, bad, code, concept, deny, permit, r4, r4_untyped, r5, value

TREAT = code(ACT_REASON, "TREAT")
PSY = code(ACT_CODE, "PSY")
NORMAL = code(CONFIDENTIALITY, "N")
RESTRICTED = code(CONFIDENTIALITY, "R")


@pytest.mark.parametrize("status", ["draft", "proposed", "rejected", "inactive", "entered-in-error"])
@pytest.mark.parametrize("effect", ["permit", "deny"])
def test_only_an_active_consent_speaks(status, effect):
    """A Consent of another status neither permits nor denies (L085)."""
    assert Answer.NOT_APPLICABLE is ask(r4(status=status, provision={"type": effect})).answer


@pytest.mark.parametrize(("effect", "answer"), [("permit", Answer.PERMIT), ("deny", Answer.DENY)])
def test_an_active_consent_speaks(effect, answer):
    """An active Consent says what its provision says."""
    assert answer is ask(r4(provision={"type": effect})).answer


@pytest.mark.parametrize("status", ["unknown", "nonsense"])
def test_a_status_that_cannot_be_read_denies(status):
    """An unlisted status makes the Consent unreadable, and then it can only deny (L085)."""
    assert Answer.DENY is ask(r4(status=status)).answer


def test_without_consents_there_is_no_answer():
    """No consent is no answer: the next layer decides."""
    answer = ask()
    assert (Answer.NOT_APPLICABLE, (), ()) == (answer.answer, answer.causes, answer.permitting)


def test_an_unreadable_consent_denies_and_says_so():
    """What could not be read denies, and the answer names it and why."""
    answer = ask(bad(r4(provision={"type": "permit", "purpose": "TREAT"}, patient={"reference": "Patient/1"}, scope=7)))
    assert Answer.DENY is answer.answer
    assert ("consent-unreadable", "patient", "patient_request") == (
        answer.causes[0].rule,
        answer.causes[0].deny_class,
        answer.causes[0].reason,
    )
    assert answer.erring[0].startswith("Consent/c1: ")


def test_the_cause_names_consent_version_and_provision():
    """A cause points at the very provision, in the version that was read."""
    consent = r4(meta={"versionId": "4"}, provision=permit(provision=[permit(), deny()]))
    answer = ask(consent, about=target(None, "R", "PSY"))
    assert ["Consent/c1/_history/4#provision[0].provision[1]"] == [cause.consent for cause in answer.causes]
    assert "The patient's consent of 2024-02-03 refuses it." == answer.causes[0].say


class TestTyped:
    def test_a_root_that_does_not_match_is_no_answer(self):
        """Root conditions that do not match make the Consent not applicable, not a deny."""
        assert Answer.NOT_APPLICABLE is ask(r4(), asked=exchange("HPAYMT")).answer

    def test_a_nested_deny_narrows(self):
        """A nested deny takes away what it matches, and only that."""
        consent = r4(provision=permit(provision=[deny()]))
        assert Answer.DENY is ask(consent, about=target(None, "R", "PSY")).answer
        assert Answer.PERMIT is ask(consent, about=target(None, "R", "HIV")).answer

    def test_a_nested_permit_widens_the_data(self):
        """A nested permit inherits purpose and actor, not the root's labels: it may widen (PCF Advanced)."""
        wide = {"type": "permit", "securityLabel": [RESTRICTED], "actor": [actor("Organization/o7")]}
        consent = r4(provision=permit(securityLabel=[NORMAL], provision=[wide]))
        other = r4(provision=permit(securityLabel=[NORMAL], provision=[{**wide, "actor": [actor("Organization/o9")]}]))
        assert Answer.PERMIT is ask(consent, about=target(None, "R")).answer
        assert Answer.NOT_APPLICABLE is ask(other, about=target(None, "R")).answer
        assert Answer.NOT_APPLICABLE is ask(consent, about=target(None, "R"), asked=exchange("HPAYMT")).answer

    def test_a_nested_permit_may_have_a_purpose_of_its_own(self):
        """A nested permit for break-glass applies although the root does not list BTG."""
        consent = r4(
            provision={
                "type": "permit",
                "purpose": [code(ACT_REASON, "HPAYMT")],
                "provision": [{"type": "permit", "purpose": [code(ACT_REASON, "BTG")]}],
            }
        )
        assert Answer.PERMIT is ask(consent, asked=exchange("BTG")).answer
        assert Answer.NOT_APPLICABLE is ask(consent, asked=exchange("TREAT")).answer

    def test_a_nested_permit_applies_where_the_root_deny_does_not(self):
        """A nested permit under a root deny applies even when the root's purpose and actor do not match."""
        inner = {"type": "permit", "purpose": [code(ACT_REASON, "HPAYMT")], "actor": [actor("Organization/o7")]}
        root = {"type": "deny", "purpose": [TREAT], "actor": [actor("Organization/o9")], "provision": [inner]}
        assert Answer.PERMIT is ask(r4(provision=root), asked=exchange("HPAYMT")).answer
        assert Answer.NOT_APPLICABLE is ask(r4(provision=root), asked=exchange("TREAT")).answer

    def test_emergency_access_is_an_exception_to_a_refusal_of_treatment(self):
        """A nested permit for ETREAT goes before the deny of TREAT it stands in."""
        emergency = {"type": "permit", "purpose": [code(ACT_REASON, "ETREAT")]}
        consent = r4(provision={"type": "deny", "purpose": [TREAT], "provision": [emergency]})
        assert Answer.PERMIT is ask(consent, asked=exchange("ETREAT")).answer
        assert Answer.PERMIT is ask(consent, asked=exchange("BTG")).answer
        assert Answer.DENY is ask(consent, asked=exchange("TREAT")).answer

    def test_across_siblings_a_deny_wins(self):
        """Two nested provisions that both match: the deny wins, in either order."""
        pair = [{"type": "permit", "securityLabel": [RESTRICTED, PSY]}, deny()]
        for provisions in (pair, pair[::-1]):
            consent = r4(provision=permit(provision=provisions))
            assert Answer.DENY is ask(consent, about=target(None, "R", "PSY")).answer

    def test_the_deepest_match_of_a_branch_speaks(self):
        """An exception inside a nested deny restores what the deny took."""
        consent = r4(provision=permit(provision=[deny(provision=[permit(actor=[actor("Organization/o7")])])]))
        assert Answer.PERMIT is ask(consent, about=target(None, "R", "PSY")).answer
        elsewhere = r4(provision=permit(provision=[deny(provision=[permit(actor=[actor("Organization/o9")])])]))
        assert Answer.DENY is ask(elsewhere, about=target(None, "R", "PSY")).answer

    def test_an_exception_inside_a_nested_deny_widens_nothing_else(self):
        """A permit inside a nested deny counts only for what that deny takes."""
        inner = {"type": "permit", "actor": [actor("Organization/o7")]}
        consent = r4(provision=permit(securityLabel=[NORMAL], provision=[deny(provision=[inner])]))
        assert Answer.NOT_APPLICABLE is ask(consent, about=target(None, "R", "HIV")).answer

    def test_a_missing_type_flips_its_parent(self):
        """A nested provision without type is the opposite of what it stands in."""
        consent = r4(provision=permit(provision=[{"securityLabel": [PSY]}]))
        assert Answer.DENY is ask(consent, about=target(None, "R", "PSY")).answer

    def test_an_author_or_discloser_alone_does_not_open_to_every_recipient(self):
        """A nested permit that states only an author still reaches only the root's recipients."""
        inner = {"type": "permit", "actor": [actor("Practitioner/a", "AUT")]}
        consent = r4(
            provision={
                "type": "permit",
                "actor": [actor("Organization/o9")],
                "securityLabel": [NORMAL],
                "provision": [inner],
            }
        )
        assert Answer.NOT_APPLICABLE is ask(consent, about=target(None, "R", authors=("Practitioner/a",))).answer


class TestUntyped:
    @pytest.mark.parametrize(
        ("rule", "answer"),
        [("OPTIN", Answer.PERMIT), ("OPTINR", Answer.PERMIT), ("OPTOUT", Answer.DENY), ("OPTOUTE", Answer.DENY)],
    )
    def test_the_base_is_in_the_policy_rule(self, rule, answer):
        """An untyped root takes its base from policyRule."""
        assert answer is ask(r4_untyped(rule, provision={"period": {"start": "2020"}})).answer

    def test_the_exception_needs_no_type(self):
        """A nested provision without type is an exception to the base."""
        consent = r4_untyped("OPTIN", provision={"provision": [{"securityLabel": [PSY]}]})
        assert Answer.DENY is ask(consent, about=target(None, "R", "PSY")).answer
        assert Answer.PERMIT is ask(consent).answer

    @pytest.mark.parametrize(
        "limit",
        [
            {"actor": [actor("Organization/o7")]},
            {"purpose": [TREAT]},
            {"securityLabel": [PSY]},
            {"action": [concept("http://terminology.hl7.org/CodeSystem/consentaction", "access")]},
            {"class": [code("http://hl7.org/fhir/resource-types", "Observation")]},
            {"code": [concept("http://loinc.org", "2339-0")]},
            {"dataPeriod": {"start": "2020"}},
            {"data": [{"meaning": "instance", "reference": {"reference": "Observation/x"}}]},
        ],
    )
    def test_a_limited_root_is_not_evaluable(self, limit):
        """A condition on an untyped root may be base or exception: it cannot permit, and denies until reviewed."""
        answer = ask(r4_untyped("OPTIN", provision=limit), asked=exchange("HPAYMT"))
        assert (Answer.DENY, "consent-not-evaluable") == (answer.answer, answer.causes[0].rule)

    def test_a_custodian_on_the_root_is_context(self):
        """The actor role CST says who must enforce it, and may stand on the root."""
        assert Answer.DENY is ask(r4_untyped("OPTOUT", provision={"actor": [actor("Organization/o1", "CST")]})).answer
        assert Answer.PERMIT is ask(r4_untyped("OPTIN", provision={"actor": [actor("Organization/o1", "CST")]})).answer

    def test_without_a_policy_rule_it_is_not_evaluable(self):
        """An untyped root without a base decision denies until reviewed."""
        assert (
            Answer.DENY
            is ask(r4_untyped(None, provision={"period": {"start": "2020"}}, policy=[{"uri": "urn:p"}])).answer
        )

    def test_a_signed_authorisation_without_provisions_says_nothing(self):
        """An SDOHCC Consent is a signed general authorisation: not computable, and no dissent."""
        rule = concept("http://terminology.hl7.org/CodeSystem/consentpolicycodes", "hipaa-auth")
        assert Answer.NOT_APPLICABLE is ask(r4(policyRule=rule, policy=None, provision=None)).answer


class TestR5:
    def test_the_first_level_is_the_exception_to_the_decision(self):
        """Provisions of the first level are the opposite of the decision."""
        assert Answer.PERMIT is ask(r5()).answer
        assert Answer.DENY is ask(r5(), asked=exchange("HPAYMT")).answer

    def test_alternation_to_depth_four(self):
        """Each level is an exception to the one above it: R is denied, but not to the plan, but PSY is, but not for
        treatment."""
        fourth = {"purpose": [TREAT]}
        third = {"securityLabel": [PSY], "provision": [fourth]}
        second = {"actor": [actor("Organization/o7")], "provision": [third]}
        consent = r5(decision="permit", provision=[{"securityLabel": [RESTRICTED], "provision": [second]}])
        normal, restricted, psychiatric = target(None, "N"), target(None, "R"), target(None, "R", "PSY")
        elsewhere, payment = exchange(recipient=OTHER), exchange("HPAYMT")
        assert Answer.PERMIT is ask(consent, about=normal, asked=elsewhere).answer
        assert Answer.DENY is ask(consent, about=restricted, asked=elsewhere).answer
        assert Answer.PERMIT is ask(consent, about=restricted, asked=payment).answer
        assert Answer.DENY is ask(consent, about=psychiatric, asked=payment).answer
        assert Answer.PERMIT is ask(consent, about=psychiatric).answer

    def test_an_exception_counts_only_inside_what_it_excepts(self):
        """A permit two levels down opens nothing that the levels above it do not speak of."""
        deep = {"actor": [actor("Organization/o7")]}
        tree = {
            "class": None,
            "resourceType": [code("http://hl7.org/fhir/fhir-types", "Condition")],
            "provision": [{"securityLabel": [PSY], "provision": [deep]}],
        }
        consent = r5(decision="deny", provision=[{k: v for k, v in tree.items() if v}])
        assert Answer.DENY is ask(consent).answer

    def test_without_decision_it_is_not_evaluable(self):
        """Provisions without a decision cannot be told apart from their opposite."""
        assert Answer.DENY is ask(r5(decision=None)).answer

    def test_the_grantee_is_a_recipient(self):
        """A permit in favour of a grantee reaches that grantee alone."""
        mine, other = ({"reference": "Organization/o7"}, {"reference": "Organization/o9"})
        assert Answer.PERMIT is ask(r5(decision="permit", provision=None, grantee=[mine])).answer
        assert Answer.NOT_APPLICABLE is ask(r5(decision="permit", provision=None, grantee=[other])).answer
        assert Answer.NOT_APPLICABLE is ask(r5(decision="deny", provision=None, grantee=[other])).answer
        both = r5(decision="deny", grantee=[other], provision=[{"actor": [actor("Organization/o7")]}])
        assert Answer.NOT_APPLICABLE is ask(both).answer

    def test_the_period_of_the_consent_counts_too(self):
        """Consent.period and the provision's period must both run."""
        past, now = {"end": "2024"}, {"start": "2024"}
        assert Answer.NOT_APPLICABLE is ask(r5(decision="permit", provision=None, period=past)).answer
        assert Answer.PERMIT is ask(r5(decision="permit", provision=None, period=now)).answer
        assert Answer.DENY is ask(r5(provision=[{"period": past}])).answer


def test_too_deep_a_tree_is_not_evaluable():
    """A tree deeper than anybody writes is kept, denies, and raises nothing."""
    rule = Provision(type=Effect.PERMIT)
    for _ in range(MAX_DEPTH * 20):
        rule = Provision(type=Effect.PERMIT, nested=(rule,))
    consent = value(rule, id="deep")
    answer = ask(consent)
    assert (Answer.DENY, (f"Consent/deep/_history/1: its provisions are nested more than {MAX_DEPTH} deep",)) == (
        answer.answer,
        answer.erring,
    )


def test_what_cannot_be_read_in_a_permit_is_no_permit():
    """An unknown extension on a permit provision means no match, told in `erring`."""
    odd = permit(extension=[{"url": "urn:x", "valueString": "only on Sundays"}])
    answer = ask(r4(provision=odd))
    assert Answer.NOT_APPLICABLE is answer.answer
    assert any("provision" in note for note in answer.erring)


def test_what_cannot_be_read_in_a_deny_stands_as_a_deny():
    """A nested deny that cannot be read always matches."""
    odd = deny(modifierExtension=[{"url": "urn:x", "valueString": "unless it rains"}])
    assert Answer.DENY is ask(r4(provision=permit(provision=[odd])), about=target(None, "N")).answer


def test_a_permit_inside_what_cannot_be_read_is_no_permit():
    """What a permit inherits from an unreadable provision is not known, so it does not match."""
    root = permit(modifierExtension=[{"url": "urn:x", "valueString": "?"}], provision=[permit(), deny()])
    assert Answer.NOT_APPLICABLE is ask(r4(provision=root)).answer
    assert Answer.DENY is ask(r4(provision=root), about=target(None, "R", "PSY")).answer
