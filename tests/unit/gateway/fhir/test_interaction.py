"""Interactions: what is asked is named from a closed set, or refused by its form."""

import pytest

from gateway.errors import NotSupported, UnsupportedMedia
from gateway.fhir.interaction import REFUSALS, Interaction, Kind, Opened, Unoffered, build
from gateway.fhir.paths import allow, parse
from gateway.fhir.query import Parameter
from tests.unit.gateway.fhir.interactions import FORM, JSON, TYPES, asked, asking, refusal

ELEMENTS = Parameter("_elements", "id")


@pytest.mark.parametrize(
    ("method", "path", "query", "content_type", "interaction"),
    [
        ("GET", b"/Patient/P1", b"", None, Interaction(Kind.READ, "Patient", "P1")),
        ("GET", b"/Patient/a.b-C.9", b"_format=json", None, Interaction(Kind.READ, "Patient", "a.b-C.9")),
        ("GET", b"/Bundle/b1", b"", None, Interaction(Kind.READ, "Bundle", "b1")),
        ("HEAD", b"/Patient/P1", b"", None, Interaction(Kind.READ, "Patient", "P1")),
        ("GET", b"/Patient/P1", b"_elements=id", None, Interaction(Kind.READ, "Patient", "P1", (ELEMENTS,))),
        ("GET", b"/Observation", b"", None, Interaction(Kind.SEARCH, "Observation")),
        ("GET", b"/", b"_elements=id", None, Interaction(Kind.SEARCH_SYSTEM, parameters=(ELEMENTS,))),
        ("POST", b"/_search", b"", FORM, Interaction(Kind.SEARCH_SYSTEM, form=True)),
        (
            "GET",
            b"/Patient/1/Observation",
            b"",
            None,
            Interaction(Kind.SEARCH_COMPARTMENT, "Observation", "1", compartment="Patient"),
        ),
        (
            "POST",
            b"/Patient/1/Observation/_search",
            b"",
            FORM,
            Interaction(Kind.SEARCH_COMPARTMENT, "Observation", "1", form=True, compartment="Patient"),
        ),
        ("GET", b"/Patient/1/$everything", b"", None, asking("Patient", "1", "$everything")),
        ("POST", b"/Patient/1/%24everything", b"", JSON, asking("Patient", "1", "$everything", body=True)),
        ("GET", b"/Observation/$lastn", b"", None, asking("Observation", None, "$lastn")),
        (
            "GET",
            b"/Observation",
            b"patient=P1&_pretty=true&code=a%7Cb+c",
            None,
            Interaction(Kind.SEARCH, "Observation", None, (Parameter("patient", "P1"), Parameter("code", "a|b c"))),
        ),
        ("POST", b"/Patient/_search", b"", FORM, Interaction(Kind.SEARCH, "Patient", form=True)),
        ("GET", b"/metadata", b"", None, Interaction(Kind.CAPABILITIES)),
        ("POST", b"/", b"", JSON, Interaction(Kind.BUNDLE)),
        ("POST", b"", b"", "application/json; charset=UTF-8", Interaction(Kind.BUNDLE)),
        ("POST", b"/Bundle", b"", f'{JSON};fhirVersion="4.0"', Interaction(Kind.COLLECTION, "Bundle")),
        ("POST", b"/Observation", b"", JSON, Interaction(Kind.CREATE, "Observation")),
        ("POST", b"/$process-message", b"", JSON, Interaction(Kind.MESSAGE)),
        ("GET", b"/%50atient/%50%31", b"", None, Interaction(Kind.READ, "Patient", "P1")),
    ],
)
def test_each_offered_interaction_is_named_with_its_parts(method, path, query, content_type, interaction):
    """What the gateway offers is read from method and path, decoded once."""
    assert interaction == asked(method, path, query, content_type=content_type)


REFUSED = [
    ("GET", b"/Observation/1/_history/2", Unoffered.VREAD),
    ("GET", b"/Observation/1/_history", Unoffered.HISTORY_INSTANCE),
    ("GET", b"/Observation/_history", Unoffered.HISTORY_TYPE),
    ("GET", b"/_history", Unoffered.HISTORY_SYSTEM),
    ("HEAD", b"/Observation/1/_history", Unoffered.HISTORY_INSTANCE),
    ("GET", b"/Group/1/Observation", Unoffered.SEARCH_COMPARTMENT),
    ("GET", b"/Patient/1/*", Unoffered.SEARCH_COMPARTMENT),
    ("POST", b"/Group/1/Observation/_search", Unoffered.SEARCH_COMPARTMENT),
    ("GET", b"/Patient/$everything", Unoffered.OPERATION),
    ("GET", b"/Observation/1/$everything", Unoffered.OPERATION),
    ("POST", b"/Observation/1/%24lastn", Unoffered.OPERATION),
    ("GET", b"/Patient/1/_history/2/$everything", Unoffered.OPERATION),
    ("GET", b"/$stats", Unoffered.OPERATION),
    ("GET", b"/Patient/1/$graph", Unoffered.OPERATION),
    ("GET", b"/Observation/$validate-code", Unoffered.OPERATION),
    ("POST", b"/Observation/$process-message", Unoffered.OPERATION),
    ("GET", b"/$process-message", Unoffered.METHOD),
    ("GET", b"/Observation/1/_history/2/$meta", Unoffered.OPERATION),
    ("GET", b"/$export", Unoffered.EXPORT),
    ("POST", b"/Group/1/$export", Unoffered.EXPORT),
    ("GET", b"/Patient/%24export", Unoffered.EXPORT),
    ("POST", b"/$graphql", Unoffered.GRAPHQL),
    ("GET", b"/Patient/1/$graphql", Unoffered.GRAPHQL),
    ("PUT", b"/Observation/1", Unoffered.UPDATE),
    ("PATCH", b"/Observation/1", Unoffered.PATCH),
    ("DELETE", b"/Observation/1", Unoffered.DELETE),
    ("PUT", b"/Observation", Unoffered.CONDITIONAL_UPDATE),
    ("PATCH", b"/Observation", Unoffered.CONDITIONAL_PATCH),
    ("DELETE", b"/Observation", Unoffered.CONDITIONAL_DELETE),
    ("DELETE", b"/", Unoffered.CONDITIONAL_DELETE),
    ("TRACE", b"/Observation/1", Unoffered.METHOD),
    ("CONNECT", b"/", Unoffered.METHOD),
    ("get", b"/Observation/1", Unoffered.METHOD),
    ("POST", b"/Observation/1", Unoffered.METHOD),
    ("POST", b"/metadata", Unoffered.METHOD),
    ("GET", b"/Observation/_search", Unoffered.METHOD),
    ("GET", b"/observation/1", Unoffered.PATH),
    ("GET", b"/Parameters/1", Unoffered.PATH),
    ("GET", b"/Nothing", Unoffered.PATH),
]


@pytest.mark.parametrize(("method", "path", "name"), REFUSED)
def test_what_fhir_knows_and_the_gateway_does_not_offer_is_refused_by_its_own_text(method, path, name):
    """L043, L047, L048, L051, L055: every other interaction has one constant refusal."""
    found = refusal(method, path)

    assert REFUSALS[name] == (found.status, found.message)


def test_every_refusal_has_a_case_here():
    """No refusal is in the table without a request that gets it; a create is refused where the route is closed."""
    assert set(Unoffered) == {name for _, _, name in REFUSED} | {Unoffered.CREATE}


def test_a_refusal_is_the_same_for_every_id():
    """L048, L051: a refused interaction tells nothing about the resource it is aimed at."""
    paths = [f"/Patient/{id_}/$export".encode() for id_ in ("P1", "P2", "P9")]

    assert 1 == len({(found.status, found.message) for found in (refusal("GET", path) for path in paths)})


def test_a_405_says_what_is_allowed():
    """RFC 9110 section 15.5.6: the Allow header of a 405; OPTIONS gets the same."""
    assert "GET, HEAD, OPTIONS" == refusal("DELETE", b"/Observation/1").allow
    assert "POST, OPTIONS" == refusal("HEAD", b"/Observation/_search").allow
    assert "GET, HEAD, POST, OPTIONS" == allow(b"/Bundle", TYPES)
    assert "GET, HEAD, POST, OPTIONS" == allow(b"/Patient/1/$everything", TYPES)
    assert "OPTIONS" == allow(b"/Patient/1/$export", TYPES)
    assert allow(b"/Observation/hidden", TYPES) == allow(b"/Observation/absent", TYPES)


@pytest.mark.parametrize("method_path", [("GET", b"/Patient/1"), ("GET", b"/metadata"), ("POST", b"/")])
def test_parameters_are_refused_where_there_are_none(method_path):
    """A parameter beside a read, a push or /metadata is refused by its name."""
    found = refusal(*method_path, b"_fields=id", content_type=JSON)

    assert (400, "the parameter `_fields` is not supported here") == (found.status, found.message)


HISTORY = Opened(history=frozenset({"Observation"}))


@pytest.mark.parametrize(
    ("path", "interaction"),
    [
        (b"/Observation/1/_history/v2", Interaction(Kind.VREAD, "Observation", "1", version="v2")),
        (b"/Observation/1/_history", Interaction(Kind.HISTORY_INSTANCE, "Observation", "1")),
        (b"/Observation/_history", Interaction(Kind.HISTORY_TYPE, "Observation")),
        (b"/_history", Interaction(Kind.HISTORY_SYSTEM)),
    ],
)
def test_L046_L047_versions_are_named_only_where_a_route_opens_them(path, interaction):
    """Off unless a route says so, and then for the types it names alone."""
    assert interaction == parse("GET", path, b"", types=TYPES, opened=HISTORY)
    assert 501 == refusal("GET", path).status
    if b"Observation" in path:
        assert 501 == refusal("GET", path.replace(b"Observation", b"Group"), opened=HISTORY).status


def test_operations_on_terminology_are_there_only_where_a_route_opens_them():
    """By a setting of the route; without it, refused like any operation that nobody knows."""
    types = TYPES | {"ValueSet"}

    assert Kind.OPERATION == parse("GET", b"/ValueSet/$expand", b"", types=types, opened=Opened(terminology=True)).kind
    with pytest.raises(NotSupported):
        parse("GET", b"/ValueSet/$expand", b"", types=types)


def test_an_override_of_the_method_is_a_parameter_like_any_other():
    """L064: `_method` names no method."""
    assert 400 == refusal("GET", b"/Patient/1", b"_method=DELETE").status


def test_every_resource_type_of_r4_can_be_read_and_searched(elements):
    """The closed list of types is R4's own; only Parameters has no end point."""
    for type_ in elements.resources - {"Parameters"}:
        assert Kind.READ == parse("GET", f"/{type_}/1".encode(), b"", types=elements.resources).kind
        assert Kind.SEARCH == parse("GET", f"/{type_}".encode(), b"", types=elements.resources).kind


READ_ONLY, ALL_WRITES = Opened(writes=frozenset()), Opened(writes=frozenset({"create", "update", "patch"}))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"/Observation", Unoffered.CREATE),
        (b"/Bundle", Unoffered.CREATE),
        (b"/$process-message", Unoffered.OPERATION),
    ],
)
def test_a_route_that_takes_nothing_refuses_every_push(path, name):
    """Where the route opens no writes, creates and messages are refused by form."""
    found = refusal("POST", path, opened=READ_ONLY)

    assert REFUSALS[name] == (found.status, found.message)


def test_updates_and_patches_are_read_where_the_route_opens_them():
    """PUT and PATCH of an instance are named, a patch by its own media type; conditional ones stay refused."""
    patch = "application/json-patch+json"

    assert Interaction(Kind.UPDATE, "Observation", "1") == asked(
        "PUT", b"/Observation/1", content_type=JSON, opened=ALL_WRITES
    )
    assert Interaction(Kind.PATCH, "Observation", "1") == asked(
        "PATCH", b"/Observation/1", content_type=patch, opened=ALL_WRITES
    )
    assert 405 == refusal("PUT", b"/Observation", content_type=JSON, opened=ALL_WRITES).status
    assert 405 == refusal("DELETE", b"/Observation/1", opened=ALL_WRITES).status
    assert (b"/Observation/1", "PATCH") == build(Interaction(Kind.PATCH, "Observation", "1"))[1::-1]
    by_path = asked("PATCH", b"/Observation/1", content_type=JSON, opened=ALL_WRITES)
    assert Interaction(Kind.PATCH, "Observation", "1", body=True) == by_path
    for other in ("application/fhir+xml", "application/merge-patch+json", None):
        with pytest.raises(UnsupportedMedia):
            asked("PATCH", b"/Observation/1", content_type=other, opened=ALL_WRITES)
