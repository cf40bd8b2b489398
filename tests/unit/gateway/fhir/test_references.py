import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_store.model import Identifier
from gateway.fhir.bundle import read_document
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
from gateway.fhir.resolver import Resolver, bases_stated
from gateway.fhir.view import ReferenceAt, every_view

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


def document(*entries):
    """A Bundle of (fullUrl, resource) pairs."""
    listed = [{"resource": resource} | ({"fullUrl": url} if url else {}) for url, resource in entries]
    return read_document(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": listed}).encode())


def observation(**members):
    """An Observation."""
    return {"resourceType": "Observation", "id": "o"} | members


def answers(found, own=OWN):
    """What each reference of each view leads to: the pointers of the views."""
    resolver = Resolver(found, own)
    views = [view for outer in found.views for view in every_view(outer)]
    return [[hit.at for hit in resolver.resolve(view, ref).views] for view in views for ref in view.references]


def test_a_urn_leads_to_its_entry():
    """L007: in a Bundle urn:uuid names an entry by its fullUrl, in any letter case."""
    patient = {"resourceType": "Patient"}
    found = document(("urn:uuid:AB", patient), (None, observation(subject={"reference": "urn:uuid:ab"})))
    assert [["/entry/0/resource"]] == answers(found)
    assert Urn("urn:uuid:ab") == Resolver(found).identity(found.views[0])


def test_an_id_leads_to_its_entry_in_every_spelling():
    """Relative and absolute references meet in one entry."""
    patient = {"resourceType": "Patient", "id": "1"}
    refs = [
        {"reference": text} for text in ("Patient/1", "HTTP://up.example:80/fhir/Patient/1/_history/7", "Patient/2")
    ]
    found = document(("http://up.example/fhir/Patient/1", patient), (None, observation(focus=refs)))
    assert [["/entry/0/resource"], ["/entry/0/resource"], []] == answers(found)


def test_an_entry_of_another_server_is_not_this_servers():
    """The same type and id on another server is another resource; it is found from its own server's entries."""
    patient = {"resourceType": "Patient", "id": "1"}
    here = observation(subject={"reference": "Patient/1"})
    found = document(("http://other/Patient/1", patient), ("http://other/Observation/o", here), (None, here))
    assert [["/entry/0/resource"], []] == answers(found)
    assert Foreign(parse_base("http://other"), "Patient", "1") == Resolver(found).identity(found.views[0])
    assert frozenset({parse_base("http://other")}) == bases_stated(found)
    assert [["/entry/0/resource"], ["/entry/0/resource"]] == answers(found, bases_stated(found))


def test_contained_resources_answer_inside_their_container_alone():
    """`#p` is found from the container and its contained resources; `#` is the container; nobody else's `#p` is."""
    inside = {"resourceType": "Patient", "id": "p", "link": [{"other": {"reference": "#"}}]}
    found = document(
        (None, observation(contained=[inside], subject={"reference": "#p"})),
        (None, observation(subject={"reference": "#p"})),
    )
    resolver = Resolver(found)
    assert [["/entry/0/resource/contained/0"], ["/entry/0/resource"], []] == answers(found)
    assert resolver.is_contained(found.views[0].inner[0])
    assert resolver.identity(found.views[0].inner[0]) is None


def test_nested_bundles_are_worlds_of_their_own():
    """A fullUrl in a nested Bundle is not found from outside, nor an outer one from inside."""
    nested = json.loads(document(("urn:uuid:1", {"resourceType": "Patient"})).bundle.raw)
    nested["entry"].append(
        {"resource": observation(subject={"reference": "urn:uuid:1"}, focus=[{"reference": "urn:uuid:2"}])}
    )
    found = document(
        ("urn:uuid:2", {"resourceType": "Patient"}),
        (None, nested),
        (None, observation(subject={"reference": "urn:uuid:1"})),
    )
    assert [["/entry/1/resource/entry/0/resource"], [], []] == answers(found)


def test_all_that_answer_are_given():
    """Two entries with one fullUrl leave no way to choose: both are given."""
    patients = [("urn:uuid:1", {"resourceType": "Patient", "id": name}) for name in ("a", "b")]
    found = document(*patients, (None, observation(subject={"reference": "urn:uuid:1"})))
    assert [["/entry/0/resource", "/entry/1/resource"]] == answers(found)


def test_what_is_no_reference_leads_nowhere():
    """Entries whose fullUrl is no reference are not found by another text that is none."""
    found = document(
        ("nonsense", {"resourceType": "Patient"}), (None, observation(subject={"reference": "other nonsense"}))
    )
    assert [[]] == answers(found)
