"""Profiles: what is read, and that a typing error never passes (leaks.md L089, L100)."""

from importlib.resources import files
from zoneinfo import ZoneInfo

import pytest

from gateway.errors import ProfileError
from gateway.policy.model import DenyClass, Policy
from gateway.policy.reading import ProfileText, read_policy


def texts() -> dict[str, ProfileText]:
    """Read the profiles that come with the gateway."""
    found = {}
    for folder in files("profiles").iterdir():
        profile, flows = folder / "profile.yaml", folder / "flows.yaml"
        if profile.is_file():
            names = (f"{folder.name}/profile.yaml", f"{folder.name}/flows.yaml")
            found[folder.name] = ProfileText(profile.read_text(), flows.read_text(), *names)
    return found


def read(
    name: str, *, flows: tuple[str, str] | None = None, profile: tuple[str, str] | None = None, **switches: bool
) -> Policy:
    """Read one profile, with one piece of its text replaced by another."""
    shelf = texts()
    text = shelf[name]
    for field, change in (("flows", flows), ("profile", profile)):
        if change:
            assert change[0] in getattr(text, field)
            parts = {f: getattr(text, f) for f in ("profile", "flows", "profile_name", "flows_name")}
            parts[field] = parts[field].replace(*change, 1)
            text = ProfileText(**parts)
    return read_policy(name, shelf | {name: text}, ZoneInfo, switches)


@pytest.mark.parametrize("name", ["base", "us-hipaa", "us-part2"])
def test_every_profile_of_the_gateway_is_read(name):
    """The profiles that come with the gateway compile."""
    policy = read(name)

    assert name == policy.name
    assert name == policy.chain[-1]
    assert policy.rules


def test_a_profile_drops_rules_of_the_one_it_extends():
    """Under HIPAA a consent alone does not decide; the rule of base is dropped by name."""
    assert "consent-decides" in {rule.id for rule in read("base").rules}
    assert "consent-decides" not in {rule.id for rule in read("us-hipaa").rules}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("unless:", "unles:"), "unles: unknown key"),
        (("part2_compliant_consent, recipient_is_subject", "part2_compliant, recipient_is_subject"), "part2_compliant"),
        (("class: federal_law", "class: federal"), "`federal` is not one of"),
        (("data: [part2_record]", "data: [part2_records]"), "part2_records"),
        (("purposes: [HLEGAL]", "purposes: [HLEGALS]"), "no purpose of use"),
        (("reason: law_part2", "reason: law_part3"), "law_part3"),
        (("kinds: [health_care_provider]", "kinds: [health_care]"), "health_care"),
        (("effect: deny", "effect: denies"), "denies"),
        (("id: part2-emergency", "id: part2-consent"), "stands twice"),
    ],
)
def test_a_typing_error_in_a_rule_is_named_with_file_and_line(change, told):
    """A misspelt key, condition, class, category, purpose, reason, kind, effect or a doubled id does not load."""
    with pytest.raises(ProfileError, match=r"us-part2/flows.yaml:\d+: ") as wrong:
        read("us-part2", flows=change)

    assert told in wrong.value.message


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("extends: [us-hipaa]", "extends: [us-hippa]"), "no profile `us-hippa`"),
        (("extends: [us-hipaa]", "extends: [us-part2]"), "extends itself"),
        (("extends: [us-hipaa]", "extends: []"), "`hipaa_health_plan` is not one of"),
        (("default: true", "default: yes"), "must be true or false"),
        (("policies: [42CFRPart2]", "policy: [42CFRPart2]"), "recognises nothing"),
    ],
)
def test_a_typing_error_in_a_profile_is_an_error(change, told):
    """A profile that extends nothing real, or has an unreadable switch or category, does not load."""
    with pytest.raises(ProfileError) as wrong:
        read("us-part2", profile=change)

    assert told in wrong.value.message


def test_an_empty_rule_set_is_refused():
    """A profile without rules is no profile (L100)."""
    empty = ProfileText(texts()["base"].profile, "rules: []\n", "base/profile.yaml", "base/flows.yaml")

    with pytest.raises(ProfileError, match="no rules"):
        read_policy("base", {"base": empty}, ZoneInfo)


def test_federal_law_is_never_suspended():
    """No rule may suspend denies of federal law."""
    with pytest.raises(ProfileError, match="federal_law is never suspended"):
        read("us-part2", flows=("needs: [part2_emergency]", "needs: [part2_emergency]\n    suspends: [federal_law]"))


def test_the_digest_names_text_and_switches():
    """Another text or another switch is another digest; the same is the same."""
    plain = read("us-part2")

    assert plain.digest == read("us-part2").digest
    assert plain.digest != read("us-part2", unknown_source_is_sensitive=False).digest
    assert plain.digest != read("us-part2", flows=("42 CFR 2.51(a)", "42 CFR 2.51")).digest


def test_a_switch_nobody_has_is_an_error():
    """An operator's misspelt switch does not load."""
    with pytest.raises(ProfileError, match="no switch `sud`"):
        read("us-part2", sud=True)


def test_types_belong_to_kinds():
    """An ECM provider is a health care provider; a housing provider is not."""
    policy = read("base")

    assert "health_care_provider" in policy.kinds_of("ecm_provider_general")
    assert frozenset({"housing_provider"}) == policy.kinds_of("housing_provider")


def test_the_part2_deny_is_federal_law():
    """The rule that asks for a Part 2 consent is of the class that nothing suspends."""
    rule = next(rule for rule in read("us-part2").rules if rule.id == "part2-consent")

    assert DenyClass.FEDERAL_LAW is rule.deny_class


def test_a_set_of_elements_that_names_no_rule_is_refused():
    """A misspelt rule would bind nothing: the profile does not load (L089)."""
    with pytest.raises(ProfileError, match="no rule `ca-3-1-comunity`"):
        read("us-ca-calaim", profile=("rules: [ca-3-1-community]", "rules: [ca-3-1-comunity]"))
