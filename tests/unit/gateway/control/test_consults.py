"""Content that a consult gives back: recorded before it is sent, checked against changed consents, completed after."""

import json
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import pytest

from consent_store.model import PatientKey
from consent_store.reading import read_consent
from consent_store.store import Revision, Subject
from gateway.control.access import Access
from gateway.control.consults import Consults
from gateway.decision.facts import Facts
from gateway.decision.model import Exchange, SubjectFacts
from gateway.directory.model import Directory, Participant
from gateway.errors import Unavailable
from gateway.facts.people import identifiers_in, people
from gateway.fhir.resolver import Resolver
from gateway.ledger.account import account_of
from gateway.ledger.model import Completion, Intent, LedgerUnavailable
from gateway.ledger.sqlite import SqliteLedger
from tests.questions import ROSA, SHELF, SUBJECT, consent, observation

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
MERCY = Participant(id="mercy", type="provider_general", references=frozenset({"Organization/mercy"}))
VALLEY = Participant(
    id="valley", type="provider_general", references=frozenset({"Organization/valley"}), purposes=frozenset({"TREAT"})
)
WHO = Access("ehr", frozenset(), issuer="urn:test")


class Route:
    """The consulted route, over a patient's consents in memory; `changes` says how often they change at the check."""

    def __init__(self, *consents: dict[str, Any], changes: int = 0) -> None:
        self.consents, self.changes = consents, changes
        self.tools = SHELF.tools["base"]
        self.directory = Directory({one.id: one for one in (MERCY, VALLEY)})

    def exchange(self, consult: Any) -> Exchange:
        """The hospital discloses to the actor."""
        return Exchange(discloser=MERCY, recipient=consult.recipient, purpose=consult.purpose, at=AT)

    async def patients(self, identifiers: Any, ids: Any) -> Any:
        """The server has Rosa alone."""
        from gateway.facts.answer import document_of  # noqa: PLC0415

        return document_of(json.dumps(ROSA).encode(), "patient").views if ids == ("rosa",) else ()

    async def gather(self, document: Any, exchange: Exchange) -> Facts:
        """Her consents, at the revision of this moment."""
        known = people(document, Resolver(document, frozenset()), "")
        known.setdefault(PatientKey("", "rosa"), ())
        found = [read_consent(json.dumps(one).encode(), source="") for one in self.consents]
        subjects = {
            key: SubjectFacts(key=key, identifiers=identifiers_in(views), consents=tuple(found))
            for key, views in known.items()
        }
        revisions = {Subject(key): Revision(str(self.changes)) for key in subjects}
        policy = SHELF.policies["base"]
        return Facts(exchange=exchange, policy=policy, directory=self.directory, subjects=subjects, revisions=revisions)

    def intent(self, exchange: Exchange, access: Access, card: Any, facts: Facts) -> Any:
        """As bootstrap's, with less."""
        account, story = account_of(card.judgement.decisions)
        intent = Intent(
            request_id="0" * 32,
            at=exchange.at,
            tenant="t",
            route="r",
            interaction="consent-consult",
            direction="read",
            issuer=access.issuer,
            client=access.client_id,
            discloser=exchange.discloser.id,
            recipient=exchange.recipient.id,
            purpose=exchange.purpose,
            profile="base",
            profile_digest="",
            account=account,
        )
        return intent, story

    async def unchanged(self, revisions: Any) -> bool:
        """Say no as often as told."""
        self.changes -= 1
        return self.changes < 0

    def passing(self) -> Any:
        """Nobody waits."""
        return nullcontext()

    async def complete(self, sequence: int, outcome: Any, status: int, size: int) -> None:
        """At the same instant."""
        await self.ledger.complete(sequence, Completion(at=AT, outcome=outcome, status=status, body_bytes=size))


class Client:
    """A client's connection; it may break at the body."""

    def __init__(self, *, breaks: bool = False) -> None:
        self.breaks, self.body, self.status = breaks, b"", 0

    async def send(self, message: Any) -> None:
        """Take what is sent."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif self.breaks:
            raise ConnectionResetError
        else:
            self.body += message["body"]


def asked(**context: Any) -> bytes:
    """A consult about Rosa."""
    about = {"patientId": [{"value": "Patient/rosa"}], "actor": [{"value": "Organization/valley"}]}
    whole = {
        "hook": "patient-consent-consult",
        "hookInstance": "1",
        "context": {**about, "purposeOfUse": "TREAT", **context},
    }
    return json.dumps(whole).encode()


async def outcomes(ledger) -> list[str]:
    """What became of every intent, in order."""
    return [one.completion.outcome.value for one in await ledger.attempts(0, 100)]


async def answered(ledger, route: Route, client: Client, **context: Any) -> None:
    """One consult, sent to a client."""
    route.ledger = ledger
    response = await Consults(route, ledger, "urn:here").consult(asked(**context), WHO)
    await response({"type": "http", "extensions": {}}, None, client.send)


async def test_content_is_sent_once_it_is_recorded(ledger):
    """One intent, sent."""
    client = Client()
    await answered(ledger, Route(consent()), client, content=observation(subject=SUBJECT))

    assert (200, "CONSENT_PERMIT") == (client.status, json.loads(client.body)["cards"][0]["summary"])
    assert ["sent"] == await outcomes(ledger)


async def test_it_is_decided_again_where_consents_changed(ledger):
    """Twice void, then sent; nothing left before."""
    client = Client()
    await answered(ledger, Route(consent(), changes=2), client, content=observation(subject=SUBJECT))

    assert ["void", "void", "sent"] == await outcomes(ledger)


async def test_it_is_given_up_where_consents_keep_changing(ledger):
    """Three times void, then 503, and not a byte was sent."""
    client = Client()
    with pytest.raises(Unavailable):
        await answered(ledger, Route(consent(), changes=9), client, content=observation(subject=SUBJECT))

    assert (0, b"") == (client.status, client.body)
    assert ["void"] * 3 == await outcomes(ledger)


async def test_a_client_that_leaves_may_have_had_some_of_it(ledger):
    """The answer broke off: aborted, which counts as disclosed."""
    with pytest.raises(ConnectionResetError):
        await answered(ledger, Route(consent()), Client(breaks=True), content=observation(subject=SUBJECT))

    assert ["aborted"] == await outcomes(ledger)


async def test_what_cannot_be_recorded_is_not_sent(tmp_path):
    """The ledger is gone: nothing leaves (law 8)."""
    ledger = await SqliteLedger.open(tmp_path / "gone.db")
    await ledger.close()
    client = Client()
    with pytest.raises(LedgerUnavailable):
        await answered(ledger, Route(consent()), client, content=observation(subject=SUBJECT))

    assert (0, b"") == (client.status, client.body)


async def test_an_answer_without_content_is_no_disclosure(ledger):
    """A card alone is not recorded."""
    client = Client()
    await answered(ledger, Route(consent()), client)

    assert "CONSENT_PERMIT" == json.loads(client.body)["cards"][0]["summary"]
    assert [] == await outcomes(ledger)
