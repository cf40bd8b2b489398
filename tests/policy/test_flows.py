"""The decision cases of the two guidance documents, each realised as FHIR and asked; what pins the rules."""

import json
from pathlib import Path

import pytest

from gateway import bootstrap
from gateway.errors import QuestionError
from gateway.facts.answer import answer
from gateway.policy.model import Condition
from tests.cases.__main__ import failures
from tests.cases.realise import question
from tests.cases.records import RECORDS

SHELF = bootstrap.read_shelf()


def read(shared: Path, name: str) -> dict:
    """Read one file of the shared cases."""
    return json.loads((shared / "cases" / name).read_text())


def test_every_scored_case_of_both_documents_comes_out(shared):
    """Each case has the effect, the obligations and the absences that the documents give it."""
    vocabulary = read(shared, "vocabulary.json")
    cases = [case for case in read(shared, "seed-flows.json")["cases"] if case.get("scored", True)]
    told = {case["id"]: found for case in cases if (found := failures(case, vocabulary, SHELF))}

    assert len(cases) > 100
    assert {} == told


def test_a_case_turned_round_fails(shared):
    """Every case that is made to expect another effect is told as a failure."""
    vocabulary = read(shared, "vocabulary.json")
    other = {"permit": "deny", "deny": "permit", "permit_redacted": "permit"}
    turned = [{**case, "expected": other[case["expected"]]} for case in read(shared, "seed-flows.json")["cases"]]

    assert [] == [case["id"] for case in turned if not failures(case, vocabulary, SHELF)]


def test_every_word_for_data_can_be_made_as_a_record(shared):
    """The table of records has every word of the vocabulary, and nothing else."""
    assert set(read(shared, "vocabulary.json")["data_category"]) == set(RECORDS)


# Words for files of several records: what is in them is recognised one by one.
FILES = {
    "assignment_file_with_part2",
    "bundle_with_release_date_and_cii",
    "chart_with_psychotherapy_notes",
    "data_item_not_in_scope_of_work",
    "encounter_file_with_part2",
    "full_chart",
    "full_record_dump",
    "mixed_bundle_with_part2",
    "mixed_bundle_with_sud",
    "mixed_claims_file_with_part2",
}


def test_every_word_for_a_single_kind_of_data_is_a_category(shared):
    """An agreement may list any of them, so a profile must recognise each."""
    assert set(read(shared, "vocabulary.json")["data_category"]) - FILES <= set(
        SHELF.policies["us-programs"].categories
    )


@pytest.mark.parametrize("name", ["us-ca-calaim", "us-ny-health-home"])
def test_every_condition_of_the_vocabulary_is_known(shared, name):
    """Every condition of the vocabulary can be used by a profile, but the two that are carried out and not asked."""
    carried_out = {"minimum_necessary", "complies_with_federal_law", "consent_cannot_be_obtained"}
    assert name in SHELF.policies
    assert set(read(shared, "vocabulary.json")["conditions"]) - carried_out <= {one.value for one in Condition}


def test_a_derived_thing_that_is_stated_wrongly_is_no_question(shared):
    """An agreement that is not there cannot be stated into being."""
    vocabulary = read(shared, "vocabulary.json")
    case = next(c for c in read(shared, "seed-flows.json")["cases"] if c["id"] == "NY-mco_to_hh-016")
    asked = question(case, vocabulary)
    asked["facts"]["exchange"]["legal_assurance_between_parties"] = False
    assert "deny" == answer(json.dumps(asked).encode(), SHELF)["effect"]

    asked["facts"]["exchange"]["legal_assurance_between_parties"] = True
    with pytest.raises(QuestionError, match="legal_assurance_between_parties"):
        answer(json.dumps(asked).encode(), SHELF)


def test_the_documents_name_every_rule_and_every_category():
    """Who reads docs/flows.md misses no rule, and who reads docs/profiles.md no category."""
    docs = Path(__file__).parents[2] / "docs"
    flows, profiles = (docs / "flows.md").read_text(), (docs / "profiles.md").read_text()
    rules = {
        rule.id
        for name in ("us-programs", "us-ny-health-home", "us-ca-calaim")
        for rule in SHELF.policies[name].rules
        if rule.id.startswith(("ny-", "ca-", "programs-"))
    }

    assert set() == {rule for rule in rules if f"| `{rule}` |" not in flows}
    assert set() == {one for one in SHELF.policies["us-programs"].categories if f"| `{one}` |" not in profiles}
