"""Where attestations land among the facts."""

from consent_store.model import Identifier, PatientKey
from gateway.directory.model import Attestation
from gateway.facts.attested import OfPatients, of_exchange, of_resources

ROSA = PatientKey("s", "rosa")


def attestation(fact: str, *, holds: bool = True, **limits) -> Attestation:
    """An attestation of the plan's."""
    return Attestation(fact=fact, by="plan", name="a", holds=holds, **limits)


def test_each_lands_in_its_own_scope():
    """What is about one patient or one record is stated of nothing else."""
    several = (
        attestation("required_by_law"),
        attestation("subject_has_capacity", holds=False, patient=ROSA),
        attestation("enrolled_and_consented", identifier=Identifier("urn:mrn", "1")),
        attestation("hh_received_same_item_from_mco", source="s", resource="Claim/1"),
        attestation("hh_received_same_item_from_mco", source="elsewhere", resource="Claim/2"),
    )
    assert {"required_by_law": True} == of_exchange(several)
    assert {"subject_has_capacity": False} == OfPatients(several).stated(ROSA, ())
    assert {"enrolled_and_consented": True} == OfPatients(several).stated(
        PatientKey("s", "omar"), [Identifier("urn:mrn", "1")]
    )
    assert {"Claim/1": {"hh_received_same_item_from_mco": True}} == of_resources(several, "s")


def test_a_no_counts_whatever_its_place():
    """Of two attestations of one fact the one that says no counts, in either order."""
    yes, no = attestation("required_by_law"), attestation("required_by_law", holds=False)
    assert {"required_by_law": False} == of_exchange([yes, no]) == of_exchange([no, yes])
