"""From a token to the registered participant."""

import pytest

from consent_store.identifier_systems import US_NPI
from consent_store.model import ACT_REASON, Coding, Identifier
from gateway.directory.model import Client, Directory, Participant
from gateway.errors import Forbidden, ProfileError
from gateway.identity.caller import caller_of, check_clients, check_patient
from gateway.identity.tokens import Claims
from gateway.settings import Issuer

HOSPITAL = Participant(
    id="hospital",
    type="provider_general",
    references=frozenset({"https://dir.example/Organization/99"}),
    identifiers=frozenset({Identifier(US_NPI, "1234567893")}),
    purposes=frozenset({"TREAT"}),
)
ROSA = Participant(id="rosa", type="patient", references=frozenset({"Patient/rosa"}), purposes=frozenset({"PATRQT"}))
APP = Participant(id="app", type="patient", purposes=frozenset({"PATRQT"}))
DIRECTORY = Directory(
    {one.id: one for one in (HOSPITAL, ROSA, APP)},
    clients=tuple(Client(client_id=f"{one.id}-client", participant=one.id) for one in (HOSPITAL, ROSA, APP)),
)


def claims(client="hospital-client", **more) -> Claims:
    """Verified claims of one client."""
    return Claims("https://id", client, "svc", "t1", 0, more)


def reason(code: str) -> Coding:
    """A purpose of v3-ActReason."""
    return Coding(ACT_REASON, code)


def test_an_apps_patient_is_of_a_certain_server():
    """Registered or named by the token: `Patient/id` is refused where several servers are served, and nowhere else."""
    at_other = caller_of(claims("app-client", patient="https://other.example/r4/Patient/x"), DIRECTORY).participant
    for party in (ROSA, caller_of(claims("app-client", patient="x"), DIRECTORY).participant):
        check_patient(party, {"one"})
        with pytest.raises(Forbidden, match="with the server"):
            check_patient(party, {"one", "other"})
    for party in (HOSPITAL, at_other):
        check_patient(party, {"one", "other"})


def test_the_registration_says_who_calls():
    """The client's registration gives the participant; an unregistered client is nobody."""
    assert HOSPITAL == caller_of(claims(), DIRECTORY).participant
    with pytest.raises(Forbidden, match="not registered"):
        caller_of(claims("stranger"), DIRECTORY)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ({}, None),
        ({"purpose_of_use": None}, ()),
        ({"purpose_of_use": ""}, ()),
        ({"purpose_of_use": []}, ()),
        ({"purpose_of_use": "TREAT"}, ("TREAT",)),
        ({"purpose_of_use": ["TREAT", "HPAYMT"]}, ("TREAT", "HPAYMT")),
        ({"purpose_of_use": ["T-TREAT", "TREAT"]}, ("TREAT",)),
        ({"extensions": {"hl7-b2b": {"purpose_of_use": ["urn:oid:2.16.840.1.113883.5.8#TREAT"]}}}, ("TREAT",)),
        ({"extensions": {"ihe_iua": {"purpose_of_use": [{"system": ACT_REASON, "code": "COC"}]}}}, ("COC",)),
        ({"purpose_of_use": "COC", "extensions": {"hl7-b2b": {"purpose_of_use": ["COC"]}}}, ("COC",)),
    ],
)
def test_purposes_are_read_from_every_carrier(said, read):
    """The plain claim, UDAP and IUA mean the same; no claim and an empty claim are told apart."""
    expected = None if read is None else tuple(reason(code) for code in read)
    assert expected == caller_of(claims(**said), DIRECTORY).purposes


@pytest.mark.parametrize(
    "said",
    [
        {"purpose_of_use": "TREATS"},
        {"purpose_of_use": ["TREAT", "nonsense"]},
        {"purpose_of_use": 7},
        {"purpose_of_use": [None]},
        {"purpose_of_use": [{"code": 1}]},
        {"purpose_of_use": "TREAT", "extensions": {"hl7-b2b": {"purpose_of_use": ["COC"]}}},
        {"purpose_of_use": "TREAT", "extensions": {"hl7-b2b": {"purpose_of_use": []}}},
        {"extensions": []},
        {"extensions": {"hl7-b2b": "x"}},
    ],
)
def test_purposes_that_cannot_be_read_are_refused(said):
    """An unknown code, another shape, or carriers that differ are 403, never passed over."""
    with pytest.raises(Forbidden):
        caller_of(claims(**said), DIRECTORY)


@pytest.mark.parametrize(
    "organisation",
    ["https://dir.example/Organization/99", "urn:oid:2.16.840.1.113883.4.6#1234567893", f"{US_NPI}#1234567893"],
)
def test_the_tokens_organisation_may_be_the_registered_one(organisation):
    """A UDAP or IUA organisation that is one of the participant's references or identifiers is well."""
    b2b = claims(extensions={"hl7-b2b": {"organization_id": organisation}})
    assert HOSPITAL == caller_of(b2b, DIRECTORY).participant


@pytest.mark.parametrize("organisation", ["https://dir.example/Organization/98", "urn:oid:1#1234567893", "x", 7, ""])
def test_the_tokens_organisation_may_not_be_another(organisation):
    """A token that names another organisation than the client's registration is refused."""
    for name, key in (("hl7-b2b", "organization_id"), ("ihe_iua", "subject_organization_id")):
        with pytest.raises(Forbidden, match="another organisation"):
            caller_of(claims(extensions={name: {key: organisation}}), DIRECTORY)


@pytest.mark.parametrize(
    ("client", "said", "patient"),
    [
        ("rosa-client", {}, "Patient/rosa"),
        ("rosa-client", {"patient": "rosa"}, "Patient/rosa"),
        ("rosa-client", {"patient": "Patient/omar"}, None),
        ("app-client", {"patient": "Patient/omar"}, "Patient/omar"),
        ("app-client", {"patient": "omar"}, "Patient/omar"),
        ("app-client", {"patient": "https://a.example/fhir/Patient/omar"}, "https://a.example/fhir/Patient/omar"),
        ("app-client", {}, None),
        ("app-client", {"patient": "Practitioner/1"}, None),
        ("app-client", {"patient": ["omar"]}, None),
        ("app-client", {"patient": ""}, None),
    ],
)
def test_a_patients_app_calls_for_one_patient(client, said, patient):
    """The one patient is the registered one, or the one the token names, or it is refused."""
    if patient is None:
        with pytest.raises(Forbidden):
            caller_of(claims(client, **said), DIRECTORY)
    else:
        assert {patient} == caller_of(claims(client, **said), DIRECTORY).participant.references


def test_a_patient_in_another_partys_token_changes_nothing():
    """A launch context of a hospital's token gives the hospital no patient's standing."""
    assert HOSPITAL == caller_of(claims(patient="rosa"), DIRECTORY).participant


def test_the_person_behind_the_call_is_read():
    """UDAP and IUA name the person by identifier, SMART by reference; none named is none."""
    assert caller_of(claims(), DIRECTORY).initiator is None
    b2b = {"subject_id": "urn:oid:2.16.840.1.113883.4.6#42", "subject_role": "urn:roles#nurse"}
    person = caller_of(claims(extensions={"hl7-b2b": b2b}, break_glass={"reason": "found down"}), DIRECTORY).initiator
    assert {Identifier(US_NPI, "42")} == person.identifiers
    assert (Coding("urn:roles", "nurse"),) == person.roles
    assert "found down" == person.break_glass
    user = caller_of(claims(fhirUser="https://a.example/fhir/Practitioner/9"), DIRECTORY).initiator
    assert "https://a.example/fhir/Practitioner/9" == user.reference
    iua = {"national_provider_identifier": "7", "subject_role": [{"system": "s", "code": "c"}]}
    told = caller_of(claims(extensions={"ihe_iua": iua}), DIRECTORY).initiator
    assert ({Identifier(US_NPI, "7")}, (Coding("s", "c"),)) == (told.identifiers, told.roles)


def test_a_client_must_name_its_issuer_among_several():
    """With two issuers a client id alone could be minted by the wrong one; that directory is refused."""
    one, two = (Issuer(iss=f"https://{n}", audience="a", algorithms=frozenset({"ES256"})) for n in "ab")
    check_clients(DIRECTORY, [one])
    with pytest.raises(ProfileError, match="must name its issuer"):
        check_clients(DIRECTORY, [one, two])
    stranger = Directory(
        DIRECTORY.participants, clients=(Client(client_id="x", participant="app", issuer="https://c"),)
    )
    with pytest.raises(ProfileError, match="do not list"):
        check_clients(stranger, [one])
