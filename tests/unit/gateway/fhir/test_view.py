import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_store.model import Coding, Identifier
from gateway.fhir.strict import MalformedJson, decode
from gateway.fhir.view import every_view, read_resource


def view(**members):
    """The view of an Observation with these members."""
    return read_resource(json.dumps({"resourceType": "Observation", "id": "o1", **members}).encode())


def test_a_resource_says_what_it_is_wherever_it_says_so():
    """L059: resourceType need not be first; without one the type is empty."""
    found = read_resource(b'{"id":"1","resourceType":"Patient"}')
    assert ("Patient", "1", ()) == (found.type, found.id, found.malformed)
    assert "" == read_resource(b'{"id":"1"}').type
    assert ("", ("/resourceType",)) == ((odd := read_resource(b'{"resourceType":["Patient"]}')).type, odd.malformed)


def test_a_related_artifact_is_no_reference():
    """It has a type and a display as a Reference may; its address is found as a link."""
    artifact = {"type": "justification", "display": "Disclosed with consent.", "url": "http://x.example/y"}
    found = view(relatedArtifact=[artifact], extension=[{"url": "u", "valueRelatedArtifact": artifact}])
    assert [] == [one.at for one in found.references]
    assert ["/relatedArtifact/0/url", "/extension/0/valueRelatedArtifact/url"] == [
        one.at for one in found.links if one.text.startswith("http")
    ]


@pytest.mark.parametrize("raw", [b"[]", b'"Patient"', b"null", b'{"meta":{"security":[]},"meta":{}}', b"{"])
def test_what_is_not_one_strict_object_is_refused(raw):
    """L059: a second `meta` without labels is an error, not a resource without labels."""
    with pytest.raises(MalformedJson):
        read_resource(raw, "/entry/0/resource")


def test_codings_are_found_at_any_depth():
    """L006: in lists, bare, in extensions, in elements that R4 does not know."""
    found = view(
        code={"coding": [{"system": "s", "code": "1"}, {"code": "2"}]},
        component=[{"code": {"coding": [{"system": "s", "code": "3"}]}}],
        extension=[{"url": "u", "valueCoding": {"system": "s", "code": "4"}}],
        unheard={"of": [{"system": "s", "code": "5"}]},
    )
    assert [
        ("/code/coding/0", "s", "1", True),
        ("/code/coding/1", None, "2", True),
        ("/component/0/code/coding/0", "s", "3", True),
        ("/extension/0/valueCoding", "s", "4", False),
        ("/unheard/of/0", "s", "5", False),
    ] == [(c.at, c.coding.system, c.coding.code, c.in_list) for c in found.codings]


def test_labels_are_kept_as_written():
    """meta.security is given in order and as written, and not among the codings."""
    found = view(
        meta={"security": [{"system": "s", "code": "R"}, {"code": "N"}], "tag": [{"system": "t", "code": "x"}]}
    )
    assert (Coding("s", "R"), Coding(None, "N")) == found.security
    assert ["/meta/tag/0"] == [coding.at for coding in found.codings]


@pytest.mark.parametrize(
    ("members", "at"),
    [
        ({"meta": []}, "/meta"),
        ({"meta": {"security": {}}}, "/meta/security"),
        ({"meta": {"security": ["R"]}}, "/meta/security/0"),
        ({"meta": {"security": [{"system": "s"}]}}, "/meta/security/0"),
        ({"meta": {"security": [{"system": ["s"], "code": "R"}]}}, "/meta/security/0"),
        ({"code": {"coding": {"system": "s", "code": "1"}}}, "/code/coding"),
        ({"code": {"coding": ["1"]}}, "/code/coding/0"),
        ({"code": {"coding": [{"system": "s", "code": 1}]}}, "/code/coding/0"),
        ({"code": {"coding": [[{"code": "1"}]]}}, "/code/coding/0"),
        ({"subject": {"reference": 1}}, "/subject"),
        ({"subject": {"reference": None}}, "/subject"),
        ({"subject": {"reference": ["Patient/1"]}}, "/subject"),
        ({"extension": [{"valueString": "x"}]}, "/extension/0"),
        ({"extension": {"url": "u"}}, "/extension"),
        ({"contained": {"resourceType": "Patient"}}, "/contained"),
        ({"id": 1}, "/id"),
    ],
)
def test_a_wrong_shape_is_named(members, at):
    """What is not of FHIR's shape is named, so that its resource is labelled unknown, and never skipped."""
    assert at in view(**members).malformed


def test_references_are_found_in_every_form():
    """L007, L010: literal, by identifier, by display alone; in every element."""
    found = view(
        subject={"reference": "Patient/1", "display": "Ada"},
        performer=[{"identifier": {"system": "s", "value": "7"}, "type": "Practitioner"}, {"display": "Dr B"}],
        extension=[{"url": "u", "valueReference": {"reference": "Patient/2"}}],
        unheard={"of": {"reference": "Patient/3"}},
        meta={"tag": [{"display": "no reference"}]},
    )
    assert [
        ("/subject", "Patient/1", None, None),
        ("/performer/0", None, "Practitioner", Identifier("s", "7")),
        ("/performer/1", None, None, None),
        ("/extension/0/valueReference", "Patient/2", None, None),
        ("/unheard/of", "Patient/3", None, None),
    ] == [(r.at, r.reference, r.type, r.identifier) for r in found.references]


def test_an_element_named_reference_is_looked_into():
    """Consent.provision.data.reference is an element that holds a Reference."""
    consent = {
        "resourceType": "Consent",
        "provision": {"data": [{"meaning": "instance", "reference": {"reference": "A/1"}}]},
    }
    found = read_resource(json.dumps(consent).encode())
    assert [("/provision/data/0/reference", "A/1")] == [(r.at, r.reference) for r in found.references]
    assert () == found.malformed


def test_text_is_every_string_that_is_not_surely_something_else():
    """L006: narrative, notes, displays, text of an element nobody knows; not dates and references."""
    found = view(
        text={"status": "generated", "div": "<div>d</div>"},
        code={"text": "c", "coding": [{"system": "s", "code": "1", "display": "cd"}]},
        note=[{"text": "n", "time": "2020-01-01"}],
        subject={"reference": "Patient/1", "display": "sd"},
        effectiveDateTime="2020-01-01",
        unheard=["u", {"of": "uo"}],
    )
    texts = {text.at: text.text for text in found.texts}
    for at, text in {
        "/text/div": "<div>d</div>",
        "/code/text": "c",
        "/code/coding/0/display": "cd",
        "/note/0/text": "n",
        "/subject/display": "sd",
        "/unheard/0": "u",
        "/unheard/1/of": "uo",
    }.items():
        assert text == texts[at]
    assert not {"/effectiveDateTime", "/subject/reference", "/code/coding/0/system"} & texts.keys()


def test_extensions_attachments_and_links_are_found():
    """Extensions with their url, modifiers apart; base64 and addresses where they stand."""
    found = view(
        extension=[{"url": "outer", "extension": [{"url": "inner", "valueUri": "http://x/Patient/1"}]}],
        modifierExtension=[{"url": "m", "valueBoolean": True}],
        _status={"extension": [{"url": "p"}]},
        valueAttachment={"url": "Binary/1"},
        note=[{"_text": {"extension": [{"url": "q"}]}, "data": "aGk="}],
        valueSampledData={"data": "1 2", "dimensions": 1},
    )
    assert (
        ("/extension/0", "outer"),
        ("/extension/0/extension/0", "inner"),
        ("/_status/extension/0", "p"),
        ("/note/0/_text/extension/0", "q"),
    ) == found.extensions
    assert (("/modifierExtension/0", "m"),) == found.modifier_extensions
    assert ("/valueAttachment", "/note/0") == found.attachments
    assert {"/extension/0/extension/0/valueUri": "http://x/Patient/1", "/valueAttachment/url": "Binary/1"} == {
        link.at: link.text for link in found.links
    }
    assert ("",) == read_resource(b'{"resourceType":"Binary","contentType":"text/plain","data":"aGk="}').attachments


def test_inner_resources_have_views_of_their_own():
    """L034, L045: contained, nested, and in a slot nobody knows, each with its exact text and its pointer."""
    raw = (
        b'{"resourceType":"Bundle","entry":[ {"resource":{"resourceType":"Observation","valueQuantity":{"value":1.10},'
        b'"contained":[ {"resourceType":"Condition", "id":"c"} ]}},'
        b'{"response":{"outcome":{"resourceType":"OperationOutcome"}}},'
        b'{"odd":{"resourceType":"Patient","id":"p"}},{"resource":{"id":"untyped"}}]}'
    )
    found = read_resource(raw, "/entry/3/resource")
    assert [
        ("", "Bundle"),
        ("/entry/0/resource", "Observation"),
        ("/entry/0/resource/contained/0", "Condition"),
        ("/entry/1/response/outcome", "OperationOutcome"),
        ("/entry/2/odd", "Patient"),
        ("/entry/3/resource", ""),
    ] == [(inner.at.removeprefix("/entry/3/resource"), inner.type) for inner in every_view(found)]
    observation = found.inner[0]
    assert b'{"resourceType":"Condition", "id":"c"}' == observation.inner[0].raw
    assert b'"value":1.10' in observation.raw


def test_parameters_hold_resources_at_any_depth():
    """L045: parameter.resource and parameter.part.resource are views, and nothing of theirs is the outer one's."""
    part = {"name": "b", "resource": {"resourceType": "Patient", "id": "2", "name": [{"text": "Ada"}]}}
    body = {"resourceType": "Parameters", "parameter": [{"name": "a", "part": [part]}]}
    found = read_resource(json.dumps(body).encode())
    assert ["/parameter/0/part/0/resource"] == [inner.at for inner in found.inner]
    assert "Ada" not in {text.text for text in found.texts}


def test_names_with_slashes_are_escaped():
    """RFC 6901: a hostile member name cannot move a pointer."""
    assert ["/a~1b~0c"] == [
        text.at for text in read_resource(b'{"resourceType":"X","a/b~c":"t"}').texts if text.text == "t"
    ]


def test_depth_is_limited_in_contained_resources_too():
    """Depth 10,000 is an error and no crash, wherever it stands."""
    for opening, closing in ((b'{"contained":[', b"]}"), (b'{"a":', b"}"), (b"[", b"]")):
        raw = b'{"resourceType":"X","a":' + opening * 10_000 + b"1" + closing * 10_000 + b"}"
        with pytest.raises(MalformedJson):
            read_resource(raw)
        raw = b'{"resourceType":"X","a":' + opening * 70 + b"1" + closing * 70 + b"}"
        with pytest.raises(MalformedJson):
            read_resource(raw)


MEMBERS = (
    "meta security coding code system reference identifier type display extension url contained resource entry "
    "resourceType outcome data contentType id text a/b ~ parameter value"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS.split()), inner, max_size=4),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from(["resourceType", "meta", "contained", "entry", "a"]), JSON, max_size=5))
def test_any_object_has_a_view_and_nothing_in_it_is_lost(tree):
    """No shape crashes the walk; every pointer leads to what it says; every string of a text element is found."""
    raw = json.dumps(tree).encode()
    for found in every_view(read_resource(raw)):
        assert found.tree == decode(found.raw)
        strings = dict(walk(found.tree, ""))
        for text in (*found.texts, *found.links):
            assert strings[text.at] == text.text


def walk(node, at):
    """Every value of a tree with its pointer."""
    yield at, node
    members = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in members:
        yield from walk(value, f"{at}/{str(name).replace('~', '~0').replace('/', '~1')}")


def test_real_resources_are_read_whole(shared: Path):
    """Every resource of the HL7 examples has a view, and none of them has a wrong shape."""
    read = malformed = 0
    for path in sorted((shared / "data" / "hl7-r4-examples").glob("*.json")):
        found = read_resource(path.read_bytes())
        read += 1
        malformed += bool(found.malformed)
        assert found.type
    assert read > 500
    assert 0 == malformed
