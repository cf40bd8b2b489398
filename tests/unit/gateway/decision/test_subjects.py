"""Who is who: names, copies, shared identifiers, links, several servers. No confusion permits anything."""

import pytest

from tests.questions import ROSA, SUBJECT, asked, bundle, consent, observation, recipient, searchset

NUMBER = {"system": "urn:example:mrn", "value": "7"}
NUMBERED = {**ROSA, "identifier": [NUMBER]}
OTHER = {"resourceType": "Patient", "id": "other", "identifier": [NUMBER]}
URN = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"


def effect(resource, *consents, profile="us-hipaa", context=(ROSA,), **changes):
    """The effect under HIPAA, where only a refusal keeps a record back, or under another profile."""
    return asked(resource, profile=profile, context=list(context), consents=list(consents), **changes)["effect"]


def by_full_url(patient, record, url=URN):
    """A collection whose patient has this fullUrl, which the record names."""
    found = bundle(patient, record)
    found["entry"][0]["fullUrl"] = url
    return found


@pytest.mark.parametrize("patient", [NUMBERED, {key: value for key, value in NUMBERED.items() if key != "id"}])
@pytest.mark.parametrize("name", [URN, URN.upper().replace("URN:UUID", "urn:uuid")])
def test_a_consent_may_name_the_patient_by_the_entrys_urn(patient, name):
    """Synthea's Bundles do: refusals and permits by urn count, with and without an id, in any letter case."""
    asking = by_full_url(patient, observation(subject={"reference": URN}))

    assert "deny" == effect(asking, consent("deny", {"reference": name}), context=[])
    assert "permit" == effect(asking, consent("permit", {"reference": name}), profile="base", context=[])


def test_a_consent_may_name_the_patient_by_the_servers_url():
    """The base that the entries' fullUrls show is this server's."""
    asking = by_full_url(ROSA, observation(), "http://ehr.example/fhir/Patient/rosa")
    named = {"reference": "http://ehr.example/fhir/Patient/rosa"}

    assert "permit" == effect(asking, consent("permit", named), profile="base", context=[])
    assert "deny" == effect(asking, consent("deny", named), context=[])


@pytest.mark.parametrize(
    ("resource", "context"),
    [
        (searchset(observation()), [NUMBERED]),
        (searchset(ROSA, observation()), [NUMBERED]),
        (searchset(ROSA, NUMBERED, observation()), []),
        (searchset(observation(contained=[{"resourceType": "Organization", "id": "rosa"}])), [NUMBERED]),
    ],
    ids=["context", "document and context", "two copies", "a contained resource of the same id"],
)
def test_what_the_copies_of_a_patient_say_adds_up(resource, context):
    """A refusal by number is found whichever copy has the number (the same id is one person)."""
    assert "deny" == effect(resource, consent("deny", {"identifier": NUMBER}), context=context)


@pytest.mark.parametrize("context", [[NUMBERED, OTHER], [OTHER, NUMBERED]])
def test_a_number_that_two_have_names_nobody(context):
    """A record about `identifier` alone that two patients share is about somebody unknown (L007)."""
    asking = searchset(observation(subject={"identifier": NUMBER}))

    assert "deny" == effect(asking, context=context)
    assert "deny" == effect(asking, consent(), profile="base", context=context)


def test_a_consent_of_another_record_permits_nothing_though_the_number_is_the_same():
    """Who is named counts, not the number beside the name."""
    named = {"reference": "Patient/other", "identifier": NUMBER}

    assert "deny" == effect(
        searchset(observation()), consent("permit", named), profile="base", context=[NUMBERED, OTHER]
    )


@pytest.mark.parametrize(
    "context",
    [
        [ROSA, {"resourceType": "Patient", "id": "old", "link": [{"other": SUBJECT, "type": "replaces"}]}],
        [{**ROSA, "link": [{"other": {"reference": "Patient/old"}, "type": "replaced-by"}]}],
        [
            ROSA,
            {"resourceType": "Patient", "id": "mid", "link": [{"other": SUBJECT, "type": "seealso"}]},
            {
                "resourceType": "Patient",
                "id": "old",
                "link": [{"other": {"reference": "Patient/mid"}, "type": "seealso"}],
            },
        ],
        [ROSA, {"resourceType": "Person", "link": [{"target": SUBJECT}, {"target": {"reference": "Patient/old"}}]}],
        [NUMBERED, {"resourceType": "Patient", "id": "old", "identifier": [NUMBER]}],
    ],
    ids=["replaces", "replaced by", "two steps", "person", "same number"],
)
def test_a_refusal_on_a_linked_record_counts_and_a_permit_does_not(context):
    """Links never widen anything, and a refusal holds for the person (L009)."""
    old = {"reference": "Patient/old"}

    assert "permit" == effect(searchset(observation()), context=context)
    assert "deny" == effect(searchset(observation()), consent("deny", old), context=context)
    assert "deny" == effect(searchset(observation()), consent("permit", old), profile="base", context=context)


def test_patients_of_several_servers_are_nobody_we_know():
    """`Patient/rosa` at two bases may be two people: neither's consents open anything (L092)."""
    asking = bundle(ROSA, {**ROSA, "birthDate": "1970-01-01"}, observation())
    for entry, base in zip(asking["entry"], ("a", "b", "b"), strict=True):
        entry["fullUrl"] = f"http://{base}.example/{entry['resource']['resourceType']}/{entry['resource']['id']}"

    assert "deny" == effect(asking, consent(), profile="base", context=[])
    assert "deny" == effect(asking, context=[])


def test_an_entry_under_anothers_address_is_both_until_told_apart():
    """A record that names `Patient/two`, where Rosa's entry stands under that address, needs both to permit."""
    asking = searchset(ROSA, observation(subject={"reference": "Patient/two"}))
    asking["entry"][0]["fullUrl"] = "http://ehr.example/Patient/two"
    asking["entry"][1]["fullUrl"] = "http://ehr.example/Observation/weight"

    assert "permit_redacted" == effect(asking, consent(), profile="base", context=[])


@pytest.mark.parametrize(("direction", "expected"), [("push", "deny"), ("read", "permit")])
def test_a_senders_group_is_data_not_policy(direction, expected):
    """Who is a member is shown by the server asked about, never by who pushes (L080)."""
    team = {
        "resourceType": "Group",
        "id": "team",
        "type": "practitioner",
        "actual": True,
        "member": [{"entity": {"reference": "Organization/valley"}}],
    }
    to_team = consent(actor=[recipient({"reference": "Group/team"})])
    found = asked(
        bundle(observation(), team, type="batch"),
        profile="base",
        consents=[to_team],
        interaction={"type": "batch", "direction": direction},
    )

    assert {"deny": "withheld", "permit": "disclosed"}[expected] == found["decisions"][0]["verdict"]
