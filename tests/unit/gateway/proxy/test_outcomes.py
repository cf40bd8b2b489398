"""Every error has one answer, in the gateway's own words."""

import json

import pytest

from gateway import errors
from gateway.proxy.outcomes import NOT_VISIBLE, UNFORESEEN, TooSlow, outcome

CASES = [
    (errors.BadRequest("a value is empty"), 400, "invalid"),
    (errors.Unauthenticated("a valid access token is required"), 401, "login"),
    (errors.Forbidden("no purpose"), 403, "forbidden"),
    (errors.NotVisible(), 404, "not-found"),
    (errors.NotSupported("not this method", 405, "GET"), 405, "not-supported"),
    (errors.Unacceptable("json only"), 406, "not-supported"),
    (TooSlow(), 408, "timeout"),
    (errors.TooLarge("too large"), 413, "too-costly"),
    (errors.UnsupportedMedia("json only"), 415, "not-supported"),
    (errors.Unprocessable("`status` is missing"), 422, "invariant"),
    (errors.NotSupported("no operations here"), 501, "not-supported"),
    (errors.NotSupported("no such parameter", 400), 400, "not-supported"),
    (errors.UpstreamFault(), 502, "transient"),
    (errors.Unavailable("the consent store cannot be read"), 503, "transient"),
]


@pytest.mark.parametrize(("error", "status", "code"), CASES)
def test_an_error_is_an_operation_outcome(error, status, code):
    """Status and issue code are the error's, and its message is all the text there is."""
    answer = outcome(error)
    assert status == answer.status
    issue = {"severity": "error", "code": code, "diagnostics": error.message}
    assert {"resourceType": "OperationOutcome", "issue": [issue]} == json.loads(answer.body)


def test_not_visible_is_one_constant():
    """Hidden, absent, deleted: byte for byte the same answer (leaks.md L069)."""
    assert NOT_VISIBLE == outcome(errors.NotVisible())


def test_what_nobody_foresaw_says_nothing():
    """The answer to an unforeseen exception is a constant."""
    assert (500, {}) == (UNFORESEEN.status, UNFORESEEN.headers)
    assert b"internal error" in UNFORESEEN.body


def test_some_statuses_ask_for_a_header():
    """401 names the scheme, 405 the methods, 413 and 408 end the connection, 503 says when to come back."""
    assert {"WWW-Authenticate": 'Bearer realm="consent-gateway"'} == outcome(errors.Unauthenticated("x")).headers
    assert {"Allow": "GET, POST"} == outcome(errors.NotSupported("x", 405, "GET, POST")).headers
    assert {"Connection": "close"} == outcome(errors.TooLarge("x")).headers
    assert {"Connection": "close"} == outcome(TooSlow()).headers
    assert {"Retry-After": "5"} == outcome(errors.Unavailable("x")).headers


def test_a_refused_push_names_the_sender_s_own_entries():
    """Each entry that was held back is told to its sender in an issue of its own."""
    answer = outcome(errors.PushRefused("not all of it may be disclosed", ("entry 2: 42CFRPart2",)))
    texts = [issue["diagnostics"] for issue in json.loads(answer.body)["issue"]]
    assert ["not all of it may be disclosed", "entry 2: 42CFRPart2"] == texts
