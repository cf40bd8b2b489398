import json

import pytest

from gateway.decision.addresses import Outward, outward_edits
from gateway.decision.model import Op
from gateway.fhir.references import parse_base
from gateway.fhir.view import read_resource

OURS = "https://gateway.example/t/hospital"
OUTWARD = Outward(parse_base("http://up.internal:8080/fhir"), OURS)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://up.internal:8080/fhir/Patient/1", f"{OURS}/Patient/1"),
        ("HTTP://UP.internal:8080/fhir/Patient/1", f"{OURS}/Patient/1"),
        ("http://up.internal:8080/%66hir/Patient/1", f"{OURS}/Patient/1"),
        ("http://up.internal:8080/fhir/Patient/1/_history/2", f"{OURS}/Patient/1/_history/2"),
        ("http://up.internal:8080/fhir/Questionnaire/q|1.0", f"{OURS}/Questionnaire/q|1.0"),
        ("Patient/1", None),
        ("Patient/up.internal", None),
        ("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", None),
        ("http://up.internal/fhir/Patient/1", None),
        ("http://up.internal:8080/other/Patient/1", None),
        ("http://up.internal:8080.evil.example/fhir/Patient/1", None),
        ("http://up.internal:8080/fhir/Patient/1?x", None),
        ("http://other.example/fhir/Patient/1", None),
    ],
)
def test_a_record_s_address_at_the_upstream_is_told_as_ours(address, told):
    """Compared by its parts, with id and version kept; anything else has no address of ours (L026)."""
    assert told == OUTWARD.told(address)


@pytest.mark.parametrize(
    "address",
    [
        "http://up.internal:8080/fhir/Patient/1?x",
        "http://up.internal:8080/fhir/$export",
        "http://up.internal:8080/console",
        "http://someone@up.internal:8080/fhir/Patient/1",
        "//up.internal:8080/fhir",
        "http://up.internal:80a/fhir",
    ],
)
def test_what_is_at_the_upstream_and_no_record_is_hidden(address):
    """Such an address cannot be told as ours and must not be told as it is (L025)."""
    assert OUTWARD.hides(address)


@pytest.mark.parametrize(
    "address",
    [
        "Patient/1",
        "http://up.internal:8080/fhir/Patient/1",
        "http://other.example/up.internal:8080/fhir",
        "http://up.internal.example:8080/fhir/x",
        f"{OURS}/metadata",
    ],
)
def test_what_is_elsewhere_or_told_as_ours_is_not_hidden(address):
    """The positive control: other servers, our own door, and what can be written anew."""
    assert not OUTWARD.hides(address)


def test_only_places_that_hold_an_address_are_written_anew():
    """References, addresses of attachments and nested fullUrls change; a note that quotes one stays."""
    at = "http://up.internal:8080/fhir"
    tree = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": f"{at}/$x", "resource": {"resourceType": "Basic", "id": "1"}}],
    }
    record = {
        "resourceType": "DocumentReference",
        "subject": {"reference": f"{at}/Patient/1", "display": f"{at}/Patient/1"},
        "description": f"see {at}/Patient/1",
        "content": [{"attachment": {"url": f"{at}/Binary/b"}}],
    }
    edits = outward_edits(read_resource(json.dumps(record).encode()), OUTWARD)
    assert {
        "/subject/reference": f'"{OURS}/Patient/1"'.encode(),
        "/content/0/attachment/url": f'"{OURS}/Binary/b"'.encode(),
    } == {edit.path: edit.value for edit in edits}
    (edit,) = outward_edits(read_resource(json.dumps(tree).encode()), OUTWARD)
    assert (Op.CUT, "/entry/0/fullUrl") == (edit.op, edit.path)


def test_an_upstream_at_an_ipv6_address_is_hidden_too():
    """The brackets of an IPv6 address make it no other host (L025)."""
    outward = Outward(parse_base("http://[::1]:8080/fhir"), OURS)

    assert outward.hides("http://[::1]:8080/other")
    assert not outward.hides("http://[::2]:8080/other")
    assert f"{OURS}/Patient/1" == outward.told("http://[::1]:8080/fhir/Patient/1")


def test_a_bundle_s_addresses_elsewhere_stay():
    """Only those of the upstream that cannot be told as ours go."""
    for address in ("http://other.example/fhir/Basic/1", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"):
        entry = {"fullUrl": address, "resource": {"resourceType": "Basic", "id": "1"}}
        tree = {"resourceType": "Bundle", "type": "collection", "entry": [entry]}
        assert [] == [*outward_edits(read_resource(json.dumps(tree).encode()), OUTWARD)]
