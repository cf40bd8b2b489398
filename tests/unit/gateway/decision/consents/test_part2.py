"""Does a permit meet 42 CFR 2.31? Each element that is taken away is missed by name."""

import pytest

from consent_store.model import ACT_CODE, ACT_REASON, Identifier
from gateway.decision.consents import part2_compliant
from tests.consent_questions import ask, exchange, program, relations, subject, target
from tests.consents import MRN, actor, code, concept, r4

FORM = "http://example.org/forms/part2"
SUD_RECORD = target(None, "R", "SUD", "42CFRPart2")
NOTE = target(None, "R", "PSYTHPN", "SUD", "42CFRPart2")
SIGNED = {"sourceAttachment": {"contentType": "application/pdf", "data": "AAAA"}}
REPRESENTATIVE = {"performer": [{"reference": "RelatedPerson/rp"}]}


def provision(**parts):
    """A permit of Part 2 records to the plan for treatment, payment and operations, until the end of 2026."""
    whole = {
        "type": "permit",
        "period": {"start": "2024-02-03", "end": "2026-12-31"},
        "actor": [actor("Organization/o7")],
        "purpose": [code(ACT_REASON, one) for one in ("TREAT", "HPAYMT", "HOPERAT")],
        "securityLabel": [code(ACT_CODE, "42CFRPart2"), code(ACT_CODE, "PSYTHPN")],
        **parts,
    }
    return {name: value for name, value in whole.items() if value is not None}


def compliant(**parts):
    """A Consent that has every element."""
    whole = {
        "category": [concept(ACT_CODE, "42CFRPart2CD")],
        "performer": [{"reference": "Patient/1"}],
        "provision": provision(),
        **SIGNED,
        **parts,
    }
    return r4(**whole)


def judged(consent, *, about=SUD_RECORD, asked=None, shown=None, who=None, forms=frozenset()):
    """What is missing of the one permit that the Consent gives."""
    asked, shown = asked or exchange(), shown or relations()
    (permit,) = program(consent, asked=asked, shown=shown).decide(about).permitting
    met, missing = part2_compliant(permit, asked, who or subject(), about, shown, forms)
    assert met is not bool(missing)
    return missing


def test_a_complete_form_is_compliant():
    """Every element of 2.31 is there."""
    assert () == judged(compliant())


@pytest.mark.parametrize(
    ("parts", "missing"),
    [
        ({"sourceAttachment": None}, "no signed source and no signature is on record"),
        ({"performer": None}, "the patient, or a representative of proven authority, has not given it"),
        ({"performer": [{"reference": "Patient/mother"}]},
         "the patient, or a representative of proven authority, has not given it"),
        ({"organization": None}, "it does not name who may disclose"),
        ({"provision": provision(actor=None)}, "it does not name the recipient, by name or class"),
        ({"provision": provision(purpose=None)}, "its purposes do not cover this one"),
        ({"provision": provision(securityLabel=None)},
         "it does not describe substance use disorder or Part 2 records"),
        ({"category": [concept("http://loinc.org", "59284-0")]},
         "nothing marks it as a consent under 42 CFR Part 2"),
        ({"provision": provision(period=None)}, "it states neither an expiry nor that there is none"),
        ({"patient": {"reference": "Patient/2"}, "performer": [{"reference": "Patient/2"}]},
         "it names another patient"),
    ],
)  # fmt: skip
def test_each_missing_element_is_named(parts, missing):
    """Without one element the consent is a general one, and the answer says which it lacks."""
    assert (missing,) == judged(compliant(**parts))


def test_verification_neither_signs_nor_is_needed():
    """`verified: true` does not replace a signature."""
    consent = compliant(sourceAttachment=None, verification=[{"verified": True}])
    assert ("no signed source and no signature is on record",) == judged(consent)


def test_a_provenance_with_a_signature_signs():
    """A Provenance that targets the Consent and has a signature is a signature on record."""
    provenance = {
        "resourceType": "Provenance",
        "id": "p",
        "target": [{"reference": "Consent/c1/_history/1"}],
        "signature": [{"who": {"reference": "Patient/1"}}],
    }
    assert () == judged(compliant(sourceAttachment=None), shown=relations(provenance))
    unsigned = {name: value for name, value in provenance.items() if name != "signature"}
    assert 1 == len(judged(compliant(sourceAttachment=None), shown=relations(unsigned)))


def test_no_expiry_by_date_is_enough_where_an_event_is_told():
    """`_end` with data-absent-reason not-applicable says that the source tells the event."""
    absent = {
        "extension": [
            {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "not-applicable"}
        ]
    }
    assert () == judged(compliant(provision=provision(period={"start": "2024-02-03", "_end": absent})))


def test_an_expired_form_permits_nothing():
    """Past its end there is no permit to judge."""
    consent = compliant(provision=provision(period={"start": "2024", "end": "2024"}))
    assert () == ask(consent, about=SUD_RECORD).permitting


def test_a_class_of_recipients_is_a_designation():
    """Recipients may be named by class (2.31(a)(4))."""
    plans = {
        "role": actor("x")["role"],
        "reference": {"identifier": {"system": "urn:consent-gateway:participant-type", "value": "mcp"}},
    }
    assert () == judged(compliant(provision=provision(actor=[plans])))


def test_the_patient_may_sign_and_be_known_by_identifier():
    """Consent and subject meet by a business identifier."""
    mrn = {"system": MRN, "value": "77"}
    consent = compliant(patient={"identifier": mrn}, performer=[{"identifier": mrn}])
    assert () == judged(consent, who=subject(Identifier(MRN, "77"), id="99"))


def test_another_persons_identifier_signs_for_nobody():
    """A business identifier that is neither the subject's nor the consent's patient's."""
    stranger = compliant(performer=[{"identifier": {"system": MRN, "value": "78"}}])
    assert 1 == len(judged(stranger, who=subject(Identifier(MRN, "77"))))


@pytest.mark.parametrize("form", ["42CFRPart2CD", "MDHHS-5515Part2"])
def test_the_directives_that_assert_the_form_mark_it(form):
    """42 CFR Part 2's own, and Michigan's that takes it in; Michigan's other one does not."""
    assert () == judged(compliant(category=[concept(ACT_CODE, form)]))
    assert 1 == len(judged(compliant(category=[concept(ACT_CODE, "MDHHS-5515MMHC")])))


class TestRepresentative:
    def test_with_verified_authority(self):
        """A RelatedPerson may give it where the authority was verified."""
        assert () == judged(compliant(**REPRESENTATIVE, verification=[{"verified": True}]))

    def test_without_verified_authority(self):
        """Relation alone is no authority (L093)."""
        assert 1 == len(judged(compliant(**REPRESENTATIVE)))

    @pytest.mark.parametrize(
        ("more", "lacks"), [({}, 0), ({"active": False}, 1), ({"patient": {"reference": "Patient/2"}}, 1)]
    )
    def test_of_this_patient(self, more, lacks):
        """The context must not show the person to be inactive, or another patient's."""
        person = {"resourceType": "RelatedPerson", "id": "rp", "patient": {"reference": "Patient/1"}, **more}
        consent = compliant(**REPRESENTATIVE, verification=[{"verified": True}])
        assert lacks == len(judged(consent, shown=relations(person)))


class TestPurposes:
    def test_legal_proceedings_never_pass_on_a_consent_for_operations(self):
        """HLEGAL is under HOPERAT, and still needs a consent for nothing else (L095)."""
        legal = exchange("HLEGAL")
        assert ("its purposes do not cover this one",) == judged(compliant(), asked=legal)
        both = provision(purpose=[code(ACT_REASON, "HLEGAL"), code(ACT_REASON, "TREAT")])
        assert ("its purposes do not cover this one",) == judged(compliant(provision=both), asked=legal)
        alone = provision(purpose=[code(ACT_REASON, "HLEGAL")])
        assert () == judged(compliant(provision=alone), asked=legal)


class TestNotes:
    def test_notes_need_a_consent_for_nothing_else(self):
        """A consent for all SUD records that says nothing of notes does not cover them."""
        every = "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition-hrex-consent.html#sensitive"
        consent = compliant(policy=[{"uri": every}], provision=provision(securityLabel=None))
        assert ("psychotherapy or counselling notes need a consent for nothing else",) == judged(consent, about=NOTE)
        assert () == judged(compliant(), about=NOTE)


class TestForm:
    def test_a_policy_that_the_operator_knows(self):
        """The operator may list policy URIs that are compliant forms."""
        consent = compliant(category=[concept("http://loinc.org", "59284-0")], policy=[{"uri": FORM}])
        assert 1 == len(judged(consent))
        assert () == judged(consent, forms=frozenset({FORM}))

    def test_the_older_spelling_of_the_marker(self):
        """The marker counts in a deprecated spelling of its system too."""
        old = "http://terminology.hl7.org/CodeSystem/v3-ActUSPrivacyLaw"
        assert () == judged(compliant(category=[concept(old, "42CFRPart2CD")]))
