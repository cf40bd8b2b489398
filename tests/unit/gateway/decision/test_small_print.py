"""What single words of the decision are for: each of these was changed once, and no other test noticed."""

import pytest

from consent_store.model import ACT_CODE, CONFIDENTIALITY, Coding
from gateway.decision.combine import Ruling
from gateway.decision.consent_scope import scope_of
from gateway.decision.consents import Permit
from gateway.decision.outbound import labels_out
from gateway.fhir.confidentiality import Confidentiality
from gateway.labels.model import Basis, Kind, Label, Labels
from tests.consents import good, r4
from tests.questions import (
    HARBOR,
    MERCY,
    PARTICIPANTS,
    asked,
    bundle,
    consent,
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
    "sourceAttachment": {"title": "the signed form"},
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
