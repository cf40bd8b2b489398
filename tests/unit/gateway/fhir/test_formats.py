"""Formats: FHIR JSON is given and taken, every other is refused."""

import pytest

from gateway.errors import Unacceptable, UnsupportedMedia
from gateway.fhir.interaction import Interaction, Kind
from gateway.fhir.paths import parse
from tests.unit.gateway.fhir.interactions import FORM, JSON, TYPES, asked


@pytest.mark.parametrize(
    ("accept", "native"),
    [
        (None, "*/*"),
        ("*/*", "*/*"),
        ("application/pdf", "application/pdf"),
        ("application/fhir+json", None),
        ("application/json, application/pdf", None),
        ("application/fhir+xml, application/pdf", "application/fhir+xml, application/pdf"),
    ],
)
def test_L052_a_binary_is_asked_for_as_a_record_or_as_its_content(accept, native):
    """R4 binary.html: the record for who names FHIR JSON, its own content for all others; never FHIR in XML."""
    types = TYPES | {"Binary"}

    assert native == parse("GET", b"/Binary/1", b"", types=types, accept=accept).native
    with pytest.raises(Unacceptable):
        parse("GET", b"/Binary/1", b"", types=types, accept="application/fhir+xml")


@pytest.mark.parametrize(
    ("accept", "query"),
    [
        (None, b""),
        ("", b""),
        ("*/*", b""),
        ("application/*;q=0.2", b""),
        ("application/fhir+json", b""),
        ("Application/JSON", b""),
        ("application/fhir+json; fhirVersion=4.0; charset=utf-8", b""),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", b""),
        ("application/fhir+xml,*/*;q=0.1", b""),
        ("*/*;q=0, application/fhir+json", b""),
        ("application/fhir+json;q=0, application/json", b""),
        ("text/html", b"_format=json"),
        (None, b"_format=application/json"),
        (None, b"_format=application/fhir%2Bjson"),
        (None, b"_format=application/fhir+json"),
    ],
)
def test_json_is_given_where_the_client_takes_it(accept, query):
    """RFC 9110 section 12.5.1 and R4's `_format`: FHIR JSON, by its name, by plain JSON's, or by a wildcard."""
    assert Interaction(Kind.READ, "Patient", "1") == asked("GET", b"/Patient/1", query, accept=accept)


@pytest.mark.parametrize(
    ("accept", "query"),
    [
        ("application/fhir+xml", b""),
        ("text/turtle", b""),
        ("application/fhir+ndjson", b""),
        ("application/fhir+json;q=0", b""),
        ("application/fhir+json;q=0,*/*", b""),
        ("application/*;q=0.000,*/*", b""),
        ("*/*;q=0", b""),
        ("application/fhir+json;q=2", b""),
        ("application/fhir+json; fhirVersion=5.0", b""),
        ("application/fhir+json; charset=utf-16", b""),
        ("application/fhir+json; x=y", b""),
        ("application/fhir+json; charset=utf-8; charset=utf-16", b""),
        ("json", b""),
        ("*/json", b""),
        (None, b"_format=xml"),
        (None, b"_format=html/json"),
        (None, b"_format="),
        ("*/*", b"_format=ttl"),
        ("application/fhir+json", b"_format=application/fhir%2Bxml"),
    ],
)
def test_any_other_format_is_not_acceptable(accept, query):
    """L057: what the gateway cannot release is a 406."""
    with pytest.raises(Unacceptable):
        asked("GET", b"/Patient/1", query, accept=accept)


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        (b"/", None),
        (b"/", "text/plain"),
        (b"/", "application/fhir+xml"),
        (b"/", f"{JSON}, {JSON}"),
        (b"/", f"{JSON}; charset=iso-8859-1"),
        (b"/", f"{JSON}; fhirVersion=3.0"),
        (b"/Bundle", FORM),
        (b"/Bundle", "application/fhir+ndjson"),
        (b"/Patient/_search", JSON),
        (b"/Patient/_search", None),
        (b"/Patient/_search", "multipart/form-data; boundary=x"),
    ],
)
def test_a_body_of_another_type_is_refused(path, content_type):
    """L057: bodies are FHIR JSON in UTF-8, or a form for _search; anything else is a 415."""
    with pytest.raises(UnsupportedMedia):
        asked("POST", path, content_type=content_type)
