"""What speaks of an element alone: where that is all that keeps a record back, the element goes alone."""

import pytest

from consent_store.model import ACT_CODE
from gateway.decision.combine import Ruling
from gateway.decision.mentions import without_mentions
from gateway.decision.model import Cause
from gateway.labels.assign import summarise
from gateway.labels.model import Basis, Kind, Label
from tests.consent_questions import observation, view

HIV_DENY = Cause("law", "deny", "hiv", "other_law", "", "", "", "law_other")
RECORD = observation(
    performer=[{"reference": "Practitioner/p", "display": "the HIV clinic"}, {"reference": "Device/d"}],
    hasMember=[{"reference": "Observation/m", "display": "HIV test"}],
    focus=[{"type": "Patient", "identifier": {"value": "HIV-7"}}],
    encounter={"reference": "Encounter/e", "display": "HIV"},
    note=[{"text": "HIV", "authorReference": {"reference": "Practitioner/q", "display": "HIV"}}],
    component=[{"code": {"text": "HIV"}}, {"code": {"text": "x"}}],
    _effectiveDateTime={"extension": []},
    derivedFrom=[{"reference": "DocumentReference/d"}],
)
COMPOSITION = {
    "resourceType": "Composition",
    "id": "c",
    "section": [
        {"title": "x", "code": {"text": "x"}, "entry": [{"reference": "Observation/o", "display": "HIV"}]},
        {"title": "y", "section": [{"title": "z", "text": {"div": "z"}}]},
    ],
}


def label(at, basis=Basis.TEXT, code="HIV", kind=Kind.SENSITIVITY):
    """A label of one element."""
    return Label(kind, ACT_CODE, code, basis, at)


def rule_on(labels):
    """Everything but HIV, and what nobody knows, may go."""
    denied = "HIV" in labels.sensitivities or any(one.kind is Kind.UNKNOWN for one in labels.labels)
    return Ruling(not denied, frozenset(), (HIV_DENY,) if denied else ())


def going(tree, *labels, unknown=False):
    """What goes so that the rest may; None where the record cannot be saved so."""
    found = without_mentions(view(tree), summarise(labels, unknown), rule_on)
    return None if found is None else sorted(found[2])


@pytest.mark.parametrize(
    ("at", "goes"),
    [
        ("/hasMember/0/display", ["/hasMember/0"]),
        ("/hasMember/0", ["/hasMember/0"]),
        ("/hasMember/0/identifier/value", ["/hasMember/0"]),
        ("/note/0/authorReference/display", ["/note/0/authorReference"]),
        ("/derivedFrom/0/display", ["/derivedFrom/0"]),
        ("/hasMember/01", None),
        ("/note/0/text", None),
        ("/component/0/code/text", None),
        ("/code/text", None),
        ("/subject/display", None),
        ("/focus/0/identifier/value", None),
        ("/performer/0/display", None),
        ("/encounter/display", None),
        ("", None),
    ],
)
def test_words_of_a_reference_speak_of_what_it_leads_to(at, goes):
    """It goes and the record stays; not so words of the record's own, nor of its patient, its source or its visit."""
    assert goes == going(RECORD, label(at))
    assert None is going(RECORD, label(at, Basis.CODE))


@pytest.mark.parametrize("reference", [{"reference": "Patient/1"}, {"type": "Patient", "display": "HIV"}])
def test_what_is_said_of_a_person_is_said_of_the_record(reference):
    """A patient is known by the reference or by the type beside it."""
    assert None is going(observation(focus=[reference]), label("/focus/0/display"))
    other = {"reference": "Group/Patient", "type": "Group"}
    assert ["/focus/0"] == going(observation(focus=[other]), label("/focus/0/display"))


@pytest.mark.parametrize(
    ("at", "told", "goes"),
    [
        ("/component/0", "/component/0", ["/component/0"]),
        ("/component/0", "/component/0/code/text", ["/component/0"]),
        ("/component/1", "/component/0/code/text", None),
        ("/effectiveDateTime", "/_effectiveDateTime/extension/0", ["/effectiveDateTime"]),
        ("/component", "/component/0/code/text", ["/component"]),
    ],
)
def test_what_the_source_labelled_goes_with_what_is_in_it(at, told, goes):
    """Denied, an element that came with a label goes, whatever was found in it; what is elsewhere is the record's."""
    marked = label(at, Basis.RECEIVED, "DELAU", Kind.HANDLING)
    assert goes == going(RECORD, marked, label(told, Basis.CODE))
    assert goes == going(RECORD, marked, label(told))


def test_of_elements_in_each_other_the_outer_one_goes():
    """What was labelled around it is smaller to say than to cut twice."""
    around = [label(at, Basis.RECEIVED, "DELAU", Kind.HANDLING) for at in ("/component/0", "/component")]
    assert ["/component"] == going(RECORD, *around, label("/component/0/code/text", Basis.CODE))


def test_an_element_that_may_go_stays_with_what_it_says():
    """Each is asked for itself, beside the rest; the record's labels are then those of what stays."""
    fine = label("/component/1", Basis.RECEIVED, "MH")
    denied = label("/component/0", Basis.RECEIVED)
    ruling, labels, hidden = without_mentions(view(RECORD), summarise([fine, denied], False), rule_on)
    assert (True, {"/component/0": HIV_DENY}, {"MH"}) == (ruling.permitted, hidden, set(labels.sensitivities))


@pytest.mark.parametrize(
    "labels",
    [
        (label("/component/0", Basis.RECEIVED, "odd", Kind.UNKNOWN),),
        (label("", Basis.RECEIVED),),
        (label("/hasMember/0/display"), label("/code/text")),
        (label("/component/0/code/text", Basis.CONTEXT),),
    ],
    ids=["unreadable", "of the whole", "of the record too", "of its visit"],
)
def test_what_speaks_of_the_record_is_not_escaped(labels):
    """A label that cannot be read, or one that speaks of all of it, keeps all of it."""
    assert None is going(RECORD, *labels)


def test_a_label_of_an_attachment_is_of_the_record():
    """What a content says is what the record is for."""
    letter = {
        "resourceType": "DocumentReference",
        "id": "d",
        "content": [{"attachment": {"contentType": "text/plain", "data": "eA=="}}],
    }
    assert None is going(letter, label("/content/0/attachment", Basis.RECEIVED))
    assert ["/content/0"] == going(letter, label("/content/0", Basis.RECEIVED))


@pytest.mark.parametrize("basis", [Basis.CODE, Basis.TEXT])
@pytest.mark.parametrize(
    ("at", "goes"),
    [
        ("/section/0/code/coding/0", ["/section/0"]),
        ("/section/0/title", ["/section/0"]),
        ("/section/0/text/div", ["/section/0"]),
        ("/section/1/section/0/title", ["/section/1/section/0"]),
        ("/section/0/author/0/display", None),
        ("/section/0", None),
        ("/title", None),
    ],
)
def test_what_a_sections_head_says_is_said_of_the_section(at, basis, goes):
    """By code, title or words, the innermost goes; what else stands there, and the document's own title, do not."""
    assert goes == going(COMPOSITION, label(at, basis))


def test_a_section_goes_by_what_is_known_of_it_alone():
    """Not by a label nobody knows, by the visit's, or in another type of record; an entry's words are of the entry."""
    assert None is going(COMPOSITION, label("/section/0/title", Basis.TEXT, "odd", Kind.UNKNOWN))
    assert None is going(COMPOSITION, label("/section/0/title", Basis.CONTEXT))
    assert None is going({**COMPOSITION, "resourceType": "Observation"}, label("/section/0/title"))


def test_what_is_labelled_within_a_section_goes_without_the_section():
    """An entry that came with a label, or a title that did: what is found in it is of it, and not of all around it."""
    marked = label("/section/0/entry/0", Basis.RECEIVED, "DELAU", Kind.HANDLING)
    for basis in (Basis.CODE, Basis.TEXT):
        assert ["/section/0/entry/0"] == going(COMPOSITION, marked, label("/section/0/entry/0/display", basis))
