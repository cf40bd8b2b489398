"""What says a withheld record again: sums, prose, words beside a reference, quotations, titles of sections."""

import json

import pytest

from tests.questions import (
    ACT_CODE,
    HARBOR,
    MERCY,
    ROSA,
    SUBJECT,
    asked,
    bundle,
    condition,
    consent,
    encounter,
    hidden,
    observation,
    released,
    searchset,
    text_of,
    verdicts,
)

OPIOIDS = {"reference": "Condition/opioids"}
TO_HIDDEN = {"reference": "Encounter/hidden"}
SECRET = {"text": "SECRET"}


def opioids(**elements):
    """A diagnosis told by the Part 2 program: withheld."""
    return condition("opioids", "F11.20", recorder=HARBOR, **elements)


def record(kind, **elements):
    """A record of Rosa's of some type."""
    return {"resourceType": kind, "id": "it", "subject": SUBJECT, **elements}


REPORT = {"status": "final", "code": {"text": "panel"}, "performer": [MERCY], "conclusion": "SECRET"} | {
    "presentedForm": [{"contentType": "text/plain", "data": "U0VDUkVU", "title": "SECRET"}],
    "conclusionCode": [SECRET],
}
PLAN = {"status": "active", "intent": "plan", "author": MERCY}
SAID_AGAIN = [
    record("DiagnosticReport", result=[{"reference": "Observation/hid"}], **REPORT),
    record("CarePlan", title="SECRET", addresses=[OPIOIDS], note=[SECRET], **PLAN),
    record(
        "CarePlan",
        activity=[{"outcomeReference": [TO_HIDDEN], "progress": [SECRET], "outcomeCodeableConcept": [SECRET]}],
        **PLAN,
    ),
    record("Goal", lifecycleStatus="active", description={"text": "rest"}, addresses=[OPIOIDS], note=[SECRET]),
    record(
        "Condition",
        recorder=MERCY,
        code={"text": "x"},
        evidence=[{"code": [SECRET], "detail": [{"reference": "Observation/hid"}]}],
        stage=[{"summary": SECRET, "assessment": [{"reference": "Observation/hid"}]}],
    ),
    observation("it", performer=[MERCY], derivedFrom=[{"reference": "Observation/hid"}], valueString="SECRET"),
    observation("it", performer=[MERCY], hasMember=[{"reference": "Observation/hid"}], note=[SECRET]),
    record("Communication", status="completed", sender=MERCY, about=[TO_HIDDEN], payload=[{"contentString": "SECRET"}]),
    record(
        "Composition",
        status="final",
        type={"text": "note"},
        date="2026",
        author=[MERCY],
        title="note",
        event=[{"code": [SECRET], "detail": [TO_HIDDEN]}],
    ),
    # Markers in every prose element that stands beside a reason, a ground, a part: one record a type.
    *(
        record(kind, reasonReference=[OPIOIDS], reasonCode=[SECRET], note=[SECRET], **needed)
        for kind, needed in {
            "CareTeam": {"participant": [{"member": MERCY}]},
            "DeviceRequest": {"intent": "order", "codeCodeableConcept": {"text": "walker"}, "requester": MERCY},
            "DeviceUseStatement": {"status": "active", "device": {"display": "walker"}, "source": MERCY},
            "ImagingStudy": {"status": "available", "referrer": MERCY},
            "MedicationAdministration": {
                "status": "completed",
                "medicationCodeableConcept": {"text": "drug"},
                "effectiveDateTime": "2026",
                "performer": [{"actor": MERCY}],
            },
            "MedicationRequest": {
                "status": "active",
                "intent": "order",
                "medicationCodeableConcept": {"text": "drug"},
                "requester": MERCY,
                "dosageInstruction": [
                    {"text": "daily", "patientInstruction": "SECRET"},
                    {"patientInstruction": "SECRET"},
                ],
            },
            "MedicationStatement": {
                "status": "active",
                "medicationCodeableConcept": {"text": "drug"},
                "informationSource": MERCY,
                "dosage": [{"text": "daily", "patientInstruction": "SECRET"}],
            },
            "Procedure": {"status": "completed", "performer": [{"actor": MERCY}]},
            "ServiceRequest": {
                "status": "active",
                "intent": "order",
                "code": {"text": "walk"},
                "requester": MERCY,
                "patientInstruction": "SECRET",
            },
        }.items()
    ),
    record(
        "Communication",
        status="completed",
        sender=MERCY,
        reasonReference=[OPIOIDS],
        payload=[{"contentString": "SECRET"}],
    ),
    record(
        "CommunicationRequest",
        status="active",
        requester=MERCY,
        reasonReference=[OPIOIDS],
        payload=[{"contentString": "SECRET"}],
        note=[SECRET],
    ),
    record("DocumentManifest", status="current", author=[MERCY], content=[TO_HIDDEN, MERCY], description="SECRET"),
    record(
        "Goal",
        lifecycleStatus="active",
        description={"text": "rest"},
        expressedBy=MERCY,
        outcomeReference=[{"reference": "Observation/hid"}],
        outcomeCode=[SECRET],
    ),
    record(
        "Procedure",
        status="completed",
        performer=[{"actor": MERCY}],
        complicationDetail=[OPIOIDS],
        complication=[SECRET],
    ),
    {
        "resourceType": "Appointment",
        "id": "it",
        "status": "booked",
        "participant": [{"actor": SUBJECT, "status": "accepted"}, {"actor": MERCY, "status": "accepted"}],
        "supportingInformation": [OPIOIDS],
        "description": "SECRET",
        "comment": "SECRET",
        "patientInstruction": "SECRET",
    },
]


@pytest.mark.parametrize("one", SAID_AGAIN, ids=lambda one: one["resourceType"])
def test_what_sums_up_a_withheld_record_goes_with_it(one):
    """Prose, values and codes that restate what a reference leads to go when the target is withheld (L033)."""
    found = asked(searchset(one, opioids(), hidden(), observation("hid", performer=[HARBOR])))

    assert "masked" == verdicts(found)[f"{one['resourceType']}/it"]
    assert "SECRET" not in text_of(found)
    assert "U0VDUkVU" not in text_of(found)


@pytest.mark.parametrize("one", SAID_AGAIN, ids=lambda one: one["resourceType"])
def test_nothing_of_it_goes_where_nothing_is_withheld(one):
    """The positive control: beside records that are released, what sums them up stays."""
    others = [condition("opioids"), encounter("hidden"), observation("hid", performer=[MERCY])]
    found = asked(searchset(one, *others))

    assert "disclosed" == verdicts(found)[f"{one['resourceType']}/it"]
    assert "SECRET" in text_of(found)


def test_a_report_keeps_its_conclusion_when_it_loses_who_made_it():
    """Who and where are not summed up: only a reference to what a report tells of takes the conclusion along."""
    someone = {"reference": "Organization/nobody-knows", "display": "x"}
    one = record("DiagnosticReport", **REPORT)
    one["performer"] = [MERCY, someone]
    kept = released(asked(searchset(one)), "it")

    assert [MERCY] == kept["performer"]
    assert "SECRET" == kept["conclusion"]


PROGRAM = {"resourceType": "Organization", "id": "harbor", "name": "New Harbor Clinic", "alias": ["The Harbor House"]}
ORDER = {"status": "active", "intent": "order", "code": {"text": "walk"}, "requester": MERCY}
BY_PROGRAM = [
    record(
        "CarePlan",
        activity=[
            {"detail": {"status": "scheduled", "performer": [HARBOR], "description": "SECRET"}},
            {"detail": {"status": "scheduled", "performer": [MERCY], "description": "kept"}},
        ],
        **PLAN,
    ),
    record(
        "CarePlan", title="With New Harbor clinic", careTeam=[], contributor=[HARBOR, MERCY], description="kept", **PLAN
    ),
    record("ServiceRequest", performer=[HARBOR], note=[SECRET], patientInstruction="SECRET", **ORDER),
    record("ServiceRequest", performer=[HARBOR], **ORDER)
    | {"orderDetail": [{"text": "as the Harbor House has it"}, {"text": "kept"}]},
    record(
        "Communication",
        status="completed",
        sender=MERCY,
        recipient=[HARBOR, MERCY],
        payload=[{"contentString": "SECRET"}],
    ),
    {
        "resourceType": "Task",
        "id": "it",
        "status": "requested",
        "intent": "order",
        "for": SUBJECT,
        "requester": MERCY,
        "owner": HARBOR,
        "description": "SECRET",
        "note": [SECRET],
    },
]


@pytest.mark.parametrize("one", BY_PROGRAM, ids=lambda one: one["resourceType"])
def test_what_describes_an_act_of_a_program_goes_with_its_name(one):
    """The program's name goes, and so do what describes the act beside it and texts that hold the name (L033)."""
    found = asked(searchset(one), context=[ROSA, PROGRAM])
    left = text_of(found)

    assert "disclosed" != verdicts(found)[f"{one['resourceType']}/it"]
    assert not [word for word in ("SECRET", "arbor") if word in left], left


@pytest.mark.parametrize("one", BY_PROGRAM, ids=lambda one: one["resourceType"])
def test_what_others_do_stays_described(one):
    """The positive control: the same record with a hospital in the program's place is whole."""
    there = json.loads(json.dumps(one).replace("Organization/harbor", "Organization/mercy"))

    assert there == released(asked(searchset(there), context=[ROSA]), "it")


def test_a_required_sum_takes_its_record_along():
    """What is paid for a withheld claim among others cannot be told apart from the sum: it goes whole."""
    claim = {"reference": "Claim/hid"}
    paid = {
        "resourceType": "PaymentReconciliation",
        "id": "it",
        "status": "active",
        "created": "2026",
        "requestor": MERCY,
    }
    paid |= {
        "paymentDate": "2026",
        "paymentAmount": {"value": 30},
        "detail": [{"type": {"text": "x"}, "request": claim}],
    }
    hid = {
        "resourceType": "Claim",
        "id": "hid",
        "status": "active",
        "use": "claim",
        "patient": SUBJECT,
        "provider": HARBOR,
    }
    found = asked(searchset(paid, hid))

    assert "withheld" == verdicts(found)["PaymentReconciliation/it"]


QUOTED = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9"}]}


@pytest.mark.parametrize(
    "said",
    [{"reasonCode": [QUOTED]}, {"reasonCode": [{"text": "Diabetes of old"}]}, {"note": [{"text": "DIABETES of old."}]}],
    ids=["code", "name", "words"],
)
def test_what_quotes_a_withheld_target_goes(said):
    """The code, the name or the very words of a withheld diagnosis go from the order that gives it as its reason."""
    kept = {"text": "cough"}
    order = record("ServiceRequest", status="active", intent="order", requester=MERCY, code={"text": "walk"})
    order |= {"reasonReference": [{"reference": "Condition/sugar"}], **said}
    if "reasonCode" in said:
        order["reasonCode"] = [kept, *said["reasonCode"]]
    secret = condition("sugar", recorder=HARBOR)
    secret["code"]["text"] = "Diabetes of old"
    left = released(asked(searchset(order, secret)), "it")

    assert [kept] == left.get("reasonCode", [kept])
    assert {"note", "reasonReference"}.isdisjoint(left)


def test_a_record_s_own_code_is_no_quotation():
    """Two measurements have one code: the second stays what it is when the first is withheld."""
    first = observation("first", performer=[HARBOR], code=QUOTED)
    second = observation("second", performer=[MERCY], code=QUOTED, derivedFrom=[{"reference": "Observation/first"}])

    assert QUOTED == released(asked(searchset(second, first)), "second")["code"]


def test_a_section_goes_by_its_title_and_the_document_stays():
    """A title speaks of its section: denied, the section goes with what it holds, and the rest is released."""
    head = record("Composition", status="final", type={"text": "note"}, date="2026", author=[MERCY], title="note")
    head["section"] = [
        {"title": "Opioid use disorder", "entry": [{"reference": "Observation/a"}]},
        {"title": "Vital signs", "entry": [{"reference": "Observation/b"}]},
    ]
    parts = [observation("a", performer=[MERCY]), observation("b", performer=[MERCY])]
    secret = [{"system": ACT_CODE, "code": code} for code in ("SUD", "ETH", "OPIOIDUD", "ETHUD")]
    refusing = consent(provision=[{"type": "deny", "securityLabel": secret}])
    found = asked(bundle(head, *parts, type="document"), profile="base", consents=[refusing])

    assert ["Vital signs"] == [one["title"] for one in released(found, "it")["section"]]
    assert {"Observation/a": "withheld", "Observation/b": "disclosed"}.items() <= verdicts(found).items()


INLINE = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
PART2_HERE = {"extension": [{"url": INLINE, "valueCoding": {"system": ACT_CODE, "code": "42CFRPart2"}}]}


@pytest.mark.parametrize(
    ("series", "counts"),
    [
        ([PART2_HERE, {}], {"numberOfSeries": 1}),
        ([{"numberOfInstances": 2, "instance": [PART2_HERE, {}]}, {}], {"numberOfSeries": 2}),
        ([{}, {}], {"numberOfSeries": 2, "numberOfInstances": 3}),
    ],
    ids=["a series", "an instance", "nothing"],
)
def test_what_images_a_study_has_is_counted_anew(series, counts):
    """A series or an image labelled by its source goes, and no number tells of it; what lost nothing stays."""
    image = {"uid": "1", "sopClass": {"code": "x"}}
    lists = [{"uid": "1", "modality": {"code": "CT"}, **one} for one in series]
    for one in lists:
        if "instance" in one:
            one["instance"] = [{**image, **more} for more in one["instance"]]
    study = {"status": "available", "referrer": MERCY, "numberOfSeries": 2, "numberOfInstances": 3, "series": lists}
    left = released(asked(searchset(record("ImagingStudy", **study))), "it")

    assert counts == {name: left[name] for name in ("numberOfSeries", "numberOfInstances") if name in left}
    assert counts["numberOfSeries"] == len(left["series"])
    assert [len(one["instance"]) for one in left["series"] if "instance" in one] == [
        one["numberOfInstances"] for one in left["series"] if "instance" in one
    ]


def test_the_total_of_a_search_within_another_bundle_counts_what_is_left():
    """An answer that was kept inside a collection tells no more records than it holds."""
    inner = {"resource": searchset(observation("seen", performer=[MERCY]), hidden())}
    inner["resource"] |= {"id": "inner", "total": 2}
    found = asked({"resourceType": "Bundle", "type": "collection", "entry": [inner]})
    left = found["released"]["entry"][0]["resource"]

    assert (1, 1) == (left.get("total", 1), len(left["entry"]))
