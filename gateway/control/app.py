"""The control plane as one FastAPI application: health, metrics, the Consent API, decide, explain, directory, reload.

Rules of this file
1. Everything but `/livez` and `/readyz` needs a token with a role; each route says which. No route skips it (L098).
2. What the routes need is handed in by bootstrap; nothing here knows a driver or reads a file.
3. Logs tell the operation, the roles and the status, never an id of a patient or a word of a Consent (L072).
"""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final

import msgspec
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from consent_store.store import ConsentStore, StoredVersion, StoreUnavailable
from consent_store.validate import KnownCodes
from gateway.clock import Clock
from gateway.control.access import Access, Doorkeeper, Role, Sources, TokenVerifier
from gateway.control.answers import (
    FHIR_JSON,
    Guard,
    OutcomeOf,
    as_gateway_error,
    body_of,
    error_response,
    json_response,
)
from gateway.control.consents import ConsentApi, bundle, version_headers
from gateway.control.consults import Consulted, Consults
from gateway.control.directory_summary import summary
from gateway.control.media import NDJSON, R4, asked_version, body_is_lines, content_type, sent_version, wants_text
from gateway.directory.model import Directory
from gateway.errors import BadRequest, GatewayError, NotSupported, NotVisible, ProfileError, Unacceptable, Unprocessable
from gateway.facts.explain_text import explanation_lines
from gateway.ledger.model import REQUEST_ID, Attempt, Ledger

CONSENT_BYTES: Final = 1024 * 1024
ALERTS: Final = 100
"""How many alerts one answer tells of."""
_SEQUENCE: Final = re.compile(r"[0-9]{1,15}")
_LOG: Final = logging.getLogger("gateway.control")


class Deps(msgspec.Struct, frozen=True, kw_only=True):
    """What bootstrap hands in. `sources` are the servers whose patients consents are about, with their base URLs;
    `decide` answers a question's text, `explain` tells of its records, all or those named (QuestionError); `label`
    gives a body with its labels by a profile, line by line or whole (QuestionError); `reload` reads the directory anew
    and gives its revision (ProfileError); `ready` tells by name what works; `base_url` is this plane's own, as clients
    see it; `consulted` is the route that consults are about, None where the service is not offered."""

    verifier: TokenVerifier
    directory: Callable[[], Directory]
    consents: ConsentStore
    sources: Sources
    known: KnownCodes
    ledger: Ledger
    clock: Clock
    outcome: OutcomeOf
    decide: Callable[[bytes], Mapping[str, Any]]
    explain: Callable[[bytes, tuple[str, ...]], Mapping[str, Any]]
    label: Callable[[bytes, str, bool], bytes]
    reload: Callable[[], Awaitable[str]]
    ready: Callable[[], Awaitable[Mapping[str, bool]]]
    metrics: CollectorRegistry
    base_url: str
    consulted: Consulted | None = None
    question_bytes: int = 32 * 1024 * 1024


class Told(msgspec.Struct, frozen=True):
    """What the log says of one operation."""

    operation: str
    client: str
    roles: tuple[str, ...]


def control_app(deps: Deps) -> FastAPI:
    """Put the control plane together."""
    app = FastAPI(
        title="Consent Gateway control plane",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # a redirect would be built from the client's Host header
    )
    doorkeeper = Doorkeeper(deps.verifier, deps.directory, deps.sources)

    async def access(request: Request) -> Access:
        return await doorkeeper.access(request.headers.getlist("authorization"))

    async def failed(_request: Request, error: Exception) -> Response:
        return error_response(as_gateway_error(error), deps.outcome)

    for kind in (GatewayError, StoreUnavailable, HTTPException):
        app.add_exception_handler(kind, failed)
    app.add_middleware(Guard, outcome=deps.outcome)
    _health(app, deps)
    _consents(app, deps, access)
    _officers(app, deps, access)
    _questions(app, deps, access)
    _consults(app, deps, access)
    return app


Authorise = Callable[[Request], Awaitable[Access]]


def _tell(operation: str, who: Access) -> None:
    _LOG.info("control", extra={"told": Told(operation, who.client_id, tuple(sorted(who.roles)))})


def _health(app: FastAPI, deps: Deps) -> None:
    @app.get("/livez")
    async def livez() -> Response:
        return json_response({"status": "live"})

    @app.get("/readyz")
    async def readyz() -> Response:
        checks = await deps.ready()
        ready = all(checks.values())
        return json_response({"status": "ready" if ready else "not ready", "checks": checks}, 200 if ready else 503)


def _consents(app: FastAPI, deps: Deps, access: Authorise) -> None:
    api = ConsentApi(deps.consents, deps.sources, deps.known, deps.clock)

    @app.post("/fhir/Consent")
    async def create(request: Request, who: Annotated[Access, Depends(access)]) -> Response:
        if "if-none-exist" in request.headers:
            raise NotSupported("conditional create is not supported", 400)
        version = sent_version(request.headers.get("content-type", ""))
        stored = await api.create(who, await body_of(request, CONSENT_BYTES), version)
        _tell("consent create", who)
        location = f"{deps.base_url}/fhir/Consent/{stored.id}/_history/{stored.version}"
        return _resource(stored, 201, {"Location": location})

    @app.get("/fhir/Consent")
    async def search(request: Request, who: Annotated[Access, Depends(access)]) -> Response:
        version = asked_version(request.headers.get("accept", "")) or R4
        found = await api.search(who, request.query_params.multi_items(), version)
        asked = f"?{request.url.query}" if request.url.query else ""
        return Response(bundle(found, deps.base_url, asked), media_type=content_type(version))

    @app.get("/fhir/Consent/{consent_id}")
    async def read(consent_id: str, request: Request, who: Annotated[Access, Depends(access)]) -> Response:
        return _asked_for(await api.read(who, consent_id), request)

    @app.get("/fhir/Consent/{consent_id}/_history/{version}")
    async def vread(
        consent_id: str, version: str, request: Request, who: Annotated[Access, Depends(access)]
    ) -> Response:
        return _asked_for(await api.read(who, consent_id, version), request)

    @app.put("/fhir/Consent/{consent_id}")
    async def update(consent_id: str, request: Request, who: Annotated[Access, Depends(access)]) -> Response:
        version = sent_version(request.headers.get("content-type", ""))
        raw = await body_of(request, CONSENT_BYTES)
        stored = await api.update(who, consent_id, raw, version, request.headers.get("if-match"))
        _tell("consent update", who)
        return _resource(stored, 200, {})


def _asked_for(stored: StoredVersion, request: Request) -> Response:
    version = asked_version(request.headers.get("accept", ""))
    if version not in {None, stored.fhir_version}:
        raise Unacceptable("this Consent is of another FHIR version")
    return _resource(stored, 200, {})


def _resource(stored: StoredVersion, status: int, headers: Mapping[str, str]) -> Response:
    return Response(
        stored.text, status, {**version_headers(stored), **headers}, media_type=content_type(stored.fhir_version)
    )


def _officers(app: FastAPI, deps: Deps, access: Authorise) -> None:
    @app.get("/metrics")
    async def metrics(who: Annotated[Access, Depends(access)]) -> Response:
        who.need(Role.OPERATOR)
        return Response(generate_latest(deps.metrics), media_type=CONTENT_TYPE_LATEST)

    @app.get("/control/explain/{request_id}")
    async def explain(request_id: str, who: Annotated[Access, Depends(access)]) -> Response:
        who.need(Role.PRIVACY_OFFICER)
        attempts = await deps.ledger.explain(request_id) if REQUEST_ID.fullmatch(request_id) else ()
        if not attempts:
            raise NotVisible
        _tell("explain", who)
        return json_response({"request_id": request_id, "attempts": attempts})

    @app.get("/control/alerts")
    async def alerts(request: Request, who: Annotated[Access, Depends(access)]) -> Response:
        who.need(Role.PRIVACY_OFFICER)
        said = request.query_params.get("after", "0")
        if not _SEQUENCE.fullmatch(said):
            raise BadRequest("`after` is a number")
        after = int(said)
        found = await deps.ledger.alerts(after, ALERTS)
        _tell("alerts", who)
        return json_response({"alerts": [_alert(attempt) for attempt in found], "next": _after(found, after)})

    @app.get("/control/directory")
    async def directory(who: Annotated[Access, Depends(access)]) -> Response:
        who.need(Role.OPERATOR)
        return json_response(summary(deps.directory()))

    @app.post("/control/reload")
    async def reload(who: Annotated[Access, Depends(access)]) -> Response:
        who.need(Role.OPERATOR)
        try:
            revision = await deps.reload()
        except ProfileError as wrong:
            raise Unprocessable(wrong.message) from None  # the operator's own file: told by line, the old one stays
        _tell("directory reload", who)
        return json_response({"revision": revision})

    @app.get("/openapi.json")
    async def openapi(who: Annotated[Access, Depends(access)]) -> Response:
        who.need(Role.OPERATOR)
        return json_response(app.openapi())


def _alert(attempt: Attempt) -> Mapping[str, Any]:
    """Give what is to be looked at: who asked for what purpose, and by which request to find the rest (`explain`)."""
    intent = attempt.intent
    return {
        "sequence": attempt.sequence,
        "alerts": intent.alerts,
        "at": intent.at,
        "request_id": intent.request_id,
        "route": f"{intent.tenant}/{intent.route}",
        "client": intent.client,
        "initiator": intent.initiator,
        "purpose": intent.purpose,
        "outcome": attempt.completion.outcome.value if attempt.completion else None,
    }


def _after(found: tuple[Attempt, ...], after: int) -> int:
    return found[-1].sequence if found else after


def _questions(app: FastAPI, deps: Deps, access: Authorise) -> None:
    @app.post("/control/decide")
    async def decide(request: Request, who: Annotated[Access, Depends(access)]) -> Response:
        who.need(Role.PRIVACY_OFFICER, Role.OPERATOR)
        raw = await body_of(request, deps.question_bytes)
        return json_response(await run_in_threadpool(deps.decide, raw))

    @app.post("/control/explain")
    async def explain_question(request: Request, who: Annotated[Access, Depends(access)]) -> Response:
        who.need(Role.PRIVACY_OFFICER)
        raw = await body_of(request, deps.question_bytes)
        found = await run_in_threadpool(deps.explain, raw, tuple(request.query_params.getlist("record")))
        _tell("explain question", who)
        if wants_text(request.headers.get("accept", "")):
            return PlainTextResponse("\n".join(explanation_lines(found)) + "\n")
        return json_response(found)

    @app.post("/control/label")
    async def label(request: Request, who: Annotated[Access, Depends(access)], profile: str = "us-part2") -> Response:
        who.need(Role.PRIVACY_OFFICER, Role.OPERATOR)
        lines = body_is_lines(request.headers.get("content-type", ""))
        raw = await body_of(request, deps.question_bytes)
        labelled = await run_in_threadpool(deps.label, raw, profile, lines)
        _tell("label", who)
        return Response(labelled, media_type=NDJSON if lines else FHIR_JSON)


def _consults(app: FastAPI, deps: Deps, access: Authorise) -> None:
    consults = Consults(deps.consulted, deps.ledger, deps.base_url)

    @app.get("/cds-services")
    async def services(who: Annotated[Access, Depends(access)]) -> Response:
        who.need(Role.CONSENT_CONSULT, Role.PRIVACY_OFFICER, Role.OPERATOR)
        return json_response(consults.services())

    @app.post("/cds-services/patient-consent-consult")
    async def consult(request: Request, who: Annotated[Access, Depends(access)]) -> Response:
        who.need(Role.CONSENT_CONSULT, Role.PRIVACY_OFFICER)
        sent_version(request.headers.get("content-type", ""))
        answer = await consults.consult(await body_of(request, deps.question_bytes), who)
        _tell("consent consult", who)
        return answer
