"""Paths and queries: one canonical spelling, and a refusal for whatever two parsers could read differently."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest, GatewayError, Unacceptable
from gateway.fhir.interaction import Interaction, Kind, build, with_form
from gateway.fhir.paths import MOST_BYTES
from gateway.fhir.query import Parameter
from tests.unit.gateway.fhir.interactions import FORM, JSON, asked, asking, refusal

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
