"""What R4 and R5 Consents become: dialects, status, patient, groups, evidence, and what makes one Unreadable."""

import pytest

from consent_store.dates import SOME_DATE
from consent_store.lifecycle import R4_STATUSES, R5_STATUSES
from consent_store.model import ACT_CODE, Coding, Dialect, Effect, Expiry, Identifier, PatientKey, Reference, Status
from consent_store.provisions import MAX_DEPTH
from tests.consents import MRN, POLICY, SCOPE, actor, bad, code, concept, deny, good, permit, r4, r4_untyped, r5, text

PERMIT, DENY = Effect.PERMIT, Effect.DENY
MRN_1 = Identifier(MRN, "m1")
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


def test_an_r4_consent_is_read_to_the_model():
    """Every element a decision needs is where the model says."""
    consent = good(
        r4(
            meta={"versionId": "7"},
            performer=[{"reference": "Patient/1"}],
            policyRule=concept(ACT_CODE, "OPTIN"),
            sourceAttachment={"url": "http://example.org/form.pdf"},
            verification=[{"verified": True}],
        )
    )
    assert ("c1", "7", "4.0") == (consent.id, consent.version, consent.fhir_version)
    assert PatientKey("ehr", "1") == consent.patient
    assert "2024-02-03" == consent.date.text
    assert (Coding(SCOPE, "patient-privacy"),) == consent.scopes
    assert (Reference("Organization/o1"),) == consent.custodians
    assert (Reference("Patient/1"),) == consent.performers
    assert (POLICY,) == consent.policies
    assert (Coding(ACT_CODE, "OPTIN"),) == consent.policy_rules
    assert consent.source_attached
    assert consent.verified


def test_an_r5_consent_is_read_to_the_same_model():
    """Subject, date, manager and controller, grantor, grantee, policyBasis and regulatoryBasis find their places."""
    consent = good(
        r5(
            manager=[{"reference": "Organization/m"}],
            grantor=[{"reference": "Patient/1"}],
            grantee=[{"reference": "Organization/g"}],
            regulatoryBasis=[concept(ACT_CODE, "42CFRPart2CD")],
            sourceAttachment=[{"title": "a form"}, {"data": "eA=="}],
            sourceReference=[{"reference": "DocumentReference/d"}],
            verification=[{"verified": True}, {"verified": False}],
            period={"end": "2030"},
        )
    )
    assert (Dialect.R5, DENY, "5.0") == (consent.dialect, consent.base, consent.fhir_version)
    assert (Reference("Organization/m"), Reference("Organization/o1")) == consent.custodians
    assert (Reference("Patient/1"),) == consent.performers
    assert (Reference("Organization/g"),) == consent.grantees
    assert (POLICY,) == consent.policies
    assert (Coding(ACT_CODE, "42CFRPart2CD"),) == consent.policy_rules
    assert consent.source_attached
    assert (Reference("DocumentReference/d"),) == consent.source_references
    assert consent.verified is False
    assert "2030" == consent.period.end.text


def test_fast_custodians_come_as_extensions():
    """R5's manager and controller, carried in an R4 Consent, are custodians too; other root extensions are ignored."""
    url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Consent."
    named = {"url": f"{url}manager", "valueReference": {"reference": "Organization/m"}}
    other = {"url": "http://example.org/anything", "valueString": "x"}
    consent = good(r4(organization=None, extension=[other, named]))
    assert (Reference("Organization/m"),) == consent.custodians


@pytest.mark.parametrize(
    ("parts", "dialect", "base"),
    [
        ({"provision": {"type": "deny"}}, Dialect.TYPED, DENY),
        ({"provision": {"type": "permit"}, "policyRule": concept(ACT_CODE, "OPTOUT")}, Dialect.TYPED, PERMIT),
        ({}, Dialect.UNTYPED, PERMIT),
        ({"provision": {"period": {"end": "2030"}}}, Dialect.UNTYPED, PERMIT),
        ({"provision": {"actor": [actor("Organization/o1", "CST")]}}, Dialect.UNTYPED, PERMIT),
        ({"policyRule": concept(ACT_CODE, "OPTINR")}, Dialect.UNTYPED, PERMIT),
        ({"policyRule": concept(ACT_CODE, "OPTOUT")}, Dialect.UNTYPED, DENY),
        ({"policyRule": concept(ACT_CODE, "OPTOUTE")}, Dialect.UNTYPED, DENY),
        ({"policyRule": None}, Dialect.UNTYPED, None),
        ({"policyRule": concept(ACT_CODE, "INFA")}, Dialect.UNTYPED, None),
        ({"policyRule": concept("http://example.org", "OPTIN")}, Dialect.UNTYPED, None),
        ({"policyRule": {"coding": [code(ACT_CODE, "OPTIN"), code(ACT_CODE, "OPTOUT")]}}, Dialect.UNTYPED, None),
        ({"provision": {"actor": [actor("Organization/o1")]}}, Dialect.UNTYPED, None),
        ({"provision": {"securityLabel": [code(ACT_CODE, "PSY")]}}, Dialect.UNTYPED, None),
        ({"provision": {"dataPeriod": {"start": "2020"}}}, Dialect.UNTYPED, None),
        ({"provision": {"period": {"end": "soon"}}}, Dialect.UNTYPED, None),
    ],
)
def test_the_r4_dialects_are_told_apart(parts, dialect, base):
    """A typed root is the base; else policyRule is, where the root carries context alone; else nothing is."""
    consent = good(r4_untyped(**parts))
    assert (dialect, base) == (consent.dialect, consent.base)


@pytest.mark.parametrize(("decision", "base"), [("permit", PERMIT), ("deny", DENY), (None, None)])
def test_the_r5_base_is_the_decision(decision, base):
    """An R5 Consent with provisions and no decision cannot be evaluated, and says so."""
    assert base is good(r5(decision=decision)).base


@pytest.mark.parametrize("status", [*sorted(Status), "unknown", "nonsense", "Active", "", 5, None])
@pytest.mark.parametrize(("build", "allowed"), [(r4, R4_STATUSES), (r5, R5_STATUSES)])
def test_every_status_of_every_version(build, allowed, status):
    """A status the version has stays; `unknown`, an unlisted one and none make the Consent Unreadable (L085)."""
    tree = build(status=status)
    if status in allowed:
        assert status == good(tree).status
    else:
        assert "status" in bad(tree).why


def test_one_that_is_not_active_stays_what_it_is_though_broken():
    """Withdrawal is never lost in an unreadable rule: it keeps its status, without base and provisions."""
    consent = good(r4(status="inactive", provision="broken", verification=5))
    assert (Status.INACTIVE, None, ()) == (consent.status, consent.base, consent.provisions)


@pytest.mark.parametrize("status", ["active", "inactive"])
@pytest.mark.parametrize("name", ["modifierExtension", "implicitRules", "_implicitRules"])
def test_what_may_change_every_meaning_forbids_reading(name, status):
    """An unknown modifierExtension and implicitRules may turn any element round, the status too."""
    assert f"{name}: not understood" == bad(r4(**{name: "x"}, status=status)).why


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"actors": []}, "Consent: unknown element"),
        ({"status": None}, "status: missing"),
        ({"dateTime": "2024-13"}, "dateTime: not a date"),
        ({"scope": "patient-privacy"}, "scope: not an object"),
        ({"category": {}}, "category: empty"),
        ({"organization": {"reference": "Organization/o1"}}, "organization: not a list"),
        ({"organization": [{"referense": "Organization/o1"}]}, "organization[0]: unknown element"),
        ({"verification": [{}]}, "verification[0].verified: required"),
        ({"verification": [{"verified": "yes"}]}, "verification[0].verified: not a boolean"),
        ({"policy": [{"modifierExtension": [{"url": "x"}]}]}, "policy[0].modifierExtension: not understood"),
        ({"provision": 5}, "provision: not an object"),
        ({"provision": permit(provision={"type": "deny"})}, "provision.provision: not a list"),
        ({"provision": permit(provision=[5])}, "provision.provision[0]: not an object"),
        ({"provision": permit(provision=None)}, "provision.provision: empty"),
        ({"provision": permit(provision=[])}, "provision.provision: empty"),
        ({"provision": {"type": "banana"}}, "provision.type: not a code of the required value set"),
        ({"provision": permit(provison=[deny()])}, "provision: an unknown element that may hold provisions"),
    ],
)
def test_what_is_wrong_at_the_top_makes_it_unreadable_and_is_named(parts, why):
    """The reason names the element in the standard's words, and what can be told of patient and group is kept."""
    found = bad({**r4(), **parts})
    assert why in found.why
    assert PatientKey("ehr", "1") == found.patient


def test_an_unreadable_one_keeps_its_group():
    """Date, custodian and policy stay, so that a newer readable Consent of the group can supersede it."""
    found = bad(r4(status="nonsense"))
    assert ("2024-02-03", (Reference("Organization/o1"),), (POLICY,)) == (
        found.date.text,
        found.custodians,
        found.policies,
    )


def test_a_consent_without_scope_is_read():
    """A decision evaluates an R4 Consent without scope; only the API refuses it."""
    assert () == good(r4(scope=None)).scopes


def test_a_scope_code_in_the_category_is_kept_where_it_stands():
    """Some published Consents state their scope as a category; both are as written."""
    consent = good(r4(scope=None, category=[concept(SCOPE, "patient-privacy")]))
    assert (Coding(SCOPE, "patient-privacy"),) == consent.categories


@pytest.mark.parametrize(
    ("period", "expiry"),
    [
        (None, Expiry.UNSTATED),
        ({"start": "2024"}, Expiry.UNSTATED),
        ({"end": "2024"}, Expiry.DATE),
        ({"_end": {"extension": [{"url": ABSENT, "valueCode": "not-applicable"}]}}, Expiry.EVENT),
        ({"_end": {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}}, Expiry.UNSTATED),
    ],
)
def test_how_a_consent_ends(period, expiry):
    """By a date, by an event told in the source, or not stated; in R4 the root provision says so, in R5 the Consent."""
    told = {} if period is None else {"period": period}
    assert expiry is good(r4(provision=permit(**told))).expiry
    assert expiry is good(r5(**told)).expiry


def test_the_permits_of_a_denying_base_may_state_the_end():
    """Where a Consent denies and permits by provision, it ends as all those permits do; one open leaves it unstated."""
    ends, open_ended = {"period": {"end": "2030"}}, {"period": {"start": "2020"}}
    assert Expiry.DATE is good(r5(provision=[ends])).expiry
    assert Expiry.UNSTATED is good(r5(provision=[ends, open_ended])).expiry
    assert Expiry.UNSTATED is good(r5(decision="permit", provision=[ends])).expiry
    assert Expiry.DATE is good(r4(provision=deny(provision=[permit(**ends)]))).expiry


@pytest.mark.parametrize(
    ("patient", "record", "identifiers"),
    [
        ({"reference": "Patient/1"}, "1", ()),
        ({"reference": "Patient/1/_history/3"}, "1", ()),
        ({"reference": "http://ehr.example.org/fhir/Patient/1"}, "1", ()),
        ({"reference": "http://ehr.example.org/fhir/Patient/1/_history/3"}, "1", ()),
        ({"reference": "urn:uuid:0f3c"}, "urn:uuid:0f3c", ()),
        ({"reference": "Patient/1", "identifier": {"system": MRN, "value": "m1"}}, "1", (MRN_1,)),
        ({"identifier": {"system": MRN, "value": "m1"}}, "", (MRN_1,)),
        ({"reference": "http://other.org/Patient/1", "identifier": {"system": MRN, "value": "m1"}}, "", (MRN_1,)),
        ({"reference": "#p"}, "", (MRN_1,)),
    ],
)
def test_whose_consent_it_is(patient, record, identifiers):
    """Relative, own absolute, versioned, urn, identifier alone, foreign, contained: each has its key."""
    contained = [{"resourceType": "Patient", "id": "p", "identifier": [{"system": MRN, "value": "m1"}]}]
    own = frozenset({"http://ehr.example.org/fhir"})
    consent = good(r4(patient=patient, contained=contained), own_bases=own)
    assert (PatientKey("ehr", record), identifiers) == (consent.patient, consent.patient_identifiers)


@pytest.mark.parametrize(
    "patient",
    [
        None,
        "Patient/1",
        {"display": "Peter"},
        {"reference": "Practitioner/1"},
        {"reference": "Patient/"},
        {"reference": "Patient/1?x=y"},
        {"reference": "#p"},
        {"reference": "#nobody"},
        {"reference": "http://other.org/Patient/1"},
        {"identifier": {"value": "m1"}},
        {"identifier": {"system": MRN}},
    ],
)
def test_a_consent_of_nobody_we_know_is_unreadable(patient):
    """No id and no whole identifier: it is kept for nobody, and says that the patient is why."""
    found = bad(r4(patient=patient, contained=[{"resourceType": "Patient", "id": "p"}]))
    assert (PatientKey("ehr", ""), ()) == (found.patient, found.patient_identifiers)
    assert "patient" in found.why


@pytest.mark.parametrize("subject", [{"reference": "Group/1"}, {"reference": "Patient/1", "type": "Group"}])
def test_an_r5_subject_must_be_a_patient(subject):
    """Consents of groups and practitioners are not ours to apply."""
    assert "subject" in bad(r5(subject=subject)).why


def test_a_mixed_consent_is_r5_and_still_kept_for_its_patient():
    """An element that only R5 has decides; R4's patient in it makes it Unreadable, for that patient."""
    found = bad(r4(decision="permit"))
    assert PatientKey("ehr", "1") == found.patient
    assert "unknown element" in found.why


def test_the_version_told_counts_more_than_the_structure():
    """A text said to be R5 is read as R5; a version that is not read here makes it Unreadable."""
    assert "unknown element" in bad(r4(), fhir_version="5.0.0").why
    assert "fhirVersion: not one that is read here" == bad(r4(), fhir_version="3.0.2").why
    assert "4.0" == good(r4(), fhir_version="4.3.0").fhir_version


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda raw: raw.replace(b'"dateTime"', b'"status": "inactive", "dateTime"'), "a name stands twice"),
        (lambda raw: raw[:-20], "not JSON"),
        (lambda raw: raw.replace(b"2024-02-03", b"2024\xff02"), "not JSON"),
        (lambda raw: raw.replace(b'"2024-02-03"', b"NaN"), "not JSON"),
        (lambda raw: raw.replace(b"2024-02-03", b"\\ud800"), "not JSON"),
        (lambda raw: b"\xef\xbb\xbf" + raw, "not JSON"),
        (lambda raw: raw.replace(b'"Consent"', b'"Konsent"'), "resourceType: not Consent"),
    ],
)
def test_spoiled_text_is_still_kept_for_its_patient(spoil, why):
    """What is not strict JSON is Unreadable, and its patient is read from what is left of it."""
    found = bad(spoil(text(r4())))
    assert why in found.why
    assert PatientKey("ehr", "1") == found.patient


@pytest.mark.parametrize(
    "raw", [b"", b"null", b"[]", b'"x"', b"{", b"}", b"{}", b'{"', b"\x00", b"[" * 100_000, b"1e999"]
)
def test_text_that_is_nothing_is_nobodys(raw):
    """There is an answer for any bytes at all."""
    assert PatientKey("ehr", "") == bad(raw).patient


def nest(levels: int) -> dict:
    """A permit with `levels` provisions under it, in a line, of which the last denies."""
    tree = deny()
    for _ in range(levels):
        tree = permit(provision=[tree])
    return tree


def test_the_deepest_tree_that_is_read():
    """Fifty levels are read, the last deny among them."""
    provision = good(r4(provision=nest(MAX_DEPTH - 1))).provisions[0]
    while provision.nested:
        provision = provision.nested[0]
    assert DENY is provision.type


@pytest.mark.parametrize("levels", [MAX_DEPTH, 400, 1000, 20_000])
def test_a_deeper_tree_is_unreadable_and_raises_nothing(levels):
    """A deny that is too deep to reach must not be lost: the whole Consent is Unreadable, for its patient."""
    inner = text(deny()).decode()
    raw = '{"type":"permit","provision":[' * levels + inner + "]}" * levels
    found = bad(text(r4(provision="HERE")).replace(b'"HERE"', raw.encode()))
    assert "deep" in found.why
    assert PatientKey("ehr", "1") == found.patient


def test_ten_thousand_provisions_are_read():
    """Width is no reason to give up."""
    consent = good(r4(provision=permit(provision=[deny()] * 10_000)))
    assert 10_000 == len(consent.provisions[0].nested)


@pytest.mark.parametrize("stated", ["soon", "2024-02-30", 7, None])
def test_a_date_that_cannot_be_read_may_be_any(stated):
    """It covers every instant, so that no other consent is surely newer; a date that is not stated is none."""
    assert SOME_DATE == bad({**r4(), "dateTime": stated}).date
    assert SOME_DATE == bad({**r5(), "date": stated}).date
    assert good(r4(dateTime=None)).date is None


def test_a_date_that_was_lost_with_a_broken_text_may_be_any():
    """What was cut off may have said when."""
    whole = text(r4())
    assert SOME_DATE == bad(whole[: whole.index(b'"dateTime"')]).date
    assert "2024-02-03" == bad(whole[:-1]).date.text
