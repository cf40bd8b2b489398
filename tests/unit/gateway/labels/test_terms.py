"""Term rules: what texts say (leaks.md L006)."""

import json

import pytest

from gateway.errors import ProfileError
from gateway.fhir.walk import TextAt
from gateway.labels.terms import TermGroup, TermIndex, TermList, parse_term_list

HEAD = {"name": "t", "title": "", "source": "", "version": "1", "licence": "", "note": ""}


def said(rules, *texts):
    """(pointer, code) of what the shipped terms find in texts."""
    found = rules.terms.find([TextAt(f"/note/{number}/text", text) for number, text in enumerate(texts)])
    return {(at, hit.code) for at, hit in found}


@pytest.mark.parametrize(
    "text",
    [
        "methadone",
        "Methadone 40 mg daily",
        "METHADONE.",
        "(methadone)",
        "started on methadone/counselling",
        "Opioid Use Disorder",
        "opioid-use disorder",
        "opioid\nuse   disorder",
        "opioid\u00a0use disorder",
        "metha\u00addone",
        "<div xmlns='http://www.w3.org/1999/xhtml'><p>on <b>metha</b>done</p></div>",
        "<div>opioid <i>use</i> disorder</div>",
        "<div><td>opioid use</td>\n<td>disorder</td></div>",
        "<div>&#109;ethadone</div>",
        "heroin&nbsp;overdose",
        "ｍｅｔｈａｄｏｎｅ",  # noqa: RUF001  full-width letters are the point
    ],
)
def test_a_term_is_found_however_it_is_written(text, rules):
    """Case, punctuation, markup, entities, invisible and compatibility characters are set aside."""
    assert {("/note/0/text", "OPIOIDUD")} == said(rules, text)


@pytest.mark.parametrize(
    "text",
    [
        "Hives",
        "hearing aids",
        "Avoid alcoholic drinks",
        "methadonelike",
        "heroine of the story",
        "BMI < 25 and BP > 100",
        "",
    ],
)
def test_other_words_are_not_terms(text, rules):
    """Whole words only; no stems of common words."""
    assert set() == said(rules, text)


def test_a_less_than_sign_hides_nothing(rules):
    """What stands between `<` and `>` of prose is prose, also over two texts."""
    assert {("/note/0/text", "OPIOIDUD")} == said(rules, "BMI < 25, heroin use, BP > 100")
    assert {("/note/1/text", "OPIOIDUD")} == said(rules, "BMI < 25", "heroin", "BP > 100")


def test_a_phrase_does_not_run_over_two_texts(rules):
    """Two displays beside each other say two things."""
    assert set() == said(rules, "opioid use", "disorder")


def test_a_negation_counts(rules):
    """That it was asked about can itself be telling."""
    assert {("/note/0/text", "SDV")} == said(rules, "Denies domestic violence")


def test_what_a_term_says_is_told_with_the_list_and_the_term(rules):
    """So that "why was this withheld" has an answer."""
    (found,) = rules.terms.find([TextAt("/note/0/text", "HIV test offered")])
    assert "terms 2026-11: hiv" == found[1].source


def test_every_shipped_term_finds_itself(rules, terms):
    """No term is lost in the screen or in the way texts are read."""
    for group in [one for one in terms.groups if (one.confidence or terms.confidence) >= 0.5]:
        for term in group.terms:
            written = {"phrase": f"x {term.upper()}, y", "whole": f"{term.upper()}.", "exact": f"x: {term}."}[
                group.match
            ]
            codes = {code for _, code in said(rules, written, *group.beside[:1])}
            assert set(group.sensitivities) <= codes, term


def test_a_word_of_many_meanings_counts_only_alone():
    """`match` whole: where the text says nothing else; beside phrases with the same key too."""
    groups = (TermGroup(("BH",), ("depression",), "whole"), TermGroup(("BH",), ("history of depression",)))
    index = TermIndex([TermList(**HEAD, groups=groups)])
    assert [["depression"], [], ["history of depression"]] == [
        [hit.source.rpartition(": ")[2] for _, hit in index.find([TextAt("/a", text)])]
        for text in ("<div>Depression.</div>", "ST depression", "History of depression")
    ]


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("Takes PrEP daily", True),
        ("<p>On&#32;<b>PrEP</b>.</p>", True),
        ("PrEP/doxyPEP", True),
        ("bowel prep done", False),
        ("PREP KIT FOR COLONOSCOPY", False),
        ("Prep: hold metformin", False),
        ("Immunocompromised: AIDS", True),
        ("FITTING OF HEARING AIDS", False),
        ("New hearing AIDS fitted", False),
        ("diet aids digestion", False),
        ("STDs and AIDS education", True),
    ],
)
def test_a_word_that_only_its_letters_tell_apart(rules, text, counts):
    """`match` exact: where it is written so, in a text that is not all in capitals."""
    assert counts == (("/note/0/text", "HIV") in said(rules, text))


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (("Psychotherapy session notes",), True),
        (("Psychotherapy process note",), True),
        (("Session notes", "Individual psychotherapy, 50 minutes"), True),
        (("<p>Process notes</p>", "Psychotherapist: on file"), True),
        (("Psychotherapist's notes",), True),
        (("Session notes", "Physical therapy"), False),
        (("Sessions", "Psychotherapy progress note"), False),
        (("process notes of the steering committee",), False),
    ],
)
def test_notes_are_a_psychotherapists_where_the_record_says_so_too(rules, texts, told):
    """45 CFR 164.501: notes of a session, in either number, also where another element says of what session."""
    assert told == ("PSYTHPN" in {code for _, code in said(rules, *texts)})


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("Rehab (alcohol)", {"ETHUD"}),
        ("Rehab - drug", {"SUD"}),
        ("medically managed withdrawal", {"SUD"}),
        ("Rehab (knee)", set()),
        ("Withdrawal of consent", set()),
    ],
)
def test_rehabilitation_and_withdrawal_are_named_with_what_from(rules, text, codes):
    """Of which substance the text says beside it."""
    assert codes == {code for _, code in said(rules, text)}


def test_no_terms_find_nothing():
    """Texts switched off."""
    assert [] == TermIndex().find([TextAt("/a", "heroin")])


def term_list(**changes):
    """A term list's JSON with one group, changed."""
    group = {"sensitivities": ["SUD"], "terms": ["heroin"]} | changes
    head = dict.fromkeys(("title", "source", "version", "licence", "note"), "x")
    return json.dumps({"name": "x", **head, "groups": [group]})


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        term_list(sensitivities=["XX"]),
        term_list(terms=["Heroin"]),
        term_list(terms=["opioid-use"]),
        term_list(terms=[""]),
        term_list(terms=["prep"], match="exact"),
        term_list(terms=["PrEP visit"], match="exact"),
        term_list(beside=["Rehab"]),
    ],
)
def test_a_term_list_that_is_not_sound_is_refused(text):
    """A term that could never be found in a text is an error, not a rule."""
    with pytest.raises(ProfileError, match=r"term list `x\.json`"):
        parse_term_list(text, "x.json")
