"""Is a URL beneath the upstream's base? Only when its parts say so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.proxy.base_url import base_url

BASE = base_url("http://up.example/fhir/r4")


@pytest.mark.parametrize(
    ("url", "position"),
    [
        ("http://up.example/fhir/r4?_getpages=a-b&_count=5", "?_getpages=a-b&_count=5"),
        ("http://up.example:80/fhir/r4?x=1", "?x=1"),
        ("HTTP://UP.example/fhir/r4/Observation?page=2", "/Observation?page=2"),
        ("http://up.example/fhir/r4/Observation?token=a%2Fb%7Cc", "/Observation?token=a%2Fb%7Cc"),
    ],
)
def test_a_link_beneath_the_base_gives_its_position(url, position):
    """A link of the same origin and base path is kept as what follows the base."""
    assert position == BASE.position(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://up.example.attacker.test/fhir/r4?x=1",
        "http://up.example@attacker.test/fhir/r4?x=1",
        "http://attacker.test/fhir/r4?x=1",
        "//attacker.test/fhir/r4?x=1",
        "https://up.example/fhir/r4?x=1",
        "http://up.example:8080/fhir/r4?x=1",
        "http://up.example/fhir/r40?x=1",
        "http://up.example/fhir?x=1",
        "http://up.example/fhir/r4/../admin?x=1",
        "http://up.example/fhir/r4/%2e%2e/admin",
        "http://up.example/fhir/r4/a%2Fb",
        "http://up.example/fhir/r4//Observation",
        "http://up.example/fhir/r4/Observation;x=1",
        "http://up.example/fhir/r4?x=1#part",
        "http://up.example\\@attacker.test/fhir/r4",
        "http://up.example/fhir/r4?x= 1",
        "http://up.example/fhir/r4?x=\u00e9",
        "?_getpages=a",
        "",
        "%68ttp://up.example/fhir/r4",
        "http://up.example:99999/fhir/r4",
        "http://up.example/fhir/r4?x=" + "a" * 5000,
    ],
)
def test_any_other_link_is_not_ours(url):
    """Another origin, another path, an unusual spelling: none of them is followed (leaks.md L027)."""
    assert None is BASE.position(url)


def test_what_is_no_base_is_refused():
    """A base must be an absolute http or https URL."""
    with pytest.raises(ValueError, match="not an absolute"):
        base_url("ftp://up.example/fhir")


@given(st.from_regex(r"(/[A-Za-z]{1,5}){0,2}(\?[a-z=&%A-F0-9]{0,20})?", fullmatch=True))
def test_base_and_position_give_the_same_position_again(position):
    """What was taken from a link and put behind the base again is the same place."""
    found = BASE.position(BASE.text + position)
    if found is not None:
        assert found == BASE.position(BASE.text + found)
