"""The directory file: what a whole one gives, and what each mistake is told by."""

import pytest

from consent_store.dates import Period, parse_date
from consent_store.model import Coding, Identifier, PatientKey
from gateway.directory.model import Attestation, Client
from gateway.directory.reading import parse_directory, purpose_text
from gateway.errors import ProfileError

TYPES = frozenset({"mcp", "cma", "provider_general", "patient"})

WHOLE = """\
participants:
  - id: mcp1
    type: mcp
    name: A plan
    hipaa_covered: true
    references: [Organization/7]
    identifiers: [{system: "http://hl7.org/fhir/sid/us-npi", value: "1234567893"}]
    purposes: ["urn:oid:2.16.840.1.113883.5.8#CAREMGT", HPAYMT, "urn:x|own"]
    attributes: {usda_funding: true, consent_custodians: [cma1]}
  - {id: cma1, type: cma, purposes: []}
agreements:
  - {type: SOW, between: [mcp1, cma1], data: [contact_info], purposes: [], period: {start: 2024-01, end: 2025}}
  - {type: BAA, between: [mcp1, cma1]}
relationships:
  - {participant: mcp1, patient: {source: ny/hospital, id: rosa}}
  - {participant: cma1, identifier: {system: urn:mrn, value: "1"}}
clients:
  - {client_id: plan-app, participant: mcp1}
attestations:
  - {fact: required_by_law, by: mcp1, recipient: cma1, purposes: [HOPERAT], period: {end: 2026}}
  - {id: capacity-1, fact: subject_has_capacity, by: cma1, discloser: cma1, holds: false,
     patient: {source: s, id: rosa}}
  - {fact: enrolled_and_consented, by: cma1, recipient: cma1, identifier: {system: urn:mrn, value: "2"}}
  - {fact: cma_aware_provider_is_treating, by: cma1, discloser: cma1, patient: all}
  - {fact: discloser_attests_advances_treatment, by: cma1}
  - {fact: hh_received_same_item_from_mco, by: cma1, discloser: cma1, resource: {source: s, id: Claim/1}}
"""


def test_a_whole_file_is_read():
    """Everything the file says arrives as values, purposes in their one spelling."""
    directory = parse_directory(WHOLE, "d.yaml", TYPES)
    plan = directory.participants["mcp1"]
    assert {"CAREMGT", "HPAYMT", "urn:x|own"} == plan.purposes
    assert {"Organization/7"} == plan.references
    assert {Identifier("http://hl7.org/fhir/sid/us-npi", "1234567893")} == plan.identifiers
    assert {"usda_funding": True, "consent_custodians": ("cma1",)} == plan.attributes
    assert plan.hipaa_covered
    assert not plan.part2_program
    assert frozenset() == directory.participants["cma1"].purposes
    assert (Client(client_id="plan-app", participant="mcp1"),) == directory.clients


def test_absent_is_not_limited_and_empty_is_nothing():
    """An agreement that lists no data or purposes is told apart from one that leaves the list out."""
    limited, open_ended = parse_directory(WHOLE, "d.yaml", TYPES).agreements
    assert (frozenset({"contact_info"}), frozenset()) == (limited.data, limited.purposes)
    assert parse_date("2024-01") == limited.period.start
    assert (None, None) == (open_ended.data, open_ended.purposes)


def test_relationships_are_by_record_or_identifier():
    """A relationship names the record at its source, or a business identifier."""
    by_record, by_identifier = parse_directory(WHOLE, "d.yaml", TYPES).relationships
    assert PatientKey("ny/hospital", "rosa") == by_record.patient
    assert Identifier("urn:mrn", "1") == by_identifier.identifier


def test_an_attestation_is_read_with_all_that_limits_it():
    """Each says who attests what, of whose exchanges, of whom, until when; by name, or by its place in the file."""
    law, capacity, enrolled, aware, referral, item = parse_directory(WHOLE, "d.yaml", TYPES).attestations
    until = Period(None, parse_date("2026"))
    assert law == Attestation(
        fact="required_by_law",
        by="mcp1",
        name="attestations[0]",
        recipient="cma1",
        purposes=frozenset({"HOPERAT"}),
        period=until,
    )
    assert ("capacity-1", False, PatientKey("s", "rosa")) == (capacity.name, capacity.holds, capacity.patient)
    assert Identifier("urn:mrn", "2") == enrolled.identifier
    assert not aware.of_one_patient
    assert "cma1" == referral.discloser
    assert ("s", "Claim/1") == (item.source, item.resource)


def test_a_client_may_attest_what_it_is_registered_for():
    """The registration lists facts, known ones only."""
    text = WHOLE.replace("participant: mcp1}\nattest", "participant: mcp1, may_attest: [required_by_law]}\nattest")
    assert frozenset({"required_by_law"}) == parse_directory(text, "d.yaml", TYPES).clients[0].may_attest


def test_the_revision_is_of_the_text():
    """The revision changes with the text and with nothing else."""
    first = parse_directory(WHOLE, "d.yaml", TYPES).revision
    assert first == parse_directory(WHOLE, "other.yaml", TYPES).revision
    assert first != parse_directory(WHOLE.replace("A plan", "The plan"), "d.yaml", TYPES).revision


def test_a_purpose_has_one_spelling():
    """ActReason purposes are their code alone, those of another system carry it."""
    assert "TREAT" == purpose_text(Coding("http://terminology.hl7.org/CodeSystem/v3-ActReason", "TREAT"))
    assert "urn:x|own" == purpose_text(Coding("urn:x", "own"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("type: mcp", "type: plan", "d.yaml:3: participants[0].type: `plan` is not one of"),
        ("purposes: []}\nagr", "}\nagr", "purposes is missing"),
        ("hipaa_covered", "hipaa_coverd", "d.yaml:5: participants[0].hipaa_coverd: unknown key"),
        ("usda_funding", "usda_fundng", "unknown attribute `usda_fundng`"),
        ("usda_funding: true", "usda_funding: maybe", "must be true or false"),
        ("HPAYMT, ", "HPAYMTS, ", "`HPAYMTS` is not a purpose of use"),
        ("id: cma1", "id: mcp1", "participant `mcp1` stands twice"),
        ("[mcp1, cma1], data", "[mcp1, cma2], data", "unknown participant `cma2`"),
        ("[mcp1, cma1], data", "[mcp1, mcp1], data", "between needs two participants"),
        ("type: SOW", "type: SWO", "`SWO` is not one of"),
        ("end: 2025", "end: 2023", "ends before it begins"),
        ("end: 2025", "end: 2025-13", "is not a FHIR date"),
        ("end: 2025", "until: 2025", "period.until: unknown key"),
        ("patient: {source: ny/hospital, id: rosa}", "period: {}", "patient or identifier is needed"),
        ("Organization/7", "Organization", "a reference is `Type/id`"),
        ("type: cma,", "type: cma, references: [Organization/7],", "belongs to `mcp1` and to `cma1`"),
        ("{client_id: plan-app, participant: mcp1}", "{client_id: plan-app, participant: x}", "unknown participant"),
        ("clients:", "clients:\n  - {client_id: plan-app, participant: cma1}", "client `plan-app` stands twice"),
        ("clients:", "clients:\n  - {client_id: plan-app, participant: cma1, issuer: i}", "`plan-app` stands twice"),
        ('value: "1"}', "}", "value: is missing"),
        (
            "participant: mcp1}\nat",
            "participant: mcp1, may_attest: [x]}\nat",
            "clients[0].may_attest[0]: `x` is not one",
        ),
        ("fact: required_by_law", "fact: required", "d.yaml:20: attestations[0].fact: `required` is not one of"),
        ("fact: required_by_law", "fact: adult_only", "`adult_only` is derived and cannot be attested"),
        ("by: mcp1, recipient: cma1", "recipient: cma1", "attestations[0].by: is missing"),
        ("by: mcp1, recipient: cma1", "by: cma2, recipient: cma1", "unknown participant `cma2`"),
        ("by: mcp1, recipient: cma1", "by: mcp1", "name the discloser, the recipient or both"),
        ("by: mcp1, recipient: cma1", "by: mcp1, recipient: cma1, to: cma1", "attestations[0].to: unknown key"),
        ("patient: {source: s, id: rosa}", "purposes: []", "is about a person: patient or identifier is needed"),
        ("patient: {source: s, id: rosa}", "patient: rosa", "`rosa` is not one of all"),
        ("patient: {source: s, id: rosa}", "patient: {id: rosa}", "patient.source: is missing"),
        ('value: "2"}', 'value: "2"}, patient: all', "is about all patients or about one"),
        ("s, id: Claim/1}", "s, id: Claim}", "resource.id: is not `Type/id`"),
        ("s, id: Claim/1}", "s, id: Claim/1}, patient: {source: s, id: rosa}", "a resource says itself whose it is"),
        ("patient: all", "patient: all, resource: {source: s, id: Claim/1}", "is not a fact about single records"),
        ("treatment, by: cma1}", "treatment, by: cma1, discloser: mcp1}", "is the discloser's own word"),
        ("id: capacity-1", "id: rosa's", "an id is letters"),
    ],
)
def test_a_mistake_is_refused_by_line_and_key(old, new, said):
    """Every mistake is an error that names its place; none is passed over."""
    assert old in WHOLE
    with pytest.raises(ProfileError) as caught:
        parse_directory(WHOLE.replace(old, new, 1), "d.yaml", TYPES)
    assert said in caught.value.message


def test_an_agreement_lists_data_by_words_that_are_known():
    """A word stands for its categories, a word for a file for what is in it; a misspelt one is an error by line."""
    words = {"contact_info": {"contact_info"}, "file": {"claims", "encounter"}}
    text = WHOLE.replace("data: [contact_info]", "data: [contact_info, file]")

    found = parse_directory(text, "d", TYPES, words=words)
    assert frozenset({"contact_info", "claims", "encounter"}) == found.agreements[0].data
    with pytest.raises(ProfileError, match=r"d:\d+: agreements\[0\].data\[0\]: `contact` is not one of"):
        parse_directory(WHOLE.replace("data: [contact_info]", "data: [contact]"), "d", TYPES, words=words)
