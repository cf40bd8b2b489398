"""One line a request, and numbers: nothing of a patient in either."""

import io
import json
import logging

import pytest
from prometheus_client import generate_latest

from gateway.decision.model import Decision, Verdict
from gateway.proxy.telemetry import LOGGER, Request, Telemetry, log_to, tell_unforeseen


@pytest.fixture
def lines():
    """What the process logs, as lines of JSON."""
    root, level, own = logging.getLogger(), logging.getLogger().level, LOGGER.level
    handlers, stream = root.handlers, io.StringIO()
    log_to(logging.StreamHandler(stream))
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers = handlers
    root.setLevel(level)
    LOGGER.setLevel(own)


REQUEST = Request(
    request="a" * 32,
    route="ny/hospital",
    template="/{tenant}/{route}/Observation/{id}",
    interaction="read",
    method="GET",
    status=200,
    milliseconds=12.5,
)


def test_a_request_is_one_line(lines):
    """The line names route, form, status, time and our own id."""
    Telemetry().answered(REQUEST)
    (line,) = lines()
    assert line.pop("at")
    assert {
        "level": "info",
        "from": "gateway",
        "say": "request",
        "request": "a" * 32,
        "route": "ny/hospital",
        "template": "/{tenant}/{route}/Observation/{id}",
        "interaction": "read",
        "method": "GET",
        "status": 200,
        "milliseconds": 12.5,
        "error": "",
        "why": "",
    } == line


def test_requests_are_counted_by_closed_labels():
    """The numbers are labelled by route, interaction and status."""
    telemetry = Telemetry()
    telemetry.answered(REQUEST)
    telemetry.decided("ny/hospital", [Decision(at="", resource="Claim/3", subjects=(), verdict=Verdict.WITHHELD)])
    telemetry.decided_again("ny/hospital")
    text = generate_latest(telemetry.registry).decode()
    assert 'gateway_requests_total{interaction="read",route="ny/hospital",status="200"} 1.0' in text
    assert 'gateway_decisions_total{route="ny/hospital",verdict="withheld"} 1.0' in text
    assert 'gateway_decided_again_total{route="ny/hospital"} 1.0' in text


def test_an_unforeseen_exception_is_told_by_class_and_place(lines):
    """The text of an exception may quote a record: it is not logged (L072)."""
    try:
        Telemetry().answered("sentinel Patient/rosa")
    except AttributeError as error:
        tell_unforeseen(error, "b" * 32)
    (line,) = lines()
    assert "unforeseen AttributeError at proxy/telemetry.py:" in line["say"]
    assert "sentinel" not in json.dumps(line)


def test_what_libraries_say_is_not_repeated(lines):
    """A library's warning is told by its name alone; its text and its exceptions may quote what passes through."""
    try:
        int("sentinel")
    except ValueError:
        logging.getLogger("aiohttp.client").exception("sentinel %s", "Patient/rosa")
    logging.getLogger("aiosqlite").debug("sentinel")
    (line,) = lines()
    assert ("aiohttp.client", "ValueError") == (line["from"], line["error"])
    assert "sentinel" not in json.dumps(line)
