"""One spelling for every code, and how the codes stand to each other (labels.md sections 1 to 4, 8 and 9)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_store.model import ACT_CODE, ACT_REASON, CONFIDENTIALITY, Coding
from gateway.fhir import terminology, v3_tables
from gateway.fhir.code_systems import (
    CLINICAL_SYSTEMS,
    CPT,
    HCPCS,
    ICD_9_CM,
    ICD_9_PROCEDURES,
    ICD_10_CM,
    ICD_10_PCS,
    LOINC,
    NDC,
    OBSERVATION_VALUE,
    PRIVACY_SYSTEMS,
    RXNORM,
    SNOMED_CT,
    TEFCA_PURPOSE,
    canonical_system,
)
from gateway.fhir.terminology import (
    CONFIDENTIALITY_ORDER,
    TEFCA_PURPOSES,
    CodeSet,
    canonical,
    code_set,
    deny_cluster,
    is_known,
    known_system,
    listed_as,
    purpose_is_a,
    purpose_of,
    sensitivity_is_a,
)
from profiles.codelists import generate

TREAT = Coding(ACT_REASON, "TREAT")
SUD = Coding(ACT_CODE, "SUD")


def purpose(code):
    """An ActReason code."""
    return Coding(ACT_REASON, code)


@pytest.mark.parametrize(
    ("written", "system"),
    [
        ("http://terminology.hl7.org/ValueSet/v3-InformationSensitivityPolicy", ACT_CODE),
        ("http://terminology.hl7.org/CodeSystem/v3-ActUSPrivacyLaw", ACT_CODE),
        ("https://terminology.hl7.org/CodeSystem/v3-ActCode", ACT_CODE),
        ("http://terminology.hl7.org/CodeSystem/v3-ActCode|9.0.0", ACT_CODE),
        ("http://terminology.hl7.org/CodeSystem/v3-ActCode/", ACT_CODE),
        (" http://terminology.hl7.org/CodeSystem/v3-ActCode ", ACT_CODE),
        ("HTTP://TERMINOLOGY.HL7.ORG/CodeSystem/V3-ActCode", ACT_CODE),
        ("http://hl7.org/fhir/v3/ActCode", ACT_CODE),
        ("http://hl7.org/fhir/ValueSet/v3-ObligationPolicy", ACT_CODE),
        ("http://terminology.hl7.org/ValueSet/v3-RefrainPolicy", ACT_CODE),
        ("urn:oid:2.16.840.1.113883.5.4", ACT_CODE),
        ("URN:OID:2.16.840.1.113883.5.4", ACT_CODE),
        ("2.16.840.1.113883.5.4", ACT_CODE),
        ("urn:oid:2.16.840.1.113883.1.11.20428", ACT_CODE),
        ("http://hl7.org/fhir/v3/ActReason", ACT_REASON),
        ("http://terminology.hl7.org/CodeSystem/v3-PurposeOfUse", ACT_REASON),
        ("http://terminology.hl7.org/ValueSet/v3-GeneralPurposeOfUse", ACT_REASON),
        ("urn:oid:2.16.840.1.113883.5.8", ACT_REASON),
        ("https://terminology.hl7.org/CodeSystem/v3-Confidentiality", CONFIDENTIALITY),
        ("http://hl7.org/fhir/v3/Confidentiality", CONFIDENTIALITY),
        ("http://terminology.hl7.org/ValueSet/v3-ConfidentialityClassification", CONFIDENTIALITY),
        ("urn:oid:2.16.840.1.113883.5.25", CONFIDENTIALITY),
        ("urn:oid:2.16.840.1.113883.5.1063", OBSERVATION_VALUE),
        ("urn:oid:2.16.840.1.113883.3.7204.1.5.2.1", TEFCA_PURPOSE),
        ("urn:oid:2.16.840.1.113883.6.90", ICD_10_CM),
        ("http://hl7.org/fhir/sid/icd-10", ICD_10_CM),
        ("https://hl7.org/fhir/sid/icd-10-cm", ICD_10_CM),
        ("http://www.cms.gov/Medicare/Coding/ICD10", ICD_10_PCS),
        ("urn:oid:2.16.840.1.113883.6.103", ICD_9_CM),
        ("http://hl7.org/fhir/sid/icd-9", ICD_9_CM),
        ("urn:oid:2.16.840.1.113883.6.104", ICD_9_PROCEDURES),
        ("urn:oid:2.16.840.1.113883.6.96", SNOMED_CT),
        ("http://snomed.info/sct/731000124108/version/20240301", SNOMED_CT),
        ("https://loinc.org", LOINC),
        ("urn:oid:2.16.840.1.113883.6.1", LOINC),
        ("urn:oid:2.16.840.1.113883.6.88", RXNORM),
        ("urn:oid:2.16.840.1.113883.6.69", NDC),
        ("urn:oid:2.16.840.1.113883.6.12", CPT),
        ("https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", HCPCS),
        ("https://bluebutton.cms.gov/resources/codesystem/hcpcs", HCPCS),
    ],
)
def test_every_spelling_of_a_system_is_one_system(written, system):
    """Each alias seen in the wild, one case each (labels.md section 1, L005)."""
    assert system == canonical_system(written)


@pytest.mark.parametrize("system", sorted(PRIVACY_SYSTEMS | CLINICAL_SYSTEMS))
def test_a_canonical_system_stays_itself(system):
    """Canonicalising twice changes nothing."""
    assert system == canonical_system(system) == canonical_system(canonical_system(system))


def test_an_unknown_system_is_only_itself():
    """A URI that is in no table is kept whole, version and all: it may match nothing but itself."""
    assert canonical_system("http://acme.example/codes|2") == "http://acme.example/codes|2"
    assert canonical_system("http://acme.example/codes|2") != canonical_system("http://acme.example/codes")


@pytest.mark.parametrize("written", [None, "", "  ", "http://hl7.org/fhir/ValueSet/security-labels"])
def test_what_names_no_single_system_is_no_system(written):
    """A value set over several systems tells as little as an absent system."""
    assert canonical_system(written) is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (
            Coding("http://terminology.hl7.org/CodeSystem/v3-ActUSPrivacyLaw", "42CFRPart2"),
            Coding(ACT_CODE, "42CFRPart2"),
        ),
        (Coding(CONFIDENTIALITY, "ETH"), Coding(ACT_CODE, "ETH")),
        (Coding(CONFIDENTIALITY, "HIV"), Coding(ACT_CODE, "HIV")),
        (Coding(CONFIDENTIALITY, "PSY"), Coding(ACT_CODE, "PSY")),
        (Coding(CONFIDENTIALITY, "SDV"), Coding(ACT_CODE, "SDV")),
        (Coding(CONFIDENTIALITY, "T"), Coding(ACT_CODE, "TBOO")),
        (Coding(CONFIDENTIALITY, "S"), Coding(ACT_CODE, "PRS")),
        (Coding(CONFIDENTIALITY, "C"), Coding(ACT_CODE, "CEL")),
        (Coding(ACT_CODE, "NORDSLCD"), Coding(ACT_CODE, "NORDSCLCD")),
        (Coding(ACT_CODE, "sud"), SUD),
        (Coding(ACT_CODE, " 42cfrpart2 "), Coding(ACT_CODE, "42CFRPart2")),
        (Coding(CONFIDENTIALITY, "r"), Coding(CONFIDENTIALITY, "R")),
        (Coding(None, "SUD"), Coding(None, "SUD")),
        (Coding("http://acme.example/codes", "sud"), Coding("http://acme.example/codes", "sud")),
        (Coding(ACT_CODE, "ZZZ"), Coding(ACT_CODE, "ZZZ")),
        (Coding(ACT_CODE, " "), Coding(ACT_CODE, None)),
    ],
)
def test_every_spelling_of_a_code_is_one_code(written, meant):
    """Retired codes become their successors, case is HL7's, and what is not listed stays as written."""
    assert meant == canonical(written) == canonical(canonical(written))


def test_no_two_codes_of_a_system_differ_in_case_alone():
    """Else reading a code in any case could confuse two of them."""
    for codes in terminology._CODE_SETS.values():
        assert len(codes) == len({code.casefold() for code in codes})


@pytest.mark.parametrize(
    ("coding", "what"),
    [
        (Coding(CONFIDENTIALITY, "R"), CodeSet.CONFIDENTIALITY),
        (Coding(CONFIDENTIALITY, "D"), CodeSet.UNKNOWN),
        (SUD, CodeSet.SENSITIVITY),
        (Coding(ACT_CODE, "42CFRPart2"), CodeSet.POLICY),
        (Coding(ACT_CODE, "42CFRPart2CD"), CodeSet.DIRECTIVE),
        (Coding(ACT_CODE, "NORDSLCD"), CodeSet.REFRAIN),
        (Coding(ACT_CODE, "PERSISTLABEL"), CodeSet.OBLIGATION),
        (Coding(ACT_CODE, "PRSTRM"), CodeSet.UNKNOWN),
        (Coding(ACT_CODE, "BHS"), CodeSet.UNKNOWN),
        (Coding(ACT_CODE, "RedisclosureProhibitionMark"), CodeSet.MARK),
        (Coding(OBSERVATION_VALUE, "SUBSETTED"), CodeSet.INTEGRITY),
        (Coding(OBSERVATION_VALUE, "PATRPT"), CodeSet.INTEGRITY),
        (Coding(ACT_REASON, "HTEST"), CodeSet.PURPOSE),
        (Coding(ACT_CODE, "HTEST"), CodeSet.UNKNOWN),
        (Coding(None, "SUD"), CodeSet.FOREIGN),
        (Coding("http://acme.example/codes", "SUD"), CodeSet.FOREIGN),
        (Coding(ACT_CODE, None), CodeSet.UNKNOWN),
    ],
)
def test_each_code_is_in_one_set(coding, what):
    """The traps of labels.md sections 1, 3 and 5: HTEST is a purpose, BHS and PRSTRM do not exist."""
    assert what == code_set(coding)
    assert is_known(coding) is (what not in {CodeSet.UNKNOWN, CodeSet.FOREIGN})


def test_only_systems_we_list_can_have_unknown_codes():
    """In a clinical system, which we do not list whole, a code is foreign and not unknown."""
    assert known_system("urn:oid:2.16.840.1.113883.5.4")
    assert not known_system(ICD_10_CM)
    assert not known_system(None)


def test_a_code_without_system_may_be_any_that_is_listed():
    """For labels and denies: "N" may be a confidentiality, "S" is a retired one's successor, "ZZZ" is nothing."""
    assert (Coding(CONFIDENTIALITY, "N"),) == listed_as("N")
    assert (Coding(ACT_CODE, "PRS"),) == listed_as("S")
    assert (SUD,) == listed_as("sud")
    assert () == listed_as("ZZZ")


def test_confidentiality_is_one_order():
    """U < L < M < N < R < V (labels.md section 2)."""
    assert ["U", "L", "M", "N", "R", "V"] == sorted(v3_tables.CONFIDENTIALITIES, key=CONFIDENTIALITY_ORDER.__getitem__)


@pytest.mark.parametrize(
    ("child", "ancestor", "is_a"),
    [
        ("COC", "TREAT", True),
        ("CAREMGT", "TREAT", False),
        ("CAREMGT", "HOPERAT", True),
        ("BTG", "ETREAT", True),
        ("BTG", "TREAT", True),
        ("ELIGDTRM", "HPAYMT", True),
        ("POPHLTH", "TREAT", True),
        ("HTEST", "HOPERAT", True),
        ("TREAT", "COC", False),
        ("TREAT", "TREAT", True),
        ("TREAT", "PurposeOfUse", True),
        ("ZZZ", "ZZZ", True),
        ("ZZZ", "TREAT", False),
    ],
)
def test_purposes_subsume_as_hl7_says(child, ancestor, is_a):
    """The traps of labels.md section 8: coordination of care is treatment, care management is operations."""
    assert is_a is purpose_is_a(purpose(child), purpose(ancestor))


def test_a_purpose_of_another_system_or_of_none_is_only_itself():
    """It falls under nothing, and a code without system matches not even itself."""
    ours, theirs = purpose("TREAT"), Coding("http://acme.example/purposes", "TREAT")
    assert purpose_is_a(theirs, theirs)
    assert not purpose_is_a(theirs, ours)
    assert not purpose_is_a(Coding(None, "TREAT"), Coding(None, "TREAT"))
    assert purpose_is_a(
        Coding("urn:oid:2.16.840.1.113883.5.8", "COC"), Coding("http://hl7.org/fhir/v3/ActReason", "TREAT")
    )


@pytest.mark.parametrize(
    "claim",
    [
        "TREAT",
        " TREAT ",
        f"{ACT_REASON}|TREAT",
        f"{ACT_REASON}|3.1.0|TREAT",
        f"{ACT_REASON}#TREAT",
        "urn:oid:2.16.840.1.113883.5.8#TREAT",
        "https://terminology.hl7.org/CodeSystem/v3-ActReason#TREAT",
        "T-TREAT",
        "T-TRTMNT",
        "urn:oid:2.16.840.1.113883.3.7204.1.5.2.1#T-TREAT",
        Coding("http://hl7.org/fhir/v3/ActReason", "TREAT"),
        Coding(None, "TREAT"),
    ],
)
def test_a_claimed_purpose_is_read_in_every_form(claim):
    """The string forms of purpose-of-use.md section 1, and a Coding."""
    assert purpose_of(claim) == TREAT


@pytest.mark.parametrize(
    "claim",
    [
        "",
        " ",
        "ZZZ",
        "treat",
        "TREAT,HPAYMT",
        "TREAT HPAYMT",
        "PurposeOfUse",
        f"{ACT_REASON}|",
        "|TREAT",
        "#TREAT",
        f"{ACT_REASON}#ZZZ",
        f"{ACT_CODE}#42CFRPart2",
        f"{TEFCA_PURPOSE}#T-ZZZ",
        "http://hl7.org/fhir/ValueSet/security-labels#TREAT",
        Coding(ACT_REASON, None),
        Coding(ACT_REASON, "TREAT "),
    ],
)
def test_what_is_no_known_purpose_is_refused(claim):
    """A claim is never guessed: wrong case, two purposes, an abstract root, a code of another set."""
    with pytest.raises(ValueError, match="purpose of use"):
        purpose_of(claim)


def test_tefca_purposes_map_one_way_and_never_widen():
    """T-HCO-CC is CAREMGT and not COC; every target is a purpose we know (labels.md section 9)."""
    assert purpose("CAREMGT") == purpose_of("T-HCO-CC")
    assert purpose("HPAYMT") == purpose_of("T-PYMNT")
    assert purpose("HOPERAT") == purpose_of("T-HCO")
    assert purpose_of("T-HCO-QM") == purpose_of("T-HCO-QAI")
    assert set(TEFCA_PURPOSES.values()) <= v3_tables.PURPOSES.keys()
    for code, target in TEFCA_PURPOSES.items():
        if code.startswith("T-HCO"):
            assert purpose_is_a(purpose(target), purpose("HOPERAT"))


def test_a_purpose_of_another_system_is_passed_on_as_it_is():
    """It is known to nobody here, so it can match nothing but itself."""
    assert Coding("http://acme.example/purposes", "care") == purpose_of("http://acme.example/purposes#care")


@pytest.mark.parametrize(
    ("code", "ancestor", "is_a"),
    [
        ("OPIOIDUD", "SUD", True),
        ("ETHUD", "SPI", True),
        ("ETHUD", "ETH", False),
        ("SUD", "ETH", False),
        ("PSYTHPN", "SPI", True),
        ("PSYTHPN", "PSY", False),
        ("SUD", "OPIOIDUD", False),
        ("ZZZ", "ZZZ", True),
        ("ZZZ", "SUD", False),
    ],
)
def test_sensitivities_subsume_as_hl7_says(code, ancestor, is_a):
    """ETH is nobody's ancestor; psychotherapy notes are not psychiatry (labels.md section 3, traps a and b)."""
    assert is_a is sensitivity_is_a(code, ancestor)


@pytest.mark.parametrize(
    ("denied", "also", "not_also"),
    [
        ("ETH", {"ETH", "SUD", "ETHUD", "OPIOIDUD"}, {"SPI", "PSY"}),
        ("OPIOIDUD", {"ETH", "SUD", "ETHUD", "OPIOIDUD"}, {"SPI"}),
        ("PSY", {"PSY", "MH", "BH", "EMOTDIS"}, {"PSYTHPN", "SUD"}),
        ("SDV", {"SDV", "VIO", "MST"}, {"SEX"}),
        ("SPI", {"SPI", "SUD", "ETH", "PSYTHPN", "BH", "COGN"}, {"HIV"}),
        ("PSYTHPN", {"PSYTHPN"}, {"PSY", "BH"}),
        ("HIV", {"HIV"}, {"STD"}),
        ("ZZZ", {"ZZZ"}, {"SUD"}),
    ],
)
def test_a_deny_reaches_the_whole_cluster(denied, also, not_also):
    """A deny of one spelling of substance use denies all of them (labels.md section 3)."""
    cluster = deny_cluster(denied)
    assert also <= cluster
    assert not not_also & cluster


@given(st.sampled_from(sorted(v3_tables.SENSITIVITIES)), st.sampled_from(sorted(v3_tables.SENSITIVITIES)))
def test_a_deny_never_reaches_less_than_its_subsumption(code, below):
    """Law: whatever falls under a denied sensitivity is denied."""
    assert not sensitivity_is_a(below, code) or below in deny_cluster(code)


def test_the_tables_are_what_hl7_published(shared, repository):
    """Generating v3_tables.py again from HL7's resources gives the file that is checked in."""
    privacy_codes = json.loads((shared / "data" / "tho" / "privacy-codes.json").read_text())
    values = json.loads((shared / "data/codelists/hl7-v3/CodeSystem-v3-ObservationValue.json").read_text())
    checked_in = (repository / "gateway" / "fhir" / "v3_tables.py").read_text()
    assert generate.v3_tables(privacy_codes, values) == checked_in
