"""A FHIR server that answers in every wrong way: one 502 for all of them, none of its words, and the next answer right.

Each lie is told at four places: to a read, to a search, to a look-up of what a decision needs, and to a push.
"""

import asyncio
import contextlib
import gzip
import itertools
import json
import socket
import time
import zlib

import pytest
import pytest_asyncio

from gateway.proxy.base_url import base_url
from tests.attack.records import observation, transaction
from tests.attack.scene import MARK, PERHAPS, TOLD, searchset
from tests.e2e.world import Answer
from tests.stub_upstream import answer, stub_upstream

pytestmark = pytest.mark.asyncio(loop_scope="session")

_MARK = MARK.encode()
RECORD = json.dumps(observation(note=[{"text": MARK}])).encode()
JSON = b"Content-Type: application/fhir+json\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


def raw(*lines: bytes, body: bytes = b"", start: bytes = OK) -> bytes:
    """An answer of these very header lines and this body, after which the connection ends."""
    return start + b"Connection: close\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def chunked(*chunks: bytes) -> bytes:
    """An answer whose chunks are these very bytes."""
    return raw(JSON[:-2], b"Transfer-Encoding: chunked", body=b"".join(chunks))


WHOLE = b"%x\r\n%b\r\n" % (len(RECORD), RECORD)
LENGTH = b"Content-Length: %d" % len(RECORD)
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"diagnostics": f"java.lang.{MARK}\n\tat {MARK}"}]}
LIES = {
    **{f"status {status}": answer(OUTCOME, status) for status in (202, 203, 206, 300, 418, 500, 501, 503, 504, 599)},
    **{f"status {status}": answer(OUTCOME, status) for status in (401, 403, 408, 429)},
    "no content": answer(b"", 204, None),
    "not modified": answer(b"", 304, None),
    "nothing": None,
    "an empty body": answer(b""),
    "an outcome for an answer": answer(OUTCOME),
    "html": answer(b"<html><body>" + _MARK, content_type="text/html"),
    "html that says it is json": answer(b"<html><body>" + _MARK),
    "plain text": answer(RECORD, content_type="text/plain"),
    "xml": answer(b"<Observation/>", content_type="application/fhir+xml"),
    "lines of json": answer(RECORD, content_type="application/fhir+ndjson"),
    "no content type": answer(RECORD, content_type=None),
    "another charset": answer(RECORD, content_type="application/fhir+json; charset=iso-8859-1"),
    "two content types": answer(RECORD, content_type="application/fhir+json\r\nContent-Type: text/html"),
    "gzip nobody asked for": answer(gzip.compress(RECORD), Content_Encoding="gzip"),
    "deflate nobody asked for": answer(zlib.compress(RECORD), Content_Encoding="deflate"),
    "gzip that is not told": answer(gzip.compress(RECORD)),
    "gzip that is a lie": answer(RECORD, Content_Encoding="gzip"),
    "identity and gzip": answer(RECORD, Content_Encoding="identity, gzip"),
    "identity, then gzip": answer(RECORD, Content_Encoding="identity\r\nContent-Encoding: gzip"),
    "a bomb": answer(gzip.compress(b" " * (8 << 20)), Content_Encoding="gzip"),
    "gzip in transfer": raw(JSON[:-2], b"Transfer-Encoding: gzip, chunked", body=WHOLE + b"0\r\n\r\n"),
    "a length too long": answer(RECORD, length=len(RECORD) + 10, Connection="close"),
    "a length too short": answer(RECORD, length=len(RECORD) - 10, Connection="close"),
    "a length of nothing": answer(RECORD, length=0, Connection="close"),
    "a length below nothing": answer(RECORD, length=-1),
    "a length beyond all": answer(RECORD, length=10**15),
    "two lengths": raw(JSON[:-2], LENGTH, b"Content-Length: 5", body=RECORD),
    "a length that is a word": raw(JSON[:-2], b"Content-Length: " + _MARK, body=RECORD),
    "a body beyond the limit": answer(RECORD[:-1] + b" " * (1 << 20) + b"}"),
    "chunks beyond the limit": chunked(*[b"10000\r\n" + b" " * 65536 + b"\r\n"] * 17, b"0\r\n\r\n"),
    "cut off in the head": OK + b"Connection: close\r\nX-Quokka: " + _MARK,
    "cut off in the body": raw(JSON[:-2], LENGTH, body=RECORD[:40]),
    "cut off in a chunk": chunked(WHOLE[:60]),
    "cut off before the last chunk": chunked(WHOLE),
    "a chunk with no number": chunked(b"zz\r\n" + _MARK + b"\r\n0\r\n\r\n"),
    "a chunk below nothing": chunked(b"-1\r\n" + _MARK + b"\r\n0\r\n\r\n"),
    "a chunk beyond all": chunked(b"f" * 40 + b"\r\n" + RECORD),
    "a chunk shorter than it says": chunked(b"ffff\r\n" + RECORD + b"\r\n0\r\n\r\n"),
    "a chunk longer than it says": chunked(b"5\r\n" + RECORD + b"\r\n0\r\n\r\n"),
    "a header of 64 KiB": raw(JSON[:-2], LENGTH, b"X-Quokka: " + _MARK * 11_000, body=RECORD),
    "a header without a colon": raw(JSON[:-2], LENGTH, _MARK, body=RECORD),
    "no HTTP at all": b"Connection: close " + _MARK + b"\r\n\r\n" + RECORD,
    "a status that is a word": raw(JSON[:-2], LENGTH, body=RECORD, start=b"HTTP/1.1 " + _MARK + b" OK\r\n"),
    "another protocol": raw(b"Upgrade: " + _MARK, start=b"HTTP/1.1 101 Switching\r\n"),
    "a body that stops": [answer(RECORD, length=len(RECORD))[:-20], 3.0],
    "a body by the drop": [answer(b"", length=5000), *[b" ", 0.2] * 15],
    "a head by the drop": [*[b"H", 0.2] * 15],
}
SENDERS = {"status 418"}
"""What tells a sender that its Bundle was not accepted; why is not passed on."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sink():
    """Another server, to which nobody is to be led."""
    async with stub_upstream(lambda _: answer(observation())) as one:
        yield one


async def everywhere(scene, reply) -> list[Answer]:
    """What comes of one reply at every place: to a read, a search, a look-up, a push; all at once."""
    server = scene.server
    for place in ("Observation/plain", "Condition?", "Encounter?_id", "Encounter/x"):
        server.lie(place, reply)
    server.take(reply)
    server.hold(observation("in-context", encounter={"reference": "Encounter/x"}))
    asked = [scene.ask(path) for path in ("Observation/plain", "Condition?patient=rosa", "Observation/in-context")]
    found = await asyncio.gather(*asked, scene.push(transaction(observation("a"))))
    assert not [one for one in found if _MARK in one.body]
    return found


async def well_again(scene) -> None:
    """The server tells the truth again, and everything it tells is right: no answer is another's."""
    scene.server.reset()
    asked = ["Condition/rosa-hypertension", "Patient/rosa", "Condition/rosa-diabetes", "Observation/rosa-hba1c"]
    found = await asyncio.gather(*(scene.ask(path) for path in asked))
    assert [(200, path) for path in asked] == [
        (one.status, f"{one.json['resourceType']}/{one.json['id']}") for one in found
    ]


@pytest.mark.parametrize("case", LIES)
async def test_L058_L070_whatever_a_server_does_wrong_is_one_answer(scene, case):
    """502 with one sentence, at every place; and the record it did not lie about is read right after."""
    began = time.perf_counter()
    *read, pushed = await everywhere(scene, LIES[case])
    assert 10 > time.perf_counter() - began
    assert [(502, TOLD)] * 3 == [(one.status, one.told) for one in read]
    assert (422 if case in SENDERS else 502) == pushed.status
    await well_again(scene)


@pytest.mark.parametrize("listens", [False, True], ids=["refuses", "takes no connection"])
async def test_a_server_that_is_not_there_is_a_fault(scene, monkeypatch, listens):
    """Nothing listens, or nothing answers a connection: 502 in bounded time; and when it is back, so is everything."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        base = base_url(f"http://127.0.0.1:{taken.getsockname()[1]}/fhir")
        with contextlib.ExitStack() as waiting:
            if listens:  # a queue that is full: whoever comes next is neither taken nor refused
                taken.listen(0)
                for _ in range(2):
                    waiting.enter_context(late := socket.socket()).setblocking(False)
                    late.connect_ex(taken.getsockname())
            with monkeypatch.context() as moved:
                for door in scene.gate.plane._live().doors.values():
                    moved.setattr(door.upstream, "base", base)
                found = await asyncio.gather(
                    *(scene.ask(path) for path in ("Observation/plain", "Condition?patient=rosa", "Patient/rosa")),
                    scene.push(transaction(observation("a"))),
                )
    assert [(502, TOLD)] * 4 == [(one.status, one.told) for one in found]
    await well_again(scene)


async def test_L069_gone_and_absent_are_one_answer(scene):
    """404 and 410 with all their words are the answer for what never existed; a push of them was not accepted."""
    nobody = await scene.ask("Observation/never-existed")
    for status in (404, 410):
        scene.server.lie("Observation/plain", answer(OUTCOME, status))
        scene.server.take(answer(OUTCOME, status))
        assert nobody.constant == (await scene.ask("Observation/plain")).constant
        assert 422 == (await scene.push(transaction(observation("a")))).status


ODD = {
    "an early hint": b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + answer(RECORD),
    "a word to go on": b"HTTP/1.1 100 Continue\r\n\r\n" + answer(RECORD),
    "chunks": chunked(WHOLE, b"0\r\n\r\n"),
    "chunks of one byte": chunked(*(b"1\r\n%c\r\n" % byte for byte in RECORD), b"0\r\n\r\n"),
    "a word beside a chunk": chunked(WHOLE.replace(b"\r\n", b";quokka=1\r\n", 1), b"0\r\n\r\n"),
    "headers after the body": chunked(WHOLE, b"0\r\nX-Quokka: quokka\r\nETag: quokka\r\n\r\n"),
    "the older protocol": raw(JSON[:-2], LENGTH, body=RECORD, start=b"HTTP/1.0 200 OK\r\n"),
    "a body until the end": raw(JSON[:-2], body=RECORD),
    "headers in capitals": raw(JSON[:-2].upper(), LENGTH.upper(), body=RECORD),
    "plain json": answer(RECORD, content_type='application/json; charset="UTF-8"'),
    "headers of all kinds": answer(
        RECORD, ETag=MARK, Set_Cookie=MARK, Link=MARK, X_Powered_By=MARK, Warning=MARK, Content_Location=MARK
    ),
    "slowly": [answer(RECORD)[:-9], 0.1, answer(RECORD)[-9:]],
}


@pytest.mark.parametrize("case", ODD)
async def test_what_is_odd_and_sound_is_read(scene, case):
    """The positive control: hints, chunks, trailers, older protocols, many headers: the record, under our headers."""
    scene.server.lie("Observation/plain", ODD[case])
    found, usual = await scene.ask("Observation/plain"), await scene.ask("Condition/rosa-hypertension")
    assert (200, MARK) == (found.status, found.json["note"][0]["text"])
    assert set(usual.headers) == set(found.headers)
    assert not [value for value in found.headers.values() if MARK in value.lower()]


@pytest.mark.parametrize("pause", [0.0, 0.05])
async def test_an_answer_nobody_asked_for_is_nobody_s(scene, pause):
    """Two answers to one question: the second is not taken for the answer to the next, at once or later."""
    poison = answer(observation("poison", note=[{"text": MARK}]))
    for reply in (answer(observation()) + poison, [answer(observation()), pause, poison], answer(RECORD, length=0)):
        scene.server.lie("Observation/plain", reply)
        await scene.ask("Observation/plain")
        await asyncio.sleep(2 * pause)
        await well_again(scene)


# Places to be led to -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_L073_a_redirect_is_not_followed(scene, sink, status):
    """Whoever the server sends us to sees no connection, at no place; neither does another page of its own."""
    sink.seen.clear()
    for place in (sink.base, scene.stub.base, ""):
        reply = answer(b"", status, None, Location=f"{place}/Observation/{MARK}")
        found = await everywhere(scene, reply)
        assert [502] * 4 == [one.status for one in found]
    assert [] == sink.seen
    assert not [seen.target for seen in scene.stub.seen if MARK in seen.target]
    await well_again(scene)


async def test_L027_a_next_link_to_another_server_is_not_followed(scene, sink):
    """Another port, a user in the URL, a look-alike path, no scheme: 502, and nobody there hears of it."""
    other, own = sink.base, scene.stub.base
    host = own.partition("//")[2].partition("/")[0]
    for url in (
        f"{other}/Condition?page={MARK}",
        f"http://{host}@{other.partition('//')[2]}/Condition?page={MARK}",
        f"//{other.partition('//')[2]}/Condition?page={MARK}",
        f"{own}x/Condition?page={MARK}",
        f"{own}/../Condition?page={MARK}",
        f"{own}/%2e%2e/Condition?page={MARK}",
        f"{own}/Condition?page={MARK}#x",
        f"../Condition?page={MARK}",
        f"javascript:{MARK}",
        "",
    ):
        link = [{"relation": "next", "url": url}]
        scene.server.lie("Condition?patient", searchset(observation(), link=link))
        scene.server.lie("Encounter?_id", searchset(link=link))
        scene.server.hold(observation("in-context", encounter={"reference": "Encounter/x"}))
        for path in ("Condition?patient=rosa", "Observation/in-context"):
            found = await scene.ask(path)
            assert (502, TOLD) == (found.status, found.told), url
    assert [] == sink.seen
    assert not [seen.target for seen in scene.stub.seen if MARK in seen.target]


async def test_L077_the_place_of_what_was_pushed_is_told_as_ours_or_not_at_all(scene, sink):
    """A Location at another server, or of another kind, is not passed on; nor is anything else the server says."""
    created = {"status": "201 Created", "etag": MARK, "outcome": {"resourceType": "OperationOutcome", "id": MARK}}
    for place in (f"{sink.base}/Observation/{MARK}", f"Patient/{MARK}-p", f"{scene.stub.base}/x?{MARK}", f"../{MARK}"):
        entry = {"response": created | {"location": place}, "resource": observation(MARK)}
        scene.server.take(answer({"resourceType": "Bundle", "type": "transaction-response", "entry": [entry]}))
        found = await scene.push(transaction(observation("a")))
        assert (200, [{"response": {"status": "201 Created"}}]) == (found.status, found.json["entry"])
    assert [] == sink.seen


STORED = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": observation("a")}]}
NOWHERE = {
    "none": lambda sink: {},
    "one elsewhere": lambda sink: {"Location": f"{sink.base}/Bundle/{MARK}"},
    "one of another kind": lambda sink: {"Location": f"Patient/{MARK}-p"},
    "one that is none": lambda sink: {"Location": f"{MARK}/_history/1"},
}


@pytest.mark.parametrize("place", NOWHERE)
async def test_L077_what_was_stored_nobody_says_where_was_stored(scene, sink, place):
    """No usable Location: 201 all the same, without one, and it is told: a client that sent it again would have it
    twice. The ledger says sent."""
    for path, body in (("/t/plan/Bundle", STORED), ("/t/plan/Observation", observation("a"))):
        scene.server.take(answer(b"", 201, **NOWHERE[place](sink)))
        found = await scene.push(body, path)
        assert (201, None) == (found.status, found.headers.get("location"))
        kind = path.rpartition("/")[2]
        assert f"the {kind} was stored; the server behind the gateway did not say where" == found.told
        (attempt,) = (await scene.gate.explain(found))["attempts"]
        assert "sent" == attempt["completion"]["outcome"]
    assert [] == sink.seen


async def test_L077_a_server_that_gives_back_what_it_stored_says_where_by_that(scene):
    """Not asked for the record, it sends it, and no Location: its id is the place; one of another type is none."""
    made = observation("made", note=[{"text": MARK}])
    for told, place in ((made, "http://plan.example/t/plan/Observation/made"), (made | {"resourceType": "Task"}, None)):
        scene.server.take(answer(told, 201))
        found = await scene.push(observation("a"), "/t/plan/Observation")
        assert (201, place) == (found.status, found.headers.get("location"))
        assert MARK.encode() not in found.body


ANSWERS = {
    "another type of Bundle": {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": observation()}]},
    "too many entries": {"resourceType": "Bundle", "type": "transaction-response", "entry": [{"response": {}}] * 2},
    "no entries": {"resourceType": "Bundle", "type": "transaction-response"},
    "an entry without an answer": {
        "resourceType": "Bundle",
        "type": "transaction-response",
        "entry": [{"resource": observation(MARK)}],
    },
    "no Bundle": observation(MARK),
}


@pytest.mark.parametrize("case", ANSWERS)
async def test_an_answer_to_a_push_that_is_none_is_a_fault(scene, case):
    """What does not answer entry for entry is a 502 that warns of sending it again; it is kept as sent."""
    scene.server.take(answer(ANSWERS[case]))
    found = await scene.push(transaction(observation("a")))
    assert (502, PERHAPS) == (found.status, found.told)
    (attempt,) = (await scene.gate.explain(found))["attempts"]
    assert "sent" == attempt["completion"]["outcome"]


async def test_a_push_whose_answer_never_comes_counts_as_disclosed(scene):
    """The connection breaks after the Bundle was sent: 502; client and ledger are told that nobody knows (law 8)."""
    scene.server.take(None)
    found = await scene.push(transaction(observation("a")))
    assert (502, PERHAPS) == (found.status, found.told)
    (attempt,) = (await scene.gate.explain(found))["attempts"]
    assert "unknown" == attempt["completion"]["outcome"]


# What never ends -----------------------------------------------------------------------------------------------------
def endless(scene, *records):
    """Page after page, each with a link to one that was not seen before."""
    numbers = itertools.count()

    def page(seen):
        link = [
            {"relation": "next", "url": f"{scene.stub.base}/{seen.target.partition('?')[0][6:]}?page={next(numbers)}"}
        ]
        return searchset(*records, link=link)

    return page


@pytest.mark.parametrize("records", [[], [observation("theirs", f"Patient/{MARK}-p")]], ids=["empty", "withheld"])
async def test_a_search_that_never_ends_is_a_fault(scene, records):
    """Pages of nothing, or of nothing that may be released, without end: 502 in bounded time, and not page after page
    for as long as the server likes."""
    scene.server.lie("Observation?", endless(scene, *records))
    began = time.perf_counter()
    found = await asyncio.wait_for(scene.ask("Observation?patient=rosa"), 20)
    assert (502, TOLD) == (found.status, found.told)
    assert 15 > time.perf_counter() - began


async def test_a_look_up_that_never_ends_is_a_fault(scene):
    """The same for what a decision needs to know."""
    scene.server.lie("Encounter?", endless(scene))
    scene.server.hold(observation("in-context", encounter={"reference": "Encounter/x"}))
    found = await scene.ask("Observation/in-context")
    assert (502, TOLD) == (found.status, found.told)
