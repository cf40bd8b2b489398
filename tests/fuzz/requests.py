"""Raw requests for the data plane, made by who knows what one looks like, and a server behind it that lies.

A request is bytes with `{client}` in the place of that client's token, so that it can be kept and asked again. `LIES`
are the ways in which the server answers otherwise than it should, by name.
"""

import json
import random
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tests.attack.records import ROSA, observation, quokka, text_of, transaction
from tests.attack.scene import MARK
from tests.attack.worlds import PART2
from tests.e2e.world import CBO, HOSPITAL, PLAN
from tests.fuzz.mutating import mutated
from tests.stub_upstream import Raw, Seen, answer

SECRET = "wombat"
"""Stands in the content of all that is withheld and of all lies, and in no request."""

_NOTE: dict[str, Any] = {"note": [{"text": f"a {SECRET}"}]}
HELD = (
    quokka() | {"address": [{"text": SECRET}]},
    observation(f"{MARK}-o", f"Patient/{MARK}-p", **_NOTE),
    observation("sealed", ROSA, meta={"security": PART2}, **_NOTE),
    observation("plain", ROSA),
    {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "name": SECRET,
     "member": [{"entity": {"reference": f"Patient/{MARK}-p"}}]},
)  # fmt: skip
"""What the server holds beside the story's records."""


class Case(NamedTuple):
    """A request and the lie that its answer is made with, "" for none."""

    request: bytes
    lie: str = ""


# Lies -----------------------------------------------------------------------------------------------------------------
_SEALED = json.dumps(HELD[2]).encode()
_FOREIGN = {"Location": f"http://127.0.0.1:9/{SECRET}"}
_BIG = b'{"resourceType":"Bundle","type":"searchset","entry":[' + b'{"resource":' + _SEALED + b"}," * 400


def _bundle(*entries: dict[str, Any], **more: Any) -> bytes:
    return answer({"resourceType": "Bundle", "type": "searchset", "entry": list(entries)} | more)


LIES: Mapping[str, Callable[[Seen], Raw]] = {
    "hangs up": lambda seen: None,
    "stalls": lambda seen: [2.0, b""],
    "breaks off": lambda seen: answer(_SEALED, length=len(_SEALED) + 9),
    "another's length": lambda seen: answer(_SEALED, length=40),
    "no http": lambda seen: SECRET.encode() * 9,
    "an error": lambda seen: answer(_SEALED, 500),
    "forbids": lambda seen: answer(_SEALED, 403),
    "a redirect": lambda seen: answer(_SEALED, 307, **_FOREIGN),
    "gone": lambda seen: answer(_SEALED, 410),
    "nothing": lambda seen: answer(b"", 204),
    "html": lambda seen: answer(f"<pre>{SECRET}</pre>".encode(), content_type="text/html"),
    "no type": lambda seen: answer(_SEALED, content_type=None),
    "utf-16": lambda seen: answer(json.dumps(HELD[2]).encode("utf-16"), content_type="application/fhir+json"),
    "packed": lambda seen: answer(zlib.compress(_SEALED), Content_Encoding="deflate"),
    "cut json": lambda seen: answer(_SEALED[:-2]),
    "a name twice": lambda seen: answer(_SEALED[:-1] + b',"id":"plain"}'),
    "another record": lambda seen: answer(_SEALED),
    "another type": lambda seen: answer({"resourceType": "Parameters", "parameter": [{"valueString": SECRET}]}),
    "an outcome": lambda seen: answer({"resourceType": "OperationOutcome", "issue": [{"diagnostics": SECRET}]}),
    "deep": lambda seen: answer(b"[" * 9000 + SECRET.encode() + b"]" * 9000),
    "large": lambda seen: answer(_BIG),
    "a bundle": lambda seen: _bundle({"resource": HELD[2], "search": {"mode": "match"}}, total=7),
    "no mode": lambda seen: _bundle({"resource": HELD[2]}, {"resource": HELD[3]}),
    "inside": lambda seen: _bundle({"resource": json.loads(_bundle({"resource": HELD[2]}).partition(b"\r\n\r\n")[2])}),
    "only links": lambda seen: _bundle(link=[{"relation": "next", "url": f"http://127.0.0.1:9/?{SECRET}"}]),
    "same page": lambda seen: _bundle(link=[{"relation": "next", "url": f"http://x{seen.target}"}]),
    "headers": lambda seen: answer(HELD[3], ETag=f'W/"{SECRET}"', Link=f"<{SECRET}>", Set_Cookie=SECRET),
    "two lengths": lambda seen: answer(_SEALED, Content_length=f"{len(_SEALED) + 1}"),
    "a long header": lambda seen: answer(_SEALED, X_A=SECRET * 9000),
}  # fmt: skip

# Requests -------------------------------------------------------------------------------------------------------------
_TYPES = ("Patient", "Observation", "Condition", "Encounter", "Binary", "Consent", "Group", "List", "Bundle", "Foo", "")
_IDS = ("rosa", "plain", "sealed", f"{MARK}-p", f"{MARK}-o", "nobody", "g", "..", "%2e%2e", "a%2Fb", ";x", "1" * 65)
_MORE = (
    "/_history/1", "/_history", "/$everything", "/Observation", "/$meta", "/*", "/_search", "//", "/%24everything",
    "/$validate", ";v=1", "/.", "/Observation?code=1", "/$meta-delete", "/$document",
)  # fmt: skip
_VALUES = (
    "rosa", "Patient/rosa", f"{MARK}-p", f"Patient/{MARK}-p", "plain,sealed", f"{MARK}-o,plain", f"{MARK}-mrn", "1",
    "x|y", "2020", "ge2020-01", "ap2020", "%00", "%ff", "a%5C,b", "a%7Cb%7Cc", "true", "*", "-date",
    "Observation:subject", "", "https://mercy-general.example/mrn%7C" + f"{MARK}-mrn", "8867-4",
    "http://127.0.0.1:9/Patient/rosa", "%E2%80%A8", "+",
)  # fmt: skip
_NAMES = (
    "patient", "subject", "_id", "code", "date", "identifier", "family", "birthdate", "_count", "_sort", "_include",
    "_revinclude", "_has:Observation:patient:code", "patient.family", "subject:Patient.identifier", "code:not",
    "_total", "_elements", "_summary", "_format", "_lastUpdated", "_security", "_filter", "_type", "_page",
    "category:missing", "_revinclude:iterate", "subject:identifier", "value-quantity", "_method", "_pretty",
    "_since", "max",
)  # fmt: skip
_FITTING = (
    "code=8867-4", "status=final", "_count=1", "_sort=-date", "_include=Observation:subject", "code:not=1",
    "_summary=count", "category:missing=true", "_elements=status", "_total=accurate", "_lastUpdated=ge2020",
    "_sort=code,_id", "date:missing=true", f"subject:Patient={MARK}-p", f"_id={MARK}-o,plain",
    "_include=Observation:performer", "status:not=draft", "_summary=data",
)  # fmt: skip
_HEADERS = (
    "Accept: application/fhir+json", "Accept: application/fhir+xml", "Accept: */*;q=0", "Accept-Encoding: gzip",
    "Prefer: return=representation, handling=lenient, respond-async", "Range: bytes=0-9",
    "X-HTTP-Method-Override: DELETE", "X-Forwarded-Host: evil.example", "Forwarded: host=evil.example;proto=https",
    "X-Original-URL: /t/hospital/metadata", "If-None-Match: *", 'If-None-Match: W/"1"',
    "If-Modified-Since: Sun, 22 Nov 2026 00:00:00 GMT", 'If-Match: W/"1"', "If-None-Exist: identifier=x",
    "Content-Encoding: gzip", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding : chunked", "Content-Length: 3", "Content-Length: -1", "Content-Length: 0x10",
    "Expect: 100-continue", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "Connection: X-Purpose-Of-Use",
    "X-Purpose-Of-Use: TREAT", "X-Purpose-Of-Use: ETREAT", "X-Purpose-Of-Use: HPAYMT, TREAT",
    "x-purpose-of-use: hpaymt", "Authorization: Basic Zzo6", "Authorization: Bearer e30.e30.", "Cookie: a=b",
    "Cache-Control: no-transform", "X-Upsert: true", " folded: x",
    "Content-Type: application/fhir+json; charset=utf-16", "Content-Type: application/json-patch+json",
    "Host: evil.example", "X-Request-Id: 00000000000000000000000000000000", "Te: trailers", "A: " + "b" * 5000,
    "No-Colon", ": no-name", "A: \xff",
)  # fmt: skip
_CALLERS = ((PLAN, "HPAYMT"), (HOSPITAL, "TREAT"), (HOSPITAL, "HPAYMT"), (CBO, "TREAT"), (PLAN, "TREAT"))


def made(rand: random.Random) -> Case:
    """Give a request that is near to one that means something, and now and then a lie."""
    lie = rand.choice(tuple(LIES)) if rand.random() < 0.35 else ""
    kind = rand.choices(("read", "push", "batch", "write"), (6, 3, 1, 1))[0]
    caller, purpose = rand.choice(_CALLERS) if rand.random() < 0.4 else _CALLERS[2 if kind == "push" else 0]
    method, path, body = {"read": _read, "push": _push, "batch": _batch, "write": _write}[kind](rand)
    target = path.encode()
    if rand.random() < 0.15:
        target = mutated([target], rand)
    if body and rand.random() < 0.35:
        body = mutated([body, _SEALED.replace(SECRET.encode(), b"x")], rand)
    head = [b"Host: gateway.example", b"Connection: close", b"Authorization: Bearer {%s}" % caller.encode()]
    head.append(f"X-Purpose-Of-Use: {purpose}".encode())
    if body:
        form = b"application/x-www-form-urlencoded" if path.endswith("_search") else b"application/fhir+json"
        head += [b"Content-Type: " + form, b"Content-Length: %d" % len(body)]
    for _ in range(rand.choice((0, 0, 0, 1, 1, 3))):
        head.insert(rand.randrange(1, len(head) + 1), rand.choice(_HEADERS).encode("latin-1"))
    for _ in range(rand.choice((0, 0, 0, 0, 1))):
        del head[rand.randrange(len(head))]
    version = rand.choice((b"HTTP/1.1",) * 12 + (b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.1 x"))
    raw = b"\r\n".join([method.encode() + b" " + target + b" " + version, *head, b"", b""]) + body
    return Case(mutated([raw], rand) if rand.random() < 0.08 else raw, lie)


def _route(rand: random.Random, usual: str) -> str:
    return (
        usual if rand.random() < 0.85 else rand.choice(("/t/hospital", "/t/plan", "/t/consented", "/t/none", "/t", ""))
    )


def _read(rand: random.Random) -> tuple[str, str, bytes]:
    method = rand.choices(("GET", "HEAD", "POST", "OPTIONS", "TRACE", "FOO"), (12, 2, 3, 1, 1, 1))[0]
    path, type_ = _route(rand, "/t/hospital"), rand.choice(("Observation", rand.choice(_TYPES)))
    if rand.random() < 0.4:
        identity = rand.choice(("plain", "sealed", f"{MARK}-o", rand.choice(_IDS)))
        path += f"/{type_}/{identity}" + (rand.choice(_MORE) if rand.random() < 0.3 else "")
        return "GET" if method == "POST" else method, path, b""
    anchor = rand.choice(("patient=rosa", f"patient={MARK}-p", "_id=plain,sealed", f"patient={MARK}-nobody"))
    given = [anchor] if rand.random() < 0.9 else []
    for _ in range(rand.choice((0, 1, 1, 2))):
        odd = f"{rand.choice(_NAMES)}={rand.choice(_VALUES)}"
        given.append(odd if rand.random() < 0.4 else rand.choice(_FITTING))
    if method == "POST":
        return method, f"{path}/{type_}/_search", "&".join(given).encode()
    return method, f"{path}/{type_}?{'&'.join(given)}", b""


def _push(rand: random.Random) -> tuple[str, str, bytes]:
    path = _route(rand, "/t/plan") + rand.choice(("", "/", "/", "/", "/Bundle", "/Observation", "/$process-message"))
    one = observation("new", rand.choice((ROSA, f"Patient/{MARK}-p", "Patient/nobody", None)))
    if rand.random() < 0.3:
        one["meta"] = {"security": PART2}
    if path.endswith("/Observation"):
        return "POST", path, json.dumps(one).encode()
    other = text_of(
        observation("more"), note=rand.choice((b'"x"', b'[{"text":"x"}]', b'[{"text":"\\ud800"}]', b"1e999"))
    )
    whole = transaction(one, *([other] if rand.random() < 0.5 else []))
    kinds, methods = (b"batch", b"collection", b"message", b"history", b"x"), (b"PUT", b"DELETE", b"GET", b"PATCH")
    kind = b"transaction" if rand.random() < 0.6 else rand.choice(kinds)
    method = b"POST" if rand.random() < 0.8 else rand.choice(methods)
    whole = whole.replace(b"transaction", kind).replace(b'"method":"POST"', b'"method":"%s"' % method)
    return "POST", path, whole.replace(b"Observation", b"../x", 1) if rand.random() < 0.1 else whole


def _batch(rand: random.Random) -> tuple[str, str, bytes]:
    gets = [
        {"request": {"method": "GET", "url": _read(rand)[1].removeprefix("/t/hospital/")}}
        for _ in range(rand.randrange(4))
    ]
    return "POST", "/t/hospital/", json.dumps({"resourceType": "Bundle", "type": "batch", "entry": gets}).encode()


def _write(rand: random.Random) -> tuple[str, str, bytes]:
    path = f"{_route(rand, '/t/plan')}/{rand.choice(_TYPES)}/{rand.choice(_IDS)}"
    body = rand.choice((b"", b'[{"op":"remove","path":"/meta/security"}]', json.dumps(observation("plain")).encode()))
    return rand.choice(("PUT", "PATCH", "DELETE", "LOCK")), path, body
