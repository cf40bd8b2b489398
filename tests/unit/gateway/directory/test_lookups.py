"""Questions to the directory: parties, agreements in force, relationships."""

from datetime import UTC, datetime

import msgspec
import pytest

from consent_store.dates import Period, parse_date
from consent_store.model import ACT_REASON, Coding, Identifier, PatientKey
from gateway.directory.lookups import (
    about,
    agreements_between,
    attestations_of,
    attested,
    by_identifier,
    by_reference,
    classified,
    client_of,
    covers_purpose,
    related,
    sources_of,
)
from gateway.directory.model import Agreement, Attestation, Client, Directory, Participant, Relationship

AT = datetime(2025, 3, 1, 12, tzinfo=UTC)
NPI = Identifier("http://hl7.org/fhir/sid/us-npi", "1")
ROSA = PatientKey("ny/hospital", "rosa")


def directory(**parts) -> Directory:
    """A directory of a plan and an agency, with the parts a test adds."""
    plan = Participant(id="plan", type="mcp", references=frozenset({"Organization/7"}), identifiers=frozenset({NPI}))
    agency = Participant(id="agency", type="cma", references=frozenset({"https://a.example/fhir/Organization/8"}))
    return Directory({"plan": plan, "agency": agency}, **parts)


def purpose(code: str) -> Coding:
    """A purpose of v3-ActReason."""
    return Coding(ACT_REASON, code)


@pytest.mark.parametrize(
    ("reference", "base", "found"),
    [
        ("Organization/7", "", "plan"),
        ("Organization/7", "https://b.example/fhir", "plan"),
        ("https://b.example/fhir/Organization/7", "https://b.example/fhir/", "plan"),
        ("https://b.example/fhir/Organization/7", "", None),
        ("https://c.example/fhir/Organization/7", "https://b.example/fhir", None),
        ("Organization/8", "https://a.example/fhir", "agency"),
        ("Organization/8", "https://b.example/fhir", None),
        ("Organization/8", "", None),
        ("https://a.example/fhir/Organization/8", "", "agency"),
        ("Organization/77", "", None),
    ],
)
def test_a_party_is_found_by_resolved_reference(reference, base, found):
    """The same id at another base is another organisation when the directory names the base (L092)."""
    party = by_reference(directory(), reference, base)
    assert found == (party.id if party else None)


def test_a_party_is_found_by_system_and_value():
    """An identifier matches by system and value together, never by value alone."""
    assert "plan" == by_identifier(directory(), NPI).id
    assert by_identifier(directory(), Identifier("urn:other", "1")) is None
    assert by_identifier(directory(), Identifier(None, "1")) is None


@pytest.mark.parametrize(
    ("listed", "asked", "covered"),
    [
        (None, "TREAT", True),
        (frozenset(), "TREAT", False),
        (frozenset({"HOPERAT"}), "CAREMGT", True),
        (frozenset({"CAREMGT"}), "HOPERAT", False),
        (frozenset({"TREAT"}), "CAREMGT", False),
        (frozenset({"nonsense"}), "TREAT", False),
    ],
)
def test_purposes_subsume_downwards_only(listed, asked, covered):
    """A listed purpose covers itself and what falls under it; absent is not limited, empty is nothing."""
    assert covered is covers_purpose(listed, purpose(asked))
    agreement = Agreement(type="SOW", between=frozenset({"plan", "agency"}), purposes=listed)
    found = agreements_between(directory(agreements=(agreement,)), "plan", "agency", AT, UTC, purpose(asked))
    assert covered is bool(found)


@pytest.mark.parametrize(
    ("period", "in_force"),
    [
        (Period(), True),
        (Period(parse_date("2025-03-01"), None), True),
        (Period(parse_date("2025-03-02"), None), False),
        (Period(None, parse_date("2025-03-01")), True),
        (Period(None, parse_date("2025-02")), False),
    ],
)
def test_agreements_and_relationships_hold_while_they_last(period, in_force):
    """Outside its period an agreement or a relationship is as if it were not there."""
    agreement = Agreement(type="BAA", between=frozenset({"plan", "agency"}), period=period)
    relationship = Relationship(participant="plan", patient=ROSA, period=period)
    parts = directory(agreements=(agreement,), relationships=(relationship,))
    assert in_force is bool(agreements_between(parts, "agency", "plan", AT, UTC))
    assert in_force is related(parts, "plan", ROSA, (), AT, UTC)


def test_an_agreement_is_between_those_it_names():
    """An agreement binds the participants it names, and none has one with itself."""
    agreement = Agreement(type="BAA", between=frozenset({"plan", "third"}))
    parts = directory(agreements=(agreement,))
    assert () == agreements_between(parts, "plan", "agency", AT, UTC)
    assert () == agreements_between(parts, "plan", "plan", AT, UTC)


def test_a_relationship_is_by_record_or_identifier():
    """The same id at another source is another patient; a business identifier is the same anywhere."""
    mrn = Identifier("urn:mrn", "1")
    parts = directory(
        relationships=(
            Relationship(participant="plan", patient=ROSA),
            Relationship(participant="agency", identifier=mrn),
        )
    )
    other = PatientKey("ca/jail", "rosa")
    assert not related(parts, "plan", other, (), AT, UTC)
    assert not related(parts, "agency", ROSA, (), AT, UTC)
    assert related(parts, "agency", other, (mrn,), AT, UTC)


def test_a_client_belongs_to_its_issuer():
    """A client registered with an issuer is not found under another's name."""
    parts = directory(
        clients=(
            Client(client_id="a", participant="plan", issuer="https://one"),
            Client(client_id="b", participant="agency"),
        )
    )
    assert "plan" == client_of(parts, "https://one", "a").participant
    assert client_of(parts, "https://two", "a") is None
    assert "agency" == client_of(parts, "https://two", "b").participant
    assert client_of(parts, "https://one", "c") is None


SIDES = ("plan", "agency")


@pytest.mark.parametrize(
    ("limits", "counts"),
    [
        ({}, True),
        ({"discloser": "plan", "recipient": "agency"}, True),
        ({"discloser": "agency"}, False),
        ({"recipient": "plan"}, False),
        ({"purposes": frozenset({"HOPERAT"})}, True),
        ({"purposes": frozenset({"TREAT"})}, False),
        ({"purposes": frozenset()}, False),
        ({"period": Period(parse_date("2025-03-01"), parse_date("2025-03-01"))}, True),
        ({"period": Period(parse_date("2025-03-02"), None)}, False),
        ({"period": Period(None, parse_date("2025-02"))}, False),
    ],
)
def test_an_attestation_goes_no_further_than_it_says(limits, counts):
    """Between other sides, for another purpose, before or after its time it says nothing."""
    one = Attestation(fact="required_by_law", by="plan", name="a", **limits)
    assert ((one,) if counts else ()) == attested([one], SIDES, purpose("CAREMGT"), AT, UTC)


def test_in_doubt_of_the_day_a_yes_has_ended_and_a_no_has_not():
    """Where no zone tells whether the last day is over, an attestation counts only against disclosure."""
    late = datetime(2025, 3, 2, 6, tzinfo=UTC)
    ends = Period(None, parse_date("2025-03-01"))
    yes = Attestation(fact="required_by_law", by="plan", name="a", period=ends)
    no = Attestation(fact="security_requirements_met", by="plan", name="b", holds=False, period=ends)
    assert (no,) == attested([yes, no], SIDES, purpose("CAREMGT"), late, None)


def test_an_attestation_is_about_a_patient_by_record_or_identifier():
    """The same id at another source is another patient; what is about all is about nobody alone."""
    mrn = Identifier("urn:mrn", "1")
    by_key = Attestation(fact="subject_has_capacity", by="plan", name="a", patient=ROSA)
    by_number = Attestation(fact="subject_has_capacity", by="plan", name="b", identifier=mrn)
    everyone = Attestation(fact="subject_has_capacity", by="plan", name="c")
    several = (by_key, by_number, everyone)
    assert (by_key,) == about(several, ROSA, ())
    assert (by_number,) == about(several, PatientKey("ca/jail", "rosa"), {mrn})
    assert () == about(several, PatientKey("ca/jail", "rosa"), {Identifier(None, "1")})


def test_a_part_2_program_is_one_by_its_type():
    """A profile says which types are programs; the rest of the directory stays as it is."""
    marked = classified(directory(), lambda kind: {"part2_program"} if kind == "cma" else {kind})
    assert {"plan": False, "agency": True} == {one.id: one.part2_program for one in marked.participants.values()}
    plain = classified(directory(), lambda kind: {kind})
    assert {False} == {one.part2_program for one in plain.participants.values()}
    assert plain == classified(plain, lambda kind: {kind})


@pytest.mark.parametrize(("said", "found"), [(None, True), (False, False), (True, True)])
def test_a_covered_entity_is_one_by_its_type_unless_the_directory_says_otherwise(said, found):
    """A health plan is covered by definition (45 CFR 160.103); of another type nothing is presumed."""
    plan = Participant(id="plan", type="mco", hipaa_covered=said)
    pantry = Participant(id="pantry", type="cbo")
    parties = Directory(participants={"plan": plan, "pantry": pantry})
    told = classified(parties, lambda kind: {"hipaa_covered"} if kind == "mco" else {kind})
    assert {"plan": found, "pantry": False} == {one.id: one.hipaa_covered for one in told.participants.values()}


def test_sources_are_those_that_patients_and_records_are_named_at():
    """What names nobody by record has none."""
    several = (
        Attestation(fact="subject_has_capacity", by="plan", name="a", patient=PatientKey("one", "rosa")),
        Attestation(fact="hh_received_same_item_from_mco", by="plan", name="b", source="two", resource="Claim/1"),
        Attestation(fact="required_by_law", by="plan", name="c"),
    )
    relationships = (Relationship(participant="plan", patient=ROSA), Relationship(participant="plan", identifier=NPI))
    assert {"one", "two", "ny/hospital"} == sources_of(directory(relationships=relationships, attestations=several))
    assert frozenset() == sources_of(directory())


def test_a_changed_directory_finds_what_it_holds():
    """What is found by patient or by sides is made anew with every change."""
    one = Attestation(fact="required_by_law", by="plan", name="a", recipient="agency")
    parts = directory(relationships=(Relationship(participant="plan", patient=ROSA),), attestations=(one,))
    marked = classified(parts, lambda kind: {"part2_program"})
    assert related(marked, "plan", ROSA, (), AT, UTC)
    assert (one,) == attestations_of(marked, SIDES) == attestations_of(marked, ("other", "agency"))
    assert () == attestations_of(marked, ("plan", "other"))
    emptied = msgspec.structs.replace(parts, relationships=(), attestations=())
    assert not related(emptied, "plan", ROSA, (), AT, UTC)
    assert () == attestations_of(emptied, SIDES)
