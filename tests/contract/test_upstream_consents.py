"""Consents that are read from the FHIR server itself: each way in which it can fail denies, and nothing is partial."""

import asyncio
import json
from collections import Counter

import pytest

from consent_store.fetching import AiohttpFetch, FetchFailed
from consent_store.model import Consent, Identifier, PatientKey, Status, Unreadable
from consent_store.searchset import Unusable, beneath, read_page
from consent_store.store import Failed, Found, NotOffered, StoreUnavailable, Subject
from gateway.proxy.upstream import new_session
from tests.consents import MRN, deny, r4, text
from tests.fhir_consents import BASE, FhirConsents, answer, entry, searchset, store_of
from tests.stub_upstream import answer as http_answer
from tests.stub_upstream import stub_upstream

MARKER = "Marker-7731"
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "processing"}]}


def subject(record: str, *values: str, source: str = "ehr") -> Subject:
    """The subject with this record and these MRNs."""
    return Subject(PatientKey(source, record), frozenset(Identifier(MRN, value) for value in values))


def patient(record: str, *values: str) -> dict:
    """A Patient with these MRNs."""
    return {
        "resourceType": "Patient",
        "id": record,
        "identifier": [{"system": MRN, "value": value} for value in values],
    }


def of(record: str, **parts) -> dict:
    """A Consent of this patient."""
    return r4(patient={"reference": f"Patient/{record}"}, **parts)


async def look_up(store, who) -> Found | Failed:
    """What is found of one subject; its revision alone is the same answer."""
    found = (await store.snapshot([who]))[who]
    alone = (await store.revisions([who]))[who]
    assert alone == (found.revision if isinstance(found, Found) else found)
    return found


# Whole answers ----------------------------------------------------------------------------------------------------
async def test_consents_of_every_status_and_page_are_found():
    """Sixty Consents in pages of twenty, the deny on the last page, and each status there is (L087)."""
    server = FhirConsents(page=20)
    for number in range(60):
        status = list(Status)[number % 7] if number % 7 in {0, 2, 3, 4, 6} else "active"
        server.consents[f"c{number}"] = of("1", id=f"c{number}", status=status)
    server.consents["c59"] = of("1", id="c59", provision=deny())
    found = await look_up(store_of(server), subject("1"))
    assert {f"c{number}" for number in range(60)} == {one.id for one in found.consents}
    statuses = Counter(one.status for one in found.consents if isinstance(one, Consent))
    assert {"draft", "active", "rejected", "inactive", "entered-in-error"} <= set(statuses)
    assert 3 * 2 == len(server.asked)


async def test_a_consent_is_found_as_it_is_read_anywhere():
    """Id, version, patient, exact text: what the server sent, read by the one reader."""
    server = FhirConsents()
    exact = b'{ "resourceType":"Consent", "id":"a", "meta":{"versionId":"7"}, "x": 1.10 }'
    whole = json.dumps(searchset("HERE")).encode().replace(b'"HERE"', exact)
    server.bend = lambda url, given: answer(whole)
    (one,) = (await look_up(store_of(server), subject("1"))).consents
    assert ("a", "7", exact) == (one.id, one.version, one.raw)


async def test_what_cannot_be_read_denies_for_its_patient():
    """A Consent of a strange status, or without a patient anybody can tell, is Unreadable, not left out (law 2)."""
    server = FhirConsents()
    strange, lost = of("1", id="a", status="nonsense"), r4(id="b", patient={"display": "somebody"})
    server.bend = lambda url, given: answer(searchset(strange, lost))
    found = await look_up(store_of(server), subject("1"))
    assert [Unreadable, Unreadable] == [type(one) for one in found.consents]
    assert {PatientKey("ehr", "1")} == {one.patient for one in found.consents}


@pytest.mark.parametrize(
    "bundle",
    [
        searchset(of("1"), total=None),
        searchset(of("1"), entry=[entry(of("1"), None)]),
        searchset(of("1"), link=None),
        searchset(
            of("1"),
            entry=[
                entry(of("1")),
                entry({"resourceType": "OperationOutcome", "issue": [{"severity": "information"}]}, "outcome"),
            ],
        ),
    ],
)
async def test_what_the_standard_leaves_open_is_taken_either_way(bundle):
    """No total, no mode, no links, an outcome that informs: still one whole page."""
    server = FhirConsents()
    server.bend = lambda url, given: answer(bundle)
    assert ["c1"] == [one.id for one in (await look_up(store_of(server), subject("1"))).consents]


async def test_each_look_up_asks_again():
    """Nothing is cached: what the server says now is what is found, and the revision moves with the text."""
    server = FhirConsents()
    store, who = store_of(server), subject("1")
    marks = [(await look_up(store, who)).revision]
    for status in ("active", "inactive", "active"):
        server.consents["a"] = of("1", id="a", status=status)
        found = await look_up(store, who)
        assert [status] == [one.status for one in found.consents]
        marks.append(found.revision)
    assert marks[1] == marks[3]
    assert 3 == len(set(marks))


async def test_a_version_that_does_not_count_hides_no_change():
    """A server that says version 1 of everything cannot make a revocation look like what was there before."""
    server = FhirConsents()
    server.consents["a"] = of("1", id="a", meta={"versionId": "1"})
    store = store_of(server)
    before = (await look_up(store, subject("1"))).revision
    server.consents["a"] = of("1", id="a", meta={"versionId": "1"}, status="inactive")
    assert before != (await look_up(store, subject("1"))).revision


# Failures ---------------------------------------------------------------------------------------------------------
GOOD = json.dumps(searchset(of("1"))).encode()
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


# Whose they are ---------------------------------------------------------------------------------------------------
async def test_a_server_that_leaves_the_question_out_is_not_believed():
    """Where `patient` is not understood everybody's Consents come back: nobody's permit becomes another's."""
    server = FhirConsents()
    server.bend = lambda url, given: given if "/Patient/2" in url else answer(searchset(of("2", id="b")))
    server.patients = {"2": patient("2", "m2")}
    why = Failed("the answer holds another patient's consent")
    assert why == await look_up(store_of(server), subject("1"))
    assert why == await look_up(store_of(server, "patient.identifier"), subject("1", "m1"))


async def test_identifiers_are_asked_for_where_it_is_told():
    """A Consent of another record of the same person, shown by that record, and one that names no record at all."""
    server = FhirConsents()
    server.patients = {"1": patient("1", "m1"), "7": patient("7", "m0", "m1")}
    server.consents = {
        "own": of("1", id="own"),
        "other": of("7", id="other"),
        "logical": r4(id="logical", patient={"identifier": {"system": MRN, "value": "m1"}}),
    }
    who = subject("1", "m1")
    assert {"own"} == {one.id for one in (await look_up(store_of(server), who)).consents}
    found = await look_up(store_of(server, "patient.identifier", "patient:identifier"), who)
    assert {"own", "other", "logical"} == {one.id for one in found.consents}
    assert all(isinstance(one, Consent) for one in found.consents)
    alone = await look_up(store_of(server, "patient.identifier"), subject("", "m1"))
    assert {"own", "other"} == {one.id for one in alone.consents}


@pytest.mark.parametrize(
    "record",
    [None, patient("7", "m2"), patient("8", "m1"), {**patient("7", "m1"), "resourceType": "Person"}],
)
async def test_another_record_is_not_the_same_person_on_a_servers_word(record):
    """The other record must be there and have the identifier itself."""
    server = FhirConsents()
    server.patients = {"7": record}
    server.bend = lambda url, given: given if "/Patient/" in url else answer(searchset(of("7")))
    assert isinstance(await look_up(store_of(server, "patient.identifier"), subject("1", "m1")), Failed)


async def test_an_identifier_is_one_value_whatever_it_holds():
    """What separates values in a search is escaped in ours."""
    server = FhirConsents()
    who = Subject(PatientKey("ehr", ""), frozenset({Identifier("http://s|t", "a,b$c\\d")}))
    await store_of(server, "patient:identifier").snapshot([who])
    assert "patient%3Aidentifier=http%3A//s%5C%7Ct%7Ca%5C%2Cb%5C%24c%5C%5Cd&" in server.asked[0]


@pytest.mark.parametrize(
    "who",
    [
        subject(""),
        subject("", "m1"),
        subject("urn:uuid:5f1c0b6e-0000-4000-8000-000000000001", "m1"),
        subject("a/../b"),
        subject("1?x=1"),
        subject("1", source="lab"),
        subject("1", source=""),
    ],
)
async def test_who_cannot_be_asked_for_has_failed(who):
    """No record id, an id that is none, no server of this source: that is not `no consents`, and nobody is asked."""
    server = FhirConsents()
    assert isinstance(await look_up(store_of(server), who), Failed)
    assert [] == server.asked


# Disappearance ----------------------------------------------------------------------------------------------------
async def test_a_consent_that_disappears_keeps_denying():
    """A deny that is deleted behind the gateway's back: the patient fails from then on, and it is told once (L081)."""
    server, told = FhirConsents(), []
    server.consents = {"a": of("1", id="a", provision=deny()), "b": of("2", id="b")}
    store = store_of(server, told=told)
    assert 1 == len((await look_up(store, subject("1"))).consents)
    kept = server.consents.pop("a")
    for _ in range(2):
        assert Failed("a consent that was seen before is gone") == await look_up(store, subject("1"))
        assert isinstance(await look_up(store, subject("2")), Found)
    assert 1 == len(told)
    server.consents["a"] = kept
    assert 1 == len((await look_up(store, subject("1"))).consents)


async def test_the_memory_of_what_was_seen_is_bounded():
    """The limit that is documented: of more subjects than are remembered the oldest are forgotten."""
    server = FhirConsents()
    server.consents = {f"c{record}": of(str(record), id=f"c{record}") for record in range(3)}
    store = store_of(server, remembered=2)
    for record in range(3):
        await look_up(store, subject(str(record)))
    server.consents.clear()
    assert isinstance(await look_up(store, subject("2")), Failed)
    assert isinstance(await look_up(store, subject("0")), Found)


async def test_an_answer_that_was_overtaken_is_no_disappearance():
    """A slow answer from before a Consent was made does not say that it is gone."""
    server, told = FhirConsents(), []
    first = asyncio.Event()

    async def slow(url):
        given = await server(url)
        if not first.is_set():
            first.set()
            await asyncio.sleep(0.05)
        return given

    store = store_of(slow, told=told)
    earlier = asyncio.create_task(store.snapshot([subject("1")]))
    await first.wait()
    server.consents["a"] = of("1", id="a")
    assert 1 == len((await look_up(store, subject("1"))).consents)
    assert () == (await earlier)[subject("1")].consents
    assert [] == told


# Bounds, and what is not offered ------------------------------------------------------------------------------------
async def test_a_server_that_is_slow_fails_in_time_and_is_not_flooded():
    """Twenty patients of a page are asked for two at a time, and all have an answer when the time is over."""
    at_once, most = 0, 0

    class Slow(FhirConsents):
        async def __call__(self, url):
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            try:
                await asyncio.sleep(0.05)
                return await super().__call__(url)
            finally:
                at_once -= 1

    store = store_of(Slow(), at_once=2, answer_s=0.2)
    began = asyncio.get_running_loop().time()
    answers = await store.snapshot([subject(str(record)) for record in range(20)])
    assert asyncio.get_running_loop().time() - began < 1
    assert 2 == most
    assert {Found, Failed} == {type(one) for one in answers.values()}


async def test_nothing_is_written_and_nothing_looked_up_but_by_subject():
    """The Consent API rests on these: it is told that they are never offered."""
    store = store_of(FhirConsents())
    for ask in (
        lambda: store.put("ehr", text(r4()), fhir_version="4.0", at="2025", expect=None),
        lambda: store.get("a"),
        lambda: store.search(patient=subject("1"), status=None, consent_id=None),
    ):
        with pytest.raises(NotOffered):
            await ask()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.snapshot([subject("1")])


# Over HTTP --------------------------------------------------------------------------------------------------------
@pytest.fixture
async def session():
    """The session that the gateway makes."""
    async with new_session(4, 0.5, 1.0) as made:
        yield made


async def test_a_request_carries_what_it_must_and_no_more(session):
    """Our credentials, no cache, strict handling, no encoding; the URL to the letter."""
    async with stub_upstream(lambda seen: http_answer(GOOD, Set_Cookie="a=b")) as stub:
        fetch = AiohttpFetch(session, authorization="Bearer t")
        for _ in range(2):
            given = await fetch(f"{stub.base}/Consent?patient=Patient/1&x=%2F%20")
        assert (200, GOOD, "application/fhir+json") == (given.status, given.body, given.headers["content-type"])
        assert {"/fhir/Consent?patient=Patient/1&x=%2F%20"} == {seen.target for seen in stub.seen}
        headers = stub.seen[-1].headers
        assert {
            "accept": "application/fhir+json",
            "accept-encoding": "identity",
            "authorization": "Bearer t",
            "cache-control": "no-cache",
            "prefer": "handling=strict",
        } == {name: value for name, value in headers.items() if name != "host"}


SCRIPTS = {
    "closes": lambda seen: None,
    "cut off": lambda seen: http_answer(GOOD, length=len(GOOD) + 10, Connection="close"),
    "too short a length": lambda seen: http_answer(GOOD, length=len(GOOD) - 10, Connection="close"),
    "chunk cut off": lambda seen: (
        b"HTTP/1.1 200 X\r\nContent-Type: application/fhir+json\r\nTransfer-Encoding: chunked\r\n"
        b"Connection: close\r\n\r\nfff\r\n{"
    ),
    "no http": lambda seen: b"hello\r\n\r\n",
    "redirect": lambda seen: http_answer(b"", 302, Location="/fhir/elsewhere"),
    "gzip": lambda seen: http_answer(GOOD, Content_Encoding="gzip"),
    "two types": lambda seen: http_answer(GOOD, Connection="close").replace(
        b"\r\n\r\n", b"\r\nContent-Type: text/html\r\n\r\n", 1
    ),
    "500": lambda seen: http_answer(b"stack trace of the patient", 500, "text/plain"),
}


@pytest.mark.parametrize("how", SCRIPTS)
async def test_what_goes_wrong_on_the_way_fails(session, how):
    """Through real HTTP: each ends in Failed, and a redirect is not followed."""
    async with stub_upstream(SCRIPTS[how]) as stub:
        fetch = AiohttpFetch(session)
        store = store_of(lambda url: fetch(url.replace(BASE, stub.base)))
        assert isinstance((await store.snapshot([subject("1")]))[subject("1")], Failed)
        assert {"/fhir/Consent"} == {seen.target.partition("?")[0] for seen in stub.seen}


async def test_a_whole_answer_over_http_is_found(session):
    """The positive control of the tests above."""
    async with stub_upstream(lambda seen: http_answer(GOOD)) as stub:
        fetch = AiohttpFetch(session)
        store = store_of(lambda url: fetch(url.replace(BASE, stub.base)))
        assert ["c1"] == [one.id for one in (await look_up(store, subject("1"))).consents]


async def test_nobody_there_nobody_answering_and_too_much_are_failures(session):
    """A refused connection, an answer that does not come, a body over the limit."""
    with pytest.raises(FetchFailed):
        await AiohttpFetch(session)("http://127.0.0.1:1/fhir/Consent")
    async with stub_upstream(lambda seen: http_answer(GOOD)) as stub:
        with pytest.raises(FetchFailed, match="TooLarge"):
            await AiohttpFetch(session, most=10)(f"{stub.base}/Consent")
        stub.delay = 5
        with pytest.raises(FetchFailed, match="Timeout"):
            await AiohttpFetch(session, answer_s=0.1)(f"{stub.base}/Consent")
