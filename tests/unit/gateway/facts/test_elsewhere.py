"""Consents of another server: what is relative in them is relative to that server."""

import msgspec
import pytest

from consent_store.model import Consent, PatientKey, Reference, Unreadable
from consent_store.reading import read_consent
from gateway.directory.model import Directory, Participant
from gateway.facts.elsewhere import as_here
from tests.consents import actor, good, permit, r4, r5, text

BASES = {"here": frozenset({"http://here/fhir"}), "there": frozenset({"http://there/fhir/", "https://there.example"})}
PARTIES = [
    Participant(id="any", name="any", type="plan", references=frozenset({"Organization/any"})),
    Participant(
        id="one", name="one", type="plan", references=frozenset({"https://THERE.example:443/Organization/one"})
    ),
]
DIRECTORY = Directory(participants={one.id: one for one in PARTIES})


def of(source: str, consent: Consent) -> Consent:
    """A consent of a source."""
    return msgspec.structs.replace(consent, patient=PatientKey(source, consent.patient.id))


def read_here(consent: Consent | Unreadable, bases=BASES) -> Consent | Unreadable:
    """The consent as it reads here."""
    (found,) = as_here([consent], "here", bases, DIRECTORY)
    return found


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Group/g", "http://there/fhir/Group/g"),
        ("Group/g/_history/2", "http://there/fhir/Group/g/_history/2"),
        ("Organization/any", "Organization/any"),
        ("Organization/one", "https://there.example/Organization/one"),
        ("http://here/fhir/Group/g", "http://here/fhir/Group/g"),
        ("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"),
        ("#inside", "#inside"),
    ],
)
def test_every_reference_is_of_the_consent_s_server(written, meant):
    """Custodian, recipient, author, record, at any depth: what is relative gets a base, all else stays."""
    rule = {"actor": [actor(written)], "data": [{"meaning": "instance", "reference": {"reference": written}}]}
    tree = r4(provision=permit(**rule, provision=[{"type": "deny", **rule}]), organization=[{"reference": written}])
    found = read_here(of("there", good(tree)))
    (outer,) = found.provisions
    (inner,) = outer.nested
    named = [found.custodians[0], *(one.actors[0].reference for one in (outer, inner))]
    named += [one.data[0].reference for one in (outer, inner)]
    assert {meant} == {one.reference for one in named}


def test_the_grantee_of_r5_is_of_the_consent_s_server():
    """So is who is named beside the provisions."""
    tree = r5(grantee=[{"reference": "Group/g"}])
    assert (Reference("http://there/fhir/Group/g"),) == read_here(of("there", good(tree))).grantees


@pytest.mark.parametrize("signer", ["Patient/p1", "http://there/fhir/Patient/p1", "https://there.example/Patient/p1"])
def test_the_patient_signs_by_the_name_it_has_there(signer):
    """The Consent's own patient is its signer under any name that the server gives it; another patient is not."""
    consent = of("there", good(r4(patient={"reference": "Patient/p1"}, performer=[{"reference": signer}])))
    assert (Reference("Patient/p1"),) == read_here(consent).performers
    other = msgspec.structs.replace(consent, performers=(Reference("Patient/p2"),))
    assert (Reference("http://there/fhir/Patient/p2"),) == read_here(other).performers


def test_a_consent_of_this_server_stays_as_it_is():
    """It is the same object, and so is one of no server where there is but one."""
    consent = good(r4(provision=permit(actor=[actor("Group/g")])))
    assert read_here(of("here", consent)).provisions is consent.provisions
    alone = {"here": BASES["here"]}
    assert read_here(of("", consent), alone).provisions is consent.provisions


def test_of_several_servers_a_consent_of_none_points_nowhere():
    """Filed by the patient's number alone: `Group/g` may be of either; what the directory lists for any is meant."""
    references = [actor("Group/g"), actor("Group/h"), actor("Organization/any")]
    (rule,) = read_here(of("", good(r4(provision=permit(actor=references))))).provisions
    assert ["elsewhere:/Group/g", "elsewhere:/Group/h", "Organization/any"] == [
        a.reference.reference for a in rule.actors
    ]


def test_the_same_consent_is_the_same_object_again():
    """What was compiled of it serves the next request."""
    consent = of("there", good(r4(provision=permit(actor=[actor("Group/g")]))))
    assert read_here(consent) is read_here(consent)


def test_one_that_cannot_be_read_keeps_its_custodian_there():
    """It refuses in the group of its own server's custodian."""
    read = read_consent(text(r4(status="odd", organization=[{"reference": "Organization/x"}])), source="there")
    assert (Reference("http://there/fhir/Organization/x"),) == read_here(read).custodians
