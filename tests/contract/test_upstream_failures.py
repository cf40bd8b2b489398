"""Answers of a FHIR server that are not whole: each fails its own subject, and nothing partial is used."""

import json

import pytest

from consent_store.searchset import Unusable, beneath, read_page
from consent_store.store import Failed
from tests.contract.upstream_consents import GOOD, look_up, of, patient, subject
from tests.fhir_consents import BASE, FhirConsents, answer, entry, searchset, store_of

MARKER = "Marker-7731"
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "processing"}]}
NEXT = {"relation": "next", "url": f"{BASE}?page=2"}
ANSWERS = {
    **{f"status {code}": answer(GOOD, code) for code in (201, 202, 204, 206, 301, 302, 304, 307, 400, 401, 403)},
    **{f"status {code}": answer(GOOD, code) for code in (404, 410, 422, 429, 500, 502, 503)},
    "redirect": answer(b"", 302, location="http://elsewhere.example.org/"),
    "html": answer(b"<html>", content_type="text/html"),
    "xml": answer(b"<Bundle/>", content_type="application/fhir+xml"),
    "no type": answer(GOOD, content_type=""),
    "two types": answer(GOOD, content_type="application/json, text/html"),
    "other charset": answer(GOOD, content_type="application/fhir+json; charset=latin-1"),
    "gzip": answer(GOOD, content_encoding="gzip"),
    "empty": answer(b""),
    "cut off": answer(GOOD[:-7]),
    "more behind it": answer(GOOD + b"{}"),
    "a list": answer(b"[]"),
    "null": answer(b"null"),
    "bad utf-8": answer(GOOD.replace(b"treat", b"\xff")[:-1] + b',"x":"\xff"}'),
    "not a number": answer(GOOD[:-1] + b',"x":NaN}'),
    "a name twice": answer(GOOD[:-1] + b',"total":1}'),
    "a name twice inside": answer(GOOD.replace(b'"status": "active"', b'"status": "active", "status": "inactive"')),
    "deep": answer(b'{"a":' * 100_000),
    "outcome": answer(OUTCOME),
    "a Consent": answer(of("1")),
    "history": answer(searchset(of("1"), type="history")),
    "no type of bundle": answer(searchset(of("1"), type=None)),
    "warning": answer(searchset(of("1"), entry=[entry(of("1")), entry(OUTCOME, "outcome")])),
    "warning alone": answer(searchset(entry=[entry(OUTCOME, "outcome")])),
    "outcome without issue": answer(searchset(entry=[entry({"resourceType": "OperationOutcome"}, "outcome")])),
    "included": answer(searchset(of("1"), entry=[entry(of("1")), entry(patient("1"), "include")])),
    "included consent": answer(searchset(of("1"), entry=[entry(of("1"), "include")])),
    "a patient as match": answer(searchset(patient("1"))),
    "nested": answer(searchset(searchset(of("1")))),
    "entry without resource": answer(searchset(of("1"), entry=[entry(of("1")), {"fullUrl": "x"}], total=1)),
    "entry of null": answer(searchset(of("1"), entry=[entry(None)])),
    "entry that is none": answer(searchset(of("1"), entry=["x"])),
    "entries that are none": answer(searchset(of("1"), entry={"resource": of("1")})),
    "search that is none": answer(searchset(of("1"), entry=[{"resource": of("1"), "search": "match"}])),
    "no id": answer(searchset(of("1", id=None))),
    "strange id": answer(searchset(of("1", id="a/../b"))),
    "total above": answer(searchset(of("1"), total=2)),
    "total below": answer(searchset(of("1"), total=0)),
    "total of nothing": answer(searchset(total=1, entry=None)),
    "total negative": answer(searchset(of("1"), total=-1)),
    "total text": answer(searchset(of("1"), total="1")),
    "total true": answer(searchset(of("1"), total=True)),
    "total broken": answer(searchset(of("1"), total=1.0)),
    "the same twice": answer(searchset(of("1"), of("1"))),
    "another's": answer(searchset(of("1"), of("2", id="c2"))),
    "another's alone": answer(searchset(of("2"))),
    "two next links": answer(searchset(of("1"), link=[NEXT, {**NEXT, "url": f"{BASE}?page=3"}])),
    "next without url": answer(searchset(of("1"), link=[{"relation": "next"}])),
    "next of a number": answer(searchset(of("1"), link=[{"relation": "next", "url": 2}])),
    "next empty": answer(searchset(of("1"), link=[{"relation": "next", "url": ""}])),
    "links that are none": answer(searchset(of("1"), link="x")),
    "next elsewhere": answer(searchset(of("1"), link=[{**NEXT, "url": "http://other.example.org/fhir?page=2"}])),
    "next to itself": answer(searchset(link=[NEXT], entry=None)),
}


@pytest.mark.parametrize("how", ANSWERS)
async def test_an_answer_that_is_not_whole_and_plain_fails_its_subject_alone(how):
    """Every such answer denies for the patient it was asked for; the other patient of the page is answered (L088)."""
    server = FhirConsents()
    server.consents["b"] = of("2", id="b")
    server.bend = lambda url, given: given if "Patient%2F2" in url or "Patient/2" in url else ANSWERS[how]
    answers = await store_of(server).snapshot([subject("1"), subject("2")])
    assert isinstance(answers[subject("1")], Failed)
    assert ["b"] == [one.id for one in answers[subject("2")].consents]


ACROSS_PAGES = frozenset(
    {"total above", "total below", "total of nothing", "the same twice", "another's", "another's alone"}
    | {"next elsewhere", "next to itself"}
)


@pytest.mark.parametrize("how", sorted(set(ANSWERS) - ACROSS_PAGES))
def test_a_page_is_refused_by_itself(how):
    """What is wrong with one page is seen there, not only in what follows from it."""
    with pytest.raises(Unusable):
        read_page(ANSWERS[how])


@pytest.mark.parametrize("how", sorted(set(ANSWERS) - {"next to itself", "next elsewhere", "another's alone"}))
async def test_a_failing_third_page_fails_all_of_it(how):
    """What the first pages gave is not used when a later one fails (L087)."""
    server = FhirConsents(page=2)
    for number in range(6):
        server.consents[f"c{number}x"] = of("1", id=f"c{number}x")
    server.bend = lambda url, given: ANSWERS[how] if "_start=4" in url else given
    assert isinstance(await look_up(store_of(server), subject("1")), Failed)


async def test_a_page_that_is_not_linked_is_missed():
    """Where the total says more than the pages hold, something was left out."""
    server = FhirConsents(page=2)
    for number in range(6):
        server.consents[f"c{number}"] = of("1", id=f"c{number}")

    def unlink(url, given):
        tree = json.loads(given.body)
        return answer({**tree, "link": []}) if "_start=2" in url else given

    server.bend = unlink
    assert Failed("the consents found are not as many as the total") == await look_up(store_of(server), subject("1"))


async def test_pages_that_shift_while_they_are_read_are_not_used():
    """The same Consent on two pages shows that another was pushed over the edge."""
    server = FhirConsents(page=2)
    for number in range(4):
        server.consents[f"c{number}"] = of("1", id=f"c{number}")

    def shift(url, given):
        if "_start=2" not in url:
            return given
        return answer(searchset(server.consents["c1"], server.consents["c2"], total=4))

    server.bend = shift
    assert Failed("a consent stands on two pages") == await look_up(store_of(server), subject("1"))


async def test_pages_without_end_end():
    """A server that always has one more page is given up."""
    server = FhirConsents()

    def more(url, given):
        following = {"relation": "next", "url": f"{BASE}?page={len(server.asked)}"}
        return answer(searchset(total=None, entry=None, link=[following]))

    server.bend = more
    assert Failed("the pages have no end") == (await store_of(server).snapshot([subject("1")]))[subject("1")]
    assert 200 == len(server.asked)


async def test_no_reason_tells_of_the_patient():
    """Whatever goes wrong, the reason holds nothing of record, identifier or answer."""
    server = FhirConsents()
    for given in ANSWERS.values():
        body = given.body.replace(b'"c1"', f'"{MARKER}"'.encode())
        server.bend = lambda url, _, given=given, body=body: type(given)(given.status, given.headers, body)
        failed = await look_up(store_of(server, "patient.identifier"), subject(MARKER, MARKER))
        assert isinstance(failed, Failed)
        assert MARKER not in failed.why


@pytest.mark.parametrize(
    "url",
    [
        "https://ehr.example.org/fhir?page=2",
        "http://ehr.example.org:8080/fhir?page=2",
        "http://ehr.example.org/fhirx?page=2",
        "http://ehr.example.org/other",
        "http://ehr.example.org/fhir/../admin",
        "http://ehr.example.org/fhir/%2e%2e/admin",
        "http://user@ehr.example.org/fhir?page=2",
        "http://ehr.example.org@evil.example.org/fhir",
        "http://evil.example.org/fhir",
        "http://[/fhir",
        "//ehr.example.org/fhir?page=2",
        "/fhirx?page=2",
        "/fhir/../admin",
        "../admin",
        "",
        "http://ehr.example.org/fhir\\..\\admin",
        "http://ehr.example.org/fhir?page=2#there",
        "http://ehr.example.org/fhir?page=2 HTTP/1.1",
        "file:///etc/passwd",
    ],
)
def test_a_link_beside_the_base_is_not_followed(url):
    """The next page is under the very base that was asked, or nowhere."""
    with pytest.raises(Unusable):
        beneath(BASE, url)


def test_a_link_beneath_the_base_is_asked_there():
    """The rest of the URL is kept to the letter, after our own base."""
    assert f"{BASE}?_getpages=1%2F2&x=%20" == beneath(BASE, f"{BASE}?_getpages=1%2F2&x=%20")
    assert f"{BASE}/Consent?page=2" == beneath(BASE, "http://EHR.example.org:80/fhir/Consent?page=2")


@pytest.mark.parametrize("url", ["/fhir/Consent?page=2", "?page=2", "Consent?page=2"])
def test_a_relative_link_is_of_the_server_that_was_asked(url):
    """To the host, to its page, to the base: each is asked for under the base."""
    assert f"{BASE}/Consent?page=2" == beneath(BASE, url, here=f"{BASE}/Consent?patient=Patient/1")


def test_a_link_by_another_name_of_the_server_is_asked_for_under_the_base():
    """The server's public name is recognised where it is stated, and not asked; nobody else's is."""
    names = ["https://public.example/r4"]
    assert f"{BASE}/Consent?page=2" == beneath(BASE, "https://public.example/r4/Consent?page=2", names)
    for url in ("https://public.example/r5/Consent?page=2", "https://public.example.evil.example/r4/Consent?page=2"):
        with pytest.raises(Unusable):
            beneath(BASE, url, names)
