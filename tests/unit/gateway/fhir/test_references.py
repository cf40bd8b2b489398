import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_store.model import Identifier
from gateway.fhir.references import (
    Base,
    Conditional,
    Contained,
    Foreign,
    Invalid,
    Local,
    Logical,
    Urn,
    parse,
    parse_base,
    parse_value,
    target_of,
)
from gateway.fhir.walk import ReferenceAt

UP = parse_base("http://up.example/fhir")
OWN = frozenset({UP})


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("Patient/1", Local("Patient", "1")),
        ("Patient/1/_history/2", Local("Patient", "1", "2")),
        ("http://up.example/fhir/Patient/1", Local("Patient", "1")),
        ("http://up.example/fhir/Patient/1/_history/2", Local("Patient", "1", "2")),
        ("HTTP://UP.example:80/fhir/Patient/1", Local("Patient", "1")),
        ("http://up.example:/fhir/Patient/1", Local("Patient", "1")),  # RFC 3986 section 3.2.3: the default port
        ("http://up.example/%66hir/Patient/%31", Local("Patient", "1")),
        ("http://up.example/fhir/Patient/1/", Local("Patient", "1")),
        ("#p", Contained("p")),
        ("#", Contained("")),
        ("urn:uuid:0F3A", Urn("urn:uuid:0f3a")),
        ("URN:OID:1.2", Urn("urn:oid:1.2")),
        ("Patient?identifier=http://s|1", Conditional("Patient", "identifier=http://s|1")),
        ("Patient?", Conditional("Patient", "")),
        ("http://other/fhir/Patient/1", Foreign(Base("http", "other", 80, ("fhir",)), "Patient", "1")),
        ("https://up.example/fhir/Patient/1", Foreign(Base("https", "up.example", 443, ("fhir",)), "Patient", "1")),
        ("http://up.example:8080/fhir/Patient/1", Foreign(Base("http", "up.example", 8080, ("fhir",)), "Patient", "1")),
        ("http://up.example/FHIR/Patient/1", Foreign(Base("http", "up.example", 80, ("FHIR",)), "Patient", "1")),
        ("http://up.example/fhir/b/Patient/1", Foreign(Base("http", "up.example", 80, ("fhir", "b")), "Patient", "1")),
        ("http://up.example/Patient/1", Foreign(Base("http", "up.example", 80, ()), "Patient", "1")),
        (
            "http://up.example.attacker.test/fhir/Patient/1",
            Foreign(Base("http", "up.example.attacker.test", 80, ("fhir",)), "Patient", "1"),
        ),
        ("http://user@up.example/fhir/Patient/1", Foreign(None)),
        ("ftp://up.example/fhir/Patient/1", Foreign(None)),
        ("http://other/x/y", Foreign(None)),
        ("http://other/fhir/Patient/1?x", Foreign(None)),
        ("http://up.example/fhir/../fhir/Patient/1", Foreign(None)),
        ("http://up.example/fhir/patient/P2", Invalid()),
        ("http://up.example/fhir/Patient?identifier=1", Invalid()),
        ("http://up.example/fhir/Patient/1#x", Invalid()),
        ("http://up.example/fhir", Invalid()),
        ("patient/P2", Invalid()),
        ("PATIENT/P2 ", Invalid()),
        ("Patient", Invalid()),
        ("Patient/", Invalid()),
        ("/Patient/1", Invalid()),
        ("Patient//1", Invalid()),
        ("Patient/1/", Invalid()),
        ("Patient/1/_history", Invalid()),
        ("Patient/1/_History/2", Invalid()),
        ("../Patient/1", Invalid()),
        ("Patient/1|2", Invalid()),
        ("Patient/1\n", Invalid()),
        ("Patient/é", Invalid()),
        ("Patient/" + "1" * 65, Invalid()),
        ("//up.example/fhir/Patient/1", Invalid()),
        ("1", Invalid()),
        ("", Invalid()),
        ("#a b", Invalid()),
        ("urn:uuid:", Invalid()),
        ("urn:isbn:1", Invalid()),
    ],
)
def test_every_form_has_one_reading(text, target):
    """L007, L026, L027: relative, absolute, versioned, contained, urn, conditional, foreign, and what is nothing."""
    assert target == parse(text, OWN)


def test_a_reference_in_an_entry_of_another_server_points_there():
    """A relative reference is relative to the server of the resource that holds it."""
    other = parse_base("https://other/r4")
    assert Foreign(other, "Patient", "1") == parse("Patient/1", OWN, other)
    assert Local("Patient", "1") == parse("Patient/1", OWN, UP)
    assert Local("Patient", "1") == parse("http://up.example/fhir/Patient/1", OWN, other)


def test_without_a_literal_reference_the_identifier_stands():
    """Identifier and type are given as they are, also when there is neither."""
    number = Identifier("s", "1")
    assert Logical(number, "Patient") == target_of(ReferenceAt("/subject", None, "Patient", number), OWN)
    assert Logical(None, None) == target_of(ReferenceAt("/subject", None, None, None), OWN)
    assert Local("Patient", "1") == target_of(ReferenceAt("/subject", "Patient/1", None, number), OWN)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("1", Local("Patient", "1")),
        ("Patient/1", Local("Patient", "1")),
        ("http://up.example/fhir/Patient/1", Local("Patient", "1")),
        ("Group/1", None),
        ("Patient/1/_history/2", None),
        ("http://other/Patient/1", None),
        ("#1", None),
        ("", None),
        ("1,2", None),
    ],
)
def test_a_search_value_may_be_a_bare_id(value, found):
    """R4 search: a reference parameter takes an id, Type/id or a URL; only for the type asked for."""
    assert found == parse_value(value, "Patient", OWN)


@pytest.mark.parametrize(
    "url",
    [
        "up.example",
        "ftp://up",
        "http://",
        "http://u@up",
        "http://up/a?b",
        "http://up/a;b",
        "http://up//a",
        "http://up/%2e%2e/a",
        "http://up/a%2fb",
        "http://up:port/",
        "http://up/%252e",
    ],
)
def test_odd_urls_are_no_base(url):
    """A base is scheme, host, port and plain path segments."""
    with pytest.raises(ValueError, match="base"):
        parse_base(url)


def test_a_base_has_one_normal_form():
    """Default port, letter case and a last slash do not make another server."""
    assert UP == parse_base("HTTP://Up.Example:80/fhir/")
    assert Base("http", "[::1]", 8080, ()) == parse_base("http://[::1]:8080")


@given(st.text(max_size=40))
def test_no_text_crashes_the_parser(text):
    """Any text has a reading, and a literal one has a type and an id of FHIR's grammar."""
    target = parse(text, OWN)
    if isinstance(target, Local):
        assert text in {target.text, f"{target.text}/_history/{target.version}"}
