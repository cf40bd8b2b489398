"""What points at a withheld record goes with it: references, stubs, sections, addresses, sums, lines of claims."""

import pytest

from tests.questions import (
    MERCY,
    ROSA,
    SUBJECT,
    asked,
    bundle,
    claim,
    composition,
    condition,
    consent,
    encounter,
    hidden,
    observation,
    released,
    rules,
    searchset,
    text_of,
    verdicts,
)

TO_HIDDEN = {"reference": "Encounter/hidden", "display": "SECRET"}


def masked(record, *others, **changes):
    """What is left of a record beside the hidden visit."""
    return released(asked(searchset(record, hidden(), *others), **changes), record["id"])


@pytest.mark.parametrize(
    "element",
    [
        {"derivedFrom": [TO_HIDDEN]},
        {"specimen": {"reference": "Encounter/hidden/_history/3"}},
        {"hasMember": [{"type": "Observation", "identifier": {"system": "u", "value": "1"}, "display": "SECRET"}]},
        {"focus": [{"identifier": {"system": "urn:visits", "value": "hidden"}, "display": "SECRET"}]},
        {"extension": [{"url": "http://hl7.org/fhir/x", "valueReference": TO_HIDDEN}]},
    ],
    ids=lambda element: next(iter(element)),
)
def test_a_reference_goes_whole(element):
    """Reference, display, identifier and type go together, in whatever element and form."""
    visit = hidden(identifier=[{"system": "urn:visits", "value": "hidden"}])
    found = asked(searchset(observation(performer=[MERCY], **element), visit))

    assert "withheld" != verdicts(found)["Observation/weight"]
    assert element.keys().isdisjoint(released(found, "weight"))


def test_the_member_that_stands_there_to_point_goes_too():
    """What is left of a pointing structure would say what it pointed at (L032)."""
    plan = {
        "resourceType": "CarePlan",
        "id": "plan",
        "status": "active",
        "intent": "plan",
        "subject": SUBJECT,
        "author": MERCY,
        "activity": [{"reference": TO_HIDDEN, "progress": [{"text": "SECRET"}]}, {"detail": {"status": "scheduled"}}],
    }

    assert [{"detail": {"status": "scheduled"}}] == masked(plan)["activity"]


def test_a_composition_loses_entry_section_and_prose():
    """A section without any of its entries goes; another loses the entry, and nobody gets its prose (L033, L035)."""
    document = composition(
        section=[
            {
                "title": "SECRET visits",
                "text": {"status": "generated", "div": "<div>SECRET</div>"},
                "entry": [TO_HIDDEN],
            },
            {
                "title": "Both",
                "text": {"status": "generated", "div": "<div>SECRET</div>"},
                "entry": [TO_HIDDEN, {"reference": "Observation/weight"}],
            },
            {"title": "Prose", "text": {"status": "additional", "div": "<div>SECRET</div>"}},
        ],
    )
    found = masked(document, observation())

    assert [{"title": "Both", "entry": [{"reference": "Observation/weight"}]}] == found["section"]


def test_an_unsigned_document_goes_in_part_and_an_attested_one_not_at_all():
    """Somebody vouches for the whole: then nothing may be taken out of it (L035)."""
    head = composition(
        section=[{"entry": [TO_HIDDEN, {"reference": "Observation/weight"}]}],
    )
    attested = {**head, "attester": [{"mode": "legal"}]}

    assert "permit_redacted" == asked(bundle(head, hidden(), observation(), type="document"))["effect"]
    assert "deny" == asked(bundle(attested, hidden(), observation(), type="document"))["effect"]
    nested = bundle(bundle(attested, hidden(), observation(), type="document", id="inner"), observation("other"))
    assert {"Bundle/inner": "withheld", "Observation/other": "disclosed"}.items() <= verdicts(asked(nested)).items()


def test_a_claim_loses_the_diagnosis_and_its_lines_and_is_numbered_anew():
    """A diagnosis that points at a withheld condition goes with the lines that were for it, and no gap shows (L037)."""
    bill = claim(
        diagnosis=[
            {"sequence": 1, "diagnosisReference": {"reference": "Condition/diabetes"}},
            {"sequence": 2, "diagnosisReference": {"reference": "Condition/opioids"}},
            {"sequence": 3, "diagnosisReference": {"reference": "Condition/diabetes"}},
        ],
        item=[
            {"sequence": 1, "diagnosisSequence": [2], "productOrService": {"text": "SECRET"}},
            {"sequence": 2, "diagnosisSequence": [2, 3], "productOrService": {"text": "visit"}},
        ],
    )
    opioids = condition("opioids", "F11.20", recorder={"reference": "Organization/harbor"})
    found = asked(searchset(bill, condition("diabetes"), opioids))
    left = released(found, "claim")

    assert [1, 2] == [one["sequence"] for one in left["diagnosis"]]
    assert [{"sequence": 1, "diagnosisSequence": [2], "productOrService": {"text": "visit"}}] == left["item"]
    assert [{"display": "Sunrise"}] == [one["coverage"] for one in left["insurance"]]
    assert "points-at-withheld" in rules(found, "Claim/claim")


def test_the_answer_to_a_claim_goes_with_the_claims_lines():
    """A ClaimResponse adds up lines that its claim has lost: it is withheld (L037)."""
    line = {"sequence": 1, "productOrService": {"text": "visit"}}
    program = {"sequence": 2, "careTeamSequence": [1], "productOrService": {"text": "session"}}
    bill = claim(
        careTeam=[{"sequence": 1, "provider": {"reference": "Organization/harbor"}}],
        item=[line, program],
    )
    reply = {
        "resourceType": "ClaimResponse",
        "id": "reply",
        "status": "active",
        "type": {"text": "x"},
        "use": "claim",
        "patient": SUBJECT,
        "created": "2026-01-06",
        "insurer": {"reference": "Organization/plan"},
        "requestor": MERCY,
        "request": {"reference": "Claim/claim"},
        "outcome": "complete",
        "item": [{"itemSequence": 2, "adjudication": [{"category": {"text": "paid"}, "amount": {"value": 777}}]}],
    }
    insurer = {"resourceType": "Organization", "id": "plan"}

    assert {"Claim/claim": "masked", "ClaimResponse/reply": "withheld"} == verdicts(
        asked(searchset(bill, reply), context=[ROSA, insurer])
    )


def test_a_group_counts_who_is_left():
    """A member who is withheld goes, and the count with it (L036)."""
    device = {"resourceType": "Device", "id": "pump", "patient": SUBJECT, "owner": {"reference": "Organization/harbor"}}
    group = {
        "resourceType": "Group",
        "id": "group",
        "type": "person",
        "actual": True,
        "quantity": 2,
        "member": [{"entity": SUBJECT}, {"entity": {"reference": "Device/pump"}}],
    }
    found = released(asked(searchset(group, device)), "group")

    assert (1, [{"entity": SUBJECT}]) == (found["quantity"], found["member"])


def test_an_extension_with_parts_goes_whole():
    """What stands beside the reference in an extension tells of the same thing; an extension of its own stays."""
    parts = [{"url": "who", "valueReference": TO_HIDDEN}, {"url": "name", "valueString": "SECRET"}]
    kept = {"url": "http://hl7.org/fhir/y", "extension": [{"url": "a", "valueString": "kept"}]}
    record = observation(performer=[MERCY], extension=[{"url": "http://hl7.org/fhir/x", "extension": parts}, kept])

    assert [kept] == masked(record)["extension"]


def test_an_address_of_a_withheld_record_is_a_reference():
    """A link to a record that is withheld goes like a reference to it (L052)."""
    record = observation(
        performer=[MERCY], extension=[{"url": "http://hl7.org/fhir/x", "valueUri": "Encounter/hidden"}]
    )

    assert "extension" not in masked(record)


@pytest.mark.parametrize("element", [{"note": [{"text": "see Encounter/hidden."}]}, {"remark": "Encounter/hidden"}])
def test_a_text_that_names_a_withheld_record_goes(element):
    """What quotes it is of it; a text that names a released one stays."""
    kept = [{"text": "compare Observation/other, and/or nothing"}]
    record = observation(
        performer=[MERCY], component=[{"code": {"text": "x"}, "valueString": kept[0]["text"]}], **element
    )
    found = masked(record, observation("other", performer=[MERCY]))

    assert element.keys().isdisjoint(found)
    assert kept[0]["text"] == found["component"][0]["valueString"]


def test_a_number_that_is_the_random_id_of_a_withheld_record_goes():
    """Servers put ids of other records into identifiers: a UUID says which one, and the whole number goes."""
    uuid = "6f1b2c3d-0000-4000-8000-000000000abc"
    kept = {"system": "urn:orders", "value": "1"}
    record = observation(performer=[MERCY], identifier=[{"system": "urn:claims", "value": uuid.upper()}, kept])
    found = asked(searchset(record, encounter(uuid, {"reference": "Organization/harbor"})))

    assert [kept] == released(found, "weight")["identifier"]


@pytest.mark.parametrize(("custodian", "verdict"), [("mercy", "disclosed"), ("harbor", "withheld")])
def test_a_binary_is_as_releasable_as_the_document_it_belongs_to(custodian, verdict):
    """A Binary says nothing of itself: it goes where its owner goes (L052)."""
    document = {
        "resourceType": "DocumentReference",
        "id": "letter",
        "status": "current",
        "subject": SUBJECT,
        "custodian": {"reference": f"Organization/{custodian}"},
        "content": [{"attachment": {"url": "Binary/pdf"}}],
    }
    binary = {"resourceType": "Binary", "id": "pdf", "contentType": "application/pdf", "data": "c2VjcmV0"}

    assert verdict == verdicts(asked(searchset(document, binary)))["Binary/pdf"]


def test_a_binary_goes_with_whom_it_names_as_owner():
    """Where securityContext is withheld so is the Binary, not the element alone."""
    binary = {"resourceType": "Binary", "id": "pdf", "contentType": "text/plain"} | {
        "securityContext": {"reference": "Encounter/hidden"}
    }

    assert "withheld" == verdicts(asked(searchset(binary, hidden())))["Binary/pdf"]


def test_where_the_patient_record_is_withheld_its_name_and_number_go():
    """The reference to the patient stays, who was asked about; display and identifier come from what is withheld."""
    vip = {
        **ROSA,
        "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "VIP"}]},
    }
    refusing = consent("permit", provision=[{"type": "deny", "securityLabel": vip["meta"]["security"]}])
    subject = {**SUBJECT, "display": "SECRET", "identifier": {"system": "u", "value": "SECRET"}}
    found = asked(searchset(observation(subject=subject), vip), profile="base", consents=[refusing], context=[])

    assert SUBJECT == released(found, "weight")["subject"]
    assert "SECRET" not in text_of(found)


def test_what_is_not_here_is_cut_for_everyone_and_what_is_here_stays():
    """A target nobody knows could be withheld; one that is released keeps its reference as it stands."""
    record = observation(
        performer=[MERCY], hasMember=[{"reference": "Observation/other"}, {"reference": "Observation/no"}]
    )
    found = asked(searchset(record, observation("other", performer=[MERCY])))

    assert [{"reference": "Observation/other"}] == released(found, "weight")["hasMember"]
    assert "permit" == found["effect"]


def test_a_released_entry_keeps_its_references_also_where_the_context_repeats_it():
    """Where it comes from matters of what is only beside the document; the entry itself was decided on."""
    ward = {"resourceType": "Location", "id": "ward", "managingOrganization": {"reference": "Organization/nowhere"}}
    visit = encounter(location=[{"location": {"reference": "Location/ward"}}])

    assert "location" in released(asked(searchset(visit, ward), context=[ROSA, ward]), "visit")
    assert "location" not in released(asked(searchset(visit), context=[ROSA, ward]), "visit")
