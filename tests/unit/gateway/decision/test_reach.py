"""What came along only for the sake of what is withheld goes with it."""

from tests.questions import (
    HARBOR,
    MERCY,
    SUBJECT,
    asked,
    bundle,
    hidden,
    observation,
    rules,
    searchset,
    text_of,
    verdicts,
)

PROGRAM = {"resourceType": "Organization", "id": "harbor", "name": "Harbor Recovery"}
DOCTOR = {"resourceType": "Practitioner", "id": "lind", "name": [{"family": "Lind"}]}
ROLE = {
    "resourceType": "PractitionerRole",
    "id": "role",
    "practitioner": {"reference": "Practitioner/lind"},
    "organization": HARBOR,
}


def test_an_included_record_goes_with_the_match_that_named_it():
    """Nothing else in the answer leads to it (L015)."""
    found = asked(searchset(observation(performer=[MERCY]), hidden(), PROGRAM, included=("harbor",)))

    assert "withheld" == verdicts(found)["Organization/harbor"]


def test_an_included_definition_is_reached_by_its_canonical_url():
    """A response names the questionnaire by its url, with or without a version."""
    form = {"resourceType": "Questionnaire", "id": "form", "status": "active", "url": "http://example.org/form"}
    filled = {
        "resourceType": "QuestionnaireResponse",
        "id": "filled",
        "status": "completed",
        "subject": SUBJECT,
        "author": MERCY,
        "questionnaire": "http://example.org/form|2",
    }

    assert "disclosed" == verdicts(asked(searchset(filled, form, included=("form",))))["Questionnaire/form"]


def test_in_a_collection_the_programs_own_entry_goes_too():
    """A Bundle about one patient has the program in it because of what is withheld; so with its people."""
    visit = hidden(participant=[{"individual": {"reference": "Practitioner/lind"}}])
    found = asked(bundle(observation(performer=[MERCY]), visit, PROGRAM, DOCTOR, ROLE))

    assert ["Observation/weight"] == [name for name, verdict in verdicts(found).items() if verdict != "withheld"]


def test_a_directory_without_patients_stays_whole():
    """Organisations and people that no patient's record names are nobody's residue."""
    found = asked(bundle(PROGRAM, DOCTOR, ROLE))

    assert {"disclosed"} == set(verdicts(found).values())
    assert "permit" == found["effect"]


def test_what_a_released_record_names_stays():
    """A doctor who also treated at the hospital stays, with the hospital's role of theirs, without the program's."""
    seen = observation(performer=[{"reference": "Practitioner/lind"}, MERCY])
    at_mercy = {**ROLE, "id": "mercy-role", "organization": MERCY}
    mercy = {"resourceType": "Organization", "id": "mercy"}
    visit = hidden(participant=[{"individual": {"reference": "Practitioner/lind"}}])
    found = verdicts(asked(bundle(seen, visit, PROGRAM, DOCTOR, ROLE, at_mercy, mercy)))

    assert ("disclosed", "disclosed") == (found["Practitioner/lind"], found["PractitionerRole/mercy-role"])
    assert ("withheld", "withheld") == (found["PractitionerRole/role"], found["Organization/harbor"])


def test_a_line_of_a_claim_takes_the_included_performer_along():
    """What only a removed line of a masked record named is unreached (L015, L037)."""
    benefit = {
        "resourceType": "ExplanationOfBenefit",
        "id": "benefit",
        "status": "active",
        "type": {"text": "x"},
        "use": "claim",
        "outcome": "complete",
        "created": "2026-01-05",
        "patient": SUBJECT,
        "insurer": {"reference": "Organization/plan"},
        "provider": MERCY,
        "insurance": [{"focal": True, "coverage": {"display": "Sunrise"}}],
        "careTeam": [
            {"sequence": 1, "provider": MERCY},
            {"sequence": 2, "provider": {"reference": "Practitioner/lind"}},
        ],
        "item": [
            {"sequence": 1, "careTeamSequence": [1], "productOrService": {"text": "visit"}},
            {"sequence": 2, "careTeamSequence": [2], "productOrService": {"text": "session"}},
        ],
    }
    found = asked(searchset(benefit, DOCTOR, ROLE, included=("lind", "role")))

    assert "masked" == verdicts(found)["ExplanationOfBenefit/benefit"]
    assert "lind" not in text_of(found)


def test_a_contained_resource_goes_with_the_only_reference_to_it():
    """Nothing stays contained that nothing refers to any more (L034)."""
    role = {"resourceType": "PractitionerRole", "id": "r", "organization": HARBOR, "code": [{"text": "SECRET"}]}
    record = observation(
        contained=[role], performer=[MERCY], note=[{"authorReference": {"reference": "#r"}, "text": "x"}]
    )

    assert "SECRET" not in text_of(asked(searchset(record)))


def test_what_is_inside_a_withheld_record_is_withheld():
    """A harmless contained resource does not count as released where its container is not (and so not as permit)."""
    found = asked(
        searchset(
            hidden(contained=[{"resourceType": "Location", "id": "l"}], location=[{"location": {"reference": "#l"}}])
        )
    )

    assert {"withheld"} == set(verdicts(found).values())
    assert "deny" == found["effect"]


def test_what_hangs_together_with_the_withheld_goes_however_many_steps_away():
    """The ward is of the program, the service in it and the doctor's role there only name what is on the way (L015)."""
    ward = {"resourceType": "Location", "id": "ward", "managingOrganization": {"reference": "Organization/wing"}}
    wing = {"resourceType": "Organization", "id": "wing", "partOf": HARBOR}
    service = {"resourceType": "HealthcareService", "id": "service", "providedBy": HARBOR}
    role = {**ROLE, "organization": MERCY, "healthcareService": [{"reference": "HealthcareService/service"}]}
    mercy = {"resourceType": "Organization", "id": "mercy"}
    room = {"resourceType": "Location", "id": "room", "managingOrganization": MERCY}
    others = [room, mercy, role, DOCTOR, service, PROGRAM, wing, ward]
    visit = hidden(location=[{"location": {"reference": "Location/ward"}}])
    del visit["serviceProvider"]
    whole = bundle(observation(performer=[MERCY]), {**visit, "serviceProvider": HARBOR}, *others)
    for entries in (whole["entry"], whole["entry"][::-1]):
        found = verdicts(asked({**whole, "entry": entries}))
        gone = {name.partition("/")[2] for name, verdict in found.items() if verdict == "withheld"}
        assert {"hidden", "ward", "wing", "harbor", "service", "role", "lind"} == gone


def test_an_included_record_of_a_patient_points_at_a_match_that_stays():
    """What came along because it points at a match (`_revinclude`) is reached from it, not from a withheld one."""
    answer = {"basedOn": [{"reference": "ServiceRequest/x"}], "performer": [MERCY]}
    order = {"resourceType": "ServiceRequest", "id": "x", "status": "active", "intent": "order", "subject": SUBJECT}
    by_hospital, by_program = {**order, "requester": MERCY}, {**order, "requester": HARBOR}
    for match, verdict in ((by_hospital, "disclosed"), (by_program, "withheld")):
        found = verdicts(asked(searchset(match, observation("answer", **answer), included=("answer",))))
        assert verdict == found["Observation/answer"]


def test_what_is_withheld_for_itself_is_not_also_unreached():
    """A contained record of the program's says why it is withheld, and nothing of references that went."""
    inner = observation("i", performer=[HARBOR])
    outer = observation(contained=[inner], performer=[MERCY], hasMember=[{"reference": "#i"}])
    found = asked(searchset(outer))
    assert "unreached-include" not in rules(found, "Observation/i")
    assert "withheld" == verdicts(found)["Observation/i"]


def test_what_a_withheld_contained_record_named_goes_with_it():
    """A place that stands inside for the sake of a record that stands inside and is withheld."""
    place = {"resourceType": "Location", "id": "b", "name": "SECRET"}
    inner = observation(
        "a", performer=[HARBOR], extension=[{"url": "http://hl7.org/x", "valueReference": {"reference": "#b"}}]
    )
    outer = observation(contained=[inner, place], performer=[MERCY], hasMember=[{"reference": "#a"}])
    found = asked(searchset(outer))
    assert {"Observation/weight": "masked", "Observation/a": "withheld", "Location/b": "withheld"} == verdicts(found)
    assert "SECRET" not in text_of(found)


def test_what_only_names_what_names_the_withheld_goes_too():
    """The doctor's role in a service of the program: two steps away, and nothing else leads there."""
    service = {"resourceType": "HealthcareService", "id": "service", "providedBy": HARBOR}
    role = {
        "resourceType": "PractitionerRole",
        "id": "role",
        "healthcareService": [{"reference": "HealthcareService/service"}],
    }
    for others in ([service, role, PROGRAM], [role, PROGRAM, service]):
        found = verdicts(asked(bundle(observation(performer=[MERCY]), hidden(), *others)))
        assert ["Observation/weight"] == [name for name, verdict in found.items() if verdict != "withheld"]
