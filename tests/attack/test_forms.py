"""Requests of a form nobody offers, full of what must not be told: refused, not carried out, and nothing of it kept."""

import io
from urllib.parse import quote

import pytest

from tests.attack.scene import MARK
from tests.e2e.world import PLAN

pytestmark = pytest.mark.asyncio(loop_scope="session")

FORMS = {
    "no such route": ("GET", f"/t/{MARK}/Patient/{MARK}", 404),
    "no such tenant": ("GET", f"/{MARK}/hospital/Patient/{MARK}", 404),
    "no such type": ("GET", f"Quokka/{MARK}", 404),
    "an id that is none": ("GET", f"Patient/{MARK}_{MARK}", 404),
    "a percent sign too many": ("GET", f"Patient/%252e%252e%252f{MARK}", 404),
    "a byte that is no letter": ("GET", f"Patient/{MARK}%FF", 404),
    "a path of 4 KiB": ("GET", f"Patient/{MARK * 700}", 404),
    "a version": ("GET", f"Patient/{MARK}/_history/{MARK}", 501),
    "an operation": ("GET", f"Patient/{MARK}/${MARK}", 501),
    "a delete": ("DELETE", f"Patient/{MARK}", 405),
    "a patch": ("PATCH", f"Patient/{MARK}", 405),
    "a method that is known elsewhere": ("PURGE", f"Patient/{MARK}", 405),
    "a parameter on a read": ("GET", f"Patient/rosa?name={MARK}", 400),
    "a value of a parameter not offered": ("GET", f"Condition?patient=rosa&nothing={MARK}", 400),
    "a chain": ("GET", f"Condition?asserter:Practitioner.name={MARK}", 400),
    "a query that is no UTF-8": ("GET", f"Condition?patient=rosa&code={MARK}%FF", 400),
    "a query with a NUL": ("GET", f"Condition?patient=rosa&code={MARK}%00", 400),
    "a query without values": ("GET", f"Condition?{MARK}", 400),
    "a date that is none": ("GET", f"Condition?patient=rosa&recorded-date={MARK}", 400),
    "a count that is none": ("GET", f"Condition?patient=rosa&_count={MARK}", 400),
    "a cursor that is none": ("GET", f"Condition?patient=rosa&_cursor={MARK}", 400),
    "an include of anything": ("GET", f"Condition?patient=rosa&_include={MARK}", 400),
    "a format that is none": ("GET", f"Patient/rosa?_format={MARK}", 406),
    "17 KiB of query": ("GET", f"Condition?patient=rosa&code={MARK * 2900}", 400),
    "200 parameters": ("GET", "Condition?patient=rosa" + f"&code={MARK}" * 200, 400),
}


@pytest.mark.parametrize("case", FORMS)
async def test_L072_what_a_refused_request_held_is_nowhere(scene, case):
    """The refusal is an OperationOutcome that repeats nothing of path or query, and no server was asked anything."""
    method, path, status = FORMS[case]
    found = await scene.ask(path, method=method, body=b"{}" if method == "PATCH" else None)
    assert status == found.status
    assert "OperationOutcome" == found.json["resourceType"]
    assert {"error"} == {issue["severity"] for issue in found.json["issue"]}
    assert [] == scene.stub.seen


HEADERS = {
    "a body that is xml": ("POST", "", [("Content-Type", f"application/fhir+xml; profile={MARK}")], 415),
    "a body that is two things": ("POST", "", [("Content-Type", "application/json"), ("Content-Type", MARK)], 415),
    "a body of another charset": ("POST", "", [("Content-Type", "application/fhir+json; charset=utf-7")], 415),
    "a body that is packed": ("POST", "", [("Content-Encoding", "gzip")], 415),
    "a body of no kind": ("POST", "", [("Content-Type", "")], 415),
    "a form of another kind": ("POST", "Condition/_search", [("Content-Type", f"multipart/form-data; {MARK}")], 415),
    "an answer of another kind": ("GET", "Patient/rosa", [("Accept", f"text/{MARK}")], 406),
    "a condition": ("POST", "", [("If-None-Exist", f"identifier={MARK}")], 400),
}


@pytest.mark.parametrize("case", HEADERS)
async def test_L057_L058_what_a_refused_header_held_is_nowhere(scene, case):
    """Kinds, charsets, encodings and conditions that are not taken: refused by form, their text not repeated."""
    method, path, headers, status = HEADERS[case]
    body = f'{{"resourceType":"Bundle","id":"{MARK}"}}'.encode() if method == "POST" else None
    found = await scene.ask(path, method=method, body=body, headers=headers)
    assert (status, "OperationOutcome") == (found.status, found.json["resourceType"])
    assert [] == scene.stub.seen


@pytest.mark.parametrize("length", ["told", "chunked"])
@pytest.mark.parametrize("path", ["", "Bundle", "Condition/_search", "/t/plan/"])
async def test_a_body_over_the_limit_is_413(scene, path, length):
    """One byte too many is one too many, whether the length is told or not; nothing of it is forwarded."""
    body = f'{{"note":"{MARK}'.encode() + b" " * (1 << 20)

    async def parts():
        for start in range(0, len(body), 1 << 18):
            yield body[start : start + (1 << 18)]

    kind = "application/x-www-form-urlencoded" if path.endswith("_search") else "application/fhir+json"
    found = await scene.ask(
        path, method="POST", body=io.BytesIO(body) if length == "told" else parts(), headers=[("Content-Type", kind)]
    )
    assert (413, "too-costly", "close") == (found.status, found.json["issue"][0]["code"], found.headers["connection"])
    assert [] == scene.stub.seen


async def test_a_body_under_the_limit_is_read(scene):
    """The positive control: just beneath the limit a search by form is answered."""
    body = b"patient=rosa" + b"&" * 15_000
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    assert 200 == (await scene.ask("Condition/_search", method="POST", body=body, headers=form)).status


async def test_L072_what_is_searched_for_is_in_no_log(scene):
    """A search that is carried out: its values went upstream and nowhere else."""
    for query in (f"code={MARK}", f"code={quote('http://loinc.org|' + MARK)}", f"encounter={MARK}"):
        assert 200 == (await scene.ask(f"Condition?patient=rosa&{query}", PLAN)).status, query
    assert 200 == (await scene.ask(f"Patient?identifier=https://mercy-general.example/mrn|{MARK}")).status
    assert 4 == sum(MARK in seen.target for seen in scene.stub.seen)
