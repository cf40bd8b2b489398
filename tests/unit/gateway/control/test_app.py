"""The control plane's doors: health, roles, decide, explain, directory, reload, and how every answer looks."""

import logging

import pytest

from gateway.identity.dev_issuer import sign
from gateway.ledger.model import Completion, Outcome, Story, new_request_id
from tests.consents import r4
from tests.intents import an_intent
from tests.unit.gateway.control.plane import AUDIENCE, KEY, NOW, OFFICER, OMARS, OPERATOR, ROSAS, token

DOORS = [
    ("GET", "/metrics", {"operator"}),
    ("GET", "/openapi.json", {"operator"}),
    ("GET", "/control/directory", {"operator"}),
    ("POST", "/control/reload", {"operator"}),
    ("POST", "/control/decide", {"operator", "privacy_officer"}),
    ("POST", "/control/label", {"operator", "privacy_officer"}),
    ("POST", "/control/explain", {"privacy_officer"}),
    ("GET", "/cds-services", {"consent_consult", "operator", "privacy_officer"}),
    ("POST", "/cds-services/patient-consent-consult", {"consent_consult", "privacy_officer"}),
    ("GET", f"/control/explain/{'0' * 32}", {"privacy_officer"}),
    ("GET", "/fhir/Consent?patient=Patient/rosa", {"privacy_officer", "patient_app"}),
    ("GET", "/fhir/Consent/x", {"privacy_officer", "patient_app"}),
    ("POST", "/fhir/Consent", {"privacy_officer", "patient_app"}),
    ("PUT", "/fhir/Consent/x", {"privacy_officer", "patient_app"}),
]
BODY = {"/control/decide": b'{"id": "1"}', "/fhir/Consent": b"{}", "/fhir/Consent/x": b"{}"}


async def test_health_is_open_and_tells_what_fails(plane):
    """An orchestrator asks without a token; not ready is 503 and names the part."""
    assert 200 == (await plane.ask("GET", "/livez")).status_code
    assert 200 == (await plane.ask("GET", "/readyz")).status_code
    plane.checks = {"ledger": True, "consents": False}
    answer = await plane.ask("GET", "/readyz")
    assert (503, {"ledger": True, "consents": False}) == (answer.status_code, answer.json()["checks"])


@pytest.mark.parametrize(("method", "path", "roles"), DOORS)
async def test_every_other_door_needs_a_role(plane, method, path, roles):
    """Without a token 401; with another role, or none, 403; with the role it opens."""
    body = BODY.get(path)
    answer = await plane.ask(method, path, body=body)
    assert (401, 'Bearer realm="consent-gateway"') == (answer.status_code, answer.headers["www-authenticate"])
    assert "OperationOutcome" == answer.json()["resourceType"]
    held = {"privacy_officer": OFFICER, "operator": OPERATOR, "patient_app": ROSAS}
    held["consent_consult"] = token("ehr", "consent_consult")
    for role, bearer in held.items():
        status = (await plane.ask(method, path, bearer, body)).status_code
        assert (role in roles) is (status != 403), role
    for nobody in (token("stranger"), token("stranger", "admin"), token("plan", purposes=["HPAYMT"])):
        assert 403 == (await plane.ask(method, path, nobody, body)).status_code


@pytest.mark.parametrize(("method", "path", "roles"), DOORS)
async def test_an_exchange_client_has_no_role_here(plane, method, path, roles):
    """A client that exchanges data cannot have a role as well, whatever its token says (L080)."""
    for role in ("privacy_officer", "operator", "patient_app"):
        assert 403 == (await plane.ask(method, path, token("plan", role), BODY.get(path))).status_code


@pytest.mark.parametrize(
    "bearer",
    [
        token("rosa-app", "patient_app", "privacy_officer"),
        token("rosa-app", "privacy_officer"),
        token("rosa-app", "patient_app", patient="omar"),
        token("any-app", "patient_app"),
        token("stranger", "patient_app", patient="rosa"),
        token("stranger", "patient_app", "privacy_officer"),
        token("any-app", "patient_app", patient="https://other.example/Patient/omar"),
    ],
)
async def test_a_patients_app_is_registered_and_has_its_one_role(plane, bearer):
    """No second role, no other patient than registered, no patient of a server that is not served, no stranger."""
    assert 403 == (await plane.ask("GET", "/fhir/Consent", bearer)).status_code


async def test_roles_may_be_scopes(plane):
    """Some issuers carry roles as words of `scope`."""
    text = sign(KEY, {"client_id": "ops", "aud": AUDIENCE, "scope": "openid operator"}, NOW)
    assert 200 == (await plane.ask("GET", "/control/directory", text)).status_code


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/fhir/Consent/", 404),
        ("GET", "/fhir/Patient/rosa", 404),
        ("GET", "/docs", 404),
        ("DELETE", "/fhir/Consent/x", 405),
        ("PATCH", "/fhir/Consent/x", 405),
        ("POST", "/fhir/Consent/x", 405),
        ("GET", "/livez", 200),
        ("GET", "/fhir/Consent/x", 404),
    ],
)
async def test_every_answer_is_uncached_and_every_error_an_outcome(plane, method, path, status):
    """Nothing is kept by a cache; what is not served says so as an OperationOutcome; nothing can be deleted (L081)."""
    answer = await plane.ask(method, path, OFFICER)
    assert status == answer.status_code
    assert "private, no-store" == answer.headers["cache-control"]
    assert (status == 405) is ("allow" in answer.headers)
    if status != 200:
        assert "OperationOutcome" == answer.json()["resourceType"]


async def test_decide_answers_what_the_command_would(plane):
    """The question goes to decide as it is; what cannot be asked is 400, not a deny."""
    answer = await plane.ask("POST", "/control/decide", OFFICER, {"id": "7"})
    assert {"v": 1, "id": "7", "effect": "deny"} == answer.json()
    wrong = await plane.ask("POST", "/control/decide", OPERATOR, {})
    assert (400, "id is missing") == (wrong.status_code, wrong.json()["issue"][0]["diagnostics"])


async def test_label_gives_a_body_back_with_its_labels(plane):
    """A document or lines, by the profile asked for, in the format that was sent; what cannot be read is 400."""
    whole = await plane.ask("POST", "/control/label?profile=us-hipaa", OFFICER, b"{}")
    assert ("us-hipaa False {}", "application/fhir+json") == (whole.text, whole.headers["content-type"])
    lines = await plane.ask("POST", "/control/label", OPERATOR, b"{}", Content_Type="application/fhir+ndjson")
    assert ("us-part2 True {}", "application/fhir+ndjson") == (lines.text, lines.headers["content-type"])
    assert 400 == (await plane.ask("POST", "/control/label", OFFICER, b"{")).status_code
    assert 415 == (await plane.ask("POST", "/control/label", OFFICER, b"<a/>", Content_Type="text/xml")).status_code


async def test_the_unforeseen_is_one_constant_answer(plane, caplog):
    """An exception's text reaches neither the client nor the log (L070, L072)."""
    with caplog.at_level(logging.DEBUG):
        answer = await plane.ask("POST", "/control/decide", OFFICER, {"id": "boom"})
    assert (500, "private, no-store") == (answer.status_code, answer.headers["cache-control"])
    assert "sentinel" not in answer.text
    assert "sentinel" not in caplog.text
    assert "RuntimeError" in caplog.text


async def test_explain_tells_a_privacy_officer_the_whole_story(plane):
    """A request id leads to every attempt, with its restricted story; an unknown one and a made-up one look alike."""
    request_id = new_request_id()
    sequence = await plane.ledger.intent(an_intent(request_id=request_id, at=NOW), Story(withheld=("Condition/9",)))
    await plane.ledger.complete(sequence, Completion(at=NOW, outcome=Outcome.SENT, status=200))
    (attempt,) = (await plane.ask("GET", f"/control/explain/{request_id}", OFFICER)).json()["attempts"]
    assert ("plan", ["Condition/9"], "sent") == (
        attempt["intent"]["recipient"],
        attempt["story"]["withheld"],
        attempt["completion"]["outcome"],
    )
    unknown = await plane.ask("GET", f"/control/explain/{new_request_id()}", OFFICER)
    made_up = await plane.ask("GET", "/control/explain/x' OR 1=1", OFFICER)
    assert (404, unknown.content) == (made_up.status_code, made_up.content)


async def test_the_directory_is_told_without_patients(plane):
    """An operator sees parties and counts; whose patient somebody is stays out of it."""
    answer = await plane.ask("GET", "/control/directory", OPERATOR)
    told = answer.json()
    assert ("r1", {"BAA": 1}, {"plan": 1}) == (told["revision"], told["agreements"], told["relationships"])
    assert ["any-app", "plan", "rosa-app"] == [party["id"] for party in told["participants"]]
    assert "rosa-1" not in answer.text
    assert "Patient/" not in answer.text


async def test_reload_gives_the_new_revision_or_the_line_that_is_wrong(plane):
    """A wrong file is told by line to the operator who wrote it."""
    assert {"revision": "r2"} == (await plane.ask("POST", "/control/reload", OPERATOR)).json()
    plane.broken_reload = True
    answer = await plane.ask("POST", "/control/reload", OPERATOR)
    assert 422 == answer.status_code
    assert "directory.yaml:7" in answer.json()["issue"][0]["diagnostics"]


async def test_metrics_are_prometheus_text(plane):
    """An operator's scraper reads the counters."""
    answer = await plane.ask("GET", "/metrics", OPERATOR)
    assert "answers_total 1.0" in answer.text


async def test_the_interface_is_described(plane):
    """The routes are told as OpenAPI to an operator."""
    told = (await plane.ask("GET", "/openapi.json", OPERATOR)).json()
    assert "/fhir/Consent/{consent_id}" in told["paths"]


async def test_logs_tell_no_patient(plane, caplog):
    """Writing and searching are logged by operation and role, without an id, reference or value (L072)."""
    body = r4(id=None, patient={"reference": "Patient/omar"})
    with caplog.at_level(logging.DEBUG):
        stored = await plane.ask("POST", "/fhir/Consent", OMARS, body)
        await plane.ask("GET", "/fhir/Consent?patient=Patient/omar", OMARS)
        await plane.ask("GET", f"/fhir/Consent/{stored.json()['id']}", OMARS)
    ours = [record for record in caplog.records if not record.name.startswith("httpx2")]  # the test's own client
    assert ["consent create"] == [record.told.operation for record in ours if hasattr(record, "told")]
    said = "".join(f"{record.getMessage()} {record.__dict__}" for record in ours)
    assert "omar" not in said
    assert stored.json()["id"] not in said
