"""Code lists: how a Coding is looked up, and what the shipped lists are (L006; manifest of the published sources)."""

import json

import pytest

from consent_store.model import Coding
from gateway.errors import ProfileError
from gateway.fhir.code_systems import CPT, HCPCS, ICD_9_PROCEDURES, ICD_10_PCS, MS_DRG, RXNORM, SNOMED_CT
from gateway.labels.lists import CodeGroup, CodeIndex, CodeList, parse_code_list
from profiles.codelists import generate
from tests.unit.gateway.labels.conftest import ICD


def said(rules, system, code):
    """What the shipped lists say of a code."""
    return {hit.code for hit in rules.codes.find(Coding(system, code))}


@pytest.mark.parametrize("code", ["F11.20", "F1120", "f11.20", " F11.20 ", "F11", "F11.11"])
def test_a_diagnosis_is_found_in_every_spelling(code, rules):
    """Dotted, undotted, any case, the header, and a code newer than the CMS list (caught by its stem)."""
    assert {"OPIOIDUD"} == said(rules, ICD, code)


@pytest.mark.parametrize(
    ("system", "code", "means"),
    [
        (ICD, "F10.20", {"ETHUD"}),
        (ICD, "F14.10", {"SUD"}),
        (ICD, "F17.210", set()),
        (ICD, "I10", set()),
        (ICD, "B20", {"HIV"}),
        (ICD, "T74.11XA", {"SDV"}),
        (ICD, "F32.9", {"BH"}),
        (ICD, "F14.24", {"BH", "SUD"}),
        (ICD, "T36.0X3A", {"VIO"}),
        (ICD, "T36.0X1A", set()),
        (ICD, "Z83.0", {"HIV"}),
        (ICD, "D56.1", {"GDIS"}),
        (ICD, "F1", set()),
        ("http://hl7.org/fhir/sid/icd-10", "F11.2", {"OPIOIDUD"}),
        ("urn:oid:2.16.840.1.113883.6.103", "304.01", {"OPIOIDUD"}),
        ("http://hl7.org/fhir/sid/icd-9-cm", "3051", set()),
        ("http://hl7.org/fhir/sid/icd-9-cm", "042", {"HIV"}),
        ("http://hl7.org/fhir/sid/icd-9-cm", "9461", set()),
        (ICD_9_PROCEDURES, "9461", {"SUD"}),
        ("http://hl7.org/fhir/sid/icd-9-cm", "94.65", {"SUD"}),
        ("http://hl7.org/fhir/sid/icd-9-cm", "96502", {"OPIOIDUD"}),
        ("http://hl7.org/fhir/sid/icd-9-cm", "E963", {"VIO"}),
        ("http://hl7.org/fhir/sid/icd-9-cm", "334.0", {"GDIS"}),
        ("http://hl7.org/fhir/sid/icd-9-cm", "V79.1", set()),
        ("http://hl7.org/fhir/sid/icd-9-cm", "94.27", {"BH"}),
        (SNOMED_CT, "412734009", {"GDIS"}),
        (SNOMED_CT, "73211009", set()),
        (SNOMED_CT, "46635009", set()),
        (SNOMED_CT, "193570009", set()),
        (ICD_10_PCS, "hz30zzz", {"SUD"}),
        (HCPCS, "H0020", {"OPIOIDUD"}),
        (HCPCS, "99408", {"SUD"}),
        (CPT, "99408", {"SUD"}),
        (CPT, "99213", set()),
        (MS_DRG, "MS-DRG 895", {"SUD"}),
        (MS_DRG, "0895", {"SUD"}),
        (RXNORM, "1010600", {"OPIOIDUD"}),
        (RXNORM, "6813", {"OPIOIDUD"}),
        (RXNORM, "7243", {"SUD"}),
        (RXNORM, "82819", {"ETHUD"}),
        (RXNORM, "1049221", set()),
        (RXNORM, "7804", set()),
        (SNOMED_CT, "5602001", {"OPIOIDUD"}),
        (SNOMED_CT, "52052004", set()),
        ("http://acme.example/codes", "F11.20", set()),
        (ICD, None, set()),
        (None, "F11.20", {"OPIOIDUD"}),
        ("", "H0005", {"SUD"}),
        (None, "ETHUD", set()),
        ("ICD-10-CM", "f1123", {"OPIOIDUD"}),
        ("CPT", "87536", {"HIV"}),
        ("SCT", "5602001", {"OPIOIDUD"}),
        ("HCPCS Level II", "H0020", {"OPIOIDUD"}),
        ("https://www.cms.gov/research/umls/hcpccs", "H0020", {"OPIOIDUD"}),
        ("our codes", "H0020", set()),
    ],
)
def test_what_the_shipped_lists_say(system, code, means, rules):
    """Disorders and their treatment are listed, nicotine and opioids for pain are not; no system means any list, and a
    system may be named instead of addressed."""
    assert means == said(rules, system, code)


def test_every_list_names_its_source(lists, terms):
    """A list is a fact: source, version and licence, and only codes."""
    published = {"asu-shares", "cms-samhsa", "icd-10-cm", "icd-9-cm", "ndc", "shift-sls"}
    published |= {"disease-ontology"}
    ours = {"quality-measures", "genetic", "hiv", "mental-health", "sexual-health", "substance-use", "violence"}
    assert published | ours == lists.keys()
    for one in [*lists.values(), terms]:
        assert one.source
        assert one.version
        assert one.licence
        assert one.note


def test_the_index_names_what_it_is_made_of(rules):
    """For the record of a decision."""
    assert "cms-samhsa 62b2d2e8d9b0" in rules.codes.revision
    assert "terms 2026-11" == rules.terms.revision


def code_list(**changes):
    """A list's JSON with one group, changed."""
    group = {"system": ICD, "sensitivities": ["SUD"], "codes": ["X1"]} | changes
    head = dict.fromkeys(("title", "source", "version", "licence", "note"), "x")
    return json.dumps({"name": "x", **head, "groups": [group]})


def test_lists_unite_and_the_first_to_say_it_is_named():
    """Two lists with one code give one label of each sensitivity."""
    heads = ({"name": "a", "sensitivities": ["SUD"]}, {"name": "b", "sensitivities": ["HIV", "SUD"]})
    one, two = (
        CodeList(head["name"], "", "", "1", "", "", (CodeGroup(ICD, tuple(head["sensitivities"]), ("X1",)),))
        for head in heads
    )
    hits = CodeIndex([one, two]).find(Coding(ICD, "X1"))
    assert [("HIV", "b 1"), ("SUD", "a 1")] == [(hit.code, hit.source) for hit in hits]


def test_a_lasting_meaning_wins_over_one_that_ended():
    """A code in one list until 2007 and in another for good is labelled for good."""
    ended = CodeList("a", "", "", "1", "", "", (CodeGroup(ICD, ("SUD",), ("X1",), until="2007-10-01"),))
    lasting = CodeList("b", "", "", "1", "", "", (CodeGroup(ICD, ("SUD",), ("X1",)),))
    for lists in ((ended, lasting), (lasting, ended)):
        assert [""] == [hit.until for hit in CodeIndex(lists).find(Coding(ICD, "X1"))]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        code_list(system="http://acme.example/codes"),
        code_list(sensitivities=["SUDD"]),
        code_list(sensitivities=[]),
        code_list(codes=[""]),
        code_list(match="suffix"),
        code_list(surprise=1),
    ],
)
def test_a_list_that_is_not_sound_is_refused(text):
    """A typing error in a list never passes silently: its codes would label nothing."""
    with pytest.raises(ProfileError, match=r"code list `x\.json`"):
        parse_code_list(text, "x.json")


@pytest.mark.parametrize("name", ["cms-samhsa", "shift-sls", "asu-shares"])
def test_the_generated_lists_are_what_was_published(name, shared, repository):
    """Generating them again from the published files gives what is checked in."""
    folder = shared / "data" / "codelists"
    asu = json.loads((folder / "asu-shares" / "sensitivity-rules.default.json").read_text())
    again = {
        "cms-samhsa": lambda: generate.cms_samhsa((folder / "cms-bfd-samhsa" / "security_labels.yml").read_text()),
        "shift-sls": lambda: generate.shift_sls(folder / "shift-sls"),
        "asu-shares": lambda: generate.asu_shares(asu),
    }[name]()
    assert generate.list_text(again) == (repository / "profiles" / "codelists" / f"{name}.json").read_text()


def test_every_code_of_the_cms_list_is_sud(shared, rules):
    """Nothing of the 682 codes CMS treats as substance use disorder data is lost on the way."""
    published = generate.cms_samhsa((shared / "data/codelists/cms-bfd-samhsa/security_labels.yml").read_text())
    codes = [(group["system"], code) for group in published["groups"] for code in group["codes"]]
    assert 682 == len(codes)
    assert all(said(rules, system, code) & {"SUD", "ETHUD", "OPIOIDUD"} for system, code in codes)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("12496120803", True),  # eleven digits, as Part D writes it
        ("12496-1208-03", True),
        ("12496-1208-3", True),
        ("1249612083", True),  # ten digits: 5-4-1
        ("0054-4571-25", True),
        ("0054457125", True),  # ten digits: 4-4-2
        ("00406-0540-34", True),
        ("00406-540-34", True),
        ("0040654034", True),  # ten digits: 5-3-2
        ("00071015523", False),  # a drug for cholesterol
        ("12496", False),
        ("", False),
    ],
)
def test_a_national_drug_code_is_found_in_every_spelling(rules, code, found):
    """Labeler, product and package with and without hyphens and zeros: any package of a listed product."""
    hits = rules.codes.find(Coding("http://hl7.org/fhir/sid/ndc", code))
    assert found is bool(hits)
