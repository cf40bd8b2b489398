"""The directory file: what a whole one gives, and what each mistake is told by."""

import pytest

from consent_store.dates import parse_date
from consent_store.model import Coding, Identifier, PatientKey
from gateway.directory.model import Client
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
    ],
)
def test_a_mistake_is_refused_by_line_and_key(old, new, said):
    """Every mistake is an error that names its place; none is passed over."""
    assert old in WHOLE
    with pytest.raises(ProfileError) as caught:
        parse_directory(WHOLE.replace(old, new, 1), "d.yaml", TYPES)
    assert said in caught.value.message
