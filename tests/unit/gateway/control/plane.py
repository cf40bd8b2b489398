"""The whole control plane in process: real store, ledger, verifier and development tokens; only `decide` is a fake."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx2
from prometheus_client import CollectorRegistry, Counter

from consent_store.memory import MemoryConsentStore
from consent_store.model import ACT_REASON, Identifier
from consent_store.validate import KnownCodes
from gateway.control.app import Deps, control_app
from gateway.directory.model import Agreement, Client, Directory, Participant, Relationship
from gateway.errors import ProfileError, QuestionError
from gateway.facts.explain import explain
from gateway.identity.dev_issuer import ALGORITHM, development_token, new_key, public_keys
from gateway.identity.tokens import FixedKeys, Verifier
from gateway.ledger.sqlite import SqliteLedger
from gateway.proxy.outcomes import outcome
from gateway.settings import DEVELOPMENT_ISSUER, Issuer
from tests.questions import SHELF

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
KEY = new_key()
AUDIENCE = "https://gw"
BASE = "https://fhir.example/r4"
SOURCES = {"ny/h": frozenset({BASE})}
MRN = Identifier("http://example.org/mrn", "rosa-1")

ROSA = Participant(
    id="rosa-app",
    type="patient",
    references=frozenset({"Patient/rosa"}),
    identifiers=frozenset({MRN}),
    purposes=frozenset(),
)
ANY_APP = Participant(id="any-app", type="patient", purposes=frozenset({"PATRQT"}))
PLAN = Participant(id="plan", type="mco", purposes=frozenset({"HPAYMT"}), references=frozenset({"Organization/7"}))
DIRECTORY = Directory(
    {one.id: one for one in (ROSA, ANY_APP, PLAN)},
    agreements=(Agreement(type="BAA", between=frozenset({"plan", "rosa-app"})),),
    relationships=(Relationship(participant="plan", identifier=MRN),),
    revision="r1",
    clients=tuple(Client(client_id=one.id, participant=one.id) for one in (ROSA, ANY_APP, PLAN)),
)


class Plane:
    """The control plane, a client for it, and what a test may change about it."""

    def __init__(self, ledger: SqliteLedger, sources=None) -> None:
        self.sources = sources or SOURCES
        self.consents = MemoryConsentStore(self.sources)
        self.ledger, self.checks, self.broken_reload = ledger, {"ledger": True}, False
        registry = CollectorRegistry()
        Counter("answers", "for the test", registry=registry).inc()
        issuer = Issuer(iss=DEVELOPMENT_ISSUER, audience=AUDIENCE, algorithms=frozenset({ALGORITHM}))
        deps = Deps(
            verifier=Verifier([(issuer, FixedKeys(public_keys(KEY)))], lambda: NOW),
            directory=lambda: DIRECTORY,
            consents=self.consents,
            sources=self.sources,
            known=KnownCodes({ACT_REASON: frozenset({"TREAT", "CAREMGT"})}),
            ledger=ledger,
            clock=lambda: NOW,
            outcome=outcome,
            decide=self.decide,
            explain=lambda question, records: explain(question, SHELF, records),
            label=self.label,
            reload=self.reload,
            ready=self.ready,
            metrics=registry,
            base_url="http://control",
        )
        transport = httpx2.ASGITransport(control_app(deps))
        self.http = httpx2.AsyncClient(transport=transport, base_url="http://control")

    @staticmethod
    def decide(raw: bytes) -> dict[str, Any]:
        """Echoes the question's id, as decide would; a question without one cannot be asked."""
        question = json.loads(raw)
        if "id" not in question:
            raise QuestionError("id is missing")
        if question["id"] == "boom":
            raise RuntimeError("sentinel")
        return {"v": 1, "id": question["id"], "effect": "deny"}

    @staticmethod
    def label(raw: bytes, profile: str, lines: bool) -> bytes:
        """Says what it was asked; a body that cannot be read is the sender's fault."""
        if raw == b"{":
            raise QuestionError("the body: not json")
        return f"{profile} {lines} ".encode() + raw

    async def reload(self) -> str:
        """Gives a new revision, or the error of a file."""
        if self.broken_reload:
            raise ProfileError("directory.yaml:7: participants[0].type: is missing")
        return "r2"

    async def ready(self) -> dict[str, bool]:
        """Gives the checks as the test set them."""
        return self.checks

    async def ask(self, method: str, path: str, token: str | None = None, body: Any = None, **headers: str) -> Any:
        """One request; `body` is JSON, header names have `_` for `-`."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent.setdefault("Content-Type", "application/fhir+json")
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        return await self.http.request(method, path, content=content, headers=sent)


def token(client_id: str, *roles: str, patient: str = "", purposes=None) -> str:
    """A development token."""
    return development_token(
        KEY, client_id=client_id, audience=AUDIENCE, at=NOW, roles=roles, patient=patient, purposes=purposes
    )


OFFICER = token("officer", "privacy_officer")
OPERATOR = token("operator", "operator")
ROSAS = token("rosa-app", "patient_app")
OMARS = token("any-app", "patient_app", patient="Patient/omar")
