"""Words that only the standard's tables know (leaks.md L089)."""

from zoneinfo import ZoneInfo

import msgspec
import pytest

from gateway.bootstrap.files import Toolmaker, read_profiles
from gateway.errors import ProfileError
from gateway.policy.matching import Category, CategoryMatch
from gateway.policy.reading import read_policy
from gateway.policy.words import misspelt

TOOLS = Toolmaker()


def compiled(name):
    """One of our own profiles."""
    return read_policy(name, read_profiles(), ZoneInfo)


@pytest.mark.parametrize("name", ["base", "us-hipaa", "us-part2", "us-programs", "us-ca-calaim", "us-ny-health-home"])
def test_our_own_profiles_are_spelt_right(name):
    """No profile of ours has a word that is none."""
    assert () == misspelt(compiled(name), TOOLS.elements)


@pytest.mark.parametrize(
    ("match", "said"),
    [
        (CategoryMatch(types=frozenset({"Patient", "Pateint"})), "categories.x.types: `Pateint`"),
        (CategoryMatch(sensitivities=frozenset({"HVI"})), "categories.x.sensitivities: `HVI`"),
        (CategoryMatch(sensitivities=frozenset({"42CFRPart2"})), "categories.x.sensitivities: `42CFRPart2`"),
        (CategoryMatch(policies=frozenset({"42CFRPart3"})), "categories.x.policies: `42CFRPart3`"),
        (
            CategoryMatch(without=(CategoryMatch(types=frozenset({"Observations"})),)),
            "categories.x.types: `Observations`",
        ),
    ],
)
def test_a_misspelt_word_is_told_with_its_place(match, said):
    """A type that R4 does not have, a label of no kind or another: the profile is not taken."""
    policy = compiled("base")
    wrong = msgspec.structs.replace(policy, categories={**policy.categories, "x": Category("x", "x", (match,))})

    assert (said,) == misspelt(wrong, TOOLS.elements)
    with pytest.raises(ProfileError, match="not known to FHIR R4"):
        TOOLS(wrong)
