"""What leaves of a Bundle around its resources: nothing that tells of what does not."""

import json

import msgspec
import pytest

from gateway.facts.answer import answer
from tests.questions import (
    HARBOR,
    MERCY,
    SHELF,
    asked,
    bundle,
    encounter,
    hidden,
    observation,
    question,
    searchset,
    text_of,
)

WEIGHT = observation(performer=[MERCY])


def test_total_counts_the_matches_that_are_released():
    """An included record is no match; without a next page the total is exact (leaks.md, trade-offs)."""
    page = searchset(WEIGHT, hidden(), encounter(), included=("visit",), total=17)

    assert 1 == asked(page)["released"]["total"]


def test_a_page_with_a_next_one_tells_no_total():
    """What the whole search would have given is not known from one page."""
    page = searchset(WEIGHT, total=17, link=[{"relation": "next", "url": "http://ehr.example?page=2"}])
    found = asked(page)["released"]

    assert {"resourceType", "type", "entry"} == found.keys()


def test_of_the_links_the_callers_own_stays():
    """Every other link is the server's, with its cursors and counts."""
    links = [{"relation": relation, "url": f"http://ehr.example?{relation}"} for relation in ("first", "self", "last")]

    assert [links[1]] == asked(searchset(WEIGHT, link=links))["released"]["link"]


def test_what_a_bundle_says_besides_goes():
    """Extensions, tags, entry links and whoever assigned an identifier may name what is withheld."""
    page = searchset(
        WEIGHT,
        hidden(),
        meta={"versionId": "1", "tag": [{"code": "SECRET"}], "source": "SECRET"},
        identifier={"system": "urn:x", "value": "1", "assigner": {**HARBOR, "display": "SECRET"}},
    )
    page["entry"][0] |= {
        "link": [{"relation": "about", "url": "Encounter/hidden"}],
        "extension": [{"url": "u", "valueReference": {"reference": "Encounter/hidden", "display": "SECRET"}}],
    }
    page["entry"][0]["search"]["extension"] = [{"url": "u", "valueString": "SECRET"}]
    found = asked(page)

    assert {"entry", "identifier", "meta", "resourceType", "type"} == found["released"].keys()
    assert {"resource", "search"} == found["released"]["entry"][0].keys()
    assert not [word for word in ("hidden", "harbor", "SECRET") if word in text_of(found)]


def test_an_outcome_in_a_response_is_decided_on_too():
    """Every slot that can hold a resource is walked (L045)."""
    reply = bundle(WEIGHT, type="batch-response")
    reply["entry"][0]["response"] = {"status": "200", "outcome": hidden()}
    found = asked(reply)

    assert "hidden" not in text_of(found)
    assert "200" == found["released"]["entry"][0]["response"]["status"]


@pytest.mark.parametrize(("type", "left"), [("history", 1), ("batch-response", 1), ("batch", 2)])
def test_an_entry_that_only_names_a_resource_goes_unless_it_is_the_senders_request(type, left):
    """A deletion, or the place of what was created, tells of a record nobody decided on (L047)."""
    told = bundle(WEIGHT, type=type)
    told["entry"].append({"request": {"method": "DELETE", "url": "Encounter/hidden"}})

    assert left == len(asked(told)["released"]["entry"])


def test_what_stays_keeps_its_own_text():
    """`1.10` stays `1.10`, and white space stays where it was (law 5)."""
    weight = json.dumps(searchset(observation(valueQuantity={"value": 7654321}), hidden()))
    exact = weight.replace("7654321", "1.10").replace('"status": "final"', '"status" :\t"final"')
    raw = json.dumps(question("RESOURCE")).replace('"RESOURCE"', exact).encode()
    text = msgspec.json.encode(answer(raw, SHELF)["released"]).decode()

    assert '"value": 1.10' in text
    assert '"status" :\t"final"' in text
