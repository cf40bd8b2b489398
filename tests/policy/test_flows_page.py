"""docs/flows.md is held to the profiles: every rule with its effect, class, reason, source and case."""

import re
from pathlib import Path

import pytest

from gateway import bootstrap
from gateway.facts.cases import ProfileCase, read_case_file
from gateway.policy.model import Rule
from gateway.policy.reading_rules import REASONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/flows.md").read_text(encoding="utf-8")
SHELF = bootstrap.read_shelf()
PROFILES = ("us-hipaa", "us-part2", "us-programs", "us-ny-health-home", "us-ca-calaim")
CASES = {
    name: read_case_file((ROOT / f"profiles/{name}/{name}_test.yaml").read_text(), name).cases for name in PROFILES
}


def own(profile: str) -> list[Rule]:
    """Give the rules that a profile adds to those below it."""
    policy = SHELF.policies[profile]
    below = {rule.id for name in policy.chain[:-1] for rule in SHELF.policies[name].rules}
    return [rule for rule in policy.rules if rule.id not in below]


def row(rule: Rule, profile: str) -> str:
    """Tell a rule as its row of the page does."""
    kind = f" ({rule.deny_class}, {rule.reason})" if rule.deny_class else ""
    case = case_of(rule, profile)
    return f"| `{rule.id}` | {rule.effect.value}{kind} | {rule.says} | {rule.cite} | {case.says if case else ''} |"


def case_of(rule: Rule, profile: str) -> ProfileCase | None:
    """Give the first case that the rule determines."""
    return next((case for case in CASES[profile] if rule.id in (case.rules or ())), None)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_rule_stands_there_as_it_is(profile):
    """Effect, class, reason, sentence, source and case of every rule are those of the profile."""
    assert [] == [line for rule in own(profile) if (line := row(rule, profile)) not in PAGE]


def test_no_rule_stands_there_that_is_none():
    """What was taken out of a profile is not told of any more."""
    rules = {rule.id for policy in SHELF.policies.values() for rule in policy.rules}

    assert set() == set(re.findall(r"`((?:hipaa|part2|programs|ny|ca)-[a-z0-9-]+)`", PAGE)) - rules


@pytest.mark.parametrize("name", PROFILES)
def test_every_deny_has_a_reason_that_is_mapped(name):
    """Each refusal has a class that maps to a paragraph of 45 CFR part 171, or to none where it stands on policy."""
    denies = [rule for rule in SHELF.policies[name].rules if rule.deny_class is not None]

    assert denies
    assert {rule.reason for rule in denies} <= set(REASONS)
    # What federal law forbids is never told as a policy of somebody's own, and a policy never as law.
    own_policy = {"local_policy", "agreement_missing_by_policy"}
    assert not [rule.id for rule in denies if rule.deny_class == "federal_law" and rule.reason in own_policy]
    assert {None} == {REASONS[reason] for reason in own_policy}


def test_the_exceptions_are_those_of_the_rule():
    """The reason classes meet the paragraphs of 45 CFR 171.202 to 171.204 that the digest of the law names."""
    assert {
        "law_part2": "171.202(b)",
        "law_other": "171.202(b)",
        "patient_request": "171.202(e)",
        "agreement_missing_required_by_law": "171.202(b)",
        "agreement_missing_by_policy": None,
        "identity": "171.202(b)",
        "security": "171.203",
        "infeasible_segmentation": "171.204(a)(2)",
        "local_policy": None,
    } == REASONS


SEEDS = {"seed0": "ny-health-home-phi-sharing.txt", "seed1": "calaim-data-sharing-guidance.txt"}


def test_every_line_that_is_cited_is_there(shared):
    """A citation of a guidance document names lines it has, and lines that say something."""
    texts = {seed: (shared / "seeds" / name).read_text().split("\n") for seed, name in SEEDS.items()}
    wrong = []
    for profile in PROFILES:
        for rule in own(profile):
            for seed, spans in re.findall(r"(seed[01]) (L\d+(?:-\d+)?(?:, L\d+(?:-\d+)?)*)", rule.cite):
                for first, last in re.findall(r"L(\d+)(?:-(\d+))?", spans):
                    lines = texts[seed][int(first) - 1 : int(last or first)]
                    if not any(line.strip() for line in lines):
                        wrong.append((rule.id, seed, first))

    assert [] == wrong
