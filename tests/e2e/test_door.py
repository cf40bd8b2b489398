"""The HTTP door, from outside: who gets in, what is refused by form, and that a refusal costs no call upstream."""

import pytest
import pytest_asyncio

from gateway.proxy.outcomes import NOT_VISIBLE
from tests.e2e.world import CBO, HOSPITAL, PLAN, embedded, world

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory):
    """A gateway with the story's records behind it: (world, upstream)."""
    async with embedded() as (upstream, base), world(tmp_path_factory.mktemp("house"), base) as gate:
        yield gate, upstream


@pytest.fixture
def gate(house):
    """The gateway."""
    return house[0]


@pytest.fixture
def log(house):
    """What the upstream was asked since the test began."""
    house[1].requests.clear()
    return house[1].requests


# Who gets in -------------------------------------------------------------------------------------------------------
async def test_a_registered_client_with_a_purpose_gets_what_it_may_have(gate):
    """The positive control: a plain record comes through, its text as upstream holds it."""
    answer = await gate.ask("Condition/rosa-hypertension")
    assert 200 == answer.status
    assert "rosa-hypertension" == answer.json["id"]


@pytest.mark.parametrize("header", [None, "Bearer ", "Bearer nonsense", "Basic dXNlcjpwYXNz", "Bearer a.b.c"])
async def test_without_a_valid_token_nobody_gets_in(gate, log, header):
    """No token, or one that does not verify, is 401 and says which scheme is wanted."""
    headers = [] if header is None else [("Authorization", header)]
    answer = await gate.ask("Patient/rosa", client=None, headers=headers)
    assert 401 == answer.status
    assert 'Bearer realm="consent-gateway"' == answer.headers["www-authenticate"]
    assert "login" == answer.json["issue"][0]["code"]
    assert [] == log


async def test_a_client_nobody_registered_is_refused(gate, log):
    """A token that verifies is not enough."""
    assert 403 == (await gate.ask("Patient/rosa", client="nobody")).status
    assert [] == log


@pytest.mark.parametrize("purpose", [None, "", "TREAT", "TREATS", "hpaymt", "HPAYMT ", "HRESCH", "http://other|HPAYMT"])
async def test_L061_L062_no_purpose_or_one_not_granted_is_refused(gate, log, purpose):
    """A missing, empty, unknown, misspelt or ungranted purpose is 403 (leaks.md L061, L062)."""
    answer = await gate.ask("Patient/rosa", purpose=purpose, client=PLAN)
    assert 403 == answer.status
    assert [] == log


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Purpose-Of-Use", "HPAYMT"), ("X-Purpose-Of-Use", "HPAYMT")],
        [("X-Purpose-Of-Use", "HPAYMT, CAREMGT")],
    ],
)
async def test_L061_several_purposes_are_refused(gate, log, headers):
    """A repeated header or a list is 400."""
    assert 400 == (await gate.ask("Patient/rosa", purpose=None, headers=headers)).status
    assert [] == log


async def test_L061_a_purpose_header_in_two_spellings_is_repeated(gate, log):
    """Letter case and underscores do not make another header of it."""
    for second, status in ((b"x-purpose-of-use", b"400"), (b"X_Purpose_Of_Use", b"400")):
        token = gate.token(PLAN).encode()
        answer = await gate.raw(
            b"GET /t/hospital/Patient/rosa HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n" % token
            + b"X-Purpose-Of-Use: HPAYMT\r\n%b: CAREMGT\r\nConnection: close\r\n\r\n" % second
        )
        assert status == answer.split(b" ")[1]
    assert [] == log


async def test_a_purpose_in_the_token_is_enough(gate):
    """One purpose in the token needs no header; a header may not go beyond it."""
    token = [("Authorization", f"Bearer {gate.token(PLAN, ['HPAYMT'])}")]
    assert 200 == (await gate.ask("Patient/rosa", client=None, purpose=None, headers=token)).status
    assert 403 == (await gate.ask("Patient/rosa", client=None, purpose="CAREMGT", headers=token)).status


# Refused by form ---------------------------------------------------------------------------------------------------
FORMS = [
    ("GET", "/", 404),
    ("GET", "/t", 404),
    ("GET", "/t/other/Patient/rosa", 404),
    ("GET", "/T/hospital/Patient/rosa", 404),
    ("GET", "/metrics", 404),
    ("GET", "Nonsense/1", 404),
    ("GET", "patient/rosa", 404),
    ("GET", "Patient//rosa", 404),
    ("GET", "Patient/./rosa", 404),
    ("GET", "Patient/%2e%2e/Patient/rosa", 404),
    ("GET", "../hospital/Patient/rosa", 404),
    ("GET", "Patient/rosa;jsessionid=1", 404),
    ("GET", "Patient/rosa%00", 404),
    ("GET", "Patient/rosa%2F_history", 404),
    ("GET", "Patient/rosa/", 404),
    ("GET", "Patient/rosa/_history", 501),
    ("GET", "Patient/rosa/_history/1", 501),
    ("GET", "Patient/_history", 501),
    ("GET", "_history", 501),
    ("GET", "Practitioner/okafor/Observation", 501),
    ("GET", "Patient/rosa/*", 501),
    ("GET", "Patient/rosa/Organization", 400),
    ("GET", "Patient/rosa/Observation?_include=Condition:encounter", 400),
    ("GET", "Patient/$everything", 501),
    ("GET", "Patient/rosa/$everything?_mdm=true", 400),
    ("GET", "Patient/rosa/$everything?_type=Nothing", 400),
    ("GET", "Observation/$lastn?patient=rosa", 400),
    ("GET", "Composition/x/$document?persist=true", 400),
    ("GET", "ValueSet/$expand?url=x", 501),
    ("POST", "Patient/$match", 400),
    ("POST", "Patient/$member-match", 400),
    ("GET", "Patient/$export", 501),
    ("GET", "$export", 501),
    ("GET", "Patient/rosa/$meta", 501),
    ("POST", "$graphql", 501),
    ("GET", "", 400),
    ("GET", "?_getpages=abc", 400),
    ("GET", "?_type=Observation,AuditEvent&patient=rosa", 501),
    ("GET", "?_type=Observation,Organization&patient=rosa", 400),
    ("PUT", "Patient/rosa", 405),
    ("PATCH", "Patient/rosa", 405),
    ("DELETE", "Patient/rosa", 405),
    ("TRACE", "Patient/rosa", 405),
    ("POST", "Observation", 422),
    ("POST", "$process-message?async=true", 400),
    ("GET", "AuditEvent?_id=1", 501),
    ("GET", "Consent?patient=rosa", 501),
    ("GET", "Subscription/1", 501),
    ("GET", "Observation", 400),
    ("GET", "Observation?code=8867-4", 400),
    ("GET", "Observation?patient=rosa&component-code-value-quantity=8480-6$gt140", 400),
    ("GET", "Patient?_id=rosa&_has:Observation:patient:_has:Provenance:target:agent=x", 400),
    ("GET", "Patient?_id=rosa&%5Fhas%3AObservation:code=8867-4", 400),
    ("GET", "Observation?encounter.status=finished", 400),
    ("GET", "Organization?_summary=count", 400),
    ("GET", "Observation?patient=rosa&_summary=counts", 400),
    ("GET", "Observation?patient=rosa&_summary=count&_summary=true", 400),
    ("GET", "Observation?patient=rosa&_elements=id&_summary=true", 400),
    ("GET", "Observation?patient=rosa&_elements=value.code.x", 400),
    ("GET", "Observation?patient=rosa&_fields=id", 400),
    ("GET", "Patient?_id=rosa&_revinclude=AuditEvent:patient", 400),
    ("GET", "Observation?patient=rosa&_total=ACCURATE", 400),
    ("GET", "Observation?patient=rosa&_tag=SUD", 400),
    ("GET", "Observation?patient=rosa&_security:not=SUD", 400),
    ("GET", "Observation?patient=rosa&_sort=_score", 400),
    ("GET", "Observation?patient=rosa&_include=*", 400),
    ("GET", "Observation?patient=rosa&_getpages=abc", 400),
    ("GET", "Observation?patient=rosa&code:not-in=http://x", 400),
    ("GET", "Observation?patient=rosa&_count=5&_count=6", 400),
    ("GET", "Patient/rosa?_fields=id", 400),
    ("GET", "Patient/rosa?_summary=count", 400),
    ("GET", "Patient/rosa?x", 400),
]


@pytest.mark.parametrize(("method", "path", "status"), FORMS)
async def test_what_is_not_offered_is_refused_by_form(gate, log, method, path, status):
    """Unknown routes, spellings, methods, operations, types and parameters: refused, and the upstream asked nothing."""
    answer = await gate.ask(path, method=method, body=b"{}" if method == "POST" else None)
    assert status == answer.status
    assert method == "HEAD" or "OperationOutcome" == answer.json["resourceType"]
    assert [] == log


async def test_a_refused_method_says_which_ones_there_are(gate):
    """405 and OPTIONS name the same methods, and OPTIONS is the same for what exists and what does not (L055)."""
    refused = await gate.ask("Patient/rosa", method="DELETE")
    there, nowhere = [await gate.ask(f"Patient/{id_}", method="OPTIONS", client=None) for id_ in ("rosa", "nobody")]
    assert "GET, HEAD, OPTIONS" == refused.headers["allow"] == there.headers["allow"]
    assert there.constant == nowhere.constant
    assert (204, b"") == (there.status, there.body)


@pytest.mark.parametrize(
    ("accept", "query"),
    [("application/fhir+xml", ""), ("text/turtle", ""), ("*/*", "?_format=xml"), ("*/*", "?_format=html/json")],
)
async def test_other_formats_are_refused(gate, log, accept, query):
    """What is not FHIR JSON cannot be released: 406 (L057)."""
    assert 406 == (await gate.ask(f"Patient/rosa{query}", headers=[("Accept", accept)])).status
    assert [] == log


@pytest.mark.parametrize("content_type", ["application/fhir+xml", "text/plain", "application/json; charset=utf-16"])
async def test_L060_other_bodies_are_refused(gate, log, content_type):
    """A body that is not FHIR JSON is 415, whatever is in it (L060)."""
    body = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Bundle>&e;</Bundle>'
    assert 415 == (await gate.ask("", method="POST", body=body, headers=[("Content-Type", content_type)])).status
    assert [] == log


async def test_a_read_has_no_body(gate, log):
    """A body where none belongs is refused."""
    assert 400 == (await gate.ask("Patient/rosa", body=b"{}")).status
    assert [] == log


# The wire --------------------------------------------------------------------------------------------------------
TWO_REQUESTS = b"GET /t/hospital/Condition/rosa-hypertension HTTP/1.1\r\nHost: x\r\n\r\n"
SMUGGLED = {
    "both lengths": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "a length that is no number": b"Content-Length: +5\r\n\r\nabcde",
    "a malformed chunk": b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    "an odd encoding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"Content-Length : 5\r\n\r\nabcde",
    "a bare line feed in a name": b"X-A\nB: 1\r\n\r\n",
}


@pytest.mark.parametrize("case", SMUGGLED)
async def test_L067_a_request_with_two_meanings_is_not_carried_out(gate, log, case):
    """Lengths that differ, broken chunks, odd headers: 400, the connection closed, nothing asked upstream (L067)."""
    head = b"POST /t/hospital/ HTTP/1.1\r\nHost: x\r\n"
    answer = await gate.raw(head + SMUGGLED[case] + TWO_REQUESTS)
    assert b"400" == answer.split(b" ")[1]
    assert 1 == answer.count(b"HTTP/1.1 ")
    assert [] == log


# What is constant --------------------------------------------------------------------------------------------------
async def test_L071_every_answer_carries_the_same_headers_and_our_own_id(gate):
    """Found, refused, absent, unknown: the same header set, an id of fixed length that is never the client's (L071)."""
    theirs = [("X-Request-Id", "1234")]
    asked = [("Patient/rosa", PLAN), ("Patient/nobody", PLAN), ("Patient/rosa", "nobody"), ("Nonsense/1", PLAN)]
    answers = [await gate.ask(path, client, headers=theirs) for path, client in asked]
    assert [200, 404, 403, 404] == [answer.status for answer in answers]
    for answer in answers:
        assert "private, no-store" == answer.headers["cache-control"]
        assert "Authorization, Accept, X-Purpose-Of-Use" == answer.headers["vary"]
        assert "nosniff" == answer.headers["x-content-type-options"]
        assert "application/fhir+json; charset=utf-8" == answer.headers["content-type"]
        assert str(len(answer.body)) == answer.headers["content-length"]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert 4 == len(ids)
    assert {32} == {len(one) for one in ids}
    assert 1 == len({frozenset(answer.headers) - {"etag"} for answer in answers})
    assert [True, False, False, False] == ["etag" in answer.headers for answer in answers]


async def test_L069_hidden_and_absent_are_the_same_answer(gate):
    """A record that is withheld reads like one that never existed, byte for byte (L069)."""
    hidden, absent = [await gate.ask(f"Condition/{id_}") for id_ in ("rosa-opioid-dependence", "never-existed")]
    assert hidden.constant == absent.constant
    assert (404, NOT_VISIBLE.body) == (hidden.status, hidden.body)


@pytest.mark.parametrize("header", ["If-None-Match", "If-Modified-Since", "Range", "If-Match"])
async def test_validators_of_a_client_make_no_difference_to_what_is_hidden(gate, header):
    """A conditional read of a hidden record is the answer for an absent one; of a visible one it is 304 for a tag that
    any record has, and whole for every other (L068)."""
    value = [(header, {"If-Modified-Since": "Sat, 01 Jan 2050 00:00:00 GMT", "Range": "bytes=0-1"}.get(header, "*"))]
    hidden = await gate.ask("Condition/rosa-opioid-dependence", headers=value)
    assert 404 == hidden.status
    seen = 304 if header == "If-None-Match" else 200
    assert seen == (await gate.ask("Condition/rosa-hypertension", headers=value)).status


OVERRIDES = [
    ("X-HTTP-Method-Override", "DELETE"),
    ("X-Original-URL", "/t/hospital/Condition/rosa-opioid-dependence"),
    ("X-Rewrite-URL", "/metadata"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Prefix", "/evil"),
    ("X-Forwarded-Proto", "https"),
    ("Forwarded", "host=evil.example"),
    ("Host", "evil.example"),
]


@pytest.mark.parametrize("header", OVERRIDES)
async def test_L064_no_header_changes_what_is_asked(gate, header):
    """Overrides of method, URL and host are not honoured, and links do not follow them (L064)."""
    plain, other = [await gate.ask("Condition?patient=rosa", headers=more) for more in ([], [header])]
    assert plain.ids == other.ids
    assert plain.json["link"] == other.json["link"]


async def test_L065_the_upstream_sees_our_headers_alone(gate, log):
    """Whatever a client sends, the header set upstream is the allow-list exactly (L065)."""
    control = ["X-Meta-Snapshot-Mode", "X-Cascade", "X-Patient-Id", "X-Custom", "Cookie", "If-None-Match", "Range"]
    await gate.ask("Condition/rosa-hypertension", headers=[(name, "1") for name in control] + OVERRIDES[:6])
    allowed = {"host", "accept", "accept-encoding", "cache-control", "prefer", "authorization"}
    assert log
    assert {frozenset(allowed)} == {frozenset(seen.headers) for seen in log}


async def test_the_capability_statement_is_ours(gate, log):
    """It says what is offered on the route, is the same for everybody, and costs no call (L056)."""
    answers = [await gate.ask("metadata", client=client, purpose=None) for client in (None, PLAN, CBO)]
    statement = answers[0].json
    assert 1 == len({answer.body for answer in answers})
    assert "CapabilityStatement" == statement["resourceType"]
    assert f"{gate.data}/t/hospital" == statement["implementation"]["url"]
    types = {one["type"]: one for one in statement["rest"][0]["resource"]}
    assert {"read", "search-type", "create"} == {one["code"] for one in types["Observation"]["interaction"]}
    assert {"read", "search-type"} == {one["code"] for one in types["List"]["interaction"]}
    assert ["process-message"] == [one["name"] for one in statement["rest"][0]["operation"]]
    assert not {"AuditEvent", "Consent", "Subscription"} & set(types)
    assert b"embedded" not in answers[0].body
    assert [] == log


async def test_each_search_parameter_that_is_stated_is_taken(gate):
    """What the statement offers for Observation works once; none of it is refused by form."""
    statement = (await gate.ask("metadata")).json
    offered = next(one for one in statement["rest"][0]["resource"] if one["type"] == "Observation")["searchParam"]
    values = {"patient": "rosa", "subject": "Patient/rosa", "encounter": "Encounter/rosa-mercy-clinic", "_id": "a"}
    kinds = {"date": "2026", "quantity": "5", "number": "5", "reference": "Observation/x"}
    values |= {"based-on": "CarePlan/x", "device": "Device/x", "part-of": "Procedure/x", "performer": "Device/x"}
    values |= {"performer": "Practitioner/x", "specimen": "x"}
    for name, kind in sorted((one["name"], one["type"]) for one in offered):
        anchor = "" if name in {"patient", "subject"} else "&patient=rosa"
        answer = await gate.ask(f"Observation?{name}={values.get(name, kinds.get(kind, 'x'))}{anchor}")
        assert 200 == answer.status, name


async def test_health_says_little(gate):
    """Alive and ready, without a token and without details."""
    assert b'{"status":"live"}' == (await gate.ask("/livez", client=None, purpose=None)).body
    ready = await gate.ask("/readyz", client=None, purpose=None)
    assert (200, b'{"status":"ready"}') == (ready.status, ready.body)
    assert 405 == (await gate.ask("/readyz", method="POST", body=b"{}")).status


async def test_the_same_for_another_caller_is_decided_for_that_caller(gate):
    """The hospital itself, asking for treatment what its own record holds, and a CBO nobody made an agreement with."""
    own = await gate.ask("Condition?patient=rosa", HOSPITAL, "TREAT")
    stranger = await gate.ask("Condition?patient=rosa", CBO, "CAREMGT")
    assert own.ids
    assert [] == stranger.ids
    assert 0 == stranger.json["total"]
