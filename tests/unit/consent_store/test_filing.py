"""How a text is filed: whose it is, what is stamped on it, and what marks the state of a subject."""

import json

import pytest

from consent_store.filing import belongs_to, filing_of, found_for, is_nobodys, mark_of, stamp, terms_after
from consent_store.model import Identifier, PatientKey
from consent_store.store import Subject
from tests.consents import MRN, bad, good, r4, text

AT = "2025-03-01T09:00:00Z"
M1 = Identifier(MRN, "m1")


def subject(record="1", *identifiers, source="ehr"):
    """A subject of the source `ehr`."""
    return Subject(PatientKey(source, record), frozenset(identifiers))


@pytest.mark.parametrize(
    ("patient", "who", "whose"),
    [
        ({"reference": "Patient/1"}, subject("1"), True),
        ({"reference": "Patient/1"}, subject("2"), False),
        ({"reference": "Patient/1"}, subject("1", source="lab"), False),
        ({"identifier": {"system": MRN, "value": "m1"}}, subject("9", M1), True),
        ({"identifier": {"system": MRN, "value": "m1"}}, subject("", M1, source="lab"), True),
        ({"identifier": {"system": MRN, "value": "m1"}}, subject("9", Identifier("urn:other", "m1")), False),
        ({"identifier": {"system": MRN, "value": "m1"}}, subject(""), False),
    ],
)
def test_a_consent_belongs_to_who_shares_key_or_identifier(patient, who, whose):
    """Source and id together, or system and value together; never by what both lack."""
    assert whose is belongs_to(good(r4(patient=patient)), who)


def test_nobodys_consent_meets_nobody_else():
    """Two without a record id are not one person."""
    found = bad(r4(patient={"display": "Peter"}))
    assert is_nobodys(found)
    assert not belongs_to(found, subject(""))


def test_the_stamp_sets_id_and_version_and_leaves_the_rest_as_written():
    """Numbers keep their digits, meta keeps its other members, escapes stay."""
    raw = b'{"status":"active","meta":{"tag":[ 1.10 ],"versionId":"x"},"x":1.10,"n":"\\u00e9","resourceType":"Consent"}'
    stamped = stamp(raw, "c9", "3", AT)
    assert b'"x":1.10' in stamped
    assert b'"n":"\\u00e9"' in stamped
    assert b'"tag":[ 1.10 ]' in stamped
    meta = {"tag": [1.1], "versionId": "3", "lastUpdated": AT}
    assert ("c9", meta) == (json.loads(stamped)["id"], json.loads(stamped)["meta"])
    assert ["resourceType", "id", "meta"] == list(json.loads(stamped))[:3]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"id":"a","id":"b"}', b'{"meta":5}', b"\xff"])
def test_what_is_no_strict_object_is_kept_as_it_came(raw):
    """Nothing is mended in silence."""
    assert raw == stamp(raw, "c9", "3", AT)


@pytest.mark.parametrize("told", ["a b", "", "x" * 65, None, 5, "a/b"])
def test_only_an_id_of_fhirs_form_is_used(told):
    """Anything else gets a fresh one from the store."""
    assert "c-1.A" == filing_of("ehr", text(r4(id="c-1.A")), "4.0", frozenset()).id
    assert "" == filing_of("ehr", text(r4(id=told)), "4.0", frozenset()).id


def test_an_unreadable_version_stays_with_those_of_the_version_before():
    """A deny that is overwritten with something unreadable is not lost to its patient (L081)."""
    before = filing_of("ehr", text(r4()), "4.0", frozenset()).terms
    broken = filing_of("ehr", text(r4(patient=5)), "4.0", frozenset())
    named = {"identifier": {"system": MRN, "value": "m1"}}
    partly = filing_of("ehr", text(r4(status="x", patient=named)), "4.0", frozenset())
    moved = filing_of("ehr", text(r4(patient={"reference": "Patient/2"})), "4.0", frozenset())
    assert before == terms_after(broken, before)
    assert before < terms_after(partly, before)
    assert moved.terms == terms_after(moved, before)


@pytest.mark.parametrize("who", [subject("1"), subject("", M1)])
def test_what_is_filed_for_a_subject_is_given_as_theirs(who):
    """Whoever checks again finds that it belongs to the subject."""
    assert belongs_to(found_for(who, bad(r4(patient=5))), who)
    own = good(r4())
    assert own is found_for(subject("1"), own)


def test_marks_are_equal_for_equal_versions_in_any_order_and_differ_otherwise():
    """Equal across workers; every new version shows."""
    assert mark_of([("a", "1"), ("b", "2")]) == mark_of([("b", "2"), ("a", "1")])
    assert 4 == len({mark_of([]), mark_of([("a", "1")]), mark_of([("a", "2")]), mark_of([("a", "1"), ("b", "1")])})
