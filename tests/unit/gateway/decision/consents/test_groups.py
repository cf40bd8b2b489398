"""Several consents of one patient: the newest that applies speaks for its group, and across groups a deny wins."""

from itertools import permutations

import pytest

from consent_store.model import ACT_REASON
from gateway.decision.model import Answer
from tests.consent_questions import ask, exchange, target
from tests.consents import bad, code, concept, deny, permit, r4, r4_untyped

OTHER_POLICY = [{"uri": "http://example.org/policies/other"}]


def yes(name, date, **more):
    """A Consent that permits."""
    return r4(id=name, dateTime=date, **{"provision": {"type": "permit"}, **more})


def no(name, date, **more):
    """A Consent that denies."""
    return r4(id=name, dateTime=date, **{"provision": {"type": "deny"}, **more})


def lost(name, date, **more):
    """A Consent of the same group that cannot be read."""
    return bad(r4(id=name, dateTime=date, **{"scope": 7, **more}))


def every_order(*consents, **how):
    """The one answer that the consents give in every order of arrival."""
    answers = [ask(*order, **how) for order in permutations(consents)]
    assert all(answers[0] == answer for answer in answers)
    return answers[0]


@pytest.mark.parametrize(
    ("consents", "expected"),
    [
        ([no("a", "2024-01-01"), yes("b", "2024-02-01")], Answer.PERMIT),
        ([yes("a", "2024-01-01"), no("b", "2024-02-01")], Answer.DENY),
        ([yes("a", "2024-01-01"), no("b", "2024-01-01")], Answer.DENY),
        ([yes("a", "2024"), no("b", "2024-01-01")], Answer.DENY),
        ([yes("a", "2024-06"), no("b", "2024")], Answer.DENY),
        ([no("a", "2023"), yes("b", "2024")], Answer.PERMIT),
        ([no("a", None), yes("b", "2024")], Answer.PERMIT),
        ([yes("a", None), no("b", None)], Answer.DENY),
        ([no("a", "2024-01-01T10:00:00Z"), yes("b", "2024-01-01T10:00:01Z")], Answer.PERMIT),
        ([no("a", "2024-01-01T10:00:00Z"), yes("b", "2024-01-01T12:00:00+02:00")], Answer.DENY),
        ([no("a", "2024-03"), yes("b", "2024-06"), yes("c", "2024")], Answer.PERMIT),
        ([yes("a", "2024-03"), yes("b", "2024-06"), no("c", "2024")], Answer.DENY),
    ],
)
def test_the_newest_speaks_and_the_same_instant_denies(consents, expected):
    """Newest wins; dates that overlap are one instant and a deny wins; without date it is the oldest (L091)."""
    assert expected is every_order(*consents).answer


def test_only_a_consent_that_applies_speaks():
    """A newer Consent about something else leaves the older one in force for this."""
    about_payment = no("b", "2024-02-01", provision={"type": "deny", "purpose": [code(ACT_REASON, "HPAYMT")]})
    assert Answer.PERMIT is every_order(yes("a", "2024-01-01"), about_payment).answer
    assert Answer.DENY is every_order(yes("a", "2024-01-01"), about_payment, asked=exchange("HPAYMT")).answer


def test_what_applies_is_told_record_by_record():
    """A newer Consent about psychiatric data leaves the older one to speak of the rest."""
    consents = [yes("a", "2024-01-01"), no("b", "2024-02-01", provision=deny())]
    assert Answer.PERMIT is every_order(*consents).answer
    assert Answer.DENY is every_order(*consents, about=target(None, "R", "PSY")).answer


def test_across_groups_a_deny_wins():
    """Another custodian or another policy is another group: its deny stands, however old."""
    new = yes("b", "2025-01-01")
    for old in (
        no("a", "2020-01-01", organization=[{"reference": "Organization/o9"}]),
        no("a", "2020-01-01", policy=OTHER_POLICY),
    ):
        assert Answer.DENY is every_order(old, new).answer


def test_a_custodian_in_another_spelling_is_the_same_custodian():
    """Reference and identifier of one registered participant make one group."""
    by_npi = [{"identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1"}}]
    assert Answer.PERMIT is every_order(no("a", "2020-01-01", organization=by_npi), yes("b", "2024-01-01")).answer


def test_opting_in_after_opting_out():
    """The code that only carries the base decision makes no group of its own."""
    open_end = {"period": {"start": "2019"}}
    out = r4_untyped("OPTOUT", id="a", dateTime="2020-01-01", provision=open_end)
    back = r4_untyped("OPTIN", id="b", dateTime="2024-01-01", provision=open_end)
    assert Answer.PERMIT is every_order(out, back).answer


def test_another_policy_rule_is_another_group():
    """Rules that are policies keep groups apart."""
    rule = concept("http://terminology.hl7.org/CodeSystem/consentpolicycodes", "hipaa-auth")
    assert Answer.DENY is every_order(no("a", "2020-01-01", policyRule=rule), yes("b", "2024-01-01")).answer


@pytest.mark.parametrize(
    ("consents", "expected"),
    [
        ([lost("a", "2024-01-01"), yes("b", "2023-01-01")], Answer.DENY),
        ([lost("a", "2024-01-01"), yes("b", "2024-01-01")], Answer.DENY),
        ([lost("a", "2024-01-01"), yes("b", "2024-02-01")], Answer.PERMIT),
        ([lost("a", "2024-01-01"), yes("b", "2024-02-01", policy=OTHER_POLICY)], Answer.DENY),
        ([lost("a", "2024-01-01"), yes("b", "2024-02-01", status="inactive")], Answer.DENY),
    ],
)
def test_what_cannot_be_read_denies_until_a_newer_one_of_its_group_speaks(consents, expected):
    """An unreadable Consent stands until superseded within its group (law 2)."""
    assert expected is every_order(*consents).answer


def test_what_cannot_be_read_stands_beside_a_newer_one_about_something_else():
    """A newer Consent that does not speak of this exchange does not supersede what may."""
    other = yes("b", "2024-02-01", provision={"type": "permit", "purpose": [code(ACT_REASON, "HPAYMT")]})
    assert Answer.DENY is every_order(lost("a", "2024-01-01"), other).answer


def test_every_deny_is_a_cause():
    """The answer names all that deny, in a fixed order."""
    old = no("z", "2020-01-01", policy=OTHER_POLICY)
    answer = every_order(no("a", "2024-01-01"), old, yes("m", "2025-01-01", policy=[{"uri": "urn:third"}]))
    assert ["Consent/a#provision[0]", "Consent/z#provision[0]"] == [cause.consent for cause in answer.causes]


class TestPermitting:
    def test_older_permits_add_up(self):
        """A later general permit does not take an earlier one away: both stand for 42 CFR Part 2."""
        answer = every_order(yes("a", "2024-01-01"), yes("b", "2024-02-01", provision=permit()))
        assert ["b", "a"] == [permit.consent.id for permit in answer.permitting]
        assert ["Consent/b#provision[0]"] == [cause.consent for cause in answer.causes]

    def test_a_dissent_between_them_ends_the_older_one(self):
        """What was dissented from and permitted again counts from the new permit on."""
        answer = every_order(yes("a", "2024-01-01"), no("b", "2024-02-01"), yes("c", "2024-03-01"))
        assert ["c"] == [permit.consent.id for permit in answer.permitting]

    def test_a_dissent_of_the_same_date_ends_it_too(self):
        """A deny of the same instant as an older permit goes before it."""
        answer = every_order(yes("a", "2024-01"), no("b", "2024-01-15"), yes("c", "2024-03-01"))
        assert ["c"] == [permit.consent.id for permit in answer.permitting]

    def test_a_deny_leaves_no_permit_standing_in_its_group(self):
        """The group's own permits go with its deny; another group's stand."""
        answer = every_order(yes("a", "2024-01-01"), no("b", "2024-02-01"), yes("c", "2024", policy=OTHER_POLICY))
        assert (Answer.DENY, ["c"]) == (answer.answer, [permit.consent.id for permit in answer.permitting])


def test_without_a_zone_dates_of_one_day_apart_still_compare():
    """Dates without offset, in no known zone, are told apart among themselves."""
    assert Answer.PERMIT is every_order(no("a", "2024-01-01"), yes("b", "2024-01-02"), zone=None).answer
    mixed = [no("a", "2024-01-01"), yes("b", "2024-01-02T00:30:00Z")]
    assert Answer.DENY is every_order(*mixed, zone=None).answer
