"""docs/release.md, row by row: which test holds each, and those that no other test holds."""

import ast
import re
from pathlib import Path

import pytest

from tests.questions import (
    ACT_CODE,
    HARBOR,
    MERCY,
    ROSA,
    SUBJECT,
    asked,
    claim,
    condition,
    encounter,
    hidden,
    observation,
    released,
    searchset,
    text_of,
    verdicts,
)

DECISION = "tests/unit/gateway/decision"
HELD_BY = {
    "the record": (
        f"{DECISION}/test_residue.py",
        "test_a_claim_loses_the_diagnosis_and_its_lines_and_is_numbered_anew",
    ),
    "references": (f"{DECISION}/test_residue.py", "test_a_reference_goes_whole"),
    "the words beside a reference, elements labelled inline": (
        "tests/unit/gateway/release/test_page.py",
        "test_words_beside_a_reference_keep_no_record_back",
    ),
    "what says it again": (f"{DECISION}/test_restated.py", "test_what_sums_up_a_withheld_record_goes_with_it"),
    "sections of a document": (
        f"{DECISION}/test_restated.py",
        "test_a_section_goes_by_its_title_and_the_document_stays",
    ),
    "minimum necessary": (
        f"{DECISION}/test_necessary.py",
        "test_a_payer_gets_the_elements_that_the_profile_names",
    ),
    "names of a Part 2 program": (f"{DECISION}/test_numbers.py", "test_a_mention_of_a_program_goes"),
    "numbers": ("tests/unit/gateway/release/test_page.py", "test_numbers_of_a_kind_leave_no_record"),
    "extensions": (f"{DECISION}/test_extensions.py", "test_a_private_extension_goes_with_what_it_empties"),
    "what came along": (f"{DECISION}/test_reach.py", "test_an_included_record_goes_with_the_match_that_named_it"),
    "pointing structures": (
        f"{DECISION}/test_residue.py",
        "test_the_member_that_stands_there_to_point_goes_too",
    ),
    "AuditEvent, OperationOutcome, Consent": (f"{DECISION}/test_refusals.py", "test_it_goes_to_the_patient_alone"),
    "Binary, ClaimResponse": (
        f"{DECISION}/test_residue.py",
        "test_a_binary_is_as_releasable_as_the_document_it_belongs_to",
    ),
    "Bundles": (f"{DECISION}/test_judge.py", "test_the_outer_bundle_tells_nothing_of_what_it_lost"),
    "unknown modifiers": ("tests/unit/gateway/release/test_page.py", "test_an_unknown_modifier_withholds"),
    "narrative, section text": (
        f"{DECISION}/test_residue.py",
        "test_a_composition_loses_entry_section_and_prose",
    ),
    "`meta`": ("tests/unit/gateway/release/test_page.py", "test_of_meta_stays_what_says_nothing_of_its_source"),
    "labels": ("tests/unit/gateway/release/test_page.py", "test_labels_speak_of_what_is_released"),
    "markers (SUBSETTED, data-absent-reason)": (
        "tests/unit/gateway/release/test_page.py",
        "test_no_marker_tells_that_something_was_removed",
    ),
}
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
TO_HIDDEN = {"reference": "Encounter/hidden", "display": "x"}
CII = {"system": "urn:oid:1.2.3", "type": {"text": "CII number"}, "value": "A1"}
SSN = {"system": "http://hl7.org/fhir/sid/us-ssn", "value": "078051120"}


def test_every_row_of_the_page_is_held_by_a_test(repository):
    """A row without a test, and a test that is no longer there, fail."""
    page = (Path(repository) / "docs/release.md").read_text()
    rows = [row for row in re.findall(r"^\| ([^|]+) \| .+\|$", page, re.MULTILINE) if row != "what"]

    assert set(HELD_BY) == set(rows)
    for file, name in HELD_BY.values():
        tree = ast.parse((Path(repository) / file).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_words_beside_a_reference_keep_no_record_back():
    """A display that tells of substance use goes with its reference; the record stays."""
    drug = condition("cough", recorder=HARBOR)
    record = observation(performer=[MERCY], focus=[{"reference": "Condition/cough", "display": "opioid use disorder"}])
    found = asked(searchset(record, drug))

    assert ("masked", True) == (verdicts(found)["Observation/weight"], "opioid" not in text_of(found))


@pytest.mark.parametrize(
    "place",
    [
        {"identifier": [SSN, CII]},
        {"subject": {**SUBJECT, "identifier": SSN}},
        {"extension": [{"url": "http://hl7.org/fhir/x", "valueIdentifier": CII}]},
    ],
    ids=["its own", "in a reference", "in an extension"],
)
def test_numbers_of_a_kind_leave_no_record(place):
    """Social security and criminal record numbers go, wherever they stand; the record stays."""
    found = asked(searchset(observation(performer=[MERCY], **place)), profile="us-programs")

    assert "withheld" != verdicts(found)["Observation/weight"]
    assert not re.search("078051120|A1", text_of(found))


@pytest.mark.parametrize("modifier", [{"modifierExtension": [{"url": "urn:x"}]}, {"implicitRules": "urn:x"}])
def test_an_unknown_modifier_withholds(modifier):
    """What it says may be turned round: the record is withheld."""
    assert "withheld" == verdicts(asked(searchset(observation(performer=[MERCY], **modifier))))["Observation/weight"]


def test_of_meta_stays_what_says_nothing_of_its_source():
    """Version, date, profile and labels stay; source, tags and extensions go, whether or not anything is withheld."""
    meta = {"versionId": "3", "lastUpdated": "2026-01-01T00:00:00Z", "profile": ["http://hl7.org/fhir/x"]}
    gone = {
        "source": "urn:x",
        "tag": [{"code": "x"}],
        "extension": [{"url": "http://hl7.org/fhir/x", "valueCode": "x"}],
    }
    record = observation(performer=[MERCY], meta=meta | gone)

    for others in ([], [hidden()]):
        assert meta == released(asked(searchset(record, *others)), "weight")["meta"]


def test_labels_speak_of_what_is_released():
    """A claim that lost its diagnosis carries the level of the rest, and no code of what was cut."""
    bill = claim(
        meta={"security": [{"system": CONFIDENTIALITY, "code": "N"}]},
        diagnosis=[
            {"sequence": 1, "diagnosisCodeableConcept": {"text": "cough"}},
            {"sequence": 2, "diagnosisReference": {"reference": "Condition/opioids"}},
        ],
    )
    left = released(asked(searchset(bill, condition("opioids", "F11.20", recorder=HARBOR))), "claim")

    assert [1] == [one["sequence"] for one in left["diagnosis"]]
    assert [{"system": CONFIDENTIALITY, "code": "N"}] == left["meta"]["security"]


def test_no_marker_tells_that_something_was_removed():
    """Neither tag nor label nor data-absent-reason stands where a reference or an entry went."""
    visit = encounter(partOf=None, hospitalization={"dischargeDisposition": {"text": "home"}})
    del visit["partOf"]
    record = observation(performer=[MERCY], focus=[TO_HIDDEN], meta={"security": [{"system": ACT_CODE, "code": "PDS"}]})
    text = text_of(asked(searchset(record, visit, hidden(), ROSA)))

    assert "Encounter/hidden" not in text
    assert not re.search("SUBSETTED|REDACTED|MASKED|data-absent-reason", text)


def test_a_required_reference_to_what_nobody_knows_says_that_it_is_absent():
    """The element stays where R4 requires it; what is known to be withheld takes the record along."""
    flag = {"resourceType": "Flag", "id": "x", "status": "active", "code": {"text": "x"}, "subject": SUBJECT}
    list_ = {"resourceType": "ImmunizationEvaluation", "id": "y", "status": "completed", "patient": SUBJECT}
    list_ |= {"targetDisease": {"text": "x"}, "doseStatus": {"text": "x"}, "authority": MERCY}
    list_ |= {"immunizationEvent": {"reference": "Immunization/nowhere", "display": "SECRET"}}
    found = asked(searchset(flag, list_))

    assert "SECRET" not in text_of(found)
    assert "data-absent-reason" in text_of(found)
