"""What a released record says about itself."""

import json

import pytest

from consent_store.model import ACT_CODE, CONFIDENTIALITY, Coding
from gateway.decision.combine import Ruling
from gateway.decision.model import Op
from gateway.decision.outbound import container_labels, labels_out, meta_edits
from gateway.fhir.confidentiality import Confidentiality
from gateway.labels.model import Basis, Kind, Label, Labels
from tests.consent_questions import view

# HL7 FHIR DS4P, the two extensions; 42 CFR 2.32(a)(2), the short statement.
DS4P = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/"
STATEMENT = "42 CFR part 2 prohibits unauthorized use or disclosure of these records."


def labelled(*received):
    """Restricted Part 2 content, with these codes received."""
    kinds = {"42CFRPart2": Kind.POLICY}
    found = tuple(Label(kinds.get(code, Kind.HANDLING), ACT_CODE, code, Basis.RECEIVED) for code in received)
    return Labels(found, Confidentiality.R, frozenset(), frozenset({"42CFRPart2"}), False)


def test_labels_go_out_in_an_order_of_their_own():
    """Whether a refrain code came with the record or is ours does not show by where it stands (L039)."""
    ruling = Ruling(True, frozenset(), (), refrains=("NORDSCLCD",))
    expected = (Coding(CONFIDENTIALITY, "R"), Coding(ACT_CODE, "42CFRPart2"), Coding(ACT_CODE, "NORDSCLCD"))
    assert expected == labels_out(labelled("42CFRPart2"), ruling)
    assert expected == labels_out(labelled("NORDSCLCD", "42CFRPart2"), ruling)


PART2 = Coding(ACT_CODE, "42CFRPart2")
RESTRICTED = Coding(CONFIDENTIALITY, "R")


@pytest.mark.parametrize(
    ("received", "duties", "refrains", "expected"),
    [
        ((), (), (), ()),
        ((), (), ("NORDSCLCD", "NOCOLLECT"), (Coding(ACT_CODE, "NOCOLLECT"), Coding(ACT_CODE, "NORDSCLCD"))),
        ((), ("label_42CFRPart2",), (), (RESTRICTED, PART2)),
        ((), ("another",), (), ()),
        (("DELAU",), (), (), (RESTRICTED, Coding(ACT_CODE, "DELAU"))),
        (("42CFRPart2", "DELAU"), (), (), (RESTRICTED, PART2, Coding(ACT_CODE, "DELAU"))),
    ],
)
def test_a_record_says_what_it_said_and_what_is_to_be_obeyed(received, duties, refrains, expected):
    """Its own labels with their level, the Part 2 tag where that is asked for, the refrain codes; else nothing."""
    of_no_program = Labels((), Confidentiality.R, frozenset(), frozenset(), False)
    labels = of_no_program if refrains else labelled(*received)
    assert expected == labels_out(labels, Ruling(True, frozenset(), (), obligations=duties, refrains=refrains))


@pytest.mark.parametrize(
    "label",
    [
        Label(Kind.SENSITIVITY, ACT_CODE, "HIV", Basis.CODE),
        Label(Kind.SENSITIVITY, ACT_CODE, "HIV", Basis.TEXT),
        Label(Kind.UNKNOWN, "urn:x", "odd", Basis.RECEIVED),
    ],
    ids=lambda one: f"{one.kind.value} {one.basis.value}",
)
def test_what_was_found_here_or_nobody_knows_does_not_go_out(label):
    """Only what came as a label leaves as one: what we found by its codes is ours to know."""
    labels = Labels((label,), Confidentiality.R, frozenset({"HIV"}), frozenset(), False)
    assert () == labels_out(labels, Ruling(True, frozenset(), ()))


@pytest.mark.parametrize(
    ("codes", "level"),
    [
        ((), "N"),
        (("U", "L"), "L"),
        (("N", "V", "R"), "V"),
        (("odd", "M"), "M"),
        ((None,), "N"),
    ],
)
def test_a_containers_label_is_the_highest_level_in_it(codes, level):
    """Of levels, and of the codes of that system alone; N where there is none."""
    others = [Coding("urn:x", "V"), Coding(ACT_CODE, "HIV")]
    found = container_labels([*others, *(Coding(CONFIDENTIALITY, code) for code in codes)])
    assert (Coding(CONFIDENTIALITY, level),) == found


META = {
    "versionId": "1",
    "lastUpdated": "2026-01-05T00:00:00Z",
    "profile": ["http://x/p"],
    "security": [{"system": CONFIDENTIALITY, "code": "R"}],
}


def edits(meta, out, ruling, *, whole=False):
    """The edits of a record's `meta`, with the values as JSON."""
    seen = view({"resourceType": "Observation", "id": "x", "meta": meta})
    found = meta_edits(seen, out, ruling, whole)
    return [(one.op.value, one.path, json.loads(one.value) if one.op is not Op.CUT else None) for one in found]


def test_of_meta_go_version_date_profile_and_labels():
    """Source, tags and a server's own additions tell where a record came from; the patient gets them all."""
    added = {"source": "#x", "tag": [{"code": "t"}], "_lastUpdated": {}, "x/y": 1}
    same, ruling = (RESTRICTED,), Ruling(True, frozenset(), ())
    assert [("replace", "/meta/security", META["security"])] == edits(META, same, ruling)
    assert [] == edits(META, same, ruling, whole=True) == edits(META | added, same, ruling, whole=True)
    assert ["/meta/source", "/meta/tag", "/meta/_lastUpdated", "/meta/x~1y"] == [
        path for op, path, _ in edits(META | added, same, ruling) if op == "cut"
    ]


def test_for_the_patient_the_order_of_labels_does_not_matter_and_for_others_it_is_ours():
    """Who gets the record as it is gets its labels as they stood; for others their order tells nothing (L039)."""
    codes = [{"system": ACT_CODE, "code": "DELAU"}, {"system": CONFIDENTIALITY, "code": "R"}]
    out, ruling = (RESTRICTED, Coding(ACT_CODE, "DELAU")), Ruling(True, frozenset(), ())
    assert [] == edits(META | {"security": codes}, out, ruling, whole=True)
    assert [("replace", "/meta/security", codes[::-1])] == edits(META | {"security": codes}, out, ruling)


def test_labels_are_written_in_one_form_whether_or_not_they_came_so():
    """Whoever sees a label in upstream's own hand must not learn that nothing was taken from this record, nor otherwise
    (L039); what is said beside a code stays, but of a level, which may be another than came."""
    worded = {"system": ACT_CODE, "version": "9", "code": "DELAU", "display": "delete after use"}
    level = {"system": CONFIDENTIALITY, "code": "R"}
    out, ruling = (RESTRICTED, Coding(ACT_CODE, "DELAU")), Ruling(True, frozenset(), ())
    written = [("replace", "/meta/security", [level, worded])]
    assert written == edits(META | {"security": [level | {"display": "restricted"}, worded]}, out, ruling)
    assert written == edits(META | {"security": [worded, level | {"code": "V"}]}, out, ruling)
    odd = [{"system": {}, "code": "R"}, level]
    assert [("replace", "/meta/security", [level])] == edits(META | {"security": odd}, (RESTRICTED,), ruling)


def test_the_statement_and_the_scope_travel_where_they_are_owed():
    """42 CFR 2.32: the statement in words, the scope of each consent at the Part 2 label and at no other."""
    owed = Ruling(True, frozenset(), (), obligations=("part2_notice_2.32",), scopes=("one", "two"))
    artifacts = [
        {"url": f"{DS4P}extension-sec-label-related-artifact", "valueRelatedArtifact": one}
        for one in ({"type": "justification", "display": text} for text in ("one", "two"))
    ]
    notice = {"url": f"{DS4P}extension-display", "valueAnnotation": {"text": STATEMENT}}
    label = {"extension": artifacts, "system": ACT_CODE, "code": "42CFRPart2"}
    level = {"system": CONFIDENTIALITY, "code": "R"}
    expected = [("replace", "/meta/security", [level, label]), ("insert", "/meta/extension", [notice])]
    assert expected == edits(META, (RESTRICTED, PART2), owed)
    elsewhere = Coding("urn:x", "42CFRPart2")
    ((_, _, told), _) = edits(META, (elsewhere,), owed)
    assert [{"system": "urn:x", "code": "42CFRPart2"}] == told


def test_the_statement_replaces_what_others_added_and_stands_beside_it_for_the_patient():
    """An extension of `meta` tells of the server; the patient keeps it, with the statement after it."""
    owed, none = Ruling(True, frozenset(), (), obligations=("part2_notice_2.32",)), Ruling(True, frozenset(), ())
    kept, same = [{"url": "urn:x"}], (RESTRICTED,)
    notice = {"url": f"{DS4P}extension-display", "valueAnnotation": {"text": STATEMENT}}
    meta = META | {"extension": kept}
    written = ("replace", "/meta/security", META["security"])
    assert [written, ("replace", "/meta/extension", [notice])] == edits(meta, same, owed)
    assert [("replace", "/meta/extension", [*kept, notice])] == edits(meta, same, owed, whole=True)
    assert [written, ("cut", "/meta/extension", None)] == edits(meta, same, none)
    assert [] == edits(meta, same, none, whole=True)
    assert [("insert", "/meta", {"extension": [notice], "security": META["security"]})] == [
        (one.op.value, one.path, json.loads(one.value))
        for one in meta_edits(view({"resourceType": "Observation"}), same, owed, False)
    ]
    assert () == meta_edits(view({"resourceType": "Observation"}), (), none, False)
    assert [("cut", "/meta", None)] == edits("odd", (), none)


def test_a_label_that_says_more_than_its_code_is_written_anew_for_everyone():
    """An extension of a label may name who gave it: it goes, for the patient too."""
    told = META | {"security": [META["security"][0] | {"extension": [{"url": "urn:x"}]}]}
    for whole in (True, False):
        found = edits(told, (RESTRICTED,), Ruling(True, frozenset(), ()), whole=whole)
        assert [("replace", "/meta/security", META["security"])] == found


def test_a_label_with_its_words_stays_as_the_patient_knows_it():
    """System, version, code, display and who chose it are the label itself."""
    whole = {"system": CONFIDENTIALITY, "version": "1", "code": "R", "display": "restricted", "userSelected": True}
    assert [] == edits(META | {"security": [whole]}, (RESTRICTED,), Ruling(True, frozenset(), ()), whole=True)
