"""Who is meant by an actor: by reference, identifier, class or membership, never by display or a bare id."""

from datetime import UTC, datetime

import msgspec
import pytest

from consent_store.model import Identifier
from gateway.decision.model import Answer, Initiator
from gateway.directory.model import Participant
from tests.consent_questions import HOSPITAL, NPI, OTHER, PLAN, ask, exchange, program, relations, target
from tests.consents import ROLE, actor, code, concept, r4, r5

PROVENANCE = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
CLASS = "urn:consent-gateway:participant-type"
DOCTOR = Initiator(reference="Practitioner/9", identifiers=frozenset({Identifier(NPI, "99")}))


def to(*actors, effect="permit"):
    """A Consent that permits (or denies) disclosure to these actors."""
    return r4(provision={"type": effect, "actor": list(actors)})


def by(identifier, role="IRCP"):
    """An actor known by identifier alone."""
    return {"role": concept(ROLE, role), "reference": {"identifier": identifier}}


def npi(value):
    """An NPI as an Identifier."""
    return {"system": NPI, "value": value}


def both(one, **how):
    """What a permit to this actor and a deny of it answer."""
    return ask(to(one), **how).answer, ask(to(one, effect="deny"), **how).answer


NAMED = (Answer.PERMIT, Answer.DENY)
NOT_NAMED = (Answer.NOT_APPLICABLE, Answer.NOT_APPLICABLE)
UNTOLD = (Answer.NOT_APPLICABLE, Answer.DENY)


class TestOneParty:
    def test_by_reference(self):
        """The recipient's own record on this server, whatever version of it is named."""
        assert NAMED == both(actor("Organization/o7"))
        assert NAMED == both(actor("Organization/o7/_history/3"))
        assert NOT_NAMED == both(actor("Organization/o9"))

    def test_by_identifier(self):
        """System and value both count."""
        assert NAMED == both(by(npi("7")))
        assert NOT_NAMED == both(by(npi("8")))
        assert UNTOLD == both(by({"system": "http://example.org/other", "value": "7"}))

    def test_by_an_identifier_that_the_context_resolves(self):
        """An organisation of the context with the recipient's NPI is the recipient."""
        known = {"resourceType": "Organization", "id": "x", "identifier": [npi("7")]}
        assert NAMED == both(actor("Organization/x"), shown=relations(known))

    def test_display_is_never_read(self):
        """A display that equals the recipient's name proves nothing."""
        named = {"role": concept(ROLE, "IRCP"), "reference": {"display": "plan"}}
        assert UNTOLD == both(named)

    def test_the_same_id_at_another_base_is_somebody_else(self):
        """Organization/o7 of another server admits nobody here; what it is cannot be told, so a deny stands (L092)."""
        assert UNTOLD == both(actor("https://a.example.org/fhir/Organization/o7"))
        ours = relations(own=("https://us.example.org/fhir",))
        assert NAMED == both(actor("https://us.example.org/fhir/Organization/o7"), shown=ours)
        assert UNTOLD == both(actor("https://a.example.org/fhir/Organization/o7"), shown=ours)

    def test_a_registered_absolute_reference_matches_itself(self):
        """A participant registered at another server is known by that very URL."""
        plan = msgspec.structs.replace(PLAN, references=frozenset({"https://a.example.org/fhir/Organization/o7"}))
        asked = exchange(recipient=plan)
        assert NAMED == both(actor("https://a.example.org/fhir/Organization/o7"), asked=asked)

    def test_a_fragment_or_an_empty_actor_cannot_be_told(self):
        """What names nothing we can resolve is no permit, and a deny stands."""
        assert UNTOLD == both(actor("#org"))
        assert UNTOLD == both(actor("urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7"))

    def test_by_class(self):
        """The gateway's own identifier system names participants by type, and by the kinds a type belongs to."""
        kinds = {"health_plan": frozenset({"mcp"})}
        assert NAMED == both(by({"system": CLASS, "value": "mcp"}))
        assert NOT_NAMED == both(by({"system": CLASS, "value": "cbo"}))
        assert NOT_NAMED == both(by({"system": CLASS, "value": "health_plan"}))
        assert NAMED == both(by({"system": CLASS, "value": "health_plan"}), shown=relations(kinds=kinds))

    def test_the_person_behind_the_recipient(self):
        """An actor may be the person on whose behalf the recipient asks."""
        asked = exchange(initiator=DOCTOR)
        assert NAMED == both(actor("Practitioner/9"), asked=asked)
        assert NAMED == both(by(npi("99")), asked=asked)
        assert NOT_NAMED == both(actor("Practitioner/8"), asked=asked)
        assert NOT_NAMED == both(actor("Practitioner/9"))

    def test_a_recipient_known_by_identifier_alone(self):
        """Where we do not know the recipient's record, a reference to an unknown one cannot be told."""
        faceless = Participant(id="p", type="mcp", identifiers=frozenset({Identifier(NPI, "70")}))
        assert UNTOLD == both(actor("Organization/x"), asked=exchange(recipient=faceless))
        assert NOT_NAMED == both(actor("Organization/o9"), asked=exchange(recipient=faceless))

    def test_two_texts_of_one_resource_prove_nothing(self):
        """A resource that the context shows in two forms is not resolved."""
        one = {"resourceType": "Organization", "id": "x", "identifier": [npi("7")]}
        assert UNTOLD == both(actor("Organization/x"), shown=relations(one, {**one, "active": True}))


class TestMembers:
    @staticmethod
    def group(*members, **more):
        return {
            "resourceType": "Group",
            "id": "g",
            "active": True,
            "type": "practitioner",
            "actual": True,
            "member": [{"entity": {"reference": "Organization/o9"}}, *members],
            **more,
        }

    def test_a_member_of_a_group(self):
        """Group.member names the recipient, by reference or identifier."""
        for entity in ({"reference": "Organization/o7"}, {"identifier": npi("7")}):
            assert NAMED == both(actor("Group/g"), shown=relations(self.group({"entity": entity})))
        assert NOT_NAMED == both(actor("Group/g"), shown=relations(self.group()))

    @pytest.mark.parametrize(
        "past", [{"inactive": True}, {"period": {"end": "2024-12-31"}}, {"period": {"start": "2026"}}]
    )
    def test_a_former_member_is_no_member(self, past):
        """Inactive, expired and future members are not admitted, and not refused either."""
        member = {"entity": {"reference": "Organization/o7"}, **past}
        assert NOT_NAMED == both(actor("Group/g"), shown=relations(self.group(member)))

    def test_an_inactive_group_has_no_members(self):
        """Group.active false is the end of every membership."""
        gone = self.group({"entity": {"reference": "Organization/o7"}}, active=False)
        assert NOT_NAMED == both(actor("Group/g"), shown=relations(gone))

    def test_a_group_that_is_not_shown_cannot_be_told(self):
        """Without the Group its members are unknown."""
        assert UNTOLD == both(actor("Group/g"))

    def test_a_group_by_characteristic_cannot_be_told(self):
        """Who has a characteristic is not for us to find out."""
        by_kind = {"resourceType": "Group", "id": "g", "active": True, "actual": False, "characteristic": [{}]}
        assert UNTOLD == both(actor("Group/g"), shown=relations(by_kind))

    def test_a_group_may_name_a_type(self):
        """A Group with our class identifier stands for participants of that type."""
        named = {"resourceType": "Group", "id": "g", "identifier": [{"system": CLASS, "value": "mcp"}]}
        assert NAMED == both(actor("Group/g"), shown=relations(named))
        assert NOT_NAMED == both(actor("Group/g"), asked=exchange(recipient=OTHER), shown=relations(named))

    def test_groups_in_groups_and_in_cycles(self):
        """A member of a member is a member; a cycle cannot be told and raises nothing."""
        outer = self.group({"entity": {"reference": "Group/h"}})
        inner = {**self.group({"entity": {"reference": "Organization/o7"}}), "id": "h"}
        assert NAMED == both(actor("Group/g"), shown=relations(outer, inner))
        cycle = {**self.group({"entity": {"reference": "Group/g"}}), "id": "h"}
        assert UNTOLD == both(actor("Group/g"), shown=relations(outer, cycle))

    @pytest.mark.parametrize(
        ("more", "expected"),
        [
            ({"status": "active"}, NAMED),
            ({"status": "inactive"}, NOT_NAMED),
            ({}, UNTOLD),
            ({"status": "active", "period": {"end": "2024"}}, NOT_NAMED),
        ],
    )
    def test_a_participant_of_a_care_team(self, more, expected):
        """CareTeam.participant counts while the team is active and its period runs."""
        team = {
            "resourceType": "CareTeam",
            "id": "t",
            "participant": [
                {"member": {"reference": "Practitioner/8"}, "onBehalfOf": {"reference": "Organization/o7"}}
            ],
            **more,
        }
        assert expected == both(actor("CareTeam/t"), shown=relations(team))

    def test_a_practitioner_role(self):
        """A PractitionerRole stands for its practitioner, or the organisation represented."""
        role = {
            "resourceType": "PractitionerRole",
            "id": "r",
            "practitioner": {"reference": "Practitioner/9"},
            "organization": {"reference": "Organization/o7"},
        }
        assert NAMED == both(actor("PractitionerRole/r"), shown=relations(role))
        doctor = exchange(recipient=OTHER, initiator=DOCTOR)
        assert NAMED == both(actor("PractitionerRole/r"), asked=doctor, shown=relations(role))
        assert NOT_NAMED == both(actor("PractitionerRole/r"), asked=exchange(recipient=OTHER), shown=relations(role))
        left = {**role, "active": False}
        assert NOT_NAMED == both(actor("PractitionerRole/r"), shown=relations(left))

    def test_a_part_of_the_named_organisation_is_close_but_no_proof(self):
        """Who names the whole has not surely named its part: no permit, and a deny stands."""
        part = {"resourceType": "Organization", "id": "o7", "partOf": {"reference": "Organization/whole"}}
        assert UNTOLD == both(actor("Organization/whole"), shown=relations(part))

    def test_membership_ends_the_program(self):
        """The instant a membership ends bounds what was settled."""
        member = {"entity": {"reference": "Organization/o7"}, "period": {"end": "2025-06-30"}}
        shown = relations(self.group(member))
        assert datetime(2025, 7, 1, tzinfo=UTC) == program(to(actor("Group/g")), shown=shown).valid_until


class TestRoles:
    @pytest.mark.parametrize("role", ["IRCP", "PRCP"])
    def test_recipients(self, role):
        """Both recipient roles name a recipient."""
        assert NAMED == both(actor("Organization/o7", role))

    def test_grantee(self):
        """GRANTEE of v3-RoleCode names a recipient."""
        named = {
            "role": concept("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "GRANTEE"),
            "reference": {"reference": "Organization/o7"},
        }
        assert NAMED == both(named)

    def test_an_unknown_role_cannot_be_told(self):
        """A role we do not know is no recipient; a deny with it stands."""
        assert UNTOLD == both(actor("Organization/o7", "WIT"))
        assert UNTOLD == both(actor("Organization/o9", "WIT"))

    def test_an_r5_actor_without_role_is_whom_the_provision_is_about(self):
        """R5 lets the role go; such an actor is a recipient."""
        named = {"reference": {"reference": "Organization/o7"}}
        assert Answer.PERMIT is ask(r5(provision=[{"actor": [named]}])).answer
        assert Answer.DENY is ask(r5(provision=[{"actor": [named]}]), asked=exchange(recipient=OTHER)).answer

    def test_an_r5_actor_without_reference_names_nobody(self):
        """A role alone cannot be told."""
        alone = {"role": concept(ROLE, "IRCP")}
        assert Answer.DENY is ask(r5(provision=[{"actor": [alone]}])).answer
        assert Answer.DENY is ask(r5(decision="permit", provision=[{"actor": [alone]}])).answer

    @pytest.mark.parametrize("role", [concept(ROLE, "CST"), concept(PROVENANCE, "performer")])
    def test_a_discloser_limits_who_may_disclose(self, role):
        """CST and performer speak of the discloser, not of the recipient."""

        def one(name):
            return {"role": role, "reference": {"reference": name}}

        assert NAMED == both(one("Organization/o1"))
        assert NOT_NAMED == both(one("Organization/o7"))

    def test_discloser_and_recipient_must_both_match(self):
        """HRex names the source and the recipient: one alone is not enough."""
        source = {"role": concept(PROVENANCE, "performer"), "reference": {"identifier": npi("1")}}
        assert Answer.PERMIT is ask(to(source, actor("Organization/o7"))).answer
        assert Answer.NOT_APPLICABLE is ask(to(source, actor("Organization/o9"))).answer
        assert (
            Answer.NOT_APPLICABLE is ask(to(source, actor("Organization/o7")), asked=exchange(discloser=OTHER)).answer
        )

    def test_an_author_limits_the_data(self):
        """AUT speaks of who made the record."""
        consent = to(actor("Practitioner/a", "AUT"))
        assert Answer.PERMIT is ask(consent, about=target(authors=("Practitioner/a",))).answer
        assert Answer.NOT_APPLICABLE is ask(consent, about=target(authors=("Practitioner/b",))).answer
        assert Answer.NOT_APPLICABLE is ask(consent).answer
        assert Answer.DENY is ask(to(actor("Practitioner/a", "AUT"), effect="deny")).answer

    def test_a_role_in_an_old_spelling(self):
        """The old system URI of participation types is the same system."""
        old = {
            "role": {"coding": [code("http://hl7.org/fhir/v3/ParticipationType", "IRCP")]},
            "reference": {"reference": "Organization/o7"},
        }
        assert NAMED == both(old)


ELSEWHERE = [{"reference": "Organization/o9"}]


class TestCustodian:
    def test_a_consent_given_to_somebody_else_permits_nothing_here(self):
        """Its denies apply, its permits do not."""
        assert Answer.NOT_APPLICABLE is ask(r4(organization=ELSEWHERE)).answer
        assert Answer.DENY is ask(r4(organization=ELSEWHERE, provision={"type": "deny"})).answer

    def test_unless_it_names_the_discloser(self):
        """A provision that says who may disclose reaches beyond its custodian."""
        source = {"role": concept(PROVENANCE, "performer"), "reference": {"reference": "Organization/o1"}}
        assert Answer.PERMIT is ask(r4(organization=ELSEWHERE, provision={"type": "permit", "actor": [source]})).answer

    @pytest.mark.parametrize("custodian", ["Organization/o9", "other", {"system": NPI, "value": "9"}])
    def test_unless_the_discloser_acts_under_the_custodian(self, custodian):
        """The participant attribute `consent_custodians` lists whom the discloser acts under."""
        acting = msgspec.structs.replace(HOSPITAL, attributes={"consent_custodians": [custodian]})
        assert Answer.PERMIT is ask(r4(organization=ELSEWHERE), asked=exchange(discloser=acting)).answer

    def test_without_custodian_it_is_whoever_holds_it(self):
        """A Consent that names no custodian names no other."""
        assert Answer.PERMIT is ask(r4(organization=None)).answer

    def test_a_nested_permit_that_does_not_count_leaves_the_deny(self):
        """Another custodian's exception to its refusal is no exception here."""
        consent = r4(organization=ELSEWHERE, provision={"type": "deny", "provision": [{"type": "permit"}]})
        assert Answer.DENY is ask(consent).answer
