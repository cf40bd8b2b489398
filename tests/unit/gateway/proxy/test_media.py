"""Formats: FHIR JSON in and out, UTF-8, not compressed; a form for _search."""

import pytest

from gateway.errors import Unacceptable, UnsupportedMedia
from gateway.proxy.media import FORM, JSON, check_accept, check_body


def headers(*pairs):
    """Headers as ASGI gives them."""
    return [(name.encode(), value.encode()) for name, value in pairs]


@pytest.mark.parametrize(
    "accept",
    [
        "application/fhir+json",
        "application/json;q=0.5",
        "*/*",
        "text/html, */*;q=0.1",
        "application/fhir+json; fhirVersion=4.0",
        "",
    ],
)
def test_an_accept_that_json_meets_is_fine(accept):
    """JSON is what is asked for, or is among what is asked for."""
    check_accept(headers(("accept", accept)), ())


@pytest.mark.parametrize(
    "accept",
    [
        "application/fhir+xml",
        "text/turtle",
        "application/fhir+ndjson",
        "application/json;q=0",
        "*/*;q=0.0",
        "application/fhir+json; fhirVersion=5.0",
    ],
)
def test_an_accept_that_json_does_not_meet_is_refused(accept):
    """XML, Turtle, NDJSON, another FHIR release, or JSON with weight nought: 406 (L057)."""
    with pytest.raises(Unacceptable):
        check_accept(headers(("accept", accept)), ())


def test_format_speaks_too():
    """`_format` must be JSON, whatever Accept says; a plus sign may have become a space."""
    check_accept([], ["json", "application/fhir json", "application/json"])
    for asked in ("xml", "html/json", "application/fhir+xml", ""):
        with pytest.raises(Unacceptable):
            check_accept(headers(("accept", "*/*")), [asked])


def test_a_body_of_the_wanted_type_is_fine():
    """FHIR JSON in UTF-8, or a form where one belongs."""
    check_body(headers(("content-type", 'application/fhir+json; charset="UTF-8"')), JSON)
    check_body(headers(("Content-Type", FORM), ("content-encoding", "identity")), frozenset({FORM}))


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("content-type", "application/fhir+xml")],
        [("content-type", "application/json; charset=utf-16")],
        [("content-type", "application/json"), ("content-type", "application/json")],
        [("content-type", "application/json"), ("content-encoding", "gzip")],
        [("content-type", FORM)],
    ],
)
def test_any_other_body_is_refused(pairs):
    """Another type, another charset, two types, compression, none at all: 415 (L058, L060)."""
    with pytest.raises(UnsupportedMedia):
        check_body(headers(*pairs), JSON)
