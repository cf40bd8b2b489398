"""What is gathered before a document is judged: what it refers to, and what that carries labels of."""

import json

from gateway.decision.judge import in_context
from gateway.facts.needs import MOST_NAMED, beside, first_round, members_of, named_by, second_round
from gateway.fhir.bundle import read_document
from gateway.fhir.resolver import Resolver
from tests.consents import actor, good, permit, r4
from tests.twin.predicates import table

VISIT = {"reference": "Encounter/e"}


def document(resource):
    """A document of one resource."""
    return read_document(json.dumps(resource).encode())


def gathered(record, *context):
    """What the first round asks for, then what is still missing beside these context records."""
    asked = document(record)
    whole = in_context(asked, tuple(view for one in context for view in document(one).views))
    later = second_round(whole.views[len(asked.views) :], Resolver(whole), table().elements)
    first = first_round(asked.views, Resolver(asked))
    return dict(first.by_type), dict(later.by_type)


def test_a_visits_reasons_are_gathered_with_it():
    """A visit, then what it was for, its episode and what it is part of; not what else it found."""
    visit = {
        "resourceType": "Encounter",
        "id": "e",
        "partOf": {"reference": "Encounter/f"},
        "episodeOfCare": [{"reference": "EpisodeOfCare/p"}],
        "reasonReference": [{"reference": "Condition/c"}],
        "diagnosis": [
            {"condition": {"reference": "Condition/d"}, "rank": 1},
            {"condition": {"reference": "Condition/x"}, "rank": 2},
        ],
    }
    first, later = gathered({"resourceType": "Observation", "id": "o", "encounter": VISIT}, visit)
    assert {"Encounter": frozenset({"e"})} == first
    assert {
        "Encounter": frozenset({"f"}),
        "EpisodeOfCare": frozenset({"p"}),
        "Condition": frozenset({"c", "d"}),
    } == later


def test_a_claim_is_gathered_for_its_answer():
    """What a ClaimResponse is about, and the visits of that claim's lines."""
    claim = {"resourceType": "Claim", "id": "k", "item": [{"sequence": 1, "encounter": [VISIT]}]}
    first, later = gathered({"resourceType": "ClaimResponse", "id": "r", "request": {"reference": "Claim/k"}}, claim)
    assert {"Claim": frozenset({"k"})} == first
    assert {"Encounter": frozenset({"e"})} == later


def test_nothing_that_is_policy_or_content_is_gathered():
    """Consents, audit, provenance and Binaries are never context."""
    record = {
        "resourceType": "List",
        "id": "l",
        "entry": [{"item": {"reference": f"{kind}/1"}} for kind in ("Consent", "AuditEvent", "Provenance", "Binary")],
    }
    assert ({}, {}) == gathered(record)


def told_by(provision, *, records=True, source="ehr", known=frozenset({"Organization/o1"}), **more):
    """What an active consent with this root names, as ids by type."""
    consent = good(r4(provision=provision, **more))
    return dict(named_by([consent], source, frozenset(), known, records=records).by_type)


def test_parties_that_a_consent_names_are_gathered():
    """Actors of every role and custodians, at any depth; not those of the directory, nor patients."""
    deep = permit(
        provision=[{"type": "deny", "actor": [actor("CareTeam/t")], "provision": [permit(actor=[actor("Group/h")])]}]
    )
    deep["actor"] = [actor("Group/g"), actor("Organization/o7"), actor("Patient/1"), actor("Practitioner/a", "AUT")]
    found = told_by(deep, known=frozenset({"Organization/o7"}))
    everybody = {"Group": {"g", "h"}, "CareTeam": {"t"}, "Practitioner": {"a"}, "Organization": {"o1"}}
    assert everybody == found


def test_records_are_gathered_where_their_own_references_are_asked_for():
    """`related` looks from the named record; the other meanings do not need it. Never for a push."""
    meanings = ("instance", "related", "dependents", "authoredby")
    data = [{"meaning": one, "reference": {"reference": f"Encounter/{one}"}} for one in meanings]
    assert {"Encounter": {"related"}} == told_by(permit(data=data))
    assert {} == told_by(permit(data=data), records=False)


def test_a_consent_of_another_server_names_nothing_of_ours():
    """Its relative references are relative to another server."""
    assert {} == told_by(permit(actor=[actor("Group/g")]), source="another")


def test_no_more_is_gathered_than_the_most():
    """A consent that names thousands costs no more than the bound."""
    found = told_by(permit(actor=[actor(f"Group/g{number}") for number in range(3 * MOST_NAMED)]))
    assert MOST_NAMED == len(found["Group"])


def test_members_are_gathered_and_those_of_the_directory_are_known():
    """The members of a group, the participants of a team, who works in a role; never patients."""
    one = {
        "resourceType": "Group",
        "id": "g",
        "member": [{"entity": {"reference": who}} for who in ("Patient/1", "CareTeam/t")],
    }
    two = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "Practitioner/p"}}
    two["organization"] = {"reference": "Organization/o7"}
    views = [view for tree in (one, two) for view in document(tree).views]
    found = members_of(views, frozenset(), frozenset({"Organization/o7"}))
    assert {"CareTeam": {"t"}, "Practitioner": {"p"}} == dict(found.by_type)


def test_L023_what_one_record_tells_does_not_count_against_another():
    """A record whose text names more than are looked up: what the text of another names is looked up all the same."""
    named = " ".join(f"Observation/n{number}" for number in range(MOST_NAMED + 5))
    crowd = {"resourceType": "Observation", "id": "crowd", "note": [{"text": named}]}
    plain = {"resourceType": "Observation", "id": "plain", "note": [{"text": "see Condition/one"}]}
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": crowd}, {"resource": plain}]}
    asked = document(bundle)
    found = first_round(asked.views, Resolver(asked))
    assert MOST_NAMED == len(found.of("Observation"))
    assert frozenset({"one"}) == found.of("Condition")


def test_L023_what_one_patients_consents_name_does_not_count_against_anothers():
    """So many groups named for one patient, and one for another: that one is looked up too."""
    own = frozenset()
    groups = [actor(f"Group/g{number}") for number in range(MOST_NAMED + 5)]
    first = good(r4(provision=permit(actor=groups), patient={"reference": "Patient/a"}))
    other = good(r4(provision=permit(actor=[actor("Group/other")]), patient={"reference": "Patient/b"}))
    found = named_by([first, other], first.patient.source, own, frozenset(), records=True)
    assert {"g0", "other"} <= found.of("Group")
    assert MOST_NAMED == len(found.of("Group"))  # the custodian is the first that the one names


def test_what_a_search_brings_along_leads_to_subject_visit_and_source():
    """One include for each element that nearly every record of a type is decided with, by either of its names."""
    found = beside("Observation", table())
    assert {
        ("Observation:subject", "Observation:patient"),
        ("Observation:performer",),
        ("Observation:encounter",),
    } == set(found)
    assert () == beside("Practitioner", table())


def test_what_a_gathered_record_may_not_outlive_is_gathered_too():
    """A claim's diagnoses and coverage, whatever a Provenance is of, and nothing that could go by itself."""
    claim = {
        "resourceType": "Claim",
        "id": "k",
        "diagnosis": [{"sequence": 1, "diagnosisReference": {"reference": "Condition/d"}}],
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/v"}}],
    }
    _, later = gathered({"resourceType": "ExplanationOfBenefit", "id": "b", "claim": {"reference": "Claim/k"}}, claim)
    assert {"Condition": frozenset({"d"}), "Coverage": frozenset({"v"})} == later
    alone = {"resourceType": "Observation", "id": "o", "hasMember": [{"reference": "Observation/m"}]}
    _, later = gathered({"resourceType": "Task", "id": "t", "focus": {"reference": "Observation/o"}}, alone)
    assert {} == later
