"""What a Bundle says around its resources: every element that stays, and everything else that goes."""

import copy

import pytest

from gateway.decision.envelope import envelope_edits, unread_entries
from gateway.decision.model import Op

RECORD = {"resourceType": "Observation", "id": "own"}
WHOLE = {
    "resourceType": "Bundle",
    "id": "page",
    "meta": {"versionId": "1", "lastUpdated": "2026-01-05T00:00:00Z", "profile": ["http://x/p"], "security": [{}]},
    "implicitRules": "http://x/rules",
    "language": "en",
    "identifier": {"use": "official", "type": {}, "system": "urn:x", "value": "7", "period": {}},
    "type": "history",
    "timestamp": "2026-01-05T00:00:00Z",
    "total": 1,
    "link": [{"relation": "self", "url": "http://x/Observation"}],
    "signature": {},
    "entry": [
        {
            "fullUrl": "http://x/Observation/own",
            "resource": RECORD,
            "search": {"mode": "match", "score": 1},
            "request": {
                "method": "PUT",
                "url": "Observation/own",
                "ifNoneMatch": "*",
                "ifModifiedSince": "2026-01-05T00:00:00Z",
                "ifMatch": 'W/"1"',
            },
            "response": {
                "status": "200",
                "location": "Observation/own/_history/2",
                "etag": 'W/"2"',
                "lastModified": "2026-01-05T00:00:00Z",
                "outcome": {"resourceType": "OperationOutcome"},
            },
        }
    ],
}
"""Every element of R4's Bundle that stays."""


def cut(tree, *, inner=False):
    """What goes, by pointer."""
    found = list(envelope_edits(tree, inner=inner))
    assert {Op.CUT} >= {one.op for one in found}
    return [one.path for one in found]


def changed(*path, value):
    """The whole Bundle with another value somewhere."""
    tree = copy.deepcopy(WHOLE)
    node = tree
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return tree


def test_what_the_standard_says_of_a_bundle_and_its_records_stays():
    """Nothing goes of a Bundle of which everything is known."""
    assert [] == cut(WHOLE)


@pytest.mark.parametrize(
    "at",
    [
        (),
        ("meta",),
        ("identifier",),
        ("entry", 0),
        ("entry", 0, "search"),
        ("entry", 0, "request"),
        ("entry", 0, "response"),
    ],
)
def test_what_stands_beside_it_goes(at):
    """An extension, a tag, whoever assigned the number: nobody here has judged it (L031)."""
    pointer = "".join(f"/{step}" for step in at)
    for name in ("extension", "tag", "assigner", "_id", "o/d~d"):
        escaped = name.replace("~", "~0").replace("/", "~1")
        assert [f"{pointer}/{escaped}"] == cut(changed(*at, name, value=[{}]))


def test_of_the_links_self_alone_stays_and_in_an_inner_bundle_none():
    """Pages and alternates are the server's own; inside another resource a link names what nobody asked for here."""
    links = [{"relation": "next"}, {"relation": "self"}, "self", {"relation": "alternate"}, {}]
    assert ["/link/0", "/link/2", "/link/3", "/link/4"] == cut(changed("link", value=links))
    assert ["/link"] == cut(changed("link", value="self")) == cut(WHOLE, inner=True)
    assert [] == cut({"resourceType": "Bundle"}, inner=True) == cut({"resourceType": "Bundle"})


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("Observation/own", True),
        ("http://x/fhir/Observation/own", True),
        ("http://x/fhir/Observation/own/_history/3", True),
        ("Observation/own?_format=json", True),
        ("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", True),
        ("Observation", True),
        ("Observation/other", False),
        ("Condition/own", False),
        ("http://x/fhir/Encounter/hidden/_history/3", False),
        ("Encounter/hidden?x=y", False),
        ("Encounter?identifier=7", False),
        (7, True),
    ],
)
def test_an_address_stays_where_it_is_the_records_own_or_nobodys(address, own):
    """What names another record, or searches for one, goes: address, request, the answer's place (L047)."""
    for at, gone in (
        (("fullUrl",), "fullUrl"),
        (("request", "url"), "request"),
        (("response", "location"), "response/location"),
    ):
        expected = [] if own else [f"/entry/0/{gone}"]
        assert expected == cut(changed("entry", 0, *at, value=address)), at


def test_an_entry_without_a_record_has_no_address_of_its_own():
    """Whatever stands in the place of one: every address in it is another's."""
    for resource in (None, "Observation/own", ["Observation"]):
        gone = cut(changed("entry", 0, "resource", value=resource))
        assert ["/entry/0/fullUrl", "/entry/0/request", "/entry/0/response/location"] == gone


@pytest.mark.parametrize("type", ["batch", "transaction"])
def test_what_a_sender_asks_of_a_server_is_its_own(type):
    """In a Bundle of requests the request may name what it wants; what is no element goes there too."""
    asked = changed("entry", 0, "request", value={"method": "GET", "url": "Encounter?patient=7", "extension": []})
    assert [] == cut({**asked, "type": type})
    assert ["/entry/0/tag"] == cut({**changed("entry", 0, "tag", value=1), "type": type})


def test_what_is_no_structure_is_passed_over():
    """A list, a text or a number where a structure should be has no elements; others are looked at."""
    odd = changed("entry", value=["text", None, {"x": 1}])
    assert ["/entry/2/x"] == cut(odd)
    assert [] == cut({**WHOLE, "meta": ["tag"], "identifier": "tag", "entry": "tag"})
    for name in ("search", "request", "response"):
        assert [] == cut(changed("entry", 0, name, value="tag"))


def test_an_entry_without_a_resource_or_with_an_unknown_modifier_is_not_read():
    """Nobody can say whose it is, or what it means."""
    entries = [{"resource": RECORD}, {}, "text", {"resource": RECORD, "modifierExtension": []}, {"fullUrl": "x"}]
    assert ["/entry/1", "/entry/2", "/entry/3", "/entry/4"] == list(unread_entries({"entry": entries}))
