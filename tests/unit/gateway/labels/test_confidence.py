"""How sure a list is of a code, and how sure a profile wants it (docs/labels.md)."""

import json

import pytest

from consent_store.model import Coding
from gateway.errors import ProfileError
from gateway.fhir.walk import TextAt
from gateway.labels.lists import CodeGroup, CodeIndex, CodeList, parse_code_list
from gateway.labels.rules import label_rules
from gateway.labels.terms import TermGroup, TermIndex, TermList
from gateway.policy.model import Labelling
from tests.unit.gateway.labels.conftest import ICD
from tests.unit.gateway.labels.test_assign import Profile

HEAD = {"title": "", "source": "", "version": "1", "licence": "", "note": ""}
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
OXYCODONE = Coding(RXNORM, "7804")


def code_list(name="a", sure=1.0, **group):
    """A list of one group with the code X1."""
    return CodeList(**{**HEAD, "name": name}, confidence=sure, groups=(CodeGroup(ICD, ("SUD",), ("X10",), **group),))


@pytest.mark.parametrize(
    ("sure", "of_group", "threshold", "by_list", "counts"),
    [
        (1.0, None, 0.5, {}, True),
        (0.4, None, 0.5, {}, False),
        (0.4, None, 0.4, {}, True),
        (1.0, 0.4, 0.5, {}, False),
        (0.4, 0.9, 0.5, {}, True),
        (0.4, None, 0.5, {"a": 0.3}, True),
        (0.9, None, 0.5, {"a": 1.0}, False),
        (0.4, None, 0.5, {"b": 0.3}, False),
    ],
)
def test_a_code_counts_where_its_list_is_sure_enough(sure, of_group, threshold, by_list, counts):
    """A group's own confidence goes before its list's, a list's own threshold before the profile's."""
    index = CodeIndex([code_list(sure=sure, confidence=of_group)]).limited(threshold, by_list)
    assert counts is bool(index.find(Coding(ICD, "X10")))


def test_words_have_a_confidence_too():
    """The same rule over term lists."""
    group = TermGroup(("SUD",), ("detox",), confidence=0.4)
    index = TermIndex([TermList(**HEAD, name="t", groups=(group,))])
    assert index.find([TextAt("/a", "detox")])
    assert [] == index.limited(0.5, {}).find([TextAt("/a", "detox")])


def test_a_name_of_a_screen_is_set_aside_and_the_rest_is_read():
    """Set aside is only the phrase itself."""
    group = TermGroup(("SUD",), ("drug abuse", "cocaine"))
    index = TermIndex([TermList(**HEAD, name="t", groups=(group,), set_aside=("screening for drug abuse",))])
    assert [] == index.find([TextAt("/a", "Screening for drug abuse")])
    assert ["cocaine"] == [
        hit.source.rpartition(": ")[2] for _, hit in index.find([TextAt("/a", "Screening for drug abuse: cocaine")])
    ]


@pytest.mark.parametrize("sure", [0, -0.1, 1.1, "high"])
def test_a_confidence_is_a_share(sure):
    """Zero would never count, more than one is no share."""
    text = json.dumps({**HEAD, "name": "a", "confidence": sure, "groups": []})
    with pytest.raises(ProfileError, match="code list `a`"):
        parse_code_list(text, "a")


def test_an_operator_may_want_pain_opioids_labelled(rules):
    """ASU SHARES lists them; no shipped profile counts them, one that asks for 0.3 of that list does."""
    assert () == label_rules(Profile(rules.unlabelled, {}), rules.codes, rules.terms).codes.find(OXYCODONE)
    wanting = Profile(rules.unlabelled, {})
    wanting.labelling = Labelling(lists={"asu-shares": 0.3})
    assert ["OPIOIDUD"] == [hit.code for hit in label_rules(wanting, rules.codes, rules.terms).codes.find(OXYCODONE)]


def test_a_threshold_of_a_list_nobody_has_is_refused(rules):
    """A misspelt name must not silently count for nothing."""
    wanting = Profile(rules.unlabelled, {})
    wanting.labelling = Labelling(lists={"asu-share": 0.3})
    with pytest.raises(ProfileError, match="no code list `asu-share`"):
        label_rules(wanting, rules.codes, rules.terms)


def test_every_group_that_was_not_checked_says_so(lists):
    """What rests on general knowledge alone is less sure than what was seen, and still counts by default."""
    for one in lists.values():
        for group in one.groups:
            if group.source.startswith("general knowledge"):
                assert (group.confidence or one.confidence) <= 0.7, one.name


def test_an_index_is_made_once_for_each_set_of_thresholds():
    """Profiles with the same thresholds share an index; other thresholds have their own, whatever was asked before."""
    words = TermIndex([TermList(**HEAD, name="t", groups=(TermGroup(("SUD",), ("detox",), confidence=0.4),))])
    for index, asked in ((CodeIndex([code_list(sure=0.4)]), Coding(ICD, "X10")), (words, [TextAt("/a", "detox")])):
        strict, lax = index.limited(0.8, {}), index.limited(0.8, {}).limited(0.3, {})
        assert strict is index.limited(0.8, {}) is lax.limited(0.8, {})
        assert lax is index.limited(0.3, {}) is not index.limited(0.3, {"a": 0.5})
        assert [] == list(strict.find(asked))
        assert [] != index.find(asked) == lax.find(asked)
