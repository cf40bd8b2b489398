"""All labels of one resource (leaks.md L003, L004, L006; ARCHITECTURE section 6, "SUD codes and Part 2")."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_store.model import ACT_CODE, CONFIDENTIALITY
from gateway.fhir import v3_tables
from gateway.fhir.confidentiality import Confidentiality
from gateway.labels.assign import assign, summarise
from gateway.labels.context import LabelContext, Source, SourceKind
from gateway.labels.model import Basis, Kind, Label
from gateway.labels.rules import US_IMPLIED, label_rules
from gateway.policy.model import Labelling, Switch
from tests.unit.gateway.labels.conftest import ICD, SUD, codings, confidentiality, observation, view

PROGRAM = Source("/performer/0", SourceKind.PART2, "oasis")
HOSPITAL = Source("/performer/0", SourceKind.NOT_PART2, "mercy")
STRANGER = Source("/performer/1", SourceKind.UNKNOWN)


def about(labels, kind=Kind.SENSITIVITY):
    """(code, pointer) of every label of a kind."""
    return {(label.code, label.at) for label in labels.labels if label.kind is kind}


def test_a_code_labels_the_element_it_stands_in(rules, nowhere):
    """F11.20 is opioid use disorder, said at its Coding, by a list that is named."""
    labels = assign(view(observation([confidentiality("N")], code=codings((ICD, "F11.20")))), nowhere, rules)
    assert {("OPIOIDUD", "/code/coding/0")} == about(labels)
    by = next(label for label in labels.labels if label.code == "OPIOIDUD")
    assert (Basis.CODE, "cms-samhsa 62b2d2e8d9b0") == (by.basis, by.source)
    assert ("R", "/code/coding/0") in about(labels, Kind.CONFIDENTIALITY)


def test_every_coding_at_any_depth_counts(rules, nowhere):
    """A line of a claim, an extension, an element R4 does not know: each is found where it stands."""
    claim = {
        "resourceType": "ExplanationOfBenefit",
        "diagnosis": [
            {"diagnosisCodeableConcept": codings((ICD, "I10"))},
            {"diagnosisCodeableConcept": codings((ICD, "F1020"))},
        ],
        "item": [{"productOrService": codings(("https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "h0005"))}],
        "extension": [{"url": "http://x", "valueCoding": {"system": ICD, "code": "B20"}}],
    }
    assert {
        ("ETHUD", "/diagnosis/1/diagnosisCodeableConcept/coding/0"),
        ("SUD", "/item/0/productOrService/coding/0"),
        ("HIV", "/extension/0/valueCoding"),
    } == about(assign(view(claim), nowhere, rules))


def test_contained_resources_are_labelled_on_their_own(rules, nowhere):
    """The outer record's labels do not speak of what is inside it, and the inner one's do."""
    inside = {"resourceType": "Condition", "id": "c", "code": codings((ICD, "F11.20"))}
    outer = view(observation(contained=[inside]))
    assert frozenset() == assign(outer, nowhere, rules).sensitivities
    assert frozenset({"OPIOIDUD"}) == assign(outer.inner[0], nowhere, rules).sensitivities


def test_text_alone_labels_too(rules, nowhere):
    """L006: a code only in code.text, in narrative, in a note."""
    assert {("OPIOIDUD", "/code/text")} == about(
        assign(view(observation(code={"text": "Opioid use disorder"})), nowhere, rules)
    )
    narrative = {"status": "generated", "div": "<div>on <b>metha</b>done</div>"}
    assert {("OPIOIDUD", "/text/div")} == about(assign(view(observation(text=narrative)), nowhere, rules))
    noted = observation(note=[{"text": "Denies domestic violence."}])
    assert {("SDV", "/note/0/text")} == about(assign(view(noted), nowhere, rules))


def test_the_display_of_a_label_is_not_read(rules, nowhere):
    """L005: display is never read as a code, and a label's display is no text about the patient."""
    labels = assign(view(observation([{**confidentiality("N"), "display": "no HIV here"}])), nowhere, rules)
    assert frozenset() == labels.sensitivities


@pytest.mark.parametrize(
    ("resource", "level"),
    [
        ({"resourceType": "Organization", "name": "x"}, Confidentiality.N),
        ({"resourceType": "Observation", "code": codings((ICD, "I10"))}, Confidentiality.N),
        ({"resourceType": "Observation", "note": [{"text": "felt well"}]}, Confidentiality.R),
        ({"resourceType": "Binary", "contentType": "text/plain", "data": "eA=="}, Confidentiality.R),
        ({"resourceType": "Patient", "photo": [{"contentType": "image/png", "data": "eA=="}]}, Confidentiality.N),
        ({"resourceType": "DocumentReference", "content": [{"attachment": {"url": "Binary/1"}}]}, Confidentiality.R),
    ],
)
def test_what_nothing_labelled_has_the_default_of_its_type(resource, level, rules, nowhere):
    """L003: N as the profile says for coded records, R for free text, and a named type as the profile says."""
    labels = assign(view(resource), nowhere, rules)
    assert level is labels.confidentiality
    assert {Basis.DEFAULT} == {label.basis for label in labels.labels}
    assert not labels.unknown


def test_a_default_never_lowers_what_was_found(rules, nowhere):
    """An unlabelled coded record with an HIV code is R although its type's default is N."""
    labels = assign(view(observation(code=codings((ICD, "Z21")))), nowhere, rules)
    assert Confidentiality.R is labels.confidentiality
    assert ("N", "") in about(labels, Kind.CONFIDENTIALITY)


def test_a_part2_program_makes_the_record_part2_where_it_is_named(part2_rules):
    """Even an appointment tells that somebody is a patient of the program; the label stands where the program does."""
    appointment = view({"resourceType": "Appointment", "status": "booked"})
    labels = assign(appointment, LabelContext((HOSPITAL, PROGRAM)), part2_rules)
    assert {("42CFRPart2", PROGRAM.at)} == about(labels, Kind.POLICY)
    assert Confidentiality.R is labels.confidentiality
    assert "oasis" == next(label.source for label in labels.labels if label.kind is Kind.POLICY)


@pytest.mark.parametrize(
    ("sources", "part2"),
    [
        ((), True),
        ((STRANGER,), True),
        ((HOSPITAL, STRANGER), True),
        ((HOSPITAL,), False),
        ((HOSPITAL, HOSPITAL), False),
    ],
)
def test_sud_codes_of_unknown_source_are_part2(sources, part2, part2_rules):
    """Only where every named source is known to be outside Part 2 is SUD data not Part 2; it stays sensitive."""
    record = view(observation([confidentiality("N")], code=codings((ICD, "F11.20"))))
    labels = assign(record, LabelContext(sources), part2_rules)
    assert ({("42CFRPart2", "/code/coding/0")} if part2 else set()) == about(labels, Kind.POLICY)
    assert frozenset({"OPIOIDUD"}) == labels.sensitivities


def test_the_switch_off_leaves_sud_without_part2(rules, nowhere):
    """Without the switch a code alone is a sensitivity."""
    labels = assign(view(observation(code=codings((ICD, "F11.20")))), nowhere, rules)
    assert frozenset() == labels.policies


def test_a_received_tag_stands_whatever_the_source(part2_rules):
    """A hospital that passes on a program's record tagged 42CFRPart2 does not untag it."""
    record = view(observation([{"system": ACT_CODE, "code": "42CFRPart2"}]))
    assert frozenset({"42CFRPart2"}) == assign(record, LabelContext((HOSPITAL,)), part2_rules).policies


def test_a_source_that_cannot_be_resolved_is_sensitive(rules, part2_rules):
    """The switch of us-part2: restricted, and something about the record is unknown."""
    record, context = view(observation([confidentiality("N")])), LabelContext((STRANGER,))
    labels = assign(record, context, part2_rules)
    assert (Confidentiality.R, True) == (labels.confidentiality, labels.unknown)
    off = assign(record, context, rules)
    assert (Confidentiality.N, False) == (off.confidentiality, off.unknown)


def test_what_the_records_above_were_labelled_comes_down(part2_rules):
    """Labels of the Encounter count for what belongs to it, with what they imply."""
    down = Label(Kind.SENSITIVITY, ACT_CODE, "SUD", Basis.CONTEXT, "", "Encounter/1")
    labels = assign(view(observation([confidentiality("N")])), LabelContext((HOSPITAL,), (down,)), part2_rules)
    assert down in labels.labels
    assert Confidentiality.R is labels.confidentiality


def test_what_a_sensitivity_implies_is_the_rules_choice(rules, nowhere):
    """HIV is N under HIPAA alone: the implied level is data (labels.md section 2)."""
    plain = msgspec.structs.replace(rules, implied={})
    labels = assign(view(observation([confidentiality("N")], code=codings((ICD, "B20")))), nowhere, plain)
    assert (Confidentiality.N, frozenset({"HIV"})) == (labels.confidentiality, labels.sensitivities)


@pytest.mark.parametrize(
    ("began", "labelled"), [("2006-01-02", True), ("2022-01-02", False), ("2007", True), (None, True)]
)
def test_a_code_that_changed_its_meaning_labels_by_date(began, labelled, rules, nowhere):
    """DRG 522 was detoxification until October 2007 and is hip replacement now; an undated record stays labelled."""
    drg = codings(("https://bluebutton.cms.gov/resources/variables/clm_drg_cd", "522"))
    claim = {"resourceType": "ExplanationOfBenefit", "supportingInfo": [{"code": drg}]}
    if began:
        claim["billablePeriod"] = {"start": began}
    assert labelled is ("SUD" in assign(view(claim), nowhere, rules).sensitivities)


def test_a_privacy_code_in_the_content_tells_what_it_is_about(rules, nowhere):
    """A Consent that names ETHUD in a provision, or asks for Part 2 consent, speaks of it."""
    consent = {
        "resourceType": "Consent",
        "category": [codings((ACT_CODE, "42CFRPart2CD"))],
        "provision": {"securityLabel": [{"system": "http://hl7.org/fhir/v3/ActCode", "code": "ETHUD"}]},
    }
    labels = assign(view(consent), nowhere, rules)
    assert frozenset({"ETHUD"}) == labels.sensitivities
    assert frozenset({"42CFRPart2"}) == labels.policies


def test_labels_without_any_confidentiality_count_as_the_highest():
    """Summarising nothing is not summarising something harmless."""
    assert Confidentiality.V is summarise((), unknown=False).confidentiality


def test_labels_are_in_order_and_once():
    """Same labels, same value, however they were found."""
    one = Label(Kind.SENSITIVITY, ACT_CODE, "SUD", Basis.CODE, "/code")
    two = Label(Kind.CONFIDENTIALITY, CONFIDENTIALITY, "R", Basis.CODE, "/code")
    assert summarise((one, two), unknown=False) == summarise((two, one, one), unknown=False)


def switch(name, value):
    """A switch as a compiled profile has it."""
    return {name: Switch(name, "", value)}


class Profile:
    """As much of a Policy as labelling looks at."""

    def __init__(self, unlabelled, switches):
        self.unlabelled, self.switches, self.labelling = unlabelled, switches, Labelling()

    def on(self, name):
        return name in self.switches and self.switches[name].value


def test_a_profile_chooses_texts_and_switches(rules):
    """Texts are read unless `term_rules` is off; the Part 2 switches are off unless the profile has them on."""
    chosen = label_rules(Profile(rules.unlabelled, {}), rules.codes, rules.terms)
    assert (rules.terms.names, False, US_IMPLIED) == (
        chosen.terms.names,
        chosen.sud_without_known_source_is_part2,
        chosen.implied,
    )
    silent = label_rules(Profile(rules.unlabelled, switch("term_rules", False)), rules.codes, rules.terms)
    assert [] == silent.terms.find(view(observation(code={"text": "heroin"})).texts)
    part2 = label_rules(
        Profile(rules.unlabelled, switch("sud_without_known_source_is_part2", True)), rules.codes, rules.terms
    )
    assert part2.sud_without_known_source_is_part2


SPELLINGS = st.sampled_from(
    [ACT_CODE, "urn:oid:2.16.840.1.113883.5.4", CONFIDENTIALITY, "http://acme.example/x", None, 7]
)
CODES = st.sampled_from(
    [*v3_tables.SENSITIVITIES, *v3_tables.CONFIDENTIALITIES, *v3_tables.POLICIES, "MASK", "ZZZ", "", None]
)
LABEL_JSON = st.fixed_dictionaries({}, optional={"system": SPELLINGS, "code": CODES})


@given(st.lists(LABEL_JSON, max_size=4), LABEL_JSON, st.sampled_from(["N", "R", "V"]))
def test_adding_a_label_never_lowers(rules, nowhere, security, more, stated):
    """Law (L004): to a record whose confidentiality is stated, one more label can only add."""
    before = assign(view(observation([confidentiality(stated), *security])), nowhere, rules)
    after = assign(view(observation([confidentiality(stated), *security, more])), nowhere, rules)
    assert before.confidentiality <= after.confidentiality
    assert before.sensitivities <= after.sensitivities
    assert before.policies <= after.policies
    assert before.unknown <= after.unknown


@given(LABEL_JSON)
def test_only_a_stated_confidentiality_replaces_the_default(rules, nowhere, more):
    """Law (L003, L005): an unlabelled Binary is R; only a confidentiality that names its system lowers that."""
    binary = {"resourceType": "Binary", "meta": {"security": [more]}}
    stated = more.get("system") == CONFIDENTIALITY and more.get("code") in {"U", "L", "M", "N"}
    labels = assign(view(binary), nowhere, rules)
    assert stated is (labels.confidentiality < Confidentiality.R)


def test_the_same_label_twice_is_the_same_record(rules, nowhere):
    """Labels are a set."""
    once, twice = (assign(view(observation([SUD] * times)), nowhere, rules) for times in (1, 2))
    assert once == twice
