"""Conditions that are derived, each on both of its sides: what it takes to hold, and what is not enough."""

from datetime import UTC

import msgspec
import pytest

from consent_store.dates import Period, parse_date
from consent_store.model import ACT_CODE, Identifier, PatientKey
from gateway.decision.case import Case
from gateway.decision.conditions import derived_of, hold
from gateway.decision.model import Answer
from gateway.decision.part2_conditions import programs_of
from gateway.directory.model import Agreement, Directory, Participant
from gateway.labels.model import Basis, Confidentiality, Kind, Label, Labels
from gateway.policy.model import Condition
from tests.consent_questions import AT, ask, exchange, relations, subject, target
from tests.consents import actor, good, permit, r4
from tests.questions import SHELF

POLICY = msgspec.structs.replace(SHELF.policies["us-ca-calaim"], zone=UTC)
PLAN, THIRD = Participant(id="plan", type="mcp"), Participant(id="third", type="cbo")


def party(type, id="party", **more):
    """A participant of some type."""
    return Participant(id=id, type=type, **more)


def case(discloser=None, recipient=None, *agreements, purpose="TREAT", consents=(), codes=(), **more):
    """A record about which these consents were asked, between these two."""
    discloser = discloser or party("provider_general", "discloser", references=frozenset({"Organization/o1"}))
    recipient = recipient or party("mcp", "recipient", references=frozenset({"Organization/o7"}))
    asked = exchange(purpose, discloser=discloser, recipient=recipient)
    known = {one.id: one for one in (PLAN, THIRD, discloser, recipient)}
    about = target(None, *codes)
    return Case(
        policy=POLICY,
        directory=Directory(known, agreements=agreements),
        exchange=asked,
        relations=relations(),
        subject=subject(Identifier("urn:mrn", "7")),
        target=about,
        consents=ask(*consents, about=about, asked=asked),
        **more,
    )


def agreement(kind, *between, **more):
    """An agreement."""
    return Agreement(type=kind, between=frozenset(between or ("discloser", "recipient")), **more)


OVER = Period(end=parse_date("2020"))
"""A period that ended before the question."""


@pytest.mark.parametrize(
    ("source", "registered", "holds"),
    [
        ("ehr", "Patient/1", True),
        ("ehr", "https://ehr.example/r4/Patient/1", True),
        ("ehr", "https://EHR.example:443/r4/Patient/1", True),
        ("ehr", "https://other.example/r4/Patient/1", False),
        ("ehr", "Patient/11", False),
        ("https://other.example/r4", "Patient/1", False),
        ("https://other.example/r4", "https://ehr.example/r4/Patient/1", False),
        ("https://other.example/r4", "https://other.example/r4/Patient/1", True),
    ],
)
def test_an_app_is_its_patients_own_by_server_and_id(source, registered, holds):
    """A reference without a server is this one's; the same id at another server is another person (L092)."""
    app = party("patient", references=frozenset({registered}))
    who = msgspec.structs.replace(subject(), key=PatientKey(source, "1"))
    found = msgspec.structs.replace(
        case(recipient=app, source="ehr"), subject=who, relations=relations(own=("https://ehr.example/r4",))
    )
    assert holds is hold(Condition.RECIPIENT_IS_SUBJECT, found)


def test_an_app_is_its_patients_own_by_a_urn_or_by_a_number():
    """So it is where the record has no id yet, and by a business identifier; never for a party that is no patient."""
    urn = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    app = party("patient", references=frozenset({urn}))
    own = msgspec.structs.replace(case(recipient=app, source="ehr"), subject=subject(id=urn))
    assert True is hold(Condition.RECIPIENT_IS_SUBJECT, own)
    numbered = {"identifiers": frozenset({Identifier("urn:mrn", "7")})}
    assert True is hold(Condition.RECIPIENT_IS_SUBJECT, case(recipient=party("patient", **numbered)))
    assert False is hold(Condition.RECIPIENT_IS_SUBJECT, case(recipient=party("cbo", **numbered)))
    nobody = party("patient", references=frozenset({"Patient/x"}))
    unknown = msgspec.structs.replace(case(recipient=nobody), subject=subject(id=""))
    assert False is hold(Condition.RECIPIENT_IS_SUBJECT, unknown)


@pytest.mark.parametrize("kind", ["BAA", "CNDA", "DEAA", "QSOA"])
def test_each_of_four_agreements_is_legal_assurance(kind):
    """One of them between the two, in force and about something; a scope of work is none."""
    assert hold(Condition.LEGAL_ASSURANCE, case(None, None, agreement(kind)))
    for other in (
        agreement("SOW"),
        agreement(kind, period=OVER),
        agreement(kind, data=frozenset()),
        agreement(kind, "discloser", "third"),
    ):
        assert not hold(Condition.LEGAL_ASSURANCE, case(None, None, other))


def test_a_scope_of_work_is_one_in_writing():
    """Another agreement is none; what the scope lists is within it."""
    assert hold(Condition.WRITTEN_SCOPE_OF_WORK, case(None, None, agreement("SOW")))
    assert not hold(Condition.WRITTEN_SCOPE_OF_WORK, case(None, None, agreement("BAA")))
    within = Condition.ITEM_WITHIN_SCOPE_OF_WORK
    listed = agreement("SOW", data=frozenset({"housing"}))
    assert hold(within, case(None, None)) is None
    assert hold(within, case(None, None, agreement("SOW")))
    assert hold(within, case(None, None, listed, categories=frozenset({"housing", "claims"})))
    assert hold(within, case(None, None, listed, categories=frozenset({"claims"}))) is False


def test_business_associates_of_a_plan():
    """The recipient is the plan and has the agreement; or the recipient has it with any plan, in force."""
    acts = Condition.ACTS_AS_BUSINESS_ASSOCIATE_OF_PLAN
    assert hold(acts, case(None, None, agreement("BAA")))
    assert not hold(acts, case(None, None))
    assert not hold(acts, case(None, party("cbo", "recipient"), agreement("BAA")))
    has = Condition.RECIPIENT_IS_BUSINESS_ASSOCIATE_OF_MCP
    worker = party("cbo", "recipient")
    assert hold(has, case(None, worker, agreement("BAA", "recipient", "plan")))
    for other in (
        agreement("SOW", "recipient", "plan"),
        agreement("BAA", "discloser", "plan"),
        agreement("BAA", "recipient", "third"),
        agreement("BAA", "recipient", "plan", period=OVER),
    ):
        assert not hold(has, case(None, worker, other))
    assert not hold(has, case(None, None, agreement("BAA", "recipient", "third")))


def test_who_holds_data_for_another_discloses_what_that_agreement_covers():
    """An agreement with somebody else must cover the purpose; one between the two, or that ended, bars nothing."""
    covers = Condition.BAA_PERMITS_CARE_COORDINATION
    operations, treatment = frozenset({"HOPERAT"}), frozenset({"TREAT"})
    assert hold(covers, case(None, None))
    assert hold(covers, case(None, None, agreement("BAA", "discloser", "third", purposes=treatment)))
    assert not hold(covers, case(None, None, agreement("BAA", "discloser", "third", purposes=operations)))
    for other in (
        agreement("BAA", purposes=operations),
        agreement("BAA", "recipient", "third", purposes=operations),
        agreement("SOW", "discloser", "third", purposes=operations),
        agreement("BAA", "discloser", "third", purposes=operations, period=OVER),
    ):
        assert hold(covers, case(None, None, other))


@pytest.mark.parametrize(
    ("discloser", "recipient", "holds"),
    [
        ("county_social_services", "dhcs", True),
        ("dhcs", "county_health_dept", True),
        ("county_social_services", "mcp", False),
        ("mcp", "county_social_services", False),
        ("dhcs", "mcp", False),
    ],
)
def test_agencies_on_both_sides(discloser, recipient, holds):
    """Of a county, or the Medicaid agency: both of them."""
    found = case(party(discloser, "discloser"), party(recipient, "recipient"))
    assert holds is hold(Condition.COUNTY_AGENCY_OR_DHCS_ONLY, found)


@pytest.mark.parametrize(
    ("condition", "side", "attribute", "met"),
    [
        (Condition.NO_USDA_FUNDING, "discloser", "usda_funding", False),
        (Condition.REQUESTER_WITHOUT_CJIS_ACCESS, "recipient", "requester_has_cjis_access", False),
    ],
)
def test_an_attribute_of_a_party_says_it_or_it_is_not_known(condition, side, attribute, met):
    """Said so, said not so, or not said; what is no truth value says nothing."""
    for value, expected in ((met, True), (not met, False), ("yes", None)):
        sides = {"discloser": party("cbo", "discloser"), "recipient": party("cbo", "recipient")}
        sides[side] = party("cbo", side, attributes={attribute: value})
        assert hold(condition, case(sides["discloser"], sides["recipient"])) is expected
        other = "recipient" if side == "discloser" else "discloser"
        sides = {side: party("cbo", side), other: party("cbo", other, attributes={attribute: value})}
        assert hold(condition, case(sides["discloser"], sides["recipient"])) is None


@pytest.mark.parametrize(
    ("purpose", "care", "administration"),
    [
        ("TREAT", True, False),
        ("COC", True, False),
        ("CAREMGT", True, True),
        ("HPAYMT", False, True),
        ("HOPERAT", False, True),
        ("ENROLLM", False, True),
        ("HPRGRP", False, True),
        ("HRESCH", False, False),
    ],
)
def test_purposes_of_care_and_of_administration(purpose, care, administration):
    """By the purposes under each (42 CFR 431.302)."""
    found = case(purpose=purpose)
    assert care is hold(Condition.PURPOSE_CARE_COORDINATION, found)
    assert administration is hold(Condition.MEDI_CAL_ADMINISTRATION, found)


def test_who_provides_care():
    """By the discloser's type."""
    assert hold(Condition.DISCLOSER_IS_HEALTH_CARE_PROVIDER, case())
    assert not hold(Condition.DISCLOSER_IS_HEALTH_CARE_PROVIDER, case(party("cbo", "discloser")))


PERMITTING = good(r4(provision=permit()))
SIGNED = {"performer": [{"reference": "Patient/1"}]}
NAMING = good(r4(provision=permit(actor=[actor("Organization/o7")]), **SIGNED))
UNSIGNED = good(r4(provision=permit(actor=[actor("Organization/o7")])))
REFUSING = good(r4(provision={"type": "deny"}))


@pytest.mark.parametrize(
    ("consents", "answer", "on_form", "within", "silent"),
    [
        ([], Answer.NOT_APPLICABLE, False, False, True),
        ([PERMITTING], Answer.PERMIT, False, True, True),
        ([NAMING], Answer.PERMIT, True, True, True),
        ([UNSIGNED], Answer.PERMIT, False, True, True),
        ([REFUSING], Answer.DENY, False, False, False),
    ],
)
def test_what_the_consents_say(consents, answer, on_form, within, silent):
    """A permit, one that names the recipient, one that does so and is not signed, a refusal."""
    found = case(consents=consents)
    assert answer is found.consents.answer
    assert on_form is hold(Condition.RECIPIENT_ON_CONSENT_FORM, found)
    assert on_form is hold(Condition.BAA_OR_CONSENT, found)
    assert within is hold(Condition.ITEM_WITHIN_CONSENT_DESCRIPTION, found)
    assert silent is hold(Condition.NO_INDIVIDUAL_OBJECTION, found)
    assert hold(Condition.BAA_OR_CONSENT, case(None, None, agreement("BAA"), consents=consents))


@pytest.mark.parametrize(
    ("says", "without", "with_one"), [(True, False, True), (False, True, True), (None, True, True)]
)
def test_a_policy_of_the_discloser_s_own_that_wants_consent(says, without, with_one):
    """It is met by a consent that names the recipient; one that is not known bars nothing."""
    attributes = {} if says is None else {"local_policy_requires_consent": says}
    references = frozenset({"Organization/o1"})
    discloser = party("cbo", "discloser", references=references, attributes=attributes)
    assert without is hold(Condition.NO_LOCAL_POLICY_BAR, case(discloser))
    assert with_one is hold(Condition.NO_LOCAL_POLICY_BAR, case(discloser, consents=[NAMING]))


def test_a_release_that_the_sender_holds():
    """Given to it, by its reference or its number, and for this recipient."""
    number = {"system": "urn:npi", "value": "1"}
    mine = Identifier("urn:npi", "1")
    discloser = party("cbo", "discloser", references=frozenset({"Organization/o1"}), identifiers=frozenset({mine}))
    to_it = permit(actor=[actor("Organization/o7")])
    own = Condition.SENDER_OWN_RELEASE_ON_FILE
    for custodian in ({"reference": "Organization/o1"}, {"identifier": number}):
        assert hold(own, case(discloser, consents=[good(r4(provision=to_it, organization=[custodian], **SIGNED))]))
    general = good(r4(provision=permit(), organization=[{"identifier": number}]))
    release = good(r4(provision=to_it, organization=[{"identifier": number}], **SIGNED))
    other = good(r4(id="c2", provision=permit(), policy=[{"uri": "urn:other"}]))
    assert hold(own, case(discloser, consents=[release, other]))
    assert not hold(own, case(discloser, consents=[general]))
    assert not hold(own, case(discloser, consents=[good(r4(provision=to_it, organization=None, **SIGNED))]))


def test_a_representative_proves_authority():
    """Where one gave it; where nobody but the patient did, nothing is to be proven."""
    proven = {"verification": [{"verified": True}]}
    by_another = {"performer": [{"reference": "RelatedPerson/r"}]}
    has = Condition.REPRESENTATIVE_HAS_LEGAL_AUTHORITY
    assert hold(has, case(consents=[good(r4(provision=permit(), **by_another, **proven))]))
    assert hold(has, case(consents=[good(r4(provision=permit(), **by_another))])) is False
    assert hold(has, case(consents=[PERMITTING])) is None


@pytest.mark.parametrize(
    ("giver", "another"),
    [
        ({"reference": "RelatedPerson/r/_history/2"}, True),
        ({"reference": "https://ehr.example/RelatedPerson/r"}, True),
        ({"reference": "#r"}, True),
        ({"type": "RelatedPerson", "display": "a friend"}, True),
        ({"reference": "#p"}, False),
        ({"reference": "Patient/RelatedPerson"}, False),
        ({"reference": "Practitioner/p", "type": "RelatedPerson"}, False),
    ],
)
def test_who_is_a_representative_is_told_as_where_a_consent_counts(giver, another):
    """Named in full, by version, inside the Consent or by type alone; nobody else has anything to prove."""
    inside = [{"resourceType": "RelatedPerson", "id": "r"}, {"resourceType": "Patient", "id": "p"}]
    given = good(r4(provision=permit(), performer=[giver], contained=inside))
    found = hold(Condition.REPRESENTATIVE_HAS_LEGAL_AUTHORITY, case(consents=[given]))
    assert found is (False if another else None)


def test_what_labels_bar():
    """What was paid in full by oneself; HIV from a public health agency."""
    assert not hold(Condition.NO_SELF_PAY_RESTRICTION, case(codes=["HIPAASelfPay"]))
    assert hold(Condition.NO_SELF_PAY_RESTRICTION, case(codes=["HIV"]))
    agency = party("local_public_health_agency", "discloser")
    bars = Condition.NOT_PUBLIC_HEALTH_AGENCY_HIV_DATA
    assert not hold(bars, case(agency, codes=["HIV"]))
    assert hold(bars, case(agency, codes=["MH"]))
    assert hold(bars, case(codes=["HIV"]))


def test_an_item_that_came_from_a_plan():
    """Shown by a Provenance, or stated of the record."""
    same = Condition.HH_RECEIVED_SAME_ITEM_FROM_MCO
    assert hold(same, case(came_from=lambda: frozenset({"plan"})))
    assert hold(same, case(came_from=lambda: frozenset({"third"}))) is None
    assert hold(same, case(stated={same.value: True}))
    assert hold(same, case(stated={same.value: False})) is False


def test_a_form_is_said_to_be_one_and_names_the_recipient():
    """Both; said not to be one, or not said, it is none or not known."""
    form = Condition.CONSENT_MEETS_VAWA_FORM
    assert hold(form, case(stated={form.value: True}, consents=[NAMING]))
    assert hold(form, case(stated={form.value: True}, consents=[PERMITTING])) is False
    assert hold(form, case(stated={form.value: False}, consents=[NAMING])) is False
    assert hold(form, case(consents=[NAMING])) is None


STATED = """
bona_fide_medical_emergency calaim_purpose discloser_attests_advances_treatment federal_programme_rules_met
hmis_privacy_notice_covers_disclosure required_by_law security_requirements_met subject_has_capacity
"""


def attested(found, **said):
    """The case where this was stated of the exchange."""
    return msgspec.structs.replace(found, exchange=msgspec.structs.replace(found.exchange, attested=said))


def of_patient(found, **said):
    """The case where this was stated of the patient."""
    return msgspec.structs.replace(found, subject=msgspec.structs.replace(found.subject, stated=said))


@pytest.mark.parametrize("condition", [one for one in Condition if one.value in STATED.split()], ids=str)
def test_what_is_stated_is_so_and_what_is_not_is_not_known(condition):
    """Of the exchange, of the patient or of the record; who says that it is not so is believed first."""
    name = condition.value
    assert hold(condition, case()) is None
    for said in (True, False):
        for found in (attested(case(), **{name: said}), of_patient(case(), **{name: said}), case(stated={name: said})):
            assert hold(condition, found) is said
    for found in (
        attested(case(stated={name: False}), **{name: True}),
        attested(of_patient(case(), **{name: False}), **{name: True}),
        attested(case(stated={name: True}), **{name: False}),
    ):
        assert hold(condition, found) is False


def test_an_emergency_needs_both():
    """It is one, and consent cannot be obtained beforehand (42 CFR 2.51(a))."""
    there, cannot = "bona_fide_medical_emergency", "consent_cannot_be_obtained"
    emergency = Condition.PART2_EMERGENCY
    assert hold(emergency, attested(case(), **{there: True, cannot: True}))
    assert hold(emergency, attested(case(), **{there: True})) is None
    assert hold(emergency, attested(case(), **{cannot: True})) is None
    assert hold(emergency, attested(case(), **{there: True, cannot: False})) is False
    assert hold(emergency, attested(case(), **{there: False})) is False


def test_within_a_program_and_with_its_service_organisation():
    """A program to itself; a program to who has the agreement with it, about what the agreement lists."""
    program = party("provider_part2", "discloser", part2_program=True)
    within, service = Condition.PART2_SAME_PROGRAM, Condition.PART2_QUALIFIED_SERVICE_ORGANISATION
    assert hold(within, case(program, program))
    assert not hold(within, case(program))
    other = party("cbo", "discloser")
    assert not hold(within, case(other, other))
    assert hold(service, case(program, None, agreement("QSOA")))
    assert not hold(service, case(other, None, agreement("QSOA")))
    assert not hold(service, case(program, None, agreement("BAA")))
    listed = agreement("QSOA", data=frozenset({"claims"}))
    assert hold(service, case(program, None, listed, categories=frozenset({"claims"})))
    assert not hold(service, case(program, None, listed, categories=frozenset({"housing"})))


def test_a_consent_given_without_capacity_permits_nothing_but_by_a_representative():
    """One whose authority was verified; and none at all with a signature that the law does not take."""
    by_another = {"performer": [{"reference": "RelatedPerson/r"}], "verification": [{"verified": True}]}
    represented = good(r4(provision=permit(), **by_another))
    names = Condition.CONSENT_PERMITS
    for consents, without_capacity in (([PERMITTING], False), ([represented], True)):
        found = case(consents=consents)
        assert hold(names, found)
        assert without_capacity is hold(names, of_patient(found, subject_has_capacity=False))
        assert hold(names, of_patient(found, subject_has_capacity=True))
        assert not hold(names, of_patient(found, electronic_signature_meets_federal_law=False))


def test_the_programs_because_of_whom_a_record_is_part_2():
    """Those that are its source; not who gave another label, nor a Part 2 label that came with it."""
    found = [
        Label(Kind.POLICY, ACT_CODE, "42CFRPart2", Basis.SOURCE, "", "harbor"),
        Label(Kind.POLICY, ACT_CODE, "42CFRPart2", Basis.RECEIVED, "", "sender"),
        Label(Kind.SENSITIVITY, ACT_CODE, "SUD", Basis.SOURCE, "", "list"),
    ]
    labels = Labels(tuple(found), Confidentiality.R, frozenset({"SUD"}), frozenset({"42CFRPart2"}), unknown=False)
    assert {"harbor"} == programs_of(labels)


def test_the_instant_of_the_questions():
    """The periods above are meant to be over, or not, at this instant."""
    assert AT == case().exchange.at


def test_what_is_said_is_held_against_what_is_derived_and_can_be_told():
    """Of what nobody can tell nothing is derived, and nothing contradicts it; what may be stated is not asked."""
    said = {Condition.ADULT_ONLY.value: True, Condition.AGE_KNOWN.value: True, Condition.REQUIRED_BY_LAW.value: True}
    assert {Condition.AGE_KNOWN.value: False} == derived_of(case(), said)
    born = case()
    born = msgspec.structs.replace(
        born, subject=msgspec.structs.replace(born.subject, birth_date=parse_date("2015-01-01"))
    )
    assert {Condition.AGE_KNOWN.value: True, Condition.ADULT_ONLY.value: False} == derived_of(born, said)
