"""The small print of matching: what once could be changed without a test noticing."""

from datetime import UTC, datetime

import msgspec
import pytest

from consent_store.model import ACT_REASON, Effect, Provision
from gateway.decision.model import Answer
from tests.consent_questions import LOINC, NPI, ask, exchange, observation, program, relations, target, view
from tests.consents import actor, code, concept, good, permit, r4, value

TYPES = "http://hl7.org/fhir/resource-types"
MODIFIED = [{"url": "http://example.org/odd", "valueBoolean": True}]
PERMIT, DENY, SILENT = Answer.PERMIT, Answer.DENY, Answer.NOT_APPLICABLE
GROUP = {"resourceType": "Group", "id": "x", "member": [{"entity": {"reference": "Organization/o7"}}]}
TEAM = {
    "resourceType": "CareTeam",
    "id": "x",
    "status": "active",
    "participant": [{"member": {"reference": "Organization/o7"}}],
}
ROLE = {"resourceType": "PractitionerRole", "id": "x", "organization": {"reference": "Organization/o7"}}


def both(rule, **how):
    """What a permit and a deny with this condition say."""
    return tuple(ask(r4(provision=permit(type=effect, **rule)), **how).answer for effect in ("permit", "deny"))


@pytest.mark.parametrize("shown", [GROUP, TEAM, ROLE], ids=["Group", "CareTeam", "PractitionerRole"])
def test_a_membership_with_an_unknown_modifier_proves_nothing(shown):
    """The modifier may say that these are no members: no permit, and a deny stands."""
    rule = {"actor": [actor(f"{shown['resourceType']}/x")]}
    assert (PERMIT, DENY) == both(rule, shown=relations(shown))
    assert (SILENT, DENY) == both(rule, shown=relations({**shown, "modifierExtension": MODIFIED}))


@pytest.mark.parametrize(
    ("system", "role"),
    [
        ("http://hl7.org/fhir/v3/ParticipationType", "IRCP"),
        ("urn:oid:2.16.840.1.113883.5.90", "IRCP"),
        ("https://terminology.hl7.org/CodeSystem/v3-ParticipationType", "PRCP"),
        ("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "GRANTEE"),
        ("http://hl7.org/fhir/v3/RoleCode", "GRANTEE"),
        ("urn:oid:2.16.840.1.113883.5.111", "GRANTEE"),
    ],
)
def test_a_recipient_by_every_spelling_of_the_role(system, role):
    """A role is one code, however its system is written."""
    rule = {"actor": [{"role": concept(system, role), "reference": {"reference": "Organization/o7"}}]}
    assert (PERMIT, DENY) == both(rule)


def test_a_domain_resource_is_every_type_but_three():
    """Binary, Bundle and Parameters are no DomainResource; Resource is everything."""
    rule = {"class": [code(TYPES, "DomainResource")]}
    for kind in ("Binary", "Bundle", "Parameters"):
        about = target({"resourceType": kind, "id": "x"})
        assert (SILENT, SILENT) == both(rule, about=about)
        assert (PERMIT, DENY) == both({"class": [code(TYPES, "Resource")]}, about=about)
    assert (PERMIT, DENY) == both(rule, about=target())


def test_the_media_type_of_a_binary_is_a_class_of_document():
    """By its contentType alone."""
    rule = {"class": [code("urn:ietf:bcp:13", "application/pdf")]}
    binary = {"resourceType": "Binary", "id": "x", "contentType": "application/pdf"}
    assert (PERMIT, DENY) == both(rule, about=target(binary))
    assert (SILENT, SILENT) == both(rule, about=target({**binary, "contentType": "text/plain"}))
    assert (SILENT, SILENT) == both(rule, about=target(observation(contentType="application/pdf")))
    odd = {
        "resourceType": "DocumentReference",
        "id": "x",
        "content": [{"attachment": {"contentType": ["application/pdf"]}}],
    }
    assert (SILENT, SILENT) == both(rule, about=target(odd))


def test_records_of_one_type_with_other_profiles_are_asked_apart():
    """What was said of the one is not said of the other."""
    profile = "http://example.org/StructureDefinition/glucose"
    settled = program(r4(provision=permit(**{"class": [code("urn:ietf:rfc:3986", profile)]})))
    plain, profiled = target(observation()), target(observation(meta={"profile": [profile]}))
    odd = target(observation(meta={"profile": [7, None]}))
    said = [settled.decide(one).answer for one in (plain, profiled, odd, plain)]
    assert [SILENT, PERMIT, SILENT, SILENT] == said


def test_custodians_nobody_registered_are_told_apart():
    """By reference, identifier, else by the text as written: another custodian is another group, whose deny stands."""
    one, same, other = ({"identifier": {"system": NPI, "value": value}} for value in ("51", "51", "52"))
    local, elsewhere = {"reference": "#a"}, {"reference": "#b"}
    first, second = {"reference": "Organization/s1"}, {"reference": "Organization/s2"}
    for mine, again, another in ((one, same, other), (local, local, elsewhere), (first, first, second)):
        refusal = r4(id="d", dateTime="2024-01-01", organization=[mine], provision={"type": "deny"})
        settled = [good(refusal), good(r4(id="p", organization=[again], provision=permit(actor=[HOLDS])))]
        assert PERMIT is ask(*settled).answer
        settled[1] = good(r4(id="p", organization=[another], provision=permit(actor=[HOLDS])))
        assert DENY is ask(*settled).answer


HOLDS = actor("Organization/o1", "CST")


def test_without_a_zone_it_holds_until_the_first_instant_that_may_matter():
    """A day ends first at UTC+14: from then on the permit is no longer sure; it begins last at UTC-12."""
    consent = r4(provision=permit(period={"end": "2025-03-02"}))
    assert datetime(2025, 3, 2, 10, tzinfo=UTC) == program(consent, zone=None).valid_until
    begins = r4(provision=permit(period={"start": "2025-03-02"}))
    assert datetime(2025, 3, 2, 12, tzinfo=UTC) == program(begins, zone=None).valid_until


@pytest.mark.parametrize("start", ["2025-03-01", "2025-03-01T00:00:00Z"])
def test_a_period_that_ends_the_day_before_it_starts_is_none(start):
    """It covers nothing, so a permit never holds and a deny always does."""
    for at in (datetime(2025, 2, 28, 12, tzinfo=UTC), datetime(2025, 3, 1, 0, tzinfo=UTC)):
        rule = {"period": {"start": start, "end": "2025-02-28"}}
        assert (SILENT, DENY) == both(rule, asked=exchange(at=at))


def test_two_roots_cannot_be_evaluated():
    """R4 has one; two would be somebody's guess."""
    root = Provision(type=Effect.PERMIT)
    consent = value(root)
    assert PERMIT is ask(consent).answer
    assert DENY is ask(msgspec.structs.replace(consent, provisions=(root, root))).answer


def test_what_has_no_id_of_its_own_is_nobodys_reference():
    """A resource without id, and one contained in another, show nothing of `Organization/None` or `Organization/c`."""
    nameless = {"resourceType": "Organization", "identifier": [{"system": NPI, "value": "7"}]}
    inside = {"resourceType": "Organization", "id": "c", "identifier": [{"system": NPI, "value": "7"}]}
    holder = {"resourceType": "Organization", "id": "h", "contained": [inside]}
    shown = relations(nameless, holder)
    assert {"Organization/h"} == set(shown.resources)


def test_a_code_of_another_system_is_another_code():
    """Of what is recorded and of what it is for."""
    rule = {"code": [concept(LOINC, "2339-0")]}
    other = observation(code={"coding": [code("urn:other", "2339-0")]})
    assert (PERMIT, DENY) == both(rule)
    assert (SILENT, SILENT) == both(rule, about=target(other))
    assert SILENT is ask(r4(provision=permit(purpose=[code("urn:other", "TREAT")])), asked=exchange("TREAT")).answer
    assert PERMIT is ask(r4(provision=permit(purpose=[code(ACT_REASON, "TREAT")])), asked=exchange("COC")).answer


def test_a_contained_resource_is_no_instance_of_its_own():
    """Its id lives in its container: `Observation/obs1` is not it."""
    rule = {"data": [{"meaning": "instance", "reference": {"reference": "Observation/obs1"}}]}
    contained = msgspec.structs.replace(target(), view=view(observation(), "/contained/0"))
    assert (SILENT, SILENT) == both(rule, about=contained)
