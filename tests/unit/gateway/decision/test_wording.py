"""A profile's words stand in a text as a reader sees it: whole, in any letter case, beside what is set aside."""

import pytest

from gateway.decision.wording import is_said, plain
from gateway.policy.matching import Words

WORDS = Words(frozenset({"arrest", "penal code", "pc nnn", "hs nnnnn", "nnn pc"}), frozenset({"cardiac arrest"}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Arrest", True),
        ("ARREST-2019", True),
        ("an ar\u00adrest", True),
        ("<b>ar</b>rest", True),
        ("&#97;rrest", True),
        ("\uff41rrest", True),
        ("arrests", False),
        ("re-arrested", False),
        ("cardiac arrest", False),
        ("cardiac arrest after his arrest", True),
        ("Penal  Code", True),
        ("penal\ncode", True),
        ("penal", False),
        ("PC 459", True),
        ("PC459(b)", True),
        ("pc459a", True),
        ("459 PC", True),
        ("459pc", True),
        ("PC 45", False),
        ("1 tab pc", False),
        ("HS 11350", True),
        ("hs 2100", False),
        ("xpc 459", False),
        ("", False),
    ],
)
def test_words_are_whole_and_numbers_long_enough(text, said):
    """Markup, entities, forms of letters and invisible characters hide nothing; `nnn` is a number of three or more."""
    assert said is is_said(WORDS, plain(text))


def test_without_words_set_aside_all_count():
    """The bad twin: what is set aside here is said there."""
    assert is_said(Words(WORDS.said), plain("cardiac arrest"))
