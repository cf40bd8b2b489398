import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest, GatewayError, NotSupported, Unacceptable, UnsupportedMedia
from gateway.fhir.interaction import (
    MOST_BYTES,
    REFUSALS,
    Interaction,
    Kind,
    Opened,
    Unoffered,
    allow,
    build,
    parse,
    with_form,
)
from gateway.fhir.operations import OPERATIONS, Level
from gateway.fhir.query import Parameter

TYPES = frozenset({"Bundle", "Group", "Observation", "Parameters", "Patient"})
JSON = "application/fhir+json"
FORM = "application/x-www-form-urlencoded"


ELEMENTS = Parameter("_elements", "id")


def asking(type_, id_, name, **more):
    """Give the interaction of an operation."""
    level = Level.INSTANCE if id_ else Level.TYPE
    return Interaction(Kind.OPERATION, type_, id_, operation=OPERATIONS[type_, level, name], **more)


def asked(method="GET", path=b"/Observation/OBS-hid", query=b"", **headers):
    """Parse with a few types."""
    return parse(method, path, query, types=TYPES, **headers)


def refusal(method, path, query=b"", **headers):
    """Give the refusal of a request."""
    with pytest.raises(NotSupported) as caught:
        asked(method, path, query, **headers)
    return caught.value


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


HOSTILE = [
    b"//Observation/OBS-hid",
    b"/Observation//OBS-hid",
    b"/Observation/OBS-hid/",
    b"/Observation/",
    b"/metadata/",
    b"//",
    b"Observation/OBS-hid",
    b"/./Observation/OBS-hid",
    b"/Observation/./OBS-hid",
    b"/Observation/../Observation/OBS-hid",
    b"/Observation/%2e%2e/OBS-hid",
    b"/Observation/%2E",
    b"/Observation/...",
    b"/Observation%2FOBS-hid",
    b"/Observation/OBS-hid%2f",
    b"/Observation/%2fOBS-hid",
    b"/Observation\\OBS-hid",
    b"/Observation%5cOBS-hid",
    b"/Observation/OBS-hid;jsessionid=1",
    b"/Observation;a/OBS-hid",
    b"/Observation/OBS-hid%3Bjsessionid=1",
    b"/Observation/OBS-hid%00",
    b"/Observation/%00OBS-hid",
    b"/Observation/OBS-hid%0d%0aX",
    b"/Observation/OBS-hid%20",
    b"/Observation/OBS-hid ",
    b"/Observation/OBS-hid%09",
    b"/Observation/OBS-hid%3F_format=xml",
    b"/Observation/OBS-hid%253F",
    b"/Observation/%254fBS-hid",
    b"/Observation/%25%34fBS-hid",
    b"/Observation/OBS-hid?x",
    b"/Observation/OBS-hid#x",
    b"/Observation/OBS-hid%23",
    b"/Observation/OBS%2Dhid%",
    b"/Observation/OBS%zzhid",
    b"/Observation/OBS%u002dhid",
    b"/Observation/OBS\xe2\x80\x90hid",
    b"/Observation/OBS%E2%80%90hid",
    b"/Observation/OBS%C0%AFhid",
    b"/\xef\xbc\xaf\x62servation/OBS-hid",
    b"/OBSERVATION/OBS-hid",
    b"/observation/OBS-hid",
    b"/Observation/OBS_hid",
    b"/Observation/OBS~hid",
    b"/Observation/" + b"x" * 65,
    b"/Observation/" + b"%41" * MOST_BYTES,
    b"/Observation/OBS-hid/$meta/",
    b"/Observation/OBS-hid/%2524meta",
    b"/Observation/OBS-hid//$meta",
    b"/Observation/OBS-hid/x/$meta",
    b"/Observation/_search/$meta",
    b"/Observation/_history/$meta",
    b"/Nothing/$export",
    b"/%2524export",
    b"/$",
    b"/$export/",
    b"/$export;x",
    b"/Metadata",
    b"/metadata/1",
    b"/http://sink.example/Observation/OBS-hid",
    b"/Observation/OBS-hid/_history/2/x",
    b"/Observation/OBS-hid/_History/2",
    b"/Observation/OBS-hid@sink.example",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_a_path_that_two_parsers_could_read_differently_is_refused(path):
    """L066: spellings of a resource or an operation outside the closed grammar are one 404, whatever the method."""
    found = {(error.status, error.message, error.allow) for error in (refusal("GET", path), refusal("HEAD", path))}

    assert {(404, "this path is not of a form the gateway reads", "")} == found


IDS = st.from_regex(r"[A-Za-z0-9\-.]{1,64}", fullmatch=True).filter(lambda text: text.strip("."))
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,9}([.:][A-Za-z0-9_-]{1,9}){0,2}", fullmatch=True).filter(
    lambda name: name not in {"_format", "_pretty"}
)
VALUES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\ufeff\ufffe\uffff"))
PARAMETERS = st.lists(st.builds(Parameter, NAMES, VALUES), max_size=4).map(tuple)
INTERACTIONS = st.one_of(
    st.builds(Interaction, st.just(Kind.READ), st.sampled_from(["Bundle", "Patient"]), IDS),
    st.builds(Interaction, st.just(Kind.SEARCH), st.just("Patient"), st.none(), PARAMETERS, st.booleans()),
    st.builds(Interaction, st.just(Kind.SEARCH_SYSTEM), parameters=PARAMETERS, form=st.booleans()),
    st.builds(
        Interaction,
        st.just(Kind.SEARCH_COMPARTMENT),
        st.just("Observation"),
        IDS,
        PARAMETERS,
        st.booleans(),
        compartment=st.just("Patient"),
    ),
    st.builds(asking, st.just("Patient"), IDS, st.just("$everything"), parameters=PARAMETERS, body=st.booleans()),
    st.sampled_from([Interaction(Kind.CAPABILITIES), Interaction(Kind.BUNDLE), Interaction(Kind.COLLECTION, "Bundle")]),
)


@given(INTERACTIONS)
def test_what_is_built_reads_as_what_it_was_built_from(interaction):
    """L066: parse(build(x)) = x for every interaction that is offered."""
    content_type = FORM if interaction.form else JSON

    assert interaction == asked(*build(interaction), content_type=content_type)


@given(st.binary(max_size=40) | st.from_regex(rb"(/(Observation|metadata|\$export|\.|%2[0-9a-f]|1|_search)){0,4}"))
def test_a_path_is_refused_or_has_one_canonical_spelling(path):
    """L066: whatever the bytes, parsing ends in a refusal or in an interaction that parses back to itself."""
    for method in ("GET", "POST"):
        found = parsed_or_refused(method, path)
        assert (
            found.status in {404, 405, 415, 501}
            if isinstance(found, GatewayError)
            else found == asked(*build(found), content_type=FORM if found.form else JSON)
        )


def parsed_or_refused(method, path):
    """Give the interaction or the refusal."""
    try:
        return asked(method, path, content_type=JSON)
    except GatewayError as error:
        return error


@pytest.mark.parametrize(
    "query",
    [
        b"a",
        b"=a",
        b"a=%",
        b"a=%4",
        b"a=%zz",
        b"a=%00",
        b"a=x%0d%0ay",
        b"a=%c2%85",
        b"a=%ff",
        b"a=%c0%80",
        b"a=%ed%a0%80",
        b"a=\xc3\xa9",
        b"a=b c",
        b"a=b#c",
        b"a%00=b",
        b"%24a=b",
        b"a%20=b",
        b"%255Fhas=b",
        b"a:=b",
        b"a=" + b"x" * 20_000,
        b"&".join([b"a=1"] * 101),
        b"_format=json&_format=json",
        b"_pretty=true&_pretty=true",
        b"_pretty=<b>",
    ],
)
def test_a_query_that_two_parsers_could_read_differently_is_refused(query):
    """L013, L066: a query is decoded once and strictly, in the URL and in a form."""
    with pytest.raises(BadRequest):
        asked("GET", b"/Observation", query)
    with pytest.raises(BadRequest):
        with_form(Interaction(Kind.SEARCH, "Observation", form=True), query)


def test_a_name_is_split_after_it_was_decoded():
    """L013: a modifier or chain in another spelling is the same modifier or chain."""
    (found,) = asked("GET", b"/Observation", b"%5Fhas%3AObservation%3Apatient%3Acode=x").parameters

    assert ("_has", ":Observation:patient:code") == (found.base, found.rest)
    assert ("subject", ".name") == (Parameter("subject.name", "").base, Parameter("subject.name", "").rest)


def test_a_form_is_read_like_the_query_it_equals():
    """L043: a search by POST is the search by GET; parameters of its URL come first."""
    by_get = asked("GET", b"/Patient", b"_id=P1&name=%C3%A9+x&_format=json")
    by_post = asked("POST", b"/Patient/_search", b"_id=P1", content_type=FORM)

    assert by_get == with_form(by_post, b"name=%C3%A9+x&_format=json")
    with pytest.raises(Unacceptable):
        with_form(by_post, b"_format=xml")
    with pytest.raises(ValueError, match="no form"):
        with_form(by_get, b"")


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
