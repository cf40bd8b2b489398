"""What was found of an exchange and a subject is found again only there: in another exchange all is asked anew."""

import msgspec
import pytest

from gateway.decision.case import Told
from gateway.decision.combine import rule_on
from gateway.decision.conditions import hold, of_exchange, of_subject
from gateway.decision.specialised import Rules
from gateway.directory.model import Directory
from gateway.policy.model import Condition
from tests.unit.gateway.decision.test_near_rules import CLINIC, PLAN, case, rule

OF_EXCHANGE, OF_SUBJECT = Condition.DISCLOSER_IS_HEALTH_CARE_PROVIDER, Condition.REQUIRED_BY_LAW


def told(found, **of):
    """What was told beforehand of a case's exchange and subject, right or wrong."""
    return Told(found.exchange, found.directory, found.subject, of.get("exchange", {}), of.get("subject", {}))


def elsewhere():
    """The case in another exchange, directory, or of another subject: equal in value, and not the same."""
    here = case()
    copies = {
        "exchange": msgspec.structs.replace(here.exchange),
        "directory": Directory(dict(here.directory.participants)),
        "subject": msgspec.structs.replace(here.subject),
    }
    return here, [(name, msgspec.structs.replace(here, **{name: value})) for name, value in copies.items()]


def test_what_is_told_is_gone_by_where_it_was_told_and_nowhere_else():
    """A wrong memory is believed in its own case alone."""
    here, others = elsewhere()
    wrong = told(here, exchange={OF_EXCHANGE: False}, subject={OF_SUBJECT: True})
    assert (True, None) == (hold(OF_EXCHANGE, here), hold(OF_SUBJECT, here))
    remembering = msgspec.structs.replace(here, told=wrong)
    assert (False, True) == (hold(OF_EXCHANGE, remembering), hold(OF_SUBJECT, remembering))
    for name, other in others:
        found = msgspec.structs.replace(other, told=wrong)
        assert (True, None) == (hold(OF_EXCHANGE, found), hold(OF_SUBJECT, found)), name


def test_what_is_found_is_kept_where_it_is_the_same_for_all():
    """Of the exchange, of the subject; of a record about which something is stated nothing, nor what turns on it."""
    kept = told(case())
    asked = msgspec.structs.replace(
        case(), exchange=kept.exchange, directory=kept.directory, subject=kept.subject, told=kept
    )
    stated = msgspec.structs.replace(asked, stated={OF_SUBJECT.value: True})
    assert hold(OF_SUBJECT, stated) is True
    assert {} == kept.of_subject == kept.of_exchange
    for condition in (OF_EXCHANGE, OF_SUBJECT, Condition.NO_SELF_PAY_RESTRICTION):
        hold(condition, asked)
    assert ({OF_EXCHANGE: True}, {OF_SUBJECT: None}) == (kept.of_exchange, kept.of_subject)


@pytest.mark.parametrize("condition", list(Condition), ids=str)
def test_what_turns_on_the_exchange_alone_turns_on_no_record(condition):
    """No category and no source of a record can change it; nor can whose it is, where it is the exchange's."""
    assert not of_exchange(condition) or of_subject(condition)
    if not of_subject(condition):
        return
    here = case()
    labelled = msgspec.structs.replace(here, categories=frozenset({"housing"}), came_from=lambda: frozenset({"plan"}))
    assert hold(condition, here) == hold(condition, labelled)
    if of_exchange(condition):
        assert hold(condition, here) == hold(condition, msgspec.structs.replace(here, subject=None))


def test_rules_are_specialised_to_one_exchange_and_asked_anew_in_another():
    """Where the discloser provides care and where it does not, in any order; with a memory of the first."""
    rules = (rule(needs=(OF_EXCHANGE,)),)
    first = case(*rules)
    kept = told(first)
    first = msgspec.structs.replace(first, told=kept)
    turned = msgspec.structs.replace(first.exchange, discloser=PLAN, recipient=CLINIC)
    second = msgspec.structs.replace(first, exchange=turned)
    for order in ((first, first, second), (second, first, second)):
        prepared = Rules(rules)
        assert [one is first for one in order] == [rule_on(one, prepared).permitted for one in order]
        own = msgspec.structs.replace(second, told=told(second))
        assert not rule_on(own, prepared).permitted


def test_rules_are_specialised_to_one_subject_and_asked_anew_of_another():
    """Of two people one of whom it is stated that a law requires it; records alike, in any order."""
    rules = (rule(needs=(OF_SUBJECT,)),)
    first = case(*rules)
    required = msgspec.structs.replace(first.subject, stated={OF_SUBJECT.value: True})
    second = msgspec.structs.replace(first, subject=required)
    first, second = (msgspec.structs.replace(one, told=told(one)) for one in (first, second))
    nobody = msgspec.structs.replace(first, subject=None, told=None)
    prepared = Rules(rules)
    for one in (first, first, second, second, first, second, nobody):
        assert (one is second) is rule_on(one, prepared).permitted
    stated = msgspec.structs.replace(first, stated={OF_SUBJECT.value: True})
    assert rule_on(stated, prepared).permitted
    assert not rule_on(msgspec.structs.replace(second, stated={OF_SUBJECT.value: False}), prepared).permitted
