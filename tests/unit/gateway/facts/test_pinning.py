"""Whether cases pin rules: a change that nobody notices is told, and so is an exception that is none."""

import msgspec
import pytest

from gateway import bootstrap
from gateway.facts.cases import CaseFile, read_case_file
from gateway.facts.pinning import pinning
from gateway.policy.changes import changes

SHELF = bootstrap.read_shelf()


def file_of(profile: str) -> CaseFile:
    """Give the cases of a profile."""
    texts = dict(bootstrap.read_case_files())
    return read_case_file(texts[f"{profile}_test.yaml"], profile)


def test_every_change_of_the_simplest_profile_is_noticed():
    """The cases of `base` see each of its rules."""
    found = pinning(file_of("base"), SHELF)

    assert found.tried > 5
    assert ((), ()) == (found.loose, found.stale)


def test_without_its_cases_a_rule_is_loose():
    """Cases that never ask what a rule is about notice nothing of it."""
    whole = file_of("us-hipaa")
    fewer = tuple(case for case in whole.cases if case.question["recipient"] not in ("rosa", "otto"))

    loose = pinning(msgspec.structs.replace(whole, cases=fewer), SHELF).loose
    assert "hipaa-own-access: dropped" in loose
    assert "hipaa-treatment: dropped" not in loose


def test_an_exception_that_is_noticed_after_all_is_told():
    """The list of exceptions stays true."""
    whole = file_of("base")
    listed = msgspec.structs.replace(whole, not_pinned={"consent-decides: dropped": "nobody looks"})

    assert ("consent-decides: dropped",) == pinning(listed, SHELF).stale


@pytest.mark.parametrize(
    "wanted",
    [
        "dropped",
        "permit instead of deny",
        "unless without part2_compliant_consent",
        "any data",
        "obligations without strip_part2",
    ],
)
def test_a_deny_is_changed_in_every_way(wanted):
    """Effect, conditions, limits and obligations each have a change of their own."""
    rule = next(rule for rule in SHELF.policies["us-part2"].rules if rule.id == "part2-consent")

    assert f"part2-consent: {wanted}" in {change.name for change in changes(rule)}
