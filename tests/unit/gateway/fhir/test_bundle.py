import json
from pathlib import Path

import pytest

from consent_store.model import Coding
from gateway.fhir.bundle import read_document, resource_type, scan
from gateway.fhir.strict import Limits, MalformedJson

PAGE = b"""{ "resourceType": "Bundle", "id": "b1", "meta": {"security": [{"system": "s", "code": "R"}]},
  "type": "searchset", "total": 3, "timestamp": "2020-01-01T00:00:00Z",
  "link": [{"relation": "self", "url": "http://up/Observation?x"}, {"relation": "next", "url": "http://up?page=2"}],
  "entry": [
    {"fullUrl": "http://up/Observation/1", "resource" : {"resourceType":"Observation","id":"1","value":1.10} ,
     "search": {"mode": "match", "score": 1}},
    {"fullUrl": "http://up/Patient/2", "resource": {"id" : "2", "resourceType":"Patient"},
     "search": {"mode": "include"}}
  ]}"""


def bundle(*entries, **members):
    """The text of a Bundle with these entries."""
    return json.dumps({"resourceType": "Bundle", "type": "batch", "entry": list(entries), **members}).encode()


def test_a_page_is_taken_apart():
    """The envelope's words, and each resource's exact text with its pointer."""
    page = scan(PAGE)
    assert ("searchset", "b1", 3, False, ()) == (page.type, page.id, page.total, page.signed, page.unread)
    assert (Coding("s", "R"),) == page.security
    assert "http://up?page=2" == page.link("next")
    assert page.link("previous") is None
    assert [
        ("/entry/0", "http://up/Observation/1", "match", "/entry/0/resource", "Observation"),
        ("/entry/1", "http://up/Patient/2", "include", "/entry/1/resource", "Patient"),
    ] == [(entry.at, entry.full_url, entry.mode, entry.view.at, entry.view.type) for entry in page.entries]
    assert b'{"resourceType":"Observation","id":"1","value":1.10}' == page.entries[0].view.raw


def test_requests_and_responses_are_read():
    """Transactions, and the answers to them, with the outcomes in them."""
    sent = scan(
        bundle(
            {
                "fullUrl": "urn:uuid:1",
                "resource": {"resourceType": "Patient"},
                "request": {"method": "POST", "url": "Patient"},
            },
            {"request": {"method": "GET", "url": "Patient/1", "ifNoneMatch": "W/1"}},
        )
    )
    assert ("POST", "Patient", {}) == ((first := sent.entries[0].request).method, first.url, first.conditions)
    assert ("GET", {"ifNoneMatch": "W/1"}) == ((second := sent.entries[1].request).method, second.conditions)
    response = {
        "status": "201",
        "location": "Patient/9/_history/1",
        "etag": "W/1",
        "lastModified": "2020-01-01T00:00:00Z",
    }
    got = scan(bundle({"response": response | {"outcome": {"resourceType": "OperationOutcome"}}}))
    answer = got.entries[0]
    assert ("201", "Patient/9/_history/1", "W/1") == (
        answer.response.status,
        answer.response.location,
        answer.response.etag,
    )
    assert ("/entry/0/response/outcome", "OperationOutcome") == (answer.outcome.at, answer.outcome.type)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"resourceType":"Patient"}',
        b"[]",
        b"{}",
        b'"Bundle"',
        bundle({}),
        bundle({"fullUrl": "urn:uuid:1"}),
        bundle({"request": {"method": "POST", "url": "Patient"}}),
        bundle({"request": {"method": "PUT", "url": "Patient/1"}}),
        bundle({"resource": None}),
        bundle({"resource": []}),
        bundle({"resource": "Patient/1"}),
        bundle(None),
        bundle([]),
        bundle(link={}),
        bundle(link=[{"relation": "next"}]),
        bundle(total="3"),
        bundle(total=True),
        bundle(total=-1),
        bundle(type=["batch"]),
        bundle(meta=[]),
        bundle(meta={"security": {}}),
        bundle({"resource": {"resourceType": "Patient"}, "fullUrl": 1}),
        bundle({"resource": {"resourceType": "Patient"}, "search": "match"}),
        bundle({"response": []}),
        b'{"resourceType":"Bundle","entry":{}}',
    ],
)
def test_what_is_not_a_bundle_is_refused(raw):
    """An entry without a resource stands only where request or response says why; shapes are FHIR's."""
    with pytest.raises(MalformedJson):
        scan(raw)


HEAD = '{"resourceType":"Bundle"'
RESOURCE = '{"resourceType":"Patient","id":"1"}'
DUPLICATES = {
    "type": HEAD + ',"type":"batch","type":"searchset"}',
    "entry": HEAD + f',"entry":[{{"resource":{RESOURCE}}}],"entry":[]}}',
    "resource": HEAD + f',"entry":[{{"resource":{RESOURCE},"resource":{RESOURCE}}}]}}',
    "resource, spaced": HEAD + f',"entry":[{{"resource" :{RESOURCE},"resource"\n:{RESOURCE}}}]}}',
    "resource, escaped": HEAD + f',"entry":[{{"resource":{RESOURCE},"r\\u0065source":{RESOURCE}}}]}}',
    "inside a resource": HEAD + ',"entry":[{"resource":{"resourceType":"Patient","meta":1,"meta":2}}]}',
    "request": HEAD + f',"entry":[{{"resource":{RESOURCE},"request":{{"url":"A","url":"B"}}}}]}}',
    "response": HEAD + ',"entry":[{"response":{"status":"200","status":"404"}}]}',
    "outcome": HEAD + f',"entry":[{{"response":{{"outcome":{RESOURCE},"outcome":{RESOURCE}}}}}]}}',
    "link": HEAD + ',"link":[{"relation":"next","url":"a","url":"b"}]}',
    "with a colon in a string": HEAD + ',"id":"\\":","type":"batch","type":"searchset"}',
    "with a colon in a resource": HEAD + ',"type":"a","type":"b","entry":[{"resource":{"x":"\\":\\":"}}]}',
}


@pytest.mark.parametrize("raw", DUPLICATES.values(), ids=DUPLICATES.keys())
def test_a_name_twice_is_refused_at_every_level(raw):
    """L059: the entry that one parser drops cannot ride along for another."""
    with pytest.raises(MalformedJson, match="duplicate"):
        scan(raw.encode())


def test_colons_in_strings_are_no_duplicates():
    r"""Strings that look like the end of a name only cost the exact count."""
    found = scan(bundle({"resource": {"resourceType": "Patient", "a": '":":'}}, identifier={"value": 'x": y'}))
    assert 1 == len(found.entries)


def test_what_the_envelope_says_beyond_the_standard_is_named():
    """Unknown members, modifiers and rules we do not evaluate are listed, not skipped."""
    resource = {"resourceType": "Patient"}
    found = scan(bundle({"resource": resource, "modifierExtension": [], "odd": resource}, implicitRules="x", more=1))
    assert (("/implicitRules", "/more"), ("/entry/0/modifierExtension", "/entry/0/odd")) == (
        found.unread,
        found.entries[0].unread,
    )


@pytest.mark.parametrize(
    "raw",
    [
        bundle({"resource": {"resourceType": "Patient", "a": "\ud800"}}),
        PAGE.replace(b'"id": "b1"', b'"id": "\xff"'),
        PAGE.replace(b'"value":1.10', b'"value":NaN'),
        PAGE.replace(b'"value":1.10', b'"value":"\xff"'),
        b'{"resourceType":"Bundle","entry":[{"resource":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}]}",
        b'{"resourceType":"Bundle","x":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    ],
)
def test_a_bundle_is_read_as_strictly_as_a_resource(raw):
    """L059: bad UTF-8, NaN, surrogates and depth are refused wherever they stand."""
    with pytest.raises(MalformedJson):
        scan(raw)


def test_a_bundle_has_a_size_limit():
    """A text over the limit is not looked into."""
    with pytest.raises(MalformedJson, match="size"):
        scan(PAGE, limits=Limits(size=100))


def test_the_same_relation_twice_is_not_answered():
    """Two `next` links leave no doubt to resolve: refused."""
    twice = scan(bundle(link=[{"relation": "next", "url": "a"}, {"relation": "next", "url": "b"}]))
    with pytest.raises(MalformedJson):
        twice.link("next")


def test_a_document_is_one_resource_or_a_bundle():
    """One door for both; nested Bundles stay inner views."""
    assert [""] == [view.at for view in read_document(b'{"resourceType":"Patient"}').views]
    outer = read_document(bundle({"resource": json.loads(PAGE)}, {"response": {"outcome": {"resourceType": "X"}}}))
    assert ["/entry/0/resource", "/entry/1/response/outcome"] == [view.at for view in outer.views]
    assert ["/entry/0/resource/entry/0/resource", "/entry/0/resource/entry/1/resource"] == [
        inner.at for inner in outer.views[0].inner
    ]
    assert "" == resource_type(b'{"resourceType":[]}')


def test_real_bundles_are_taken_apart_without_loss(shared: Path):
    """Every Synthea Bundle: as many entries as a plain parser sees, every span the same value."""
    for path in sorted((shared / "data" / "synthea-r4").glob("*.json"))[:4]:
        raw = path.read_bytes()
        plain = json.loads(raw)["entry"]
        found = scan(raw).entries
        assert [entry["resource"] for entry in plain] == [json.loads(entry.view.raw) for entry in found]
        assert all(entry.view.raw in raw for entry in found)
