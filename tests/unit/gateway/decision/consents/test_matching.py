"""Conditions on purpose, action, time and data: what a permit needs for certain, and what a deny reaches in doubt."""

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from consent_store.model import ACT_CODE, ACT_REASON, CONFIDENTIALITY, Coding
from gateway.decision.model import Answer
from tests.consent_questions import LOINC, ask, exchange, observation, period, program, relations, target, view
from tests.consents import ACTION, SCOPE, code, concept, r4, r5

NAMED = (Answer.PERMIT, Answer.DENY)
NOT_NAMED = (Answer.NOT_APPLICABLE, Answer.NOT_APPLICABLE)
UNTOLD = (Answer.NOT_APPLICABLE, Answer.DENY)
TYPES = "http://hl7.org/fhir/resource-types"


ENCOUNTER = {"resourceType": "Encounter", "id": "e", "diagnosis": [{"condition": {"reference": "Observation/obs1"}}]}
YEAR_2022 = {"dataPeriod": {"start": "2022-01-01", "end": "2022-12-31"}}


def day(year, month, number):
    """Midnight of a day, in no zone yet."""
    return datetime(year, month, number)  # noqa: DTZ001


def both(limit, **how):
    """What a permit and a deny with this limit answer."""
    return tuple(ask(r4(provision={"type": effect, **limit}), **how).answer for effect in ("permit", "deny"))


class TestPurpose:
    @pytest.mark.parametrize(
        ("rule", "claimed", "expected"),
        [
            ("TREAT", "TREAT", NAMED),
            ("TREAT", "COC", NAMED),
            ("TREAT", "ETREAT", NAMED),
            ("TREAT", "BTG", NAMED),
            ("TREAT", "CAREMGT", NOT_NAMED),
            ("HOPERAT", "CAREMGT", NAMED),
            ("COC", "TREAT", NOT_NAMED),
            ("HPAYMT", "CLMATTCH", NAMED),
            ("HPAYMT", "ENROLLM", NAMED),
            ("TREATS", "TREAT", NOT_NAMED),
            ("TREATS", "TREATS", NAMED),
        ],
    )
    def test_a_purpose_covers_what_is_under_it(self, rule, claimed, expected):
        """Subsumption in v3-ActReason, downwards alone; an unknown code is itself (L096)."""
        assert expected == both({"purpose": [code(ACT_REASON, rule)]}, asked=exchange(claimed))

    def test_a_foreign_purpose_is_itself(self):
        """A code of another system matches only itself."""
        foreign = Coding("http://example.org/purposes", "FooBar")
        rule = {"purpose": [code("http://example.org/purposes", "FooBar")]}
        assert NAMED == both(rule, asked=exchange(foreign))
        assert NOT_NAMED == both(rule, asked=exchange("TREAT"))
        assert NOT_NAMED == both({"purpose": [code(ACT_REASON, "TREAT")]}, asked=exchange(foreign))

    def test_an_old_spelling_of_the_system(self):
        """urn:oid and the old v3 URI are the same system (L005)."""
        for system in ("urn:oid:2.16.840.1.113883.5.8", "http://hl7.org/fhir/v3/ActReason"):
            assert NAMED == both({"purpose": [code(system, "TREAT")]})


class TestAction:
    @pytest.mark.parametrize(
        ("action", "expected"),
        [
            ("disclose", NAMED),
            ("access", NAMED),
            ("use", UNTOLD),
            ("collect", NOT_NAMED),
            ("correct", NOT_NAMED),
            ("peruse", UNTOLD),
        ],
    )
    def test_a_read_by_another_is_a_disclosure(self, action, expected):
        """To disclose and to access are one; collect and correct are something else; use is no permit to send."""
        assert expected == both({"action": [concept(ACTION, action)]})

    def test_one_of_several_actions_is_enough(self):
        """Actions are alternatives."""
        assert NAMED == both({"action": [concept(ACTION, "correct"), concept(ACTION, "access")]})


class TestPeriod:
    @pytest.mark.parametrize(
        ("limit", "begin", "end"),
        [
            ({"start": "2024", "end": "2024"}, day(2024, 1, 1), day(2025, 1, 1)),
            ({"start": "2024-12", "end": "2024-12"}, day(2024, 12, 1), day(2025, 1, 1)),
            ({"start": "2024-12-31", "end": "2024-12-31"}, day(2024, 12, 31), day(2025, 1, 1)),
        ],
    )
    @pytest.mark.parametrize("zone", [timezone(timedelta(hours=-8)), timezone(timedelta(hours=14))])
    def test_bounds_are_inclusive_and_partial_dates_whole(self, limit, begin, end, zone):
        """One second around each bound, in the zone of the profile (L086)."""
        first, last = begin.replace(tzinfo=zone), end.replace(tzinfo=zone)
        second = timedelta(seconds=1)
        for at, expected in (
            (first - second, NOT_NAMED),
            (first, NAMED),
            (last - second, NAMED),
            (last, NOT_NAMED),
        ):
            assert expected == both({"period": limit}, asked=exchange(at=at), zone=zone)

    def test_open_ends(self):
        """A missing bound is open."""
        assert NAMED == both({"period": {"start": "2020"}})
        assert NAMED == both({"period": {"end": "2030"}})
        assert NOT_NAMED == both({"period": {"end": "2024"}})

    def test_an_end_before_the_start_never_permits(self):
        """Such a period is an error: no permit, and a deny with it stands."""
        assert UNTOLD == both({"period": {"start": "2026", "end": "2024"}})

    def test_without_a_zone_the_doubt_helps_no_permit(self):
        """Where no zone is known, a permit takes the narrow reading and a deny the wide one."""
        noon = datetime(2025, 3, 1, 0, 30, tzinfo=timezone.utc)  # noqa: UP017  which zone it is is the point
        assert UNTOLD == both({"period": {"start": "2025-03-01"}}, asked=exchange(at=noon), zone=None)
        assert NAMED == both(
            {"period": {"start": "2025-03-01"}}, asked=exchange(at=noon + timedelta(days=1)), zone=None
        )

    def test_the_root_period_holds_for_what_is_inside(self):
        """A nested provision needs its own period and the root's."""
        inner = {"type": "permit", "securityLabel": [code(CONFIDENTIALITY, "R")], "period": {"start": "2024"}}
        consent = r4(
            provision={
                "type": "permit",
                "securityLabel": [code(CONFIDENTIALITY, "N")],
                "period": {"end": "2024"},
                "provision": [inner],
            }
        )
        assert Answer.NOT_APPLICABLE is ask(consent, about=target(None, "R")).answer

    def test_the_program_holds_until_the_next_bound(self):
        """valid_until is the first instant at which a period that matters begins or ends."""
        zone = ZoneInfo("America/Los_Angeles")
        ends = r4(provision={"type": "permit", "period": {"start": "2020", "end": "2025-06-30"}})
        later = r4(id="c2", provision={"type": "deny", "period": {"start": "2025-05-01"}})
        other = r4(
            id="c3", provision={"type": "permit", "purpose": [code(ACT_REASON, "HMARKT")], "period": {"end": "2025-04"}}
        )
        asked = exchange()
        assert datetime(2025, 7, 1, tzinfo=zone) == program(ends, asked=asked, zone=zone).valid_until
        assert datetime(2025, 5, 1, tzinfo=zone) == program(ends, later, other, asked=asked, zone=zone).valid_until
        assert None is program(r4(), asked=asked, zone=zone).valid_until

    def test_the_answer_holds_until_valid_until_and_changes_there(self):
        """Nothing changes before the instant, and here it changes at it."""
        consent = r4(provision={"type": "permit", "period": {"end": "2025-06-30"}})
        until = program(consent).valid_until
        assert Answer.PERMIT is ask(consent, asked=exchange(at=until - timedelta(microseconds=1))).answer
        assert Answer.NOT_APPLICABLE is ask(consent, asked=exchange(at=until)).answer


class TestClass:
    @pytest.mark.parametrize(
        ("coding", "expected"),
        [
            (code(TYPES, "Observation"), NAMED),
            (code("http://hl7.org/fhir/fhir-types", "Observation"), NAMED),
            (code("http://hl7.org/fhir/fhir-types", "DomainResource"), NAMED),
            (code(TYPES, "Condition"), NOT_NAMED),
            (code("urn:ietf:bcp:13", "application/hl7-cda+xml"), NOT_NAMED),
            (code("http://hl7.org/fhir/StructureDefinition", "Observation"), NAMED),
        ],
    )
    def test_a_resource_type(self, coding, expected):
        """The class is the type of the resource, in either code system."""
        assert expected == both({"class": [coding]})

    def test_a_profile_that_the_resource_claims(self):
        """A canonical matches meta.profile, without version."""
        profiled = observation(meta={"profile": ["http://example.org/StructureDefinition/glucose|2.0"]})
        claimed = code("urn:ietf:rfc:3986", "http://example.org/StructureDefinition/glucose")
        assert NAMED == both({"class": [claimed]}, about=target(profiled))
        assert NOT_NAMED == both({"class": [claimed]})

    def test_a_document_type(self):
        """R5 documentType matches the type of a document, and its media type."""
        document = {
            "resourceType": "DocumentReference",
            "id": "d",
            "type": concept(LOINC, "34133-9"),
            "content": [{"attachment": {"contentType": "application/hl7-cda+xml", "url": "Binary/b"}}],
        }
        for coding in (code(LOINC, "34133-9"), code("urn:ietf:bcp:13", "application/hl7-cda+xml")):
            assert NAMED == both({"class": [coding]}, about=target(document))
            consent = r5(provision=[{"documentType": [coding]}])
            assert Answer.PERMIT is ask(consent, about=target(document)).answer
            assert Answer.DENY is ask(consent).answer


class TestCode:
    @pytest.mark.parametrize(
        ("concepts", "expected"),
        [
            ([concept(LOINC, "2339-0")], NAMED),
            ([concept("urn:oid:2.16.840.1.113883.6.1", "2339-0")], NAMED),
            ([concept(LOINC, "1-1"), concept(LOINC, "2339-0")], NAMED),
            ([concept(LOINC, "1-1")], NOT_NAMED),
            ([concept("http://example.org/codes", "2339-0")], NOT_NAMED),
        ],
    )
    def test_a_code_of_the_resource(self, concepts, expected):
        """A code matches any coding of the resource, in any spelling of its system."""
        assert expected == both({"code": concepts})

    def test_a_code_anywhere_inside(self):
        """Codings are looked for at any depth."""
        deep = observation(component=[{"code": concept(LOINC, "8480-6")}])
        assert NAMED == both({"code": [concept(LOINC, "8480-6")]}, about=target(deep))

    def test_a_code_without_system_in_the_resource(self):
        """It may be the one that is meant: no permit, and a deny stands."""
        bare = observation(code={"coding": [{"code": "2339-0"}]})
        assert UNTOLD == both({"code": [concept(LOINC, "2339-0")]}, about=target(bare))


class TestDataPeriod:
    @pytest.mark.parametrize(
        ("dates", "expected"),
        [
            (period("2022-01-01", "2022-12-31"), NAMED),
            (period("2022-06-13", "2022-06-13"), NAMED),
            (period("2021-12-31", "2022-01-01"), UNTOLD),
            (period("2022-12-31", "2023-01-01"), UNTOLD),
            (period("2022-06", None), UNTOLD),
            (period("2021-12-31", "2021-12-31"), NOT_NAMED),
            (period("2023-01-01", None), NOT_NAMED),
            (period("2022-06-13", "2022-06-01"), UNTOLD),
            (period(), UNTOLD),
            (None, UNTOLD),
        ],
    )
    def test_a_permit_needs_all_inside_and_a_deny_any_overlap(self, dates, expected):
        """The whole clinical period inside for a permit, any overlap for a deny; without date no permit, a deny."""
        assert expected == both(YEAR_2022, about=target(dates=dates))


class TestData:
    def data(self, meaning, reference):
        return {"data": [{"meaning": meaning, "reference": reference}]}

    def test_an_instance(self):
        """The very resource, whatever version of it is named; the same id of another type or server is not it."""
        for reference, expected in (
            ({"reference": "Observation/obs1"}, NAMED),
            ({"reference": "Observation/obs1/_history/2"}, NAMED),
            ({"reference": "Observation/obs2"}, NOT_NAMED),
            ({"reference": "Condition/obs1"}, NOT_NAMED),
            ({"reference": "https://a.example.org/Observation/obs1"}, UNTOLD),
            ({"reference": "https://a.example.org/Observation/obs2"}, NOT_NAMED),
            ({"identifier": {"system": "http://example.org/accession", "value": "5"}}, UNTOLD),
        ):
            assert expected == both(self.data("instance", reference)), reference

    def test_an_instance_by_identifier(self):
        """A business identifier names the resource that has it."""
        own = observation(identifier=[{"system": "http://example.org/accession", "value": "5"}])
        for value, expected in (("5", NAMED), ("6", NOT_NAMED)):
            wanted = {"identifier": {"system": "http://example.org/accession", "value": value}}
            assert expected == both(self.data("instance", wanted), about=target(own))

    def test_what_is_contained_shares_the_fate_of_its_container(self):
        """A consent that names a resource speaks of what is inside it too."""
        inner = target({"resourceType": "Specimen", "id": "s"})
        outer = view(observation())
        contained = type(inner)(view=inner.view, labels=inner.labels, container=outer)
        assert NAMED == both(self.data("instance", {"reference": "Observation/obs1"}), about=contained)
        dated = view(observation(effectiveDateTime="2022-06-13", performer=[{"reference": "Practitioner/a"}]))
        contained = type(inner)(view=inner.view, labels=inner.labels, container=dated)
        assert NAMED == both(YEAR_2022, about=contained)
        assert NAMED == both(self.data("authoredby", {"reference": "Practitioner/a"}), about=contained)

    def test_dependents_are_what_refers_to_it(self):
        """The named resource and what points at it."""
        linked = observation(encounter={"reference": "Encounter/e"})
        wanted = self.data("dependents", {"reference": "Encounter/e"})
        assert NAMED == both(wanted, about=target(linked))
        assert NAMED == both(wanted, about=target({"resourceType": "Encounter", "id": "e"}))
        assert NOT_NAMED == both(wanted)

    def test_related_goes_forward_for_a_permit_and_both_ways_for_a_deny(self):
        """Core: the resource and what it refers to; a deny takes what refers to it as well."""
        wanted = self.data("related", {"reference": "Encounter/e"})
        shown = relations(ENCOUNTER)
        bare = relations({"resourceType": "Encounter", "id": "e"})
        linked = target(observation(encounter={"reference": "Encounter/e"}))
        assert NAMED == both(wanted, shown=shown)
        assert NOT_NAMED == both(wanted, shown=bare)
        assert (Answer.NOT_APPLICABLE, Answer.DENY) == both(wanted, about=linked, shown=bare)

    def test_related_of_a_resource_that_is_not_shown_cannot_be_told(self):
        """What the context does not show may refer to anything."""
        assert UNTOLD == both(self.data("related", {"reference": "Encounter/e"}))

    def test_related_under_pcf_goes_the_other_way(self):
        """A Consent that declares an IHE PCF profile means what points at the encounter."""
        declared = {"profile": ["https://profiles.ihe.net/ITI/PCF/StructureDefinition/IHE.PCF.consentIntermediate"]}
        consent = r4(meta=declared, provision={"type": "permit", **self.data("related", {"reference": "Encounter/e"})})
        linked = target(observation(encounter={"reference": "Encounter/e"}))
        assert Answer.PERMIT is ask(consent, about=linked).answer
        assert Answer.NOT_APPLICABLE is ask(consent, shown=relations(ENCOUNTER)).answer

    def test_authored_by(self):
        """Who made the record: one of several authors is enough, nobody known cannot be told."""
        wanted = self.data("authoredby", {"reference": "Practitioner/a"})
        assert NAMED == both(wanted, about=target(authors=("Organization/o1", "Practitioner/a")))
        assert NOT_NAMED == both(wanted, about=target(authors=("Practitioner/b",)))
        assert UNTOLD == both(wanted)

    def test_authored_by_a_role_or_a_member(self):
        """A PractitionerRole author is its practitioner; a CareTeam's member authors for it."""
        role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "Practitioner/a"}}
        team = {
            "resourceType": "CareTeam",
            "id": "t",
            "status": "active",
            "period": {"end": "2025-08"},
            "participant": [{"member": {"reference": "Practitioner/a"}}],
        }
        shown = relations(role, team)
        by_role = target(authors=("PractitionerRole/r",))
        assert NAMED == both(self.data("authoredby", {"reference": "Practitioner/a"}), about=by_role, shown=shown)
        by_team = self.data("authoredby", {"reference": "CareTeam/t"})
        assert NAMED == both(by_team, about=target(authors=("Practitioner/a",)), shown=shown)
        permit = r4(provision={"type": "permit", **by_team})
        assert day(2025, 9, 1).date() == program(permit, shown=shown).valid_until.date()


class TestScope:
    @pytest.mark.parametrize(
        ("scope", "expected"),
        [
            (concept(SCOPE, "patient-privacy"), NAMED),
            (concept("http://hl7.org/fhir/consentscope", "patient-privacy"), NAMED),
            (concept(SCOPE, "adr"), NOT_NAMED),
            (concept(SCOPE, "treatment"), NOT_NAMED),
            (concept(SCOPE, "research"), NOT_NAMED),
            (concept(SCOPE, "gossip"), UNTOLD),
            (None, NAMED),
        ],
    )
    def test_only_privacy_consents_speak(self, scope, expected):
        """Another scope does not apply, an unknown one cannot be told, and none in R4 is evaluated."""
        answers = tuple(ask(r4(scope=scope, provision={"type": effect})).answer for effect in ("permit", "deny"))
        assert expected == answers

    def test_a_research_consent_speaks_of_research(self):
        """Scope research applies to research purposes."""
        consent = r4(scope=concept(SCOPE, "research"), provision={"type": "permit"})
        assert Answer.PERMIT is ask(consent, asked=exchange("CLINTRCH")).answer

    def test_the_scope_may_stand_in_category(self):
        """Some fixtures put it there."""
        consent = r4(scope=None, category=[concept(SCOPE, "adr")])
        assert Answer.NOT_APPLICABLE is ask(consent).answer
        assert ("Consent/c1: its scope is not patient privacy, so it does not apply",) == ask(consent).erring


def test_a_failed_verification_defeats_a_permit_not_a_deny():
    """`verified: false` permits nothing; its denies apply."""
    failed = [{"verified": False}]
    assert Answer.NOT_APPLICABLE is ask(r4(verification=failed)).answer
    assert Answer.DENY is ask(r4(verification=failed, provision={"type": "deny"})).answer


def test_a_deny_in_doubt_says_what_could_not_be_told():
    """What could not be evaluated is told, by consent, provision and kind."""
    answer = ask(r4(provision={"type": "deny", "securityLabel": [code(ACT_CODE, "PSY")]}), about=target(unknown=True))
    assert (Answer.DENY, ("Consent/c1#provision[0]: the labels of the record are not all known",)) == (
        answer.answer,
        answer.erring,
    )
