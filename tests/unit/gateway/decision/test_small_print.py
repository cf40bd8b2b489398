"""What single words of the decision are for: each of these was changed once, and no other test noticed."""

import pytest

from consent_store.model import ACT_CODE, CONFIDENTIALITY, Coding
from gateway.decision.combine import Ruling
from gateway.decision.consent_scope import scope_of
from gateway.decision.consents import Permit
from gateway.decision.envelope import signed
from gateway.decision.outbound import labels_out, meta_edits
from gateway.fhir.confidentiality import Confidentiality
from gateway.labels.model import Basis, Kind, Label, Labels
from tests.consent_questions import view
from tests.consents import good, r4
from tests.questions import (
    HARBOR,
    MERCY,
    PARTICIPANTS,
    asked,
    bundle,
    consent,
    encounter,
    hidden,
    observation,
    recipient,
    rules,
    verdicts,
)


def test_a_record_of_nobody_we_know_counts_as_a_patient_s():
    """One that should name a patient and does not is withheld, and the answer says so of the whole."""
    found = asked(observation(subject={"display": "somebody"}))
    assert ("deny", {"Observation/weight": "withheld"}) == (found["effect"], verdicts(found))
    assert {"unknown-patient"} == rules(found, "Observation/weight")


def test_a_place_that_nothing_links_to_what_is_withheld_stays():
    """Suspect is what a withheld record names, and what hangs together with that; not every place of the Bundle."""
    clinic, park = ({"resourceType": "Location", "id": id_, "name": id_} for id_ in ("clinic", "park"))
    visit = hidden(location=[{"location": {"reference": "Location/clinic"}}])
    found = verdicts(asked(bundle(observation(performer=[MERCY]), visit, clinic, park)))
    assert ("withheld", "disclosed") == (found["Location/clinic"], found["Location/park"])


@pytest.mark.parametrize(("author", "effect"), [(HARBOR, "deny"), (MERCY, "permit")], ids=["the program", "hospital"])
def test_a_document_is_nothing_without_its_head(author, effect):
    """Without its Composition it is no document, whatever else might be released."""
    head = {"resourceType": "Composition", "id": "c", "status": "final", "type": {"text": "x"}, "date": "2026-01-01"}
    head |= {"author": [author], "title": "x", "subject": {"reference": "Patient/rosa"}}
    assert effect == asked(bundle(head, observation(), type="document"))["effect"]


def permit(**parts):
    """A permit of a consent."""
    consent = good(r4(**parts))
    return Permit(consent=consent, path="", purposes=(), labels=(), names_recipient=True, names_discloser=True)


@pytest.mark.parametrize(
    ("period", "said"),
    [
        ({"end": "2027"}, "until 2027"),
        ({"start": "2020"}, "until it is revoked"),
        ({"start": "2020", "end": "2026-03-01"}, "until 2026-03-01"),
        (None, "until it is revoked"),
    ],
)
def test_the_scope_says_how_long(period, said):
    """By the end that is stated; without one until the patient revokes it (42 CFR 2.31(a)(7))."""
    limited = {"type": "permit"} | ({"period": period} if period else {})
    assert scope_of(permit(provision=limited)).endswith(f"{said}.")


def test_outbound_labels_without_a_system_have_a_place_in_the_order():
    """A received label that names no system is told too, before those that do, and is no error."""
    bare = Label(Kind.HANDLING, None, "house-rule", Basis.RECEIVED)
    other = Label(Kind.HANDLING, ACT_CODE, "DELAU", Basis.RECEIVED)
    labels = Labels((other, bare), Confidentiality.N, frozenset(), frozenset(), False)
    expected = (Coding(CONFIDENTIALITY, "N"), Coding(None, "house-rule"), Coding(ACT_CODE, "DELAU"))
    assert expected == labels_out(labels, Ruling(True, frozenset(), ()))


def test_a_patient_s_own_number_makes_the_recipient_the_subject():
    """By the reference, or by a number that both have; a number of another is none."""
    number = {"system": "urn:mrn", "value": "7"}
    rosa = {"resourceType": "Patient", "id": "rosa", "birthDate": "1980-03-01", "identifier": [number]}
    for given, effect in (([number], "permit"), ([{"system": "urn:mrn", "value": "8"}], "deny"), ([], "deny")):
        herself = {"id": "me", "type": "patient", "identifiers": given}
        parties = [*PARTICIPANTS, herself]
        found = asked(observation(), participants=parties, recipient="me", purpose="PATRQT", context=[rosa])
        assert effect == found["effect"], given


AUTHORISED = {
    **consent(
        actor=[recipient({"reference": "Organization/valley"})],
        purpose=[{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}],
    ),
    "sourceAttachment": {"title": "the signed form", "data": "c2lnbmVk"},
}
INSIDE = [
    {"resourceType": "RelatedPerson", "id": "rp", "patient": {"reference": "Patient/rosa"}},
    {"resourceType": "Patient", "id": "herself"},
]


@pytest.mark.parametrize(
    ("giver", "counts"),
    [
        ({"reference": "Patient/rosa"}, True),
        ({"reference": "Patient/rosa/_history/2"}, True),
        ({"reference": "#herself"}, True),
        ({"reference": "#herself", "type": "RelatedPerson"}, True),
        ({"identifier": {"system": "urn:mrn", "value": "7"}}, True),
        ({"reference": "RelatedPerson/rp"}, False),
        ({"reference": "RelatedPerson/rp/_history/2"}, False),
        ({"reference": "http://ehr.example/fhir/RelatedPerson/rp/_history/2"}, False),
        ({"reference": "#rp"}, False),
        ({"reference": "#nobody"}, False),
        ({"type": "RelatedPerson", "identifier": {"system": "urn:mrn", "value": "7"}}, False),
        (
            {
                "type": "http://hl7.org/fhir/StructureDefinition/RelatedPerson",
                "identifier": {"system": "urn:mrn", "value": "7"},
            },
            False,
        ),
    ],
)
def test_who_gave_a_consent_for_another_proves_authority(giver, counts):
    """In whatever form a related person is named: without proven authority the consent does not count."""
    given = {**AUTHORISED, "performer": [giver], "contained": INSIDE}
    for proof, expected in (({}, counts), ({"verification": [{"verified": True}]}, True)):
        found = asked(observation(), profile="us-programs", consents=[given | proof])
        assert expected is ("hipaa-authorisation" in rules(found, "Observation/weight")), proof


@pytest.mark.parametrize(
    ("meta", "edits"),
    [
        (None, [("insert", "/meta")]),
        ({}, [("insert", "/meta/security")]),
        ({"security": []}, [("replace", "/meta/security")]),
        ({"security": [{"system": CONFIDENTIALITY, "code": "R", "extension": []}]}, [("replace", "/meta/security")]),
        ({"security": [{"system": CONFIDENTIALITY, "code": "R", "display": "x"}]}, [("replace", "/meta/security")]),
        (
            {"security": [{"system": CONFIDENTIALITY, "code": "R", "userSelected": True}]},
            [("replace", "/meta/security")],
        ),
        ({"security": [{"system": CONFIDENTIALITY, "code": "R", "id": "x"}]}, [("replace", "/meta/security")]),
        ({"versionId": "1", "source": "#x"}, [("cut", "/meta/source"), ("insert", "/meta/security")]),
        ({"extension": []}, [("insert", "/meta/security"), ("cut", "/meta/extension")]),
        ("odd", [("replace", "/meta")]),
    ],
    ids=str,
)
def test_labels_go_where_there_is_a_place_for_them(meta, edits):
    """Put in where there was none, or in place of what there was, the same or not."""
    out = (Coding(CONFIDENTIALITY, "R"),)
    seen = view({"resourceType": "Observation", "id": "x"} | ({} if meta is None else {"meta": meta}))
    found = meta_edits(seen, out, Ruling(True, frozenset(), ()), False)
    assert edits == [(one.op.value, one.path) for one in found]


def test_labels_that_may_not_go_are_cut():
    """With nothing to say in their place; where there are none there is nothing to cut."""
    nothing = Ruling(True, frozenset(), ())
    labelled = view({"resourceType": "Observation", "meta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}})
    assert [("cut", "/meta/security")] == [(one.op.value, one.path) for one in meta_edits(labelled, (), nothing, False)]
    assert () == meta_edits(view({"resourceType": "Observation", "meta": {"versionId": "1"}}), (), nothing, False)


@pytest.mark.parametrize(
    ("type", "more", "effect"),
    [
        ("transaction", {}, "deny"),
        ("message", {}, "deny"),
        ("collection", {}, "permit_redacted"),
        ("collection", {"signature": {"data": "eA=="}}, "deny"),
    ],
)
def test_what_is_one_act_or_signed_goes_whole_or_not_at_all(type, more, effect):
    """A transaction, a message, what somebody signed: without one of its entries it would be another."""
    entries = [observation(), hidden()]
    if type == "message":
        entries.insert(
            0, {"resourceType": "MessageHeader", "id": "h", "eventUri": "urn:x", "source": {"endpoint": "urn:y"}}
        )
    whole = bundle(*entries, type=type, **more)
    for number, entry in enumerate(whole["entry"]) if type == "transaction" else ():
        entry["request"] = {"method": "POST", "url": entry["resource"]["resourceType"]}
        entry["fullUrl"] = f"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e{number}"
    assert effect == asked(whole, interaction={"type": type, "direction": "push"})["effect"]


def test_a_bundle_inside_is_signed_by_its_composition_s_attester():
    """Whatever odd things stand where its first entry should."""
    assert signed({"signature": {}})
    head = {"resourceType": "Composition", "attester": [{"mode": "legal"}]}
    assert signed({"type": "document", "entry": [{"resource": head}]})
    assert not signed({"type": "collection", "entry": [{"resource": head}]})
    odd = ["attester", 7, None, ["attester"]]
    assert [] == [one for one in odd if signed({"type": "document", "entry": [{"resource": one}]})]
    assert not signed({"type": "document", "entry": ["resource"]})
    assert not signed({"type": "document", "entry": [{"resource": {"resourceType": "Composition"}}]})
    assert not signed({"type": "document", "entry": "resource"})


def test_what_stands_in_a_withheld_record_says_so():
    """Its cause is the withheld one outside, a refusal at the gateway's own discretion that nothing suspends."""
    inner = {"resourceType": "Organization", "id": "inside"}
    found = asked(hidden(contained=[inner], serviceProvider=HARBOR))
    (outer, inside) = found["decisions"]
    assert "withheld" == outer["verdict"] == inside["verdict"]
    (cause,) = (one for one in inside["because"] if one["rule"] == "outer-withheld")
    assert ("residue", "deny", "discretionary") == (cause["layer"], cause["effect"], cause["class"])


def test_labels_used_name_the_highest_level_alone_and_first():
    """Of several levels that were given the decision is made on the highest."""
    given = [{"system": CONFIDENTIALITY, "code": code} for code in ("N", "R")]
    given.append({"system": ACT_CODE, "code": "HIV"})
    (decision,) = asked(observation(meta={"security": given}))["decisions"]
    codes = [one["code"] for one in decision["labels_in"]]
    assert ("R", 1) == (codes[0], sum(code in "ULMNRV" for code in codes))
    assert "HIV" in codes


def test_of_an_extension_that_only_might_tell_something_the_telling_part_goes():
    """A reference to what is not known takes its own part along, not what stands beside it."""
    parts = [
        {"url": "note", "valueString": "kept"},
        {"url": "about", "valueReference": {"reference": "Condition/elsewhere"}},
    ]
    url = "http://hl7.org/fhir/StructureDefinition/of-two-parts"
    found = asked(observation(performer=[MERCY], extension=[{"url": url, "extension": parts}]))
    assert [{"url": url, "extension": parts[:1]}] == found["released"]["extension"]


def test_the_label_of_a_document_is_of_what_it_tells_and_not_of_places():
    """A Part 2 tag on the whole holds for every record of a patient in it; an organisation is nobody's record."""
    tag = {"security": [{"system": ACT_CODE, "code": "42CFRPart2"}]}
    place = {"resourceType": "Organization", "id": "mercy", "name": "Mercy"}
    head = {"resourceType": "Composition", "id": "c", "status": "final", "type": {"text": "x"}, "date": "2026-01-01"}
    head |= {"author": [MERCY], "title": "x", "subject": {"reference": "Patient/rosa"}}
    found = asked(bundle(head, observation(performer=[MERCY]), place, type="document", meta=tag))
    labels = {one["resource"]: [code["code"] for code in one["labels_in"]] for one in found["decisions"]}
    assert "42CFRPart2" in labels["Observation/weight"]
    assert "42CFRPart2" not in labels["Organization/mercy"]


@pytest.mark.parametrize(("inner", "outer"), [(True, True), (False, False)])
def test_what_is_contained_goes_with_the_last_that_named_it(inner, outer):
    """A contained record that only a withheld reference named is nobody's any more; one still named stays."""
    role = {"resourceType": "PractitionerRole", "id": "r", "organization": HARBOR}
    place = {"resourceType": "Location", "id": "l", "name": "ward"}
    record = encounter(
        participant=[{"individual": {"reference": "#r"}}] if not inner else [],
        location=[{"location": {"reference": "#l"}}],
        contained=[role, place] if not inner else [place],
    )
    found = verdicts(asked(record))
    assert outer is ("disclosed" == found.get("Location/l"))


@pytest.mark.parametrize(
    ("target", "stays"),
    [
        ({"reference": "http://elsewhere.example/fhir/Organization/x"}, False),
        ({"reference": "http://elsewhere.example/fhir/Location/x"}, True),
        ({"reference": "http://elsewhere.example/fhir/Condition/x"}, False),
    ],
    ids=["an organisation", "a place", "a record"],
)
def test_a_place_of_work_elsewhere_could_be_a_program_s(target, stays):
    """Where an unknown source is sensitive its name goes; what is no place of work stays."""
    found = asked(observation(performer=[MERCY], extension=[{"url": PUBLIC, "valueReference": target}]))
    assert stays is ("extension" in found["released"])


PUBLIC = "http://hl7.org/fhir/StructureDefinition/of-one-part"
