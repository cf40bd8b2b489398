"""Text that two parsers could read in two ways, or that costs more than it is worth (leaks.md L059).

Four doors lead to the one strict reader: a record that is read, a page of a search, the context of a decision, a push.
"""

import json
import time

import pytest

from tests.attack.records import observation, text_of, transaction
from tests.attack.scene import MARK, TOLD, entries, searchset
from tests.stub_upstream import answer

pytestmark = pytest.mark.asyncio(loop_scope="session")

MARKED = f'"{MARK}"'.encode()
VALUES = {
    "objects beyond the depth": b'{"a":' * 80 + MARKED + b"}" * 80,
    "arrays beyond the depth": b"[" * 80 + MARKED + b"]" * 80,
    "depth without end": b'[{"a":' * 50_000 + MARKED + b"}]" * 50_000,
    "an integer of 5000 digits": b"9" * 5000,
    "a fraction of 5000 digits": b"0." + b"9" * 5000,
    "an exponent nobody can hold": b"1e99999999999999999999",
    "not a number": b"NaN",
    "infinity": b"-Infinity",
    "a number with a leading zero": b"007",
    "a hexadecimal number": b"0x1F",
    "a byte that is not utf-8": b'"' + MARK.encode() + b'\xff"',
    "an overlong slash": b'"\xc0\xaf"',
    "a surrogate in utf-8": b'"\xed\xa0\x80"',
    "half a letter": b'"\xf0\x9f\x98"',
    "half a surrogate pair": b'"\\ud83d"',
    "a name that is not utf-8": b'{"\xff":1}',
    "a line feed in a string": b'"' + MARK.encode() + b'\n"',
    "a NUL in a string": b'"\x00"',
    "a comment": b"1/* " + MARK.encode() + b" */",
    "single quotes": f"'{MARK}'".encode(),
    "a comma too many": b"[1,]",
    "a name twice": b'{"a":1,"a":' + MARKED + b"}",
    "a name twice in two spellings": b'{"ab":1,"\\u0061b":' + MARKED + b"}",
    "a name twice, deep down": b'[[{"b":[{"c":{"a":1,"a":2}}]}]]',
}
PLAIN = observation()
LABEL = b'{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R","code":"N"}'
RECORDS = {name: text_of(PLAIN, extension=value) for name, value in VALUES.items()} | {
    "labels twice": text_of(PLAIN, meta=b'{"security":[' + LABEL.replace(b',"code":"N"', b"") + b'],"security":[]}'),
    "a label's code twice": text_of(PLAIN, meta=b'{"security":[' + LABEL + b"]}"),
    "a subject twice": text_of(PLAIN, subject=f'{{"reference":"Patient/{MARK}-p"}}'.encode()),
    "a reference twice": text_of(
        observation(patient=None), subject=b'{"reference":"Patient/rosa","reference":"Patient/%b-p"}' % MARK.encode()
    ),
    "a type twice": text_of(PLAIN, resourceType=b'"Condition"'),
    "an id twice": text_of(PLAIN, id=MARKED),
    "a byte order mark": b"\xef\xbb\xbf" + text_of(PLAIN),
    "utf-16": json.dumps(PLAIN).encode("utf-16"),
    "two records": text_of(PLAIN) + text_of(PLAIN),
    "half a record": text_of(PLAIN)[:-20],
    "a list of records": b"[" + text_of(PLAIN) + b"]",
    "no record": b"null",
}


@pytest.mark.parametrize("case", RECORDS)
async def test_L059_a_record_with_two_meanings_is_not_released(scene, case):
    """Read, found by a search, needed to decide: one 502 that says nothing; pushed: a 400, and nothing is forwarded."""
    server, text = scene.server, RECORDS[case]
    server.hold(observation("other"))
    server.lie("Observation/plain", answer(text))
    server.lie("Observation?", entries(b'{"resource":' + text_of(PLAIN) + b"}", b'{"resource":' + text + b"}"))
    server.lie("Encounter?_id", searchset(text))
    server.hold(observation("in-context", encounter={"reference": "Encounter/x"}))
    for path in ("Observation/plain", "Observation?patient=rosa", "Observation/in-context"):
        found = await scene.ask(path)
        assert (502, TOLD) == (found.status, found.told), path
    scene.stub.seen.clear()
    found = await scene.push(transaction(observation("a"), text))
    assert (400, "OperationOutcome") == (found.status, found.json["resourceType"])
    assert [] == scene.stub.seen
    assert 200 == (await scene.ask("Observation/other")).status


ENTRY = b'{"resource":' + text_of(PLAIN) + b"}"
HIDDEN = text_of(observation("hidden", f"Patient/{MARK}-p"))
PAGES = {
    "a resource twice in an entry": [ENTRY[:-1] + b',"resource":' + HIDDEN + b"}"],
    "a resource twice in two spellings": [ENTRY[:-1] + b',"r\\u0065source":' + HIDDEN + b"}"],
    "a mode twice": [ENTRY[:-1] + b',"search":{"mode":"match","mode":"include"}}'],
    "an entry that is a list": [b"[" + ENTRY + b"]"],
    "an entry that is text": [MARKED],
}


@pytest.mark.parametrize("case", PAGES)
async def test_L059_a_page_with_two_meanings_is_not_released(scene, case):
    """What an entry holds must be said once: else the whole page is a fault."""
    scene.server.lie("Observation?", entries(ENTRY, *PAGES[case]))
    found = await scene.ask("Observation?patient=rosa")
    assert (502, TOLD) == (found.status, found.told)
    found = await scene.push(transaction().replace(b"[]", b"[" + b",".join(PAGES[case]) + b"]"))
    assert 400 == found.status


@pytest.mark.parametrize("member", ["entry", "type", "link", "resourceType", "total", "meta"])
async def test_L059_an_envelope_that_says_it_twice_is_not_read(scene, member):
    """Each member of a Bundle stands once."""
    whole = json.dumps({"resourceType": "Bundle", "type": "searchset", "total": 0, "link": [], "meta": {}}).encode()
    double = whole[:-1] + b',"entry":[],"%b":%b}' % (member.encode(), b"[]" if member == "entry" else MARKED)
    scene.server.lie("Observation?", answer(double))
    found = await scene.ask("Observation?patient=rosa")
    assert (502, TOLD) == (found.status, found.told)
    assert 400 == (await scene.push(double)).status


# What costs much -----------------------------------------------------------------------------------------------------
WIDE = {
    "one long string": {"note": [{"text": "long " * 100_000}]},
    "many extensions": {"extension": [{"url": "http://a", "valueDecimal": 0.5}] * 8_000},
    "many members": {f"_x{number}": {} for number in range(40_000)},
    "a wide array": {"_x": [0] * 200_000},
    "many codings": {"code": {"coding": [{"system": "http://s", "code": str(number)} for number in range(8_000)]}},
    "many texts": {"note": [{"text": "told"} for _ in range(20_000)]},
    "many components": {"component": [{"code": {"text": "a"}, "valueString": "b"} for _ in range(8_000)]},
    "many references to what cannot be told": {"hasMember": [{"identifier": {"value": str(n)}} for n in range(4_000)]},
    "many contained records": {
        "contained": [{"resourceType": "Observation", "id": f"c{number}"} for number in range(2_000)],
        "hasMember": [{"reference": f"#c{number}"} for number in range(2_000)],
    },
    "many contained sources": {
        "contained": [{"resourceType": "Organization", "id": f"c{number}"} for number in range(2_000)],
        "performer": [{"reference": f"#c{number}"} for number in range(2_000)],
    },
}


@pytest.mark.parametrize("case", WIDE)
async def test_a_wide_record_is_answered_in_bounded_time(scene, case):
    """Half a MiB of anything takes its share of time, not of an afternoon; what may be released is."""
    scene.server.lie("Observation/plain", answer(text_of(observation(**WIDE[case]))))
    began = time.process_time()
    assert 200 == (await scene.ask("Observation/plain")).status
    assert 3 > time.process_time() - began


@pytest.mark.parametrize("kind", ["Observation", "Patient"])
async def test_what_thousands_share_an_address_with_is_not_released(scene, kind):
    """A Bundle in which everything refers to one address that everything has: nobody can say who is meant, and finding
    that out does not cost the square of it."""
    urn = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    record = observation(patient=urn) | {"resourceType": kind, "note": [{"text": MARK}]}
    entry = [{"fullUrl": urn, "resource": record | {"id": f"n{number}"}} for number in range(2_000)]
    tree = {"resourceType": "Bundle", "id": "b", "type": "collection", "entry": entry}
    scene.server.lie("Bundle/b", answer(tree))
    began = time.process_time()
    found = await scene.ask("Bundle/b")
    assert 5 > time.process_time() - began
    assert 404 == found.status
    tree["entry"] = [{"resource": tree | {"id": "inner"}}]
    assert 403 == (await scene.push(tree, "/t/plan/Bundle")).status


async def test_L059_what_was_read_is_released_as_it_was_written(scene):
    """The positive control: odd but plain text keeps its every byte: 1.10, 1e2, escapes, order and spaces."""
    odd = b'[ {"low":{"value":1.10} , "text":"\\u0061\\/\xc3\xa9"},{"high": {"value":1e2,"unit":"\\t"}}]'
    text = text_of(PLAIN, referenceRange=odd).replace(b'"referenceRange"', b'"reference\\u0052ange"')
    scene.server.lie("Observation/plain", answer(text))
    scene.server.lie("Observation?", entries(b'{"resource":' + text + b"}"))
    for path in ("Observation/plain", "Observation?patient=rosa"):
        found = await scene.ask(path)
        assert 200 == found.status
        assert odd in found.body
    scene.stub.seen.clear()
    assert 200 == (await scene.push(transaction(text))).status
    (sent,) = [seen for seen in scene.stub.seen if seen.method == "POST"]
    assert odd in sent.body
