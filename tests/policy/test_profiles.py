"""The cases that stand beside the profiles, each asked as a question."""

from pathlib import Path

import pytest

from gateway import bootstrap
from gateway.errors import ProfileError
from gateway.facts.cases import ProfileCase, failures, read_cases
from gateway.policy.model import RuleEffect

FILES = sorted((Path(__file__).parents[2] / "profiles").glob("*/*_test.yaml"))
SHELF = bootstrap.read_shelf()
CASES = [
    case for file in FILES for case in read_cases(file.read_text(encoding="utf-8"), f"{file.parent.name}/{file.name}")
]


@pytest.mark.parametrize("profile", sorted(SHELF.policies))
def test_the_cases_of_a_profile(profile):
    """What each case lists is disclosed or masked, and nothing else; effect, rules and obligations are as it says."""
    told = {
        f"{case.where} {case.says}": found
        for case in CASES
        if case.question["profile"] == profile and (found := list(failures(case, SHELF)))
    }

    assert {} == told


@pytest.mark.parametrize("profile", sorted(SHELF.policies))
def test_every_profile_has_cases(profile):
    """No profile comes without cases beside it."""
    assert [case for case in CASES if case.question["profile"] == profile]


@pytest.mark.parametrize("profile", ["us-programs", "us-ny-health-home", "us-ca-calaim"])
def test_every_rule_decides_a_case(profile):
    """Each permit and deny that a program's profile adds is named as determining in one of its cases."""
    policy, told = SHELF.policies[profile], set[str]()
    for case in CASES:
        if case.question["profile"] == profile:
            told |= case.rules or set()
    below = {rule.id for name in policy.chain[:-1] for rule in SHELF.policies[name].rules}
    own = {r.id for r in policy.rules if r.id not in below and r.effect is not RuleEffect.OBLIGE and not r.switch}

    assert set() == own - told


def test_a_switch_holds_hiv_back():
    """The operator may hold HIV information back where the text of the use cases does not name it."""
    policy = bootstrap.read_shelf(switches={"us-ca-calaim": {"hold_back_hiv_in_assignment_files": True}})
    case = next(case for case in CASES if "HIV is kept in" in case.says)

    assert ["effect", "disclosed", "rules"] == [found.split(":")[0] for found in failures(case, policy)]


def test_a_case_that_expects_wrongly_fails():
    """The comparison can fail: a case turned round is told in words."""
    case = next(case for case in CASES if case.obligations and case.effect == "permit")
    turned = ProfileCase(
        where=case.where,
        says=case.says,
        question=case.question,
        effect="deny",
        disclosed=frozenset(),
        masked=case.masked,
        rules=frozenset({"nothing"}),
        reason="law_part2",
        obligations=frozenset(),
    )

    assert {"effect", "disclosed", "rules", "reason", "obligations"} <= {
        f.split(":")[0] for f in failures(turned, SHELF)
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("profile: base\nat: x\ncases: []\n", "has no cases"),
        ("profile: base\nat: x\ncases: [{says: a, from: b, to: b, purpose: TREAT, expect: {effect: deny}}]\n", "`b`"),
        ("profile: base\nat: x\ncases: []\nmore: 1\n", "more: unknown key"),
    ],
)
def test_a_wrong_case_file_is_named(text, told):
    """A case file with a misspelt key, an unknown party or no cases does not load."""
    with pytest.raises(ProfileError, match=told):
        read_cases(text, "x_test.yaml")
