"""What `make bench` stands on: bodies of the sizes it names, and a plain proxy that withholds the same."""

import asyncio

import msgspec
import pytest

from tests.bench.door.fixture import KIB, fixture
from tests.bench.door.places import free_places
from tests.bench.door.plain import bundle_left, left_of
from tests.bench.door.recorded import record

SIZES = {"2 KiB": 2 * KIB, "64 KiB": 64 * KIB, "64 KiB, more": 64 * KIB, "1 MiB": KIB * KIB}


@pytest.fixture(scope="module")
def taped(shared, tmp_path_factory):
    """The questions asked once, with what they were made of."""
    made = fixture(shared / "data" / "synthea-r4")
    return made, asyncio.run(record(made, free_places(), tmp_path_factory.mktemp("price") / "gateway"))[0]


def names(tree):
    """The records of an answer."""
    found = [entry["resource"] for entry in tree["entry"]] if tree["resourceType"] == "Bundle" else [tree]
    return [f"{one['resourceType']}/{one['id']}" for one in found]


def test_bodies_have_the_sizes_they_are_named_by(taped):
    """The upstream's body of every question is within a twelfth of its name; where there are more pages the server is
    asked for four at once."""
    made, recorded = taped
    for question in made.questions:
        body = recorded.answers[f"/fhir{question.path}"]
        assert SIZES[question.name] * (4 if question.more else 1) == pytest.approx(len(body), rel=1 / 12)


def test_what_is_compared_withholds_the_same(taped):
    """The plain proxy gives the records that the gateway gives, and something is withheld from both."""
    made, recorded = taped
    rule = made.program | recorded.withheld
    assert recorded.withheld
    for question in made.questions:
        tree = msgspec.json.decode(recorded.answers[f"/fhir{question.path}"])
        left = bundle_left(tree, rule) if tree["resourceType"] == "Bundle" else left_of(tree, rule)
        given = names(msgspec.json.decode(recorded.given[question.name]))
        assert sorted(given) == sorted(names(left)[: len(given)])  # ids are answered in the order asked for
        assert question.more == (len(names(left)) > len(given))
