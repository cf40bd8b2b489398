"""What attachments say of themselves: C-CDA by its own codes, plain text by words, everything else by nothing."""

import base64

import pytest

from gateway.fhir.confidentiality import Confidentiality
from gateway.labels.assign import assign
from gateway.labels.ccda import read_ccda
from gateway.labels.model import Kind
from tests.unit.gateway.labels.conftest import view

HEAD = '<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3">'


def level(code):
    """A document's or section's own level."""
    return f'<confidentialityCode code="{code}" codeSystem="2.16.840.1.113883.5.25"/>'


def ccda(*parts):
    """A C-CDA of these parts."""
    return (HEAD + "".join(parts) + "</ClinicalDocument>").encode()


def section(text, more=""):
    """A section of the body."""
    inside = f"<section><title>Problems</title><text>{text}</text>{more}</section>"
    return f"<component><structuredBody><component>{inside}</component></structuredBody></component>"


def document(data, kind="application/xml", **more):
    """A DocumentReference with one attachment."""
    attachment = {"contentType": kind, "data": base64.b64encode(data).decode()}
    return view({"resourceType": "DocumentReference", "id": "d", "content": [{"attachment": attachment}], **more})


@pytest.fixture
def labels(rules, nowhere):
    """The labels of an attachment: (level, sensitivities)."""

    def of(data, kind="application/xml", **more):
        found = assign(document(data, kind, **more), nowhere, rules)
        return found.confidentiality.name, found.sensitivities

    return of


def test_a_plain_document_states_its_own_level(labels):
    """N, with nothing sensitive in it: the document is as it says."""
    assert ("N", frozenset()) == labels(ccda(level("N"), section("Asthma.")))


def test_a_restricted_section_restricts_the_document(labels):
    """The highest level counts, wherever in the document it stands."""
    assert ("R", frozenset()) == labels(ccda(level("N"), section("Asthma.", level("R"))))
    assert ("V", frozenset()) == labels(ccda(level("V"), section("Asthma.")))


def test_codes_and_texts_inside_count(labels):
    """A problem by its SNOMED CT or ICD-10-CM code in an OID's system; a word in the narrative or a displayName."""
    coded = '<entry><observation><value code="F11.20" codeSystem="2.16.840.1.113883.6.90"/></observation></entry>'
    assert frozenset({"OPIOIDUD"}) == labels(ccda(level("N"), section("x", coded)))[1]
    assert (
        frozenset({"OPIOIDUD"}) == labels(ccda(level("N"), section("<td>takes <content>methadone</content></td>")))[1]
    )
    shown = '<entry><act><code nullFlavor="UNK" displayName="HIV positive"/></act></entry>'
    assert frozenset({"HIV"}) == labels(ccda(level("N"), section("x", shown)))[1]


def test_words_of_two_cells_are_no_phrase(labels):
    """`opioid` in one cell and `dependence` in the next say nothing together; across inline markup they do."""
    assert frozenset() == labels(ccda(level("N"), section("<td>opioid</td><td>dependence</td>")))[1]
    joined = "<td>opioid <content>depend</content>ence</td>"
    assert frozenset({"OPIOIDUD"}) == labels(ccda(level("N"), section(joined)))[1]


def test_privacy_annotations_are_labels(labels):
    """DS4P: security observations of the section, also of a code system that does not have the code."""
    annotation = (
        '<entry><organizer><component><observation><templateId root="2.16.840.1.113883.3.445.21"/>'
        '<value code="R" codeSystem="2.16.840.1.113883.5.1063"/></observation></component><component><observation>'
        '<templateId root="2.16.840.1.113883.3.445.21"/><value code="HIV" codeSystem="2.16.840.1.113883.5.4"/>'
        "</observation></component></organizer></entry>"
    )
    assert ("R", frozenset({"HIV"})) == labels(ccda(level("N"), section("x", annotation)))


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7 methadone",
        ccda(section("Asthma.")),  # says no level
        ccda(
            level("N"), '<component><nonXMLBody><text mediaType="application/pdf">AAAA</text></nonXMLBody></component>'
        ),
        ccda(level("N"), "<component>"),  # not well formed
        b'<!DOCTYPE ClinicalDocument [<!ENTITY a "b">]>' + ccda(level("N"), section("&a;")),
        b'<?xml version="1.0"?><!DOCTYPE x SYSTEM "http://sink/"><ClinicalDocument xmlns="urn:hl7-org:v3"/>',
        ccda(level("N"), "<section>" * 200, "</section>" * 200),
        b"<other>ClinicalDocument</other>",
        b'<ClinicalDocument xmlns="urn:other"/>',
    ],
)
def test_what_is_not_read_safely_and_whole_is_restricted(labels, data):
    """The default of attachments stands: nobody can tell what is in it."""
    assert "R" == labels(data)[0]


def test_entities_are_never_resolved():
    """Neither an internal bomb nor an outside address is read, and nothing is opened."""
    bomb = b'<!DOCTYPE ClinicalDocument [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>' + ccda(section("&b;"))
    assert read_ccda(bomb) is None
    assert read_ccda(b'<?xml version="1.0" encoding="x-unknown"?>' + ccda()) is None


def test_text_is_read_by_its_words_and_stays_restricted(labels):
    """A note in plain text or HTML: what it mentions is labelled; free text is R by default all the same."""
    assert ("R", frozenset({"HIV"})) == labels(b"Seen for HIV care.", "text/plain; charset=utf-8")
    assert ("R", frozenset({"OPIOIDUD"})) == labels(b"<p>on <b>metha</b>done</p>", "text/html")
    assert ("R", frozenset()) == labels(b"Seen for asthma.", "text/plain")
    assert ("R", frozenset()) == labels(b"\xff\xfe", "text/plain")


def test_what_the_source_stated_of_the_resource_is_kept(rules, nowhere):
    """A label found inside raises the resource's stated level, never lowers it."""
    security = {
        "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}
    }
    found = assign(document(ccda(level("N"), section("x")), **security), nowhere, rules)
    assert Confidentiality.R is found.confidentiality


def test_a_binary_is_read_too(rules, nowhere):
    """The same content in a Binary resource."""
    data = base64.b64encode(ccda(level("N"), section("on methadone"))).decode()
    found = assign(view({"resourceType": "Binary", "id": "b", "contentType": "text/xml", "data": data}), nowhere, rules)
    assert frozenset({"OPIOIDUD"}) == found.sensitivities


@pytest.mark.parametrize("name", ["170.315_b8_ds4p_amb_sample1_v8.xml", "170.315_b8_ds4p_inp_sample1_v7.xml"])
def test_the_certification_samples_of_ds4p_are_restricted(shared, labels, name):
    """Both declare R, for the document and for the section of prohibitions, and are substance use records."""
    found = labels((shared / "data" / "ccda-ds4p" / name).read_bytes())
    assert "R" == found[0]
    assert "SUD" in found[1]


@pytest.mark.parametrize("name", ["CCD.xml", "Care_Plan.xml", "Consultation_Note.xml", "Diagnostic_Imaging_Report.xml"])
def test_plain_documents_are_read(shared, name):
    """HL7's examples say N; all of them are read whole."""
    found = read_ccda((shared / "data" / "ccda-plain" / name).read_bytes())
    assert found is not None
    assert "N" in {coding.code for coding in found.labels}


def test_an_attachment_that_is_not_base64_labels_nothing(rules, nowhere):
    """And falls to the default."""
    broken = view({"resourceType": "DocumentReference", "content": [{"attachment": {"data": "*", "contentType": "x"}}]})
    found = assign(broken, nowhere, rules)
    assert Confidentiality.R is found.confidentiality
    assert {Kind.CONFIDENTIALITY} == {label.kind for label in found.labels}


def test_fhir_within_fhir_is_read(labels):
    """A record as JSON in a Binary or attachment: its codes, its texts and its labels; it states no level."""
    code = b'{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"B20"}],"text":"Depression"}'
    security = b'{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"SUD"}'
    inner = b'{"resourceType":"Condition","meta":{"security":[%s]},"code":%s}' % (security, code)
    bundle = b'{"resourceType":"Bundle","type":"collection","entry":[{"resource":%s}]}' % inner

    assert ("R", frozenset({"BH", "HIV", "SUD"})) == labels(inner, "application/fhir+json")
    assert ("R", frozenset({"BH", "HIV", "SUD"})) == labels(bundle, "application/json; charset=utf-8")
    assert ("R", frozenset()) == labels(inner[:-1], "application/fhir+json")


def test_rich_text_is_read_by_its_words(labels):
    """RTF: what is not text in it is set aside."""
    assert ("R", frozenset({"OPIOIDUD"})) == labels(rb"{\rtf1\ansi Refill of \b Suboxone\b0 today}", "application/rtf")
